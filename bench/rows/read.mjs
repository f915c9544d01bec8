// SPDX-License-Identifier: MIT
//
// An authenticated read on one event thread, against nginx sending a fixed body of the same size.

import { openChat } from '../../tests/support/sse.mjs';
import { load, serve, startNginx } from '../support/processes.mjs';

const SHAPE = { connections: 64, seconds: 4, warmup: 1 };

/** The reads to choose from: the first that is served counts for the target. */
const READS = [
    { path: '/api/usage', kind: '' },
    { path: '/api/directus/users/me', kind: ', which reads the store on a worker' },
];

async function findRead(server, user) {
    for (const read of READS) {
        const { status, bytes } = await server.request(read.path, { token: user.token });
        if (status === 200) return { ...read, size: bytes.length };
    }
    throw new Error('there is no authenticated read');
}

/** The path of a stream that has ended: DELETE on it is answered from memory alone. */
async function endedStream(server, user) {
    const stream = await openChat(server, user.token, { message: 'Hello' });
    await stream.ended();
    return `/api/genie/stream-chat/${stream.events.at(-1).json.uuid}`;
}

const header = (user) => [`Authorization: Bearer ${user.token}`];

async function againstNginx(what, size, request, note) {
    const own = await load({ ...SHAPE, ...request });
    const nginx = await startNginx({ location: `return 200 "${'x'.repeat(size)}";` });
    const peer = await load({ ...SHAPE, port: nginx.port, path: '/' });
    await nginx.stop();
    return {
        what,
        unit: '/s',
        value: own.per_second,
        peer: { name: 'nginx, fixed body', value: peer.per_second },
        note: `${note}p99 ${own.whole_us.p99} µs, nginx ${peer.whole_us.p99} µs`,
    };
}

export const name = 'read';

export async function measure() {
    const server = await serve({ HTTP_THREADS: '1', STREAM_KEEP_S: '3600' });
    const user = await server.addUser();
    const read = await findRead(server, user);
    const line = await againstNginx(
        `authenticated read, 64 connections (GET ${read.path}${read.kind})`,
        read.size,
        { port: server.port, path: read.path, header: header(user) },
        `${read.size} bytes; `,
    );
    const path = await endedStream(server, user);
    const size = '{"ok":true,"stopped":false}'.length;
    const fast = await againstNginx(
        'authenticated answer from memory, 64 connections (DELETE of an ended stream)',
        size,
        { port: server.port, method: 'DELETE', path, header: header(user) },
        `${size} bytes; `,
    );
    await server.stop();
    return [{ ...line, target: { atLeast: 0.6 } }, fast];
}
