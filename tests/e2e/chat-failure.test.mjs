// SPDX-License-Identifier: MIT
//
// Models fail in many ways. Whatever they do, the stream ends with an abort and a finalize that says so, what
// was said before is kept, nothing of the upstream's words or address reaches the client, and nothing hangs.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { startGenie } from '../support/genie.mjs';
import { startModel } from '../support/model.mjs';
import { freePort } from '../support/ports.mjs';
import { openChat } from '../support/sse.mjs';
import {
    CONNECT,
    STREAM,
    addNode,
    assertTranscript,
    history,
    lockStore,
    newSession,
    openResume,
    stopAll,
    talk,
    textOf,
} from '../support/talk.mjs';

const TOKENS = ['Half', ' an', ' answer', ' and', ' more'];
const SECRET = 'internal: node 7 at 10.1.2.3';
const LIMITS = { LLM_FIRST_TOKEN_TIMEOUT_S: '4', LLM_TOKEN_TIMEOUT_S: '4' };

/** [what, script, what was said before]; each is a failure in every format. */
const FAILURES = [
    ['status 500', { status: 500, body: SECRET }, ''],
    ['status 429', { status: 429, headers: { 'Retry-After': '9' } }, ''],
    ['status 404', { status: 404 }, ''],
    ['a redirect', { status: 302, headers: { Location: 'http://127.0.0.1:1/' } }, ''],
    ['a body that is no stream', { status: 200, body: '<html>hello</html>' }, ''],
    ['a connection closed before the first token', { tokens: TOKENS, drop: 0 }, ''],
    ['a connection closed in the middle', { tokens: TOKENS, drop: 3 }, 'Half an answer'],
    ['a connection reset in the middle', { tokens: TOKENS, drop: 3, reset: true }, null],
    ['an end without the last line', { tokens: TOKENS, done: false }, TOKENS.join('')],
    ['silence before the first token', { tokens: TOKENS, stall: 'head' }, ''],
    ['silence between tokens', { tokens: TOKENS, stall: 2 }, 'Half an'],
    ['a line that is not JSON', { tokens: TOKENS, malformed: { after: 2 } }, 'Half an'],
    ['an error before the first token', { tokens: TOKENS, error: { after: 0, message: SECRET } }, ''],
    ['an error in the middle', { tokens: TOKENS, error: { after: 2, message: SECRET } }, 'Half an'],
];

for (const format of ['ollama', 'openai', 'anthropic'])
    describe(`${format} that fails with`, { concurrency: 8 }, () => {
        let model, server, hasty, user, hastyUser;
        const scripts = new Map();

        before(async () => {
            model = await startModel({ formats: [format] });
            model.reply((request) => scripts.get(request.prompt) ?? 'Fine');
            server = await startGenie({ env: CONNECT[format](model) });
            hasty = await startGenie({ env: { ...CONNECT[format](model), ...LIMITS } });
            user = await server.addUser();
            hastyUser = await hasty.addUser();
        });
        after(() => stopAll(server, hasty, model));

        for (const [what, script, said] of FAILURES)
            test(what, async () => {
                const sessionId = newSession();
                const [at, who] = /^silence/.test(what) ? [hasty, hastyUser] : [server, user];
                scripts.set(what, script);
                const answer = await talk(at, who, { message: what, sessionId });
                const { error, stopped, chatId } = answer.last;
                assert.equal(answer.events.at(-3).type, 'abort');
                assert.match(answer.events.at(-3).error, /^[A-Z][^:{}<>]+$/, 'a sentence');
                assert.doesNotMatch(
                    answer.raw.toString(),
                    /internal|10\.1\.2\.3|127\.0\.0\.1|stand-in answers/,
                );
                assert.equal(error, true);
                assert.equal(stopped, undefined);
                if (said !== null) assert.equal(answer.answer, said);
                else assert.ok(TOKENS.join('').startsWith(answer.answer));
                assert.equal(chatId !== undefined, answer.answer !== '');
                const rows = await history(at, who.token, sessionId);
                assert.deepEqual(
                    rows.map((row) => [row.chatId, row.response]),
                    answer.answer === '' ? [] : [[chatId, answer.answer]],
                );
                const next = await talk(server, user, { message: `after ${what}`, sessionId });
                assert.equal(next.answer, 'Fine');
            });

        test('nobody there', async () => {
            const port = await freePort();
            const lonely = await startGenie({ env: CONNECT[format]({ url: `http://127.0.0.1:${port}` }) });
            try {
                const answer = await talk(lonely, await lonely.addUser(), 'Anybody?');
                assert.equal(answer.last.error, true);
                assert.doesNotMatch(answer.raw.toString(), new RegExp(port));
            } finally {
                await lonely.stop();
            }
        });
    });

