// SPDX-License-Identifier: MIT
//
// genie doctor: what it finds in a sound installation, in one with each kind of trouble, and that it ends,
// changes nothing and tells no secret.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { tempDir } from '../support/dirs.mjs';
import { Genie, GENIE_BIN, ON_POSTGRES, startGenie } from '../support/genie.mjs';
import { Listener } from '../support/listener.mjs';
import { startModel } from '../support/model.mjs';
import { freePort } from '../support/ports.mjs';

const LIMIT_MS = 60_000;

/** Runs doctor in a directory of its own: {code, rows: {name: {verdict, found, mend}}, text}. */
async function doctor(genie, env = {}, cwd = tempDir('genie-doctor-')) {
    const child = spawn(GENIE_BIN, ['doctor', '--json'], {
        cwd,
        env: Object.fromEntries(
            Object.entries({ ...genie.env, ...env }).filter(([, value]) => value !== undefined),
        ),
        stdio: ['ignore', 'pipe', 'pipe'],
        timeout: LIMIT_MS,
        killSignal: 'SIGKILL',
    });
    let text = '';
    for (const stream of ['stdout', 'stderr'])
        child[stream].setEncoding('utf8').on('data', (part) => {
            text += part;
        });
    const [code, signal] = await once(child, 'close');
    assert.notEqual(code, null, `doctor ended by ${signal} (SIGKILL: not in ${LIMIT_MS} ms)\n${text}`);
    const rows = JSON.parse(text);
    for (const row of rows) {
        assert.deepEqual(Object.keys(row), ['name', 'verdict', 'found', 'mend']);
        if (row.verdict !== 'ok') assert.ok(row.mend || row.found, row.name);
    }
    assert.equal(code, rows.some((row) => row.verdict === 'fail') ? 1 : 0);
    return { code, text, rows: Object.fromEntries(rows.map((row) => [row.name, row])) };
}

/** A directory of programs that print what they are told to. */
function programs(outputs) {
    const dir = tempDir('genie-programs-');
    for (const [name, body] of Object.entries(outputs)) {
        writeFileSync(join(dir, name), `#!/bin/sh\n${body}\n`);
        chmodSync(join(dir, name), 0o755);
    }
    return dir;
}

