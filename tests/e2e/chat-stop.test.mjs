// SPDX-License-Identifier: MIT
//
// An answer that is stopped, by its client, by its client's absence or by the end of the server: the model's
// connection is closed, what was said is kept, and the stream is finalized as stopped.

import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startGenie } from '../support/genie.mjs';
import { Listener, readBody } from '../support/listener.mjs';
import { startModel } from '../support/model.mjs';
import { open } from '../support/raw.mjs';
import { openChat } from '../support/sse.mjs';
import {
    CONNECT,
    STREAM,
    addFlow,
    addNode,
    assertTranscript,
    eventually,
    history,
    isText,
    newSession,
    openResume,
    stopAll,
    stopChat,
    talk,
    textOf,
} from '../support/talk.mjs';

const WAITS = [
    { type: 'condition', result_key: 'before', config: { if: { left: 1, op: 'eq', right: 1 }, then: [] } },
    { type: 'llm_generate', result_key: 'written', config: { prompt: 'written by a flow' } },
    { type: 'condition', result_key: 'after', config: { if: { left: 1, op: 'eq', right: 1 }, then: [] } },
];

/** Begins a chat with a session of its own: {stream, sessionId, request (of the model)}. */
async function begin(server, user, model, message, options) {
    const sessionId = newSession();
    const stream = await openChat(server, user.token, { message, sessionId }, options);
    const request = await model.waitFor(() => model.chats.find((r) => r.prompt === message), 10_000, message);
    return { stream, sessionId, request };
}

const uuidOf = (stream) => stream.events[0].json.uuid;
const lastOf = (stream) => stream.events.at(-1).json;

