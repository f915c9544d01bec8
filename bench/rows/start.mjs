// SPDX-License-Identifier: MIT
//
// From the start of the program to its first answer, and the memory it then rests in.

import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeDir, tempDir } from '../../tests/support/dirs.mjs';
import { GENIE_BIN } from '../../tests/support/genie.mjs';
import { freePort } from '../../tests/support/ports.mjs';
import { residentKiB } from '../support/processes.mjs';

const LIMIT_MS = 10_000;
const SETTLE_MS = 1500;
const TIMES = 5;

/** Whether one request was answered with 200. */
function asked(port) {
    return new Promise((resolve) => {
        const socket = connect(port, '127.0.0.1', () =>
            socket.write('GET /api/ping HTTP/1.1\r\nHost: x\r\n\r\n'),
        );
        socket.on('data', (data) => {
            socket.destroy();
            resolve(String(data).startsWith('HTTP/1.1 200'));
        });
        socket.on('error', () => resolve(false));
        socket.on('close', () => resolve(false));
    });
}

/** Starts genie on a data directory: {firstAnswerMs, residentMiB}. */
async function startOnce(dataDir, args) {
    const port = await freePort();
    const env = {
        PATH: process.env.PATH,
        GENIE_DATA_DIR: dataDir,
        SERVER_PORT: String(port),
        LOG_LEVEL: 'warn',
    };
    const began = performance.now();
    const child = spawn(GENIE_BIN, ['serve', ...args], { env, stdio: 'ignore' });
    const kill = () => child.kill('SIGKILL');
    process.once('exit', kill);
    while (!(await asked(port)) && performance.now() - began < LIMIT_MS) await sleep(1);
    const firstAnswerMs = performance.now() - began;
    await sleep(SETTLE_MS);
    const residentMiB = residentKiB(child.pid) / 1024;
    child.kill('SIGTERM');
    await new Promise((resolve) => child.once('exit', resolve));
    process.removeListener('exit', kill);
    return { firstAnswerMs, residentMiB };
}

const median = (list, key) =>
    list.map((item) => item[key]).sort((a, b) => a - b)[Math.floor(list.length / 2)];

/** TIMES starts, each on a directory of its own, or all on one that a first start has filled. */
async function series(args, existing) {
    const results = [];
    const kept = tempDir('genie-bench-');
    if (existing) await startOnce(kept, args);
    for (let i = 0; i < TIMES; i++) {
        const dir = existing ? kept : tempDir('genie-bench-');
        results.push(await startOnce(dir, args));
        if (!existing) removeDir(dir);
    }
    removeDir(kept);
    return { ms: median(results, 'firstAnswerMs'), mib: median(results, 'residentMiB') };
}

export const name = 'start';

export async function measure() {
    const fresh = await series([], false);
    const existing = await series([], true);
    const demo = await series(['--demo'], true);
    const start = (what, value) => ({
        what: `start to first answer, ${what}`,
        unit: 'ms',
        value,
        target: { atMost: 100 },
        note: `median of ${TIMES}`,
    });
    const memory = (what, value) => ({
        what: `idle resident memory, ${what}`,
        unit: 'MiB',
        value,
        target: { atMost: 20 },
    });
    return [
        start('new data directory', fresh.ms),
        start('existing data', existing.ms),
        start('existing demo data', demo.ms),
        memory('new data directory', fresh.mib),
        memory('existing demo data', demo.mib),
    ];
}
