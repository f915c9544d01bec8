// SPDX-License-Identifier: MIT
//
// Databases on the test's PostgreSQL, one for each data directory, and servers of a test's own that it may
// stop. tools/postgres.py makes and keeps the servers.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const TOOL = fileURLToPath(new URL('../../tools/postgres.py', import.meta.url));

const databases = new Map();
let made = 0;

function tool(...args) {
    return execFileSync('python3', [TOOL, ...args], { encoding: 'utf8' }).trim();
}

/** Runs SQL without our own code; what it yields as text, a row a line. */
export function sql(url, statement) {
    return execFileSync('psql', ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-c', statement, url], {
        encoding: 'utf8',
    }).trim();
}

/** The same, with the rows as objects. */
export function rows(url, statement) {
    if (!/^\s*select/i.test(statement)) return sql(url, statement), [];
    return JSON.parse(sql(url, `SELECT coalesce(json_agg(t), '[]') FROM (${statement}) t`));
}

function serverUrl() {
    const url = process.env.TEST_DATABASE_URL;
    if (!url) throw new Error('TEST_DATABASE_URL is unset: tools/postgres.py run COMMAND... sets it');
    return url;
}

function named(url, name) {
    return url.replace(/\/[^/?]*\?/, `/${name}?`);
}

function create(server, template = 'template0') {
    const name = `e2e_${process.pid}_${++made}`;
    sql(server, `CREATE DATABASE ${name} TEMPLATE ${template}`);
    return { server, name, url: named(server, name) };
}

/**
 * A database {url, drop()} like the one that `fill(url)` makes. It is made once on the test's server, whichever
 * process comes first, and copied from then on.
 */
export async function copiedDatabase(template, fill) {
    const server = serverUrl();
    const unlock = await lockServer(server, template);
    try {
        const known = sql(server, `SELECT 1 FROM pg_database WHERE datname = '${template}'`) === '1';
        if (!known) {
            const first = create(server);
            await fill(first.url);
            sql(server, `ALTER DATABASE ${first.name} RENAME TO ${template}`);
        }
        const copy = create(server, template);
        return { url: copy.url, drop: () => sql(server, `DROP DATABASE ${copy.name} WITH (FORCE)`) };
    } finally {
        await unlock();
    }
}

/** Holds a lock of that name against other processes of the tests, until the function it returns is called. */
async function lockServer(server, name) {
    const child = spawn('psql', ['-X', '-q', '-A', '-t', server], { stdio: ['pipe', 'pipe', 'inherit'] });
    const locked = once(child.stdout, 'data');
    child.stdin.write(`SELECT pg_advisory_lock(hashtext('${name}')) IS NULL;\n`);
    await locked;
    return async () => {
        const closed = once(child, 'close');
        child.stdin.end();
        await closed;
    };
}

/** The database that goes with a data directory; the same one for the same directory. */
export function newDatabase(dataDir) {
    if (!databases.has(dataDir)) databases.set(dataDir, create(serverUrl()));
    return databases.get(dataDir).url;
}

export function dropDatabase(dataDir) {
    const database = databases.get(dataDir);
    if (!database) return;
    databases.delete(dataDir);
    sql(database.server, `DROP DATABASE ${database.name} WITH (FORCE)`);
}

const servers = new Set();

/** A server of the test's own. */
export class PostgresServer {
    constructor() {
        this.dir = tool('start');
        this.url = create(tool('url', this.dir)).url;
        servers.add(this);
    }

    /** As an operator stops it: connections are cut, what wasn't committed is undone. */
    halt() {
        tool('halt', this.dir);
    }

    resume() {
        tool('resume', this.dir);
    }

    sql(statement) {
        return sql(this.url, statement);
    }

    remove() {
        if (servers.delete(this)) tool('stop', this.dir);
    }
}

process.on('exit', () => {
    for (const server of servers) server.remove();
});
