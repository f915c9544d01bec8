// SPDX-License-Identifier: MIT
//
// Lines of the table. A line is
//   {what, unit, value, peer?, target?: {atLeast | atMost}, note?}
// With a peer, the target is for value / peer; without one, for the value itself, and the ratio shown is value / target.
// A line without a target is there to explain the others.

import { readFileSync, writeFileSync } from 'node:fs';

const BEGIN = '<!-- begin: ./dev bench --write -->';
const END = '<!-- end -->';
const HEAD = ['what', 'measured', 'peer in the same run', 'ratio', 'target', ''];

export function ratioOf({ value, peer, target }) {
    if (peer !== undefined) return value / peer.value;
    return target ? value / (target.atLeast ?? target.atMost) : undefined;
}

function measureOf(line) {
    return line.peer === undefined ? line.value : ratioOf(line);
}

export function isMet(line) {
    if (!line.target) return undefined;
    const { atLeast, atMost } = line.target;
    return atLeast === undefined ? measureOf(line) <= atMost : measureOf(line) >= atLeast;
}

function number(value) {
    if (value === 0) return '0';
    const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
    return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

const withUnit = (value, unit) => `${number(value)}${unit ? ` ${unit}` : ''}`;

function targetText({ peer, target, unit }) {
    if (!target) return '';
    const sign = target.atLeast === undefined ? '<=' : '>=';
    const value = target.atLeast ?? target.atMost;
    return peer === undefined ? `${sign} ${value} ${unit}` : `${sign} ${value} ×`;
}

function cells(line) {
    const ratio = ratioOf(line);
    const met = isMet(line);
    return [
        line.what,
        withUnit(line.value, line.unit),
        line.peer === undefined ? '' : `${withUnit(line.peer.value, line.unit)} (${line.peer.name})`,
        ratio === undefined ? '' : ratio.toFixed(2),
        targetText(line),
        met === undefined ? '' : met ? 'met' : 'MISSED',
    ];
}

/** The run whose measure is in the middle, whole: its value, peer and ratio belong together. */
export function medianLine(lines) {
    const sorted = [...lines].sort((a, b) => measureOf(a) - measureOf(b));
    const middle = sorted[Math.floor((sorted.length - 1) / 2)];
    const seen = sorted.map((line) => number(measureOf(line)));
    return { ...middle, spread: sorted.length > 1 ? `${seen[0]} to ${seen.at(-1)}` : '' };
}

function noteOf(line) {
    const runs = line.spread ? `all runs: ${line.spread}` : '';
    return [line.note, runs].filter(Boolean).join('; ');
}

export function textTable(lines) {
    const rows = [HEAD, ...lines.map(cells)];
    const widths = HEAD.map((_, i) => Math.max(...rows.map((row) => row[i].length)));
    const show = (row) =>
        row
            .map((cell, i) => cell.padEnd(widths[i]))
            .join('  ')
            .trimEnd();
    return rows
        .flatMap((row, i) => {
            const note = i > 0 ? noteOf(lines[i - 1]) : '';
            return note ? [show(row), `    ${note}`] : [show(row)];
        })
        .join('\n');
}

export function markdownTable(lines) {
    const head = [...HEAD.slice(0, -1), 'met'];
    const row = (list) => `| ${list.join(' | ')} |`;
    const body = lines.map((line) => {
        const [what, ...rest] = cells(line);
        const note = noteOf(line);
        return row([note ? `${what}<br><sub>${note}</sub>` : what, ...rest]);
    });
    return [row(head), row(head.map(() => '---')), ...body].join('\n');
}

/** Puts the text between the two marks of a document. */
export function writeBetweenMarks(path, text) {
    const before = readFileSync(path, 'utf8');
    const from = before.indexOf(BEGIN);
    const to = before.indexOf(END, from);
    if (from < 0 || to < 0) throw new Error(`${path} has no marks for the table`);
    writeFileSync(path, `${before.slice(0, from + BEGIN.length)}\n\n${text}\n\n${before.slice(to)}`);
}
