// SPDX-License-Identifier: MIT
//
// A newcomer's first minutes: `genie serve --demo` prints a tour; its lines are pasted into a shell, as printed.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { GENIE_BIN, Genie, ON_POSTGRES } from '../support/genie.mjs';

const run = promisify(execFile);

const events = (text) =>
    text
        .split('\n')
        .filter((line) => line.startsWith('data: '))
        .map((line) => JSON.parse(line.slice(6)));

describe('the tour of genie serve --demo', () => {
    let genie, lines, pasted;
    before(async () => {
        genie = await new Genie({ args: ['--demo'], secrets: ON_POSTGRES ? 'given' : 'none' }).start();
        await genie.waitForLog(({ line }) => line.includes('/api/genie/history'));
        lines = genie.output.stdout.split('\n').filter((line) => /^ {2}(TOKEN=|curl )/.test(line));
        pasted = [];
        const token = lines[0].trim().replace('build/genie', GENIE_BIN);
        for (const line of lines.slice(1)) {
            const script = `${token}\n${line.trim().replace('curl ', 'curl -sS -m 20 ')}`;
            pasted.push((await run('bash', ['-c', script], { env: { ...genie.env } })).stdout);
        }
    });
    after(async () => await genie.stop());

    it('prints a token command and three lines', () => {
        assert.match(lines[0], /TOKEN=\$\(build\/genie user token /);
        assert.equal(lines.length, 4);
    });

    it('streams an answer that cites what it quotes', () => {
        const seen = events(pasted[0]);
        const text = seen.map((event) => event.textResponse ?? '').join('');
        const final = seen.at(-1);
        assert.equal(seen[0].type, 'stage_update');
        assert.equal(final.type, 'finalizeResponseStream');
        assert.equal(final.error, false);
        assert.ok(final.sources.length > 0);
        assert.match(text, /\[1\]/);
        assert.match(text, /Berlin/);
        assert.match(text, /no language model is connected/i);
    });

    it('runs a flow', () => {
        const seen = events(pasted[1]);
        const result = seen.find((event) => event.type === 'actionResult');
        assert.equal(result?.slug, 'memory-recall');
        assert.equal(result.success, true, JSON.stringify(result));
        assert.ok(
            seen.some((event) => event.type === 'toolCall' && event.step === 0 && event.status === 'success'),
        );
        assert.equal(seen.at(-1).type, 'finalizeResponseStream');
    });

    it('has both exchanges in the history, the flow with its results', () => {
        const { data, meta } = JSON.parse(pasted[2]);
        assert.equal(meta.total_count, 2);
        assert.match(data[0].prompt, /Berlin/);
        assert.equal(data[1].actions[0].slug, 'memory-recall');
    });

    it('keeps the random passwords of the demo users for their owner alone', async () => {
        const file = join(genie.dataDir, 'demo-passwords.txt');
        assert.equal(statSync(file).mode & 0o777, 0o600);
        const [, password] = readFileSync(file, 'utf8').split('\n')[0].split(' ');
        assert.ok(genie.output.stdout.includes(password));
        const body = { email: 'creator@demo.local', password };
        const answer = await genie.request('/api/directus/auth/login', { method: 'POST', body });
        assert.equal(answer.status, 200, answer.text);
    });

    it('makes the demo data once', async () => {
        const before_ = (await genie.cli(['user', 'list', '--json'])).stdout;
        await genie.restart();
        assert.equal((await genie.cli(['user', 'list', '--json'])).stdout, before_);
    });

    it('may be started twice at once: the passwords that are kept are those of the users', async () => {
        const first = new Genie({ args: ['--demo'], secrets: 'none' });
        const second = new Genie({ args: ['--demo'], secrets: 'none', dataDir: first.dataDir });
        await Promise.all([first.start(), second.start()]);
        const kept = readFileSync(join(first.dataDir, 'demo-passwords.txt'), 'utf8').trim().split('\n');
        for (const line of kept) {
            const [email, password] = line.split(' ');
            const body = { email, password };
            const answer = await first.request('/api/directus/auth/login', { method: 'POST', body });
            assert.equal(answer.status, 200, answer.text);
        }
        await second.stop();
        await first.stop();
    });

    it('refuses to make known users on an address that others reach', async () => {
        const open = new Genie({ args: ['--demo'], secrets: 'none' });
        open.port = 0;
        const { stderr } = await open.cli(['serve', '--demo'], {
            env: { BIND_ADDRESS: '0.0.0.0' },
            expect: 1,
        });
        assert.match(stderr, /BIND_ADDRESS/);
        await open.stop();
    });
});
