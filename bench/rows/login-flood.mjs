// SPDX-License-Identifier: MIT
//
// Another route's p99 at a constant rate, with and without a flood of log-ins: many more than can be hashed, so that two
// hashes are in work all the time. Each log-in is of another account and (as a trusted proxy would say) from another
// network, so that no back-off refuses it before its password is hashed.

import { load, serve } from '../support/processes.mjs';

const READ = { connections: 16, rate: 500, seconds: 6, warmup: 1 };
const FLOOD = { connections: 64, rate: 200, seconds: READ.seconds + READ.warmup + 2, warmup: 0 };

const attempt = (server) => ({
    ...FLOOD,
    port: server.port,
    method: 'POST',
    path: '/api/directus/auth/login',
    header: ['Content-Type: application/json', 'X-Forwarded-For: 2001:db8:####:####::1'],
    body: JSON.stringify({ email: 'flood########@example.com', password: 'not-the-password' }),
    expect: 401,
});

export const name = 'login-flood';

export async function measure() {
    const server = await serve({ HTTP_THREADS: '1' });
    const user = await server.addUser();
    const lines = [];
    for (const path of ['/api/ping', '/api/genie/history']) {
        const read = { ...READ, port: server.port, path, header: [`Authorization: Bearer ${user.token}`] };
        const quiet = await load(read);
        const [flood, flooded] = await Promise.all([load(attempt(server)), load(read)]);
        const hashes = (flood.answers - flood.unexpected) / FLOOD.seconds;
        if (hashes <= 0) throw new Error(`no log-in was tried; the server answers ${flood.last_unexpected}`);
        lines.push({
            what: `log-in flood: p99 of GET ${path} at ${READ.rate}/s`,
            unit: 'ms',
            value: flooded.whole_us.p99 / 1000,
            peer: { name: 'without the flood', value: quiet.whole_us.p99 / 1000 },
            target: { atMost: 2 },
            note:
                `${FLOOD.rate} log-ins/s, of which ${hashes.toFixed(1)} were hashed and the rest refused; ` +
                `p50 ${quiet.whole_us.p50} µs without, ${flooded.whole_us.p50} µs with it`,
        });
    }
    await server.stop();
    return lines;
}
