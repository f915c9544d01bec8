// SPDX-License-Identifier: MIT
//
// docs/api.md is what this test runs: every request as it is printed there, in order, and every answer must be the
// one that is printed (tests/support/placeholders.mjs has the rules). Each route has an example.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { examplesIn } from '../support/book.mjs';
import { contractOf, operationsOf, readDocument } from '../support/contract.mjs';
import { removeDir, tempDir } from '../support/dirs.mjs';
import { GENIE_BIN, startGenie } from '../support/genie.mjs';
import { startModel } from '../support/model.mjs';
import { Placeholders } from '../support/placeholders.mjs';
import { CONNECT, stopAll } from '../support/talk.mjs';

const LIMIT_MS = 30_000;
const SHELL = `curl() { command curl -sS -m 20 -o "$ANSWER" -w '%{method} %{http_code} %{content_type}\\n%{url}\\n' "$@"; }\n`;

const run = promisify(execFile);
const routeOf = ({ method, path }) => `${method} ${path}`;
const template = (path) => new RegExp(`^${path.replace(/[.]/g, '\\$&').replace(/\{\w+\}/g, '[^/]+')}$`);

describe('what is printed and what comes', () => {
    const fits = (form, printed, value) => {
        const placeholders = new Placeholders({ KNOWN: 'one' });
        try {
            placeholders[form](printed, value);
            return true;
        } catch {
            return false;
        }
    };
    const id = '0b0c4a52-52d4-4f0e-9d5c-0f3c6f2b8a02';
    for (const [form, printed, good, bad] of [
        ['json', { a: 1 }, { a: 1 }, { a: 1, b: 2 }],
        ['json', { a: 1, '…': '…' }, { a: 1, b: 2 }, { b: 2 }],
        ['json', [1, 2], [1, 2], [1, 2, 3]],
        ['json', [1, '…'], [1, 2, 3], []],
        ['json', '<uuid>', id, `${id}0`],
        ['json', '<time>', '2026-01-02T03:04:05.678Z', '2026-01-02'],
        ['json', '<number>', 1.5, '1.5'],
        ['json', '<text>', 'any', ''],
        ['json', 'job-<uuid>', `job-${id}`, id],
        ['json', 'a.b…', 'a.b c', 'axb c'],
        ['json', ['$NEW', '$NEW'], ['x', 'x'], ['x', 'y']],
        ['json', '$KNOWN', 'one', 'two'],
        ['json', null, null, {}],
        ['text', 'a\n…\nd', 'a\nb\nc\nd', 'a\nb\nc'],
        ['text', 'a\n…\nb\n…', 'a\nx\nb\ny', 'a\nx\ny'],
        ['text', 'a\nb', 'a\nb', 'a\nb\nc'],
        ['text', 'data: {"a": "$NEW"}\nid: $NEW:1', 'data: {"a":"u"}\nid: u:1', 'data: {"a":"u"}\nid: v:1'],
    ])
        test(`${form} ${JSON.stringify(printed)}`, () => {
            assert.ok(fits(form, printed, good), JSON.stringify(good));
            assert.ok(!fits(form, printed, bad), JSON.stringify(bad));
        });
});

describe('docs/api.md', () => {
    const examples = examplesIn('docs/api.md');
    const placeholders = new Placeholders();
    let model, genie, cwd, env;

    before(async () => {
        model = await startModel({ formats: ['ollama'] });
        // no worker: what the book shows of a job doesn't depend on how fast it is
        const settings = { ...CONNECT.ollama(model), WORKER_CONCURRENCY_MEDIA: '0' };
        genie = await startGenie({ args: ['--demo'], env: settings });
        cwd = tempDir('genie-book-');
        symlinkSync(GENIE_BIN, join(cwd, 'genie'));
        env = { ...genie.env, PATH: `${cwd}:${process.env.PATH}`, ANSWER: join(cwd, 'answer') };
        Object.assign(placeholders.names, {
            BASE: genie.url,
            TOKEN: await genie.token('creator@demo.local'),
            ADMIN: await genie.token('admin@demo.local'),
            SECRET: genie.secrets.RBAC_SYNC_WEBHOOK_SECRET,
            PASSWORD: /^creator\S* (\S+)$/m.exec(
                readFileSync(join(genie.dataDir, 'demo-passwords.txt'), 'utf8'),
            )[1],
        });
    });
    after(async () => {
        await stopAll(genie, model);
        removeDir(cwd);
    });

    /** Runs a block that has one curl: what it asked for, and what came. */
    async function ask(script) {
        writeFileSync(env.ANSWER, '');
        const { stdout } = await run('bash', ['--norc', '-euc', SHELL + script], {
            cwd,
            env: { ...env, ...placeholders.names },
            timeout: LIMIT_MS,
        });
        const [head, url, ...rest] = stdout.trim().split('\n');
        assert.deepEqual(rest, [], 'a block has one curl');
        const [method, status, type] = head.split(' ');
        const bytes = readFileSync(env.ANSWER);
        const text = bytes.toString('utf8');
        const json = /json/.test(type ?? '') ? JSON.parse(text) : undefined;
        assert.ok(url.startsWith(genie.url), url);
        const target = url.slice(genie.url.length);
        return {
            method,
            target,
            status: Number(status),
            headers: { 'content-type': type },
            bytes,
            text,
            json,
        };
    }

    test('has an example of every route, and of no other', () => {
        const served = operationsOf(readDocument(GENIE_BIN)).map(routeOf);
        const printed = new Set(examples.map(routeOf));
        assert.deepEqual(
            served.filter((route) => !printed.has(route)),
            [],
            'routes without an example',
        );
        assert.deepEqual(
            [...printed].filter((route) => !served.includes(route)),
            [],
            'examples of no route',
        );
    });

    for (const example of examples)
        test(`${routeOf(example)} (line ${example.line})`, async () => {
            const answer = await ask(example.script);
            assert.equal(answer.status, example.status, answer.text.slice(0, 500));
            assert.equal(answer.method, example.method);
            assert.match(answer.target.split('?')[0], template(example.path));
            contractOf(GENIE_BIN).check(answer.method, answer.target, answer);
            if (example.form === 'json') placeholders.json(JSON.parse(example.answer), answer.json);
            else if (example.form === 'text') placeholders.text(example.answer, answer.text.trimEnd());
            else assert.equal(answer.bytes.length, 0, 'the book shows no answer, but there is one');
            await genie.assertWell();
        });
});
