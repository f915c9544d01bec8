// SPDX-License-Identifier: MIT
//
// Chats whose model says one word, so that what remains is the pipeline and the durable storing of the exchange: on
// PostgreSQL, against the same on SQLite. Both flush to the same disk before the stream ends.

import { DurablePostgres } from '../support/postgres.mjs';
import { chatOf, load, openaiAt, serve, startUpstream } from '../support/processes.mjs';

const SHAPE = { connections: 64, seconds: 5, warmup: 1 };

async function counter(server, name) {
    const { text } = await server.request('/metrics');
    return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)[1]);
}

async function chats(upstream, store) {
    const server = await serve(openaiAt(upstream), ['--demo'], store);
    const token = await server.token('creator@demo.local');
    const before = await counter(server, 'genie_db_commits_total');
    const result = await load({ ...SHAPE, ...chatOf(server, token, { message: 'Hello', sessionId: 's-########' }) });
    const commits = (await counter(server, 'genie_db_commits_total')) - before;
    await server.stop();
    return { ...result, perCommit: (result.answers * ((SHAPE.seconds + SHAPE.warmup) / SHAPE.seconds)) / commits };
}

export const name = 'store-write';

export async function measure() {
    const postgres = new DurablePostgres();
    const upstream = await startUpstream({ tokens: 1 });
    try {
        const sqlite = await chats(upstream, { store: 'sqlite' });
        const own = await chats(upstream, postgres.store);
        return [
            {
                what: 'exchanges of chats stored durably, 64 at a time, on PostgreSQL',
                unit: '/s',
                value: own.per_second,
                peer: { name: 'the same on SQLite', value: sqlite.per_second },
                note:
                    `p99 of a chat ${own.whole_us.p99} µs, SQLite ${sqlite.whole_us.p99} µs; ` +
                    `SQLite stored ${sqlite.perCommit.toFixed(1)} exchanges a commit`,
            },
        ];
    } finally {
        await upstream.stop();
        postgres.remove();
    }
}