describe('DELETE', () => {
    let model, server, user;

    before(async () => {
        model = await startModel({ formats: ['ollama', 'openai', 'anthropic'] });
        server = await startGenie({ env: CONNECT.openai(model) });
        user = await server.addUser();
        addFlow(server, 'waits-for-text', WAITS);
    });
    beforeEach(() => model.reset());
    after(() => stopAll(server, model));

    test('before the first token closes the connection to the model; nothing is stored', async () => {
        model.reply({ text: 'Never said', stall: 'head' });
        const { stream, sessionId, request } = await begin(server, user, model, 'Stop early');
        await stream.next();
        const { status, json } = await stopChat(server, user.token, uuidOf(stream));
        assert.equal(status, 200);
        assert.deepEqual(json, { ok: true, stopped: true });
        assert.equal((await request.closedAt).aborted, true);
        await stream.ended();
        assertTranscript(stream.events);
        assert.equal(textOf(stream.events), '');
        assert.equal(lastOf(stream).stopped, true);
        assert.equal(lastOf(stream).error, false);
        assert.equal(lastOf(stream).chatId, undefined);
        assert.deepEqual(await history(server, user.token, sessionId), []);
    });

    test('in the middle keeps what was said so far', async () => {
        model.reply({ tokens: ['One', ' two', ' three'], stall: 2 });
        const { stream, sessionId, request } = await begin(server, user, model, 'Stop midway');
        await stream.until((events) => textOf(events) === 'One two');
        assert.equal((await stopChat(server, user.token, uuidOf(stream))).json.stopped, true);
        assert.equal((await request.closedAt).aborted, true);
        await stream.ended();
        assertTranscript(stream.events);
        assert.equal(lastOf(stream).stopped, true);
        assert.deepEqual(
            (await history(server, user.token, sessionId)).map((row) => [row.chatId, row.response]),
            [[lastOf(stream).chatId, 'One two']],
        );
    });

    test('in the middle of what may be a tag shows it as the text it was', async () => {
        model.reply({ tokens: ['So ', '[ACTION:waits-for-text:{"a"', ':1}]'], stall: 2 });
        const { stream, request } = await begin(server, user, model, 'Stop in a tag');
        await stream.until((events) => textOf(events) === 'So ');
        await model.waitFor(() => request.waiting);
        assert.equal((await stopChat(server, user.token, uuidOf(stream))).json.stopped, true);
        await stream.ended();
        assertTranscript(stream.events);
        assert.equal(textOf(stream.events).replace('[ACTION:waits-for-text:{"a"', ''), 'So ');
        assert.ok(stream.events.every((event) => event.json.type !== 'toolCall'));
    });

    test('during a flow ends the flow; its results so far are stored with the text', async () => {
        model.reply((request) =>
            request.prompt === 'written by a flow'
                ? { text: 'Never written', stall: 'head' }
                : 'Working. [ACTION:waits-for-text:{}][ACTION:waits-for-text:{}]',
        );
        const { stream, sessionId } = await begin(server, user, model, 'Stop the flow');
        const step = await model.waitFor(() => model.chats.find((r) => r.prompt === 'written by a flow'));
        await stream.until((events) => events.some((event) => event.json.step === 1));
        assert.equal((await stopChat(server, user.token, uuidOf(stream))).json.stopped, true);
        assert.equal((await step.closedAt).aborted, true);
        await stream.ended();
        assertTranscript(stream.events);
        assert.equal(lastOf(stream).stopped, true);
        const ends = stream.events
            .map((event) => event.json)
            .filter((e) => e.type === 'toolCall' && e.step === undefined && e.status !== 'running');
        assert.deepEqual(
            ends.map((e) => e.status),
            ['error', 'miss'],
        );
        const [row] = await history(server, user.token, sessionId);
        assert.equal(row.response, 'Working. ');
        assert.deepEqual(Object.keys(row.actions[0].results), ['before']);
        assert.equal(model.chats.length, 2);
    });

    test('after the end, or twice, says that it came too late', async () => {
        const answer = await talk(server, user, { message: 'Finished', sessionId: newSession() });
        assert.deepEqual((await stopChat(server, user.token, answer.last.uuid)).json, {
            ok: true,
            stopped: false,
        });
        const replay = await openResume(server, user.token, answer.last.uuid);
        await replay.ended();
        assert.equal(lastOf(replay).stopped, undefined);
    });

    test('at any moment agrees with the finalize on whether it counted', async () => {
        model.reply({ text: 'A short answer in a few words', delay: 1 });
        await Promise.all(
            Array.from({ length: 40 }, async (_, i) => {
                const stream = await openChat(server, user.token, {
                    message: `Race ${i}`,
                    sessionId: newSession(),
                });
                await stream.until((events) => events.length > i % 10);
                const { json } = await stopChat(server, user.token, uuidOf(stream));
                await stream.ended();
                assertTranscript(stream.events);
                assert.equal(json.stopped, lastOf(stream).stopped === true);
            }),
        );
    });

    test('of a stream that is none, or not one of its own, is 404', async () => {
        const other = await server.addUser();
        model.reply({ tokens: ['a', 'b'], stall: 1 });
        const { stream, request } = await begin(server, user, model, 'Mine alone');
        await stream.until((events) => textOf(events) === 'a');
        assert.equal((await stopChat(server, other.token, uuidOf(stream))).status, 404);
        assert.equal((await stopChat(server, user.token, 'nonsense')).status, 404);
        request.release();
        await stream.ended();
        assert.equal(textOf(stream.events), 'ab');
    });
});

for (const format of ['ollama', 'openai', 'anthropic'])
    describe(`a client that leaves, with the model behind ${format}`, () => {
        let model, server, user;

        before(async () => {
            model = await startModel({ formats: [format] });
            server = await startGenie({ env: { ...CONNECT[format](model), STREAM_GRACE_S: '0' } });
            user = await server.addUser();
        });
        beforeEach(() => model.reset());
        after(() => stopAll(server, model));

        test('and with no grace stops the answer at once, before or after the first token', async () => {
            for (const stall of ['head', 2]) {
                model.reply({ tokens: ['One', ' two', ' three'], stall });
                const { stream, sessionId, request } = await begin(server, user, model, `Gone at ${stall}`);
                const said = stall === 2 ? 'One two' : '';
                await stream.until((events) => events.length > 0 && textOf(events) === said);
                stream.cut();
                assert.equal((await request.closedAt).aborted, true);
                const replay = await openResume(server, user.token, uuidOf(stream));
                await replay.ended();
                assertTranscript(replay.events);
                assert.equal(lastOf(replay).stopped, true);
                const rows = await history(server, user.token, sessionId);
                assert.deepEqual(
                    rows.map((row) => row.response),
                    said ? [said] : [],
                );
            }
        });
    });

