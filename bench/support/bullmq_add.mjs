// SPDX-License-Identifier: MIT
//
// node bullmq_add.mjs PORT AT_ONCE SECONDS: adds jobs to BullMQ in this very process, so many at a time, and prints
// one line of JSON: {added, per_second, p99_us}. BullMQ is the one that tests/package.json names.

import { createRequire } from 'node:module';

const { Queue } = createRequire(new URL('../../tests/package.json', import.meta.url))('bullmq');
const [port, atOnce, seconds] = process.argv.slice(2).map(Number);
const WARMUP_S = 1;

const queue = new Queue('media-jobs', { connection: { host: '127.0.0.1', port } });
await queue.waitUntilReady();
const data = { jobId: '00000000-0000-4000-8000-000000000000', operation: 'resize_image', params: { width: 100 } };
const begun = performance.now();
const from = begun + WARMUP_S * 1000;
const until = from + seconds * 1000;
const took = [];
let added = 0;

async function add() {
    for (let at = performance.now(); at < until; at = performance.now()) {
        await queue.add('resize_image', data, { priority: 10, jobId: `job-${added++}` });
        if (at >= from) took.push(performance.now() - at);
    }
}

await Promise.all(Array.from({ length: atOnce }, add));
took.sort((a, b) => a - b);
const result = { added, per_second: took.length / seconds, p99_us: 1000 * (took[Math.floor(took.length * 0.99)] ?? 0) };
console.log(JSON.stringify(result));
await queue.close();
