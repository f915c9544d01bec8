// SPDX-License-Identifier: MIT
//
// Backups and their return: beside a server that is being written to, killed in the midst, damaged, onto full
// disks, and (on PostgreSQL) by the commands that docs/backup.md names.

import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
    existsSync,
    mkdirSync,
    readdirSync,
    readFileSync,
    statSync,
    truncateSync,
    unlinkSync,
    writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { commandOf } from '../support/book.mjs';
import { tempDir } from '../support/dirs.mjs';
import { Genie, GENIE_BIN, ON_POSTGRES, startGenie } from '../support/genie.mjs';
import { newDatabase } from '../support/postgres.mjs';

const sqlite3 = (file, sql) => execFileSync('sqlite3', [file, sql], { encoding: 'utf8' }).trim();

/** Starts a subcommand without waiting, to be killed. */
function start(genie, args) {
    const child = spawn(GENIE_BIN, args, { env: genie.env, stdio: 'ignore' });
    child.exited = once(child, 'exit');
    return child;
}

/** Waits for a sight, and says whether it came before the child's end. */
async function seen(child, look, limitMs = 30_000) {
    const deadline = performance.now() + limitMs;
    while (performance.now() < deadline) {
        if (look()) return true;
        if (child.exitCode !== null) return false;
        await sleep(2);
    }
    throw new Error(`not seen within ${limitMs} ms`);
}

/** Writes notes and chats until told to stop; knows which notes were acknowledged. */
class Writer {
    constructor(server, user) {
        Object.assign(this, { server, user, acknowledged: [], going: true });
        this.done = Promise.all([this.#write(), this.#chat()]);
    }

    async #write() {
        for (let n = 0; this.going; n++) {
            const { status, json } = await this.server.request('/api/directus/items/user_nodes', {
                method: 'POST',
                token: this.user.token,
                body: { node_type: 'note', title: `note ${n}`, content: 'x'.repeat(500) },
            });
            if (status === 200) this.acknowledged.push(json.data.id);
        }
    }

    async #chat() {
        while (this.going)
            await this.server.request('/api/genie/stream-chat', {
                method: 'POST',
                token: this.user.token,
                body: { message: 'What do I know?' },
            });
    }

    async stop() {
        this.going = false;
        await this.done;
    }
}

