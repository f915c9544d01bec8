// SPDX-License-Identifier: MIT
//
// An authenticated read of one's own profile, on SQLite, on PostgreSQL, and on the database of a real Directus 11,
// against that Directus answering the same question to the same user from the same database.

import { existsSync } from 'node:fs';
import { ADMIN, newDirectus } from '../../tests/support/directus.mjs';
import { DurablePostgres } from '../support/postgres.mjs';
import { load, serve } from '../support/processes.mjs';

const SHAPE = { connections: 64, seconds: 4, warmup: 1 };
const MODULES = new URL('../../tests/directus/node_modules', import.meta.url);
const GENIE_PATH = '/api/directus/users/me';
const USAGE_PATH = '/api/usage'; // what a dashboard asks for most, and is kept in memory

const read = (port, path, token) =>
    load({ ...SHAPE, port, path, header: [`Authorization: Bearer ${token}`] });

async function onSqlite() {
    const server = await serve({ HTTP_THREADS: '1' });
    const user = await server.addUser();
    const result = await read(server.port, GENIE_PATH, user.token);
    await server.stop();
    return result;
}

/** Both programs on one database: {genie, usage, directus}. */
async function beside(directus) {
    await directus.start();
    const token = await directus.login(ADMIN);
    const server = directus.genie({ env: { LOG_LEVEL: 'warn', HTTP_THREADS: '1' } });
    await server.start();
    await server.cli(['user', 'adopt', '--email', ADMIN.email]);
    const genie = await read(server.port, GENIE_PATH, token);
    const usage = await read(server.port, USAGE_PATH, token);
    const theirs = await read(directus.port, '/users/me', token);
    return { genie, usage, directus: theirs };
}

function line(path, what, own, directus, more = {}) {
    return {
        what: `authenticated read, 64 connections (GET ${path}), ${what}`,
        unit: '/s',
        value: own.per_second,
        peer: { name: "Directus's /users/me", value: directus.per_second },
        note: `p99 ${own.whole_us.p99} µs, Directus ${directus.whole_us.p99} µs`,
        ...more,
    };
}

export const name = 'store-read';

export async function measure() {
    if (!existsSync(MODULES)) throw new Error('there is no Directus: npm ci --prefix tests/directus');
    const postgres = new DurablePostgres();
    process.env.TEST_DATABASE_URL = postgres.url;
    let directus;
    try {
        directus = await newDirectus();
        const both = await beside(directus);
        const sqlite = await onSqlite();
        return [
            line(GENIE_PATH, 'on PostgreSQL', both.genie, both.directus, { target: { atLeast: 100 } }),
            line(USAGE_PATH, 'on PostgreSQL', both.usage, both.directus, { target: { atLeast: 100 } }),
            line(GENIE_PATH, 'on SQLite', sqlite, both.directus),
        ];
    } finally {
        await directus?.stop();
        postgres.remove();
    }
}
