// SPDX-License-Identifier: MIT
//
// Platform credentials: sealed as Node's own crypto seals them, both ways; shown to nobody but who may; noted
// whatever happens; never found in the clear; and rotated under traffic and power cuts.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createCipheriv, createDecipheriv, randomBytes, randomUUID } from 'node:crypto';
import { closeSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Genie, GENIE_BIN, ON_POSTGRES, startGenie } from '../support/genie.mjs';
import { invites, newEmail, register } from '../support/invites.mjs';
import { directusToken } from '../support/jwt.mjs';
import { eventually, quoted, sql } from '../support/talk.mjs';

const STORE = '/api/credentials/store';
const REVEAL = '/api/credentials/reveal';
const CREATE = '/api/credentials/create-profile';
const UPDATE = '/api/credentials/update-profile-creds';

const newKey = () => randomBytes(32).toString('base64');

/** What a Node server of this family writes. */
function seal(key, value, { keyId, id } = {}) {
    const iv = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', Buffer.from(key, 'base64'), iv);
    if (keyId) cipher.setAAD(Buffer.from(id));
    const text = Buffer.concat([cipher.update(JSON.stringify(value), 'utf8'), cipher.final()]);
    const parts = [iv, cipher.getAuthTag(), text].map((part) => part.toString('hex'));
    return [...(keyId ? ['v2', keyId] : ['v1']), ...parts].join(':');
}

const wrap = (bare) => JSON.stringify({ enc: bare });

/** What it reads. */
function unseal(key, stored, id) {
    const [version, ...parts] = JSON.parse(stored).enc.split(':');
    if (version === 'v2') parts.shift();
    const [iv, tag, text] = parts.map((part) => Buffer.from(part, 'hex'));
    const decipher = createDecipheriv('aes-256-gcm', Buffer.from(key, 'base64'), iv);
    if (version === 'v2') decipher.setAAD(Buffer.from(id));
    decipher.setAuthTag(tag);
    return Buffer.concat([decipher.update(text), decipher.final()]).toString('utf8');
}

function addConnection(server, user, stored, username = randomUUID()) {
    const id = randomUUID();
    sql(
        server,
        `INSERT INTO platform_connections (id, user_id, platform, platform_username, encrypted_credentials)
         VALUES (${quoted(id)}, ${quoted(user.id)}, 'x', ${quoted(username)}, ${stored ? quoted(stored) : 'NULL'})`,
    );
    return id;
}

const storedOf = (server, id) =>
    sql(server, `SELECT encrypted_credentials AS e FROM platform_connections WHERE id = ${quoted(id)}`)[0].e;

const setStored = (server, id, stored) =>
    sql(
        server,
        `UPDATE platform_connections SET encrypted_credentials = ${quoted(stored)} WHERE id = ${quoted(id)}`,
    );

const post = (server, path, token, body, headers = {}) =>
    server.request(path, { method: 'POST', token, body, headers });

const reveal = (server, token, id) => post(server, REVEAL, token, { creatorProfileId: id });

async function assertReveals(server, token, id, value) {
    const answer = await reveal(server, token, id);
    assert.deepEqual(answer.json, { success: true, creatorProfileId: id, credentials: value });
    assert.equal(answer.headers['cache-control'], 'no-store');
}

function assertError(answer, status, code) {
    assert.equal(answer.status, status, answer.text);
    assert.equal(answer.json.code, code);
    assert.equal(answer.json.success, false);
    assert.equal(answer.json.ok, false);
    assert.equal(answer.headers['cache-control'], 'no-store');
}

const audits = (server, where) =>
    sql(server, `SELECT * FROM credential_audits WHERE ${where} ORDER BY date_created`);

/** Each bit of a text changed, one after the other, is too much over HTTP; one bit of each part is enough. */
function flipped(bare) {
    return bare.split(':').map((part, i, parts) => {
        const last = part.at(-1);
        const other = last === '0' ? '1' : last === '1' ? '2' : '0';
        return [...parts.slice(0, i), part.slice(0, -1) + other, ...parts.slice(i + 1)].join(':');
    });
}

