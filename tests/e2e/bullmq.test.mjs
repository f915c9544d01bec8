// SPDX-License-Identifier: MIT
//
// Queues on Redis, shared with the real BullMQ, of both majors that are in use: what we add its workers run, what its
// queues add `genie worker` runs, and what either says of a job the other understands.

import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import * as bullmq6 from 'bullmq';
import * as bullmq5 from 'bullmq5';
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { removeDir } from '../support/dirs.mjs';
import { exitWithin, startGenie } from '../support/genie.mjs';
import {
    LIMIT_MS,
    cancel,
    enqueued,
    ended,
    gate,
    jobOf,
    newJob,
    stored,
    unitsOf,
    uploadId,
} from '../support/jobs.mjs';
import { gradient } from '../support/pictures.mjs';
import { connect, startRedis } from '../support/redis.mjs';
import { eventually, quoted, sql, stopAll } from '../support/talk.mjs';

const QUEUE = 'media-jobs';
const OPERATION = 'resize_image';
const params = { width: 20 };

function deferred() {
    const it = {};
    it.promise = new Promise((resolve, reject) => Object.assign(it, { resolve, reject }));
    return it;
}

for (const [major, bullmq] of [
    ['5', bullmq5],
    ['6', bullmq6],
])
    describe(`BullMQ ${major}`, () => {
        let redis, client, held, server, user, photo, queue, events;
        const heard = [];

        before(async () => {
            redis = await startRedis();
            client = connect(redis.port);
            held = gate('convert');
            server = await startGenie({
                env: { REDIS_URL: redis.url, LOG_LEVEL: 'info', LEADER_LEASE_S: '3', ...held.env },
                args: ['--no-worker'],
            });
            user = await server.addUser({ tier: 'studio' });
            photo = await uploadId(server, user, gradient(60, 40));
            queue = new bullmq.Queue(QUEUE, { connection: redis.connection });
            events = new bullmq.QueueEvents(QUEUE, { connection: redis.connection });
            for (const name of ['added', 'waiting', 'active', 'progress', 'completed', 'failed', 'delayed'])
                events.on(name, (about) => heard.push({ ...about, event: name }));
            await events.waitUntilReady();
            held.open();
        });
        after(async () => {
            await events?.close();
            await queue?.close();
            client?.disconnect();
            await stopAll(server);
            await redis?.remove();
            if (held) removeDir(held.dir);
        });

        /** A row, and its run in the queue: {id, run}. */
        async function enqueue(more = {}) {
            const id = await newJob(server, user, { operation: OPERATION, input_file_id: photo });
            return {
                id,
                run: await enqueued(server, user, { jobId: id, operation: OPERATION, params, ...more }),
            };
        }

        /** The same, put there by BullMQ: {id, job}. */
        async function enqueueThere(opts = {}, data = {}) {
            const id = await newJob(server, user, { operation: OPERATION, input_file_id: photo });
            const all = { jobId: id, operation: OPERATION, input_file_id: photo, params, ...data };
            return { id, job: await queue.add(OPERATION, all, opts) };
        }

        const stateOf = async (run) => await (await queue.getJob(run)).getState();
        const isState = (run, state) =>
            eventually(async () => (await stateOf(run)) === state, `${run} to be ${state}`, LIMIT_MS);
        const told = (name, run) => heard.find((one) => one.event === name && one.jobId === run);

        /** A BullMQ worker while body() runs. */
        async function withNodeWorker(processor, body, options = {}) {
            const worker = new bullmq.Worker(QUEUE, processor, { connection: redis.connection, ...options });
            worker.on('error', () => {});
            try {
                await worker.waitUntilReady();
                return await body(worker);
            } finally {
                await worker.close();
            }
        }

        /** `genie worker` while body(child) runs. */
        async function withWorker(body) {
            const child = server.begin(['worker', '--queues', 'media']);
            try {
                return await body(child);
            } finally {
                child.kill('SIGTERM');
                const exit = await exitWithin(child, LIMIT_MS);
                if (!exit) child.kill('SIGKILL');
                const early = exit?.signal === 'SIGTERM'; // before it awaited signals
                assert.ok(early || exit?.code === 0, JSON.stringify(exit));
            }
        }

        test('what waits is shown alike by both, and on Bull Board', async () => {
            const first = await enqueue();
            await enqueue({ priority: 3 });
            assert.equal(await stateOf(first.run), 'prioritized');
            const { json } = await server.request('/api/queue/stats', { token: user.token });
            assert.equal(json.stats?.[QUEUE]?.waiting ?? json[QUEUE]?.waiting, 2, JSON.stringify(json));
            const counts = await queue.getJobCounts();
            assert.equal(counts.prioritized, 2);
            assert.equal(counts.waiting, 0);
            const board = new BullMQAdapter(queue);
            assert.equal((await board.getJobCounts()).prioritized, 2);
            const [shown] = await board.getJobs(['prioritized'], 0, 0);
            assert.equal(shown.toJSON().data.jobId.length, 36);
            const job = await queue.getJob(first.run);
            assert.equal(job.name, OPERATION);
            assert.equal(job.opts.attempts, 3);
            assert.equal(job.data.user_id, user.id);
            await eventually(() => told('added', first.run), 'the event', LIMIT_MS);
        });

        test('a worker of BullMQ runs them in its own order, and rows and units follow', async () => {
            const priorities = [10, 0, 5, 10, 2, 5, 0, 2097151];
            const runs = [];
            for (const priority of priorities) runs.push(await enqueue({ priority }));
            const before = await unitsOf(server, user);
            const control = new bullmq.Queue('control', { connection: redis.connection });
            for (const [i, priority] of priorities.entries()) await control.add('n', { i }, { priority });
            const theirs = [];
            const other = new bullmq.Worker('control', async (job) => theirs.push(job.data.i), {
                connection: redis.connection,
            });
            await eventually(() => theirs.length === priorities.length, 'the order of BullMQ', LIMIT_MS);
            await other.close();
            await control.close();

            const ours = [];
            await withNodeWorker(
                async (job) => {
                    const at = runs.findIndex(({ run }) => run === job.id);
                    if (at >= 0) ours.push(at);
                    await job.updateProgress(40);
                    await job.log('a line of Node');
                    if (at === 3) throw new bullmq.UnrecoverableError('broken there');
                    return { by: 'node' };
                },
                () => eventually(() => ours.length === runs.length, 'all jobs', LIMIT_MS),
            );
            assert.deepEqual(ours, theirs);
            for (const [i, { id, run }] of runs.entries()) {
                const job = await ended(server, user, id);
                assert.equal(job.state, i === 3 ? 'failed' : 'completed', JSON.stringify(job));
                assert.equal((await stateOf(run)) === 'failed', i === 3);
            }
            const row = stored(server, runs[0].id).row;
            assert.deepEqual([row.status, Number(row.progress)], ['completed', 100]);
            assert.match(String(JSON.stringify(row.result)), /node/);
            assert.equal(stored(server, runs[3].id).row.error_message, 'broken there');
            await eventually(
                async () => (await unitsOf(server, user)) === before - 1,
                'the unit of the one that failed',
                LIMIT_MS,
            );
            for (const name of ['active', 'progress', 'completed'])
                await eventually(() => told(name, runs[0].run), name, LIMIT_MS);
            const failed = await eventually(() => told('failed', runs[3].run), 'failed', LIMIT_MS);
            assert.equal(failed.failedReason, 'broken there');
        });

        test('a job that a worker of BullMQ tries again is one that waits for its next attempt', async () => {
            const { id, run } = await enqueue();
            let tries = 0;
            await withNodeWorker(
                async () => {
                    if (++tries < 2) throw new Error('not yet');
                    return {};
                },
                async () => await ended(server, user, id),
            );
            assert.equal(tries, 2);
            assert.equal((await queue.getJob(run)).attemptsMade, 2);
            const { row } = stored(server, id);
            assert.equal(row.status, 'completed');
        });

        test('genie worker runs what BullMQ adds, and BullMQ sees how it goes', async () => {
            const kept = await enqueueThere();
            const set = `status = 'queued', bull_job_id = ${quoted(kept.job.id)}`; // as a server of Node's does
            sql(server, `UPDATE media_jobs SET ${set} WHERE id = ${quoted(kept.id)}`);
            const gone = await enqueueThere({ removeOnComplete: true, priority: 7 });
            const later = await enqueueThere({ delay: 300 });
            const lost = await queue.add(OPERATION, { jobId: randomUUID(), operation: OPERATION });
            const odd = await queue.add(OPERATION, ['no object'], { attempts: 1 });
            assert.equal(await stateOf(later.job.id), 'delayed');
            await withWorker(async () => {
                const result = await kept.job.waitUntilFinished(events, LIMIT_MS);
                assert.equal(typeof result, 'object');
                await assert.rejects(lost.waitUntilFinished(events, LIMIT_MS), /no such media job/);
                await assert.rejects(odd.waitUntilFinished(events, LIMIT_MS), /not a JSON object/);
                for (const { id } of [kept, gone, later]) {
                    const { row, outputs } = await eventually(
                        () => stored(server, id).row.status === 'completed' && stored(server, id),
                        'the row',
                        LIMIT_MS,
                    );
                    assert.equal(row.status, 'completed');
                    assert.equal(outputs.length, 1);
                }
            });
            await isState(kept.job.id, 'completed');
            assert.equal(await queue.getJob(gone.job.id), undefined);
            const seen = await queue.getJob(kept.job.id);
            assert.equal(seen.attemptsMade, 1);
            assert.ok(seen.finishedOn >= seen.processedOn);
            const { logs } = await queue.getJobLogs(kept.job.id);
            assert.ok(Array.isArray(logs));
            assert.equal((await queue.getJob(lost.id)).stacktrace.length, 1);
        });

        test('either pauses the queue for all, and either lets it go on', async () => {
            await server.cli(['queue', 'pause', QUEUE]);
            assert.equal(await queue.isPaused(), true);
            const one = await enqueue({ priority: 0 });
            const two = await enqueueThere();
            const counts = await queue.getJobCounts('waiting', 'paused');
            assert.equal((counts.waiting ?? 0) + (counts.paused ?? 0), 2);
            const { stdout } = await server.cli(['queue', 'stats', '--json']);
            assert.deepEqual(
                [JSON.parse(stdout)[QUEUE].waiting, JSON.parse(stdout)[QUEUE].paused],
                [2, true],
            );
            await queue.resume();
            await withWorker(async () => {
                for (const { id } of [one, two])
                    await eventually(
                        () => stored(server, id).row.status === 'completed',
                        'the row',
                        LIMIT_MS,
                    );
            });
            await queue.pause();
            const three = await enqueueThere();
            await server.cli(['queue', 'resume', QUEUE]);
            assert.equal(await queue.isPaused(), false);
            await withNodeWorker(
                async () => ({ by: 'node' }),
                () => isState(three.job.id, 'completed'),
            );
        });

        test('a worker of BullMQ takes over from a genie worker that was killed', async () => {
            const gates = gate('convert');
            const id = await newJob(server, user, { operation: OPERATION, input_file_id: photo });
            const run = await enqueued(server, user, { jobId: id, operation: OPERATION, params });
            server.extra.PATH = gates.env.PATH;
            const killed = server.begin(['worker', '--queues', 'media']);
            await gates.begun();
            await isState(run, 'active');
            killed.kill('SIGKILL');
            await exitWithin(killed, LIMIT_MS);
            server.extra.PATH = held.env.PATH;
            // As if their time had passed.
            await client.del(`bull:${QUEUE}:${run}:lock`, `bull:${QUEUE}:stalled-check`);
            await withNodeWorker(
                async () => ({ by: 'node' }),
                async () => {
                    const job = await ended(server, user, id);
                    assert.equal(job.state, 'completed', JSON.stringify(job));
                },
                { stalledInterval: 500 },
            );
            assert.equal(stored(server, id).outputs.length, 0);
            removeDir(gates.dir);
        });

        test('genie worker takes over from a worker of BullMQ that died', async () => {
            const second = await enqueue();
            const stuck = new bullmq.Worker(QUEUE, () => new Promise(() => {}), {
                connection: redis.connection,
                lockDuration: 1000,
                skipStalledCheck: true,
                skipLockRenewal: true,
            });
            stuck.on('error', () => {});
            await isState(second.run, 'active');
            await stuck.close(true);
            await withWorker(async () => {
                const job = await ended(server, user, second.id);
                assert.equal(job.state, 'completed', JSON.stringify(job));
            });
            assert.equal(stored(server, second.id).outputs.length, 1);
        });

        test('a cancelled job is a failed one there, and gives its unit back', async () => {
            const before = await unitsOf(server, user);
            const { id, run } = await enqueue();
            assert.equal(await unitsOf(server, user), before + 1);
            assert.equal((await cancel(server, user, id)).status, 200);
            assert.equal(await stateOf(run), 'failed');
            assert.equal((await jobOf(server, user, id)).state, 'failed');
            assert.equal(await unitsOf(server, user), before);
        });

        test('one that a worker of BullMQ runs is cancelled at its end, unless it was done', async () => {
            const before = await unitsOf(server, user);
            const jobs = [await enqueue({ priority: 0 }), await enqueue({ priority: 0 }), await enqueue({ priority: 0 })];
            const [thrown, again, done] = jobs;
            const goOn = new Map(jobs.map(({ run }) => [run, deferred()]));
            assert.equal(await unitsOf(server, user), before + 3);
            await withNodeWorker(
                async (job) => await goOn.get(job.id).promise,
                async () => {
                    for (const { id, run } of jobs) {
                        await isState(run, 'active');
                        const answer = await cancel(server, user, id);
                        assert.equal(answer.status, 200, answer.text);
                        assert.equal((await jobOf(server, user, id)).state, 'active');
                    }
                    goOn.get(thrown.run).reject(new bullmq.UnrecoverableError('stopped'));
                    goOn.get(again.run).reject(new Error('an attempt'));
                    goOn.get(done.run).resolve({ by: 'node' });
                    for (const { id } of jobs) await ended(server, user, id);
                },
                { concurrency: 3 },
            );
            const states = [];
            for (const { id } of jobs) states.push((await jobOf(server, user, id)).state);
            assert.deepEqual(states, ['failed', 'failed', 'completed']);
            assert.equal(await stateOf(again.run), 'failed');
            assert.equal(stored(server, thrown.id).row.status, 'failed');
            assert.equal(await unitsOf(server, user), before + 1);
        });

        test('both work on one queue at once, and no job is run twice', async () => {
            const jobs = [];
            const ran = new Map();
            for (let i = 0; i < 12; i++) jobs.push(i % 2 ? await enqueue() : await enqueueThere());
            await withNodeWorker(
                async (job) => {
                    ran.set(job.id, (ran.get(job.id) ?? 0) + 1);
                    return { by: 'node' };
                },
                () =>
                    withWorker(async () => {
                        for (const { id, run, job } of jobs) {
                            await isState(run ?? job.id, 'completed');
                            if (run) await ended(server, user, id);
                        }
                    }),
            );
            for (const { id, run, job } of jobs) {
                const outputs = stored(server, id).outputs.length;
                assert.equal(outputs + (ran.get(run ?? job.id) ?? 0), 1, `${id}: ${outputs}`);
            }
        });
    });
