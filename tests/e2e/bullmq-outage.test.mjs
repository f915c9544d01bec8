// SPDX-License-Identifier: MIT
//
// Queues on a Redis that is stopped, killed and started again, beside servers and workers to which the same happens:
// nothing acknowledged is lost, nothing is charged twice, and everybody goes on by themselves.

import { Worker } from 'bullmq';
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { exitWithin, startGenie } from '../support/genie.mjs';
import { LIMIT_MS, enqueue, ended, jobOf, newJob, stored, unitsOf, uploadId } from '../support/jobs.mjs';
import { gradient } from '../support/pictures.mjs';
import { startRedis } from '../support/redis.mjs';
import { joinServer, stopServers } from '../support/servers.mjs';
import { eventually, sql } from '../support/talk.mjs';

const OPERATION = 'resize_image';
const ROUNDS = Number(process.env.GENIE_BULLMQ_ROUNDS ?? 3);
const JOBS_A_ROUND = 6;

const body = (id, values = {}) => ({ jobId: id, operation: OPERATION, params: { width: 20 }, ...values });

describe('Redis is away', () => {
    let redis, server, user, photo;

    before(async () => {
        redis = await startRedis();
        server = await startGenie({
            env: { REDIS_URL: redis.url, LOG_LEVEL: 'info', LEADER_LEASE_S: '3' },
        });
        user = await server.addUser({ tier: 'studio' });
        photo = await uploadId(server, user, gradient(60, 40));
    });
    after(async () => {
        await server?.stop();
        await redis?.remove();
    });

    const newRow = () => newJob(server, user, { operation: OPERATION, input_file_id: photo });
    const stats = () => server.request('/api/queue/stats', { token: user.token });

    /** Stands still from now on; until then it was well, and known to be. */
    async function freeze() {
        await eventually(async () => (await stats()).status === 200, 'the queue', LIMIT_MS);
        process.kill(redis.child.pid, 'SIGSTOP');
    }

    test('known to be down, it is refused at once, and nothing is written', async () => {
        const id = await newRow();
        const before = await unitsOf(server, user);
        await redis.kill9();
        await eventually(async () => (await stats()).status === 503, 'that it is known', LIMIT_MS);
        const refused = await enqueue(server, user, body(id));
        assert.deepEqual([refused.status, refused.json.code], [503, 'queue_unavailable'], refused.text);
        assert.equal(stored(server, id).runs.length, 0);
        assert.equal(await unitsOf(server, user), before);
        await server.assertWell();
        await redis.resume();
        await eventually(async () => (await stats()).status === 200, 'the queue', LIMIT_MS);
        const answer = await enqueue(server, user, body(id));
        assert.equal(answer.status, 200, answer.text);
        assert.equal((await ended(server, user, id)).state, 'completed');
        assert.equal(stored(server, id).outputs.length, 1);
        assert.equal(await unitsOf(server, user), before + 1);
    });

    test('a repeat after queue_unconfirmed takes no second unit, and the job runs once', async () => {
        const id = await newRow();
        const before = await unitsOf(server, user);
        await freeze();
        const first = await enqueue(server, user, body(id));
        const again = await enqueue(server, user, body(id));
        process.kill(redis.child.pid, 'SIGCONT');
        assert.equal(first.status, 503, first.text);
        assert.ok([503, 200].includes(again.status), again.text);
        const answer = await eventually(
            async () => {
                const got = await enqueue(server, user, body(id));
                return got.status !== 503 && got;
            },
            'an answer',
            LIMIT_MS,
        );
        assert.ok([200, 409].includes(answer.status), answer.text);
        assert.equal((await ended(server, user, id)).state, 'completed');
        const { outputs, runs } = stored(server, id);
        assert.deepEqual([outputs.length, runs.length], [1, 1]);
        assert.equal(await unitsOf(server, user), before + 1);
    });

    test('what was left in the outbox by a server that was killed is carried by the next', async () => {
        const id = await newRow();
        await freeze();
        const asked = enqueue(server, user, body(id)).catch(() => null);
        await eventually(
            () => sql(server, `SELECT job_id FROM queue_outbox WHERE job_id = '${id}-1'`).length === 1,
            'the outbox',
            LIMIT_MS,
        );
        await server.kill9();
        await asked;
        await redis.kill9();
        await redis.resume();
        await server.restart();
        assert.equal((await ended(server, user, id)).state, 'completed');
        assert.equal(stored(server, id).outputs.length, 1);
        await eventually(
            () => Number(sql(server, 'SELECT count(*) AS n FROM queue_outbox')[0].n) === 0,
            'an empty outbox',
            LIMIT_MS,
        );
    });
});

