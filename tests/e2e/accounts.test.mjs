// SPDX-License-Identifier: MIT
//
// Accounts from the command line, beside a running server: what `genie user` makes, prints, changes and
// refuses, and how soon the server knows.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import {
    existsSync,
    mkdirSync,
    readdirSync,
    readFileSync,
    statSync,
    utimesSync,
    writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { tempDir } from '../support/dirs.mjs';
import { pathOf, png, storedFiles, upload } from '../support/form.mjs';
import { GENIE_BIN, startGenie } from '../support/genie.mjs';
import { decode, now } from '../support/jwt.mjs';
import { sql } from '../support/talk.mjs';

describe('genie user', () => {
    let server;

    const user = (args, options) => server.cli(['user', ...args], options);
    const me = (token) => server.request('/api/directus/users/me', { token });
    const logIn = (email, password) =>
        server.request('/api/directus/auth/login', { method: 'POST', body: { email, password } });

    /** For what another process changed: seen at once in one process, within seconds in others. */
    async function eventually(look, limitMs = 60_000) {
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

    describe('export and delete', () => {
        let anna, ben;
        const ask = (person, path, body) =>
            server.request(path, { method: body ? 'POST' : 'GET', token: person.token, body });
        const export_ = async (email) => JSON.parse((await user(['export', '--email', email])).stdout);

        before(async () => {
            [anna, ben] = [await server.addUser({ tier: 'pro' }), await server.addUser()];
            for (const person of [anna, ben]) {
                for (const title of ['Berlin', 'Köln "quoted"']) {
                    const { status } = await ask(person, '/api/directus/items/user_nodes', {
                        node_type: 'note',
                        title,
                        content: `of ${person.email}`,
                        tags: ['a', 'b'],
                    });
                    assert.equal(status, 200);
                }
                await ask(person, '/api/genie/stream-chat', { message: `I am ${person.email}` });
            }
            for (const person of [anna, ben]) {
                const { json } = await upload(server, person, png(3, 2, person === anna ? 1 : 2));
                person.file = json.data.id;
                person.exports = join(server.dataDir, 'onboarding', person.id);
                mkdirSync(person.exports, { recursive: true });
                writeFileSync(join(person.exports, `onboard-job-${randomUUID()}.zip`), 'PK');
            }
        });

        test('export gives all that is stored of one, and no secret', async () => {
            const all = await export_(anna.email);
            const { collections, anythingllm, stored } = all;
            assert.deepEqual(
                collections.user_nodes.map((row) => row.title).sort(),
                ['Berlin', 'Köln "quoted"'],
            );
            assert.deepEqual(collections.user_nodes[0].tags, ['a', 'b']);
            assert.equal(collections.directus_users[0].email, anna.email);
            assert.equal(anythingllm.workspaces.length, 1);
            assert.equal(anythingllm.workspace_chats[0].prompt, `I am ${anna.email}`);
            assert.equal(anythingllm.users[0].id, collections.directus_users[0].anythingllm_user_id);
            assert.deepEqual(stored.files.map((row) => row.id), [anna.file]);
            const text = JSON.stringify(all);
            assert.ok(!text.includes(ben.email));
            assert.doesNotMatch(text, /argon2|"password"|"token"|encrypted_|embedding/);
        });

        test('export has every owned collection of the access table', async () => {
            const { collections } = await export_(anna.email);
            const { stdout } = await server.cli(['config', '--access']);
            for (const name of ['media_jobs', 'fan_profiles', 'agent_audits', 'directus_files', 'user_personas']) {
                assert.ok(stdout.includes(name));
                assert.ok(Array.isArray(collections[name]), name);
            }
            assert.equal('system_config' in collections, false);
        });

        test('export --output is an archive with the files', async () => {
            const dir = tempDir('genie-export-');
            const file = join(dir, 'anna.tar.gz');
            const { stdout } = await user(['export', '--email', anna.email, '--output', file, '--json']);
            assert.equal(JSON.parse(stdout).files, 1);
            assert.equal(statSync(file).mode & 0o777, 0o600);
            execFileSync('tar', ['-xzf', file, '-C', dir]);
            assert.deepEqual(readFileSync(join(dir, 'files', anna.file)), png(3, 2, 1));
            assert.equal(JSON.parse(readFileSync(join(dir, 'export.json'), 'utf8')).email, anna.email);
            await user(['export', '--email', anna.email, '--output', file], { expect: 1 });
            await user(['export', '--email', 'nobody@example.com'], { expect: 1 });
        });

        test('more rows than one page are all there', async () => {
            const many = Array.from({ length: 1003 }, (_, n) => `('${randomUUID()}', '${ben.id}', 'x', 'n${n}')`);
            sql(server, `INSERT INTO user_nodes (id, user_id, node_type, title) VALUES ${many.join(', ')}`);
            const { collections } = await export_(ben.email);
            assert.equal(new Set(collections.user_nodes.map((row) => row.id)).size, 1005);
        });

        test('delete asks first, and without a terminal wants --yes', async () => {
            const { stderr } = await user(['delete', '--email', anna.email], { expect: 2, stdin: 'yes\n' });
            assert.match(stderr, /--yes/);
            const typed = spawn(
                'script',
                ['-qec', `${GENIE_BIN} user delete --email ${anna.email}`, '/dev/null'],
                { env: { ...server.env, SHELL: '/bin/sh' }, stdio: ['pipe', 'pipe', 'inherit'] },
            );
            let shown = '';
            typed.stdout.setEncoding('utf8').on('data', (part) => {
                shown += part;
                if (shown.includes('Type yes')) typed.stdin.end('no\n');
            });
            const [code] = await once(typed, 'exit');
            assert.equal(code, 1);
            assert.match(shown, /1 chats, 1 threads, 1 workspaces, \d+ rows in collections, 1 files/);
            assert.equal((await me(anna.token)).status, 200);
        });

        test('delete removes one wholly, ends the sessions, and leaves the other', async () => {
            const session = await logIn(anna.email, anna.password);
            const counted = await server.request('/api/usage/increment', {
                method: 'POST',
                token: anna.token,
                headers: { 'Idempotency-Key': 'before-the-end' },
                body: { operation: 'post_creations' },
            });
            assert.equal(counted.status, 200);
            const kept = () => Number(sql(server, `SELECT count(*) AS n FROM idempotency_keys WHERE scope LIKE '%${anna.id}%'`)[0].n);
            assert.equal(kept(), 1);
            const { stdout } = await user(['delete', '--email', anna.email, '--yes', '--json']);
            const gone = JSON.parse(stdout);
            assert.equal(gone.chats, 1);
            assert.equal(gone.removed, 1);
            assert.equal(gone.exports, 1);
            assert.deepEqual(gone.kept, []);
            assert.equal(kept(), 0, 'no answer to a request is left');
            assert.deepEqual(storedFiles(server), [ben.file]);
            assert.ok(!existsSync(anna.exports) && readdirSync(ben.exports).length === 1);
            for (const token of [anna.token, session.json.data.access_token])
                await eventually(async () => (await me(token)).json.errors?.[0].extensions.code === 'INVALID_TOKEN');
            assert.equal((await logIn(anna.email, anna.password)).status, 401);
            assert.equal((await me(ben.token)).status, 200);
            const { collections, anythingllm } = await export_(ben.email);
            assert.equal(collections.user_nodes.length, 1005);
            assert.equal(anythingllm.workspace_chats.length, 1);
            await user(['delete', '--email', anna.email, '--yes'], { expect: 1 });
            await user(['add', '--email', anna.email, '--password-stdin'], { stdin: 'once more\n' });
            assert.equal((await logIn(anna.email, 'once more')).status, 200);
            const again = await export_(anna.email);
            assert.deepEqual(again.collections.user_nodes, []);
            assert.deepEqual(again.anythingllm.workspace_chats, []);
        });

        test('what a crash between rows and bytes left goes at the next start', async () => {
            const carl = await server.addUser();
            const { json } = await upload(server, carl, png());
            const left = join(server.dataDir, 'onboarding', carl.id);
            mkdirSync(left);
            for (const name of ['.deleted', `onboard-job-${randomUUID()}.zip`]) writeFileSync(join(left, name), '');
            const hours = new Date(Date.now() - 2 * 3_600_000);
            for (const id of [json.data.id, ben.file]) utimesSync(pathOf(server, id), hours, hours);
            sql(server, `DELETE FROM directus_files WHERE id = '${json.data.id}'`);
            sql(server, `DELETE FROM directus_users WHERE id = '${carl.id}'`);
            await server.restart();
            await eventually(() => !existsSync(pathOf(server, json.data.id)));
            assert.ok(!existsSync(left));
            assert.deepEqual(storedFiles(server), [ben.file]);
            assert.equal(readdirSync(ben.exports).length, 1);
        });

        test('the last admin cannot be deleted', async () => {
            const admin = await server.addUser({ role: 'Administrator' });
            const { stderr } = await user(['delete', '--email', admin.email, '--yes'], { expect: 1 });
            assert.match(stderr, /last active account with admin rights/);
            assert.equal((await me(admin.token)).status, 200);
        });

        test('the last admin cannot be suspended, another one can', async () => {
            const { stdout } = await user(['list', '--json']);
            const [last] = JSON.parse(stdout).filter(({ role }) => role === 'Administrator');
            const refused = await user(['suspend', '--email', last.email], { expect: 1 });
            assert.match(refused.stderr, /last active account with admin rights/);
            assert.equal((await me(await server.token(last.email))).status, 200);
            const other = await server.addUser({ role: 'Administrator' });
            await user(['suspend', '--email', last.email]);
            await user(['suspend', '--email', other.email], { expect: 1 });
            await user(['unsuspend', '--email', last.email]);
            await user(['suspend', '--email', other.email]);
        });

        test('of the last two admins, suspended at once, one stays', async () => {
            const other = await server.addUser({ role: 'Administrator' });
            const both = JSON.parse((await user(['list', '--json'])).stdout).filter(
                ({ role, status }) => role === 'Administrator' && status === 'active',
            );
            assert.equal(both.length, 2);
            const codes = await Promise.all(
                both.map(async ({ email }) => (await user(['suspend', '--email', email], { expect: null })).code),
            );
            assert.deepEqual(codes.sort(), [0, 1]);
            assert.ok(both.some(({ email }) => email === other.email));
        });
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
