// SPDX-License-Identifier: MIT
//
// One's own profile: what is shown, what can be changed, and that nothing else can.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { announce, form, gif, png, storedFiles } from '../support/form.mjs';
import { startGenie } from '../support/genie.mjs';
import { rows } from '../support/postgres.mjs';
import { sql } from '../support/talk.mjs';

const PATH = '/api/user-proxy';
const WRITABLE = ['first_name', 'last_name', 'title', 'description', 'location', 'language', 'tags'];
const SHOWN = ['id', 'email', ...WRITABLE, 'avatar', 'subscription_tier', 'onboarding_state', 'role'].sort();

/** Every column of directus_users, from the store itself. */
function columnsOfUsers(server) {
    const query = server.databaseUrl
        ? "SELECT column_name AS name FROM information_schema.columns WHERE table_name = 'directus_users'"
        : "SELECT name FROM pragma_table_info('directus_users')";
    return (server.databaseUrl ? rows(server.databaseUrl, query) : sql(server, query)).map(
        ({ name }) => name,
    );
}

const rowOf = (server, person) => sql(server, `SELECT * FROM directus_users WHERE id = '${person.id}'`)[0];

describe("one's own profile", () => {
    let server, anna, bert, viewer;
    const read = (person) => server.request(PATH, { token: person.token });
    const change = (person, body, headers) =>
        server.request(PATH, { method: 'PATCH', token: person.token, body, headers });
    const send = (person, fields, file, about) => {
        const { body, headers } = form(fields, file, about);
        return change(person, body, headers);
    };
    const assertRefused = ({ status, json }, wanted, code, field) =>
        assert.deepEqual([status, json.ok, json.code, json.field], [wanted, false, code, field]);

    before(async () => {
        server = await startGenie({ env: { MAX_STORAGE_MB_PER_USER: '1' } });
        anna = await server.addUser({ tier: 'pro', onboarding: 'DATA_COLLECTION' });
        bert = await server.addUser();
        viewer = await server.addUser({ role: 'Viewer' });
    });
    after(async () => {
        await server.stop();
    });

    test('what is shown', async () => {
        const { status, json } = await read(anna);
        assert.equal(status, 200);
        assert.equal(json.ok, true);
        assert.deepEqual(Object.keys(json.data).sort(), SHOWN);
        const { id, email, subscription_tier, onboarding_state, role, avatar } = json.data;
        assert.deepEqual([id, email, avatar], [anna.id, anna.email, null]);
        assert.deepEqual([subscription_tier, onboarding_state, role], ['pro', 'DATA_COLLECTION', 'Creator']);
        assert.equal((await read(viewer)).json.data.role, 'Viewer');
    });

    test('every field that may be changed is, at once, and null empties it', async () => {
        const values = { first_name: 'Ånna', last_name: 'L', title: 'Ms', description: 'Long\ntext' };
        Object.assign(values, { location: 'Oslo', language: 'nb-NO', tags: ['a', 'b'] });
        const { status, json } = await change(anna, values);
        assert.equal(status, 200);
        for (const name of WRITABLE) assert.deepEqual(json.data[name], values[name]);
        assert.deepEqual((await read(anna)).json, json);
        const emptied = await change(anna, Object.fromEntries(WRITABLE.map((name) => [name, null])));
        for (const name of WRITABLE) assert.equal(emptied.json.data[name], null);
    });

    test('every other field refuses the whole, and is named', async () => {
        const columns = columnsOfUsers(server);
        assert.ok(columns.length > 20);
        const before = rowOf(server, bert);
        const others = columns.filter((name) => !WRITABLE.includes(name));
        for (const name of [
            ...others,
            'onboarding_state',
            'admin_access',
            'policies',
            'userId',
            'user_id',
            '__proto__',
            '$x',
        ])
            for (const value of [before[name] ?? null, 'x', 1, { _eq: 1 }])
                assertRefused(
                    await change(
                        bert,
                        `{"first_name":"Mallory",${JSON.stringify(name)}:${JSON.stringify(value)}}`,
                    ),
                    400,
                    'field_not_allowed',
                    name,
                );
        assert.deepEqual(rowOf(server, bert), before);
    });

    test('values that are none', async () => {
        const before = rowOf(server, bert);
        for (const [name, value] of [
            ['first_name', 'x'.repeat(51)],
            ['first_name', 5],
            ['title', ['a']],
            ['description', 'x'.repeat(65 * 1024)],
            ['tags', 'a,b'],
            ['tags', [1]],
            ['tags', ['x'.repeat(101)]],
            ['tags', Array.from({ length: 65 }, () => 'x')],
        ])
            assertRefused(
                await change(bert, { location: 'Oslo', [name]: value }),
                400,
                'invalid_field',
                name,
            );
        assertRefused(await change(bert, {}), 400, 'missing_field');
        assertRefused(await change(bert, '[]'), 400, 'missing_field');
        assertRefused(await change(bert, '{"title":'), 400, 'malformed_json');
        assertRefused(await change(bert, '{"title":"a","title":"b"}'), 400, 'malformed_json');
        assert.deepEqual(rowOf(server, bert), before);
    });

    test('who may', async () => {
        assertRefused(await server.request(PATH), 401, 'unauthorized');
        assertRefused(await change(viewer, { title: 'x' }), 403, 'read_only');
        assertRefused(await send(viewer, [], png()), 403, 'read_only');
    });

    test("the avatar is a file of one's own, of every kind that it may be", async () => {
        const jpeg = Buffer.from('ffd8ffe000104a46494600010100000100010000ffc0000b080010002001011100', 'hex');
        const webp = Buffer.from('524946461a000000574542505650384c0d0000002f0f4000100707101111888808', 'hex');
        for (const [file, type, width, height] of [
            [png(64, 32), 'image/png', 64, 32],
            [gif(5, 4), 'image/gif', 5, 4],
            [jpeg, 'image/jpeg', 32, 16],
            [webp, 'image/webp', 16, 2],
        ]) {
            const { status, json } = await send(anna, [], file, { name: 'me.exe', type: 'text/html' });
            assert.equal(status, 200, JSON.stringify(json));
            const path = `/api/directus/files/${json.data.avatar}`;
            const { data } = (await server.request(path, { token: anna.token })).json;
            assert.deepEqual([data.type, data.width, data.height], [type, width, height]);
            assert.deepEqual([data.uploaded_by, data.filename_download], [anna.id, 'me.exe']);
            const asset = `/api/directus/assets/${json.data.avatar}`;
            assert.deepEqual((await server.request(asset, { token: anna.token })).bytes, file);
            assert.equal((await server.request(asset, { token: bert.token })).status, 403);
        }
        assert.deepEqual((await read(anna)).json.data.avatar, rowOf(server, anna).avatar);
    });

    test("a deleted file is nobody's avatar", async () => {
        const { json } = await send(bert, [], gif());
        const path = `/api/directus/files/${json.data.avatar}`;
        assert.equal((await server.request(path, { method: 'DELETE', token: bert.token })).status, 204);
        assert.equal((await read(bert)).json.data.avatar, null);
    });

    test('what is no avatar leaves nothing', async () => {
        const before = [rowOf(server, bert), storedFiles(server)];
        for (const file of [
            '<svg xmlns="http://www.w3.org/2000/svg"/>',
            '%PDF-1.4',
            '',
            png(0, 1),
            png(20_000, 1),
        ])
            assertRefused(await send(bert, [], file), 400, 'invalid_field', 'file');
        assertRefused(await send(bert, [], png(16_000, 16_000)), 400, 'invalid_field', 'file');
        assertRefused(await announce(server, 'PATCH', PATH, bert.token, 12 << 20), 413, 'body_too_large');
        assertRefused(await send(bert, [], png(1, 1, 2 << 20)), 413, 'storage_limit_reached', 'file');
        assertRefused(await send(bert, [], undefined), 400, 'missing_field', 'file');
        assertRefused(await send(bert, [['role', 'x']], png()), 400, 'field_not_allowed', 'role');
        assertRefused(await send(bert, [], png(), { part: 'avatar' }), 400, 'field_not_allowed', 'avatar');
        assert.deepEqual([rowOf(server, bert), storedFiles(server)], before);
    });
});
