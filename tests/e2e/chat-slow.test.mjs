// SPDX-License-Identifier: MIT
//
// A client that does not read holds up the model, not the server's memory; and when it reads again, nothing is
// missing and all is in order.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startGenie } from '../support/genie.mjs';
import { startModel } from '../support/model.mjs';
import { openChat } from '../support/sse.mjs';
import {
    CONNECT,
    assertTranscript,
    eventually,
    history,
    newSession,
    stopAll,
    talk,
    textOf,
} from '../support/talk.mjs';

// More than all buffers on the way hold: each character is six bytes in JSON, and comments that say nothing make the
// model's side larger still, since the kernel alone may keep tens of megabytes of it.
const PIECES = Array.from({ length: 150 }, (_, i) => `${i}:${'\u0001'.repeat(6000)}`);
const COMMENTS = `: ${'nothing '.repeat(127)}\n`.repeat(512);
const SCRIPT = { steps: PIECES.flatMap((text) => [{ text }, { raw: COMMENTS }]) };

/** A sanitizer keeps freed memory for a while; here it must not be mistaken for memory in use. */
const SMALL_QUARANTINE = {
    ASAN_OPTIONS: `${process.env.ASAN_OPTIONS ?? 'detect_leaks=1:exitcode=99'}:quarantine_size_mb=8`,
};

const rss = (server) =>
    Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))[1]);

/** Waits until the model has been held up: blocked in a write, and no byte has left since for many looks. */
async function heldUp(request) {
    let sent = -1;
    for (let still = 0; still < 15; still = request.blocked && request.bytesSent === sent ? still + 1 : 0) {
        sent = request.bytesSent;
        assert.ok(!request.complete && !request.signal.aborted, 'the model was not held up');
        await sleep(20);
    }
}

describe('a client that does not read', () => {
    let model, server, user;

    before(async () => {
        model = await startModel({ formats: ['openai'] });
        server = await startGenie({
            env: {
                ...CONNECT.openai(model),
                LLM_TOKEN_TIMEOUT_S: '4',
                STREAM_GRACE_S: '0',
                ...SMALL_QUARANTINE,
            },
        });
        user = await server.addUser();
    });
    beforeEach(() => model.reset());
    after(() => stopAll(server, model));

    test('holds up the model; when it reads on, it gets everything in order', async () => {
        const sessionId = newSession();
        model.reply(SCRIPT);
        const stream = await openChat(
            server,
            user.token,
            { message: 'At length', sessionId },
            { paused: true },
        );
        const request = await model.nextChat();
        await heldUp(request);
        await sleep(4500); // the limit between tokens is no limit on a model that is not listened to
        stream.resume();
        await stream.ended();
        assertTranscript(stream.events);
        assert.equal(textOf(stream.events), PIECES.join(''));
        assert.equal(stream.events.at(-1).json.error, false);
        assert.equal((await history(server, user.token, sessionId))[0].response, PIECES.join(''));
    });

    test('costs a bounded amount of memory each, and others are served meanwhile', async () => {
        model.reply((request) => (request.prompt === 'Quick' ? 'Quickly' : SCRIPT));
        assert.equal(
            (await talk(server, user, { message: 'Quick', sessionId: newSession() })).answer,
            'Quickly',
        );
        const before = rss(server);
        const streams = await Promise.all(
            Array.from({ length: 2 }, (_, i) =>
                openChat(
                    server,
                    user.token,
                    { message: `Long ${i}`, sessionId: newSession() },
                    { paused: true },
                ),
            ),
        );
        const long = () => model.chats.filter((request) => request.prompt.startsWith('Long'));
        await model.waitFor(() => long().length === streams.length);
        await Promise.all(long().map(heldUp));
        const sent = long().reduce((sum, request) => sum + request.bytesSent, 0) / 1024;
        const growth = rss(server) - before; // with what a sanitizer keeps of freed memory
        assert.ok(growth < sent / 2, `${growth} kB for ${sent} kB that were sent`);
        assert.equal(
            (await talk(server, user, { message: 'Quick', sessionId: newSession() })).answer,
            'Quickly',
        );
        for (const stream of streams) stream.cut();
        for (const request of long()) assert.equal((await request.closedAt).aborted, true);
        await eventually(async () => {
            const { text } = await server.request('/metrics');
            return /^genie_llm_requests_active\S* 0$/m.test(text);
        }, 'all models let go');
    });

    test('at all counts as gone after a while: the model is let go, what was said can still be read', async () => {
        const hasty = await startGenie({
            env: { ...CONNECT.openai(model), STREAM_HEARTBEAT_S: '1', STREAM_GRACE_S: '0' },
        });
        try {
            const who = await hasty.addUser();
            model.reply(SCRIPT);
            const stream = await openChat(hasty, who.token, { message: 'For ever' }, { paused: true });
            const request = await model.nextChat();
            assert.equal((await request.closedAt).aborted, true);
            stream.resume();
            await stream.ended();
            assertTranscript(stream.events);
            assert.equal(stream.events.at(-1).json.stopped, true);
            const text = textOf(stream.events);
            assert.ok(text !== '' && PIECES.join('').startsWith(text));
            assert.equal((await history(hasty, who.token))[0].response, text);
        } finally {
            await hasty.stop();
        }
    });

    test('slowly rather than not at all gets everything in order', async () => {
        model.reply({ tokens: PIECES });
        const stream = await openChat(
            server,
            user.token,
            { message: 'Slowly', sessionId: newSession() },
            { slowly: 2, highWaterMark: 16 * 1024 },
        );
        await stream.ended();
        assertTranscript(stream.events);
        assert.equal(textOf(stream.events), PIECES.join(''));
    });
});
