// SPDX-License-Identifier: MIT
//
// POST /api/rbac-sync: what a Directus (or a service) tells of its users takes effect on the next request, and what
// it says of them beyond whom to look at is not believed.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { startGenie } from '../support/genie.mjs';
import { joinServer, stopServers } from '../support/servers.mjs';
import { eventually, sql } from '../support/talk.mjs';

const SECRET = 'X-RBAC-SYNC-SECRET';
const NOTE = { node_type: 'note', title: 'A note' };

describe('rbac-sync', () => {
    let server, roles;

    before(async () => {
        server = await startGenie();
        const found = sql(server, 'SELECT id, name FROM directus_roles');
        roles = Object.fromEntries(found.map(({ id, name }) => [name, id]));
    });
    after(async () => {
        await server?.stop();
    });

    const sync = (body, { secret, token, at = server } = {}) =>
        at.request('/api/rbac-sync', {
            method: 'POST',
            token,
            headers: { [SECRET]: secret ?? server.secrets.RBAC_SYNC_WEBHOOK_SECRET },
            body,
        });
    const updated = (keys, payload = {}) => ({
        event: 'users.update',
        collection: 'directus_users',
        keys,
        payload,
    });
    /** Done beside the server, as by a Directus. */
    const change = (id, what) => sql(server, `UPDATE directus_users SET ${what} WHERE id = '${id}'`);
    const native = (id) =>
        sql(
            server,
            `SELECT a.id, a.role, a.suspended FROM users a JOIN directus_users u ON u.anythingllm_user_id = a.id
             WHERE u.id = '${id}'`,
        )[0];
    const write = (token, at = server) =>
        at.request('/api/directus/items/user_nodes', { method: 'POST', token, body: NOTE });
    const isAdmin = async (token) =>
        (await server.request('/api/directus/items/system_config', { token })).status === 200;

    test('a role takes effect on the next request, in both halves of the account', async () => {
        const { id, token } = await server.addUser();
        assert.equal((await write(token)).status, 200);
        change(id, `role = '${roles.Administrator}'`);
        const answer = await sync({ userId: id, role: 'Viewer' });
        assert.deepEqual(answer.json, {
            ok: true,
            synced: 1,
            users: [
                {
                    directusUserId: id,
                    anythingllmUserId: Number(native(id).id),
                    role: 'admin',
                    readOnly: false,
                },
            ],
            skipped: [],
        });
        assert.equal(native(id).role, 'admin');
        assert.ok(await isAdmin(token));

        change(id, `role = '${roles.Viewer}'`);
        const { json } = await sync(updated([id], { role: roles.Administrator }));
        assert.deepEqual(json.users[0], {
            directusUserId: id,
            anythingllmUserId: Number(native(id).id),
            role: 'default',
            readOnly: true,
        });
        assert.equal(native(id).role, 'default');
        assert.equal(await isAdmin(token), false);
        const refused = await write(token);
        assert.equal(refused.status, 403);
        assert.equal((await server.request('/api/genie/history', { token })).status, 200);

        change(id, 'role = NULL');
        assert.equal((await sync({ userId: id })).json.users[0].role, 'default');
        assert.equal((await write(token)).status, 200);
    });

    test('a role of another name is a creator, and one with admin rights an administrator', async () => {
        const { id, token } = await server.addUser();
        const [role, policy] = [randomUUID(), randomUUID()];
        sql(server, `INSERT INTO directus_roles (id, name) VALUES ('${role}', 'Chief')`);
        change(id, `role = '${role}'`);
        assert.equal((await sync({ userId: id })).json.users[0].role, 'default');
        sql(
            server,
            `INSERT INTO directus_policies (id, name, admin_access, app_access) VALUES ('${policy}', 'All', TRUE, TRUE)`,
        );
        sql(
            server,
            `INSERT INTO directus_access (id, role, policy) VALUES ('${randomUUID()}', '${role}', '${policy}')`,
        );
        assert.equal((await sync(updated([id]))).json.users[0].role, 'admin');
        assert.ok(await isAdmin(token));
    });

    test('good ids are synced whatever stands beside them, each once', async () => {
        const anna = await server.addUser();
        const ben = await server.addUser();
        const [unlinked, nobody] = [randomUUID(), randomUUID()];
        sql(
            server,
            `INSERT INTO directus_users (id, email, status) VALUES ('${unlinked}', '${unlinked}@example.com', 'active')`,
        );
        for (const { id } of [anna, ben]) change(id, `role = '${roles.Viewer}'`);
        const keys = [anna.id, 7, nobody, unlinked, `${ben.id}' OR '1'='1`, null, ben.id.toUpperCase(), anna.id, {}];
        const { status, json } = await sync(updated(keys));
        assert.equal(status, 200);
        assert.equal(json.synced, 2);
        assert.deepEqual(
            json.users.map((user) => user.directusUserId),
            [anna.id, ben.id],
        );
        assert.deepEqual(
            json.skipped.map(({ directusUserId, reason }) => [directusUserId, reason]),
            [
                [7, 'invalid_id'],
                [nobody, 'no_such_user'],
                [unlinked, 'no_anythingllm_user'],
                [`${ben.id}' OR '1'='1`, 'invalid_id'],
                [null, 'invalid_id'],
                [{}, 'invalid_id'],
            ],
        );
        for (const { token } of [anna, ben]) assert.equal((await write(token)).status, 403);
        assert.deepEqual((await sync(updated(keys))).json, json, 'and once more is the same');
    });

    test('what Directus sends of new and deleted users is understood', async () => {
        const { id } = await server.addUser();
        const made = { event: 'users.create', collection: 'directus_users', key: id, payload: { role: id } };
        assert.equal((await sync(made)).json.synced, 1);
        sql(server, `DELETE FROM directus_users WHERE id = '${id}'`);
        const gone = { event: 'users.delete', collection: 'directus_users', keys: [id], payload: [id] };
        assert.deepEqual((await sync(gone)).json.skipped, [{ directusUserId: id, reason: 'no_such_user' }]);
        assert.deepEqual((await sync(updated([]))).json, { ok: true, synced: 0, users: [], skipped: [] });
    });

    test('a suspension comes and goes with the status, and with nothing else', async () => {
        const { id, token } = await server.addUser();
        const open = async () => (await server.request('/api/usage', { token })).status;
        change(id, "status = 'suspended'");
        await sync(updated([id], { status: 'suspended' }));
        assert.equal(Number(native(id).suspended), 1);
        assert.equal(await open(), 403);
        change(id, "status = 'active'");
        await sync(updated([id], { status: 'suspended' }));
        assert.equal(Number(native(id).suspended), 0, 'the status is read from the store');
        assert.equal(await open(), 200);

        sql(server, `UPDATE users SET suspended = 1 WHERE id = ${native(id).id}`);
        await sync(updated([id], { first_name: 'Anna' }));
        await sync({ userId: id });
        assert.equal(Number(native(id).suspended), 1, 'a suspension of this side stays');
        assert.equal(await open(), 403);
    });

    test('five hundred users at a time, and no more', async () => {
        const ids = Array.from({ length: 499 }, () => randomUUID());
        const { id } = await server.addUser();
        const { json } = await sync(updated([...ids, id]));
        assert.equal(json.synced, 1);
        assert.equal(json.skipped.length, 499);
        const many = await sync(updated([...ids, id, randomUUID()]));
        assert.equal(many.status, 400);
        assert.equal(many.json.field, 'keys');
    });

    test('bodies that say nothing, or of other things, are refused', async () => {
        const { id } = await server.addUser();
        for (const [body, field] of [
            [{}, 'userId'],
            [{ userId: 'admin' }, 'userId'],
            [{ userId: 1 }, 'userId'],
            [{ role: 'Creator' }, 'userId'],
            [{ key: null }, 'userId'],
            [{ keys: id }, 'keys'],
            [{ keys: { 0: id } }, 'keys'],
            [{ event: 'items.update', collection: 'media_jobs', keys: [id] }, 'collection'],
            [{ event: 1, keys: [id] }, 'event'],
        ]) {
            const { status, json } = await sync(body);
            assert.equal(status, 400, JSON.stringify(body));
            assert.equal(json.field, field, JSON.stringify(body));
        }
        for (const body of ['[]', '"x"', '{"keys":[', `{"userId":"${id}\\u0000"}`])
            assert.equal((await sync(body)).status, 400, body);
        await server.assertWell();
    });

    test('nobody but who knows the secret', async () => {
        const admin = await server.addUser({ role: 'Administrator' });
        const { id } = await server.addUser();
        for (const secret of ['', 'wrong'])
            assert.equal((await sync({ userId: id }, { secret, token: admin.token })).status, 401);
        const bare = await server.request('/api/rbac-sync', {
            method: 'POST',
            token: admin.token,
            body: { userId: id },
        });
        assert.equal(bare.status, 401);
    });

    test('simultaneous syncs of the same users agree', async () => {
        const users = [await server.addUser(), await server.addUser(), await server.addUser()];
        const keys = users.map(({ id }) => id);
        for (const id of keys) change(id, `role = '${roles.Administrator}'`);
        const answers = await Promise.all(
            Array.from({ length: 16 }, (_, i) => sync(updated(i % 2 ? keys : keys.toReversed?.() ?? [...keys].reverse()))),
        );
        for (const { status, json } of answers) assert.deepEqual([status, json.synced], [200, 3]);
        for (const id of keys) assert.equal(native(id).role, 'admin');
    });

    test('another server on the store hears of it', async () => {
        const other = await joinServer(server);
        try {
            const { id, token } = await server.addUser();
            assert.equal((await write(token, other)).status, 200);
            change(id, `role = '${roles.Viewer}'`);
            await sync({ userId: id });
            assert.equal((await write(token)).status, 403);
            await eventually(async () => (await write(token, other)).status === 403, 'read-only there, too');
        } finally {
            await stopServers([other]);
        }
    });
});
