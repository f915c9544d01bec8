// SPDX-License-Identifier: MIT
//
// The command line as an operator meets it: help, exit codes, settings, and the documents it prints.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { GENIE_BIN, Genie } from '../support/genie.mjs';

const doc = (name) => readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8');

describe('the command line', () => {
    let genie;
    before(async () => {
        genie = new Genie({ secrets: 'none' });
        genie.port = 0;
    });
    after(async () => await genie.stop());

    it('without a command prints the list and is a usage error', async () => {
        const { stdout } = await genie.cli([], { expect: 2 });
        for (const name of ['serve', 'worker', 'queue', 'migrate', 'user', 'invite', 'backup', 'restore', 'doctor', 'skills', 'config', 'openapi', 'version'])
            assert.match(stdout, new RegExp(`^  ${name} `, 'm'));
    });

    it('takes --help before and after other options, for every command', async () => {
        for (const name of ['serve', 'worker', 'queue', 'migrate', 'user', 'invite', 'backup', 'restore', 'doctor', 'skills', 'config', 'openapi', 'version'])
            for (const args of [
                [name, '--help'],
                ['--help', name],
                [name, '--data', '/nowhere', '--help'],
            ]) {
                const { stdout } = await genie.cli(args);
                assert.match(stdout, new RegExp(`usage: genie ${name}`));
            }
    });

    it('refuses an unknown command or option with a sentence and exit 2', async () => {
        for (const args of [
            ['nonsense'],
            ['serve', '--nonsense'],
            ['migrate', 'x'],
            ['config', '--nonsense'],
            ['backup', '--nonsense'],
            ['restore', '--nonsense'],
            ['doctor', '--nonsense'],
            ['user', 'nonsense'],
            ['invite', 'nonsense'],
        ]) {
            const { stderr } = await genie.cli(args, { expect: 2 });
            assert.match(stderr, /^genie: /m);
        }
    });

    it('fails where its output cannot be written', () => {
        const full = openSync('/dev/full', 'w');
        for (const args of [['version'], ['--help'], ['invite', '--help'], ['invite', 'create'], ['invite', 'create', '--json'], ['invite', 'list'], ['user', 'list']]) {
            const { status, stderr } = spawnSync(GENIE_BIN, args, {
                env: { ...genie.env, LOG_LEVEL: 'error' },
                stdio: ['ignore', full, 'pipe'],
                encoding: 'utf8',
                timeout: 60_000,
            });
            assert.equal(status, 1, args.join(' '));
            assert.match(stderr, /^genie: can't write the output$/m);
        }
        closeSync(full);
    });

    it('names the setting that has a bad value, and does not start', async () => {
        const bad = {
            SERVER_PORT: '70000',
            HTTP_THREADS: 'many',
            LOG_LEVEL: 'loud',
            ALLOW_PRIVATE_URLS: 'perhaps',
            STREAM_GRACE_S: '-1',
        };
        for (const [name, value] of Object.entries(bad)) {
            const { stderr } = await genie.cli(['serve'], { env: { [name]: value }, expect: 1 });
            assert.match(stderr, new RegExp(`^genie: ${name} must be`, 'm'));
        }
    });

    it('refuses a Redis by TLS with a sentence, which does not hold its password', async () => {
        for (const url of ['rediss://:hunter2@localhost', 'http://hunter2@localhost']) {
            const { stderr } = await genie.cli(['migrate'], { env: { REDIS_URL: url }, expect: 1 });
            assert.match(stderr, /^genie: REDIS_URL (asks for TLS|must begin with redis:)/m);
            assert.doesNotMatch(stderr, /hunter2/);
        }
    });

    it('makes its secrets once, readable by their owner alone, and never shows them', async () => {
        await genie.cli(['migrate']);
        const file = join(genie.dataDir, 'secrets.env');
        const made = readFileSync(file, 'utf8');
        assert.equal(statSync(file).mode & 0o777, 0o600);
        await genie.cli(['migrate']);
        assert.equal(readFileSync(file, 'utf8'), made);
        const secret = /DIRECTUS_SECRET=(\w+)/.exec(made)[1];
        for (const args of [['config'], ['config', '--json']]) {
            const { stdout } = await genie.cli(args, { env: { DIRECTUS_SECRET: secret } });
            assert.doesNotMatch(stdout, new RegExp(secret));
            assert.match(stdout, /DIRECTUS_SECRET/);
        }
    });

    it('reads a secret from the file that NAME_FILE names, and says so where it cannot', async () => {
        const env = { METRICS_TOKEN_FILE: join(genie.dataDir, 'secrets.env') };
        const { stdout } = await genie.cli(['config', '--json'], { env });
        assert.equal(JSON.parse(stdout).find((row) => row.name === 'METRICS_TOKEN').value, '(set)');
        const missing = { METRICS_TOKEN_FILE: join(genie.dataDir, 'absent') };
        const { stderr } = await genie.cli(['config'], { env: missing, expect: 1 });
        assert.match(stderr, /METRICS_TOKEN can't be read/);
    });

    it('prints the documents that stand in docs/', async () => {
        assert.equal((await genie.cli(['config', '--docs'])).stdout, doc('settings.md'));
        assert.equal((await genie.cli(['config', '--errors'])).stdout, doc('errors.md'));
        assert.equal((await genie.cli(['config', '--access'])).stdout, doc('access.md'));
    });

    it('prints an OpenAPI document in which every path parameter is declared', async () => {
        const document = JSON.parse((await genie.cli(['openapi'])).stdout);
        assert.equal(document.openapi, '3.1.0');
        assert.ok(document.paths['/api/genie/stream-chat'].post.requestBody);
        for (const [path, item] of Object.entries(document.paths))
            for (const operation of Object.values(item)) {
                const named = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
                const declared = (operation.parameters ?? [])
                    .filter((parameter) => parameter.in === 'path')
                    .map((parameter) => parameter.name);
                assert.deepEqual(declared, named, path);
                assert.ok(operation.summary && operation.responses, path);
            }
    });

    it('does not start on a store that is no database, and says which', async () => {
        const broken = new Genie({ secrets: 'none' });
        broken.port = 0;
        const { writeFileSync } = await import('node:fs');
        writeFileSync(
            join(broken.dataDir, 'genie.db'),
            'this is not a database, but long enough to look at. '.repeat(40),
        );
        const { stderr } = await broken.cli(['serve'], { expect: 1 });
        assert.match(stderr, /store in .* can't be used/);
        await broken.stop();
    });
});
