// SPDX-License-Identifier: MIT
//
// One set of people, two programs: tokens and passwords of a real Directus count here and the other way round, and
// what an administrator changes at Directus holds here within seconds.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { ADMIN, startDirectus } from '../support/directus.mjs';
import { decode } from '../support/jwt.mjs';
import { eventually, newSession, talk } from '../support/talk.mjs';

const ELSEWHERE = '198.51.100.0/24';
const NOTE = { node_type: 'note', title: 'A note' };

describe('a real Directus and genie on its database', () => {
    let directus, genie, creatorRole;

    before(async () => {
        directus = await startDirectus();
        genie = await directus.startGenie();
        await directus.restart(); // which shows it the collections
        creatorRole = await directus.roleId('Creator');
    });
    after(async () => {
        await directus?.stop();
    });

    const me = (token) => genie.request('/api/directus/users/me', { token });
    /** Whether a token opens anything, in this server's own statuses. */
    const open = (token) => genie.request('/api/genie/history?sessionId=none', { token });
    const write = (token) =>
        genie.request('/api/directus/items/user_nodes', { method: 'POST', token, body: NOTE });
    const isAdmin = async (token) =>
        (await genie.request('/api/directus/items/system_config', { token })).status === 200;
    const logIn = ({ email, password }) =>
        genie.request('/api/directus/auth/login', { method: 'POST', body: { email, password } });
    const addUser = (more) => directus.addUser({ role: creatorRole, ...more });

    /** Until an answer to this token has that status: what Directus changed is seen some seconds late at most. */
    const holds = (ask, status, what) =>
        eventually(async () => (await ask()).status === status, `${status} after ${what}`);

    const policy = async (more) =>
        (await directus.admin('POST', '/policies', { name: 'Creator', ...more })).id;
    const grant = (to) => directus.admin('POST', '/access', to);

    describe('passwords and tokens', () => {
        test('who was added here logs in there, in any spelling', async () => {
            const user = await genie.addUser({ email: 'added.here@example.com' });
            const token = await directus.login({ ...user, email: 'Added.Here@Example.com' });
            assert.equal(decode(token).id, user.id);
            assert.equal(decode(token).app_access, true);
            assert.equal(decode(token).admin_access, false);
            assert.equal((await me(token)).json.data.email, user.email);
        });

        test('who was added there logs in here, in any spelling', async () => {
            const user = await addUser({ email: 'Added.There@Example.com' });
            const answer = await logIn({ ...user, email: 'added.there@example.com' });
            assert.equal(answer.status, 200, answer.text);
            const { access_token, refresh_token } = answer.json.data;
            assert.equal(decode(access_token).id, user.id);
            const there = await directus.request('/users/me', { token: access_token });
            assert.equal(there.json.data.id, user.id);
            const renewed = await directus.request('/auth/refresh', {
                method: 'POST',
                body: { refresh_token, mode: 'json' },
            });
            assert.equal(renewed.status, 200, renewed.text);
            assert.equal((await me(renewed.json.data.access_token)).status, 200);
        });

        test('a session that began there goes on here, and ends for both', async () => {
            const user = await addUser();
            const { refresh_token } = await directus.session(user);
            const post = (server, path, body) => server.request(path, { method: 'POST', body });
            const renewed = await post(genie, '/api/directus/auth/refresh', { refresh_token, mode: 'json' });
            assert.equal(renewed.status, 200, renewed.text);
            const next = { refresh_token: renewed.json.data.refresh_token, mode: 'json' };
            assert.equal((await post(genie, '/api/directus/auth/logout', next)).status, 204);
            assert.equal((await post(directus, '/auth/refresh', next)).status, 401);
        });

        test('a token made on the command line opens Directus', async () => {
            const user = await genie.addUser();
            const there = await directus.request('/users/me', { token: user.token });
            assert.equal(there.json.data.id, user.id, there.text);
        });

        test('a new password of either side counts on the other', async () => {
            const user = await addUser();
            const second = randomBytes(12).toString('base64url');
            await directus.admin('PATCH', `/users/${user.id}`, { password: second });
            assert.equal((await logIn({ ...user, password: second })).status, 200);
            const third = randomBytes(12).toString('base64url');
            await genie.cli(['user', 'passwd', '--email', user.email, '--password-stdin'], {
                stdin: `${third}\n`,
            });
            assert.ok(await directus.login({ ...user, password: third }));
            await assert.rejects(directus.login({ ...user, password: second }));
        });

        test('who is suspended here is refused there', async () => {
            const user = await genie.addUser();
            const { refresh_token } = await directus.session(user);
            await genie.cli(['user', 'suspend', '--email', user.email]);
            await assert.rejects(directus.login(user));
            const body = { refresh_token, mode: 'json' };
            assert.equal((await directus.request('/auth/refresh', { method: 'POST', body })).status, 401);
        });

        test('a static token opens both, and neither once it is gone', async () => {
            const token = randomBytes(24).toString('hex');
            const user = await addUser({ token });
            assert.equal((await me(token)).json.data.id, user.id);
            assert.equal((await directus.request('/users/me', { token })).status, 200);
            await directus.admin('PATCH', `/users/${user.id}`, { token: null });
            await holds(() => open(token), 401, 'the static token is gone');
        });

        test('a share opens nothing here', async () => {
            const made = await directus.admin('POST', '/items/system_config', { key: 'shared', value: 'x' });
            const share = await directus.admin('POST', '/shares', {
                name: 'A share',
                collection: 'system_config',
                item: made.id,
                role: creatorRole,
            });
            const opened = await directus.request('/shares/auth', {
                method: 'POST',
                body: { share: share.id, mode: 'json' },
            });
            const token = opened.json.data.access_token;
            assert.ok(decode(token).share, opened.text);
            assert.equal((await open(token)).status, 401);
        });
    });

    describe('the half of an account that Directus does not make', () => {
        test('is missed by the chat, and made by adopting', async () => {
            const user = await addUser({ first_name: 'Ada' });
            user.token = await directus.login(user);
            const body = { message: 'Hello', sessionId: newSession() };
            const ask = () =>
                genie.request('/api/genie/stream-chat', { method: 'POST', token: user.token, body });
            const missing = await ask();
            assert.equal(missing.status, 503, missing.text);
            assert.equal(missing.json.code, 'workspace_missing');

            const adopt = ['user', 'adopt', '--email', user.email, '--onboarding', 'COMPLETE', '--json'];
            const [made] = JSON.parse((await genie.cli(adopt)).stdout);
            assert.deepEqual(made.made, ['user', 'persona', 'workspace']);
            assert.equal(made.id, user.id);
            await holds(() => open(user.token), 200, 'adopting');
            await eventually(async () => (await ask()).status === 200, 'a chat after adopting');
            const answer = await talk(genie, user, body);
            assert.equal(answer.last.error, false);

            const again = JSON.parse((await genie.cli(adopt)).stdout);
            assert.deepEqual(again[0].made, []);
            assert.equal(again[0].anythingllm_user_id, made.anythingllm_user_id);
        });

        test('is made for all who lack something of it', async () => {
            const users = await Promise.all([addUser(), addUser(), addUser({ status: 'archived' })]);
            const nameless = '7d0a2d2e-6f5a-4a63-9c7e-0d2f7a3f1b01';
            directus.sql(`INSERT INTO directus_users (id, status) VALUES ('${nameless}', 'active')`);
            const whole = await genie.addUser();
            const run = async () => JSON.parse((await genie.cli(['user', 'adopt', '--all', '--json'])).stdout);
            const ids = (await run()).map((row) => row.id);
            for (const [i, user] of users.entries()) assert.equal(ids.includes(user.id), i < 2, user.email);
            assert.ok(ids.includes(nameless));
            assert.ok(!ids.includes(whole.id));
            assert.deepEqual(await run(), []);
            const native = directus.sql(
                `SELECT n.role FROM directus_users u JOIN users n ON n.id = u.anythingllm_user_id
                 WHERE u.email = '${ADMIN.email}'`,
            );
            assert.deepEqual(native, [{ role: 'admin' }]);
        });

        test('is made once by two who adopt at the same time', async () => {
            const user = await addUser();
            const adopt = ['user', 'adopt', '--email', user.email];
            await Promise.all([genie.cli(adopt), genie.cli(adopt)]);
            const [count] = directus.sql(
                `SELECT (SELECT count(*) FROM user_personas WHERE user_id = '${user.id}') AS personas,
                 (SELECT count(*) FROM users WHERE username LIKE '${user.email.split('@')[0]}%') AS users,
                 (SELECT count(*) FROM workspace_users w JOIN directus_users u ON u.anythingllm_user_id = w.user_id
                  WHERE u.id = '${user.id}') AS workspaces`,
            );
            assert.deepEqual(count, { personas: 1, users: 1, workspaces: 1 });
        });
    });

    // Each waits for caches to forget, so they wait together.
    describe('what changes there holds here', { concurrency: true }, () => {
        test('another role', async () => {
            const user = await addUser();
            const token = await directus.login(user);
            assert.equal((await write(token)).status, 200);
            await directus.admin('PATCH', `/users/${user.id}`, { role: await directus.roleId('Viewer') });
            await holds(() => write(token), 403, 'the role Viewer');
            assert.equal((await me(token)).status, 200);
        });

        for (const status of ['suspended', 'archived'])
            test(`a user is ${status}`, async () => {
                const user = await addUser();
                const token = await directus.login(user);
                assert.equal((await me(token)).status, 200);
                await directus.admin('PATCH', `/users/${user.id}`, { status });
                await holds(() => open(token), 403, status);
                assert.equal((await logIn(user)).status, 401);
            });

        test('a user is deleted, with all rows', async () => {
            const user = await addUser();
            const token = await directus.login(user);
            assert.equal((await write(token)).status, 200);
            await directus.admin('DELETE', `/users/${user.id}`);
            await holds(() => open(token), 401, 'the user is gone');
            assert.deepEqual(directus.sql(`SELECT id FROM user_nodes WHERE user_id = '${user.id}'`), []);
        });

        test('a session is revoked', async () => {
            const user = await addUser();
            const { cookie } = await directus.session(user, 'session');
            const token = cookie.split('=')[1];
            assert.ok(decode(token).session);
            assert.equal((await me(token)).status, 200);
            const out = await directus.request('/auth/logout', {
                method: 'POST',
                headers: { Cookie: cookie },
                body: { mode: 'session' },
            });
            assert.equal(out.status, 204, out.text);
            await holds(() => open(token), 401, 'the session is gone');
        });

        test('a policy is taken away', async () => {
            const user = await addUser();
            const token = await directus.login(user);
            const admins = await policy({ admin_access: true });
            await grant({ user: user.id, policy: admins });
            await eventually(() => isAdmin(token), 'a policy of the user itself');
            await directus.admin('DELETE', `/policies/${admins}`);
            await eventually(async () => !(await isAdmin(token)), 'the policy is gone');
        });

        test('a tier', async () => {
            const user = await addUser();
            const token = await directus.login(user);
            const fan = { platform: 'x', notes: 'likes tea' };
            const add = () =>
                genie.request('/api/directus/items/fan_profiles', { method: 'POST', token, body: fan });
            assert.equal((await add()).status, 403);
            await directus.admin('PATCH', `/users/${user.id}`, { subscription_tier: 'studio' });
            await holds(add, 200, 'the tier studio');
        });
    });

    describe('rights', () => {
        const newRole = async (more) =>
            (await directus.admin('POST', '/roles', { name: `Role ${randomBytes(3).toString('hex')}`, ...more })).id;
        const asUser = async (role) => await directus.login(await addUser({ role }));
        const sees = async (token) => ({ here: await isAdmin(token), there: decode(token).admin_access });

        test('come by the parents of a role', async () => {
            const grandparent = await newRole();
            await grant({ role: grandparent, policy: await policy({ admin_access: true }) });
            const role = await newRole({ parent: await newRole({ parent: grandparent }) });
            assert.deepEqual(await sees(await asUser(role)), { here: true, there: true });
        });

        test('come by the address that a policy names, and by no other', async () => {
            for (const [address, expected] of [
                [ELSEWHERE, false],
                [`${ELSEWHERE},127.0.0.0/8`, true],
            ]) {
                const role = await newRole();
                const bound = await policy({ admin_access: true, ip_access: address.split(',') });
                await grant({ role, policy: bound });
                assert.deepEqual(await sees(await asUser(role)), { here: expected, there: expected }, address);
            }
        });

        test('of two policies with one name both count', async () => {
            const role = await newRole();
            await grant({ role, policy: await policy({ app_access: true }) });
            assert.deepEqual(await sees(await asUser(role)), { here: false, there: false });
            await grant({ role, policy: await policy({ admin_access: true }) });
            assert.deepEqual(await sees(await asUser(role)), { here: true, there: true });
        });

        test('of a role without policies, and of no role, are those of a user on own rows', async () => {
            for (const role of [await newRole(), null]) {
                const token = await asUser(role);
                assert.deepEqual(await sees(token), { here: false, there: false });
                assert.equal((await me(token)).status, 200);
                assert.equal((await write(token)).status, 200);
                const rows = await genie.request('/api/directus/items/user_nodes', { token });
                assert.equal(rows.json.data.length, 1);
            }
        });

        test("Directus's own administrator is one here", async () => {
            assert.equal(await isAdmin(await directus.login(ADMIN)), true);
            const answer = await logIn(ADMIN);
            assert.equal(decode(answer.json.data.access_token).admin_access, true, answer.text);
        });
    });
});