describe('the time a client has to come back', () => {
    let model, server, user;

    before(async () => {
        model = await startModel({ formats: ['openai'] });
        server = await startGenie({ env: { ...CONNECT.openai(model), STREAM_GRACE_S: '1' } });
        user = await server.addUser();
    });
    beforeEach(() => model.reset());
    after(() => stopAll(server, model));

    test('lets the answer go on; at its end it is stopped and stored', async () => {
        model.reply({ tokens: ['One', ' two', ' three'], stall: 1 });
        const { stream, sessionId, request } = await begin(server, user, model, 'Back never');
        await stream.until((events) => textOf(events) === 'One');
        stream.cut();
        assert.equal((await request.closedAt).aborted, true);
        const replay = await openResume(server, user.token, uuidOf(stream));
        await replay.ended();
        assertTranscript(replay.events);
        assert.equal(lastOf(replay).stopped, true);
        assert.equal((await history(server, user.token, sessionId))[0].response, 'One');
    });

    test('lets an answer that ends within it be stored whole', async () => {
        model.reply({ tokens: ['One', ' two', ' three'], stall: 1 });
        const { stream, sessionId, request } = await begin(server, user, model, 'Ends alone');
        await stream.until((events) => textOf(events) === 'One');
        stream.cut();
        request.release();
        assert.equal((await request.closedAt).aborted, false);
        const [row] = await eventually(async () => {
            const rows = await history(server, user.token, sessionId);
            return rows.length > 0 && rows;
        }, 'the answer in the history');
        assert.equal(row.response, 'One two three');
        const replay = await openResume(server, user.token, uuidOf(stream));
        await replay.ended();
        assert.equal(lastOf(replay).stopped, undefined);
    });

    test('counts from when the client was there: a slow start is no absence', async () => {
        const embedder = await startEmbedder();
        const slow = await startGenie({
            env: {
                ...CONNECT.openai(model),
                STREAM_GRACE_S: '0',
                EMBEDDING_PROVIDER: 'ollama',
                OLLAMA_URL: embedder.url,
            },
        });
        try {
            const who = await slow.addUser();
            addNode(slow, who, 'Slow', 'A note that takes long to look up.');
            model.reply('Here I am.');
            await talk(slow, who, 'Is there a slow note?');
            await eventually(() => embedder.answered > 0, 'vectors of the notes');
            for (let i = 0; !embedder.asked.has(`What about the slow note, ${i - 1}?`); i++) {
                const answer = await talk(slow, who, `What about the slow note, ${i}?`);
                assert.equal(answer.answer, 'Here I am.');
                assert.equal(answer.last.stopped, undefined);
            }
        } finally {
            await stopAll(slow, embedder);
        }
    });
});

/** An embedder that takes longer for each question than any tick of the server. */
async function startEmbedder() {
    const embedder = new Listener(async (request, response) => {
        const { input = [] } = JSON.parse((await readBody(request)) || '{}');
        for (const text of input) embedder.asked.add(text);
        await sleep(700);
        embedder.answered += input.length;
        response.end(JSON.stringify({ embeddings: input.map(() => [1, 0, 0]) }));
    });
    embedder.asked = new Set();
    embedder.answered = 0;
    await embedder.start();
    return embedder;
}