describe('credentials', () => {
    let server, anna, bert, admin, viewer, key, id;

    before(async () => {
        server = await startGenie();
        key = server.secrets.CREDENTIALS_ENC_KEY_B64;
        [anna, bert] = [await server.addUser(), await server.addUser()];
        admin = await server.addUser({ role: 'Administrator' });
        viewer = await server.addUser({ role: 'Viewer' });
        id = addConnection(server, anna, null, 'anna');
    });
    after(() => server.stop());

    const asService = (path, body, secret = server.secrets.RBAC_SYNC_WEBHOOK_SECRET) =>
        post(server, path, undefined, body, { 'X-RBAC-SYNC-SECRET': secret });

    test('what is stored is what Node reads', async () => {
        const value = { username: 'anna', password: 'pä"ss\\wörd\n', nested: { list: [1, null, true] } };
        const answer = await post(server, STORE, anna.token, { creatorProfileId: id, credentials: value });
        assert.equal(answer.status, 200, answer.text);
        const { credentials_updated_at: at, ...rest } = answer.json;
        assert.deepEqual(rest, { success: true, creatorProfileId: id, id, credentials_version: 'v1' });
        assert.ok(Math.abs(Date.now() - Date.parse(at)) < 60_000);
        assert.match(storedOf(server, id), /^\{"enc":"v1:[0-9a-f]{24}:[0-9a-f]{32}:(?:[0-9a-f]{2})+"\}$/);
        assert.equal(unseal(key, storedOf(server, id)), JSON.stringify(value));
        await assertReveals(server, anna.token, id, value);
    });

    test('what Node wrote is revealed, wrapped and bare', async () => {
        const value = { username: 'bert', password: 'é漢字🔑', empty: {}, n: 0.1 };
        for (const stored of [wrap(seal(key, value)), seal(key, value)]) {
            setStored(server, id, stored);
            await assertReveals(server, anna.token, id, value);
        }
        setStored(server, id, wrap(seal(key, value, { keyId: 'k1', id })));
        await assertReveals(server, anna.token, id, value);
    });

    test('whatever is wrong with it, the answer is the same', async () => {
        const value = { password: 'x' };
        const v1 = seal(key, value);
        const v2 = seal(key, value, { keyId: 'k1', id });
        const wrong = [
            ...flipped(v1).map(wrap),
            ...flipped(v2).map(wrap),
            wrap(seal(newKey(), value)),
            wrap(seal(key, value, { keyId: 'k1', id: randomUUID() })),
            wrap(seal(key, value, { keyId: 'k2', id })),
            wrap(v1.toUpperCase()),
            wrap(`${v1}0`),
            JSON.stringify(value),
            'null',
        ];
        const bodies = new Set();
        for (const stored of wrong) {
            setStored(server, id, stored);
            const answer = await reveal(server, anna.token, id);
            assertError(answer, 500, 'decrypt_failed');
            bodies.add(answer.text);
        }
        assert.equal(bodies.size, 1);
        assert.equal(
            audits(server, `record_id = ${quoted(id)} AND outcome = 'decrypt_failed'`).length,
            wrong.length,
        );
    });

    test('none stored is 404, and so is every record of somebody else', async () => {
        const mine = addConnection(server, anna, null);
        assertError(await reveal(server, anna.token, mine), 404, 'not_found');
        const full = addConnection(server, anna, wrap(seal(key, { a: 1 })));
        for (const record of [full, randomUUID()]) {
            assertError(await reveal(server, bert.token, record), 404, 'not_found');
            const body = { creatorProfileId: record, credentials: { b: 1 } };
            assertError(await post(server, STORE, bert.token, body), 404, 'not_found');
            assertError(
                await post(server, UPDATE, bert.token, { id: record, credentials: { b: 1 } }),
                404,
                'not_found',
            );
        }
        await assertReveals(server, anna.token, full, { a: 1 });
        const seen = audits(server, `record_id = ${quoted(full)} AND actor = ${quoted(bert.id)}`);
        assert.deepEqual(
            seen.map((row) => [row.user_id, row.action, row.outcome, row.ip]).sort(),
            [
                [anna.id, 'reveal', 'not_found', '127.0.0.1'],
                [anna.id, 'store', 'not_found', '127.0.0.1'],
                [anna.id, 'update', 'not_found', '127.0.0.1'],
            ],
        );
    });

    test('an administrator and the service may, with the right secret', async () => {
        const record = addConnection(server, anna, wrap(seal(key, { a: 1 })));
        await assertReveals(server, admin.token, record, { a: 1 });
        const body = { creatorProfileId: record, credentials: { a: 2 } };
        assert.equal((await asService(STORE, body)).status, 200);
        assert.deepEqual((await asService(REVEAL, body)).json.credentials, { a: 2 });
        for (const secret of ['', 'wrong', `${server.secrets.RBAC_SYNC_WEBHOOK_SECRET}x`])
            assertError(await asService(REVEAL, body, secret), 401, 'unauthorized');
        assertError(await post(server, REVEAL, undefined, body), 401, 'unauthorized');
        assertError(await asService(CREATE, { platform: 'x', credentials: { a: 1 } }), 401, 'unauthorized');
        assert.deepEqual(
            audits(server, `record_id = ${quoted(record)}`)
                .map((row) => `${row.actor} ${row.action} ${row.outcome}`)
                .sort(),
            [`${admin.id} reveal ok`, 'service reveal ok', 'service store ok'].sort(),
        );
    });

    test('a read-only account may neither store nor reveal, and is noted', async () => {
        const record = addConnection(server, viewer, wrap(seal(key, { a: 1 })));
        assertError(await reveal(server, viewer.token, record), 403, 'read_only');
        const body = { creatorProfileId: record, credentials: { a: 2 } };
        assertError(await post(server, STORE, viewer.token, body), 403, 'read_only');
        const rows = audits(server, `actor = ${quoted(viewer.id)}`);
        assert.deepEqual(rows.map((row) => `${row.action} ${row.outcome}`).sort(), [
            'reveal read_only',
            'store read_only',
        ]);
    });

    test('an impersonation token may not reveal, and both are noted', async () => {
        const record = addConnection(server, anna, wrap(seal(key, { a: 1 })));
        const jti = randomUUID();
        const end = new Date(Date.now() + 600_000).toISOString();
        sql(
            server,
            `INSERT INTO impersonations (id, user_id, impersonator_id, expires_at)
             VALUES (${quoted(jti)}, ${quoted(anna.id)}, ${quoted(admin.id)}, ${quoted(end)})`,
        );
        const token = directusToken(anna.id, server.secrets.DIRECTUS_SECRET, {
            impersonated_by: admin.id,
            jti,
        });
        const body = { creatorProfileId: record, credentials: { a: 2 } };
        assert.equal((await post(server, STORE, token, body)).status, 200);
        assertError(await reveal(server, token, record), 403, 'forbidden');
        await assertReveals(server, anna.token, record, { a: 2 });
        const actor = `${admin.id} as ${anna.id}`;
        assert.deepEqual(
            audits(server, `actor = ${quoted(actor)}`)
                .map((row) => `${row.action} ${row.outcome}`)
                .sort(),
            ['reveal forbidden', 'store ok'],
        );
    });

    test('what is noted says which request it was', async () => {
        const headers = { 'X-Request-Id': 'request-of-the-test' };
        await post(server, REVEAL, anna.token, { creatorProfileId: id }, headers);
        assert.equal(audits(server, "request_id = 'request-of-the-test'").length, 1);
        const mine = await server.request('/api/directus/items/credential_audits?limit=1', {
            token: anna.token,
        });
        assert.equal(mine.json.data[0].user_id, anna.id);
    });

    test('bodies are checked, and what is refused changes nothing', async () => {
        const record = addConnection(server, anna, wrap(seal(key, { a: 1 })));
        const big = { a: 'x'.repeat(16 * 1024) };
        const cases = [
            [STORE, {}, 'missing_field', 'creatorProfileId'],
            [STORE, { creatorProfileId: record }, 'missing_field', 'credentials'],
            [STORE, { creatorProfileId: 'x', credentials: { a: 1 } }, 'invalid_field', 'creatorProfileId'],
            ...[{}, [], 'text', 7, big].map((credentials) => [
                STORE,
                { creatorProfileId: record, credentials },
                'invalid_field',
                'credentials',
            ]),
            [REVEAL, {}, 'missing_field', 'creatorProfileId'],
            [CREATE, { credentials: { a: 1 } }, 'missing_field', 'platform'],
            [CREATE, { platform: 'myspace', credentials: { a: 1 } }, 'invalid_field', 'platform'],
            [CREATE, { platform: 'x', credentials: {} }, 'invalid_field', 'credentials'],
            [UPDATE, { credentials: { a: 1 } }, 'missing_field', 'id'],
            [UPDATE, { id: record, credentials: big }, 'invalid_field', 'credentials'],
        ];
        for (const [path, body, code, field] of cases) {
            const answer = await post(server, path, anna.token, body);
            assertError(answer, 400, code);
            assert.equal(answer.json.field, field);
            assert.ok(!answer.text.includes('xxxx'));
        }
        assertError(await post(server, STORE, anna.token, '{"credentials":'), 400, 'malformed_json');
        assertError(await post(server, STORE, anna.token, 'x'.repeat(200_000)), 413, 'body_too_large');
        await assertReveals(server, anna.token, record, { a: 1 });
        const edge = { a: 'ü'.repeat(8 * 1024 - 4) }; // 16 KiB with its quotes and braces
        assert.equal(Buffer.byteLength(JSON.stringify(edge)), 16 * 1024);
        const escaped = JSON.stringify({ creatorProfileId: record, credentials: edge }).replaceAll('ü', '\\u00fc');
        assert.equal((await post(server, STORE, anna.token, escaped)).status, 200);
        await assertReveals(server, anna.token, record, edge);
    });

    test('a profile is made once, and overwritten after', async () => {
        const body = { platform: 'onlyfans', platform_username: 'star', credentials: { n: 1 } };
        const made = await post(server, CREATE, anna.token, body);
        assert.equal(made.json.updated, false);
        const again = await post(server, CREATE, anna.token, { ...body, credentials: { n: 2 } });
        assert.deepEqual(again.json, { success: true, id: made.json.id, updated: true });
        await assertReveals(server, anna.token, made.json.id, { n: 2 });
        const others = await post(server, CREATE, bert.token, body);
        assert.notEqual(others.json.id, made.json.id);
        const nameless = await post(server, CREATE, anna.token, { ...body, platform_username: undefined });
        assert.notEqual(nameless.json.id, made.json.id);
        const blank = await post(server, CREATE, anna.token, { ...body, platform_username: '' });
        assert.deepEqual(blank.json, { success: true, id: nameless.json.id, updated: true });

        const renamed = { id: nameless.json.id, credentials: { n: 3 }, platform_username: 'star' };
        assertError(await post(server, UPDATE, anna.token, renamed), 409, 'conflict');
        const free = await post(server, UPDATE, anna.token, { ...renamed, platform_username: 'moon' });
        assert.equal(free.status, 200, free.text);
        await assertReveals(server, anna.token, nameless.json.id, { n: 3 });
    });

    test('many that make the same profile at once make one', async () => {
        const answers = await Promise.all(
            Array.from({ length: 16 }, (_, n) =>
                post(server, CREATE, anna.token, { platform: 'tiktok', credentials: { n } }),
            ),
        );
        assert.deepEqual([...new Set(answers.map((answer) => answer.status))], [200]);
        assert.equal(new Set(answers.map((answer) => answer.json.id)).size, 1);
        assert.equal(answers.filter((answer) => !answer.json.updated).length, 1);
    });
});

