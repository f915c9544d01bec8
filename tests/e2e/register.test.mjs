// SPDX-License-Identifier: MIT
//
// Registration: what it takes and refuses, in which order, what it makes and leaves, how often a client may try;
// and the command line that makes its invites.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startGenie } from '../support/genie.mjs';
import { counts, invite, inviteRow, invites, newEmail, register } from '../support/invites.mjs';
import { sql, talk } from '../support/talk.mjs';

const CODE = /^[0-9A-HJKMNP-TV-Z]{7}(-[0-9A-HJKMNP-TV-Z]{7}){3}$/;

describe('POST /api/register', () => {
    let server;

    const logIn = (email, password) =>
        server.request('/api/directus/auth/login', { method: 'POST', body: { email, password } });

    before(async () => {
        server = await startGenie();
    });
    after(async () => {
        await server.stop();
    });

    test('makes an account that logs in, is at the beginning of onboarding, and chats', async () => {
        const inviteCode = await invite(server);
        const answer = await register(server, {
            email: 'Anna.Lind@Example.com',
            password: 'correct horse',
            inviteCode,
            firstName: 'Anna',
            role: 'Administrator',
            subscription_tier: 'studio',
        });
        assert.equal(answer.status, 200, answer.text);
        assert.deepEqual(Object.keys(answer.json).sort(), ['ok', 'userId']);
        const [user] = sql(
            server,
            `SELECT u.id, u.email, u.first_name, u.status, u.subscription_tier, u.subscription_start, r.name AS role,
             a.username, a.id AS native, p.onboarding_state, w."openAiPrompt" AS prompt, c.value AS directive
             FROM directus_users u JOIN directus_roles r ON r.id = u.role
             JOIN users a ON a.id = u.anythingllm_user_id JOIN user_personas p ON p.user_id = u.id
             JOIN workspace_users wu ON wu.user_id = a.id JOIN workspaces w ON w.id = wu.workspace_id
             JOIN system_config c ON c.key = 'prime_directive' WHERE u.email = 'anna.lind@example.com'`,
        );
        assert.equal(user.id, answer.json.userId);
        assert.equal(user.role, 'Creator');
        assert.equal(user.status, 'active');
        assert.equal(user.subscription_tier, 'starter');
        assert.ok(user.subscription_start);
        assert.equal(user.username, 'anna.lind@example.com');
        assert.equal(user.first_name, 'Anna');
        assert.equal(user.onboarding_state, 'EXTENSION_INSTALL');
        assert.equal(user.prompt, user.directive);
        const used = inviteRow(server, inviteCode);
        assert.equal(used.status, 'claimed');
        assert.equal(Number(used.claimedBy), Number(user.native));
        const session = await logIn('anna.lind@example.com', 'correct horse');
        assert.equal(session.status, 200, session.text);
        const token = session.json.data.access_token;
        const gated = await talk(server, { id: user.id, token }, 'Hello');
        assert.match(gated.answer, /extension/i);
        for (const state of ['DATA_COLLECTION', 'PROCESSING', 'COMPLETE']) {
            const step = await server.request('/api/onboarding', { method: 'PATCH', token, body: { state } });
            assert.equal(step.status, 200, step.text);
        }
        const free = await talk(server, { id: user.id, token }, 'Hello');
        assert.ok(free.last.chatId > 0);
        assert.ok(!server.logText.includes('correct horse'));
    });

    test('checks fields, then the invite, then the address', async () => {
        const inviteCode = await invite(server);
        const known = await server.addUser();
        const before = counts(server);
        const cases = [
            [{ email: undefined }, 400, 'missing_field', 'Missing required fields', 'email'],
            [{ password: null }, 400, 'missing_field', 'Missing required fields', 'password'],
            [{ inviteCode: ' ' }, 400, 'missing_field', 'Missing required fields', 'inviteCode'],
            [{ email: 'nobody', inviteCode: 'no' }, 400, 'invalid_field', undefined, 'email'],
            [{ password: 'short', inviteCode: 'no' }, 400, 'invalid_field', undefined, 'password'],
            [{ password: 'x'.repeat(129) }, 400, 'invalid_field', undefined, 'password'],
            [{ password: ['correct horse'] }, 400, 'invalid_field', undefined, 'password'],
            [{ password: 'nul\0inside' }, 400, undefined, undefined, undefined],
            [{ firstName: 'x'.repeat(51) }, 400, 'invalid_field', undefined, 'firstName'],
            [{ firstName: 'An\nna' }, 400, 'invalid_field', undefined, 'firstName'],
            [{ firstName: 'An\u2028na' }, 400, 'invalid_field', undefined, 'firstName'],
            [{ firstName: '\u202eannA' }, 400, 'invalid_field', undefined, 'firstName'],
            [{ inviteCode: 'no' }, 400, 'invalid_invite', 'Invalid invite code', 'inviteCode'],
            [
                { inviteCode: inviteCode.toLowerCase() },
                400,
                'invalid_invite',
                'Invalid invite code',
                'inviteCode',
            ],
            [
                { email: known.email, inviteCode: 'no' },
                400,
                'invalid_invite',
                'Invalid invite code',
                'inviteCode',
            ],
            [{ email: known.email.toUpperCase() }, 409, 'email_exists', 'Email already exists', 'email'],
        ];
        for (const [body, status, code, sentence, field] of cases) {
            const answer = await register(server, { inviteCode, ...body });
            const what = `${JSON.stringify(body)}: ${answer.text}`;
            assert.equal(answer.status, status, what);
            if (code) assert.equal(answer.json.code, code, what);
            if (sentence) assert.equal(answer.json.error, sentence, what);
            if (field) assert.equal(answer.json.field, field, what);
            assert.ok(answer.headers['ratelimit-remaining'], what);
        }
        assert.deepEqual(counts(server), before);
        assert.equal(inviteRow(server, inviteCode).status, 'pending');
        const umlauts = await register(server, {
            inviteCode,
            password: 'ü'.repeat(128),
            firstName: 'ß'.repeat(50),
        });
        assert.equal(umlauts.status, 200, umlauts.text);
    });

    test('an invite that is used, expired or withdrawn is as good as none', async () => {
        const [used, expired, withdrawn] = await invites(server, 3);
        assert.equal((await register(server, { inviteCode: used })).status, 200);
        sql(server, `UPDATE invites SET expires_at = '2020-01-01T00:00:00.000Z' WHERE code = '${expired}'`);
        await server.cli(['invite', 'revoke', withdrawn]);
        for (const inviteCode of [used, expired, withdrawn]) {
            const answer = await register(server, { inviteCode });
            assert.equal(answer.status, 400);
            assert.equal(answer.json.error, 'Invalid invite code');
        }
    });

    test('a failure in the midst of it leaves nothing, and the invite as it was', async () => {
        const inviteCode = await invite(server);
        const before = counts(server);
        sql(server, `UPDATE directus_roles SET name = 'Creator (away)' WHERE name = 'Creator'`);
        const misconfigured = await register(server, { inviteCode });
        sql(server, `UPDATE directus_roles SET name = 'Creator' WHERE name = 'Creator (away)'`);
        assert.equal(misconfigured.status, 500);
        assert.equal(misconfigured.json.error, 'Server misconfiguration');
        sql(server, 'ALTER TABLE workspace_users RENAME TO gone');
        const broken = await register(server, { inviteCode });
        sql(server, 'ALTER TABLE gone RENAME TO workspace_users');
        assert.equal(broken.status, 503, broken.text);
        assert.deepEqual(counts(server), before);
        assert.equal(inviteRow(server, inviteCode).status, 'pending');
        assert.equal((await register(server, { inviteCode })).status, 200);
    });

    test('a repeat with the same key gets the same account', async () => {
        const inviteCode = await invite(server);
        const body = { email: newEmail(), inviteCode };
        const options = { from: '203.0.113.77', headers: { 'Idempotency-Key': 'register-1' } };
        const first = await register(server, body, options);
        const again = await register(server, body, options);
        assert.equal(first.status, 200, first.text);
        assert.deepEqual(again.json, first.json);
        assert.equal(again.headers['idempotent-replayed'], 'true');
        const other = await register(server, body, { ...options, from: '203.0.113.78' });
        assert.equal(other.status, 400, 'the key belongs to the address');
    });
});

