// SPDX-License-Identifier: MIT
//
// POST /api/goose with a stand-in for the Goose CLI: what it is given, what is kept of what it prints, and that it
// ends whatever happens, with its children.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { after, before, describe, test } from 'node:test';
import { tempDir, removeDir } from '../support/dirs.mjs';
import { startGenie } from '../support/genie.mjs';
import { joinServer, stopServers } from '../support/servers.mjs';
import { openSse } from '../support/sse.mjs';
import { eventually, sql } from '../support/talk.mjs';

const GOOSE = fileURLToPath(new URL('../support/goose.mjs', import.meta.url));
const PATH = '/api/goose';
const ENV = {
    GOOSE_BIN: GOOSE,
    GOOSE_ENV: 'GOOSE_PROVIDER,GOOSE_STAND_IN_SESSIONS,NEVER_SET',
    GOOSE_PROVIDER: 'ollama',
    SECRET_OF_THE_HOST: 'must not be seen',
};

const ask = (server, token, body, headers = {}) =>
    server.request(PATH, { method: 'POST', token, body, headers });
const follow = (server, token, body, options = {}) =>
    openSse(`${server.url}${PATH}`, { method: 'POST', token, body: { action: 'run', ...body }, ...options });

async function logs(server, token, runId) {
    const { status, json, text } = await ask(server, token, { action: 'logs', runId });
    assert.equal(status, 200, text);
    return json.run;
}

const ended = (server, token, runId) =>
    eventually(async () => {
        const run = await logs(server, token, runId);
        return run.status === 'running' ? null : run;
    }, 'the end of the run');

/** Starts a run that must be let in; its id. */
async function begin(server, token, instructions, more = {}) {
    const { status, json, text } = await ask(server, token, { action: 'run', instructions, ...more });
    assert.equal(status, 200, text);
    assert.equal(json.run.status, 'running');
    return json.run.id;
}

async function runToEnd(server, token, instructions, more) {
    return await ended(server, token, await begin(server, token, instructions, more));
}

const sizeOf = (file) => (existsSync(file) ? statSync(file).size : 0);

/** That nobody appends to the file any more. */
async function assertStill(file) {
    let last = -1;
    await eventually(async () => {
        const before = sizeOf(file);
        await sleep(150);
        const still = sizeOf(file) === before && last === before;
        last = sizeOf(file);
        return still;
    }, 'the child to be gone');
}

