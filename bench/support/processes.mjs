// SPDX-License-Identifier: MIT
//
// The programs of a measurement: started by argument vector, known by pid, gone when this process is gone. The server
// itself comes from tests/support/genie.mjs.

import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeDir, tempDir } from '../../tests/support/dirs.mjs';
import { GENIE_BIN, startGenie } from '../../tests/support/genie.mjs';
import { freePort } from '../../tests/support/ports.mjs';

const SETPRIV = '/usr/bin/setpriv';
const TOOLS = join(dirname(GENIE_BIN), 'bench');
const TICKS_PER_S = 100;

const alive = new Set();
const servers = new Set();
process.on('exit', () => {
    for (const child of alive) child.kill('SIGKILL');
});

/** Starts a program that dies with this process: {child, lines, exited}; stdin stays open until closed. */
function launch(program, args) {
    const argv = existsSync(SETPRIV)
        ? [SETPRIV, '--pdeathsig', 'KILL', program, ...args]
        : [program, ...args];
    const child = spawn(argv[0], argv.slice(1), { stdio: ['pipe', 'pipe', 'pipe'] });
    alive.add(child);
    const started = {
        child,
        errors: '',
        lines: createInterface({ input: child.stdout })[Symbol.asyncIterator](),
    };
    child.stderr.setEncoding('utf8').on('data', (text) => {
        started.errors = (started.errors + text).slice(-4096);
    });
    child.stdin.on('error', () => {}); // it may have ended by itself
    started.exited = new Promise((resolve) => {
        child.on('error', (error) => resolve({ error }));
        child.on('close', (code, signal) => resolve({ code, signal }));
    }).finally(() => alive.delete(child));
    return started;
}

async function end(started, signal = 'SIGTERM') {
    started.child.kill(signal);
    await started.exited;
}

/** The next line a tool prints, as JSON; throws with what it complained about if it ended instead. */
async function nextLine(started, name) {
    const { value, done } = await started.lines.next();
    if (!done) return JSON.parse(value);
    const exit = await started.exited;
    throw new Error(`${name} ended without a result (${JSON.stringify(exit)}): ${started.errors.trim()}`);
}

/** {tokens: 64, 'first-us': 0} to ['--tokens', '64', …]; arrays repeat the option, true is a bare one. */
function toArgs(options) {
    return Object.entries(options).flatMap(([name, value]) =>
        [value].flat().flatMap((v) => (v === true ? [`--${name}`] : [`--${name}`, String(v)])),
    );
}

/** Runs bench/load once and returns its result; throws on errors of the connection. */
export async function load(options) {
    const started = launch(join(TOOLS, 'load'), toArgs(options));
    const result = await nextLine(started, 'load');
    await started.exited;
    if (result.errors > 0) throw new Error(`load: ${result.errors} errors of ${result.answers} answers`);
    if (result.unexpected > 0 && !options.expect)
        throw new Error(`load: ${result.unexpected} answers with a status such as ${result.last_unexpected}`);
    return result;
}

/** Opens streams and leaves them open: {shown, release()}. */
export async function hold(options) {
    const started = launch(join(TOOLS, 'load'), toArgs({ ...options, hold: true }));
    const { shown, errors, unexpected, last_unexpected: last } = await nextLine(started, 'load');
    if (shown !== options.connections)
        throw new Error(`only ${shown} streams opened: ${errors} errors, ${unexpected} of status ${last}`);
    return {
        shown,
        /** Leaves; returns how many the server had closed before. */
        async release() {
            started.child.stdin.end();
            const { lost } = await nextLine(started, 'load');
            await started.exited;
            return lost;
        },
    };
}

/** A model server: {port, url, pid, stats(), closed(n), stop()}. */
export async function startUpstream(options = {}) {
    const started = launch(join(TOOLS, 'upstream'), toArgs(options));
    const { port } = await nextLine(started, 'upstream');
    const url = `http://127.0.0.1:${port}`;
    const get = async (path) => (await fetch(url + path)).json();
    return {
        port,
        url,
        pid: started.child.pid,
        stats: () => get('/stats'),
        closedAt: async (n) => (await get(`/closed/${n}`)).at_us,
        stop: () => end(started),
    };
}