describe('how often a client may register', () => {
    const bad = (server, options) => register(server, { inviteCode: 'no' }, options);

    async function assertExhausted(server, optionsOf, limit = 10) {
        for (let i = 0; i < limit; i++) {
            const { status, headers } = await bad(server, optionsOf(i));
            assert.equal(status, 400);
            assert.equal(headers['ratelimit-limit'], '10');
            assert.equal(headers['ratelimit-remaining'], String(limit - 1 - i));
        }
        const refused = await bad(server, optionsOf(limit));
        assert.equal(refused.status, 429);
        assert.equal(refused.json.code, 'rate_limited');
        assert.ok(
            Number(refused.headers['retry-after']) > 0 && Number(refused.headers['retry-after']) <= 900,
        );
        assert.equal(refused.headers['ratelimit-remaining'], '0');
        assert.ok(refused.headers['ratelimit-reset']);
    }

    test('whatever it says about itself where no proxy is trusted', async () => {
        const server = await startGenie({ env: { TRUSTED_PROXIES: 'none' } });
        const claims = [
            '8.8.8.8',
            '::1, 9.9.9.9',
            '127.0.0.1',
            '2001:db8::1',
            'nonsense',
            '',
            '10.0.0.1,,',
            'a, 1.2.3.4',
        ];
        await assertExhausted(server, (i) => ({ from: claims[i % claims.length] }));
        assert.equal((await bad(server, { from: null })).status, 429);
        const good = await register(server, { inviteCode: await invite(server) }, { from: '7.7.7.7' });
        assert.equal(good.status, 429, 'a good request counts too');
        await server.stop();
    });

    test('behind a trusted proxy by the address it names, IPv6 by /64', async () => {
        const server = await startGenie();
        await assertExhausted(server, () => ({ from: '192.0.2.1' }));
        assert.equal((await bad(server, { from: '192.0.2.2' })).status, 400);
        assert.equal(
            (await bad(server, { from: '1.1.1.1, 192.0.2.1' })).status,
            429,
            'the right-most counts',
        );
        assert.equal(
            (await bad(server, { from: '192.0.2.1, 127.0.0.1' })).status,
            429,
            'proxies are skipped',
        );
        await assertExhausted(server, (i) => ({ from: `2001:db8:1:2::${i + 1}` }));
        assert.equal((await bad(server, { from: '2001:db8:1:3::1' })).status, 400);
        assert.equal((await bad(server, { from: '2001:db8:1:2:ffff::1' })).status, 429);
        await server.stop();
    });

    test('a malformed entry ends the walk at the last good address', async () => {
        const server = await startGenie();
        await assertExhausted(server, (i) => ({ from: `192.0.2.${i}, not-an-address` }));
        assert.equal((await bad(server, { from: null })).status, 429, 'it was the proxy itself');
        assert.equal((await bad(server, { from: '192.0.2.9' })).status, 400);
        await server.stop();
    });

    test('two servers on one store count together, and a restart forgets nothing', async () => {
        const one = await startGenie();
        const two = await startGenie({ dataDir: one.dataDir, env: one.secrets, database: one.databaseUrl });
        await assertExhausted(one, (i) => ({ from: '192.0.2.5', at: i % 2 ? two : one }));
        assert.equal((await bad(one, { from: '192.0.2.5', at: two })).status, 429);
        await two.stop({ keep: true });
        await one.restart();
        assert.equal((await bad(one, { from: '192.0.2.5' })).status, 429);
        await one.stop();
    });
});

