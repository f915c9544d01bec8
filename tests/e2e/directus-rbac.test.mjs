// SPDX-License-Identifier: MIT
//
// A Flow of a real Directus that tells of changed users: by its "Webhook / Request URL" operation, with the secret as a
// header. Directus keeps requests off private addresses unless IMPORT_IP_DENY_LIST says otherwise.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startDirectus } from '../support/directus.mjs';
import { eventually } from '../support/talk.mjs';

describe('a Flow of a real Directus that calls rbac-sync', () => {
    let directus, genie, roles;

    before(async () => {
        directus = await startDirectus();
        genie = await directus.startGenie();
        await directus.restart({ IMPORT_IP_DENY_LIST: '' }); // which also shows it the collections
        roles = {};
        for (const name of ['Administrator', 'Creator', 'Viewer']) roles[name] = await directus.roleId(name);
        await makeFlow('Tell GenieHelper', {
            type: 'action',
            scope: ['items.create', 'items.update', 'items.delete'],
            collections: ['directus_users'],
        });
    });
    after(async () => {
        await directus?.stop();
    });

    async function makeFlow(name, options) {
        const flow = await directus.admin('POST', '/flows', { name, status: 'active', trigger: 'event', options });
        const operation = await directus.admin('POST', '/operations', {
            flow: flow.id,
            key: 'rbac_sync',
            type: 'request',
            position_x: 19,
            position_y: 1,
            options: {
                method: 'POST',
                url: `${genie.url}/api/rbac-sync`,
                headers: [{ header: 'X-RBAC-SYNC-SECRET', value: genie.secrets.RBAC_SYNC_WEBHOOK_SECRET }],
                body: '{{$trigger}}',
            },
        });
        await directus.admin('PATCH', `/flows/${flow.id}`, { operation: operation.id });
    }

    const native = (id) =>
        directus.sql(
            `SELECT a.role, a.suspended FROM users a JOIN directus_users u ON u.anythingllm_user_id = a.id
             WHERE u.id = '${id}'`,
        )[0];
    const isNative = (id, role) => eventually(async () => native(id)?.role === role, `the role ${role}`);
    const write = async (token) =>
        (
            await genie.request('/api/directus/items/user_nodes', {
                method: 'POST',
                token,
                body: { node_type: 'note', title: 'A note' },
            })
        ).status;

    test('a role that is given there is had here', async () => {
        const user = await genie.addUser();
        assert.equal(native(user.id).role, 'default');
        await directus.admin('PATCH', `/users/${user.id}`, { role: roles.Administrator });
        await isNative(user.id, 'admin');
        const settings = await genie.request('/api/directus/items/system_config', { token: user.token });
        assert.equal(settings.status, 200);
        await directus.admin('PATCH', `/users/${user.id}`, { role: roles.Viewer });
        await isNative(user.id, 'default');
        assert.equal(await write(user.token), 403);
    });

    test('several at a time', async () => {
        const users = [await genie.addUser(), await genie.addUser()];
        await directus.admin('PATCH', '/users', {
            keys: users.map(({ id }) => id),
            data: { role: roles.Administrator },
        });
        for (const { id } of users) await isNative(id, 'admin');
    });

    test('a suspension goes there and back', async () => {
        const user = await genie.addUser();
        const suspended = (flag) =>
            eventually(async () => Number(native(user.id).suspended) === flag, `suspended: ${flag}`);
        await directus.admin('PATCH', `/users/${user.id}`, { status: 'suspended' });
        await suspended(1);
        await directus.admin('PATCH', `/users/${user.id}`, { status: 'active' });
        await suspended(0);
        assert.equal(await write(user.token), 200);
    });

    test('new and deleted users do no harm', async () => {
        const user = await directus.addUser({ role: roles.Creator });
        await genie.waitForLog((line) => line.json?.event === 'users.create');
        await directus.admin('DELETE', `/users/${user.id}`);
        await genie.waitForLog((line) => line.json?.event === 'users.delete');
        await genie.assertWell();
    });
});
