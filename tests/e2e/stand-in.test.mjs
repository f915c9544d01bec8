// SPDX-License-Identifier: MIT
//
// The stand-in model must speak what the real services speak; the judges are the vendors' own clients.
// The same expectations are put to each format through a small adapter.

import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { Ollama } from 'ollama';
import OpenAI from 'openai';
import { startModel } from '../support/model.mjs';
import { request } from '../support/http.mjs';
import { openSse } from '../support/sse.mjs';
import { startStagehand } from '../support/stagehand.mjs';

const MODEL = 'qwen2.5:latest';
const SYSTEM = 'You are terse.';
const PROMPT = 'Say hello';
const EMOJI = 'Grüße, 世界 — 👩‍👩‍👧 and 🎉 <b>&amp;</b> "quoted" \\ back\u2028slash\n';

const adapters = {
    ollama(model) {
        const client = new Ollama({ host: model.url });
        const call = {
            model: MODEL,
            messages: [
                { role: 'system', content: SYSTEM },
                { role: 'user', content: PROMPT },
            ],
        };
        return {
            async whole() {
                const answer = await client.chat({ ...call, stream: false });
                return {
                    text: answer.message.content,
                    thinking: answer.message.thinking ?? '',
                    finish: answer.done_reason,
                    prompt: answer.prompt_eval_count,
                    completion: answer.eval_count,
                };
            },
            async *stream() {
                const answer = { text: '', thinking: '' };
                for await (const part of await client.chat({ ...call, stream: true })) {
                    answer.text += part.message.content;
                    answer.thinking += part.message.thinking ?? '';
                    if (part.message.content) yield part.message.content;
                    if (part.done)
                        Object.assign(answer, {
                            finish: part.done_reason,
                            prompt: part.prompt_eval_count,
                            completion: part.eval_count,
                        });
                }
                this.answer = answer;
            },
            leave: () => client.abort(),
            finish: { stop: 'stop', length: 'length' },
        };
    },
    openai(model) {
        const client = new OpenAI({ baseURL: `${model.url}/v1`, apiKey: 'sk-test', maxRetries: 0 });
        const call = {
            model: MODEL,
            messages: [
                { role: 'system', content: SYSTEM },
                { role: 'user', content: PROMPT },
            ],
        };
        return {
            async whole() {
                const {
                    choices: [choice],
                    usage,
                } = await client.chat.completions.create(call);
                return {
                    text: choice.message.content,
                    thinking: choice.message.reasoning_content ?? '',
                    finish: choice.finish_reason,
                    prompt: usage.prompt_tokens,
                    completion: usage.completion_tokens,
                };
            },
            async *stream() {
                const answer = { text: '', thinking: '' };
                const stream = await client.chat.completions.create({
                    ...call,
                    stream: true,
                    stream_options: { include_usage: true },
                });
                this.leave = () => stream.controller.abort();
                for await (const {
                    choices: [choice],
                    usage,
                } of stream) {
                    answer.text += choice?.delta.content ?? '';
                    answer.thinking += choice?.delta.reasoning_content ?? '';
                    answer.finish = choice?.finish_reason ?? answer.finish;
                    if (choice?.delta.content) yield choice.delta.content;
                    if (usage)
                        Object.assign(answer, {
                            prompt: usage.prompt_tokens,
                            completion: usage.completion_tokens,
                        });
                }
                this.answer = answer;
            },
            finish: { stop: 'stop', length: 'length' },
        };
    },
    anthropic(model) {
        const client = new Anthropic({ baseURL: model.url, apiKey: 'sk-ant-test', maxRetries: 0 });
        const call = {
            model: MODEL,
            max_tokens: 1000,
            system: SYSTEM,
            messages: [{ role: 'user', content: PROMPT }],
        };
        const part = (message, type) => message.content.find((block) => block.type === type)?.[type] ?? '';
        const shape = (message) => ({
            text: part(message, 'text'),
            thinking: part(message, 'thinking'),
            finish: message.stop_reason,
            prompt: message.usage.input_tokens,
            completion: message.usage.output_tokens,
        });
        return {
            whole: async () => shape(await client.messages.create(call)),
            async *stream() {
                const answer = { text: '', thinking: '' };
                const stream = await client.messages.create({ ...call, stream: true });
                this.leave = () => stream.controller.abort();
                for await (const { type, delta, message, usage } of stream) {
                    answer.text += delta?.text ?? '';
                    answer.thinking += delta?.thinking ?? '';
                    if (delta?.type === 'text_delta') yield delta.text;
                    if (type === 'message_start') answer.prompt = message.usage.input_tokens;
                    if (type === 'message_delta')
                        Object.assign(answer, { finish: delta.stop_reason, completion: usage.output_tokens });
                }
                this.answer = answer;
            },
            helper: async () => shape(await client.messages.stream(call).finalMessage()),
            finish: { stop: 'end_turn', length: 'max_tokens' },
        };
    },
};