describe('genie invite', () => {
    let server;
    before(async () => {
        server = await startGenie();
    });
    after(async () => {
        await server.stop();
    });

    test('create prints codes and nothing else, good for a week unless said otherwise', async () => {
        const { stdout, stderr } = await server.cli(['invite', 'create']);
        assert.match(stdout.trimEnd(), CODE);
        assert.equal(stdout, `${stdout.trimEnd()}\n`);
        assert.equal(stderr, '');
        const codes = await invites(server, 25);
        assert.equal(new Set(codes).size, 25);
        for (const code of codes) assert.match(code, CODE);
        const json = await server.cli(['invite', 'create', '--count', '2', '--expires', '12h', '--json']);
        assert.equal(JSON.parse(json.stdout).length, 2);
        const forEver = await invite(server, '--expires', 'never');
        const rows = JSON.parse((await server.cli(['invite', 'list', '--json'])).stdout);
        const lifetime = (code) => {
            const row = rows.find((r) => r.code === code);
            return (
                row.expires_at &&
                Math.round((Date.parse(row.expires_at) - Date.parse(row.created_at)) / 3600e3)
            );
        };
        assert.equal(lifetime(stdout.trim()), 7 * 24);
        assert.equal(lifetime(JSON.parse(json.stdout)[0]), 12);
        assert.equal(lifetime(forEver), null);
    });

    test('is made in the name of the oldest admin, and shows who used it', async () => {
        const admin = await server.addUser({ role: 'Administrator' });
        const code = await invite(server);
        const [{ native }] = sql(
            server,
            `SELECT anythingllm_user_id AS native FROM directus_users WHERE id = '${admin.id}'`,
        );
        assert.equal(Number(inviteRow(server, code).createdBy), Number(native));
        const email = newEmail();
        assert.equal((await register(server, { inviteCode: code, email })).status, 200);
        const { stdout } = await server.cli(['invite', 'list']);
        assert.match(stdout, new RegExp(`^${code} +claimed .* ${email}$`, 'm'));
    });

    test('revoke withdraws what is not used', async () => {
        const [code, used] = await invites(server, 2);
        await server.cli(['invite', 'revoke', code]);
        await server.cli(['invite', 'revoke', code]);
        assert.equal(inviteRow(server, code).status, 'disabled');
        assert.equal((await register(server, { inviteCode: used })).status, 200);
        assert.match((await server.cli(['invite', 'revoke', used], { expect: 1 })).stderr, /used already/);
        assert.match(
            (await server.cli(['invite', 'revoke', 'nothing'], { expect: 1 })).stderr,
            /no such invite/,
        );
    });

    test('what it refuses', async () => {
        const cases = [
            [[], /create, list, revoke/],
            [['burn'], /no 'invite burn'/],
            [['create', '--count', '0'], /--count/],
            [['create', '--count', '1001'], /--count/],
            [['create', '--expires', 'soon'], /--expires/],
            [['create', '--expires', '0s'], /--expires/],
            [['create', '--expires'], /wants a value/],
            [['create', 'x'], /unknown option/],
            [['list', 'x'], /unknown option/],
            [['revoke'], /one code/],
        ];
        for (const [args, sentence] of cases)
            assert.match(
                (await server.cli(['invite', ...args], { expect: 2 })).stderr,
                sentence,
                args.join(' '),
            );
    });

    test('its codes are nobody’s to read through the API', async () => {
        const user = await server.addUser();
        const { status } = await server.request('/api/directus/items/invites', { token: user.token });
        assert.equal(status, 403);
    });
});