describe('SIGTERM', () => {
    test('finalizes what runs as stopped, with its text stored, and ends with exit code 0', async () => {
        const model = await startModel({ formats: ['openai'] });
        const server = await startGenie({ env: { ...CONNECT.openai(model), MODEL_THREADS: '16' } });
        try {
            const user = await server.addUser();
            addFlow(server, 'waits-for-text', WAITS);
            model.reply((request) =>
                /flow/.test(request.prompt)
                    ? request.prompt === 'written by a flow'
                        ? { text: 'x', stall: 'head' }
                        : 'Said. [ACTION:waits-for-text:{}]'
                    : { tokens: ['Said', '.', ' More'], stall: /silent/.test(request.prompt) ? 'head' : 2 },
            );
            const kinds = Array.from({ length: 30 }, (_, i) => ['silent', 'talking', 'in a flow'][i % 3]);
            const chats = await Promise.all(
                kinds.map((kind, i) => begin(server, user, model, `${kind} ${i}`)),
            );
            await Promise.all(
                chats.map(({ stream }, i) =>
                    stream.until((events) =>
                        kinds[i] === 'in a flow'
                            ? events.some((e) => e.json.type === 'toolCall')
                            : events.length > 0 && textOf(events) === (kinds[i] === 'talking' ? 'Said.' : ''),
                    ),
                ),
            );
            await server.stop({ keep: true }); // judges the exit
            for (const { stream } of chats) {
                await stream.ended();
                assert.ok(stream.complete);
                assertTranscript(stream.events);
                assert.equal(lastOf(stream).stopped, true);
            }
            await server.restart();
            for (const [i, { stream, sessionId }] of chats.entries())
                assert.deepEqual(
                    (await history(server, user.token, sessionId)).map((row) => [row.chatId, row.response]),
                    kinds[i] === 'silent'
                        ? []
                        : [[lastOf(stream).chatId, kinds[i] === 'talking' ? 'Said.' : 'Said. ']],
                );
        } finally {
            await stopAll(server, model);
        }
    });

    test('refuses a message that was still arriving, in words', async () => {
        const model = await startModel({ formats: ['openai'] });
        const server = await startGenie({ env: CONNECT.openai(model) });
        try {
            const user = await server.addUser();
            model.reply({ text: 'Never said', stall: 'head' });
            const { stream } = await begin(server, user, model, 'Before');
            const late = await open(server.port);
            const body = JSON.stringify({ message: 'Late' });
            const head =
                `POST ${STREAM} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n` +
                `Authorization: Bearer ${user.token}\r\nContent-Length: ${body.length}\r\n\r\n`;
            late.send(head + body.slice(0, 5));
            await server.request('/healthz'); // by now the head has arrived
            const stopped = server.stop();
            await stream.ended();
            assert.equal(lastOf(stream).stopped, true);
            late.send(body.slice(5));
            await late.until((connection) => connection.answers.length > 0);
            assert.equal(late.answers[0].status, 503);
            assert.equal(JSON.parse(late.answers[0].body).ok, false);
            await stopped;
        } finally {
            await stopAll(server, model);
        }
    });

    test('while messages keep coming refuses them, and harms nothing', async () => {
        const model = await startModel({ formats: ['openai'] });
        const server = await startGenie({ env: CONNECT.openai(model) });
        try {
            const user = await server.addUser();
            model.reply({ text: 'Quick', delay: 1 });
            let stopping = false;
            const seen = { whole: 0 };
            const send = async () => {
                while (!stopping || seen.whole === 0) {
                    const stream = await openChat(server, user.token, { message: 'Hi' }).catch(() => null);
                    await stream?.ended();
                    if (!stream) return;
                    if (stream.status === 200 && stream.complete) assertTranscript(stream.events);
                    else if (stream.status !== 200) assert.equal(stream.status, 503);
                    seen.whole++;
                }
            };
            const senders = Array.from({ length: 16 }, send);
            await eventually(() => seen.whole > 32, 'some answers');
            stopping = true;
            await Promise.all([server.stop(), ...senders]);
        } finally {
            await stopAll(server, model);
        }
    });
});

describe('200 chats at once', () => {
    test('each get their own answer whole, once', async () => {
        const model = await startModel({ formats: ['openai'] });
        const server = await startGenie({ env: { ...CONNECT.openai(model), LOG_LEVEL: 'warn' } });
        try {
            const user = await server.addUser();
            const other = await server.addUser();
            model.reply((request) => ({
                text: `This is the answer to ${request.prompt}, in a few words.`,
                delay: 5,
            }));
            const answers = await Promise.all(
                Array.from({ length: 200 }, async (_, i) => {
                    const who = i % 2 ? user : other;
                    const sessionId = `many-${i}`;
                    return [who, sessionId, await talk(server, who, { message: `question ${i}`, sessionId })];
                }),
            );
            for (const [i, [who, sessionId, answer]] of answers.entries()) {
                assert.equal(answer.answer, `This is the answer to question ${i}, in a few words.`);
                assert.ok(answer.events.filter((e) => isText({ json: e })).length > 0);
                const rows = await history(server, who.token, sessionId);
                assert.deepEqual(
                    rows.map((row) => [row.chatId, row.response]),
                    [[answer.last.chatId, answer.answer]],
                );
            }
            assert.equal(new Set(answers.map(([, , answer]) => answer.last.uuid)).size, 200);
            assert.equal(model.chats.length, 200);
        } finally {
            await stopAll(server, model);
        }
    });
});
