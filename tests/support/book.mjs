// SPDX-License-Identifier: MIT
//
// Reads what docs/ tells people to type, so that tests run what is printed there and not a copy of it.

import { readFileSync } from 'node:fs';

export function readBook(name) {
    return readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8');
}

/** The first indented line of a book that runs this program. */
export function commandIn(book, program) {
    const line = book.split('\n').find((text) => text.startsWith(`    ${program} `));
    if (!line) throw new Error(`the book has no command ${program}`);
    return line.trim();
}

const ROUTE = /^### `(GET|POST|PUT|PATCH|DELETE|SEARCH) (\/\S*)`$/;
const HEADING = /^#{1,3} /;
const FENCE = /^```(\w*)$/;
const STATUS = /^→ (\d{3})\b/;

/**
 * The examples of a book, in its order: [{method, path, line, script, status, form, answer}]. Under a heading that
 * is a route each `sh` block is a request; a line `→ 204` behind it has the status, where that isn't 200, and the
 * next `json` or `text` block the answer (null: none).
 */
export function examplesIn(book) {
    const examples = [];
    const lines = book.split('\n');
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