async function drain(client) {
    const pieces = [];
    for await (const piece of client.stream()) pieces.push(piece);
    return pieces;
}

for (const [format, adapt] of Object.entries(adapters))
    describe(`the stand-in, asked by the real client of ${format}`, () => {
        let model, client;
        before(async () => {
            model = await startModel({ formats: format });
        });
        after(async () => {
            await model.stop();
        });
        beforeEach(() => {
            model.reset();
            client = adapt(model);
        });

        test('answers whole', async () => {
            model.reply({ tokens: ['Hel', 'lo', ' there'] });
            assert.deepEqual(await client.whole(), {
                text: 'Hello there',
                thinking: '',
                finish: client.finish.stop,
                prompt: model.chats[0].talk.usage.prompt,
                completion: 3,
            });
        });

        test('streams token by token, with reason and counts', async () => {
            model.reply({
                tokens: ['Hel', 'lo', ' there'],
                finish: 'length',
                usage: { prompt: 26, completion: 282 },
            });
            assert.deepEqual(await drain(client), ['Hel', 'lo', ' there']);
            assert.deepEqual(client.answer, {
                text: 'Hello there',
                thinking: '',
                finish: client.finish.length,
                prompt: 26,
                completion: 282,
            });
        });

        test('records the request as the client sent it', async () => {
            await drain(client);
            const [seen] = model.chats;
            assert.equal(seen.format, format);
            assert.equal(seen.model, MODEL);
            assert.equal(seen.system, SYSTEM);
            assert.equal(seen.prompt, PROMPT);
            assert.equal(seen.stream, true);
            assert.deepEqual(JSON.parse(seen.text), seen.body);
            assert.equal((await seen.closedAt).aborted, false);
        });

        test('sends reasoning apart from the answer', async () => {
            model.reply({ thinking: 'Hmm, well.', text: 'Yes.' });
            await drain(client);
            assert.equal(client.answer.thinking, 'Hmm, well.');
            assert.equal(client.answer.text, 'Yes.');
            const whole = await client.whole();
            assert.equal(whole.thinking, 'Hmm, well.');
        });

        for (const json of ['plain', 'go', 'ascii'])
            for (const way of [
                { split: 1 },
                { split: 7 },
                { split: [3, 50, 51, 90] },
                { split: 'whole' },
                { wire: 1 },
                { wire: 13 },
                { split: 199, gap: 1 },
            ])
                test(`means the same cut as ${JSON.stringify(way)} in ${json} JSON`, async () => {
                    model.reply({ text: EMOJI, cut: 'char', json, ...way });
                    await drain(client);
                    assert.equal(client.answer.text, EMOJI);
                    assert.equal((await client.whole()).text, EMOJI);
                });

        test('can split a surrogate pair between two tokens', async () => {
            model.reply({ text: '🎉', cut: 'unit' });
            assert.deepEqual(await drain(client), ['\ud83c', '\udf89']);
        });

        test('carries a line of a mebibyte', async () => {
            model.reply({ tokens: ['x'.repeat(1 << 20)] });
            await drain(client);
            assert.equal(client.answer.text.length, 1 << 20);
        });

        test('stalls before the first token until released', async () => {
            model.reply({ text: 'late', stall: 0 });
            const answer = drain(client);
            const seen = await model.nextChat();
            await model.waitFor(() => seen.waiting);
            assert.equal(seen.tokensSent, 0);
            seen.release();
            assert.deepEqual(await answer, ['late']);
        });

        test('notices that the client left after k tokens', async () => {
            model.reply({ tokens: ['one', ' two', ' three'], stall: 2 });
            const pieces = [];
            try {
                for await (const piece of client.stream()) {
                    pieces.push(piece);
                    if (pieces.length === 2) client.leave();
                }
            } catch (error) {
                assert.match(error.name + error.message, /abort/i);
            }
            const [seen] = model.chats;
            assert.equal((await seen.closedAt).aborted, true);
            assert.equal(seen.tokensSent, 2);
            assert.equal(model.active, 0);
        });

        test('is held up by a client that does not read, and can talk forever', async () => {
            model.reply({ tokens: ['word '.repeat(10_000)], endless: true });
            const stream = client.stream();
            await stream.next();
            const [seen] = model.chats;
            await model.waitFor(() => seen.blocked, 60_000);
            client.leave();
            await stream.return().catch(() => {});
            assert.equal((await seen.closedAt).aborted, true);
        });

        test("refuses with a status and the format's own error body", async () => {
            for (const status of [400, 404, 429, 500]) {
                model.reply({ status });
                await assert.rejects(drain(client), (error) => {
                    assert.equal(error.status ?? error.status_code, status);
                    assert.match(error.message, new RegExp(`status ${status}`));
                    return true;
                });
                await assert.rejects(client.whole());
            }
        });

        test("sends the format's error in the middle of a stream", async () => {
            model.reply({ tokens: ['a', 'b', 'c'], error: { after: 2, message: 'out of memory' } });
            const pieces = [];
            await assert.rejects(async () => {
                for await (const piece of client.stream()) pieces.push(piece);
            }, /out of memory/);
            assert.deepEqual(pieces, ['a', 'b']);
        });

        test('drops the connection after k tokens, with FIN or RST, and after n bytes', async () => {
            for (const way of [{ drop: 1 }, { drop: 1, reset: true }, { dropBytes: 300 }, { drop: 0 }]) {
                model.reply({ tokens: ['first', ' second', ' third'], ...way });
                await assert.rejects(drain(client), JSON.stringify(way));
                assert.equal(model.chats.at(-1).dropped, true);
            }
            model.reply('recovered');
            assert.deepEqual(await drain(client), ['recovered']);
        });

        test('sends a line that is not JSON', async () => {
            model.reply({ tokens: ['a', 'b'], malformed: { after: 1 } });
            const values = (await rawStream(model, format))
                .split('\n')
                .map((line) => line.replace(/^data: /, ''))
                .filter((line) => line.startsWith('{'));
            const broken = values.filter((line) => {
                try {
                    return !JSON.parse(line);
                } catch {
                    return true;
                }
            });
            assert.equal(broken.length, 1);
            assert.ok(values.indexOf(broken[0]) < values.length - 1, 'the stream goes on after it');
        });

        test('can leave out the end', async () => {
            model.reply({ tokens: ['a', 'b'], done: false });
            await drain(client).catch(() => {});
            const { at, aborted } = await model.chats[0].closedAt;
            assert.equal(aborted, false);
            assert.ok(at > 0);
            const raw = await rawStream(model, format);
            assert.doesNotMatch(raw, /"done":true|\[DONE\]|message_stop/);
        });

        test('counts how many are asked at once', async () => {
            model.reply({ text: 'x', stall: 0 });
            const all = [1, 2, 3].map(() => drain(adapt(model)));
            await model.waitFor(() => model.active === 3);
            for (const seen of model.chats) seen.release();
            await Promise.all(all);
            assert.equal(model.peak, 3);
            await model.waitFor(() => model.active === 0);
        });

        test('answers queued replies first, in order, and functions of the request', async () => {
            model.once('one', { text: 'two' }).reply((seen) => `said ${seen.prompt}`);
            assert.equal((await client.whole()).text, 'one');
            assert.equal((await client.whole()).text, 'two');
            assert.equal((await client.whole()).text, `said ${PROMPT}`);
        });

        test('knows no route of another service', async () => {
            const others = ['/api/chat', '/v1/chat/completions', '/v1/messages'].filter(
                (path) => path !== model.formats[0].chatPath,
            );
            for (const path of others)
                assert.equal((await request(model.url + path, { method: 'POST', body: {} })).status, 404);
        });
    });

