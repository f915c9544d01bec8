// SPDX-License-Identifier: MIT
//
// POST and DELETE /api/impersonate: an admin acts as a creator for a while, never as another admin, and the
// session dies with anything it stands on.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { startGenie } from '../support/genie.mjs';
import { decode, directusToken, now, signHmac } from '../support/jwt.mjs';
import { startModel } from '../support/model.mjs';
import { joinServer, stopServers } from '../support/servers.mjs';
import { chat } from '../support/sse.mjs';
import { CONNECT, eventually, sql } from '../support/talk.mjs';

const PATH = '/api/impersonate';

describe('impersonation', () => {
    let server, admin, roles;

    before(async () => {
        server = await startGenie();
        admin = await server.addUser({ role: 'Administrator' });
        const found = sql(server, 'SELECT id, name FROM directus_roles');
        roles = Object.fromEntries(found.map(({ id, name }) => [name, id]));
    });
    after(async () => {
        await server?.stop();
    });

    const begin = (body, { token = admin.token, headers } = {}) =>
        server.request(PATH, { method: 'POST', token, body, headers });
    const end = (token, body, at = server) => at.request(PATH, { method: 'DELETE', token, body });
    const usage = async (token, at = server) => (await at.request('/api/usage', { token })).status;
    const row = (id) => sql(server, `SELECT * FROM impersonations WHERE id = '${id}'`)[0];
    const acting = async (user) => {
        const { status, json, text } = await begin({ userId: user.id });
        assert.equal(status, 200, text);
        return json.token;
    };
    /** Forgets what is cached, as a write of another process does within seconds. */
    const dies = (token, what) => eventually(async () => (await usage(token)) === 401, what);

    test('a token of 15 minutes that says who is behind it', async () => {
        const user = await server.addUser();
        const before = now();
        const answer = await begin(
            { userId: user.id.toUpperCase(), reason: 'Ticket 4711: “it is slow”' },
            { headers: { 'X-Request-Id': 'ticket-4711' } },
        );
        assert.equal(answer.status, 200, answer.text);
        assert.match(answer.headers['cache-control'], /no-store/);
        const { token, ...rest } = answer.json;
        assert.deepEqual(rest, {
            ok: true,
            expires: 900_000,
            user: { id: user.id, email: user.email, role: 'Creator' },
            impersonator: { id: admin.id },
        });
        const claims = decode(token);
        assert.equal(claims.exp - claims.iat, 900);
        assert.ok(claims.iat >= before && claims.iat <= now());
        assert.deepEqual(
            { ...claims, iat: 0, exp: 0, jti: '' },
            {
                id: user.id,
                role: roles.Creator,
                app_access: true,
                admin_access: false,
                jti: '',
                impersonated_by: admin.id,
                iat: 0,
                exp: 0,
                iss: 'directus',
            },
        );
        const kept = row(claims.jti);
        assert.equal(kept.impersonator_id, admin.id);
        assert.equal(kept.user_id, user.id);
        assert.equal(kept.reason, 'Ticket 4711: “it is slow”');
        assert.equal(kept.request_id, 'ticket-4711');
        assert.equal(kept.ip, '127.0.0.1');
        assert.equal(kept.ended_at, null);
        assert.equal(new Date(kept.expires_at).getTime(), claims.exp * 1000);
        const me = await server.request('/api/directus/users/me', { token });
        assert.equal(me.json.data.id, user.id);
        assert.ok(!server.logText.includes(token));
    });

    test('every request with it is logged with both ids', async () => {
        const user = await server.addUser();
        const token = await acting(user);
        await server.request('/api/usage', { token, headers: { 'X-Request-Id': 'both-ids' } });
        const { json } = await server.waitForLog((line) => JSON.stringify(line.json).includes('"both-ids"') && line.json.impersonated_by);
        assert.equal(json.user, user.id);
        assert.equal(json.impersonated_by, admin.id);
    });

    test('not of admins, the inactive, nobody, or oneself', async () => {
        const other = await server.addUser({ role: 'Administrator' });
        const [suspended, archived, native] = [
            await server.addUser(),
            await server.addUser(),
            await server.addUser(),
        ];
        await server.cli(['user', 'suspend', '--email', suspended.email]);
        sql(server, `UPDATE directus_users SET status = 'archived' WHERE id = '${archived.id}'`);
        sql(
            server,
            `UPDATE users SET suspended = 1 WHERE id =
             (SELECT anythingllm_user_id FROM directus_users WHERE id = '${native.id}')`,
        );
        const count = () => Number(sql(server, 'SELECT count(*) AS n FROM impersonations')[0].n);
        const so_far = count();
        for (const [userId, status] of [
            [other.id, 403],
            [admin.id, 403],
            [suspended.id, 403],
            [archived.id, 403],
            [native.id, 403],
            [randomUUID(), 404],
        ]) {
            const answer = await begin({ userId });
            assert.equal(answer.status, status, answer.text);
            assert.equal(answer.json.token, undefined);
        }
        assert.equal(count(), so_far);
    });

    test('bodies it does not take', async () => {
        const { id } = await server.addUser();
        for (const body of [
            {},
            { userId: null },
            { userId: 'admin' },
            { userId: [id] },
            { userId: `${id}' --` },
            { userId: id, reason: 5 },
            { userId: id, reason: 'r'.repeat(501) },
            { userId: id, reason: 'é'.repeat(501) },
            `{"userId":"${id}","userId":"${id}"}`,
            '[',
        ])
            assert.equal((await begin(body)).status, 400, JSON.stringify(body));
        assert.equal((await begin({ userId: id, reason: '€'.repeat(500) })).status, 200);
        assert.equal((await begin({ userId: id, reason: 'r'.repeat(20_000) })).status, 413);
    });

    test('an impersonated session begins no other, and is no admin', async () => {
        const user = await server.addUser();
        const other = await server.addUser();
        const token = await acting(user);
        assert.equal((await begin({ userId: other.id }, { token })).status, 403);
        assert.equal((await begin({ userId: user.id }, { token: user.token })).status, 403);
        assert.equal((await server.request('/api/directus/items/system_config', { token })).status, 403);
    });

    test('it can be ended by itself, once', async () => {
        const user = await server.addUser();
        const [token, another] = [await acting(user), await acting(user)];
        assert.equal(await usage(token), 200);
        const answer = await end(token, { userId: admin.id });
        assert.deepEqual(answer.json, { ok: true, ended: 1 });
        assert.notEqual(row(decode(token).jti).ended_at, null);
        assert.equal(await usage(token), 401);
        assert.equal((await end(token)).status, 401);
        assert.equal(await usage(another), 200, 'another of the same user goes on');
        assert.equal(await usage(user.token), 200, 'and so does the user');
    });

    test('an admin ends those of a user, whoever began them', async () => {
        const user = await server.addUser();
        const second = await server.addUser({ role: 'Administrator' });
        const tokens = [await acting(user), await acting(user)];
        for (const token of tokens) assert.equal(await usage(token), 200);
        assert.equal((await end(second.token)).status, 400);
        assert.equal((await end(user.token, { userId: user.id })).status, 403);
        assert.deepEqual((await end(second.token, { userId: user.id })).json, { ok: true, ended: 2 });
        for (const token of tokens) assert.equal(await usage(token), 401);
        assert.deepEqual((await end(second.token, { userId: user.id })).json, { ok: true, ended: 0 });
    });

    test('a read-only user stays one, and the session can still be ended', async () => {
        const viewer = await server.addUser({ role: 'Viewer' });
        const token = await acting(viewer);
        const written = await server.request('/api/directus/items/user_nodes', {
            method: 'POST',
            token,
            body: { node_type: 'note', title: 'x' },
        });
        assert.equal(written.status, 403);
        assert.equal((await end(token)).status, 200);
    });

    test('it dies when the admin is none any more', async () => {
        const user = await server.addUser();
        for (const what of ['role = NULL', "status = 'suspended'"]) {
            const fallen = await server.addUser({ role: 'Administrator' });
            const { json } = await begin({ userId: user.id }, { token: fallen.token });
            assert.equal(await usage(json.token), 200);
            sql(server, `UPDATE directus_users SET ${what} WHERE id = '${fallen.id}'`);
            await dies(json.token, what);
        }
    });

    test('it dies when the user becomes an admin, or inactive', async () => {
        const risen = await server.addUser();
        const token = await acting(risen);
        assert.equal(await usage(token), 200);
        sql(server, `UPDATE directus_users SET role = '${roles.Administrator}' WHERE id = '${risen.id}'`);
        await dies(token, 'an admin');
        const gone = await server.addUser();
        const second = await acting(gone);
        sql(server, `UPDATE directus_users SET status = 'suspended' WHERE id = '${gone.id}'`);
        await eventually(async () => (await usage(second)) === 403, 'suspended');
    });

    test('a token of that form that no row stands behind is nobody', async () => {
        const user = await server.addUser();
        const secret = server.secrets.DIRECTUS_SECRET;
        const forged = (more) => directusToken(user.id, secret, { impersonated_by: admin.id, ...more });
        const real = decode(await acting(user));
        for (const token of [
            forged({ jti: randomUUID() }),
            forged({}),
            forged({ jti: `${real.jti}' OR '1'='1` }),
            signHmac({ ...real, impersonated_by: randomUUID() }, secret),
            signHmac({ ...real, id: admin.id }, secret),
        ])
            assert.equal(await usage(token), 401);
        assert.equal(await usage(signHmac(real, secret)), 200);
    });

    test('another server refuses it as soon as it hears of the end', async () => {
        const other = await joinServer(server);
        try {
            const token = await acting(await server.addUser());
            assert.equal(await usage(token, other), 200);
            assert.equal((await end(token)).status, 200);
            await eventually(async () => (await usage(token, other)) === 401, 'refused there');
        } finally {
            await stopServers([other]);
        }
    });

    test('its answers come from the model of creators', async () => {
        const model = await startModel();
        const local = await startGenie({
            env: {
                ...CONNECT.anthropic(model),
                ...CONNECT.ollama(model),
                LLM_PROVIDER: undefined,
                OLLAMA_MODEL: 'local',
            },
        });
        try {
            const boss = await local.addUser({ role: 'Administrator' });
            const user = await local.addUser();
            const { json } = await local.request(PATH, {
                method: 'POST',
                token: boss.token,
                body: { userId: user.id },
            });
            const own = await chat(local, boss.token, { message: 'Who are you?' });
            const acted = await chat(local, json.token, { message: 'Who are you?' });
            assert.notEqual(own.last.metrics.model, acted.last.metrics.model);
            assert.match(acted.last.metrics.model, /local/);
        } finally {
            await local.stop();
            await model.stop?.();
            await model.close?.();
        }
    });
});
