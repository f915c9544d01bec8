// SPDX-License-Identifier: MIT
//
// README.md is true: its commands are executed as they stand there (but for the port, and addresses of models, which
// are stand-ins), and it leads to every page of docs/.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Shell, blocksOf, pageText } from '../support/book.mjs';
import { removeDir, tempDir } from '../support/dirs.mjs';
import { GENIE_BIN, Genie, ON_POSTGRES, exitWithin, launch } from '../support/genie.mjs';
import { request } from '../support/http.mjs';
import { startModel } from '../support/model.mjs';
import { freePort } from '../support/ports.mjs';
import { chat } from '../support/sse.mjs';
import { eventually } from '../support/talk.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const STOP_MS = 30_000;

const blocks = blocksOf('README.md');
const under = (heading) => blocks.filter((block) => block.heading === heading);
const lines = (block) => block.text.trim().split('\n');

/** A directory in which build/genie is the program under test. */
function source() {
    const dir = tempDir('genie-readme-');
    mkdirSync(join(dir, 'build'));
    symlinkSync(GENIE_BIN, join(dir, 'build', 'genie'));
    return dir;
}

const eventsOf = (text) =>
    text
        .split('\n')
        .filter((line) => line.startsWith('data: '))
        .map((line) => JSON.parse(line.slice(6)));

describe('README.md', () => {
    test('has its commands where they are tried', () => {
        assert.deepEqual(
            blocks.map(({ heading }) => heading),
            ['Start', 'A tour in five lines', 'A picture through the queue', 'With a model'],
        );
        assert.equal(lines(under('A tour in five lines')[0]).length, 5);
    });

    test('names commands that ./dev has', () => {
        const usage = execFileSync('./dev', { cwd: ROOT, encoding: 'utf8' });
        const named = lines(under('Start')[0]).map((line) => /^\.\/dev \w+/.exec(line)[0]);
        assert.deepEqual(named, ['./dev run', './dev test']);
        for (const command of named) assert.match(usage, new RegExp(`^${command}\\b`, 'm'));
    });

    test('leads to every page, and to none that there is not', () => {
        const linked = [...pageText('README.md').matchAll(/\]\((docs\/[\w-]+\.md)\)/g)].map(([, path]) => path);
        for (const path of linked) assert.ok(existsSync(join(ROOT, path)), path);
        const pages = readdirSync(join(ROOT, 'docs')).filter((name) => name.endsWith('.md'));
        for (const name of pages) assert.ok(linked.includes(`docs/${name}`), `docs/${name} is in no link`);
    });

    describe('its tour', () => {
        let genie, dir, shell;
        before(async () => {
            dir = source();
            genie = await new Genie({ args: ['--demo'], secrets: ON_POSTGRES ? 'given' : 'none' }).start();
            writeFileSync(join(dir, '.curlrc'), 'silent\nshow-error\n'); // its progress would stand among the answers
            shell = new Shell({ cwd: dir, env: { ...genie.env, CURL_HOME: dir } });
        });
        after(async () => {
            shell?.stop();
            await genie?.stop();
            removeDir(dir);
        });

        test('answers with citations, runs an action, and shows both and the notes', async () => {
            const shown = [];
            for (const line of lines(under('A tour in five lines')[0]))
                shown.push(await shell.run(line.replace('127.0.0.1:3001', `127.0.0.1:${genie.port}`)));
            const [token, first, action, history, nodes] = shown;
            assert.equal(token, '');
            assert.ok(eventsOf(first).at(-1).sources.length > 0);
            assert.equal(eventsOf(action).find(({ type }) => type === 'actionResult')?.success, true);
            assert.equal(JSON.parse(history).data.length, 2);
            assert.equal(JSON.parse(nodes).data.length, 3);
            assert.deepEqual(Object.keys(JSON.parse(nodes).data[0]).sort(), ['tags', 'title']);
        });
    });

    describe('its picture', () => {
        test('is uploaded, marked by a job that is followed, and downloaded', async () => {
            const dir = source();
            const genie = await new Genie({ args: ['--demo'], secrets: ON_POSTGRES ? 'given' : 'none' }).start();
            writeFileSync(join(dir, '.curlrc'), 'silent\nshow-error\n');
            const shell = new Shell({ cwd: dir, env: { ...genie.env, CURL_HOME: dir } });
            try {
                const [token] = lines(under('A tour in five lines')[0]);
                const shown = [];
                for (const line of [token, ...lines(under('A picture through the queue')[0])])
                    shown.push(await shell.run(line.replace('127.0.0.1:3001', `127.0.0.1:${genie.port}`)));
                const [, , , , , queued, followed, file] = shown;
                assert.equal(JSON.parse(queued).ok, true);
                assert.equal(eventsOf(followed).at(-1).state, 'completed', followed);
                assert.match(file, /marked\.png: PNG image data, 1200 x 800/);
            } finally {
                shell.stop();
                await genie.stop();
                removeDir(dir);
            }
        });
    });

    describe('its lines with a model', () => {
        const starts = lines(under('With a model')[0]);
        const stands = [
            { format: 'ollama', address: 'http://127.0.0.1:11434', model: 'qwen2.5:latest' },
            { format: 'openai', address: 'http://127.0.0.1:8000', model: 'my-model' },
        ];
        for (const [i, { format, address, model: name }] of stands.entries())
            test(`answer through ${format}`, async () => {
                const dir = source();
                const model = await startModel({ formats: [format], models: [name] });
                model.reply('Said by the model.');
                const genie = new Genie({ secrets: 'none', env: { LLM_PROVIDER: undefined } });
                genie.port = await freePort();
                assert.ok(starts[i].includes(address));
                const line = `exec env ${starts[i].replace(address, model.url)}`;
                const child = launch(['-c', line], genie.env, 'ignore', { program: '/bin/bash', cwd: dir });
                for (const stream of ['stdout', 'stderr']) child[stream].resume();
                const up = async () => (await request(`${genie.url}/healthz`).catch(() => null))?.status === 200;
                await eventually(up, 'the server');
                const user = await genie.addUser();
                const events = await chat(genie, user.token, { message: 'Who are you?' });
                assert.match(JSON.stringify(events), /Said by the model/);
                assert.equal((await model.nextChat()).model, name);
                child.kill('SIGTERM');
                assert.equal((await exitWithin(child, STOP_MS))?.code, 0);
                await model.stop();
                await genie.stop();
                removeDir(dir);
            });
    });
});