const MINIMAL = {
    ollama: { path: '/api/chat', body: { model: MODEL, messages: [{ role: 'user', content: 'x' }] } },
    openai: {
        path: '/v1/chat/completions',
        body: { model: MODEL, stream: true, messages: [{ role: 'user', content: 'x' }] },
    },
    anthropic: {
        path: '/v1/messages',
        headers: { 'x-api-key': 'k', 'anthropic-version': '2023-06-01' },
        body: { model: MODEL, stream: true, max_tokens: 9, messages: [{ role: 'user', content: 'x' }] },
    },
};

async function rawStream(model, format) {
    const { path, headers, body } = MINIMAL[format];
    return (await request(model.url + path, { method: 'POST', headers, body })).text;
}

describe('the stand-in, byte for byte', () => {
    let model;
    before(async () => {
        model = (await startModel()).reply({ tokens: ['Hi', '!'], usage: { prompt: 5, completion: 2 } });
    });
    after(async () => {
        await model.stop();
    });

    test('Ollama: one object a line; the last has the reason and all counters in integers', async () => {
        const { text, headers } = await request(model.url + '/api/chat', {
            method: 'POST',
            body: MINIMAL.ollama.body,
        });
        assert.equal(headers['content-type'], 'application/x-ndjson');
        assert.ok(text.endsWith('}\n'));
        const lines = text
            .trimEnd()
            .split('\n')
            .map((line) => JSON.parse(line));
        assert.equal(lines.length, 3);
        for (const line of lines) {
            assert.deepEqual(Object.keys(line).slice(0, 4), ['model', 'created_at', 'message', 'done']);
            assert.equal(line.message.role, 'assistant');
        }
        const end = lines[2];
        assert.deepEqual(Object.keys(end).slice(3), [
            'done',
            'done_reason',
            'total_duration',
            'load_duration',
            'prompt_eval_count',
            'prompt_eval_duration',
            'eval_count',
            'eval_duration',
        ]);
        assert.ok(Object.values(end).slice(5).every(Number.isInteger));
    });

    test('OpenAI: null usage on every chunk, then the counts without choices, then [DONE]', async () => {
        const body = { ...MINIMAL.openai.body, stream_options: { include_usage: true } };
        const { text } = await request(`${model.url}/v1/chat/completions`, { method: 'POST', body });
        const datas = text
            .trimEnd()
            .split('\n\n')
            .map((event) => event.replace(/^data: /, ''));
        assert.equal(datas.at(-1), '[DONE]');
        const chunks = datas.slice(0, -1).map((data) => JSON.parse(data));
        assert.deepEqual(
            chunks.map((c) => c.usage && c.usage.total_tokens),
            [null, null, null, null, 7],
        );
        assert.deepEqual(chunks[0].choices[0].delta, { role: 'assistant', content: '', refusal: null });
        assert.deepEqual(chunks[3].choices[0], {
            index: 0,
            delta: {},
            logprobs: null,
            finish_reason: 'stop',
        });
        assert.deepEqual(chunks[4].choices, []);
        const bare = await rawStream(model, 'openai');
        assert.doesNotMatch(bare, /"usage"/);
    });

    test("Anthropic: the vendor's own accumulator agrees with what was sent", async () => {
        const { text, prompt, completion, finish } = await adapters.anthropic(model).helper();
        assert.deepEqual(
            { text, prompt, completion, finish },
            { text: 'Hi!', prompt: 5, completion: 2, finish: 'end_turn' },
        );
    });

    test('Anthropic: the documented order of events', async () => {
        const text = await rawStream(model, 'anthropic');
        const names = [...text.matchAll(/^event: (.*)$/gm)].map(([, name]) => name);
        assert.deepEqual(names, [
            'message_start',
            'content_block_start',
            'ping',
            'content_block_delta',
            'content_block_delta',
            'content_block_stop',
            'message_delta',
            'message_stop',
        ]);
        for (const [, name, data] of text.matchAll(/^event: (.*)\ndata: (.*)\n\n/gm))
            assert.equal(JSON.parse(data).type, name);
    });

    test('each refuses what the real one refuses', async () => {
        const ask = async (format, change, headers = MINIMAL[format].headers) =>
            (
                await request(model.url + MINIMAL[format].path, {
                    method: 'POST',
                    headers,
                    body: { ...MINIMAL[format].body, ...change },
                })
            ).status;
        assert.equal(await ask('ollama', { model: 'nobody' }), 404);
        assert.equal(await ask('openai', { messages: [] }), 400);
        assert.equal(await ask('openai', { stream: false, stream_options: { include_usage: true } }), 400);
        assert.equal(await ask('anthropic', { max_tokens: undefined }), 400);
        assert.equal(await ask('anthropic', { messages: [{ role: 'system', content: 'x' }] }), 400);
        assert.equal(await ask('anthropic', { messages: [{ role: 'user', content: '' }] }), 400);
        assert.equal(await ask('anthropic', {}, { 'x-api-key': 'k' }), 400);
        assert.equal(await ask('anthropic', {}, {}), 401);
    });

    test('probes and lists answer as the services do', async () => {
        assert.equal((await request(`${model.url}/`)).text, 'Ollama is running');
        const ollama = new Ollama({ host: model.url });
        assert.deepEqual(
            (await ollama.list()).models.map((m) => m.name),
            model.models,
        );
        assert.match((await ollama.version()).version, /^\d+\.\d+\.\d+$/);
        const openai = new OpenAI({ baseURL: `${model.url}/v1`, apiKey: 'k' });
        assert.deepEqual(
            (await openai.models.list()).data.map((m) => m.id),
            model.models,
        );
        const anthropic = new Anthropic({ baseURL: model.url, apiKey: 'k' });
        assert.deepEqual(
            (await anthropic.models.list()).data.map((m) => m.id),
            model.models,
        );
    });

    test('embeddings: the same text the same vector, related texts closer, all of length one', async () => {
        const ollama = new Ollama({ host: model.url });
        const {
            embeddings: [a, b, c],
        } = await ollama.embed({
            model: 'nomic-embed-text',
            input: ['red summer dress', 'summer dress in red', 'tax return'],
        });
        const dot = (x, y) => x.reduce((sum, xi, i) => sum + xi * y[i], 0);
        assert.ok(Math.abs(dot(a, a) - 1) < 1e-9);
        assert.ok(dot(a, b) > dot(a, c));
        const { embedding } = await ollama.embeddings({
            model: 'nomic-embed-text',
            prompt: 'red summer dress',
        });
        assert.deepEqual(embedding, a);
        const openai = new OpenAI({ baseURL: `${model.url}/v1`, apiKey: 'k' });
        const { data } = await openai.embeddings.create({
            model: 'text-embedding-3-small',
            input: 'red summer dress',
        });
        assert.ok(data[0].embedding.every((x, i) => Math.abs(x - a[i]) < 1e-6));
    });

    test('asked for a key, refuses every other', async () => {
        const locked = await startModel({ apiKey: 'right' });
        const openai = new OpenAI({ baseURL: `${locked.url}/v1`, apiKey: 'wrong', maxRetries: 0 });
        const anthropic = new Anthropic({ baseURL: locked.url, apiKey: 'wrong', maxRetries: 0 });
        await assert.rejects(openai.chat.completions.create(MINIMAL.openai.body), OpenAI.AuthenticationError);
        await assert.rejects(
            anthropic.messages.create(MINIMAL.anthropic.body),
            Anthropic.AuthenticationError,
        );
        await locked.stop();
    });

    test('unscripted, quotes and cites the passage that fits the question', async () => {
        const fresh = await startModel();
        const ollama = new Ollama({ host: fresh.url });
        const ask = async (system) =>
            (
                await ollama.chat({
                    model: MODEL,
                    messages: [
                        { role: 'system', content: system },
                        { role: 'user', content: 'When is the beach shoot?' },
                    ],
                })
            ).message.content;
        assert.match(
            await ask('Notes:\n[n1] Tax is due in May.\n[n2] The beach shoot is on Friday.'),
            /Friday.* \[n2\]$/,
        );
        assert.match(await ask('Be kind.'), /Nothing stored/);
        await fresh.stop();
    });

    test('a mistake in a script is told, not played', async () => {
        assert.throws(() => model.reply({ txet: 'x' }), /no field 'txet'/);
        assert.throws(() => model.reply({ text: 'one two', drop: 5 }), /only 2/);
        const broken = await startModel();
        broken.once(() => {
            throw new Error('test bug');
        });
        await assert.rejects(
            request(`${broken.url}/api/chat`, { method: 'POST', body: MINIMAL.ollama.body }),
        );
        await assert.rejects(broken.stop(), /test bug/);
    });
});

