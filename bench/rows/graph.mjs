// SPDX-License-Identifier: MIT
//
// The graph engine: activation over a skill graph of the documented size, and walks over a million nodes and fifty million
// edges, each beside the same hops as SQL on DuckDB where deps/duckdb has its library; measured by bench/graph_bench.c
// inside one process.

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { runTool } from '../support/processes.mjs';

const LIBRARY = fileURLToPath(new URL('../../deps/duckdb/libduckdb.so', import.meta.url));
const LARGE = ['1000000', '50000000'];

/** An activation may take so many µs … */
const ACTIVATION_US = 50;
/** … and an edge of the large graph so many times what it then has for each edge it touches. */
const FACTOR = 1.3;

const ACTIVATION = /^activation over (.*): median ([\d.]+) us/;
const WALK = /^walk over (.*): median ([\d.]+) us, (\d+) edges touched, ([\d.]+) ns an edge/;
const BARE = /^a bare loop over the same edges: median ([\d.]+) ns/;
const SQL = /^the same hops as SQL on DuckDB: median ([\d.]+) us/;

/** The first line of the tool's that fits, or null. */
const find = (lines, form) => lines.map((line) => form.exec(line)).find(Boolean) ?? null;

function walkLine(lines) {
    const [, what, us, touched] = find(lines, WALK);
    const sql = find(lines, SQL);
    return {
        what: `a walk over ${what}`,
        unit: 'µs',
        value: Number(us),
        ...(sql && { peer: { name: 'the same hops as SQL on DuckDB', value: Number(sql[1]) } }),
        note: `${touched} edges touched${sql ? '' : '; no comparison with DuckDB: deps/duckdb has no library'}`,
    };
}

export const name = 'graph';

/** The large graph's edge beside what is allowed, and beside a loop that does nothing but touch the same memory. */
function edgeLines(small, large) {
    const [, , , touched, smallNs] = find(small, WALK);
    const value = Number(find(large, WALK)[4]);
    const what = 'an edge of the large graph';
    const allowed = (ACTIVATION_US * 1000 * FACTOR) / Number(touched);
    return [
        {
            what,
            unit: 'ns',
            value,
            target: { atMost: Number(allowed.toFixed(2)) },
            note: `the target is ${FACTOR} x ${ACTIVATION_US} µs / ${touched} edges; an edge of the small graph takes ${smallNs} ns`,
        },
        {
            what,
            unit: 'ns',
            value,
            peer: { name: 'a bare loop over the same edges', value: Number(find(large, BARE)[1]) },
            note: 'no cache holds the graph',
        },
    ];
}

export async function measure() {
    const library = existsSync(LIBRARY) ? [LIBRARY] : [];
    const small = await runTool('graph_bench', ['skills', ...library]);
    const large = await runTool('graph_bench', [...LARGE, ...library]);
    const [, what, us] = find(small, ACTIVATION);
    return [
        { what: `activation over ${what}`, unit: 'µs', value: Number(us), target: { atMost: ACTIVATION_US } },
        walkLine(small),
        walkLine(large),
        ...edgeLines(small, large),
    ];
}