describe('goose', () => {
    let server, admin, creator, dir;

    before(async () => {
        dir = tempDir('genie-goose-');
        server = await startGenie({ env: ENV });
        admin = await server.addUser({ role: 'Administrator' });
        creator = await server.addUser();
    });
    after(async () => {
        await server?.stop();
        removeDir(dir);
    });

    const run = (instructions, more) => runToEnd(server, admin.token, instructions, more);

    test('it says what is there', async () => {
        const { json } = await ask(server, admin.token, { action: 'status' });
        assert.equal(json.available, true);
        assert.equal(json.version, '1.9.3');
        assert.equal(json.max_runs, 1);
        const { json: listed } = await ask(server, admin.token, { action: 'sessions' });
        assert.deepEqual(listed.sessions, [{ id: '20260313_1', working_dir: '/tmp' }]);
    });

    test('a run from its beginning to its end', async () => {
        const before = Date.now();
        const done = await run('say Hello\nerr Careful\nsay World');
        assert.equal(done.status, 'completed');
        assert.equal(done.exit_code, 0);
        assert.equal(done.error, null);
        assert.equal(done.user_id, admin.id);
        assert.equal(done.timeout_s, 300);
        assert.equal(done.instructions, 'say Hello\nerr Careful\nsay World');
        for (const line of ['Hello\n', 'Careful\n', 'World\n']) assert.ok(done.output.includes(line));
        assert.equal(done.output_bytes, Buffer.byteLength(done.output));
        assert.ok(Date.parse(done.started_at) >= before - 60_000);
        assert.ok(Date.parse(done.finished_at) >= Date.parse(done.started_at));
        const { json } = await ask(server, admin.token, { action: 'status' });
        assert.equal(json.runs[0].id, done.id);
        assert.equal(json.runs[0].output, undefined);
    });

    test('how it ended', async () => {
        const failed = await run('say Before\nexit 3');
        assert.deepEqual([failed.status, failed.exit_code, failed.error], ['failed', 3, 'Goose ended with exit status 3']);
        assert.equal(failed.output, 'Before\n');
        const killed = await run('die SIGKILL');
        assert.deepEqual([killed.status, killed.exit_code], ['failed', null]);
        assert.match(killed.error, /signal 9/);
    });

    test('a clean environment, a directory of its own, and no instructions in its arguments', async () => {
        const done = await run('show argv\nshow env\nshow cwd');
        const [argv, env, cwd] = done.output.trim().split('\n').map((line) => JSON.parse(line));
        assert.deepEqual(argv, ['run', '--name', done.id, '--instructions', '-']);
        const root = join(server.dataDir, 'goose');
        assert.ok(cwd.endsWith(`/goose/${done.id}`));
        assert.equal(env.GOOSE_PROVIDER, 'ollama');
        assert.equal(env.HOME, cwd);
        assert.ok(env.GOOSE_PATH_ROOT.startsWith('/') && env.GOOSE_PATH_ROOT.endsWith('/goose/home'));
        const known = /^(PATH|LANG|HOME|TMPDIR|XDG_\w+_HOME|GOOSE_PATH_ROOT|GOOSE_DISABLE_KEYRING|GOOSE_PROVIDER)$/;
        for (const name of Object.keys(env)) assert.match(name, known);
        for (const secret of Object.values(server.given)) assert.ok(!done.output.includes(secret));
        assert.ok(!existsSync(join(root, done.id)), 'an empty directory goes');
        const busy = await run('write result.txt');
        assert.equal(readFileSync(join(root, busy.id, 'result.txt'), 'utf8'), 'left behind');
        assert.equal(statSync(join(root, busy.id)).mode & 0o777, 0o700);
    });

    test('of much output the beginning and the end are kept', async () => {
        const done = await run('say The beginning\nprint 20000000\nsay The end');
        assert.equal(done.status, 'completed');
        assert.equal(done.output_bytes, 20_000_000 + 'The beginning\nThe end\n'.length);
        assert.ok(done.output.startsWith('The beginning\n'));
        assert.ok(done.output.endsWith('The end\n'));
        assert.ok(Buffer.byteLength(done.output) <= (1 << 20) + 128);
        const left = Number(/\[(\d+) bytes left out\]/.exec(done.output)[1]);
        const note = `\n[${left} bytes left out]\n`.length;
        assert.equal(Buffer.byteLength(done.output) - note + left, done.output_bytes);
    });

    test('bytes that are no text become signs for that, cut or whole', async () => {
        const done = await run('hex 41ff00e282\nsleep 50\nhex ac42f09f98');
        assert.match(done.output, /^A\uFFFD\uFFFD€B\uFFFD+$/);
    });

    test('followed as events, each once, and kept all the same', async () => {
        const stream = await follow(server, admin.token, { instructions: 'say One\nerr Two\nsleep 50\nsay "Three"\nexit 3' });
        assert.equal(stream.status, 200);
        await stream.ended();
        const events = stream.events.map(({ json }) => json);
        assert.equal(events[0].type, 'started');
        const { runId } = events[0];
        const text = (name) =>
            events.filter(({ type, stream: from }) => type === 'output' && from === name).map((e) => e.text).join('');
        assert.equal(text('stdout'), 'One\n"Three"\n');
        assert.equal(text('stderr'), 'Two\n');
        assert.deepEqual(events.at(-1), {
            type: 'finished',
            runId,
            status: 'failed',
            exit_code: 3,
            error: 'Goose ended with exit status 3',
            output_bytes: 16,
        });
        assert.equal((await logs(server, admin.token, runId)).status, 'failed');

        const again = await follow(server, admin.token, { instructions: 'say Never' }, {
            headers: { 'Last-Event-ID': `${runId}:1` },
        });
        await again.ended();
        assert.deepEqual(again.events.map(({ json }) => json), events.slice(1), 'resumed, not run again');
        const foreign = await follow(server, admin.token, { instructions: 'say Never' }, {
            headers: { 'Last-Event-ID': `${randomUUID()}:1` },
        });
        assert.equal(foreign.status, 404);
    });

    test('a client that leaves does not end it, and one that does not read does not hold it up', async () => {
        const left = await follow(server, admin.token, { instructions: 'say Go\nsleep 300\nsay Done' });
        const { runId } = (await left.next()).json;
        left.cut();
        assert.match((await ended(server, admin.token, runId)).output, /Done/);

        const slow = await follow(server, admin.token, { instructions: 'print 30000000\nsay Done' }, { paused: true });
        const [newest] = (await ask(server, admin.token, { action: 'status' })).json.runs;
        assert.equal((await ended(server, admin.token, newest.id)).status, 'completed');
        slow.resume();
        await slow.ended();
        const events = slow.events.map(({ json }) => json);
        assert.equal(events.at(-1).type, 'finished');
        await server.assertWell();
    });

    test('its time is over: it goes, though it is deaf, and its children with it', async () => {
        const file = join(dir, 'timeout');
        const done = await run(`deaf\nfork ${file}\nsay Started\nsleep 600000`, { timeout_s: 2 });
        assert.deepEqual([done.status, done.exit_code], ['failed', null]);
        assert.match(done.error, /longer than 2 s/);
        assert.equal(done.output, 'Started\n');
        await assertStill(file);
    });

    test('it is cancelled, though it is deaf, and its children with it', async () => {
        const file = join(dir, 'cancel');
        const id = await begin(server, admin.token, `deaf\nfork ${file}\nsay Started\nsleep 600000`);
        await eventually(async () => sizeOf(file) > 0, 'the child');
        const { status, json } = await ask(server, admin.token, { action: 'cancel', runId: id.toUpperCase() });
        assert.equal(status, 200);
        assert.equal(json.run.cancelled_by, admin.id);
        const done = await ended(server, admin.token, id);
        assert.deepEqual([done.status, done.error, done.output], ['cancelled', null, 'Started\n']);
        await assertStill(file);
        assert.equal((await ask(server, admin.token, { action: 'cancel', runId: id })).status, 409);
        assert.equal((await ask(server, admin.token, { action: 'cancel', runId: randomUUID() })).status, 404);
        assert.equal((await ask(server, admin.token, { action: 'logs', runId: randomUUID() })).status, 404);
    });

    test('a recipe of the operator, with instructions that are no template', async () => {
        const recipes = join(server.dataDir, 'goose', 'recipes');
        mkdirSync(recipes, { recursive: true });
        const recipe = { version: '1.0.0', title: 'Review {{ what }}', prompt: 'say replaced', description: 'd' };
        writeFileSync(join(recipes, 'review.json'), JSON.stringify(recipe));
        writeFileSync(join(recipes, 'broken.json'), '[1]');
        writeFileSync(join(recipes, 'huge.json'), `{"a":"${'x'.repeat(300_000)}"}`);
        const text = 'say {{ not }} {% a %} {# template #} "quoted" \\ end\nshow argv';
        const done = await run(text, { recipe: 'review' });
        const [title, said, argv] = done.output.trim().split('\n');
        assert.equal(title, 'recipe Review TEMPLATE');
        assert.equal(said, '{{ not }} {% a %} {# template #} "quoted" \\ end');
        assert.deepEqual(JSON.parse(argv).slice(0, 4), ['run', '--name', done.id, '--recipe']);
        assert.equal(done.recipe, 'review');
        assert.ok(!existsSync(join(server.dataDir, 'goose', done.id)));
        for (const [name, status] of [
            ['missing', 404],
            ['broken', 400],
            ['huge', 400],
            ['../recipes/review', 400],
            ['', 400],
        ]) {
            const answer = await ask(server, admin.token, { action: 'run', instructions: 'say x', recipe: name });
            assert.equal(answer.status, status, name);
            assert.equal(answer.json.field, 'recipe');
        }
        const kept = readdirSync(join(server.dataDir, 'goose')).filter((name) => /-/.test(name));
        assert.equal(kept.length, 1, 'refused ones leave no directory');
    });

    test('nobody but administrators', async () => {
        for (const action of ['status', 'run', 'sessions', 'logs', 'cancel']) {
            const body = { action, instructions: 'say x', runId: randomUUID() };
            assert.equal((await ask(server, creator.token, body)).status, 403);
        }
    });

    test('bodies it does not take', async () => {
        for (const [body, field] of [
            [{}, 'action'],
            [{ action: 'Run' }, 'action'],
            [{ action: ['run'] }, 'action'],
            [{ action: 'run' }, 'instructions'],
            [{ action: 'run', instructions: ' \n' }, 'instructions'],
            [{ action: 'run', instructions: 5 }, 'instructions'],
            [{ action: 'run', instructions: 'x'.repeat(65_537) }, 'instructions'],
            [{ action: 'run', instructions: 'x', timeout_s: 0 }, 'timeout_s'],
            [{ action: 'run', instructions: 'x', timeout_s: 3601 }, 'timeout_s'],
            [{ action: 'run', instructions: 'x', timeout_s: '5' }, 'timeout_s'],
            [{ action: 'run', instructions: 'x', recipe: { title: 'x' } }, 'recipe'],
            [{ action: 'logs' }, 'runId'],
            [{ action: 'cancel', runId: '../..' }, 'runId'],
        ]) {
            const answer = await ask(server, admin.token, body);
            assert.equal(answer.status, 400, JSON.stringify(body).slice(0, 100));
            assert.equal(answer.json.field, field);
        }
        for (const body of ['[]', '{"action":', `{"action":"run","instructions":"a\\u0000b"}`])
            assert.equal((await ask(server, admin.token, body)).status, 400);
    });

    test('one at a time: of 32 at once one runs, and the next when it has ended', async () => {
        const answers = await Promise.all(
            Array.from({ length: 32 }, () =>
                ask(server, admin.token, { action: 'run', instructions: 'sleep 600000' }),
            ),
        );
        const let_in = answers.filter(({ status }) => status === 200);
        assert.equal(let_in.length, 1);
        for (const { status, json } of answers)
            assert.ok(status === 200 || (status === 409 && json.code === 'goose_busy'), String(status));
        const { id } = let_in[0].json.run;
        await ask(server, admin.token, { action: 'cancel', runId: id });
        await ended(server, admin.token, id);
        assert.equal((await run('say Next')).status, 'completed');
    });

    test('a key keeps a repeat from running twice', async () => {
        const key = { 'Idempotency-Key': randomUUID() };
        const body = { action: 'run', instructions: 'say Once' };
        const first = await ask(server, admin.token, body, key);
        const second = await ask(server, admin.token, body, key);
        assert.equal(second.headers['idempotent-replayed'], 'true');
        assert.equal(second.json.run.id, first.json.run.id);
        await ended(server, admin.token, first.json.run.id);

        const followed = { 'Idempotency-Key': randomUUID() };
        const stream = await follow(server, admin.token, { instructions: 'say Once' }, { headers: followed });
        await stream.ended();
        const again = await follow(server, admin.token, { instructions: 'say Once' }, { headers: followed });
        await again.ended();
        assert.deepEqual([again.status, again.json.code], [409, 'idempotency_not_kept']);

        const resumed = await follow(server, admin.token, { instructions: 'say Once' }, {
            headers: { ...followed, 'Last-Event-ID': `${stream.events[0].json.runId}:1` },
        });
        await resumed.ended();
        assert.deepEqual(
            resumed.events.map(({ json }) => json),
            stream.events.slice(1).map(({ json }) => json),
            'a lost stream is resumed, key and all',
        );
    });

    test('what it prints and was told is in no log', async () => {
        await run('say a-word-of-the-output');
        assert.ok(!server.logText.includes('a-word-of-the-output'));
    });

    test('a run ends with the server, and its children too', async () => {
        const file = join(dir, 'stop');
        const id = await begin(server, admin.token, `deaf\nfork ${file}\nsay Started\nsleep 600000`);
        await eventually(async () => sizeOf(file) > 0, 'the child');
        await server.restart();
        const done = await logs(server, admin.token, id);
        assert.deepEqual([done.status, done.error], ['failed', 'The server was stopped']);
        assert.equal(done.output, 'Started\n');
        await assertStill(file);
    });
});