describe('a server of the grown store without a key', () => {
    test('serves everything else, and refuses credentials', { skip: !ON_POSTGRES }, async () => {
        const server = await startGenie({ env: { CREDENTIALS_ENC_KEY_B64: undefined } });
        const user = await server.addUser();
        const id = addConnection(server, user, null);
        assertError(
            await post(server, STORE, user.token, { creatorProfileId: id, credentials: { a: 1 } }),
            500,
            'server_misconfiguration',
        );
        assert.equal((await reveal(server, user.token, id)).json.error, 'Server misconfiguration');
        assert.equal(audits(server, "outcome = 'no_key'").length, 2);
        await server.stop();
    });
});

describe('settings of the keys', () => {
    test('a wrong one stops the start with a sentence', async () => {
        const cases = [
            [{ CREDENTIALS_ENC_KEY_B64: 'c2hvcnQ=' }, /CREDENTIALS_ENC_KEY_B64 must be 32 bytes/],
            [{ CREDENTIALS_OLD_KEYS: newKey() }, /CREDENTIALS_OLD_KEYS must be a comma list/],
            [{ CREDENTIALS_KEY_ID: 'a:b' }, /CREDENTIALS_KEY_ID must be/],
            [{ CREDENTIALS_FORMAT: 'v3' }, /CREDENTIALS_FORMAT must be one of v1\|v2/],
        ];
        for (const [env, sentence] of cases) {
            const server = new Genie({ env, store: 'sqlite' });
            server.port = 0;
            const { stderr } = await server.cli(['serve'], { expect: 1 });
            assert.match(stderr, sentence);
            await server.stop();
        }
    });
});

