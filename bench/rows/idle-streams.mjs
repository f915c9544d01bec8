// SPDX-License-Identifier: MIT
//
// Chats whose model has begun and then says nothing: what each of them keeps in memory.

import { setTimeout as sleep } from 'node:timers/promises';
import { openChat } from '../../tests/support/sse.mjs';
import { chatOf, descriptorLimit, hold, residentKiB, serve, startUpstream } from '../support/processes.mjs';

const STREAMS = 10_000;
const SPARE_DESCRIPTORS = 300;
const SETTLE_MS = 1500;

/** A stream has two sockets; where the limit is too low for that, the last ones wait for the model without a second. */
const withModel = () => Math.min(STREAMS, descriptorLimit() - STREAMS - SPARE_DESCRIPTORS);

async function untilBegun(upstream, count) {
    for (let i = 0; i < 100; i++) {
        if ((await upstream.stats()).open >= count) return;
        await sleep(100);
    }
    throw new Error(`the model has only ${(await upstream.stats()).open} open streams, not ${count}`);
}

/** One chat before the count, so that what is made once isn't counted as a stream's. */
async function warmUp(server, token) {
    const stream = await openChat(server, token, { message: 'Hello' });
    await stream.until((events) => events.length >= 2);
    stream.cut();
    await sleep(SETTLE_MS);
}

export const name = 'idle-streams';

export async function measure() {
    const parallel = withModel();
    const upstream = await startUpstream({ hold: 1 });
    const server = await serve(
        {
            LLM_PROVIDER: 'ollama',
            OLLAMA_URL: upstream.url,
            OLLAMA_MODEL: 'bench',
            LLM_LOCAL_PARALLEL: String(parallel),
            LLM_LOCAL_QUEUE: String(STREAMS),
            LLM_TOKEN_TIMEOUT_S: '600',
            STREAM_GRACE_S: '0',
        },
        ['--demo'],
    );
    const token = await server.token('creator@demo.local');
    await warmUp(server, token);
    const before = residentKiB(server.pid);
    const message = { message: 'What do my fans in Berlin like?', sessionId: 'idle-########' };
    const held = await hold({
        ...chatOf(server, token, message),
        needle: '"stage_update"',
        connections: STREAMS,
        sources: 8,
        seconds: 60,
    });
    await untilBegun(upstream, parallel);
    await sleep(SETTLE_MS);
    const during = residentKiB(server.pid);
    const lost = await held.release();
    if (lost > 0) throw new Error(`${lost} idle streams were closed`);
    await sleep(SETTLE_MS);
    const after = residentKiB(server.pid);
    await server.stop();
    await upstream.stop();
    const waiting = STREAMS - parallel;
    return [
        {
            what: `${STREAMS.toLocaleString('en-US')} open idle streams: resident memory each`,
            unit: 'KiB',
            value: (during - before) / STREAMS,
            target: { atMost: 12 },
            note:
                `${(before / 1024).toFixed(1)} MiB before, ${(during / 1024).toFixed(1)} with them, ` +
                `${(after / 1024).toFixed(1)} after` +
                (waiting > 0
                    ? `; ${waiting} of them wait for the model, since this machine allows too few files`
                    : ''),
        },
    ];
}
