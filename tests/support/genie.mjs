// SPDX-License-Identifier: MIT
//
// Runs the real binary for a test: a fresh data directory, a free port, secrets of its own, the log
// kept. Whatever happens to the test, the process goes with it: it is killed on exit by its pid, and
// (where setpriv is installed) by the kernel if this process is itself killed.
//
//     const server = await startGenie({ env: { LLM_PROVIDER: 'ollama', OLLAMA_URL: model.url } });
//     const user = await server.addUser({ tier: 'pro' });
//     await server.request('/api/ping', { token: user.token });
//     await server.stop();          // asserts a clean exit and no sanitizer report
//
// GENIE_TEST_STORE says what it stores in: sqlite (the default), or postgres, where each data directory has a
// database of its own on the server that TEST_DATABASE_URL names.

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { contractOf } from './contract.mjs';
import { removeDir, tempDir } from './dirs.mjs';
import { request } from './http.mjs';
import { decode } from './jwt.mjs';
import { dropDatabase, newDatabase } from './postgres.mjs';
import { freePort } from './ports.mjs';

export const GENIE_BIN =
    process.env.GENIE_BIN ?? fileURLToPath(new URL('../../build/genie', import.meta.url));

/** Whether the tests run on PostgreSQL. */
export const ON_POSTGRES = process.env.GENIE_TEST_STORE === 'postgres';

const SETPRIV = '/usr/bin/setpriv';
const START_MS = 60_000;
const STOP_MS = 60_000;
const CLI_MS = 60_000;
const MAX_LOG = 64 << 20;

/** Anything a sanitizer of gcc or clang prints when it found something. */
const SANITIZER = /ERROR: \w+Sanitizer|SUMMARY: \w+Sanitizer|: runtime error: |ERROR: LeakSanitizer/;

const alive = new Set();

function killAll() {
    for (const child of alive) child.kill('SIGKILL');
}

process.on('exit', killAll);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
    process.once(signal, () => {
        killAll();
        process.exit(1);
    });

/** Starts the binary (or another program) by argument vector; the child dies with this process. */
export function launch(args, env, stdin, { program = GENIE_BIN, cwd } = {}) {
    const [file, argv] = existsSync(SETPRIV)
        ? [SETPRIV, ['--pdeathsig', 'KILL', program, ...args]]
        : [program, args];
    const child = spawn(file, argv, { env, cwd, stdio: [stdin, 'pipe', 'pipe'] });
    alive.add(child);
    child.exited = new Promise((resolve) => {
        child.on('error', (error) => {
            alive.delete(child);
            resolve({ error });
        });
        child.on('close', (code, signal) => {
            alive.delete(child);
            resolve({ code, signal });
        });
    });
    return child;
}

/** The child's exit, or null after the limit. */
export async function exitWithin(child, limitMs) {
    const limit = new AbortController();
    const timer = sleep(limitMs, null, { signal: limit.signal }).catch(() => null);
    const exit = await Promise.race([child.exited, timer]);
    limit.abort();
    return exit;
}

function newSecrets() {
    return {
        DIRECTUS_SECRET: randomBytes(32).toString('hex'),
        JWT_SECRET: randomBytes(32).toString('hex'),
        RBAC_SYNC_WEBHOOK_SECRET: randomBytes(32).toString('hex'),
        CREDENTIALS_ENC_KEY_B64: randomBytes(32).toString('base64'),
    };
}

