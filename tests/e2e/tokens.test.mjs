// SPDX-License-Identifier: MIT
//
// Who is let in, and who is not: every wrong kind of token is a 401 with the documented body, the
// server lives on, and no token ever reaches the log.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startGenie } from '../support/genie.mjs';
import {
    decode,
    directusClaims,
    directusToken,
    now,
    signHmac,
    tampered,
    without,
    wrongTokens,
} from '../support/jwt.mjs';

const HISTORY = '/api/genie/history?sessionId=tokens-test';

function assertRefused(answer, what) {
    assert.equal(answer.status, 401, `${what}: status ${answer.status}, ${answer.text.slice(0, 200)}`);
    assert.equal(answer.json?.ok, false, what);
    assert.equal(answer.json.error, 'Invalid or expired token', what);
    assert.match(answer.json.code, /^[a-z][a-z0-9_]*$/, what);
    assert.match(answer.headers['content-type'], /^application\/json\b/, what);
    assert.ok(answer.headers['x-request-id'], what);
}

/** Polls until `look()` is true: for changes made by another process, which may be seen some seconds late. */
async function eventually(look, limitMs = 60_000) {
    const deadline = performance.now() + limitMs;
    while (!(await look())) {
        assert.ok(performance.now() < deadline, `not within ${limitMs} ms`);
        await sleep(200);
    }
}

describe('bearer tokens', () => {
    let server, creator, admin, secret;
    const used = new Set();

    const history = (token) => {
        used.add(token);
        return server.request(HISTORY, { token });
    };
    const me = (token) => server.request('/api/directus/users/me?fields=*', { token });

    before(async () => {
        server = await startGenie();
        secret = server.secrets.DIRECTUS_SECRET;
        creator = await server.addUser({ tier: 'pro' });
        admin = await server.addUser({ role: 'Administrator' });
    });
    after(async () => {
        await server.stop();
    });

    describe('that are right', () => {
        test('a token made by the command line is a Directus JWT of 15 minutes', async () => {
            const claims = decode(creator.token);
            assert.deepEqual(
                { iss: claims.iss, app_access: claims.app_access, admin_access: claims.admin_access },
                { iss: 'directus', app_access: true, admin_access: false },
            );
            assert.equal(claims.exp - claims.iat, 900);
            assert.equal((await history(creator.token)).status, 200);
        });

        test('a token signed elsewhere with DIRECTUS_SECRET is as good', async () => {
            assert.equal((await history(directusToken(creator.id, secret))).status, 200);
        });

        test('claims that nobody knows are no reason to refuse', async () => {
            assert.equal(
                (await history(directusToken(creator.id, secret, { extra: { deep: [1] } }))).status,
                200,
            );
        });

        test('iat may lie up to a minute ahead', async () => {
            assert.equal((await history(directusToken(creator.id, secret, { iat: now() + 30 }))).status, 200);
        });

        test('the same token is good for native routes', async () => {
            assert.equal((await me(creator.token)).status, 200);
        });
    });

    describe('that are wrong', () => {
        test('each wrong kind is a 401 with the documented body', async () => {
            for (const { name, token } of wrongTokens(creator.id, secret))
                assertRefused(await history(token), name);
            await server.assertWell();
        });

        test('each wrong kind is a 401 on the chat stream too, before it opens', async () => {
            for (const { name, token } of wrongTokens(creator.id, secret)) {
                used.add(token);
                assertRefused(
                    await server.request('/api/genie/stream-chat', {
                        method: 'POST',
                        token,
                        body: { message: 'hello' },
                    }),
                    name,
                );
            }
            await server.assertWell();
        });

        test("each wrong kind is refused on the Directus routes in Directus's own shape", async () => {
            for (const { name, token } of wrongTokens(creator.id, secret)) {
                used.add(token);
                const answer = await me(token);
                assert.ok([401, 403].includes(answer.status), `${name}: ${answer.status}`);
                assert.match(answer.json?.errors?.[0]?.extensions?.code ?? '', /^[A-Z_]+$/, name);
            }
            await server.assertWell();
        });

        test('a good token with any one byte changed is a 401', async () => {
            for (const { name, token } of tampered(directusToken(creator.id, secret)))
                assertRefused(await history(token), name);
            await server.assertWell();
        });

        test('a good token cut short anywhere is a 401', async () => {
            const good = directusToken(creator.id, secret);
            for (let length = 1; length < good.length; length += 7)
                assertRefused(await history(good.slice(0, length)), `first ${length} bytes`);
        });

        test('no token, an empty one and other schemes are a 401', async () => {
            const good = directusToken(creator.id, secret);
            for (const Authorization of [
                undefined,
                '',
                'Bearer',
                'Bearer ',
                'Bearer  ',
                'null',
                'undefined',
                'Bearer null',
                'Bearer undefined',
                good,
                `Basic ${Buffer.from('a:b').toString('base64')}`,
                `Basic ${good}`,
                `Token ${good}`,
                `Bearer ${good} ${good}`,
                `Bearer ${good},${good}`,
            ]) {
                const headers = Authorization === undefined ? {} : { Authorization };
                const answer = await server.request(HISTORY, { headers });
                assert.equal(answer.status, 401, JSON.stringify(Authorization));
                assert.equal(answer.json?.ok, false);
                assert.match(answer.json.code, /^[a-z][a-z0-9_]*$/);
            }
        });

        test('a token in the query, the body or a cookie is no token', async () => {
            const good = directusToken(creator.id, secret);
            const cookie = { Cookie: `directus_session_token=${good}; access_token=${good}` };
            assert.equal((await server.request(`${HISTORY}&access_token=${good}`)).status, 401);
            assert.equal((await server.request(HISTORY, { headers: cookie })).status, 401);
            assert.equal(
                (
                    await server.request('/api/genie/stream-chat', {
                        method: 'POST',
                        body: { message: 'x', token: good, access_token: good },
                    })
                ).status,
                401,
            );
        });
    });

    describe('and what they may', () => {
        const config = (token) => server.request('/api/directus/items/system_config', { token });

        test('admin rights come from the database, never from the claim', async () => {
            assert.equal(
                (await config(directusToken(creator.id, secret, { admin_access: true }))).status,
                403,
            );
            assert.equal(
                (await config(directusToken(admin.id, secret, { admin_access: false }))).status,
                200,
            );
        });

        test('the role of the claim is not believed either', async () => {
            const { role } = decode(admin.token);
            assert.equal((await config(directusToken(creator.id, secret, { role }))).status, 403);
        });

        test('a token counts only while its user is active', async () => {
            const gone = await server.addUser();
            assert.equal((await history(gone.token)).status, 200);
            await server.cli(['user', 'suspend', '--email', gone.email]);
            await eventually(async () => [401, 403].includes((await history(gone.token)).status));
        });

        test('a token with a session claim counts only while that session lives', async () => {
            const login = await server.request('/api/directus/auth/login', {
                method: 'POST',
                body: { email: creator.email, password: creator.password, mode: 'session' },
            });
            assert.equal(login.status, 200, login.text);
            const [cookie] = (login.headers['set-cookie'] ?? [])
                .map((line) => /^directus_session_token=([^;]+)/.exec(line)?.[1])
                .filter(Boolean);
            assert.ok(decode(cookie).session);
            assert.equal((await history(cookie)).status, 200);
            const logout = await server.request('/api/directus/auth/logout', {
                method: 'POST',
                headers: { Cookie: `directus_session_token=${cookie}` },
                body: { mode: 'session' },
            });
            assert.equal(logout.status, 204, logout.text);
            assertRefused(await history(cookie), 'session after log-out');
        });
    });

    describe('of native clients', () => {
        let account;
        const native = (claims, key = server.secrets.JWT_SECRET, options = {}) =>
            signHmac({ iat: now(), exp: now() + 900, ...claims }, key, options);

        before(async () => {
            const users = JSON.parse((await server.cli(['user', 'list', '--json'])).stdout);
            const { anythingllm_user_id: id } = users.find(({ email }) => email === admin.email.toLowerCase());
            account = { id, username: admin.email.toLowerCase() };
        });

        test('the AnythingLLM token of a linked user is accepted', async () => {
            assert.ok(Number.isInteger(account.id));
            assert.equal((await history(native(account))).status, 200);
        });

        test('every wrong kind of it is a 401', async () => {
            const claims = { iat: now(), exp: now() + 900, ...account };
            const key = server.secrets.JWT_SECRET;
            for (const [name, token] of [
                ['exp missing', signHmac(without(claims, 'exp'), key)],
                ['expired', native({ ...account, exp: now() - 1 })],
                ['unknown id', native({ ...account, id: 2_000_000_000 })],
                ['id negative', native({ ...account, id: -1 })],
                ['id a fraction', native({ ...account, id: account.id + 0.5 })],
                ['id missing', native({ username: account.username })],
                ['signed with the other secret', native(account, secret)],
                ['HS384', native(account, key, { alg: 'HS384' })],
                ['HS512', native(account, key, { alg: 'HS512' })],
                ['a Directus token signed with this secret', signHmac(directusClaims(creator.id), key)],
            ])
                assertRefused(await history(token), name);
        });
    });

    test('no line of the log holds a token, or a part of one', async () => {
        await server.stop({ keep: true });
        const log = server.logText;
        assert.ok(log.includes('/api/genie/history'), 'requests are logged');
        for (const token of [...used, creator.token, admin.token])
            for (const part of token.split('.').slice(1).concat(token))
                if (part.length >= 24)
                    assert.ok(!log.includes(part.slice(0, 64)), `the log holds ${part.slice(0, 64)}`);
        for (const { password } of [creator, admin])
            assert.ok(!log.includes(password), 'the log holds a password');
        for (const value of Object.values(server.given))
            assert.ok(!log.includes(value), 'the log holds a secret');
    });
});

