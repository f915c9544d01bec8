// SPDX-License-Identifier: MIT
//
// Onboarding: its states and who may change them, and the exports that creators upload: what is taken, what is
// refused, and what is left of it whatever happens.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import {
    existsSync,
    mkdirSync,
    readdirSync,
    readFileSync,
    statSync,
    utimesSync,
    writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startGenie } from '../support/genie.mjs';
import { sql, talk } from '../support/talk.mjs';
import { exportZip, makeZip, tryUpload, unicodePath, upload } from '../support/zip.mjs';

const PATH = '/api/onboarding';
const STATES = ['EXTENSION_INSTALL', 'DATA_COLLECTION', 'PROCESSING', 'COMPLETE'];

const setState = (server, token, state, more = {}) =>
    server.request(PATH, { method: 'PATCH', token, body: { state, ...more } });
const stateOf = async (server, token) => (await server.request(PATH, { token })).json.state;
const jobsOf = (server, user) =>
    sql(server, `SELECT id, state, data FROM queue_jobs WHERE user_id = '${user.id}'`);
const filesOf = (server, user) => {
    const directory = join(server.dataDir, 'onboarding', user.id);
    return existsSync(directory) ? readdirSync(directory) : [];
};
const dataOf = (job) => (typeof job.data === 'string' ? JSON.parse(job.data) : job.data);

describe('the states of onboarding', () => {
    let server, user, admin, viewer;
    before(async () => {
        server = await startGenie();
        user = await server.addUser({ onboarding: 'EXTENSION_INSTALL' });
        admin = await server.addUser({ role: 'Administrator' });
        viewer = await server.addUser({ role: 'Viewer', onboarding: 'EXTENSION_INSTALL' });
    });
    after(async () => await server.stop());

    test('are shown, under both paths', async () => {
        for (const path of [PATH, `${PATH}/state`]) {
            const { status, json } = await server.request(path, { token: user.token });
            assert.equal(status, 200);
            assert.deepEqual(json, { state: 'EXTENSION_INSTALL', userId: user.id });
        }
    });

    test('go on one by one, and stay when they are said again; the next chat knows', async () => {
        for (const [from, state] of STATES.entries()) {
            const answer = await setState(server, user.token, state);
            assert.equal(answer.status, 200, answer.text);
            assert.equal(answer.json.onboarding_state, state);
            assert.equal(answer.json.user_id, user.id);
            assert.equal((await setState(server, user.token, state)).status, 200);
            for (const [to, other] of STATES.entries())
                if (to !== from && to !== from + 1) {
                    const refused = await setState(server, user.token, other);
                    assert.equal(refused.status, 409, `${state} to ${other}`);
                    assert.equal(refused.json.code, 'illegal_transition');
                }
            assert.equal(await stateOf(server, user.token), state);
            const { last } = await talk(server, user, 'Hello');
            assert.equal(last.chatId !== undefined, state === 'PROCESSING' || state === 'COMPLETE');
        }
    });

    test('are set by admins, for anybody and to anything', async () => {
        for (const state of ['DATA_COLLECTION', 'COMPLETE', 'EXTENSION_INSTALL']) {
            const answer = await setState(server, admin.token, state, { userId: user.id.toUpperCase() });
            assert.equal(answer.status, 200, answer.text);
            assert.equal(answer.json.user_id, user.id);
            assert.equal(await stateOf(server, user.token), state);
        }
        assert.equal((await setState(server, admin.token, 'PROCESSING')).status, 200);
        assert.equal((await setState(server, admin.token, 'DATA_COLLECTION')).status, 200);
        const unknown = await setState(server, admin.token, 'COMPLETE', { userId: randomUUID() });
        assert.equal(unknown.status, 404);
    });

    test('of others are nobody’s business, and a viewer’s own may only be read', async () => {
        const other = await setState(server, user.token, 'DATA_COLLECTION', { userId: viewer.id });
        const nobody = await setState(server, user.token, 'DATA_COLLECTION', { userId: randomUUID() });
        assert.equal(other.status, 404);
        assert.equal(other.text, nobody.text);
        assert.equal(
            (await setState(server, user.token, 'DATA_COLLECTION', { userId: user.id })).status,
            200,
        );
        assert.equal((await setState(server, viewer.token, 'DATA_COLLECTION')).json.code, 'read_only');
        assert.equal(await stateOf(server, viewer.token), 'EXTENSION_INSTALL');
    });

    test('must be among the four', async () => {
        for (const state of ['DONE', 'complete', '', null, 3, undefined])
            assert.equal((await setState(server, user.token, state)).status, 400, String(state));
        assert.equal((await setState(server, user.token, 'COMPLETE', { userId: 'x' })).status, 400);
    });

    test('begin where there is no persona, which is made by the first step', async () => {
        const bare = await server.addUser();
        for (const person of [bare, admin])
            sql(server, `DELETE FROM user_personas WHERE user_id = '${person.id}'`);
        assert.equal(await stateOf(server, bare.token), 'EXTENSION_INSTALL');
        assert.equal(await stateOf(server, admin.token), 'EXTENSION_INSTALL');
        assert.equal((await setState(server, bare.token, 'COMPLETE')).status, 409);
        assert.equal((await setState(server, bare.token, 'DATA_COLLECTION')).status, 200);
        assert.equal((await setState(server, admin.token, 'COMPLETE')).status, 200);
        assert.equal(await stateOf(server, bare.token), 'DATA_COLLECTION');
        assert.equal(await stateOf(server, admin.token), 'COMPLETE');
    });

    test('take each step once, however many ask at once', async () => {
        const crowd = await server.addUser({ onboarding: 'EXTENSION_INSTALL' });
        sql(server, `DELETE FROM user_personas WHERE user_id = '${crowd.id}'`);
        const asked = Array.from({ length: 24 }, (_, i) => (i % 2 ? 'DATA_COLLECTION' : 'PROCESSING'));
        const answers = await Promise.all(asked.map((state) => setState(server, crowd.token, state)));
        for (const { status } of answers) assert.ok(status === 200 || status === 409, String(status));
        assert.ok(answers.some(({ status }, i) => status === 200 && asked[i] === 'DATA_COLLECTION'));
        const last = answers.some(({ status }, i) => status === 200 && asked[i] === 'PROCESSING');
        assert.equal(await stateOf(server, crowd.token), last ? 'PROCESSING' : 'DATA_COLLECTION');
        const [{ n }] = sql(server, `SELECT count(*) AS n FROM user_personas WHERE user_id = '${crowd.id}'`);
        assert.equal(Number(n), 1);
    });
});

