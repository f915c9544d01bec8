// SPDX-License-Identifier: MIT
//
// Streams of 64 tokens, 32 at a time, each a chat with all that belongs to it (retrieval, a durable exchange), against
// nginx passing the same model's bytes on unbuffered.

import {
    chatOf,
    cpuSeconds,
    load,
    modelAt,
    openaiAt,
    serve,
    startNginx,
    startUpstream,
} from '../support/processes.mjs';

const SHAPE = { connections: 32, seconds: 5, warmup: 1 };
const TOKENS = 64;
const PACE_US = 2000;
const MESSAGE = { message: 'What do my fans in Berlin like?', sessionId: 'bench-########' };

/** load() with the processor time the program took for an answer, in ms. */
async function loadWithCpu(pid, options) {
    const before = cpuSeconds(pid);
    const result = await load({ ...SHAPE, ...options });
    const answers = result.answers * ((SHAPE.seconds + SHAPE.warmup) / SHAPE.seconds);
    return { ...result, cpuMs: ((cpuSeconds(pid) - before) * 1000) / answers };
}

async function measureWith(upstreamOptions) {
    const upstream = await startUpstream({ tokens: TOKENS, ...upstreamOptions });
    const nginx = await startNginx({
        http: `upstream model { server 127.0.0.1:${upstream.port}; keepalive 64; }`,
        location:
            'proxy_pass http://model; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;',
    });
    const server = await serve(openaiAt(upstream), ['--demo']);
    const token = await server.token('creator@demo.local');
    const own = await loadWithCpu(server.pid, chatOf(server, token, MESSAGE));
    const peer = await loadWithCpu(nginx.pid, modelAt(nginx.port));
    await server.stop();
    await nginx.stop();
    await upstream.stop();
    return { own, peer };
}

export const name = 'relay';

export async function measure() {
    const full = await measureWith({});
    const paced = await measureWith({ 'between-us': PACE_US });
    const peerName = 'nginx, unbuffered';
    return [
        {
            what: 'chat relay, 64 tokens a stream, 32 streams at a time',
            unit: 'streams/s',
            value: full.own.per_second,
            peer: { name: peerName, value: full.peer.per_second },
            target: { atLeast: 0.8 },
            note:
                `processor ${full.own.cpuMs.toFixed(2)} ms a stream, nginx ${full.peer.cpuMs.toFixed(2)} ms; ` +
                `${full.own.needles} pieces a stream reach the client, since what one read brings leaves as one`,
        },
        {
            what: `the same, a token every ${PACE_US / 1000} ms: processor time of a stream`,
            unit: 'ms',
            value: paced.own.cpuMs,
            peer: { name: peerName, value: paced.peer.cpuMs },
            note:
                `${paced.own.needles} pieces a stream; ` +
                `${paced.own.per_second.toFixed(0)} streams/s, nginx ${paced.peer.per_second.toFixed(0)}`,
        },
    ];
}
