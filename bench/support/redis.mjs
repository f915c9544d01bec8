// SPDX-License-Identifier: MIT
//
// A Redis of a measurement's own on a free port, with an append-only file on the disk, and BullMQ on it.

import { execFile, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeDir, tempDir } from '../../tests/support/dirs.mjs';
import { freePort } from '../../tests/support/ports.mjs';
import { accepts } from './processes.mjs';

const START_MS = 10_000;
const SPARE_MS = 30_000;
const ADDER = fileURLToPath(new URL('bullmq_add.mjs', import.meta.url));
const WORKER = fileURLToPath(new URL('bullmq_work.mjs', import.meta.url));
const WORK_MS = 120_000;
const run = promisify(execFile);

export class DurableRedis {
    /** fsync: 'always' or 'everysec'. */
    constructor(fsync) {
        this.fsync = fsync;
    }

    async start() {
        this.dir = tempDir('genie-redis-');
        this.port = await freePort();
        const settings = ['--port', this.port, '--bind', '127.0.0.1', '--dir', this.dir, '--save', ''];
        const durable = ['--appendonly', 'yes', '--appendfsync', this.fsync];
        this.child = spawn('redis-server', [...settings, ...durable].map(String), { stdio: 'ignore' });
        this.exited = new Promise((resolve) => this.child.once('exit', resolve));
        this.kill = () => this.child.kill('SIGKILL');
        process.once('exit', this.kill);
        const deadline = performance.now() + START_MS;
        while (!(await accepts(this.port))) {
            if (performance.now() > deadline) throw new Error('Redis did not start');
            await sleep(50);
        }
        return this;
    }

    #ask(...words) {
        return run('redis-cli', ['-p', String(this.port), ...words]);
    }

    /** Adds jobs for so long, so many at a time: {added, per_second, p99_us}; throws where Redis has not each once. */
    async addJobs(atOnce, seconds) {
        const { stdout } = await run(process.execPath, [ADDER, this.port, atOnce, seconds].map(String), {
            timeout: seconds * 1000 + SPARE_MS,
        });
        const result = JSON.parse(stdout);
        const waiting = Number((await this.#ask('ZCARD', 'bull:media-jobs:prioritized')).stdout);
        if (waiting !== result.added) throw new Error(`BullMQ added ${result.added} jobs, Redis has ${waiting}`);
        return result;
    }

    /** Adds so many jobs and does them: {jobs, per_second}. */
    async doJobs(jobs, concurrency) {
        const args = [WORKER, this.port, jobs, concurrency].map(String);
        return JSON.parse((await run(process.execPath, args, { timeout: WORK_MS })).stdout);
    }

    async stop() {
        this.child.kill('SIGTERM');
        await this.exited;
        process.off('exit', this.kill);
        removeDir(this.dir);
    }
}