// ---- nothing in the clear

/** Where the needles stand in the memory of a process. */
function searchMemory(pid, needles) {
    const LARGEST = 1 << 30; // beyond it are only the sanitizers' shadows
    const fd = openSync(`/proc/${pid}/mem`, 'r');
    const found = [];
    const piece = Buffer.alloc(1 << 20);
    for (const line of readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')) {
        const match = /^([0-9a-f]+)-([0-9a-f]+) r\S+ \S+ \S+ \S+\s*(.*)$/.exec(line);
        if (!match || match[3] === '[vvar]' || match[3] === '[vsyscall]') continue;
        const [from, to] = [parseInt(match[1], 16), parseInt(match[2], 16)];
        if (to - from > LARGEST) continue;
        let carried = Buffer.alloc(0);
        for (let at = from; at < to; at += piece.length) {
            let n = 0;
            try {
                n = readSync(fd, piece, 0, Math.min(piece.length, to - at), at);
            } catch {
                break; // a guard page
            }
            const text = Buffer.concat([carried, piece.subarray(0, n)]);
            for (const needle of needles) if (text.includes(needle)) found.push(`${needle} in ${line}`);
            carried = Buffer.from(text.subarray(-64));
        }
    }
    closeSync(fd);
    return found;
}

/** Why the memory of another process can't be read here, or false. */
function memoryIsClosed() {
    const child = process.getuid() === 0;
    return child ? false : 'only root may read the memory of a process that forbids it';
}

