// SPDX-License-Identifier: MIT
//
// genie worker beside servers that run no jobs, and genie queue: what is done where, what a signal does, and queues
// that are paused.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { removeDir } from '../support/dirs.mjs';
import { exitWithin, startGenie } from '../support/genie.mjs';
import { LIMIT_MS, completed, enqueued, gate, jobOf, newJob, stored, uploadId } from '../support/jobs.mjs';
import { gradient } from '../support/pictures.mjs';
import { eventually, sql } from '../support/talk.mjs';

describe('workers and queues', () => {
    let held, server, anna, photo;
    const workers = [];

    before(async () => {
        held = gate('convert');
        server = await startGenie({ args: ['--no-worker'], env: { ...held.env, LOG_LEVEL: 'info' } });
        anna = await server.addUser({ tier: 'studio' });
        photo = await uploadId(server, anna, gradient(60, 40));
    });
    after(async () => {
        for (const worker of workers) worker.kill('SIGKILL');
        await server.stop();
        removeDir(held.dir);
    });

    function startWorker(...args) {
        const worker = server.begin(['worker', ...args]);
        workers.push(worker);
        return worker;
    }

    async function added() {
        const id = await newJob(server, anna, { operation: 'resize_image', input_file_id: photo });
        await enqueued(server, anna, { jobId: id, operation: 'resize_image', params: { width: 30 } });
        return id;
    }

    const stats = async () => JSON.parse((await server.cli(['queue', 'stats', '--json'])).stdout)['media-jobs'];
    const isActive = async (id) => (await jobOf(server, anna, id)).state === 'active';

    async function endsWell(worker) {
        assert.deepEqual(await exitWithin(worker, LIMIT_MS), { code: 0, signal: null });
    }

    test('a job waits for a worker, which a second signal makes hand it back', async () => {
        const id = await added();
        assert.equal((await stats()).waiting, 1);
        const listed = JSON.parse((await server.cli(['queue', 'jobs', '--queue', 'media-jobs', '--json'])).stdout);
        assert.deepEqual([listed.length, listed[0].media_job_id, listed[0].state], [1, id, 'prioritized']);
        const worker = startWorker('--queues', 'media-jobs');
        await eventually(() => isActive(id), 'the job runs', LIMIT_MS);
        await held.begun();
        worker.kill('SIGTERM');
        worker.kill('SIGINT');
        await endsWell(worker);
        const { runs, row } = stored(server, id);
        assert.deepEqual([runs[0].state, Number(runs[0].attempts), row.status], ['waiting', 0, 'queued']);
    });

    test('others leave the queue alone; the next worker does it, and ends at the first signal', async () => {
        const [id] = (await server.request('/api/queue/jobs', { token: anna.token })).json.jobs.map((job) => job.id);
        const other = startWorker('--queues', 'scrape,onboarding');
        held.open();
        const worker = startWorker();
        await completed(server, anna, id);
        assert.equal(stored(server, id).outputs.length, 1);
        const { log, startedAt, finishedAt, ...job } = await jobOf(server, anna, id);
        assert.equal(job.attempts, 1);
        sql(server, `DELETE FROM queue_jobs WHERE media_job_id = '${id}'`); // as when it was kept long enough
        const old = await jobOf(server, anna, id);
        assert.deepEqual({ ...old, ...job, createdAt: old.createdAt }, old);
        for (const each of [other, worker]) {
            each.kill('SIGTERM');
            await endsWell(each);
        }
    });

    test('a paused queue stands still in every process until it is resumed', async () => {
        const { stdout } = await server.cli(['queue', 'pause', 'media-jobs']);
        assert.match(stdout, /media-jobs/);
        const worker = startWorker();
        const [first, second] = [await added(), await added()];
        assert.deepEqual([(await stats()).waiting, (await stats()).paused], [2, true]);
        const { stdout: found } = await server.cli(['doctor'], { expect: null });
        assert.match(found, /queues {16}1 of the queues are paused; 2 jobs wait/);
        assert.match((await server.cli(['queue', 'stats'])).stdout, /^media-jobs .*\(paused\)$/m);
        assert.equal((await jobOf(server, anna, first)).state, 'prioritized');
        await server.cli(['queue', 'resume', 'media-jobs', '--json']);
        await completed(server, anna, first);
        await completed(server, anna, second);
        assert.deepEqual([(await stats()).waiting, (await stats()).paused], [0, false]);
        worker.kill('SIGTERM');
        await endsWell(worker);
    });

    test('what a site said of a job moves no cursor of who lists them', async () => {
        const id = await added();
        const said = '\x1b[2J\u009b31mgone\nna\u00efve\x7f';
        sql(server, `UPDATE queue_jobs SET state = 'failed', error = '${said}' WHERE media_job_id = '${id}'`);
        const { stdout } = await server.cli(['queue', 'jobs', '--state', 'failed']);
        assert.equal(stdout.split('\n')[1].split('%  ')[1], '?[2J??31mgone?na\u00efve?');
        const [job] = JSON.parse((await server.cli(['queue', 'jobs', '--state', 'failed', '--json'])).stdout);
        assert.equal(job.error, said);
    });

    test('a worker whose queues are all turned off says so', async () => {
        const env = { WORKER_CONCURRENCY_SCRAPE: '0' };
        const { stderr } = await server.cli(['worker', '--queues', 'scrape-jobs'], { env, expect: 1 });
        assert.match(stderr, /WORKER_CONCURRENCY/);
    });

    test('what is not there is a usage error', async () => {
        for (const args of [
            ['worker', '--queues', 'nonsense'],
            ['worker', '--queues', ','],
            ['worker', '--queues'],
            ['worker', '--nonsense'],
            ['queue'],
            ['queue', 'explode'],
            ['queue', 'pause'],
            ['queue', 'pause', 'nonsense'],
            ['queue', 'stats', 'more'],
            ['queue', 'jobs', '--state', 'nonsense'],
            ['queue', 'jobs', '--queue', 'nonsense'],
            ['queue', 'jobs', '--limit', '0'],
        ])
            await server.cli(args, { expect: 2 });
    });
});