describe('secrets that rotate', () => {
    test('several keys, newest first, are all accepted; others are not', async () => {
        const [newest, older] = ['n'.repeat(40), 'o'.repeat(40)];
        const server = await startGenie({ env: { DIRECTUS_SECRET: `${newest},${older}` } });
        try {
            const user = await server.addUser();
            for (const key of [newest, older])
                assert.equal(
                    (await server.request(HISTORY, { token: directusToken(user.id, key) })).status,
                    200,
                );
            for (const key of [`${newest},${older}`, ',', '', 'x'.repeat(40)])
                assertRefused(await server.request(HISTORY, { token: directusToken(user.id, key) }), key);
            const [head, payload, signature] = user.token.split('.');
            assert.equal(
                signature,
                createHmac('sha256', newest).update(`${head}.${payload}`).digest('base64url'),
                'new tokens are signed with the newest key',
            );
        } finally {
            await server.stop();
        }
    });

    test('without secrets in the environment, the server makes its own once and keeps them', async () => {
        const server = await startGenie({ secrets: 'generated' });
        try {
            const user = await server.addUser();
            const made = server.secrets.DIRECTUS_SECRET;
            assert.ok(made.length >= 32);
            assert.equal(
                (await server.request(HISTORY, { token: directusToken(user.id, made) })).status,
                200,
            );
            await server.restart();
            assert.equal(server.secrets.DIRECTUS_SECRET, made);
            assert.equal((await server.request(HISTORY, { token: user.token })).status, 200);
        } finally {
            await server.stop();
        }
    });
});