/** Sends a request on a connection that stays open; resolves with the socket when an answer begins. */
function sendAndStay(port, text) {
    return new Promise((resolve, reject) => {
        const socket = createConnection({ port, host: '127.0.0.1' });
        socket.on('error', reject);
        socket.on('connect', () => socket.write(text));
        socket.once('data', (part) => {
            assert.match(part.toString(), /^HTTP\/1.1 200/);
            resolve(socket);
        });
    });
}

/** Sends a request in pieces, with a chunked body where wanted; resolves when the answer is whole. */
function sendRaw(port, pieces) {
    return new Promise((resolve, reject) => {
        const socket = createConnection({ port, host: '127.0.0.1' });
        let text = '';
        socket.setEncoding('utf8').on('data', (part) => {
            text += part;
        });
        socket.on('error', reject);
        socket.on('close', () => resolve(text));
        socket.on('connect', async () => {
            socket.setNoDelay(true);
            for (const piece of pieces) {
                socket.write(piece);
                await sleep(15);
            }
        });
    });
}

describe('nothing is kept in the clear', () => {
    test('neither in the log, nor in files, nor in memory', { skip: memoryIsClosed() }, async () => {
        const server = await startGenie();
        const user = await server.addUser();
        const id = addConnection(server, user, null);
        // freed memory loses its first bytes to the allocator, so what is looked for is the end of each word
        const words = Array.from({ length: 10 }, () => `a-word-of-the-test-${randomBytes(12).toString('hex')}`);
        const needles = words.map((word) => word.slice(-24));
        const [short, long, piecewise, chunked, refused, wrong, unknown, kept, made, open] = words;
        const auth = `Host: x\r\nConnection: close\r\nAuthorization: Bearer ${user.token}\r\n`;
        const bodyOf = (value) => JSON.stringify({ creatorProfileId: id, credentials: value });
        const store = (value) => post(server, STORE, user.token, bodyOf(value));

        assert.equal((await store({ password: short, [`key-${short}`]: [short, { deep: short }] })).status, 200);
        await assertReveals(server, user.token, id, {
            password: short,
            [`key-${short}`]: [short, { deep: short }],
        });
        assert.equal((await store({ password: long + 'y'.repeat(15_000), more: long })).status, 200);
        assert.equal((await reveal(server, user.token, id)).status, 200);

        const slow = bodyOf({ password: piecewise, pad: 'z'.repeat(9000), again: piecewise });
        const head = `POST ${STORE} HTTP/1.1\r\n${auth}Content-Length: ${Buffer.byteLength(slow)}\r\n\r\n`;
        assert.match(
            await sendRaw(server.port, [head + slow.slice(0, 70), slow.slice(70, 100), slow.slice(100)]),
            /^HTTP\/1.1 200/,
        );
        const parts = bodyOf({ password: chunked, pad: 'z'.repeat(3000) }).match(/[^]{1,400}/g);
        const chunks = parts.map((part) => `${Buffer.byteLength(part).toString(16)}\r\n${part}\r\n`);
        assert.match(
            await sendRaw(server.port, [
                `POST ${STORE} HTTP/1.1\r\n${auth}Transfer-Encoding: chunked\r\n\r\n`,
                ...chunks,
                '0\r\n\r\n',
            ]),
            /^HTTP\/1.1 200/,
        );
        assertError(await store({ password: refused, big: 'x'.repeat(20_000) }), 400, 'invalid_field');
        assertError(await post(server, STORE, user.token, `${bodyOf({ a: wrong })}}`), 400, 'malformed_json');
        assertError(await post(server, STORE, 'nobody', bodyOf({ a: unknown })), 401, 'unauthorized');
        assert.equal(
            (await post(server, CREATE, user.token, { platform: 'x', credentials: { a: made } })).status,
            200,
        );
        const openBody = bodyOf({ password: open });
        const openHead = `POST ${STORE} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${user.token}\r\n`;
        const socket = await sendAndStay(
            server.port,
            `${openHead}Content-Length: ${Buffer.byteLength(openBody)}\r\n\r\n${openBody}`,
        );
        assert.equal((await store({ last: kept })).status, 200);
        await assertReveals(server, user.token, id, { last: kept });

        assert.deepEqual(searchMemory(server.pid, needles), []);
        socket.destroy();
        // the search sees what is there: the log-in token's key is a setting that stays
        assert.notDeepEqual(searchMemory(server.pid, [server.secrets.DIRECTUS_SECRET]), []);

        for (const needle of needles) assert.ok(!server.logText.includes(needle), 'in the log');
        for (const name of readdirSync(server.dataDir)) {
            const path = join(server.dataDir, name);
            if (!statSync(path).isFile()) continue;
            const bytes = readFileSync(path);
            for (const needle of needles) assert.ok(!bytes.includes(needle), `in ${name}`);
        }
        await server.stop();
    });

    test('nor is the password of a log-in left in memory, nor an answer with tokens in a cache', { skip: memoryIsClosed() }, async () => {
        const server = await startGenie();
        const word = () => `a-word-of-the-test-${randomBytes(12).toString('hex')}`;
        const [right, wrong] = [word(), word()];
        const user = await server.addUser({ password: right });
        const auth = (path, body) => post(server, `/api/directus/auth/${path}`, undefined, body);
        const first = await auth('login', { email: user.email, password: right });
        const second = await auth('refresh', { refresh_token: first.json.data.refresh_token });
        const third = await auth('refresh', { refresh_token: second.json.data.refresh_token, mode: 'json' });
        for (const answer of [first, second, third]) {
            assert.equal(answer.status, 200, answer.text);
            assert.equal(answer.headers['cache-control'], 'no-store');
        }
        const refused = [
            await auth('login', { email: user.email, password: wrong }),
            await auth('refresh', { refresh_token: 'made-up' }),
            await auth('login', { email: user.email, password: right, mode: 'magic' }),
        ];
        for (const answer of refused) {
            assert.ok(answer.status >= 400, answer.text);
            assert.equal(answer.headers['cache-control'], 'no-store');
        }
        const out = await auth('logout', { refresh_token: third.json.data.refresh_token });
        assert.equal(out.status, 204);
        assert.equal((await auth('logout', { refresh_token: 'made-up' })).headers['cache-control'], 'no-store');
        const needles = [right, wrong].map((text) => text.slice(-24));
        assert.deepEqual(searchMemory(server.pid, needles), []);
        await server.stop();
    });

    test('nor is the password of a registration, whatever became of it', { skip: memoryIsClosed() }, async () => {
        const server = await startGenie();
        const word = () => `a-word-of-the-test-${randomBytes(12).toString('hex')}`;
        const [made, again, invalid, unknown] = [word(), word(), word(), word()];
        const [inviteCode, other] = await invites(server, 2);
        const headers = { 'Idempotency-Key': randomUUID() };
        const body = { email: newEmail(), password: made, inviteCode };
        const first = await register(server, body, { headers, from: '198.51.100.1' });
        assert.equal(first.status, 200, first.text);
        assert.equal(first.headers['cache-control'], 'no-store');
        const second = await register(server, body, { headers, from: '198.51.100.1' });
        assert.deepEqual([second.status, second.json], [200, first.json]);
        assert.equal(second.headers['idempotent-replayed'], 'true');
        const mismatch = { ...body, password: again };
        assert.equal((await register(server, mismatch, { headers, from: '198.51.100.1' })).status, 422);
        assert.equal((await register(server, { ...mismatch, inviteCode: other })).status, 409);
        assert.equal((await register(server, { password: invalid, inviteCode: 7 })).status, 400);
        assert.equal((await register(server, { password: unknown, inviteCode: 'nothing' })).status, 400);
        const needles = [made, again, invalid, unknown].map((text) => text.slice(-24));
        assert.deepEqual(searchMemory(server.pid, needles), []);
        await server.stop();
    });

    test('without the trail nothing is stored or revealed', async () => {
        const server = await startGenie();
        const user = await server.addUser();
        const stored = wrap(seal(server.secrets.CREDENTIALS_ENC_KEY_B64, { password: 'before' }));
        const id = addConnection(server, user, stored);
        sql(server, 'ALTER TABLE credential_audits RENAME TO hidden_audits');
        for (const answer of [
            await reveal(server, user.token, id),
            await post(server, STORE, user.token, { creatorProfileId: id, credentials: { password: 'x' } }),
            await post(server, CREATE, user.token, { platform: 'reddit', credentials: { password: 'x' } }),
        ]) {
            assertError(answer, 503, 'store_unavailable');
            assert.ok(!answer.text.includes('before'));
        }
        assert.equal(storedOf(server, id), stored);
        assert.equal(sql(server, 'SELECT id FROM platform_connections').length, 1);
        sql(server, 'ALTER TABLE hidden_audits RENAME TO credential_audits');
        await assertReveals(server, user.token, id, { password: 'before' });
        await server.stop();
    });
});

