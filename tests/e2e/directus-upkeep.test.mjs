// SPDX-License-Identifier: MIT
//
// What an operator does to a database that a real Directus manages: carries an embedded store into it, asks the
// doctor, and deletes somebody who has used both programs.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ADMIN, newDirectus } from '../support/directus.mjs';
import { tempDir } from '../support/dirs.mjs';
import { lite } from '../support/fill.mjs';
import { GENIE_BIN, Genie } from '../support/genie.mjs';
import { freePort } from '../support/ports.mjs';
import { chat } from '../support/sse.mjs';
import { addNode, history } from '../support/talk.mjs';

const DOCTOR_MS = 60_000;
const DIRECTUS_OWN = ['roles', 'policies', 'access', 'permissions', 'collections', 'fields', 'relations', 'settings'];

/** doctor's rows by name. */
async function doctor(genie, env = {}) {
    const child = spawn(GENIE_BIN, ['doctor', '--json'], {
        cwd: tempDir('genie-doctor-'),
        env: { ...genie.env, SERVER_PORT: String(await freePort()), ...env },
        stdio: ['ignore', 'pipe', 'inherit'],
        timeout: DOCTOR_MS,
        killSignal: 'SIGKILL',
    });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (part) => {
        text += part;
    });
    const [code] = await once(child, 'close');
    return { code, ...Object.fromEntries(JSON.parse(text).map((row) => [row.name, row])) };
}

