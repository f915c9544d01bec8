// SPDX-License-Identifier: MIT
//
// A real Directus 11 (tests/directus) on a database of its own on the test's PostgreSQL. It is set up once in a run
// of the tests and copied from then on. It talks to nobody but the tests.
//
//     const directus = await startDirectus();
//     const server = await directus.startGenie();   // on the same database, with the same secret
//     const token = await directus.login(user.email, user.password);
//     await directus.request('/items/user_nodes', { token });
//     await directus.stop();                        // with its database

import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { removeDir, tempDir } from './dirs.mjs';
import { Genie, exitWithin, launch } from './genie.mjs';
import { request } from './http.mjs';
import { freePort } from './ports.mjs';
import { copiedDatabase, rows } from './postgres.mjs';

const PROJECT = fileURLToPath(new URL('../directus', import.meta.url));
const CLI = 'node_modules/@directus/api/dist/cli/run.js'; // the program without its look for updates
const TEMPLATE = 'directus_template';
const SETUP_MS = 120_000;
const START_MS = 60_000;
const STOP_MS = 30_000;

export const ADMIN = { email: 'admin@example.com', password: 'password-of-the-admin' };

/** Nothing of this process but what a program needs; nothing that reaches out or answers slowly on purpose. */
function environment(databaseUrl, dir, more = {}) {
    const [, user, name, host] = /^postgres:\/\/([^@]*)@\/([^?]*)\?host=(.*)$/.exec(databaseUrl);
    return {
        PATH: process.env.PATH,
        HOME: dir,
        NODE_ENV: 'production',
        DB_CLIENT: 'pg',
        DB_HOST: host,
        DB_PORT: '5432',
        DB_DATABASE: name,
        DB_USER: user,
        DB_PASSWORD: 'unused',
        HOST: '127.0.0.1',
        SERVE_APP: 'false',
        LOG_LEVEL: 'warn',
        TELEMETRY: 'false',
        CACHE_ENABLED: 'false',
        RATE_LIMITER_ENABLED: 'false',
        PRESSURE_LIMITER_ENABLED: 'false',
        WEBSOCKETS_ENABLED: 'false',
        LOGIN_STALL_TIME: '0',
        EXTENSIONS_PATH: join(dir, 'extensions'),
        STORAGE_LOCAL_ROOT: join(dir, 'uploads'),
        TEMP_PATH: join(dir, 'tmp'),
        ...more,
    };
}

function run(verb, env) {
    const child = launch([CLI, verb], env, 'ignore', { program: process.execPath, cwd: PROJECT });
    child.text = '';
    for (const stream of ['stdout', 'stderr'])
        child[stream].setEncoding('utf8').on('data', (part) => {
            child.text += part;
        });
    return child;
}

async function bootstrap(databaseUrl) {
    const dir = tempDir('genie-directus-');
    const env = environment(databaseUrl, dir, {
        SECRET: randomBytes(32).toString('hex'),
        ADMIN_EMAIL: ADMIN.email,
        ADMIN_PASSWORD: ADMIN.password,
    });
    const child = run('bootstrap', env);
    const exit = await exitWithin(child, SETUP_MS);
    if (!exit) child.kill('SIGKILL');
    removeDir(dir);
    if (exit?.code !== 0) throw new Error(`directus bootstrap: ${JSON.stringify(exit)}\n${child.text}`);
}

export class Directus {
    constructor(database) {
        this.database = database;
        this.dir = tempDir('genie-directus-');
        this.secret = randomBytes(32).toString('hex');
        this.servers = [];
    }

    get url() {
        return `http://127.0.0.1:${this.port}`;
    }

    async start() {
        this.port ??= await freePort();
        const more = { PORT: String(this.port), PUBLIC_URL: this.url, SECRET: this.secret };
        this.child = run('start', environment(this.database.url, this.dir, more));
        const deadline = performance.now() + START_MS;
        while (performance.now() < deadline) {
            const exit = await exitWithin(this.child, 50);
            if (exit) throw new Error(`Directus ended (${JSON.stringify(exit)}):\n${this.child.text}`);
            const answer = await request(`${this.url}/server/ping`, { limitMs: 2000 }).catch(() => null);
            if (answer?.status === 200) return this;
        }
        throw new Error(`Directus did not answer within ${START_MS} ms:\n${this.child.text}`);
    }

    async #end() {
        const child = this.child;
        this.child = null;
        child?.kill('SIGTERM');
        if (child && !(await exitWithin(child, STOP_MS))) child.kill('SIGKILL');
    }

    async restart() {
        await this.#end();
        return await this.start();
    }

    /** A genie on the same database, with the same secret. */
    genie(options = {}) {
        const server = new Genie({ ...options, store: 'postgres', database: this.database.url });
        server.given.DIRECTUS_SECRET = this.secret;
        this.servers.push(server);
        return server;
    }

    async startGenie(options) {
        return await this.genie(options).start();
    }

    /** Stops what was started on this database, then removes it. */
    async stop() {
        for (const server of this.servers) await server.stop();
        await this.#end();
        removeDir(this.dir);
        this.database.drop();
    }

    /** SQL without either program; rows as objects. */
    sql(statement) {
        return rows(this.database.url, statement);
    }

    request(path, options) {
        return request(this.url + path, options);
    }

    /** {access_token, refresh_token} or, in a mode of cookies, {cookie: "name=value"}. */
    async session({ email, password }, mode = 'json') {
        const answer = await this.request('/auth/login', { method: 'POST', body: { email, password, mode } });
        if (answer.status !== 200) throw new Error(`Directus refuses ${email}: ${answer.text}`);
        const [cookie] = [answer.headers['set-cookie'] ?? []].flat();
        return { ...answer.json.data, cookie: cookie?.split(';')[0] };
    }

    async login(who) {
        return (await this.session(who)).access_token;
    }

    /** A call as the administrator that must succeed; its data. */
    async admin(method, path, body) {
        this.adminToken ??= await this.login(ADMIN);
        const answer = await this.request(path, { method, token: this.adminToken, body });
        if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
        return answer.json?.data;
    }

    /** Adds a user at Directus: {id, email, password}. */
    async addUser({ role = null, ...more } = {}) {
        const user = {
            email: `there-${randomBytes(4).toString('hex')}@example.com`,
            password: randomBytes(12).toString('base64url'),
            ...more,
        };
        const { id } = await this.admin('POST', '/users', { ...user, role });
        return { ...user, id };
    }

    async roleId(name) {
        const found = await this.admin('GET', `/roles?filter[name][_eq]=${name}`);
        return found[0].id;
    }
}

/** A database that a Directus has set up, with a Directus that isn't started. */
export async function newDirectus() {
    return new Directus(await copiedDatabase(TEMPLATE, bootstrap));
}

export async function startDirectus() {
    return await (await newDirectus()).start();
}
