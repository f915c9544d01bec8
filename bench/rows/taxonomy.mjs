// SPDX-License-Identifier: MIT
//
// The taxonomy's cache and the way its graph is loaded, at the documented size and at a larger one; measured by
// bench/taxonomy_bench.c inside one process.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runTool } from '../support/processes.mjs';

const SIZES = [
    [252, 12_880],
    [20_000, 200_000],
];

const LINES = [
    [/^look-up worked out: median ([\d.]+) us/, 'taxonomy: a look-up worked out', 'µs'],
    [/^look-up kept: mean ([\d.]+) us/, 'taxonomy: a look-up from the cache', 'µs'],
    [/^text of 60 words tagged: median ([\d.]+) us/, 'taxonomy: a text of 60 words tagged', 'µs'],
    [/^rows from the store: median ([\d.]+) ms/, 'taxonomy: graph read from the store', 'ms'],
    [/^rows from DuckDB \S+: median ([\d.]+) ms/, 'taxonomy: graph read through DuckDB', 'ms'],
];

function read(output, [nodes, edges]) {
    return LINES.flatMap(([form, what, unit]) => {
        const value = output.map((text) => form.exec(text)).find(Boolean)?.[1];
        const size = `${nodes.toLocaleString('en-US')} nodes, ${edges.toLocaleString('en-US')} edges`;
        return value === undefined ? [] : [{ what: `${what}, ${size}`, unit, value: Number(value) }];
    });
}

export const name = 'taxonomy';

export async function measure() {
    const lines = [];
    for (const size of SIZES) {
        const folder = mkdtempSync(join(tmpdir(), 'genie-taxonomy-'));
        try {
            lines.push(...read(await runTool('taxonomy_bench', [folder, ...size.map(String)]), size));
        } finally {
            rmSync(folder, { recursive: true, force: true });
        }
    }
    if (lines.length < 4 * SIZES.length) throw new Error('taxonomy_bench prints something else than expected');
    return lines;
}