describe('goose on two servers', () => {
    let servers, admin;

    before(async () => {
        const first = await startGenie({ env: { ...ENV, GOOSE_MAX_RUNS: '2' } });
        servers = [first];
        servers.push(await joinServer(first));
        admin = await first.addUser({ role: 'Administrator' });
    });
    after(async () => {
        await stopServers(servers);
    });

    test('they count together, and cancel for each other', async () => {
        const answers = await Promise.all(
            Array.from({ length: 16 }, (_, i) =>
                ask(servers[i % 2], admin.token, { action: 'run', instructions: 'say Here\nsleep 600000' }),
            ),
        );
        const running = answers.filter(({ status }) => status === 200);
        assert.equal(running.length, 2);
        for (const { json } of running) {
            const { id } = json.run;
            for (const server of servers)
                await eventually(
                    async () => (await logs(server, admin.token, id)).output === 'Here\n',
                    'the output, on either server',
                );
            for (const server of servers) await ask(server, admin.token, { action: 'cancel', runId: id });
            assert.equal((await ended(servers[1], admin.token, id)).status, 'cancelled');
        }
    });

    test('a run whose server died is failed, and its place is free', async () => {
        const ids = [];
        for (let i = 0; i < 2; i++) ids.push(await begin(servers[1], admin.token, 'say Here\nsleep 600000'));
        for (const id of ids)
            await eventually(async () => (await logs(servers[0], admin.token, id)).output === 'Here\n', 'output');
        await servers[1].kill9();
        assert.equal((await ask(servers[0], admin.token, { action: 'run', instructions: 'say x' })).status, 409);
        const past = '2001-01-01T00:00:00.000Z'; // as when the lease has run out
        sql(servers[0], `UPDATE goose_runs SET lease_until = '${past}' WHERE status = 'running'`);
        assert.equal((await runToEnd(servers[0], admin.token, 'say Free')).status, 'completed');
        for (const id of ids) {
            const dead = await logs(servers[0], admin.token, id);
            assert.equal(dead.status, 'failed');
            assert.match(dead.error, /died/);
            assert.equal(dead.output, 'Here\n', 'what was printed before is kept');
        }
    });

    test('one that has lost its lease is ended by its own server', async () => {
        const id = await begin(servers[0], admin.token, 'say Here\nsleep 600000');
        sql(servers[0], `UPDATE goose_runs SET status = 'failed' WHERE id = '${id}'`);
        await servers[0].waitForLog((line) => line.json?.run === id && line.json.status === 'failed');
    });
});