// ---- rotation

const MANY = 2000;

/** Adds rows sealed by Node: the n-th holds {n}. Their ids. */
function addMany(server, user, key) {
    const ids = Array.from({ length: MANY }, () => randomUUID());
    const values = ids.map(
        (id, n) => `('${id}', '${user.id}', 'x', 'u${n}', ${quoted(wrap(seal(key, { n })))}, 'v1')`,
    );
    for (let at = 0; at < MANY; at += 250)
        sql(
            server,
            `INSERT INTO platform_connections (id, user_id, platform, platform_username, encrypted_credentials,
             credentials_version) VALUES ${values.slice(at, at + 250).join(',')}`,
        );
    return ids;
}

const countOf = (server, form) =>
    Number(
        sql(
            server,
            `SELECT count(*) AS n FROM platform_connections WHERE encrypted_credentials LIKE '{"enc":"${form}:%'`,
        )[0].n,
    );

/** Begins a rotation and kills it as soon as it has done something. */
async function rotateAndCut(server) {
    const before = countOf(server, 'v2:new');
    const child = server.begin(['credentials', 'rotate']);
    let ended = false;
    void child.exited.then(() => {
        ended = true;
    });
    await eventually(() => ended || countOf(server, 'v2:new') > before, 'a rotated row');
    child.kill('SIGKILL');
    await child.exited;
}

