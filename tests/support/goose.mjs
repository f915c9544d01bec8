#!/usr/bin/env node
// SPDX-License-Identifier: MIT
//
// A stand-in for the Goose CLI, with the flags of the real one that the server uses. Its instructions are a small
// language, a command a line:
//
//     say TEXT, err TEXT    a line on standard output, standard error
//     print N               N bytes of lines
//     hex BYTES             these bytes
//     show argv|env|cwd     as JSON
//     write FILE            a file in the working directory
//     fork FILE             a child that holds the output open and appends to FILE until it is killed
//     deaf                  ignores SIGTERM, SIGINT and SIGHUP from now on
//     sleep MS, exit N, die SIGNAL
//
// As in the real one, a recipe's text is a template before it is JSON.

import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

const LINE = `${'0123456789'.repeat(9)}012345678\n`;

const APPENDER = `
const { appendFileSync } = require('node:fs');
setInterval(() => appendFileSync(process.argv[1], '.'), 20);
`;

function put(fd, bytes) {
    for (let at = 0; at < bytes.length; )
        try {
            at += writeSync(fd, bytes, at);
        } catch (error) {
            if (error.code !== 'EAGAIN') throw error;
        }
}

function print(bytes) {
    const block = Buffer.from(LINE.repeat(640));
    for (let left = bytes; left > 0; left -= block.length) put(1, block.subarray(0, Math.min(left, block.length)));
}

function fork(file) {
    const child = spawn(process.execPath, ['-e', APPENDER, file], { stdio: ['ignore', 'inherit', 'inherit'] });
    child.unref();
}

const COMMANDS = {
    say: (text) => put(1, Buffer.from(`${text}\n`)),
    err: (text) => put(2, Buffer.from(`${text}\n`)),
    print: (n) => print(Number(n)),
    hex: (text) => put(1, Buffer.from(text, 'hex')),
    show: (what) =>
        put(1, Buffer.from(`${JSON.stringify({ argv: process.argv.slice(2), env: process.env, cwd: process.cwd() }[what])}\n`)),
    write: (file) => writeFileSync(file, 'left behind'),
    fork,
    deaf: () => {
        for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => {});
    },
    sleep: (ms) => sleep(Number(ms)),
    exit: (code) => process.exit(Number(code)),
    die: (signal) => process.kill(process.pid, signal),
};

async function follow(instructions) {
    for (const line of instructions.split('\n')) {
        const [, name, rest] = /^(\S*) ?(.*)$/.exec(line);
        if (name === '') continue;
        if (!COMMANDS[name]) throw new Error(`no such command: ${line}`);
        await COMMANDS[name](rest);
    }
}

function readRecipe(path) {
    const text = readFileSync(path, 'utf8').replace(/\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}/gs, 'TEMPLATE');
    const recipe = JSON.parse(text);
    put(1, Buffer.from(`recipe ${recipe.title}\n`));
    return recipe.prompt;
}

async function run(args) {
    const { values } = parseArgs({
        args,
        options: {
            instructions: { type: 'string', short: 'i' },
            recipe: { type: 'string' },
            name: { type: 'string', short: 'n' },
        },
    });
    if ((values.instructions === undefined) === (values.recipe === undefined))
        throw new Error('either --instructions or --recipe');
    if (values.recipe !== undefined) return await follow(readRecipe(values.recipe));
    return await follow(readFileSync(values.instructions === '-' ? 0 : values.instructions, 'utf8'));
}

function listSessions(args) {
    const { values } = parseArgs({ args, options: { format: { type: 'string', short: 'f' } } });
    if (values.format !== 'json') throw new Error('--format json is what is expected');
    put(1, Buffer.from(process.env.GOOSE_STAND_IN_SESSIONS ?? '[{"id":"20260313_1","working_dir":"/tmp"}]\n'));
}

const [, , verb, ...rest] = process.argv;
if (verb === '--version') put(1, Buffer.from(' 1.9.3\n'));
else if (verb === 'run') await run(rest);
else if (verb === 'session' && rest[0] === 'list') listSessions(rest.slice(1));
else throw new Error(`unknown: ${process.argv.slice(2).join(' ')}`);
