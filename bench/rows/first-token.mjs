// SPDX-License-Identifier: MIT
//
// What the whole pipeline (token, context, retrieval, prompt, model's protocol, events) adds to the time to the first
// token, at a constant 500 requests a second. The load generator, the server and the model share the machine's cores.

import { availableParallelism } from 'node:os';
import { chatOf, load, modelAt, openaiAt, serve, startUpstream } from '../support/processes.mjs';

const SHAPE = { connections: 64, rate: 500, seconds: 8 };
const HISTORY_WARMUP_S = 4; // 64 threads have their 20 exchanges after 2.6 s
const TOKENS = 16;

/** The demo's data answers these by persona, fans, plans and content. */
const MESSAGES = [
    'What do my fans in Berlin like?',
    'Recall what you know about my launch plan',
    'Which posts did well last month, and why?',
    'Write a short message to a fan who has not been here for a while',
];

function chats(server, token, perConnection) {
    const options = chatOf(server, token, {});
    const prefix = perConnection ? 'long' : 'new';
    options.body = MESSAGES.map((message) => JSON.stringify({ message, sessionId: `${prefix}-########` }));
    return { ...SHAPE, ...options, ...(perConnection && { 'per-connection': true }) };
}

function added(what, mark, own, upstream, target) {
    return {
        what: `${what}, ${mark}`,
        unit: 'ms',
        value: (own.first_us[mark] - upstream.first_us.p50) / 1000,
        target,
        note:
            `first token after ${own.first_us[mark]} µs; ` +
            `the model alone: p50 ${upstream.first_us.p50}, p99 ${upstream.first_us.p99} µs`,
    };
}

export const name = 'first-token';

export async function measure() {
    const upstream = await startUpstream({ tokens: TOKENS });
    const server = await serve({ ...openaiAt(upstream), HTTP_THREADS: '1' }, ['--demo']);
    const token = await server.token('creator@demo.local');
    const alone = await load({ ...SHAPE, ...modelAt(upstream.port), warmup: 1 });
    const fresh = await load({ ...chats(server, token, false), warmup: 1 });
    const long = await load({ ...chats(server, token, true), warmup: HISTORY_WARMUP_S });
    await server.stop();
    await upstream.stop();
    const cores = `${availableParallelism()} cores`;
    const full = `time added to the first token, 500 requests/s on ${cores}, 20 exchanges of history`;
    const short = 'the same, first message of a thread';
    return [
        added(full, 'p50', long, alone, { atMost: 0.35 }),
        added(full, 'p99', long, alone, { atMost: 0.94 }),
        added(short, 'p50', fresh, alone),
        added(short, 'p99', fresh, alone),
    ];
}