describe('genie doctor', () => {
    let genie;
    before(async () => {
        genie = new Genie();
        genie.port = await freePort();
        await genie.cli(['migrate']);
    });
    after(async () => await genie.stop());

    const stateOf = (dir) =>
        readdirSync(dir).map((name) => [name, statSync(join(dir, name)).mtimeMs, statSync(join(dir, name)).size]);

    test('finds nothing wrong with a sound installation, and changes nothing', async () => {
        const state = stateOf(genie.dataDir);
        const { code, rows } = await doctor(genie);
        assert.equal(code, 0, JSON.stringify(rows, null, 1));
        for (const name of ['settings', 'secrets', 'exposure', 'data directory', 'free space', 'memory', 'port'])
            assert.equal(rows[name].verdict, 'ok', `${name}: ${rows[name].found}`);
        if (ON_POSTGRES)
            for (const name of ['postgres', 'postgres settings', 'postgres connections', 'postgres listen'])
                assert.equal(rows[name].verdict, 'ok', `${name}: ${rows[name].found}`);
        else assert.match(rows.database.found, /genie\.db is sound, with schema \d+/);
        assert.equal('database' in rows, !ON_POSTGRES);
        assert.equal('postgres' in rows, ON_POSTGRES);
        assert.deepEqual(stateOf(genie.dataDir), state);
    });

    test('before the first start there is nothing, and nothing comes of looking', async () => {
        const dir = join(tempDir('genie-none-'), 'data');
        const { code, rows } = await doctor(genie, { GENIE_DATA_DIR: dir, DATABASE_URL: undefined });
        assert.equal(code, 0);
        assert.match(rows['data directory'].found, /comes at the first start/);
        assert.match(rows.database.found, /comes at the first start/);
        assert.throws(() => statSync(dir));
    });

    test('speaks to people too, and refuses what it does not know', async () => {
        const { stdout } = await genie.cli(['doctor'], { expect: null });
        assert.match(stdout, /^ {2}ok {2}settings {14}every setting/m);
        await genie.cli(['doctor', '--nonsense'], { expect: 2 });
    });

    test('names the setting that is wrong', async () => {
        const { code, rows } = await doctor(genie, { SERVER_PORT: '70000' });
        assert.equal(code, 1);
        assert.match(rows.settings.found, /^SERVER_PORT must be/);
        assert.ok(rows.memory, 'what needs no settings is looked at all the same');
    });

    test('looks into genie.env: unknown names, and secrets that others may read', async () => {
        const cwd = tempDir('genie-env-');
        const file = join(cwd, 'genie.env');
        writeFileSync(file, '# a comment\nSERVER_PORTS=3001\nexport LOG_LEVEL=warn\n');
        const unknown = (await doctor(genie, {}, cwd)).rows['genie.env'];
        assert.equal(unknown.verdict, 'warn');
        assert.match(unknown.found, /: SERVER_PORTS$/);
        writeFileSync(file, 'METRICS_TOKEN=do-not-print-me\n');
        chmodSync(file, 0o644);
        const open = await doctor(genie, {}, cwd);
        assert.equal(open.rows['genie.env'].verdict, 'fail');
        assert.match(open.rows['genie.env'].mend, /chmod 600/);
        assert.doesNotMatch(open.text, /do-not-print-me/);
        chmodSync(file, 0o600);
        assert.equal((await doctor(genie, {}, cwd)).rows['genie.env'].verdict, 'ok');
    });

    test('warns of addresses that are open, short secrets and files that others may read', async () => {
        const { rows } = await doctor(genie, { BIND_ADDRESS: '0.0.0.0', JWT_SECRET: 'short-secret' });
        assert.equal(rows.exposure.verdict, 'warn');
        assert.equal(rows.secrets.verdict, 'warn');
        assert.doesNotMatch(JSON.stringify(rows), /short-secret/);
        const proxied = await doctor(genie, { BIND_ADDRESS: '0.0.0.0', TRUSTED_PROXIES: '10.0.0.7' });
        assert.equal(proxied.rows.exposure.verdict, 'ok');
        const file = join(genie.dataDir, 'secrets.env');
        chmodSync(file, 0o644);
        assert.equal((await doctor(genie)).rows.secrets.verdict, 'fail');
        chmodSync(file, 0o600);
    });

    test('tells our server on the port from a stranger', async () => {
        const server = await startGenie();
        const ours = await doctor(server);
        assert.equal(ours.rows.port.verdict, 'ok');
        assert.match(ours.rows.port.found, /a server answers/);
        await server.stop();
        const stranger = createServer().listen(genie.port, '127.0.0.1');
        await once(stranger, 'listening');
        const taken = (await doctor(genie).finally(() => stranger.close())).rows.port;
        assert.equal(taken.verdict, 'fail');
        assert.match(taken.found, /another program/);
    });

    test('sees a database that is damaged, newer, or no database', async () => {
        const dir = tempDir('genie-bad-');
        const env = { GENIE_DATA_DIR: dir, DATABASE_URL: undefined };
        const database = join(dir, 'genie.db');
        writeFileSync(database, 'no database at all, but long enough to be looked at. '.repeat(50));
        assert.equal((await doctor(genie, env)).rows.database.verdict, 'fail');
        writeFileSync(database, '');
        await genie.cli(['migrate'], { env: { DATABASE_URL: '', GENIE_DATA_DIR: dir } });
        execFileSync('sqlite3', [database, "INSERT INTO schema_version VALUES (9999, 'x', 'x')"]);
        const newer = (await doctor(genie, env)).rows.database;
        assert.equal(newer.verdict, 'fail');
        assert.match(newer.mend, /update the program/);
        execFileSync('sqlite3', [database, 'DELETE FROM schema_version WHERE version = 9999']);
        const bytes = Buffer.alloc(8192, 0x55);
        execFileSync('dd', [`of=${database}`, 'bs=4096', 'seek=20', 'conv=notrunc', 'status=none'], { input: bytes });
        const damaged = (await doctor(genie, env)).rows.database;
        assert.equal(damaged.verdict, 'fail');
        assert.match(damaged.mend, /genie restore/);
    });

    test('asks the model server for its models', async () => {
        const model = await startModel({ formats: ['ollama'] });
        const env = { LLM_PROVIDER: 'ollama', OLLAMA_URL: model.url, EMBEDDING_PROVIDER: 'ollama' };
        const good = (await doctor(genie, env)).rows;
        assert.equal(good.model.verdict, 'ok', good.model.found);
        assert.equal(good.embedder.verdict, 'ok', good.embedder.found);
        const lacking = (await doctor(genie, { ...env, OLLAMA_MODEL: 'absent:7b' })).rows.model;
        assert.equal(lacking.verdict, 'fail');
        assert.match(lacking.found, /lacks absent:7b/);
        const writer = (await doctor(genie, { ...env, WRITER_MODEL: 'absent:7b' })).rows.model;
        assert.equal(writer.verdict, 'warn');
        await model.stop();
        assert.equal((await doctor(genie, env)).rows.model.verdict, 'fail');
        assert.equal((await doctor(genie, { ...env, LLM_FALLBACK: 'extractive' })).rows.model.verdict, 'warn');
        assert.equal((await doctor(genie, { OLLAMA_URL: model.url, LLM_PROVIDER: undefined })).rows.model.verdict, 'ok');
    });

    test('sends keys to where they belong, and never prints them', async () => {
        const seen = [];
        const listener = new Listener((request, response) => {
            seen.push([request.url, request.headers.authorization, request.headers['x-api-key']]);
            response.writeHead(request.url === '/v1/models' && request.headers['x-api-key'] ? 401 : 200);
            response.end(JSON.stringify({ data: [{ id: 'my-model' }] }));
        });
        await listener.start();
        const { rows, text } = await doctor(genie, {
            LLM_PROVIDER: 'openai',
            LLM_BASE_URL: `${listener.url}/openai/v1`,
            LLM_MODEL: 'my-model',
            LLM_API_KEY: 'key-of-the-model',
            ANTHROPIC_API_KEY: 'key-of-anthropic',
            ANTHROPIC_BASE_URL: listener.url,
            STAGEHAND_URL: listener.url,
        });
        await listener.stop();
        assert.equal(rows.model.verdict, 'ok', rows.model.found);
        assert.equal(rows.anthropic.verdict, 'warn');
        assert.equal(rows.stagehand.verdict, 'ok');
        assert.doesNotMatch(text, /key-of-/);
        assert.ok(seen.some(([url, key]) => url === '/openai/v1/models' && key === 'Bearer key-of-the-model'));
        assert.ok(seen.some(([url, , key]) => url === '/v1/models' && key === 'key-of-anthropic'));
    });

    test('ends although a service and a program never answer', async () => {
        const silent = createServer().listen(0, '127.0.0.1');
        await once(silent, 'listening');
        const url = `http://127.0.0.1:${silent.address().port}`;
        const path = programs({ ffmpeg: 'sleep 600', 'yt-dlp': 'sleep 600 & wait' });
        const { rows } = await doctor(genie, {
            LLM_PROVIDER: 'ollama',
            OLLAMA_URL: url,
            STAGEHAND_URL: url,
            PATH: `${path}:${process.env.PATH}`,
        });
        silent.close();
        assert.equal(rows.model.verdict, 'fail');
        assert.equal(rows.stagehand.verdict, 'fail');
        assert.match(rows.ffmpeg.found, /doesn't answer/);
        assert.match(rows['yt-dlp'].found, /doesn't answer/);
    });

    test('knows the media programs by their versions, and an old yt-dlp', async () => {
        const today = new Date().toISOString().slice(0, 10).replaceAll('-', '.');
        const all = {
            ffmpeg: 'echo ffmpeg version 5.1.6',
            ffprobe: 'echo ffprobe version 5.1.6',
            convert: 'echo Version: ImageMagick 6.9.11',
            exiftool: 'echo 12.57',
            'yt-dlp': 'echo 2023.03.04',
        };
        const { rows } = await doctor(genie, { PATH: programs(all) });
        for (const name of ['ffmpeg', 'ffprobe', 'convert', 'exiftool'])
            assert.equal(rows[name].verdict, 'ok', rows[name].found);
        assert.equal(rows['yt-dlp'].verdict, 'warn');
        assert.match(rows['yt-dlp'].found, /2023\.03\.04 is \d{3,} days old/);
        const fresh = await doctor(genie, { PATH: programs({ 'yt-dlp': `echo ${today}` }) });
        assert.equal(fresh.rows['yt-dlp'].verdict, 'ok');
        assert.match(fresh.rows.ffmpeg.found, /isn't installed/);
        assert.match(fresh.rows.ffmpeg.mend, /apt-get install ffmpeg/);
    });

    test('says why a PostgreSQL cannot be used, without its password', async () => {
        const port = await freePort();
        const { code, rows, text } = await doctor(genie, {
            DATABASE_URL: `postgres://somebody:hidden-password@127.0.0.1:${port}/genie`,
        });
        assert.equal(code, 1);
        assert.equal(rows.postgres.verdict, 'fail');
        assert.match(rows.postgres.found, /refused/);
        assert.equal('postgres clock' in rows, false);
        assert.doesNotMatch(text, /hidden-password/);
    });

    test('counts the connections that PostgreSQL allows', { skip: !ON_POSTGRES }, async () => {
        const { rows } = await doctor(genie, { DATABASE_CONNECTIONS: '500' });
        assert.equal(rows['postgres connections'].verdict, 'warn');
    });

    test('asks Directus whether it knows our tables', { skip: !ON_POSTGRES }, async () => {
        const managed = new Genie({ dataDir: join(tempDir('genie-managed-'), 'data') });
        mkdirSync(managed.dataDir);
        managed.port = await freePort();
        await managed.cli(['migrate']);
        execFileSync('psql', ['-Xqc', 'CREATE TABLE directus_collections (collection text PRIMARY KEY)', managed.databaseUrl]);
        const { rows } = await doctor(managed);
        assert.equal(rows['directus collections'].verdict, 'warn');
        assert.match(rows['directus collections'].mend, /genie migrate/);
    });

    const settings = readFileSync(new URL('../../docs/settings.md', import.meta.url), 'utf8');
    const unknown = !ON_POSTGRES || !settings.includes('`DIRECTUS_URL`');

    test('asks Directus whether it answers', { skip: unknown }, async () => {
        let body = 'pong';
        const listener = new Listener((request, response) => {
            response.writeHead(request.url === '/server/ping' ? 200 : 404).end(body);
        });
        await listener.start();
        const env = { DIRECTUS_URL: listener.url };
        assert.equal((await doctor(genie, env)).rows.directus.verdict, 'ok');
        body = '<html>another program</html>';
        assert.match((await doctor(genie, env)).rows.directus.found, /isn't Directus/);
        await listener.stop();
        assert.equal((await doctor(genie, env)).rows.directus.verdict, 'fail');
    });
});
