// SPDX-License-Identifier: MIT
//
// All five stages of retrieval over an index of 10,000 nodes; measured by bench/retrieval_bench.c inside one process.

import { runTool } from '../support/processes.mjs';

const NODES = 10_000;
const TARGET_MS = 2;

const INDEX = /^\d+ nodes, (.*?): made in (\d+) ms, ([\d.]+) MB/;
const ALL = /^\s+all\s+median\s+(\d+) us, p99\s+(\d+) us/;

function stagesLine([, dense, madeMs, megabytes], [, median, p99]) {
    return {
        what: `retrieval over ${NODES.toLocaleString('en-US')} nodes, all five stages, ${dense}: median`,
        unit: 'ms',
        value: Number(median) / 1000,
        target: { atMost: TARGET_MS },
        note: `p99 ${(Number(p99) / 1000).toFixed(2)} ms; index of ${megabytes} MB, made in ${madeMs} ms`,
    };
}

export const name = 'retrieval';

export async function measure() {
    const lines = [];
    let index = null;
    for (const text of await runTool('retrieval_bench', [String(NODES)])) {
        index = INDEX.exec(text) ?? index;
        const all = ALL.exec(text);
        if (all && index) lines.push(stagesLine(index, all));
    }
    if (lines.length !== 2) throw new Error('retrieval_bench prints something else than expected');
    return lines;
}