/** Whether somebody accepts connections on the port. */
export function accepts(port) {
    return new Promise((resolve) => {
        const socket = connect(port, '127.0.0.1');
        socket.on('connect', () => {
            socket.destroy();
            resolve(true);
        });
        socket.on('error', () => resolve(false));
    });
}

async function untilAccepts(port, started) {
    for (let i = 0; i < 200; i++) {
        if (await accepts(port)) return;
        if (started.child.exitCode !== null) break;
        await sleep(25);
    }
    throw new Error(`nginx does not accept connections: ${started.errors.trim()}`);
}

const NGINX_PATHS = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];

/** nginx as one worker process with one server block: {port, pid, stop()}. */
export async function startNginx({ http = '', location }) {
    const dir = tempDir('genie-bench-nginx-');
    const port = await freePort();
    writeFileSync(
        join(dir, 'nginx.conf'),
        `worker_processes 1; daemon off; master_process off;
pid ${dir}/nginx.pid; error_log stderr warn;
events { worker_connections 4096; }
http {
    access_log off; keepalive_requests 1000000000; default_type application/json;
    ${NGINX_PATHS.map((name) => `${name}_temp_path ${dir}/${name};`).join(' ')}
    ${http}
    server { listen 127.0.0.1:${port}; location / { ${location} } }
}\n`,
    );
    const program = ['/usr/sbin/nginx', '/usr/bin/nginx'].find((path) => existsSync(path)) ?? 'nginx';
    const started = launch(program, ['-p', dir, '-e', 'stderr', '-c', join(dir, 'nginx.conf')]);
    await untilAccepts(port, started);
    return {
        port,
        pid: started.child.pid,
        async stop() {
            await end(started, 'SIGQUIT');
            removeDir(dir);
        },
    };
}

/** Runs a program of the build to its end and returns what it printed. */
export async function runTool(name, args = []) {
    const started = launch(join(TOOLS, name), args);
    const lines = [];
    for await (const line of started.lines) lines.push(line);
    const exit = await started.exited;
    if (exit.code !== 0) throw new Error(`${name}: ${JSON.stringify(exit)} ${started.errors.trim()}`);
    return lines;
}

/**
 * genie as a deployment would run it, but without a line of log per request, as nginx here. `store` is what else
 * tests/support/genie.mjs is told: { store: 'postgres', database: url }.
 */
export async function serve(env = {}, args = [], store = {}) {
    const server = await startGenie({ ...store, args, env: { LOG_LEVEL: 'warn', ...env } });
    servers.add(server);
    return server;
}

/** Ends what a row left running: nothing, unless it failed. */
export async function endAll() {
    for (const server of servers) await server.kill9();
    servers.clear();
    for (const child of alive) child.kill('SIGKILL');
}

export const openaiAt = (upstream) => ({
    LLM_PROVIDER: 'openai',
    LLM_BASE_URL: `${upstream.url}/v1`,
    LLM_MODEL: 'bench',
});

/** Options of load() for the chat of `server`. */
export const chatOf = (server, token, body) => ({
    port: server.port,
    method: 'POST',
    path: '/api/genie/stream-chat',
    header: [`Authorization: Bearer ${token}`, 'Content-Type: application/json'],
    body: JSON.stringify(body),
    needle: '"textResponseChunk"',
});

/** Options of load() for the model server itself, or nginx before it. */
export const modelAt = (port) => ({
    port,
    method: 'POST',
    path: '/v1/chat/completions',
    header: ['Content-Type: application/json'],
    body: JSON.stringify({
        model: 'bench',
        stream: true,
        messages: [{ role: 'user', content: 'What is new?' }],
    }),
    needle: '"content"',
});

/** Seconds of processor time a process has used. */
export function cpuSeconds(pid) {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
        .replace(/^.*\) /s, '')
        .split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S;
}

/** Resident memory in KiB. */
export function residentKiB(pid) {
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
}

/** The most files a process of this user may open. */
export function descriptorLimit() {
    const [, , hard] = /^Max open files\s+(\S+)\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
    return hard === 'unlimited' ? Infinity : Number(hard);
}
