// SPDX-License-Identifier: MIT
//
// Files, as Directus's own SDK and a browser meet them: upload, lists, changes, bytes by ranges; whose they are;
// and that bytes and rows are never apart, whatever happens.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, describe, test } from 'node:test';
import {
    createDirectus,
    deleteFile,
    deleteFiles,
    readAssetArrayBuffer,
    readAssetBlob,
    readFile,
    readFiles,
    readItems,
    rest,
    serverHealth,
    serverPing,
    staticToken,
    updateFile,
    updateFiles,
    uploadFiles,
    withSearch,
} from '@directus/sdk';
import { form, gif, pathOf, png, storedFiles, upload } from '../support/form.mjs';
import { ON_POSTGRES, startGenie } from '../support/genie.mjs';
import { request } from '../support/http.mjs';
import { open } from '../support/raw.mjs';
import { sql } from '../support/talk.mjs';

const MIB = 1 << 20;

/** What the SDK throws: asserts the code of Directus. */
async function refused(promise, code) {
    const error = await promise.then(
        () => assert.fail(`not refused with ${code}`),
        (reason) => reason,
    );
    assert.equal(error.errors?.[0]?.extensions?.code, code, JSON.stringify(error.errors ?? error));
}

async function refusedAny(promise) {
    const answer = await promise.then(
        (value) => ({ value }),
        (reason) => reason,
    );
    assert.ok([400, 403].includes(answer.response?.status), JSON.stringify(answer));
}

const codeOf = ({ json }) => json?.errors?.[0]?.extensions?.code;
const assertCode = (answer, status, code) =>
    assert.deepEqual([answer.status, codeOf(answer)], [status, code], answer.text.slice(0, 300));

async function until(look, what) {
    const deadline = performance.now() + 60_000;
    while (!look()) {
        if (performance.now() > deadline) assert.fail(`never: ${what}`);
        await sleep(20);
    }
}

const residentKib = (pid) =>
    Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);