describe('exports', () => {
    let server, admin, waiting;
    before(async () => {
        server = await startGenie({ env: { MAX_UPLOAD_MB: '8', WORKER_CONCURRENCY_ONBOARDING: '0' } });
        admin = await server.addUser({ role: 'Administrator' });
        waiting = await server.addUser({ onboarding: 'DATA_COLLECTION' });
    });
    after(async () => await server.stop());

    const newUser = () => server.addUser({ onboarding: 'DATA_COLLECTION' });
    async function assertRefused(bytes, about, status = 400, code = 'invalid_archive') {
        const answer = await upload(server, waiting.token, bytes);
        assert.equal(answer.status, status, `${about}: ${answer.text}`);
        assert.equal(answer.json.code, code, `${about}: ${answer.text}`);
        if (code === 'invalid_archive') assert.match(answer.json.error, about);
        assert.equal(await stateOf(server, waiting.token), 'DATA_COLLECTION');
        assert.deepEqual(filesOf(server, waiting), []);
        assert.deepEqual(jobsOf(server, waiting), []);
    }

    test('count once under an Idempotency-Key, however the form is written', async () => {
        const user = await newUser();
        const headers = { 'Idempotency-Key': 'export-1' };
        const first = await upload(server, user.token, exportZip(), { headers });
        assert.equal(first.status, 200, first.text);
        const again = await upload(server, user.token, exportZip(), { headers });
        assert.equal(again.status, 200, again.text);
        assert.equal(again.headers['idempotent-replayed'], 'true');
        assert.deepEqual(again.json, first.json);
        const other = await upload(server, user.token, makeZip([{ name: 'x.txt', data: Buffer.from('x') }]), {
            headers,
        });
        assert.equal(other.status, 422, other.text);
        assert.equal(jobsOf(server, user).length, 1);
        assert.equal(filesOf(server, user).length, 1);
    });

    test('become a file, a job and PROCESSING', async () => {
        const user = await newUser();
        const bytes = exportZip();
        const answer = await upload(server, user.token, bytes, { filename: 'C:\\my data.zip' });
        assert.equal(answer.status, 200, answer.text);
        const { jobId, filePath, ok } = answer.json;
        assert.equal(ok, true);
        assert.match(jobId, /^onboard-job-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
        assert.equal(filePath, `onboarding/${user.id}/${jobId}.zip`);
        const file = join(server.dataDir, filePath);
        assert.deepEqual(readFileSync(file), bytes);
        assert.equal(statSync(file).mode & 0o777, 0o600);
        assert.equal(await stateOf(server, user.token), 'PROCESSING');
        const [job] = jobsOf(server, user);
        const data = dataOf(job);
        assert.equal(job.id, jobId);
        assert.equal(job.state, 'waiting');
        assert.deepEqual(Object.keys(data).sort(), [
            'creator_profile_id',
            'input_file_id',
            'input_url',
            'jobId',
            'operation',
            'params',
            'user_id',
        ]);
        assert.equal(data.jobId, jobId);
        assert.equal(data.user_id, user.id);
        assert.equal(data.params.file_path, filePath);
        assert.equal(data.params.file_name, 'my data.zip');
        assert.equal(data.params.server, hostname());
        assert.equal(data.params.bytes, bytes.length);
        assert.equal(data.params.entries, 4);
        assert.ok(data.params.unpacked_bytes > 300);
    });

    test('one at a time: of several at once one is taken, and there is one file', async () => {
        const user = await newUser();
        const answers = await Promise.all(
            Array.from({ length: 6 }, () => tryUpload(server, user.token, exportZip())),
        );
        const taken = answers.filter(({ status }) => status === 200);
        assert.equal(taken.length, 1);
        for (const { status, json } of answers)
            if (status !== 200)
                assert.ok(
                    (status === 409 && json.code === 'onboarding_in_progress') || status === 503,
                    JSON.stringify(json),
                );
        assert.deepEqual(filesOf(server, user), [`${taken[0].json.jobId}.zip`]);
        assert.equal(jobsOf(server, user).length, 1);
        const again = await upload(server, user.token, exportZip());
        assert.equal(again.json.code, 'onboarding_in_progress');
    });

    test('only in DATA_COLLECTION', async () => {
        for (const onboarding of ['EXTENSION_INSTALL', 'PROCESSING', 'COMPLETE']) {
            const user = await server.addUser({ onboarding });
            const answer = await upload(server, user.token, exportZip());
            assert.equal(answer.status, 409);
            assert.equal(answer.json.code, 'illegal_transition');
            assert.deepEqual(filesOf(server, user), []);
        }
        const viewer = await server.addUser({ role: 'Viewer', onboarding: 'DATA_COLLECTION' });
        assert.equal((await upload(server, viewer.token, exportZip())).json.code, 'read_only');
    });

    test('nobody is stuck: an admin sets the state back, and the next export is taken', async () => {
        const user = await newUser();
        const first = await upload(server, user.token, exportZip());
        assert.equal((await setState(server, user.token, 'DATA_COLLECTION')).status, 409);
        assert.equal(
            (await setState(server, admin.token, 'DATA_COLLECTION', { userId: user.id })).status,
            200,
        );
        const second = await upload(server, user.token, exportZip());
        assert.equal(second.status, 200, second.text);
        const states = Object.fromEntries(jobsOf(server, user).map((job) => [job.id, job.state]));
        assert.deepEqual(states, { [first.json.jobId]: 'failed', [second.json.jobId]: 'waiting' });
    });

    test('are refused when they are something else, empty, cut or altered', async () => {
        const good = exportZip();
        await assertRefused(Buffer.from('name,spend\nAnna,12\n'.repeat(10)), /not a ZIP/);
        await assertRefused(Buffer.from('PK'), /not a ZIP/);
        await assertRefused(Buffer.alloc(0), /not a ZIP/);
        await assertRefused(makeZip([]), /empty/);
        await assertRefused(makeZip([{ name: 'only/', data: '', mode: 0o040755 }]), /empty/);
        for (const cut of [1, 21, 22, 60, good.length >> 1])
            await assertRefused(good.subarray(0, good.length - cut), /damaged/);
        const altered = Buffer.from(good);
        altered[good.indexOf('hello')] ^= 1;
        await assertRefused(altered, /damaged/);
        await assertRefused(Buffer.concat([Buffer.from('#!/bin/sh\n'), good]), /not a ZIP/);
        await assertRefused(Buffer.concat([good, Buffer.from('more')]), /damaged/);
    });

    test('are refused when a name leads out', async () => {
        const names = ['../x', '/etc/passwd', 'a/../../x', '..', '..\\x', 'a\\..\\x', 'C:\\x', 'a\0b', 'a\n'];
        for (const name of names) await assertRefused(makeZip([{ name: 'ok' }, { name }]), /leads out/);
        await assertRefused(makeZip([{ name: 'safe', localName: '../x' }]), /contradicts|damaged/);
        const hidden = makeZip([{ name: 'safe', extra: unicodePath('safe', '../../x') }]);
        await assertRefused(hidden, /leads out/);
    });

    test('are refused when they hold links or what is encrypted', async () => {
        await assertRefused(makeZip([{ name: 'l', data: '/etc/passwd', mode: 0o120777 }]), /links/);
        await assertRefused(makeZip([{ name: 'f', data: '', mode: 0o010644 }]), /links/);
        await assertRefused(makeZip([{ name: 'secret', flags: 1 }]), /encrypted/);
    });

    test('are refused when they are bombs, whatever they claim', async () => {
        const zeros = Buffer.alloc(6 << 20);
        await assertRefused(makeZip([{ name: 'zeros', data: zeros, deflate: true }]), /suspiciously small/);
        const lying = makeZip([{ name: 'zeros', data: zeros, deflate: true, unpacked: 1000 }]);
        await assertRefused(lying, /suspiciously small|damaged/);
        await assertRefused(makeZip([{ name: 'big', unpacked: 0xfffffff0 }]), /suspiciously small|too large/);
        const bomb = makeZip([{ name: 'zeros', data: zeros, deflate: true }]);
        await assertRefused(
            makeZip([
                { name: 'inner.zip', data: bomb },
                { name: 'zeros', data: zeros, deflate: true },
            ]),
            /small/,
        );
    });

    test('may have 10,000 entries, not one more', async () => {
        const many = Array.from({ length: 10_001 }, (_, i) => ({ name: `n/${i}`, data: 'x' }));
        await assertRefused(makeZip(many), /too many/);
        await assertRefused(makeZip(many, { claimed: 3 }), /damaged/);
        const user = await newUser();
        const answer = await upload(server, user.token, makeZip(many.slice(1)));
        assert.equal(answer.status, 200, answer.text);
    });

    test('are refused when they are too large, or not there', async () => {
        await assertRefused(randomBytes((8 << 20) + 1), 'too large', 413, 'body_too_large');
        const other = await upload(server, waiting.token, exportZip(), { field: 'other' });
        assert.equal(other.status, 400);
        assert.deepEqual([other.json.code, other.json.field], ['missing_field', 'file']);
        const json = await server.request(`${PATH}/zip-upload`, {
            method: 'POST',
            token: waiting.token,
            body: {},
        });
        assert.equal(json.status, 415);
    });

    test('are refused while the disk is full, and nothing is left', async () => {
        const limit = (bytes) => execFileSync('prlimit', ['--pid', String(server.pid), `--fsize=${bytes}:`]);
        const noise = makeZip([{ name: 'noise', data: randomBytes(1 << 20) }]);
        limit(400_000);
        let answer;
        try {
            answer = await tryUpload(server, waiting.token, noise);
        } finally {
            limit('unlimited');
        }
        assert.equal(answer.status, 503, answer.text);
        assert.deepEqual(filesOf(server, waiting), []);
        assert.deepEqual(jobsOf(server, waiting), []);
        assert.equal(await stateOf(server, waiting.token), 'DATA_COLLECTION');
        const user = await newUser();
        assert.equal((await upload(server, user.token, noise)).status, 200);
    });

    test('leave no file where the job can’t be stored', async () => {
        const user = await newUser();
        sql(server, 'ALTER TABLE queue_jobs RENAME COLUMN operation TO gone');
        const answer = await tryUpload(server, user.token, exportZip());
        sql(server, 'ALTER TABLE queue_jobs RENAME COLUMN gone TO operation');
        assert.equal(answer.status, 503, answer.text);
        assert.equal(await stateOf(server, user.token), 'DATA_COLLECTION');
        assert.deepEqual(jobsOf(server, user), []);
        assert.deepEqual(filesOf(server, user), []);
        assert.equal((await upload(server, user.token, exportZip())).status, 200);
    });

    test('of a server that is killed again and again have no job without a file, and orphans go', async () => {
        const users = [];
        for (let i = 0; i < 4; i++) users.push(await newUser());
        const bytes = makeZip([{ name: 'noise', data: randomBytes(2 << 20) }]);
        const acknowledged = new Set();
        for (const delay of [20, 60, 140]) {
            const requests = users.map((user) => tryUpload(server, user.token, bytes));
            await sleep(delay);
            await server.kill9();
            for (const answer of await Promise.all(requests))
                if (answer?.status === 200) acknowledged.add(answer.json.jobId);
            await server.restart();
            for (const user of users) {
                for (const job of jobsOf(server, user)) {
                    const { file_path: path } = dataOf(job).params;
                    assert.deepEqual(readFileSync(join(server.dataDir, path)), bytes);
                    acknowledged.delete(job.id);
                }
                const state = jobsOf(server, user).length ? 'PROCESSING' : 'DATA_COLLECTION';
                assert.equal(await stateOf(server, user.token), state);
            }
            assert.equal(acknowledged.size, 0, 'what was acknowledged has its job');
        }
        const orphan = `onboard-job-${randomUUID()}.zip`;
        const directory = join(server.dataDir, 'onboarding', users[0].id);
        mkdirSync(directory, { recursive: true });
        writeFileSync(join(directory, orphan), 'x');
        await server.restart();
        assert.ok(filesOf(server, users[0]).includes(orphan), 'it might be about to get its job');
        utimesSync(join(directory, orphan), new Date(0), new Date(0));
        await server.restart();
        assert.ok(!filesOf(server, users[0]).includes(orphan));
    });
});
