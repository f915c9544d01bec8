// SPDX-License-Identifier: MIT
//
// Documentation that is executed: the blocks of a page, a shell that goes through them as a reader would, and the
// comparison with the output that the page shows.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const BLOCK_MS = 120_000;

export const pageText = (name) => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');

/**
 * The fenced and the indented blocks of a page, in order: {info, text, heading, line, shown}. info is null for an
 * indented one; shown is the text block that follows a block of commands.
 */
export function blocksOf(name) {
    const blocks = [];
    let heading = '',
        block = null,
        indented = null;
    for (const [i, line] of pageText(name).split('\n').entries()) {
        if (!block && /^#+ /.test(line)) heading = line.replace(/^#+ /, '');
        const fence = /^```(.*)$/.exec(line);
        if (fence && block) block = null;
        else if (fence) blocks.push((block = { info: fence[1], text: '', heading, line: i + 1 }));
        else if (block) block.text += `${line}\n`;
        else if (/^ {4}\S/.test(line)) {
            if (!indented) blocks.push((indented = { info: null, text: '', heading, line: i + 1 }));
            indented.text += `${line.slice(4)}\n`;
        } else indented = null;
    }
    const shows = (next) => next?.info === 'text';
    return blocks.map((each, i) => ({
        ...each,
        shown: shows(blocks[i + 1]) ? blocks[i + 1].text : undefined,
    }));
}

/** The one command of a page that begins with that program. */
export function commandOf(name, program) {
    const found = blocksOf(name)
        .flatMap(({ text }) => text.split('\n'))
        .filter((line) => line.startsWith(`${program} `));
    assert.equal(found.length, 1, `${name}: commands with ${program}`);
    return found[0];
}

const ROUTE = /^### `(GET|POST|PUT|PATCH|DELETE|SEARCH) (\/\S*)`$/;
const HEADING = /^#{1,3} /;
const FENCE = /^```(\w*)$/;
const STATUS = /^→ (\d{3})\b/;

/**
 * The examples of a page, in its order: [{method, path, line, script, status, form, answer}]. Under a heading that
 * is a route each `sh` block is a request; a line `→ 204` behind it has the status, where that isn't 200, and the
 * next `json` or `text` block the answer (null: none).
 */
export function examplesIn(name) {
    const examples = [];
    const lines = pageText(name).split('\n');
    let route = null;
    for (let at = 0; at < lines.length; at++) {
        if (HEADING.test(lines[at])) {
            const [, method, path] = ROUTE.exec(lines[at]) ?? [];
            route = method ? { method, path } : null;
        }
        const status = STATUS.exec(lines[at]);
        if (status && route) examples.at(-1).status = Number(status[1]);
        const fence = FENCE.exec(lines[at]);
        if (!fence) continue;
        const end = lines.indexOf('```', at + 1);
        if (end < 0) throw new Error(`line ${at + 1}: a block without an end`);
        if (route && fence[1] !== 'sh' && examples.at(-1)?.path !== route.path)
            throw new Error(`line ${at + 1}: an answer without a request`);
        const text = lines.slice(at + 1, end).join('\n');
        if (route && fence[1] === 'sh')
            examples.push({ ...route, line: at + 1, script: text, status: 200, form: null, answer: null });
        else if (route) Object.assign(examples.at(-1), { form: fence[1], answer: text });
        at = end;
    }
    return examples;
}

/** What a block shows as a pattern: … is anything within a line, a line of … alone any number of lines. */
export function patternOf(shown) {
    const literal = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll('…', '.*');
    const lines = shown.trimEnd().split('\n');
    return new RegExp(
        `^${lines.map((line) => (line === '…' ? '(?:.*\\n)*' : `${literal(line)}\\n`)).join('')}$`,
    );
}

/** The text with other values for the names that it sets: each line NAME=value, but for those of here-documents. */
export function withNames(text, values) {
    let within = false;
    const other = (line) => {
        const here = within;
        within = within ? line !== 'EOF' : line.includes('<<EOF');
        const [, name] = here ? [] : (/^([A-Z_]+)=[^\s$]+( +#.*)?$/.exec(line) ?? []);
        assert.ok(!name || name in values, `the page sets ${name}, for which the test has no value`);
        return name ? `${name}='${values[name]}'` : line;
    };
    return text.split('\n').map(other).join('\n');
}

/** A bash that keeps its variables and functions from block to block. A failure ends it. */
export class Shell {
    constructor({ cwd, env }) {
        this.child = spawn('bash', ['--norc', '--noprofile', '-s'], { cwd, env, stdio: 'pipe' });
        this.output = '';
        for (const stream of ['stdout', 'stderr'])
            this.child[stream].setEncoding('utf8').on('data', (part) => {
                this.output += part;
            });
        this.child.stdin.on('error', () => {}); // it has ended: run() says so
        this.child.on('close', () => {
            this.ended = true;
        });
        this.child.stdin.write('exec 2>&1\nset -euo pipefail\n');
    }

    /** Executes the text as it stands; what it printed. Throws where a command fails. */
    async run(text, limitMs = BLOCK_MS) {
        const mark = randomBytes(12).toString('hex');
        this.output = '';
        this.child.stdin.write(`{\n${text}\n} </dev/null\necho ${mark}\n`);
        const deadline = performance.now() + limitMs;
        while (!this.output.includes(`${mark}\n`)) {
            if (this.ended) throw new Error(`the block ended its shell:\n${text}\n---\n${this.output}`);
            if (performance.now() > deadline)
                throw new Error(`not done within ${limitMs} ms:\n${text}\n---\n${this.output}`);
            await sleep(10);
        }
        return this.output.slice(0, this.output.indexOf(`${mark}\n`));
    }

    /** Executes a block of a page, and holds its output against what the page shows. */
    async follow(block, values = {}) {
        const output = await this.run(withNames(block.text, values));
        if (block.shown !== undefined)
            assert.match(
                output,
                patternOf(block.shown),
                `line ${block.line} shows something else:\n${output}`,
            );
        return output;
    }

    stop() {
        this.child.kill('SIGKILL');
    }
}