describe('the strict reader of event streams', () => {
    let model;
    const open = (script, options) => {
        model.reply({ steps: [{ raw: script }], done: false, split: options?.split });
        return openSse(`${model.url}/v1/chat/completions`, {
            method: 'POST',
            body: MINIMAL.openai.body,
            ...options,
        });
    };
    const HEAD = ': ping\n\ndata: {"n":0}\nid: a:0\n\n';

    before(async () => {
        model = await startModel({ formats: 'openai' });
    });
    after(async () => {
        await model.stop();
    });

    // The stand-in's own first chunk (the assistant's role) precedes every raw piece.
    test('reads ids, data and comments however they are cut', async () => {
        for (const split of ['frame', 1, 5]) {
            const stream = await (await open(`${HEAD}data: {"n":1}\n\n`, { split })).ended();
            assert.deepEqual(
                stream.events.slice(1).map((e) => [e.id, e.json]),
                [
                    ['a:0', { n: 0 }],
                    [undefined, { n: 1 }],
                ],
            );
            assert.deepEqual(stream.comments, [' ping']);
            assert.ok(stream.text.endsWith(`${HEAD}data: {"n":1}\n\n`));
        }
    });

    for (const [what, bytes] of Object.entries({
        'a field that is not documented': 'event: x\ndata: {}\n\n',
        'two data lines': 'data: {}\ndata: {}\n\n',
        'an id before its data': 'id: 1\ndata: {}\n\n',
        'a carriage return': 'data: {}\r\n\r\n',
        'data that is not JSON': 'data: {"a\n\n',
        'data without a space': 'data:{}\n\n',
        'an end inside an event': 'data: {}\n',
        'bytes that are not UTF-8': Buffer.from([
            0x64, 0x61, 0x74, 0x61, 0x3a, 0x20, 0x22, 0xf0, 0x9f, 0x22, 10, 10,
        ]),
    }))
        test(`objects to ${what}`, async () => {
            const stream = await open(bytes);
            await assert.rejects(stream.ended(), { name: 'Error', message: /./ });
        });

    test('leaves after event n', async () => {
        model.reply({ tokens: ['a', 'b', 'c', 'd'], stall: 3 });
        const stream = await openSse(`${model.url}/v1/chat/completions`, {
            method: 'POST',
            body: MINIMAL.openai.body,
            cutAfter: 3,
        });
        await stream.ended();
        assert.equal((await model.chats.at(-1).closedAt).aborted, true);
        assert.equal(stream.complete, false);
    });

    test('does not read while paused', async () => {
        model.reply({ tokens: ['word '.repeat(4000)], endless: true });
        const stream = await openSse(`${model.url}/v1/chat/completions`, {
            method: 'POST',
            body: MINIMAL.openai.body,
            paused: true,
        });
        const seen = model.chats.at(-1);
        await model.waitFor(() => seen.blocked && seen.bytesSent > 100_000);
        assert.equal(stream.events.length, 0);
        stream.resume();
        await stream.until((events) => events.length > 20);
        stream.cut();
        assert.equal((await seen.closedAt).aborted, true);
    });
});