describe('files', () => {
    let server, anna, bert, viewer, admin;
    const as = (person) => createDirectus(`${server.url}/api/directus`).with(rest()).with(staticToken(person.token));
    const asset = (person, id, headers = {}, query = '') =>
        server.request(`/api/directus/assets/${id}${query}`, { token: person.token, headers });
    const idOf = async (person, file, about) => {
        const answer = await upload(server, person, file, about);
        assert.equal(answer.status, 200, answer.text);
        return answer.json.data.id;
    };

    before(async () => {
        server = await startGenie({ env: { MAX_STORAGE_MB_PER_USER: '4', REQUEST_TIMEOUT_S: '20' } });
        anna = await server.addUser();
        bert = await server.addUser();
        viewer = await server.addUser({ role: 'Viewer' });
        admin = await server.addUser({ role: 'Administrator' });
    });
    after(async () => {
        await server.stop();
    });

    describe('through the SDK', () => {
        test('upload, read, list, change, download, delete', async () => {
            const data = new FormData();
            data.append('title', 'On the beach');
            data.append('tags', '["summer","sea"]');
            data.append('file', new Blob([png(640, 480)], { type: 'text/html' }), 'beach.png');
            const made = await as(anna).request(uploadFiles(data));
            assert.equal(made.title, 'On the beach');
            assert.deepEqual(made.tags, ['summer', 'sea']);
            assert.deepEqual([made.type, made.width, made.height], ['image/png', 640, 480]);
            assert.deepEqual([made.filename_download, made.filesize], ['beach.png', 33]);
            assert.equal(made.uploaded_by, anna.id);

            assert.deepEqual(await as(anna).request(readFile(made.id)), made);
            const [listed, ...none] = await as(anna).request(
                readFiles({ filter: { title: { _contains: 'beach' } }, fields: ['id', 'type'], sort: ['-title'] }),
            );
            assert.deepEqual([listed, none], [{ id: made.id, type: 'image/png' }, []]);
            const changed = await as(anna).request(updateFile(made.id, { title: 'At sea', tags: ['sea'] }));
            assert.deepEqual([changed.title, changed.tags], ['At sea', ['sea']]);
            const both = await as(anna).request(updateFiles([made.id], { title: 'Both' }, { fields: ['title'] }));
            assert.deepEqual(both, [{ title: 'Both' }]);

            const blob = await as(anna).request(readAssetBlob(made.id));
            assert.equal(blob.size, 33);
            assert.deepEqual(Buffer.from(await as(anna).request(readAssetArrayBuffer(made.id))), png(640, 480));
            await as(anna).request(deleteFile(made.id));
            await refused(as(anna).request(readFile(made.id)), 'FORBIDDEN');
            assert.ok(!storedFiles(server).includes(made.id));
        });

        test('several are deleted, all or none', async () => {
            const mine = [await idOf(anna, gif()), await idOf(anna, gif())];
            const theirs = await idOf(bert, gif());
            await refused(as(anna).request(deleteFiles([...mine, theirs])), 'FORBIDDEN');
            for (const id of mine) assert.ok(storedFiles(server).includes(id));
            await as(anna).request(deleteFiles(mine));
            for (const id of mine) assert.ok(!storedFiles(server).includes(id));
            assert.ok(storedFiles(server).includes(theirs));
        });

        test('the query that goes with an upload', async () => {
            const { json } = await upload(server, anna, gif(), { query: '?fields=type,width' });
            assert.deepEqual(json, { data: { type: 'image/gif', width: 5 } });
        });

        test('a query that is too long for an address comes as a body', async () => {
            const ids = [await idOf(anna, gif(), { name: 'a.gif' }), await idOf(anna, gif(), { name: 'b.gif' })];
            const theirs = await idOf(bert, gif());
            const strangers = Array.from({ length: 90 }, () => randomUUID());
            const query = {
                filter: { id: { _in: [...ids, theirs, ...strangers] } },
                fields: ['id', 'title'],
                sort: ['-title'],
                limit: 10,
            };
            assert.deepEqual(await as(anna).request(withSearch(readFiles(query))), [
                { id: ids[1], title: 'b' },
                { id: ids[0], title: 'a' },
            ]);
            const none = { filter: { title: { _eq: 'x' } } };
            assert.deepEqual(await as(anna).request(withSearch(readItems('user_nodes', none))), []);
            for (const wrong of [{ filter: 'x' }, { limit: 1.5 }, { deep: {} }, { fields: ['token'] }])
                await refusedAny(as(anna).request(withSearch(readItems('user_nodes', wrong))));
            const items = { method: 'SEARCH', token: anna.token, body: { query: {} } };
            const answer = await request(`${server.url}/api/directus/items/directus_files`, items);
            assertCode(answer, 403, 'FORBIDDEN');
            const nobody = await request(`${server.url}/api/directus/files`, { ...items, token: undefined });
            assertCode(nobody, 403, 'FORBIDDEN');
        });

        test('ping and health', async () => {
            const nobody = createDirectus(`${server.url}/api/directus`).with(rest());
            assert.equal(await nobody.request(serverPing()), 'pong');
            assert.equal((await nobody.request(serverHealth())).status, 'ok');
        });
    });

    describe('what a form may hold', () => {
        test('a title by default, tags with commas, fields behind the file', async () => {
            const { json } = await upload(server, anna, gif(), { name: '../../etc/sunny day.tar.gz' });
            assert.equal(json.data.title, 'sunny day.tar');
            assert.equal(json.data.filename_download, 'sunny day.tar.gz');
            const { body, headers } = form([['tags', 'a, b']], gif());
            const { json: tagged } = await server.request('/api/directus/files', {
                method: 'POST',
                token: anna.token,
                headers,
                body,
            });
            assert.deepEqual(tagged.data.tags, ['a', 'b']);
        });

        test('every field that a user may not set refuses the whole', async () => {
            const before = storedFiles(server);
            const fields = ['id', 'storage', 'filename_disk', 'filename_download', 'type', 'folder', 'uploaded_on'];
            fields.push('created_on', 'modified_by', 'modified_on', 'charset', 'filesize', 'width', 'height');
            fields.push('duration', 'embed', 'description', 'location', 'metadata', 'focal_point_x', 'nonsense');
            for (const name of fields)
                assertCode(await upload(server, anna, gif(), { fields: [[name, '1']] }), 403, 'FORBIDDEN');
            const bad = [['uploaded_by', bert.id]];
            assertCode(await upload(server, anna, gif(), { fields: bad }), 403, 'FORBIDDEN');
            assertCode(await upload(server, anna, gif(), { fields: [['tags', '[1]']] }), 400, 'FAILED_VALIDATION');
            assertCode(await upload(server, anna, gif(), { fields: [['tags', '[']] }), 400, 'INVALID_PAYLOAD');
            const twice = [['title', 'a'], ['title', 'b']];
            assertCode(await upload(server, anna, gif(), { fields: twice }), 400, 'INVALID_PAYLOAD');
            assertCode(await upload(server, anna, undefined, { fields: [['title', 'a']] }), 400, 'INVALID_PAYLOAD');
            assert.deepEqual(storedFiles(server), before);
        });

        test('every field that a user may not change refuses the whole', async () => {
            const id = await idOf(anna, gif());
            const was = (await as(anna).request(readFile(id)));
            const names = [...Object.keys(was), 'storage', 'filename_disk', 'folder', 'metadata', 'modified_by'];
            for (const name of names.filter((n) => !['title', 'tags'].includes(n)))
                await refused(as(anna).request(updateFile(id, { title: 'x', [name]: was[name] ?? null })), 'FORBIDDEN');
            assert.deepEqual(await as(anna).request(readFile(id)), was);
            const { body, headers } = form([], png());
            const replaced = { method: 'PATCH', token: anna.token, headers, body };
            assertCode(await server.request(`/api/directus/files/${id}`, replaced), 415, 'UNSUPPORTED_MEDIA_TYPE');
        });

        test('JSON is no form', async () => {
            const request = { method: 'POST', token: anna.token, body: { title: 'x' } };
            assertCode(await server.request('/api/directus/files', request), 415, 'UNSUPPORTED_MEDIA_TYPE');
        });
    });

    describe('whose they are', () => {
        test('everything of another is forbidden, as if it were not there', async () => {
            const id = await idOf(anna, gif(), { name: 'secret.gif' });
            for (const other of [id, randomUUID()]) {
                await refused(as(bert).request(readFile(other)), 'FORBIDDEN');
                await refused(as(bert).request(updateFile(other, { title: 'mine' })), 'FORBIDDEN');
                await refused(as(bert).request(updateFiles([other], { title: 'mine' })), 'FORBIDDEN');
                await refused(as(bert).request(deleteFile(other)), 'FORBIDDEN');
                await refused(as(bert).request(deleteFiles([other])), 'FORBIDDEN');
                assertCode(await asset(bert, other), 403, 'FORBIDDEN');
                assertCode(await asset(bert, `${other}/secret.gif`), 403, 'FORBIDDEN');
            }
            const lists = ['', '?search=secret', `?filter[id][_eq]=${id}`, `?filter[uploaded_by][_eq]=${anna.id}`];
            for (const query of lists) {
                const list = await server.request(`/api/directus/files${query}`, { token: bert.token });
                assert.ok(list.json.data.every((row) => row.uploaded_by === bert.id), query);
            }
            assert.equal((await asset(admin, id)).status, 200);
            assert.equal((await asset(anna, id.toUpperCase())).status, 200);
            assert.equal((await as(admin).request(updateFile(id, { title: 'seen' }))).title, 'seen');
        });

        test('a viewer reads, and uploads, changes and deletes nothing', async () => {
            const id = await idOf(anna, gif());
            sql(server, `UPDATE directus_files SET uploaded_by = '${viewer.id}' WHERE id = '${id}'`);
            assert.equal((await asset(viewer, id)).status, 200);
            assertCode(await upload(server, viewer, gif()), 403, 'FORBIDDEN');
            await refused(as(viewer).request(updateFile(id, { title: 'x' })), 'FORBIDDEN');
            await refused(as(viewer).request(deleteFile(id)), 'FORBIDDEN');
            assert.ok(storedFiles(server).includes(id));
        });

        test('nobody, and tokens in the address', async () => {
            const id = await idOf(anna, gif());
            const path = `/api/directus/assets/${id}`;
            assertCode(await server.request(path), 403, 'FORBIDDEN');
            assertCode(await server.request(`${path}?access_token=${anna.token}`), 403, 'FORBIDDEN');
            assertCode(await asset(anna, id, {}, `?access_token=${anna.token}`), 400, 'INVALID_QUERY');
        });

        test('the session cookie opens assets for a page, and nothing else without a JSON type', async () => {
            const id = await idOf(anna, gif());
            const login = await server.request('/api/directus/auth/login', {
                method: 'POST',
                body: { email: anna.email, password: anna.password, mode: 'session' },
            });
            const Cookie = [login.headers['set-cookie']].flat()[0].split(';')[0];
            const get = (path, method = 'GET') =>
                server.request(`/api/directus${path}`, { method, headers: { Cookie } });
            assert.equal((await get(`/assets/${id}`)).status, 200);
            assertCode(await get(`/files/${id}`), 403, 'FORBIDDEN');
            assertCode(await get(`/files/${id}`, 'DELETE'), 403, 'FORBIDDEN');
        });

        test('the items API does not reach them', async () => {
            const items = { token: anna.token };
            assertCode(await server.request('/api/directus/items/directus_files', items), 403, 'FORBIDDEN');
        });

        test('paths lead nowhere else', async () => {
            const id = await idOf(anna, gif());
            const tricks = ['..%2f..%2fgenie.db', `..%2f${id.slice(0, 2)}%2f${id}`, `${id.slice(0, 2)}%2f${id}`];
            tricks.push(`{${id}}`, id.replaceAll('-', ''), `${id}%00.png`, `${id}.png`, '%2e%2e', '.', `urn:uuid:${id}`);
            for (const trick of tricks) {
                const answer = await asset(anna, trick);
                assert.ok([400, 403, 404].includes(answer.status), `${trick}: ${answer.status}`);
            }
        });
    });

    describe('bytes', () => {
        const bytes = Buffer.concat([png(10, 10), randomBytes(967)]);
        let id, tag, date;
        before(async () => {
            id = await idOf(anna, bytes, { name: 'Grüße & 1%.png' });
            ({ etag: tag, 'last-modified': date } = (await asset(anna, id)).headers);
        });

        test('ranges', async () => {
            const table = [
                ['bytes=0-9', 206, [0, 9]],
                ['bytes=0-0', 206, [0, 0]],
                ['bytes=990-', 206, [990, 999]],
                ['bytes=-10', 206, [990, 999]],
                ['bytes=-5000', 206, [0, 999]],
                ['bytes=990-5000', 206, [990, 999]],
                ['BYTES= 5-9 ', 206, [5, 9]],
                ['bytes=0-99999999999999999999999', 206, [0, 999]],
                ['bytes=1000-', 416],
                ['bytes=99999999999999999999999-', 416],
                ['bytes=-0', 416],
                ['bytes=0-1,5-9', 200],
                ['bytes=9-5', 200],
                ['bytes=a-b', 200],
                ['bytes=-', 200],
                ['bytes=--5', 200],
                ['lines=0-9', 200],
                ['bytes', 200],
            ];
            for (const [range, status, part] of table) {
                const answer = await asset(anna, id, { Range: range });
                assert.equal(answer.status, status, range);
                if (status === 416) {
                    assert.equal(codeOf(answer), 'RANGE_NOT_SATISFIABLE');
                    assert.equal(answer.headers['content-range'], 'bytes */1000');
                    continue;
                }
                const [first, last] = part ?? [0, 999];
                assert.deepEqual(answer.bytes, bytes.subarray(first, last + 1), range);
                const said = part ? `bytes ${first}-${last}/1000` : undefined;
                assert.equal(answer.headers['content-range'], said, range);
                assert.equal(answer.headers['accept-ranges'], 'bytes');
            }
        });

        test('what the client has already', async () => {
            for (const headers of [
                { 'If-None-Match': tag },
                { 'If-None-Match': `"other", W/${tag}` },
                { 'If-None-Match': '*' },
                { 'If-Modified-Since': date },
            ]) {
                const answer = await asset(anna, id, headers);
                assert.deepEqual([answer.status, answer.bytes.length, answer.headers.etag], [304, 0, tag]);
            }
            const other = { 'If-None-Match': '"other"', 'If-Modified-Since': date };
            assert.equal((await asset(anna, id, other)).status, 200);
            assertCode(await asset(bert, id, { 'If-None-Match': tag }), 403, 'FORBIDDEN');
        });

        test('a range only of the same file', async () => {
            const part = (ifRange) => asset(anna, id, { 'Range': 'bytes=0-9', 'If-Range': ifRange });
            assert.equal((await part(tag)).status, 206);
            assert.equal((await part(date)).status, 206);
            for (const other of ['"other"', `W/${tag}`, 'Thu, 01 Jan 1970 00:00:00 GMT'])
                assert.deepEqual((await part(other)).bytes, bytes);
        });

        test('HEAD tells the same without the bytes', async () => {
            const path = `/api/directus/assets/${id}`;
            const head = await server.request(path, { method: 'HEAD', token: anna.token });
            assert.deepEqual([head.status, head.bytes.length], [200, 0]);
            assert.equal(head.headers['content-length'], '1000');
            const part = { method: 'HEAD', token: anna.token, headers: { Range: 'bytes=0-9' } };
            assert.equal((await server.request(path, part)).headers['content-length'], '10');
        });

        test('its name and how it is shown', async () => {
            const name = `filename="Gr____e & 1_.png"; filename*=UTF-8''Gr%C3%BC%C3%9Fe%20%26%201%25.png`;
            const shown = async (query) => (await asset(anna, id, {}, query)).headers['content-disposition'];
            assert.equal(await shown(''), `inline; ${name}`);
            assert.equal(await shown('?download'), `attachment; ${name}`);
            assert.equal(await shown('?download=true'), `attachment; ${name}`);
        });

        test('pictures are not transformed, and that is said', async () => {
            for (const query of ['width=10', 'height=1', 'quality=50', 'fit=cover', 'format=webp', 'key=x', 'transforms=[]'])
                assertCode(await asset(anna, id, {}, `?${query}`), 400, 'INVALID_QUERY');
            assert.equal((await asset(anna, id, {}, '?v=1')).status, 200);
        });

        test('a program of somebody runs nowhere', async () => {
            const svg = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>';
            const samples = [
                ['x.svg', 'image/svg+xml', svg],
                ['x.html', 'text/html', '<!doctype html><script>alert(1)</script>'],
                ['x.js', 'text/javascript', 'alert(1)'],
                ['x.png', 'image/png', '<html><script>alert(1)</script>'],
                ['x.pdf', 'application/pdf', '%PDF-1.7 and so on'],
                ['x.bin', 'image/png', Buffer.from([0, 1, 2, 3])],
            ];
            for (const [name, type, file] of samples) {
                const { headers } = await asset(anna, await idOf(anna, file, { name, type }));
                assert.match(headers['content-type'], /^(text\/plain; charset=utf-8|application\/(pdf|octet-stream))$/);
                assert.match(headers['content-disposition'], /^attachment; /);
                assert.equal(headers['x-content-type-options'], 'nosniff');
                assert.match(headers['content-security-policy'], /default-src 'none'.*; sandbox$/);
            }
        });

        test('an empty file', async () => {
            const answer = await asset(anna, await idOf(anna, ''));
            assert.deepEqual([answer.status, answer.bytes.length], [200, 0]);
            assert.equal((await asset(anna, id, { Range: 'bytes=-1' })).status, 206);
        });
    });

    describe('with a key', () => {
        const key = () => ({ 'Idempotency-Key': randomUUID() });

        test('the same form is carried out once, whatever its boundary', async () => {
            const headers = key();
            const first = await upload(server, anna, png(7, 7), { fields: [['title', 'once']], headers });
            const again = await upload(server, anna, png(7, 7), { fields: [['title', 'once']], headers });
            assert.equal(again.headers['idempotent-replayed'], 'true');
            assert.deepEqual(again.json, first.json);
        });

        test('another content, field, order or name is another request', async () => {
            const headers = key();
            const fields = [['title', 'once'], ['tags', 'a']];
            assert.equal((await upload(server, anna, png(7, 7), { fields, headers })).status, 200);
            for (const [file, about] of [
                [png(7, 8), { fields }],
                [png(7, 7, 1), { fields }],
                [png(7, 7), { fields: [['title', 'twice'], ['tags', 'a']] }],
                [png(7, 7), { fields: [...fields].reverse() }],
                [png(7, 7), { fields, name: 'other.png' }],
                [undefined, { fields }],
            ])
                assertCode(await upload(server, anna, file, { ...about, headers }), 422, 'IDEMPOTENCY_MISMATCH');
        });

        test('of many at once one is carried out', async () => {
            const headers = key();
            const before = storedFiles(server).length;
            const answers = await Promise.all(
                Array.from({ length: 8 }, () => upload(server, anna, png(9, 9), { headers })),
            );
            const good = answers.filter(({ status }) => status === 200);
            assert.ok(good.length >= 1);
            assert.equal(new Set(good.map(({ json }) => json.data.id)).size, 1);
            for (const { status } of answers) assert.ok([200, 409].includes(status));
            assert.equal(storedFiles(server).length, before + 1);
        });
    });

    describe('room', () => {
        test('of many at once only those are stored that fit', async () => {
            const eva = await server.addUser();
            const answers = await Promise.all(
                Array.from({ length: 10 }, () => upload(server, eva, Buffer.alloc(MIB))),
            );
            assert.equal(answers.filter(({ status }) => status === 200).length, 4);
            const refusals = answers.filter(({ status }) => status !== 200);
            for (const answer of refusals) assertCode(answer, 413, 'STORAGE_LIMIT_REACHED');
            const mine = await as(eva).request(readFiles({ fields: ['id'] }));
            assert.equal(mine.length, 4);
            const stored = storedFiles(server);
            for (const { id } of mine) assert.ok(stored.includes(id));
            await as(eva).request(deleteFile(mine[0].id));
            assert.equal((await upload(server, eva, Buffer.alloc(MIB))).status, 200);
            assertCode(await upload(server, eva, 'x'), 413, 'STORAGE_LIMIT_REACHED');
            assert.equal((await upload(server, bert, 'x')).status, 200);
        });

        test('a full disk', { skip: ON_POSTGRES && 'the limit is that of our own process' }, async () => {
            const before = storedFiles(server);
            const limit = (most) => execFileSync('prlimit', ['--pid', String(server.pid), `--fsize=${most}:`]);
            limit(4096);
            try {
                assertCode(await upload(server, bert, Buffer.alloc(MIB)), 503, 'SERVICE_UNAVAILABLE');
            } finally {
                limit('unlimited');
            }
            assert.deepEqual(storedFiles(server), before);
            assert.equal((await upload(server, bert, 'again')).status, 200);
        });
    });

    test('the store is nobody else\'s, and a client that leaves in the middle leaves nothing', async () => {
        const id = await idOf(bert, 'mine');
        assert.equal(statSync(pathOf(server, id)).mode & 0o777, 0o600);
        assert.equal(statSync(pathOf(server, id).replace(/\/[^/]*$/, '')).mode & 0o777, 0o700);
        const before = storedFiles(server);
        const { body, headers } = form([], Buffer.alloc(MIB));
        const connection = await open(server.port);
        connection.send(
            `POST /api/directus/files HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer ${bert.token}\r\n` +
                `Content-Type: ${headers['Content-Type']}\r\nContent-Length: ${body.length}\r\n\r\n`,
        );
        connection.send(body.subarray(0, MIB / 2));
        await sleep(100);
        connection.close();
        await server.assertWell();
        assert.deepEqual(storedFiles(server), before);
    });

    test('a file that lost its bytes is our error, and is logged', async () => {
        const id = await idOf(bert, 'lost');
        writeFileSync(pathOf(server, id), 'other bytes');
        assert.equal((await asset(bert, id)).status, 500);
        await server.waitForLog(({ line }) => line.includes("the bytes of a file can't be sent") && line.includes(id));
    });
});