function parseEnvFile(path) {
    const values = {};
    for (const line of readFileSync(path, 'utf8').split('\n')) {
        const match = /^([A-Z][A-Z0-9_]*)=(.*)$/.exec(line.trim());
        if (match) values[match[1]] = match[2].replace(/^(["'])(.*)\1$/, '$2');
    }
    return values;
}

/** What the binary may see of this process: nothing that could configure it by chance. */
export function baseEnv() {
    const env = {
        PATH: process.env.PATH,
        HOME: process.env.HOME,
        LANG: 'C.UTF-8',
        TZ: 'UTC',
        ASAN_OPTIONS: 'detect_leaks=1:exitcode=99:detect_stack_use_after_return=1',
        UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1:exitcode=99',
        TSAN_OPTIONS: 'halt_on_error=0:exitcode=99',
    };
    for (const name of [
        'ASAN_OPTIONS',
        'UBSAN_OPTIONS',
        'TSAN_OPTIONS',
        'LSAN_OPTIONS',
        'LLVM_PROFILE_FILE',
        'LD_LIBRARY_PATH',
    ])
        if (process.env[name]) env[name] = process.env[name];
    return env;
}

function splitLines(text) {
    return text.split('\n').filter((line) => line !== '');
}

function parseLine(stream, line) {
    try {
        return { stream, line, json: JSON.parse(line) };
    } catch {
        return { stream, line, json: null };
    }
}

export class Genie {
    /** store: 'sqlite' where a test is about the embedded store; without given secrets there is no other. */
    constructor({ env = {}, args = [], secrets = 'given', dataDir, store, database } = {}) {
        this.dataDir = dataDir ?? tempDir('genie-e2e-');
        this.ownsDir = dataDir === undefined;
        this.args = args;
        this.given = secrets === 'given' ? newSecrets() : {};
        this.extra = env;
        this.store = secrets === 'given' ? (store ?? (ON_POSTGRES ? 'postgres' : 'sqlite')) : 'sqlite';
        this.databaseUrl = this.store === 'postgres' ? (database ?? newDatabase(this.dataDir)) : undefined;
        this.output = { stdout: '', stderr: '' };
        this.child = null;
        this.users = 0;
    }

    get url() {
        return `http://127.0.0.1:${this.port}`;
    }

    get pid() {
        return this.child?.pid;
    }

    get env() {
        const env = {
            ...baseEnv(),
            GENIE_DATA_DIR: this.dataDir,
            SERVER_PORT: this.port && String(this.port),
            BIND_ADDRESS: '127.0.0.1',
            LOG_FORMAT: 'json',
            LOG_LEVEL: 'debug',
            LLM_PROVIDER: 'extractive',
            DATABASE_URL: this.databaseUrl,
            ...this.given,
            ...this.extra,
        };
        return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined));
    }

    /** The secrets in force: given by the test, or made by the server on its first start. */
    get secrets() {
        const file = join(this.dataDir, 'secrets.env');
        const made = existsSync(file) ? parseEnvFile(file) : {};
        return { ...made, ...this.given, ...this.extra };
    }

    /** Starts the server and waits for /healthz. A port lost to somebody else is replaced, unless fixed. */
    async start({ port } = {}) {
        for (let attempt = 0; ; attempt++) {
            this.port = port ?? (await freePort());
            this.#run();
            const exit = await this.#healthy();
            if (!exit) return this;
            const taken = /address already in use|EADDRINUSE/i.test(this.output.stderr + this.output.stdout);
            if (port !== undefined || !taken || attempt === 4)
                throw new Error(`genie did not start (${JSON.stringify(exit)}):\n${this.tail()}`);
        }
    }

    /** [{stream, line, json}]: everything printed so far, by all runs of this instance. */
    logs() {
        return ['stdout', 'stderr'].flatMap((stream) =>
            splitLines(this.output[stream]).map((line) => parseLine(stream, line)),
        );
    }

    get logText() {
        return this.output.stdout + this.output.stderr;
    }

    tail(lines = 40) {
        return splitLines(this.logText).slice(-lines).join('\n');
    }

    async waitForLog(look, limitMs = 60_000) {
        const deadline = performance.now() + limitMs;
        for (;;) {
            const found = this.logs().find(look);
            if (found) return found;
            if (performance.now() > deadline)
                throw new Error(`no such log line within ${limitMs} ms:\n${this.tail()}`);
            await sleep(25);
        }
    }

    /**
     * As request() of http.mjs; what comes back must be what the OpenAPI document says. What is passed on to a
     * Directus is that one's answer.
     */
    async request(path, options) {
        const answer = await request(this.url + path, options);
        const passedOn = this.env?.DIRECTUS_URL && path.startsWith('/api/directus');
        if (!passedOn) contractOf(GENIE_BIN).check(options?.method ?? 'GET', path, answer);
        return answer;
    }

    /**
     * Runs a subcommand on the same data directory. Throws unless it exits with `expect` (null: any).
     * Returns {code, stdout, stderr}.
     */
    async cli(args, { stdin, env = {}, expect = 0, limitMs = CLI_MS } = {}) {
        const child = launch(
            args,
            { ...this.env, LOG_LEVEL: 'warn', ...env },
            stdin === undefined ? 'ignore' : 'pipe',
        );
        const text = { stdout: '', stderr: '' };
        for (const stream of ['stdout', 'stderr'])
            child[stream].setEncoding('utf8').on('data', (part) => {
                text[stream] += part;
            });
        child.stdin?.on('error', () => {}); // a program that does not read its input is no failure
        child.stdin?.end(stdin);
        const exit = await exitWithin(child, limitMs);
        if (!exit) child.kill('SIGKILL');
        const shown = `genie ${args.join(' ')}`;
        if (!exit || exit.error || exit.signal)
            throw new Error(
                `${shown}: ended ${JSON.stringify(exit)} (null: not in ${limitMs} ms)\n${text.stderr}`,
            );
        if (SANITIZER.test(text.stderr)) throw new Error(`${shown}: sanitizer report\n${text.stderr}`);
        if (expect !== null && exit.code !== expect)
            throw new Error(`${shown}: exit ${exit.code}, expected ${expect}\n${text.stdout}${text.stderr}`);
        return { code: exit.code, ...text };
    }

    /** Begins a subcommand on the same data directory; the child, to be killed or awaited (`exited`). */
    begin(args) {
        const child = launch(args, { ...this.env, LOG_LEVEL: 'warn' }, 'ignore');
        for (const stream of ['stdout', 'stderr']) child[stream].resume();
        return child;
    }

    /** Adds a user by the command line: {email, password, id, token}. */
    async addUser({ role = 'Creator', tier = 'starter', onboarding = 'COMPLETE', email, password } = {}) {
        const user = {
            email: email ?? `user${++this.users}-${randomBytes(4).toString('hex')}@example.com`,
            password: password ?? randomBytes(12).toString('base64url'),
        };
        await this.cli(
            [
                'user',
                'add',
                '--email',
                user.email,
                '--password-stdin',
                '--role',
                role,
                '--tier',
                tier,
                '--onboarding',
                onboarding,
            ],
            { stdin: `${user.password}\n` },
        );
        user.token = await this.token(user.email);
        user.id = decode(user.token).id;
        return user;
    }

    async token(email, args = []) {
        const { stdout } = await this.cli(['user', 'token', '--email', email, ...args]);
        return stdout.trim();
    }

    /** SIGTERM; throws if it does not end in time, ends with an error, or a sanitizer found something. */
    async stop({ keep = false } = {}) {
        const child = this.child;
        if (child) {
            child.kill('SIGTERM');
            const exit = await exitWithin(child, STOP_MS);
            if (!exit) await this.kill9();
            this.child = null;
            if (!exit) throw new Error(`genie still ran ${STOP_MS} ms after SIGTERM:\n${this.tail()}`);
            this.#judge(exit);
        }
        if (!keep && this.ownsDir) {
            dropDatabase(this.dataDir);
            removeDir(this.dataDir);
        }
    }

    /** SIGKILL, as a power cut would; the data directory stays. */
    async kill9() {
        const child = this.child;
        this.child = null;
        child?.kill('SIGKILL');
        if (child && !(await exitWithin(child, STOP_MS))) throw new Error('genie survived SIGKILL');
    }

    /** Starts again on the same port and data directory, after stop({keep:true}), kill9() or by itself. */
    async restart({ env } = {}) {
        if (this.child) await this.stop({ keep: true });
        Object.assign(this.extra, env);
        return await this.start({ port: this.port });
    }

    /** Throws if the process is gone or a sanitizer has spoken: "the server is alive and well". */
    async assertWell() {
        if (!this.child || this.child.exitCode !== null || this.child.signalCode !== null)
            throw new Error(`genie is not running:\n${this.tail()}`);
        if (SANITIZER.test(this.output.stderr)) throw new Error(`sanitizer report:\n${this.tail(200)}`);
        const { status } = await this.request('/healthz');
        if (status !== 200) throw new Error(`/healthz answers ${status}`);
    }

    #run() {
        const child = launch(['serve', ...this.args], this.env, 'ignore');
        for (const stream of ['stdout', 'stderr'])
            child[stream].setEncoding('utf8').on('data', (part) => {
                if (this.output[stream].length < MAX_LOG) this.output[stream] += part;
            });
        this.child = child;
        // A test that forgot stop() must end all the same; the exit handler then kills the server.
        child.unref();
        child.stdout.unref();
        child.stderr.unref();
    }

    /** null once /healthz answers 200, else the exit of the process. */
    async #healthy() {
        const deadline = performance.now() + START_MS;
        const child = this.child;
        let exit = null;
        void child.exited.then((result) => {
            exit = result;
        });
        while (performance.now() < deadline) {
            if (exit) {
                this.child = null;
                return exit;
            }
            const answer = await request(`${this.url}/healthz`, { limitMs: 2000 }).catch(() => null);
            if (answer?.status === 200 && !exit) return null;
            await sleep(20);
        }
        await this.kill9();
        throw new Error(`/healthz did not answer within ${START_MS} ms:\n${this.tail()}`);
    }

    #judge(exit) {
        if (SANITIZER.test(this.output.stderr)) throw new Error(`sanitizer report:\n${this.tail(200)}`);
        if (exit.code !== 0) throw new Error(`genie ended with ${JSON.stringify(exit)}:\n${this.tail()}`);
    }
}

export async function startGenie(options = {}) {
    return await new Genie(options).start();
}