test('two servers, two genie workers and one of BullMQ go on through everybody dying in turn', async () => {
    const redis = await startRedis();
    const env = { REDIS_URL: redis.url, LOG_LEVEL: 'info', LEADER_LEASE_S: '3' };
    const first = await startGenie({ env, args: ['--no-worker'] });
    const servers = [first, await joinServer(first)];
    const workers = [first.begin(['worker']), first.begin(['worker'])];
    const ran = new Map();
    const node = new Worker(
        'media-jobs',
        async (job) => {
            ran.set(job.id, (ran.get(job.id) ?? 0) + 1);
            return { by: 'node' };
        },
        { connection: redis.connection },
    );
    node.on('error', () => {});
    try {
        const user = await first.addUser({ tier: 'studio' });
        const photo = await uploadId(first, user, gradient(60, 40));
        const before = await unitsOf(first, user);
        const asked = [];
        const givenUp = new Set();
        const ask = async (server, id) => {
            const answer = await enqueue(server, user, body(id)).catch(() => null);
            return answer && [200, 409].includes(answer.status);
        };
        const kill = [
            async () => {
                await redis.kill9();
                await redis.resume();
            },
            async () => {
                const [worker] = workers.splice(0, 1);
                worker.kill('SIGKILL');
                await exitWithin(worker, LIMIT_MS);
                workers.push(first.begin(['worker']));
            },
            async () => {
                await servers[1].kill9();
                await servers[1].restart();
            },
        ];
        for (let round = 0; round < ROUNDS; round++) {
            const ids = [];
            for (let i = 0; i < JOBS_A_ROUND; i++)
                ids.push(await newJob(first, user, { operation: OPERATION, input_file_id: photo }));
            asked.push(...ids);
            const dying = kill[round % kill.length]();
            for (const [i, id] of ids.entries())
                await eventually(() => ask(servers[i % 2], id), `${id} to be taken`, LIMIT_MS);
            await dying;
        }
        for (const id of asked) {
            const job = await eventually(
                async () => {
                    const seen = await jobOf(first, user, id);
                    return ['completed', 'failed'].includes(seen.state) && seen;
                },
                `the end of ${id}`,
                4 * LIMIT_MS,
            );
            // a worker of BullMQ gives a job up whose workers died twice
            if (job.state === 'failed') assert.equal(job.error, 'job stalled', JSON.stringify(job));
            if (job.state === 'failed') givenUp.add(id);
        }
        assert.ok(givenUp.size <= asked.length / 20, `${givenUp.size} jobs of ${asked.length} were given up`);
        for (const id of asked) {
            const { row, outputs, runs } = stored(first, id);
            assert.equal(row.status, givenUp.has(id) ? 'failed' : 'completed');
            if (givenUp.has(id)) continue;
            assert.equal(runs.length, 1, JSON.stringify(runs));
            assert.ok(outputs.length <= 1);
            assert.ok(outputs.length + (ran.get(runs[0].id) ?? 0) >= 1, `${id} was done by somebody`);
        }
        assert.equal(await unitsOf(first, user), before + asked.length - givenUp.size);
        const held = sql(first, "SELECT count(*) AS n FROM quota_reservations WHERE status = 'held'");
        assert.equal(Number(held[0].n), 0);
    } finally {
        await node.close();
        for (const worker of workers) {
            worker.kill('SIGKILL');
            await exitWithin(worker, LIMIT_MS);
        }
        await stopServers(servers);
        await redis.remove();
    }
});