describe('the upkeep of a database that a Directus manages', () => {
    let directus, genie, embedded, anna, ben;
    const digest = () =>
        DIRECTUS_OWN.map((table) => JSON.stringify(directus.sql(`SELECT * FROM directus_${table} ORDER BY 1`)));
    const logIn = ({ email, password }) =>
        genie.request('/api/directus/auth/login', { method: 'POST', body: { email, password } });

    before(async () => {
        embedded = new Genie({ secrets: 'none' });
        await embedded.start();
        anna = await embedded.addUser({ tier: 'studio' });
        ben = await embedded.addUser();
        addNode(embedded, anna, 'Launch plan', 'The launch of the aquamarine calendar is in May.');
        await chat(embedded, anna.token, { message: 'When is the launch of the aquamarine calendar?' });
        anna.history = await history(embedded, anna.token);
        anna.file = randomUUID();
        lite(
            join(embedded.dataDir, 'genie.db'),
            `INSERT INTO directus_files (id, storage, filename_disk, filename_download, uploaded_by)
             VALUES ('${anna.file}', 'local', '${anna.file}.jpg', 'photo.jpg', '${anna.id}');\n`,
        );
        await embedded.stop({ keep: true });

        directus = await newDirectus();
        genie = directus.genie();
        Object.assign(genie.given, embedded.secrets);
        directus.secret = embedded.secrets.DIRECTUS_SECRET;
        genie.port = await freePort();
        await genie.cli(['migrate']);
        await directus.start();
    });
    after(async () => {
        await directus?.stop();
        await embedded?.stop();
    });

    describe('genie import embedded', () => {
        test('adds its people and their files, and writes nothing else of its own', async () => {
            const before = digest();
            const { stdout } = await genie.cli(['import', 'embedded', embedded.dataDir]);
            assert.match(stdout, /^directus_users +2 /m);
            assert.deepEqual(digest(), before);
            await genie.start();
        });

        test('they log in at both with their passwords, and find what was theirs', async () => {
            const here = await logIn(anna);
            assert.equal(here.status, 200, here.text);
            assert.deepEqual(await history(genie, here.json.data.access_token), anna.history);
            const token = await directus.login(anna);
            const { json } = await directus.request('/items/user_nodes?fields=title', { token });
            assert.deepEqual(json.data, [{ title: 'Launch plan' }]);
            assert.equal((await genie.request('/api/genie/history', { token })).status, 200);
        });

        test("shows them at Directus in Directus's own role of that name", async () => {
            const users = await directus.admin('GET', '/users?fields=email,role.name,subscription_tier&sort=email');
            const role = (who) => users.find(({ email }) => email === who.email);
            assert.deepEqual(role(anna), {
                email: anna.email,
                role: { name: 'Creator' },
                subscription_tier: 'studio',
            });
            assert.equal(role(ben).role.name, 'Creator');
            const [file] = await directus.admin('GET', '/files?fields=id,uploaded_by.email');
            assert.deepEqual(file, { id: anna.file, uploaded_by: { email: anna.email } });
        });

        test('is refused a second time', async () => {
            const { stderr } = await genie.cli(['import', 'embedded', embedded.dataDir], { expect: 1 });
            assert.match(stderr, /the target holds data already/);
        });
    });

    describe('genie doctor', () => {
        test('finds Directus, its database and the collections well', async () => {
            const rows = await doctor(genie, { DIRECTUS_URL: directus.url });
            for (const name of ['directus', 'directus database', 'directus collections'])
                assert.equal(rows[name]?.verdict, 'ok', JSON.stringify(rows[name]));
            assert.match(rows.directus.found, /Directus answers/);
        });

        test('says when it is down, or when something else answers', async () => {
            const nobody = await doctor(genie, { DIRECTUS_URL: `http://127.0.0.1:${await freePort()}` });
            assert.equal(nobody.code, 1);
            assert.equal(nobody.directus.verdict, 'fail');
            assert.match(nobody.directus.mend, /DIRECTUS_URL/);
            assert.equal(nobody['directus database'].verdict, 'ok');
            const another = await doctor(genie, { DIRECTUS_URL: genie.url });
            assert.equal(another.directus.verdict, 'fail');
        });

        test('says when DATABASE_URL is not the database of a Directus, as the server does', async () => {
            const other = new Genie({ store: 'postgres', env: { DIRECTUS_URL: directus.url } });
            other.port = await freePort();
            await other.cli(['migrate']);
            const rows = await doctor(other);
            assert.equal(rows.code, 1);
            assert.equal(rows.directus.verdict, 'ok');
            assert.equal(rows['directus database'].verdict, 'fail');
            assert.match(rows['directus database'].mend, /DATABASE_URL/);
            assert.equal(rows['directus collections'], undefined);
            const { stderr, stdout } = await other.cli(['serve'], { expect: 1 });
            assert.match(stderr + stdout, /DATABASE_URL is not the database of a Directus/);
            await other.stop();
        });

        test('has nothing of it without DIRECTUS_URL, but the collections', async () => {
            const rows = await doctor(genie);
            assert.equal(rows.directus, undefined);
            assert.equal(rows['directus database'], undefined);
            assert.equal(rows['directus collections'].verdict, 'ok');
        });
    });

    describe('genie user delete', () => {
        let token, mine, bens;

        /** A small file, uploaded through Directus. */
        async function upload(as, text) {
            const form = new FormData();
            form.append('file', new Blob([text], { type: 'text/plain' }), `${text}.txt`);
            const answer = await fetch(`${directus.url}/files`, {
                method: 'POST',
                headers: { Authorization: `Bearer ${as}` },
                body: form,
            });
            assert.equal(answer.status, 200, await answer.clone().text());
            return (await answer.json()).data.id;
        }

        before(async () => {
            const policy = await directus.admin('POST', '/policies', { name: 'Files' });
            for (const action of ['create', 'read', 'update'])
                for (const collection of ['directus_files', 'directus_presets'])
                    await directus.admin('POST', '/permissions', {
                        policy: policy.id,
                        collection,
                        action,
                        fields: ['*'],
                        permissions: {},
                    });
            await directus.admin('POST', '/access', {
                policy: policy.id,
                role: await directus.roleId('Creator'),
            });
            token = await directus.login(anna);
            mine = await upload(token, 'of-anna');
            bens = await upload(await directus.login(ben), 'of-ben');
            const as = (method, path, body) => directus.request(path, { method, token, body });
            const done = [
                await as('PATCH', `/files/${bens}`, { title: 'named by anna' }),
                await as('POST', '/presets', { collection: 'user_nodes', user: anna.id, bookmark: 'of anna' }),
            ];
            for (const answer of done) assert.equal(answer.status, 200, answer.text);
            // what Directus keeps of versions refers to who made and who changed them
            await directus.admin('PATCH', '/collections/user_nodes', { meta: { versioning: true } });
            const [node] = directus.sql('SELECT id FROM user_nodes');
            const version = await directus.admin('POST', '/versions', {
                key: 'draft',
                name: 'Draft',
                collection: 'user_nodes',
                item: node.id,
            });
            directus.sql(`UPDATE directus_versions SET user_created = '${anna.id}', user_updated = '${anna.id}'
                          WHERE id = '${version.id}'`);
        });

        test('at Directus itself it is refused, for the files', async () => {
            const answer = await directus.request(`/users/${anna.id}`, {
                method: 'DELETE',
                token: directus.adminToken,
            });
            assert.notEqual(answer.status, 204);
        });

        test('removes who has used both, with sessions, presets and rows', async () => {
            assert.ok(directus.sql(`SELECT token FROM directus_sessions WHERE "user" = '${anna.id}'`).length > 0);
            const { stdout } = await genie.cli(['user', 'delete', '--email', anna.email, '--yes', '--json']);
            const gone = JSON.parse(stdout);
            assert.equal(gone.chats, 1);
            assert.equal(gone.files, 2);
            assert.equal(gone.removed, 0);
            assert.equal(gone.kept.length, 2, 'names in the storage of Directus');
            for (const [table, column] of [
                ['users', 'id'],
                ['sessions', '"user"'],
                ['presets', '"user"'],
                ['files', 'uploaded_by'],
                ['files', 'modified_by'],
                ['versions', 'user_updated'],
                ['versions', 'user_created'],
            ])
                assert.deepEqual(
                    directus.sql(`SELECT 1 AS there FROM directus_${table} WHERE ${column} = '${anna.id}'`),
                    [],
                    `directus_${table}.${column}`,
                );
        });

        test('leaves what is of others, and what Directus shows of it', async () => {
            const files = await directus.admin('GET', '/files?fields=id,title,uploaded_by.email,modified_by');
            assert.deepEqual(files, [
                { id: bens, title: 'named by anna', uploaded_by: { email: ben.email }, modified_by: null },
            ]);
            const emails = (await directus.admin('GET', '/users?fields=email&sort=email')).map(({ email }) => email);
            assert.deepEqual(emails, [ADMIN.email, ben.email].sort());
            const [version] = await directus.admin('GET', '/versions?fields=key,user_created,user_updated');
            assert.deepEqual(version, { key: 'draft', user_created: null, user_updated: null });
            // Directus's own record of what was done names an id that nobody has any more
            const activity = await directus.admin('GET', `/activity?filter[user][_eq]=${anna.id}&fields=action`);
            assert.ok(activity.length > 0);
        });

        test('ends what was open at both', async () => {
            assert.equal((await logIn(anna)).status, 401);
            const there = await directus.request('/auth/login', {
                method: 'POST',
                body: { email: anna.email, password: anna.password },
            });
            assert.equal(there.status, 401);
            assert.equal((await genie.request('/api/genie/history', { token })).status, 401);
            assert.equal((await logIn(ben)).status, 200);
            await directus.login(ben);
            assert.equal((await directus.request(`/files/${mine}`, { token: directus.adminToken })).status, 403);
        });
    });
});
