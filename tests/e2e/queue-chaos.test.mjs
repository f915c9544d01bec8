// SPDX-License-Identifier: MIT
//
// A server and a worker that are killed at any moment, again and again, while jobs come. In the end every job that
// was acknowledged is done, and its outputs and its unit are there once.
//
// QUEUE_CHAOS_ROUNDS says how often (3). The leases of the dead are ended by hand, and so those of the living: else each
// round would take half a minute.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { exitWithin, startGenie } from '../support/genie.mjs';
import { LIMIT_MS, enqueue, ended, newJob, stored, unitsOf, uploadId } from '../support/jobs.mjs';
import { gradient } from '../support/pictures.mjs';
import { eventually, sql } from '../support/talk.mjs';

const ROUNDS = Number(process.env.QUEUE_CHAOS_ROUNDS ?? 3);
const JOBS = 4; // a round
const OPERATION = 'resize_image';

test('whatever is killed, each job that was acknowledged is done once', async () => {
    const server = await startGenie({ env: { LOG_LEVEL: 'info', WORKER_CONCURRENCY_MEDIA: '2' } });
    const acknowledged = [];
    const uncertain = [];
    let worker = server.begin(['worker']);
    try {
        const user = await server.addUser({ tier: 'studio' });
        const photo = await uploadId(server, user, gradient(120, 80));

        async function add(id) {
            const body = { jobId: id, operation: OPERATION, params: { width: 20 } };
            const answer = await enqueue(server, user, body).catch(() => null);
            if (answer) assert.equal(answer.status, 200, answer.text);
            (answer ? acknowledged : uncertain).push(id);
        }

        async function killWorker() {
            worker.kill('SIGKILL');
            assert.ok(await exitWithin(worker, LIMIT_MS));
            worker = server.begin(['worker']);
        }

        async function endLeases() {
            const past = "UPDATE queue_jobs SET lease_until = '2020-01-01T00:00:00.000Z' WHERE state = 'active'";
            await eventually(() => {
                sql(server, past);
                return true;
            }, 'the leases end', LIMIT_MS);
        }

        for (let round = 0; round < ROUNDS; round++) {
            const ids = [];
            for (let i = 0; i < JOBS; i++)
                ids.push(await newJob(server, user, { operation: OPERATION, input_file_id: photo }));
            for (const id of ids.slice(1)) await add(id);
            const last = add(ids[0]); // it may meet its end
            await sleep(Math.random() * 300);
            if (round % 2) await killWorker();
            await server.kill9();
            await last;
            await endLeases();
            await server.restart();
        }

        const runsOf = (id) => stored(server, id).runs;
        for (const id of acknowledged) assert.equal(runsOf(id).length, 1, 'it was acknowledged');
        const begun = [...acknowledged, ...uncertain.filter((id) => runsOf(id).length > 0)];
        for (const id of begun) await ended(server, user, id);
        let done = 0;
        for (const id of begun) {
            const { row, outputs, assets, runs } = stored(server, id);
            const stalled = runs[0].state === 'failed'; // the one way to fail here: it died with four workers
            if (stalled) assert.deepEqual([runs[0].error, Number(runs[0].stalled_count)], ['job stalled', 4]);
            const once = stalled ? ['failed', 0, 0, 1] : ['completed', 1, 1, 1];
            assert.deepEqual([row.status, outputs.length, assets.length, runs.length], once);
            done += !stalled;
        }
        assert.equal(await unitsOf(server, user), done);
        assert.ok(acknowledged.length >= ROUNDS * (JOBS - 1));
        await server.assertWell();
    } finally {
        worker.kill('SIGKILL');
        await server.stop();
    }
});