describe('large files and slow readers', () => {
    const SIZE = 300 * MIB;
    let server, anna;
    before(async () => {
        server = await startGenie({ env: { WORKER_THREADS: '2' } });
        anna = await server.addUser();
    });
    after(async () => {
        await server.stop();
    });

    /** Sends SIZE bytes of a repeated piece as a form, as fast as they are taken: the answer's JSON. */
    function sendLarge(piece) {
        const { body, headers } = form([], '@');
        const [head, tail] = [body.subarray(0, body.lastIndexOf('@')), body.subarray(body.lastIndexOf('@') + 1)];
        const sent = {
            ...headers,
            'Authorization': `Bearer ${anna.token}`,
            'Content-Length': head.length + SIZE + tail.length,
        };
        return new Promise((resolve, reject) => {
            const outgoing = httpRequest(`${server.url}/api/directus/files`, { method: 'POST', headers: sent });
            outgoing.on('error', reject);
            outgoing.on('response', (incoming) => {
                let text = '';
                incoming.setEncoding('utf8').on('data', (part) => (text += part));
                incoming.on('end', () => resolve(JSON.parse(text)));
            });
            let left = SIZE;
            const go = () => {
                while (left > 0) {
                    left -= piece.length;
                    if (!outgoing.write(piece)) {
                        outgoing.once('drain', go);
                        return;
                    }
                }
                outgoing.end(tail);
            };
            outgoing.write(head);
            go();
        });
    }

    /** Reads an asset piece by piece: its digest. */
    function digestOf(id) {
        const headers = { Authorization: `Bearer ${anna.token}` };
        return new Promise((resolve, reject) => {
            const hash = createHash('sha256');
            httpRequest(`${server.url}/api/directus/assets/${id}`, { headers }, (incoming) => {
                incoming.on('data', (part) => hash.update(part));
                incoming.on('error', reject);
                incoming.on('end', () => resolve(hash.digest('hex')));
            })
                .on('error', reject)
                .end();
        });
    }

    test('300 MiB up and down, in little memory', async () => {
        const piece = randomBytes(MIB);
        const hash = createHash('sha256');
        for (let i = 0; i < SIZE; i += piece.length) hash.update(piece);
        const atFirst = residentKib(server.pid);
        let most = 0;
        const watch = setInterval(() => (most = Math.max(most, residentKib(server.pid))), 10);
        const { data } = await sendLarge(piece);
        assert.equal(data.filesize, SIZE);
        assert.equal(await digestOf(data.id), hash.digest('hex'));
        clearInterval(watch);
        assert.ok(most - atFirst < 64 * 1024, `grew by ${most - atFirst} KiB`);

        // readers that take nothing, more of them than there are workers
        const readers = await Promise.all(
            Array.from({ length: 8 }, async () => {
                const connection = await open(server.port);
                connection.socket.pause();
                return connection.send(
                    `GET /api/directus/assets/${data.id} HTTP/1.1\r\nHost: test\r\n` +
                        `Authorization: Bearer ${anna.token}\r\n\r\n`,
                );
            }),
        );
        await sleep(200);
        for (let i = 0; i < 4; i++) assert.equal((await upload(server, anna, gif())).status, 200);
        assert.ok(residentKib(server.pid) - atFirst < 64 * 1024);
        for (const reader of readers) reader.close();
        await server.assertWell();
    });
});

