// SPDX-License-Identifier: MIT
//
// The avatar where a real Directus keeps the files: it is shown there to its user and to nobody else, and nothing
// is left there or here where it can't become one.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { ADMIN, startDirectus } from '../support/directus.mjs';
import { announce, form, gif, png, storedFiles } from '../support/form.mjs';
import { freePort } from '../support/ports.mjs';

const PATH = '/api/user-proxy';

describe('an avatar that Directus keeps', () => {
    let directus, genie, anna, bert;
    const token = randomBytes(24).toString('base64url');

    const send = (server, person, file, about) => {
        const { body, headers } = form([], file, about);
        return server.request(PATH, { method: 'PATCH', token: person.token, body, headers });
    };
    const files = () =>
        directus.sql('SELECT id, uploaded_by, filename_download FROM directus_files ORDER BY 1');
    const avatar = (person) =>
        directus.sql(`SELECT avatar FROM directus_users WHERE id = '${person.id}'`)[0].avatar;
    const assertRefused = ({ status, json }, wanted, code) =>
        assert.deepEqual([status, json.ok, json.code], [wanted, false, code]);
    /** A further genie on the same database; what it refuses changes nothing anywhere. */
    async function refused(env, wanted, code) {
        const before = [files(), avatar(bert)];
        const other = await directus.startGenie({ env });
        assertRefused(await send(other, bert, png()), wanted, code);
        assert.deepEqual([files(), avatar(bert)], before);
        assert.deepEqual(storedFiles(other), []);
        assert.ok(!other.logText.includes(token));
        return other;
    }
    const doctor = async (server) => {
        const { stdout, stderr } = await server.cli(['doctor', '--json'], { expect: null });
        assert.ok(!(stdout + stderr).includes(token));
        return JSON.parse(stdout).find(({ name }) => name === 'directus token');
    };

    before(async () => {
        directus = await startDirectus();
        genie = await directus.startGenie({
            env: { DIRECTUS_URL: directus.url, DIRECTUS_ADMIN_TOKEN: token, MAX_STORAGE_MB_PER_USER: '1' },
        });
        await directus.restart(); // which shows it the collections
        const [{ id }] = await directus.admin('GET', `/users?filter[email][_eq]=${ADMIN.email}`);
        await directus.admin('PATCH', `/users/${id}`, { token });
        [anna, bert] = [await genie.addUser(), await genie.addUser()];
    });
    after(async () => {
        await directus?.stop();
    });

    test('is shown by Directus to its user, and to nobody else', async () => {
        for (const [file, name] of [
            [png(64, 32, 100_000), 'Ich selbst ü.png'],
            [gif(), 'me.exe'],
        ]) {
            const { status, json, text } = await send(genie, anna, file, { name });
            assert.equal(status, 200, text);
            assert.equal(json.data.avatar, avatar(anna));
            const path = `/assets/${json.data.avatar}`;
            for (const [ask, prefix] of [
                [genie, '/api/directus'],
                [directus, ''],
            ]) {
                const mine = await ask.request(prefix + path, { token: anna.token });
                assert.equal(mine.status, 200, mine.text);
                assert.deepEqual(mine.bytes, file);
                assert.equal((await ask.request(prefix + path, { token: bert.token })).status, 403);
                assert.equal((await ask.request(prefix + path)).status, 403);
            }
            const row = await directus.admin('GET', `/files/${json.data.avatar}`);
            assert.deepEqual(
                [row.uploaded_by, row.modified_by, row.title, row.filename_download],
                [anna.id, anna.id, 'Avatar', name],
            );
            assert.equal(Number(row.filesize), file.length);
        }
        assert.equal(files().length, 2, 'the former one stays a file of hers');
        assert.deepEqual(storedFiles(genie), []);
        assert.ok(!genie.logText.includes(token));
    });

    test('is looked at before Directus hears of it', async () => {
        const before = files();
        for (const file of ['<svg xmlns="http://www.w3.org/2000/svg"/>', png(20_000, 1)])
            assertRefused(await send(genie, bert, file), 400, 'invalid_field');
        assertRefused(
            await announce(genie, 'PATCH', '/api/user-proxy', bert.token, 12 << 20),
            413,
            'body_too_large',
        );
        assert.deepEqual(files(), before);
    });

    test('is removed there again when it cannot be given to its user', async () => {
        const before = files();
        directus.sql(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'not now' USING ERRCODE = 'check_violation'; END $$`);
        directus.sql(`CREATE TRIGGER refuse BEFORE UPDATE OF avatar ON directus_users
            FOR EACH ROW EXECUTE FUNCTION refuse()`);
        const { status, json } = await send(genie, bert, png());
        directus.sql('DROP TRIGGER refuse ON directus_users');
        directus.sql('DROP FUNCTION refuse()');
        assert.ok(status >= 500 && json.ok === false, String(status));
        assert.deepEqual(files(), before);
        assert.equal(avatar(bert), null);
        assert.equal((await send(genie, bert, png())).status, 200);
    });

    test('is refused without the token, or with one that Directus does not take', async () => {
        const url = { DIRECTUS_URL: directus.url };
        assert.deepEqual((await doctor(genie)).verdict, 'ok');
        const none = await refused(url, 500, 'server_misconfiguration');
        assert.equal((await doctor(none)).verdict, 'warn');
        const wrong = await refused(
            { ...url, DIRECTUS_ADMIN_TOKEN: 'nonsense' },
            500,
            'server_misconfiguration',
        );
        assert.equal((await doctor(wrong)).verdict, 'fail');
        const { id } = await directus.addUser({ token: 'the-token-of-nobody' });
        const weak = await refused(
            { ...url, DIRECTUS_ADMIN_TOKEN: 'the-token-of-nobody' },
            500,
            'server_misconfiguration',
        );
        assert.match((await doctor(weak)).found, /no administrator's/);
        await directus.admin('DELETE', `/users/${id}`);
    });

    test('is refused while Directus is down, fails, or breaks off', async () => {
        const port = await freePort();
        const nobody = { DIRECTUS_URL: `http://127.0.0.1:${port}`, DIRECTUS_ADMIN_TOKEN: token };
        await refused(nobody, 502, 'directus_failed');
        const asked = [];
        const answers = [
            (answer) => answer.writeHead(503).end('{"errors":[]}'),
            (answer) => answer.writeHead(200).end('not JSON'),
            (answer) => answer.socket.destroy(),
        ];
        const broken = createServer((request, answer) => {
            request.resume().on('end', () => {
                asked.push(`${request.method} ${request.url}`);
                if (request.method === 'POST') answers[(asked.length - 1) >> 1](answer);
                else answer.writeHead(204).end();
            });
        });
        broken.listen(port, '127.0.0.1');
        await once(broken, 'listening');
        for (let i = 0; i < answers.length; i++) await refused(nobody, 502, 'directus_failed');
        broken.close();
        assert.deepEqual(
            asked.map((line) => line.replace(/[0-9a-f-]{36}$/, ':id')),
            answers.flatMap(() => ['POST /files', 'DELETE /files/:id']),
            'what may have come is removed',
        );
    });
});