describe('a backup of the embedded store', () => {
    let server, dir;
    before(async () => {
        dir = tempDir('genie-backup-');
        server = await startGenie({ secrets: 'none' });
    });
    after(async () => await server.stop());

    test('beside a server that is written to holds all that was acknowledged, and comes back whole', async () => {
        const files = join(server.dataDir, 'files', 'ab');
        const content = randomBytes(3_000_000);
        mkdirSync(files, { recursive: true });
        writeFileSync(join(files, 'photo.jpg'), content);
        writeFileSync(join(server.dataDir, 'files', 'empty'), '');
        const users = [];
        for (let i = 0; i < 3; i++) users.push(await server.addUser());
        const writers = users.map((user) => new Writer(server, user));
        while (writers.some((writer) => writer.acknowledged.length < 20)) await sleep(20);
        const promised = writers.map((writer) => [...writer.acknowledged]);
        const file = join(dir, 'busy');
        const { stdout } = await server.cli(['backup', file, '--json']);
        for (const writer of writers) await writer.stop();
        const summary = JSON.parse(stdout);
        assert.equal(summary.files, 2);
        assert.equal(summary.secrets, true);
        assert.equal(statSync(file).mode & 0o777, 0o600);
        await server.assertWell();

        const target = join(dir, 'elsewhere');
        await server.cli(['restore', file, '--data', target]);
        assert.equal(sqlite3(join(target, 'genie.db'), 'PRAGMA integrity_check'), 'ok');
        assert.equal(sqlite3(join(target, 'genie.db'), 'PRAGMA foreign_key_check'), '');
        assert.deepEqual(readFileSync(join(target, 'files', 'ab', 'photo.jpg')), content);
        const restored = await startGenie({ secrets: 'none', dataDir: target });
        for (const [i, user] of users.entries()) {
            const { json } = await restored.request('/api/directus/items/user_nodes?limit=-1&fields=id', {
                token: user.token, // minted before the backup
            });
            const there = new Set(json.data.map((row) => row.id));
            for (const id of promised[i]) assert.ok(there.has(id), `note ${id} is gone`);
            const login = await restored.request('/api/directus/auth/login', {
                method: 'POST',
                body: { email: user.email, password: user.password },
            });
            assert.equal(login.status, 200);
        }
        await restored.stop();
    });

    test('killed in the midst leaves neither a backup nor harm, and the next one is good', async () => {
        const file = join(dir, 'killed');
        const large = join(server.dataDir, 'files', 'large');
        writeFileSync(large, '');
        truncateSync(large, 2 ** 30);
        for (const args of [['backup', file], ['backup', file, '--force']]) {
            const before = existsSync(file) ? readFileSync(file) : null;
            const child = start(server, args);
            assert.ok(await seen(child, () => existsSync(`${file}.tmp`)), 'it ended too soon to be killed');
            child.kill('SIGKILL');
            await child.exited;
            if (before) assert.deepEqual(readFileSync(file), before);
            else assert.ok(!existsSync(file));
            if (!before) writeFileSync(file, 'an older one');
        }
        unlinkSync(large);
        await server.assertWell();
        await server.cli(['backup', file, '--force']);
        assert.deepEqual(
            readdirSync(dir).filter((name) => name.startsWith('killed')),
            ['killed'],
        );
        await server.cli(['restore', file, '--data', join(dir, 'after-kill')]);
    });

    test('is not written over another file, nor to a terminal, and not without a name', async () => {
        const file = join(dir, 'precious');
        writeFileSync(file, 'precious');
        const { stderr } = await server.cli(['backup', file], { expect: 1 });
        assert.match(stderr, /precious is there already; --force replaces it/);
        assert.equal(readFileSync(file, 'utf8'), 'precious');
        await server.cli(['backup'], { expect: 2 });
        await server.cli(['backup', 'a', 'b'], { expect: 2 });
        await server.cli(['backup', '-', '--json'], { expect: 2 });
        await server.cli(['restore'], { expect: 2 });
        await server.cli(['restore', file, '--max-size', 'much'], { expect: 2 });
        const onTerminal = (args) =>
            spawnSync('script', ['-qec', [GENIE_BIN, ...args].join(' '), '/dev/null'], {
                env: server.env,
                encoding: 'utf8',
                stdio: ['ignore', 'pipe', 'pipe'],
            });
        const refused = onTerminal(['backup', '-']);
        assert.equal(refused.status, 1);
        assert.match(refused.stdout, /isn't written to a terminal/);
        const drawn = onTerminal(['backup', join(dir, 'drawn')]);
        assert.equal(drawn.status, 0);
        assert.match(drawn.stdout, /backup \[[#.]{40}\] +\d+ %/);
        const plain = await server.cli(['backup', join(dir, 'plain')]);
        assert.equal(plain.stderr, '');
    });

    test('through standard output is the same', async () => {
        const out = spawnSync(GENIE_BIN, ['backup', '-'], { env: server.env, maxBuffer: 1 << 28 });
        assert.equal(out.status, 0);
        const file = join(dir, 'piped');
        writeFileSync(file, out.stdout);
        await server.cli(['restore', file, '--data', join(dir, 'from-pipe')]);
    });

    test('on a disk that becomes full says so, and leaves nothing', async (t) => {
        const mount = tempDir('genie-full-');
        const mounted =
            spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=300k', 'tmpfs', mount]).status === 0;
        t.after(() => mounted && spawnSync('umount', ['-l', mount]));
        const file = join(mount, 'full');
        const args = [GENIE_BIN, 'backup', file];
        const [program, argv] = mounted ? [args[0], args.slice(1)] : ['prlimit', ['--fsize=300000', ...args]];
        const out = spawnSync(program, argv, { env: server.env, encoding: 'utf8' });
        assert.equal(out.status, 1, out.stderr);
        assert.match(out.stderr, /the disk is full/);
        assert.deepEqual(readdirSync(mount), []);
    });
});

describe('the return of a backup', () => {
    let old, dir, file;
    before(async () => {
        dir = tempDir('genie-restore-');
        old = new Genie({ secrets: 'none' });
        old.port = 0;
        await old.cli(['user', 'add', '--email', 'old@example.com', '--password', 'correct horse']);
        mkdirSync(join(old.dataDir, 'files'));
        writeFileSync(join(old.dataDir, 'files', 'one'), 'one');
        file = join(dir, 'backup');
        await old.cli(['backup', file]);
    });
    after(async () => await old.stop());

    const emails = async (dataDir) => {
        const { stdout } = await old.cli(['user', 'list', '--json', '--data', dataDir]);
        return JSON.parse(stdout).map((user) => user.email);
    };
    const beside = (target) =>
        readdirSync(dirname(target)).filter((name) => name.startsWith(`${basename(target)}.`));

    async function newTarget(name) {
        const target = join(dir, name);
        await old.cli(['user', 'add', '--email', 'new@example.com', '--password', 'correct horse', '--data', target]);
        return target;
    }

    test('wants --force where there is something, and keeps what was there', async () => {
        const target = await newTarget('kept');
        const { stderr } = await old.cli(['restore', file, '--data', target], { expect: 1 });
        assert.match(stderr, /isn't empty; --force/);
        assert.deepEqual(await emails(target), ['new@example.com']);
        const { stdout } = await old.cli(['restore', file, '--data', target, '--force', '--json']);
        assert.deepEqual(await emails(target), ['old@example.com']);
        assert.deepEqual(await emails(JSON.parse(stdout).kept), ['new@example.com']);
    });

    test('does not happen under a running server, nor does a server start under it', async () => {
        const target = await newTarget('used');
        const server = await startGenie({ secrets: 'none', dataDir: target });
        const { stderr } = await old.cli(['restore', file, '--data', target, '--force'], { expect: 1 });
        assert.match(stderr, /a server or another command uses/);
        await server.assertWell();
        await server.stop();
        const holder = spawn('flock', ['-x', join(target, '.lock'), 'sh', '-c', 'echo held; read x'], {
            stdio: ['pipe', 'pipe', 'inherit'],
        });
        await once(holder.stdout, 'data');
        const refused = await old.cli(['serve', '--data', target], { expect: 1 });
        assert.match(refused.stderr, /a restore is replacing/);
        holder.stdin.end();
        await once(holder, 'exit');
        await old.cli(['restore', file, '--data', target, '--force']);
    });

    test('killed in the midst leaves the old state usable, and no half in its place', async () => {
        const target = await newTarget('killed');
        const large = join(old.dataDir, 'files', 'large');
        const heavy = join(dir, 'heavy');
        writeFileSync(large, '');
        truncateSync(large, 2 ** 28);
        await old.cli(['backup', heavy]);
        unlinkSync(large);
        const child = start(old, ['restore', heavy, '--data', target, '--force']);
        assert.ok(await seen(child, () => beside(target).length > 0), 'it ended too soon to be killed');
        child.kill('SIGKILL');
        await child.exited;
        assert.deepEqual(await emails(target), ['new@example.com']);
        assert.ok(!existsSync(join(target, 'files')));
        const left = beside(target);
        assert.equal(left.length, 1);
        assert.match(left[0], /\.restoring-/);
        await old.cli(['restore', file, '--data', target, '--force']);
        assert.deepEqual(await emails(target), ['old@example.com']);
        assert.ok(beside(target).every((name) => name.includes('.before-')));
    });

    test('of a damaged or cut archive is refused before anything is done', async () => {
        const whole = readFileSync(file);
        const target = await newTarget('safe');
        const broken = join(dir, 'broken');
        const flipped = Buffer.from(whole);
        flipped[whole.length >> 1] ^= 1;
        for (const bytes of [flipped, whole.subarray(0, whole.length >> 1), whole.subarray(0, 10), Buffer.alloc(0)]) {
            writeFileSync(broken, bytes);
            const { stderr } = await old.cli(['restore', broken, '--data', target, '--force'], { expect: 1 });
            assert.match(stderr, /^genie: /);
            assert.deepEqual(await emails(target), ['new@example.com']);
            assert.deepEqual(beside(target), []);
        }
        await old.cli(['restore', join(dir, 'absent'), '--data', target, '--force'], { expect: 1 });
        const { stderr } = await old.cli(['restore', file, '--data', target, '--force', '--max-size', '10K'], {
            expect: 1,
        });
        assert.match(stderr, /--max-size/);
    });

    test('of a newer version is refused, of an older one is brought up to date at the next start', async () => {
        const newer = new Genie({ secrets: 'none' });
        newer.port = 0;
        await newer.cli(['migrate']);
        const database = join(newer.dataDir, 'genie.db');
        sqlite3(database, "INSERT INTO schema_version VALUES (9999, 'later', '2030-01-01T00:00:00.000Z')");
        const later = join(dir, 'later');
        await newer.cli(['backup', later]);
        const target = join(dir, 'too-new');
        const { stderr } = await old.cli(['restore', later, '--data', target], { expect: 1 });
        assert.match(stderr, /made by a newer version/);
        assert.ok(!existsSync(target));
        await newer.stop();

        const first = join(dir, 'first');
        mkdirSync(first);
        const schema = readFileSync(new URL('../../src/db/migrations/sqlite/0001_schema.sql', import.meta.url), 'utf8');
        execFileSync('sqlite3', [join(first, 'genie.db')], {
            input: `${schema};
                CREATE TABLE schema_version (version INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL);
                INSERT INTO schema_version VALUES (1, 'schema', '2026-01-01T00:00:00.000Z');`,
        });
        const early = join(dir, 'early');
        await old.cli(['backup', early, '--data', first]);
        await old.cli(['restore', early, '--data', join(dir, 'updated')]);
        await old.cli(['migrate', '--data', join(dir, 'updated')]);
        assert.ok(Number(sqlite3(join(dir, 'updated', 'genie.db'), 'SELECT max(version) FROM schema_version')) > 1);
    });
});

describe('with a PostgreSQL', () => {
    const url = 'postgres://somebody:hidden-password@192.0.2.1/genie';

    test('the command names pg_dump, and keeps files and secrets alone', async () => {
        const genie = new Genie({ store: 'sqlite' });
        genie.port = 0;
        mkdirSync(join(genie.dataDir, 'files'));
        writeFileSync(join(genie.dataDir, 'files', 'one'), 'one');
        const file = join(tempDir('genie-files-'), 'files-only');
        const { stderr } = await genie.cli(['backup', file], { env: { DATABASE_URL: url }, expect: 1 });
        assert.match(stderr, /pg_dump/);
        assert.doesNotMatch(stderr, /hidden-password/);
        const { stdout } = await genie.cli(['backup', file, '--files-only', '--json'], {
            env: { DATABASE_URL: url },
        });
        assert.equal(JSON.parse(stdout).files, 1);
        const target = join(dirname(file), 'back');
        await genie.cli(['restore', file, '--data', target], { env: { DATABASE_URL: url } });
        assert.deepEqual(readdirSync(target), ['files']);
        await genie.stop();
    });

    test('the commands of docs/backup.md bring everything back', { skip: !ON_POSTGRES }, async () => {
        const server = await startGenie();
        const user = await server.addUser();
        const note = await server.request('/api/directus/items/user_nodes', {
            method: 'POST',
            token: user.token,
            body: { node_type: 'note', title: 'kept' },
        });
        const cwd = tempDir('genie-pgdump-');
        const elsewhere = newDatabase(join(cwd, 'elsewhere'));
        const env = { ...process.env, DATABASE_URL: server.databaseUrl, NEW_DATABASE_URL: elsewhere };
        for (const program of ['pg_dump', 'pg_restore'])
            execFileSync('sh', ['-ec', commandOf('docs/backup.md', program)], { cwd, env, encoding: 'utf8' });
        const restored = new Genie({ database: elsewhere, dataDir: join(cwd, 'elsewhere') });
        Object.assign(restored.given, server.given);
        await restored.start();
        const answer = await restored.request('/api/directus/items/user_nodes?fields=id', { token: user.token });
        assert.deepEqual(answer.json.data, [{ id: note.json.data.id }]);
        await restored.stop();
        await server.stop();
    });
});
