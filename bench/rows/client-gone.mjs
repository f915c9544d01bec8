// SPDX-License-Identifier: MIT
//
// From a client's leaving (without grace), or its DELETE, to the end of the connection at the model.

import { setTimeout as sleep } from 'node:timers/promises';
import { openChat } from '../../tests/support/sse.mjs';
import { openaiAt, serve, startUpstream } from '../support/processes.mjs';

const TIMES = 20;
const WAIT_MS = 5000;

/** Microseconds of the clock that the model's times are of. */
const nowUs = () => Number(process.hrtime.bigint() / 1000n);

async function untilBegun(upstream, count) {
    for (let i = 0; i < WAIT_MS; i++) {
        if ((await upstream.stats()).begun >= count) return;
        await sleep(1);
    }
    throw new Error('the chat did not reach the model');
}

const leave = (stream) => stream.cut();

async function remove(stream, server, user) {
    const path = `/api/genie/stream-chat/${stream.events[0].json.uuid}`;
    const { status } = await server.request(path, { method: 'DELETE', token: user.token });
    if (status !== 200) throw new Error(`DELETE ${path}: ${status}`);
}

async function once({ server, user, upstream, act, tokens }, number) {
    const stream = await openChat(server, user.token, {
        message: 'Tell me a long story',
        sessionId: `gone-${number}`,
    });
    await untilBegun(upstream, number);
    const shown = tokens > 0 ? 'textResponseChunk' : 'stage_update';
    await stream.until((events) => events.some((event) => event.json.type === shown));
    const from = nowUs();
    const [at] = await Promise.all([upstream.closedAt(number), act(stream, server, user)]);
    stream.cut();
    return (at - from) / 1000;
}

async function series(tokens, act) {
    const upstream = await startUpstream({ hold: tokens });
    const server = await serve({ ...openaiAt(upstream), STREAM_GRACE_S: '0' });
    const user = await server.addUser();
    const times = [];
    for (let i = 1; i <= TIMES; i++) times.push(await once({ server, user, upstream, act, tokens }, i));
    await server.stop();
    await upstream.stop();
    return times.sort((a, b) => a - b);
}

export const name = 'client-gone';

export async function measure() {
    const lines = [];
    for (const [what, act] of [
        ['client gone', leave],
        ['DELETE', remove],
    ])
        for (const [when, tokens] of [
            ['before the first token', 0],
            ['while answering', 4],
        ]) {
            const times = await series(tokens, act);
            lines.push({
                what: `${what} ${when} to model's connection closed, slowest of ${TIMES}`,
                unit: 'ms',
                value: times.at(-1),
                target: { atMost: 100 },
                note: `median ${times[TIMES / 2].toFixed(2)} ms`,
            });
        }
    return lines;
}