describe('a server that is killed', () => {
    const HOUR_AND_MORE = 2 * 3600;
    let server, anna;
    before(async () => {
        server = await startGenie();
        anna = await server.addUser();
    });
    after(async () => {
        await server.stop();
    });

    test('has no row without its bytes, and the sweep takes bytes without a row', async () => {
        const kept = [];
        const send = async () => {
            for (;;) {
                const answer = await upload(server, anna, randomBytes(20_000)).catch(() => null);
                if (!answer) return;
                assert.equal(answer.status, 200);
                kept.push(answer.json.data.id);
            }
        };
        for (let round = 0; round < 3; round++) {
            const wanted = kept.length + 15;
            const senders = Array.from({ length: 8 }, send);
            await until(() => kept.length >= wanted, 'uploads');
            await server.kill9();
            await Promise.all(senders);
            await server.start({ port: server.port });
        }
        const rows = [];
        for (let page = 1; ; page++) {
            const path = `/api/directus/files?fields=id&limit=100&sort=id&page=${page}`;
            const { json } = await server.request(path, { token: anna.token });
            rows.push(...json.data.map(({ id }) => id));
            if (json.data.length < 100) break;
        }
        const stored = storedFiles(server);
        for (const id of kept) assert.ok(rows.includes(id), 'an acknowledged file is lost');
        for (const id of rows) assert.ok(stored.includes(id), 'a row has no bytes');
        for (const id of rows) assert.equal(statSync(pathOf(server, id)).size, 20_000);

        const [old, young] = [randomUUID(), randomUUID()];
        for (const id of [old, young]) writeFileSync(pathOf(server, id), 'nobody knows me');
        const past = Date.now() / 1000 - HOUR_AND_MORE;
        for (const id of storedFiles(server)) if (id !== young) utimesSync(pathOf(server, id), past, past);
        await server.restart();
        await server.waitForLog(({ line }) => line.includes('files without a row were removed')); // it has ended
        assert.deepEqual(storedFiles(server), [...rows, young].sort());
    });

    test('with another database, the sweep takes nothing', async () => {
        const before = storedFiles(server);
        sql(server, 'DELETE FROM directus_files');
        await server.restart();
        await server.waitForLog(({ line }) => line.includes('nothing is swept'));
        assert.deepEqual(storedFiles(server), before);
    });
});
