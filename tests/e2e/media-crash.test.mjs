// SPDX-License-Identifier: MIT
//
// A server that is killed in the midst of a media job: when another has started, and the lease is over, the job is
// done, and its outputs and its unit are there once.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { removeDir } from '../support/dirs.mjs';
import { storedFiles } from '../support/form.mjs';
import { startGenie } from '../support/genie.mjs';
import {
    LIMIT_MS,
    enqueued,
    follow,
    gate,
    jobOf,
    newJob,
    stored,
    unitsOf,
    uploadId,
    workDirs,
} from '../support/jobs.mjs';
import { gradient } from '../support/pictures.mjs';
import { eventually } from '../support/talk.mjs';

test('a job whose server is killed is done after the next start, once', async () => {
    const held = gate('convert');
    const server = await startGenie({ env: { ...held.env, LOG_LEVEL: 'info' } });
    try {
        const user = await server.addUser({ tier: 'studio' });
        const photo = await uploadId(server, user, gradient(300, 200));
        const id = await newJob(server, user, { operation: 'resize_image', input_file_id: photo });
        await enqueued(server, user, { jobId: id, operation: 'resize_image', params: { width: 30 } });
        await held.begun();
        await eventually(async () => (await jobOf(server, user, id)).state === 'active', 'its state', LIMIT_MS);
        assert.equal(workDirs(server).length, 1);
        const [left] = workDirs(server);
        await server.kill9();
        held.open();
        await server.restart();
        assert.ok(!workDirs(server).includes(left), 'what the dead left behind is removed');
        const stream = await follow(server, user, id);
        await stream.ended(2 * LIMIT_MS);
        assert.equal(stream.events.at(-1).json.state, 'completed', JSON.stringify(stream.events.at(-1)));
        const { outputs, assets, runs, row } = stored(server, id);
        assert.deepEqual([outputs.length, assets.length, runs.length, row.status], [1, 1, 1, 'completed']);
        assert.equal(Number(row.retry_count), 0);
        assert.equal(await unitsOf(server, user), 1);
        await eventually(() => workDirs(server).length === 0, 'no directory is left', LIMIT_MS);
        assert.equal(storedFiles(server).length, 2);
    } finally {
        await server.stop();
        removeDir(held.dir);
    }
});