describe('a failed answer', () => {
    test('can be replayed like any other', async () => {
        const model = await startModel({ formats: ['openai'] });
        const server = await startGenie({ env: CONNECT.openai(model) });
        try {
            const user = await server.addUser();
            model.reply({ tokens: TOKENS, drop: 2 });
            const answer = await talk(server, user, 'Fail');
            const replay = await openResume(server, user.token, answer.last.uuid);
            await replay.ended();
            assert.ok(replay.raw.equals(answer.raw));
        } finally {
            await stopAll(server, model);
        }
    });

    test('that would grow past 1 MiB is cut there, stored, and the model is let go', async () => {
        const model = await startModel({ formats: ['openai'] });
        const server = await startGenie({ env: CONNECT.openai(model) });
        try {
            const user = await server.addUser();
            model.reply({ tokens: ['x'.repeat(16 * 1024)], endless: true });
            const answer = await talk(server, user, 'Never end');
            assert.equal(answer.last.error, true);
            assert.ok(answer.answer.length > 900_000 && answer.answer.length <= 1024 * 1024);
            assert.equal((await model.chats[0].closedAt).aborted, true);
            assert.equal((await history(server, user.token))[0].response, answer.answer);
        } finally {
            await stopAll(server, model);
        }
    });
});

describe('a store that takes nothing', () => {
    test('makes the answer fail in the stream: it is not said to be stored', async () => {
        const model = await startModel({ formats: ['openai'] });
        const server = await startGenie({ env: CONNECT.openai(model) });
        try {
            const user = await server.addUser();
            const unlock = await lockStore(server);
            const answer = await talk(server, user, 'Store this');
            assert.equal(answer.last.error, true);
            assert.equal(answer.last.chatId, undefined);
            assert.match(answer.events.at(-3).error, /stored/);
            await unlock();
            assert.deepEqual(await history(server, user.token), []);
            assert.ok((await talk(server, user, 'Store that')).last.chatId > 0);
        } finally {
            await stopAll(server, model);
        }
    });
});

describe('LLM_FALLBACK=extractive', () => {
    let model, server, user;

    before(async () => {
        model = await startModel({ formats: ['openai'] });
        server = await startGenie({
            env: { ...CONNECT.openai(model), ...LIMITS, LLM_FALLBACK: 'extractive' },
        });
        user = await server.addUser();
        addNode(server, user, 'Opening hours', 'The studio opens at nine in the morning.');
    });
    beforeEach(() => model.reset());
    after(() => stopAll(server, model));

    for (const [what, script] of [
        ['refuses', { status: 500 }],
        ['is silent', { tokens: TOKENS, stall: 'head' }],
        [
            'breaks off where only the beginning of a tag was said',
            { tokens: ['[ACTION:some', '-flow:{"a'], drop: 2 },
        ],
    ])
        test(`answers from the notes when the model ${what}`, async () => {
            model.reply(script);
            const answer = await talk(server, user, {
                message: 'When does the studio open?',
                sessionId: newSession(),
            });
            assert.equal(answer.last.error, false);
            assert.equal(answer.last.metrics.model, 'extractive');
            assert.match(answer.answer, /opens at nine/);
            assert.doesNotMatch(answer.answer, /ACTION/);
            assert.equal(answer.last.sources.length, 1);
            assert.ok(answer.last.chatId > 0);
        });

    test('does not answer again once the model has said something', async () => {
        model.reply({ tokens: TOKENS, drop: 1 });
        const answer = await talk(server, user, {
            message: 'When does the studio open?',
            sessionId: newSession(),
        });
        assert.equal(answer.answer, 'Half');
        assert.equal(answer.last.error, true);
    });
});

describe('a local model that is busy', () => {
    test('has a bounded queue: what does not fit is refused before the stream opens', async () => {
        const model = await startModel({ formats: ['ollama'] });
        const server = await startGenie({
            env: { ...CONNECT.ollama(model), LLM_LOCAL_PARALLEL: '1', LLM_LOCAL_QUEUE: '1' },
        });
        try {
            const user = await server.addUser();
            model.reply({ tokens: TOKENS, stall: 1 });
            const send = (n) => openChat(server, user.token, { message: `M${n}`, sessionId: `busy-${n}` });
            const running = await send(1);
            await running.until((events) => textOf(events) === 'Half');
            const waiting = await send(2);
            await waiting.next();
            for (let n = 3; n < 6; n++) {
                const refused = await server.request(STREAM, {
                    method: 'POST',
                    token: user.token,
                    body: { message: `M${n}` },
                });
                assert.equal(refused.status, 503);
                assert.equal(refused.json.code, 'model_busy');
                assert.match(refused.headers['retry-after'], /^[1-9]\d*$/);
            }
            for (const stream of [running, waiting]) {
                await model.waitFor(() => {
                    model.chats.forEach((request) => request.release());
                    return stream.closed;
                });
                await stream.ended();
                assertTranscript(stream.events);
                assert.equal(textOf(stream.events), TOKENS.join(''));
            }
            assert.deepEqual(await history(server, user.token), []);
            assert.equal(model.peak, 1);
        } finally {
            await stopAll(server, model);
        }
    });
});
