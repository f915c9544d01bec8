// SPDX-License-Identifier: MIT
//
// Jobs that do nothing, done by the worker of the embedded queue (bench/queue_bench.c), each with a row that its hook writes
// in the unit that ends it; against a BullMQ worker on a Redis whose file is flushed with each write, and each
// second. In each run every job must have ended once.

import { removeDir, tempDir } from '../../tests/support/dirs.mjs';
import { runTool } from '../support/processes.mjs';
import { DurableRedis } from '../support/redis.mjs';

const JOBS = { 1: 5_000, 16: 20_000 };

async function own(jobs, concurrency) {
    const dir = tempDir('genie-queue-bench-');
    try {
        const [line] = await runTool('queue_bench', [dir, String(jobs), String(concurrency)]);
        return JSON.parse(line);
    } finally {
        removeDir(dir);
    }
}

async function bullmq(fsync, jobs, concurrency) {
    const redis = await new DurableRedis(fsync).start();
    try {
        return await redis.doJobs(jobs, concurrency);
    } finally {
        await redis.stop();
    }
}

export const name = 'consume';

export async function measure() {
    const lines = [];
    for (const [concurrency, jobs] of Object.entries(JOBS)) {
        const mine = await own(jobs, Number(concurrency));
        for (const fsync of ['always', 'everysec']) {
            const peer = await bullmq(fsync, jobs, Number(concurrency));
            lines.push({
                what: `jobs that do nothing, ${concurrency} at a time`,
                unit: '/s',
                value: mine.per_second,
                peer: { name: `BullMQ worker, appendfsync ${fsync}`, value: peer.per_second },
                note: `${jobs} jobs, each ended once`,
            });
        }
    }
    return lines;
}