describe('the stand-in for Stagehand', () => {
    let stagehand;
    before(async () => {
        stagehand = await startStagehand();
    });
    after(async () => {
        await stagehand.stop();
    });
    beforeEach(() => stagehand.reset());

    const post = (path, body) => request(`${stagehand.url}/v1/sessions/${path}`, { method: 'POST', body });
    const START = {
        modelName: 'openai/gpt-4.1-mini',
        browser: { type: 'local', launchOptions: { headless: true } },
    };
    const start = async () => (await post('start', START)).json.data.sessionId;

    test('a session starts, works and ends', async () => {
        const id = await start();
        assert.deepEqual(
            (await post(`${id}/navigate`, { url: 'https://example.com' })).json.data.result,
            null,
        );
        assert.equal((await post(`${id}/act`, { input: 'click the link' })).json.data.result.success, true);
        const schema = {
            type: 'object',
            properties: { title: { type: 'string' }, links: { type: 'array', items: { type: 'string' } } },
        };
        assert.deepEqual((await post(`${id}/extract`, { instruction: 'title', schema })).json.data.result, {
            title: 'Example',
            links: ['Example'],
        });
        assert.ok(Array.isArray((await post(`${id}/observe`, {})).json.data.result));
        assert.equal(stagehand.sessions.get(id).url, 'https://example.com');
        assert.deepEqual((await post(`${id}/end`, {})).json, { success: true });
        assert.deepEqual((await post(`${id}/act`, { input: 'x' })).status, 404);
        assert.deepEqual(stagehand.openSessions, []);
    });

    test('it refuses what the service refuses, and has no screenshot', async () => {
        assert.equal((await post('start', {})).status, 400);
        assert.equal((await post('start', { modelName: 'm' })).status, 400);
        assert.equal((await post('start', { modelName: 'm', browser: { type: 'local' } })).status, 400);
        const id = await start();
        assert.equal((await post(`${id}/navigate`, {})).status, 400);
        const absent = await post(`${id}/screenshot`, {});
        assert.equal(absent.status, 404);
        assert.match(absent.json.message, /^Route POST:\/v1\/sessions\/[^/]+\/screenshot not found$/);
        assert.equal(
            (
                await request(`${stagehand.url}/v1/sessions/${id}/end`, {
                    method: 'POST',
                    headers: { 'Content-Type': 'application/json' },
                })
            ).status,
            400,
        );
    });

    test('it misbehaves on request', async () => {
        const id = await start();
        stagehand.on('act', { status: 500, message: 'act failed' });
        assert.deepEqual((await post(`${id}/act`, { input: 'x' })).json, {
            success: false,
            message: 'act failed',
        });
        stagehand.on('act', { drop: true });
        await assert.rejects(post(`${id}/act`, { input: 'x' }));
        stagehand.on('act', { malformed: true });
        assert.equal((await post(`${id}/act`, { input: 'x' })).json, undefined);
        stagehand.on('act', { huge: 1 << 20 });
        assert.ok((await post(`${id}/act`, { input: 'x' })).bytes.length > 1 << 20);
        stagehand.on('act', { stall: true });
        await assert.rejects(
            request(`${stagehand.url}/v1/sessions/${id}/act`, {
                method: 'POST',
                body: { input: 'x' },
                limitMs: 100,
            }),
        );
        assert.equal((await stagehand.requests.at(-1).closedAt).aborted, true);
    });
});
