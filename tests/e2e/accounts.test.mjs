// SPDX-License-Identifier: MIT
//
// Accounts from the command line, beside a running server: what `genie user` makes, prints, changes and
// refuses, and how soon the server knows.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { GENIE_BIN, startGenie } from '../support/genie.mjs';
import { decode, now } from '../support/jwt.mjs';

describe('genie user', () => {
    let server;

    const user = (args, options) => server.cli(['user', ...args], options);
    const me = (token) => server.request('/api/directus/users/me', { token });
    const logIn = (email, password) =>
        server.request('/api/directus/auth/login', { method: 'POST', body: { email, password } });

    /** For what another process changed: seen at once in one process, within seconds in others. */
    async function eventually(look, limitMs = 20_000) {
        const deadline = performance.now() + limitMs;
        while (!(await look())) {
            assert.ok(performance.now() < deadline, `not within ${limitMs} ms`);
            await sleep(100);
        }
    }

    before(async () => {
        server = await startGenie();
    });
    after(async () => {
        await server.stop();
    });

    test('add makes an account that can log in and has its profile', async () => {
        const { stdout } = await user(
            [
                'add',
                '--email',
                'Anna.Lind@Example.com',
                '--password-stdin',
                '--tier',
                'elite',
                '--first-name',
                'Anna',
                '--onboarding',
                'DATA_COLLECTION',
            ],
            { stdin: 'correct horse\n' },
        );
        assert.match(stdout, /^Added anna\.lind@example\.com \([0-9a-f-]{36}\)\.\n$/);
        const answer = await logIn('anna.lind@example.com', 'correct horse');
        assert.equal(answer.status, 200);
        const profile = (await me(answer.json.data.access_token)).json.data;
        assert.equal(profile.email, 'anna.lind@example.com');
        assert.equal(profile.first_name, 'Anna');
        assert.equal(profile.subscription_tier, 'studio');
        assert.equal(profile.onboarding_state, 'DATA_COLLECTION');
    });

    test('without a password add makes one up, prints it once, and it works', async () => {
        const { stdout } = await user(['add', '--email', 'made@example.com']);
        const [, password] = /^Password \(shown only now\): (\S{16,})$/m.exec(stdout);
        assert.equal((await logIn('made@example.com', password)).status, 200);
        assert.ok(!server.logText.includes(password));
    });

    test('--password is gone from the argument vector before the work begins', async () => {
        const password = 'on the command line';
        const args = ['user', 'add', '--email', 'seen@example.com', '--password', password];
        const child = spawn(GENIE_BIN, args, { env: server.env, stdio: ['ignore', 'ignore', 'pipe'] });
        const ended = once(child, 'exit');
        await once(child.stderr, 'data'); // the warning
        const file = `/proc/${child.pid}/cmdline`;
        const seen = existsSync(file) ? readFileSync(file, 'latin1') : '';
        assert.ok(!seen.includes(password));
        assert.equal((await ended)[0], 0);
        assert.equal((await logIn('seen@example.com', password)).status, 200);
    });

    test('--password works and warns; --json prints an object', async () => {
        const { stdout, stderr } = await user([
            'add',
            '--email',
            'json@example.com',
            '--password=long enough',
            '--json',
        ]);
        assert.match(stderr, /others on this machine can see --password/);
        assert.equal(JSON.parse(stdout).email, 'json@example.com');
        assert.equal(JSON.parse(stdout).password, undefined);
    });

    test('what add refuses', async () => {
        const add = (...args) => ['add', ...args];
        const cases = [
            [add(), 2, /--email/],
            [add('--email', 'nobody'), 2, /not an e-mail/],
            [add('--email', 'a@example.com', '--tier', 'gold', '--password-stdin'), 2, /no tier/],
            [add('--email', 'a@example.com', '--onboarding', 'DONE', '--password-stdin'), 2, /onboarding/],
            [add('--email', 'a@example.com', '--role', 'King', '--password-stdin'), 1, /no role/],
            [add('--email', 'a@example.com', '--password', 'x', '--password-stdin'), 2, /either/],
            [add('--email', 'a@example.com', '--nonsense'), 2, /unknown option/],
            [add('--email'), 2, /wants a value/],
            [add('--email', 'MADE@example.com', '--password-stdin'), 1, /already/],
        ];
        for (const [args, expect, sentence] of cases) {
            const { stderr } = await user(args, { expect, stdin: 'long enough\n' });
            assert.match(stderr, sentence, args.join(' '));
        }
        const { stderr } = await user(add('--email', 'a@example.com', '--password-stdin'), {
            expect: 1,
            stdin: 'short\n',
        });
        assert.match(stderr, /8 characters/);
        const { stdout } = await user(['list', '--json']);
        assert.ok(!JSON.parse(stdout).some((account) => account.email === 'a@example.com'));
    });

    test('token prints a token and nothing else', async () => {
        const { stdout } = await user(['token', '--email', 'MADE@example.com', '--ttl', '12h']);
        assert.match(stdout, /^eyJ[\w-]+\.[\w-]+\.[\w-]+\n$/);
        const claims = decode(stdout.trim());
        assert.equal(claims.exp - claims.iat, 12 * 3600);
        assert.ok(Math.abs(claims.iat - now()) < 60);
        assert.equal((await me(stdout.trim())).status, 200);
        await user(['token', '--email', 'nobody@example.com'], { expect: 1 });
        await user(['token', '--email', 'made@example.com', '--ttl', 'soon'], { expect: 2 });
    });

    test('list shows everybody, as a table or as JSON', async () => {
        const { stdout: table } = await user(['list']);
        assert.match(table, /made@example\.com\s+Creator\s+starter\s+active\s+EXTENSION_INSTALL/);
        const rows = JSON.parse((await user(['list', '--json'])).stdout);
        const anna = rows.find((row) => row.email === 'anna.lind@example.com');
        assert.equal(anna.workspace, 'anna-lind-example-com');
        assert.ok(Number.isInteger(anna.anythingllm_user_id));
        assert.equal('password' in anna, false);
    });

    test('passwd changes the password and ends every session', async () => {
        const before = await logIn('anna.lind@example.com', 'correct horse');
        await user(['passwd', '--email', 'anna.lind@example.com', '--password-stdin'], {
            stdin: 'another horse\n',
        });
        assert.equal((await logIn('anna.lind@example.com', 'correct horse')).status, 401);
        assert.equal((await logIn('anna.lind@example.com', 'another horse')).status, 200);
        const { refresh_token } = before.json.data;
        const refresh = await server.request('/api/directus/auth/refresh', {
            method: 'POST',
            body: { refresh_token },
        });
        assert.equal(refresh.status, 401);
    });

    test('suspend and unsuspend are obeyed by the running server', async () => {
        const token = await server.token('made@example.com');
        assert.equal((await me(token)).status, 200);
        await user(['suspend', '--email', 'made@example.com']);
        await eventually(async () => (await me(token)).status === 401);
        assert.equal((await me(token)).json.errors[0].extensions.code, 'USER_SUSPENDED');
        const native = await server.request('/api/genie/history', { token });
        assert.equal(native.status, 403);
        assert.equal(native.json.code, 'suspended');
        await user(['token', '--email', 'made@example.com'], { expect: 1 });
        await user(['unsuspend', '--email', 'made@example.com']);
        await eventually(async () => (await me(token)).status === 200);
    });

    test('adopting wants to know whom, and leaves whole accounts alone', async () => {
        for (const args of [[], ['--all', '--email', 'made@example.com'], ['--all=yes'], ['--role', 'x']])
            await user(['adopt', ...args], { expect: 2 });
        await user(['adopt', '--all', '--onboarding', 'NOWHERE'], { expect: 2 });
        await user(['adopt', '--email', 'nobody@example.com'], { expect: 1 });
        assert.deepEqual(JSON.parse((await user(['adopt', '--all', '--json'])).stdout), []);
        const { stdout } = await user(['adopt', '--email', 'made@example.com']);
        assert.match(stdout, /made@example\.com +nothing was missing/);
    });

    test('accounts made at once are all made, and one e-mail makes one account', async () => {
        const add = (email) => user(['add', '--email', email, '--json'], { expect: null });
        const many = await Promise.all(
            ['a+1', 'a#1', 'a!1', 'a*1'].map((name) => add(`${name}@crowd.example`)),
        );
        assert.ok(many.every(({ code }) => code === 0));
        const same = await Promise.all([1, 2, 3, 4].map(() => add('same@crowd.example')));
        assert.equal(same.filter(({ code }) => code === 0).length, 1);
        const rows = JSON.parse((await user(['list', '--json'])).stdout);
        const crowd = rows.filter((row) => row.email.endsWith('@crowd.example'));
        assert.equal(crowd.length, 5);
        assert.equal(new Set(crowd.map((row) => row.workspace)).size, 5);
    });
});
