// SPDX-License-Identifier: MIT
//
// With the queues on Redis: an export becomes a graph, what an admin withdraws and whom an operator deletes leave nothing
// that runs, and doctor sees what is paused.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { sampleExport } from '../support/export.mjs';
import { startGenie } from '../support/genie.mjs';
import { LIMIT_MS, ended, enqueued, newJob, uploadId } from '../support/jobs.mjs';
import { gradient } from '../support/pictures.mjs';
import { connect, startRedis } from '../support/redis.mjs';
import { eventually, quoted, sql } from '../support/talk.mjs';
import { upload } from '../support/zip.mjs';

const STATE = '/api/onboarding';
const OPERATION = 'resize_image';

describe('on Redis', () => {
    let redis, client, server;

    before(async () => {
        redis = await startRedis();
        client = connect(redis.port);
        server = await startGenie({ env: { REDIS_URL: redis.url, LEADER_LEASE_S: '3' } });
    });
    after(async () => {
        client?.disconnect();
        await server?.stop();
        await redis?.remove();
    });

    const newUser = () => server.addUser({ onboarding: 'DATA_COLLECTION', tier: 'studio' });
    const stateOf = async (user) => (await server.request(STATE, { token: user.token })).json.state;
    const recordOf = (id) => sql(server, `SELECT state, error FROM queue_jobs WHERE id = ${quoted(id)}`)[0];
    const isIn = async (set, queue, id) => (await client.zscore(`bull:${queue}:${set}`, id)) !== null;

    async function send(user) {
        const answer = await upload(server, user.token, sampleExport());
        assert.equal(answer.status, 200, answer.text);
        return answer.json.jobId;
    }

    /** While nothing of that queue begins. */
    async function paused(queue, body) {
        await server.cli(['queue', 'pause', queue]);
        try {
            return await body();
        } finally {
            await server.cli(['queue', 'resume', queue]);
        }
    }

    test('an uploaded export is read by the worker inside, and onboarding is complete', async () => {
        const user = await newUser();
        const jobId = await send(user);
        assert.match(jobId, /^onboard-job-/);
        await eventually(async () => (await stateOf(user)) === 'COMPLETE', 'COMPLETE', LIMIT_MS);
        assert.equal(recordOf(jobId).state, 'completed');
        await eventually(() => isIn('completed', 'onboarding-jobs', jobId), 'the end in Redis', LIMIT_MS);
        const [{ n }] = sql(server, `SELECT count(*) AS n FROM user_nodes WHERE user_id = ${quoted(user.id)}`);
        assert.ok(Number(n) > 400, `${n} nodes`);
    });

    test('an export that an admin withdraws ends in Redis with its row, and another can be sent', async () => {
        const user = await newUser();
        const admin = await server.addUser({ role: 'Administrator' });
        const jobId = await paused('onboarding-jobs', async () => {
            const id = await send(user);
            const answer = await server.request(`${STATE}/state`, {
                method: 'PATCH',
                token: admin.token,
                body: { state: 'DATA_COLLECTION', userId: user.id },
            });
            assert.equal(answer.status, 200, answer.text);
            assert.equal(recordOf(id).state, 'failed');
            assert.ok(await isIn('failed', 'onboarding-jobs', id));
            assert.match(await client.hget(`bull:onboarding-jobs:${id}`, 'failedReason'), /^withdrawn: /);
            return id;
        });
        await send(user);
        await eventually(async () => (await stateOf(user)) === 'COMPLETE', 'COMPLETE', LIMIT_MS);
        assert.equal(recordOf(jobId).state, 'failed');
    });

    test('of a user who is deleted nothing stays in Redis, and nothing runs', async () => {
        const user = await newUser();
        const photo = await uploadId(server, user, gradient(60, 40));
        const add = async () => {
            const id = await newJob(server, user, { operation: OPERATION, input_file_id: photo });
            return { id, run: await enqueued(server, user, { jobId: id, operation: OPERATION, params: { width: 20 } }) };
        };
        const done = await add();
        assert.equal((await ended(server, user, done.id)).state, 'completed');
        await eventually(() => isIn('completed', 'media-jobs', done.run), 'the end in Redis', LIMIT_MS);
        await paused('media-jobs', async () => {
            await add();
            await server.cli(['user', 'delete', '--email', user.email, '--yes']);
            for (const key of await client.keys('bull:*')) {
                const held = (await client.type(key)) === 'hash' ? JSON.stringify(await client.hgetall(key)) : '';
                assert.ok(!held.includes(user.id), `${key}: ${held}`);
            }
        });
        assert.equal(sql(server, `SELECT id FROM queue_jobs WHERE id LIKE '%${done.id}%'`).length, 0);
        await server.assertWell();
    });

    test('doctor sees which jobs wait there, and that a queue is paused', async () => {
        const queuesRow = async () => {
            const { stdout } = await server.cli(['doctor', '--json'], { expect: null });
            return JSON.parse(stdout).find((row) => row.name === 'queues');
        };
        assert.equal((await queuesRow()).verdict, 'ok');
        await paused('scrape-jobs', async () => {
            const row = await queuesRow();
            assert.equal(row.verdict, 'warn', JSON.stringify(row));
            assert.match(row.found, /^1 of the queues are paused; 0 jobs wait/);
            assert.match(row.mend, /genie queue resume/);
        });
        assert.equal((await queuesRow()).verdict, 'ok');
    });
});
