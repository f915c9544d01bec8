// SPDX-License-Identifier: MIT
//
// node bullmq_work.mjs PORT JOBS CONCURRENCY: a BullMQ worker does jobs that do nothing, each of which must come once; one line
// of JSON: {jobs, per_second}.

import { createRequire } from 'node:module';

const { Queue, Worker } = createRequire(new URL('../../tests/package.json', import.meta.url))('bullmq');
const [port, jobs, concurrency] = process.argv.slice(2).map(Number);
const BATCH = 1000;
const connection = { host: '127.0.0.1', port };

const queue = new Queue('scrape-jobs', { connection });
for (let from = 0; from < jobs; from += BATCH)
    await queue.addBulk(
        Array.from({ length: Math.min(BATCH, jobs - from) }, (_, i) => ({
            name: 'nothing',
            data: {},
            opts: { priority: 10, jobId: `job-${from + i}` },
        })),
    );
const seen = new Set();
let completed = 0;
const begun = performance.now();
await new Promise((resolve, reject) => {
    const worker = new Worker('scrape-jobs', async () => {}, { connection, concurrency });
    worker.on('error', reject);
    worker.on('completed', (job) => {
        seen.add(job.id);
        if (++completed === jobs) resolve(worker.close());
    });
});
if (seen.size !== jobs) throw new Error(`${jobs} jobs, ${completed} ends of ${seen.size}`);
console.log(JSON.stringify({ jobs, per_second: (jobs * 1000) / (performance.now() - begun) }));
await queue.close();