describe('without a Goose that works', () => {
    let server, admin, dir;

    before(async () => {
        dir = tempDir('genie-goose-');
        server = await startGenie({ env: { GOOSE_BIN: 'no-such-goose' } });
        admin = await server.addUser({ role: 'Administrator' });
    });
    after(async () => {
        await server?.stop();
        removeDir(dir);
    });

    const program = (text) => {
        const path = join(dir, `goose-${randomUUID()}`);
        writeFileSync(path, text);
        chmodSync(path, 0o755);
        return path;
    };

    test('there is none', async () => {
        for (const action of ['run', 'sessions']) {
            const answer = await ask(server, admin.token, { action, instructions: 'say x' });
            assert.equal(answer.status, 503);
            assert.equal(answer.json.code, 'goose_unavailable');
        }
        const { status, json } = await ask(server, admin.token, { action: 'status' });
        assert.deepEqual([status, json.available, json.version, json.runs], [200, false, null, []]);
    });

    test('one that is no program, or says nothing that is understood', async () => {
        await server.restart({ env: { GOOSE_BIN: program('\x7fELF is not enough') } });
        const broken = await runToEnd(server, admin.token, 'say x');
        assert.equal(broken.status, 'failed');
        await server.restart({ env: { GOOSE_BIN: program('#!/bin/sh\necho no json\n') } });
        const { status, json } = await ask(server, admin.token, { action: 'sessions' });
        assert.deepEqual([status, json.code], [502, 'goose_failed']);
        await server.restart({ env: { GOOSE_BIN: program('#!/bin/sh\nexit 1\n') } });
        assert.equal((await ask(server, admin.token, { action: 'sessions' })).status, 502);
    });

    test('a secret of the server in GOOSE_ENV stops the start with a sentence', async () => {
        const extra = { GOOSE_ENV: 'GOOSE_MODEL,DIRECTUS_SECRET' };
        await assert.rejects(server.restart({ env: extra }), /GOOSE_ENV.*DIRECTUS_SECRET/s);
        server.extra.GOOSE_ENV = undefined;
        await server.start({ port: server.port });
        await server.assertWell();
    });
});
