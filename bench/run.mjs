// SPDX-License-Identifier: MIT
//
// ./dev bench [--runs N] [--only ROW,ROW] [--wait SECONDS] [--write]
//
// Measures what docs/performance.md promises and prints a table of ratios. Everything is on loopback and bounded in time;
// each row starts what it needs and ends it. --wait lets each
// run wait that long at most for others to leave the machine alone. --write puts the table into docs/performance.md. The exit code is 0 when
// everything could be measured, whether or not a target was missed: speed is not a test.

import { readFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { isMet, markdownTable, medianLine, textTable, writeBetweenMarks } from './support/report.mjs';
import { endAll } from './support/processes.mjs';
import * as clientGone from './rows/client-gone.mjs';
import * as consume from './rows/consume.mjs';
import * as enqueue from './rows/enqueue.mjs';
import * as firstToken from './rows/first-token.mjs';
import * as graph from './rows/graph.mjs';
import * as idleStreams from './rows/idle-streams.mjs';
import * as loginFlood from './rows/login-flood.mjs';
import * as read from './rows/read.mjs';
import * as relay from './rows/relay.mjs';
import * as retrieval from './rows/retrieval.mjs';
import * as start from './rows/start.mjs';
import * as storeRead from './rows/store-read.mjs';
import * as storeSize from './rows/store-size.mjs';
import * as storeWrite from './rows/store-write.mjs';
import * as taxonomy from './rows/taxonomy.mjs';

const ROWS = [
    read,
    storeRead,
    storeWrite,
    storeSize,
    enqueue,
    consume,
    relay,
    firstToken,
    idleStreams,
    clientGone,
    loginFlood,
    retrieval,
    graph,
    taxonomy,
    start,
];
const QUIET_PERCENT = 15;
const DOCUMENT = fileURLToPath(new URL('../docs/performance.md', import.meta.url));

function readOptions() {
    const { values } = parseArgs({
        options: {
            runs: { type: 'string', default: '3' },
            only: { type: 'string' },
            wait: { type: 'string', default: '0' },
            write: { type: 'boolean', default: false },
        },
    });
    const runs = Number(values.runs);
    if (!Number.isInteger(runs) || runs < 1 || runs > 9) throw new Error('--runs takes a number from 1 to 9');
    const waitS = Number(values.wait);
    if (!Number.isInteger(waitS) || waitS < 0 || waitS > 600)
        throw new Error('--wait takes seconds, 600 at most');
    const names = values.only?.split(',');
    const unknown = names?.filter((name) => !ROWS.some((row) => row.name === name)) ?? [];
    if (unknown.length > 0)
        throw new Error(
            `no such row: ${unknown.join(', ')}; there are ${ROWS.map((row) => row.name).join(', ')}`,
        );
    if (names && values.write) throw new Error('--write wants all rows');
    return {
        runs,
        waitS,
        rows: ROWS.filter((row) => !names || names.includes(row.name)),
        write: values.write,
    };
}

function processorTimes() {
    const [, ...fields] = readFileSync('/proc/stat', 'utf8').split('\n')[0].split(/\s+/);
    const numbers = fields.map(Number);
    return { idle: numbers[3] + numbers[4], all: numbers.slice(0, 8).reduce((sum, n) => sum + n) };
}

/** How much of the machine others use, in percent: noise that the figures contain. */
async function othersPercent() {
    const before = processorTimes();
    await sleep(1000);
    const after = processorTimes();
    return 100 * (1 - (after.idle - before.idle) / (after.all - before.all));
}

function machine() {
    const { model } = cpus()[0];
    return `${cpus().length} cores (${model.trim()}), ${Math.round(totalmem() / 2 ** 30)} GiB`;
}

/** The others' share in the last second before a run, which waits for less than QUIET_PERCENT if it may. */
async function noiseBefore(waitS) {
    let percent = await othersPercent();
    for (let i = 1; i < waitS && percent > QUIET_PERCENT; i++) percent = await othersPercent();
    return percent;
}

/** [[lines of a run] …] to the median of each line. */
const medians = (results) => results[0].map((_, i) => medianLine(results.map((lines) => lines[i])));

async function measureRow(row, { runs, waitS }, noise) {
    const results = [];
    for (let i = 0; i < runs; i++) {
        noise.push(await noiseBefore(waitS));
        results.push(await row.measure());
    }
    const lines = medians(results);
    console.log(`${textTable(lines)}\n`);
    return lines;
}

async function main() {
    const options = readOptions();
    const { runs, rows, write } = options;
    const lines = [];
    const noise = [];
    const failed = [];
    for (const row of rows) {
        console.log(`-- ${row.name}`);
        try {
            lines.push(...(await measureRow(row, options, noise)));
        } catch (error) {
            failed.push(row.name);
            console.log(`could not be measured: ${error.message}\n`);
        } finally {
            await endAll();
        }
    }
    const date = new Date().toISOString().slice(0, 10);
    const middle = noise.sort((a, b) => a - b)[Math.floor(noise.length / 2)] ?? 0;
    const about =
        `${date}, ${machine()}; load generator, peers and server on the same machine; median of ${runs}; ` +
        `in the second before a run others used ${middle.toFixed(0)} % of it (median), ` +
        `${(noise.at(-1) ?? 0).toFixed(0)} % at most.`;
    console.log(`${textTable(lines)}\n\n${about}`);
    const missed = lines.filter((line) => isMet(line) === false).length;
    const met = lines.filter((line) => isMet(line)).length;
    console.log(`${met} targets met, ${missed} missed, ${failed.length} rows not measured`);
    if (write && failed.length === 0) writeBetweenMarks(DOCUMENT, `${about}\n\n${markdownTable(lines)}`);
    process.exitCode = failed.length === 0 ? 0 : 1;
}

await main();