/** Stores and reveals on every second row until told to stop; every call must succeed. */
function traffic(server, user, ids, which, expected) {
    const state = { stop: false, calls: 0 };
    state.done = (async () => {
        for (let i = 0; !state.stop; i++) {
            const id = ids[((i * 7) % (MANY / 2)) * 2 + which];
            if (i % 3 === 0) {
                expected.set(id, { by: which, i });
                const body = { creatorProfileId: id, credentials: expected.get(id) };
                const answer = await post(server, STORE, user.token, body);
                assert.equal(answer.status, 200, answer.text);
            }
            await assertReveals(server, user.token, id, expected.get(id));
            state.calls++;
        }
    })();
    return state;
}

describe('rotation', () => {
    test('goes on after power cuts, beside two servers with different keys that are at work', async () => {
        const [oldKey, key] = [newKey(), newKey()];
        const one = await startGenie({
            env: {
                CREDENTIALS_ENC_KEY_B64: oldKey,
                CREDENTIALS_KEY_ID: 'old',
                CREDENTIALS_OLD_KEYS: `new=${key}`,
            },
        });
        const two = await startGenie({
            dataDir: one.dataDir,
            database: one.databaseUrl,
            env: {
                DIRECTUS_SECRET: one.secrets.DIRECTUS_SECRET,
                JWT_SECRET: one.secrets.JWT_SECRET,
                CREDENTIALS_ENC_KEY_B64: key,
                CREDENTIALS_KEY_ID: 'new',
                CREDENTIALS_OLD_KEYS: `old=${oldKey}`,
                CREDENTIALS_FORMAT: 'v2',
            },
        });
        const user = await one.addUser();
        const ids = addMany(one, user, oldKey);
        const expected = new Map(ids.map((id, n) => [id, { n }]));

        const work = [one, two].map((server, which) => traffic(server, user, ids, which, expected));
        for (let cut = 0; cut < 3; cut++) await rotateAndCut(two);
        await eventually(() => work.every((part) => part.calls > 20), 'traffic');
        for (const part of work) part.stop = true;
        await Promise.all(work.map((part) => part.done));
        assert.ok(countOf(one, 'v2:new') > 0);

        const sum = JSON.parse((await two.cli(['credentials', 'rotate', '--json'])).stdout);
        assert.deepEqual([sum.rows, sum.current + sum.rotated, sum.failed, sum.behind], [MANY, MANY, 0, 0]);
        assert.equal(countOf(one, 'v2:new'), MANY);
        const rows = sql(one, 'SELECT id, encrypted_credentials AS e FROM platform_connections');
        for (const { id, e } of rows) assert.deepEqual(JSON.parse(unseal(key, e, id)), expected.get(id));
        const trail = `SELECT count(DISTINCT record_id) AS n FROM credential_audits WHERE outcome = 'ok' AND
                       (action = 'rotate' OR action = 'store')`;
        assert.equal(Number(sql(one, trail)[0].n), MANY);
        await assertReveals(one, user.token, ids[0], expected.get(ids[0]));

        await two.restart({ env: { CREDENTIALS_OLD_KEYS: undefined } }); // nothing needs the old key any more
        await assertReveals(two, user.token, ids[0], expected.get(ids[0]));
        await two.stop();
        await one.stop();
    });

    test('what cannot be decrypted is told, kept, and the exit is 1', async () => {
        const server = await startGenie({ env: { CREDENTIALS_FORMAT: 'v2' } });
        const user = await server.addUser();
        const key = server.secrets.CREDENTIALS_ENC_KEY_B64;
        const lost = wrap(seal(newKey(), { a: 1 }));
        const broken = addConnection(server, user, lost);
        const good = addConnection(server, user, seal(key, { a: 2 }));
        const shown = await server.cli(['credentials', 'status', '--json'], { expect: 1 });
        assert.deepEqual(
            JSON.parse(shown.stdout).map((row) => [row.format, row.key, row.current, row.rows]).sort(),
            [
                ['unreadable', null, false, 1],
                ['v1 bare', 'k1', false, 1],
            ],
        );
        assert.match(shown.stderr, new RegExp(broken));
        const { stdout, stderr } = await server.cli(['credentials', 'rotate'], { expect: 1 });
        assert.match(stdout, /^2 rows: 1 rotated, 0 were current, 1 can't be decrypted/);
        assert.match(stderr, /1 rows can't be decrypted/);
        assert.ok(!stderr.includes('\r'), 'a progress bar without a terminal');
        assert.equal(storedOf(server, broken), lost);
        assert.deepEqual(JSON.parse(unseal(key, storedOf(server, good), good)), { a: 2 });
        assert.equal(audits(server, `record_id = ${quoted(broken)}`)[0].outcome, 'decrypt_failed');
        await assertReveals(server, user.token, good, { a: 2 });
        await server.stop();
    });

    test('on a terminal it shows how far it is', async () => {
        const server = await startGenie();
        const user = await server.addUser();
        addConnection(server, user, seal(server.secrets.CREDENTIALS_ENC_KEY_B64, { a: 1 }));
        const terminal = 'import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)';
        const shown = execFileSync('python3', ['-c', terminal, GENIE_BIN, 'credentials', 'rotate'], {
            encoding: 'utf8',
            env: { ...server.env, LOG_LEVEL: 'warn' },
            stdio: ['ignore', 'pipe', 'inherit'],
        });
        assert.match(shown, /rotating \[#{40}\] 100 %/);
        assert.match(shown, /1 rows: 1 rotated/);
        await server.stop();
    });

    test('words that it does not know are told', async () => {
        const server = new Genie({ store: 'sqlite' });
        for (const args of [['credentials'], ['credentials', 'x'], ['credentials', 'rotate', '--fast']])
            await server.cli(args, { expect: 2 });
        await server.stop();
    });
});
