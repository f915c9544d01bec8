// SPDX-License-Identifier: MIT
//
// Sixty-four clients on two servers with one store, of which one is killed in the middle: whatever a client was told
// to be done is there at the end, once; no write has undone another's.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { leaders, startServers, stopServers } from '../support/servers.mjs';
import { openChat } from '../support/sse.mjs';
import { eventually, history, quoted, sql, textOf } from '../support/talk.mjs';

const CLIENTS = 64;
const USERS = 8;
const ROUNDS_BEFORE = 2; // of each client before the kill, and after it
const ROUNDS_AFTER = 3;
const LIMIT_MS = 60_000;

/** A field of the common row that one client alone writes. */
const FIELDS = ['title', 'content', 'tags', 'weight'];
const valueOf = (field, n) =>
    ({ title: `title ${n}`, content: `content ${n}`, tags: [`tag ${n}`], weight: n / 1000 })[field];

/** Each user has one client of each place; neighbours are at different servers. */
const placeOf = (n) => (n + Math.floor(n / USERS)) % USERS;

class Client {
    constructor(world, n) {
        this.world = world;
        this.n = n;
        this.user = world.users[n % USERS];
        this.server = world.servers[Math.floor(n / USERS) % 2];
        this.place = placeOf(n);
        this.done = 0;
        this.told = []; // what this client was told to be done
        this.unknown = []; // what it was told nothing about
    }

    /** Does rounds until it has done that many more. */
    async run(rounds) {
        for (const until = this.done + rounds, deadline = performance.now() + LIMIT_MS; this.done < until; ) {
            assert.ok(performance.now() < deadline, `client ${this.n} gets nowhere`);
            try {
                await this.round(this.done);
                this.done++;
            } catch (error) {
                if (error.code === 'ERR_ASSERTION') throw error;
                this.server = this.world.survivor; // the connection broke: its server is gone
            }
        }
    }

    request(path, method, body, token = this.user.token) {
        return this.server.request(`/api/directus${path}`, { method, body, token, limitMs: LIMIT_MS });
    }
}

class Chatting extends Client {
    get session() {
        return this.place < 2 ? 'shared' : `own-${this.n}`;
    }

    async round(i) {
        const prompt = `client ${this.n} message ${i}.${this.unknown.length}`;
        this.unknown.push(prompt);
        const body = { message: prompt, sessionId: this.session };
        const stream = await openChat(this.server, this.user.token, body, { limitMs: LIMIT_MS });
        await stream.ended(LIMIT_MS);
        assert.equal(stream.status, 200);
        const last = stream.events.at(-1)?.json;
        if (last?.type !== 'finalizeResponseStream') throw new Error('cut');
        assert.equal(last.error, false);
        this.unknown.pop();
        this.told.push({ prompt, chatId: last.chatId, text: textOf(stream.events) });
    }
}

class Adding extends Client {
    async round(i) {
        const title = `client ${this.n} row ${i}.${this.unknown.length}`;
        this.unknown.push(title);
        const { status, json } = await this.request('/items/user_nodes', 'POST', { node_type: 'note', title, content: 'x' });
        assert.equal(status, 200, JSON.stringify(json));
        this.unknown.pop();
        this.told.push({ title, id: json.data.id });
    }
}

/** Several on one row, each on a field of its own: an update that wrote what it had read before would be seen. */
class Changing extends Client {
    get field() {
        return FIELDS[Math.floor(this.n / 16) % FIELDS.length];
    }

    get row() {
        return this.world.rows.get(this.user);
    }

    async round(i) {
        const value = valueOf(this.field, i + 1);
        this.unknown = [value];
        const { status, json } = await this.request(`/items/user_nodes/${this.row}`, 'PATCH', { [this.field]: value });
        assert.equal(status, 200, JSON.stringify(json));
        assert.deepEqual(json.data[this.field], value);
        this.unknown = [];
        this.told = [value];
    }
}

class Refreshing extends Client {
    async round() {
        if (!this.refreshToken) return await this.#logIn();
        const used = this.refreshToken;
        this.refreshToken = undefined; // a server that dies may have used it up: nobody knows, unless the answer came
        const { status, json } = await this.#refresh(used);
        assert.equal(status, 200, JSON.stringify(json));
        assert.notEqual(json.data.refresh_token, used);
        assert.equal((await this.#refresh(used)).status, 401, 'a token is good once');
        this.refreshToken = json.data.refresh_token;
        this.told.push(json.data.refresh_token);
    }

    #refresh(token) {
        const body = { refresh_token: token, mode: 'json' };
        return this.request('/auth/refresh', 'POST', body, undefined);
    }

    async #logIn() {
        const { email, password } = this.user;
        const { status, json } = await this.request('/auth/login', 'POST', { email, password }, undefined);
        if (status === 503 || status === 429) return; // too many passwords at once: the next round
        assert.equal(status, 200, JSON.stringify(json));
        this.refreshToken = json.data.refresh_token;
        this.told.push(json.data.refresh_token);
    }
}

const KINDS = [Chatting, Chatting, Adding, Changing, Refreshing, Chatting, Changing, Adding]; // by place
const tokenList = (tokens) => tokens.map(quoted).join(', ');

test('two servers, one killed: what was confirmed is there, once', async () => {
    const servers = await startServers(2, { env: { LEADER_LEASE_S: '3', LOG_LEVEL: 'warn' } });
    try {
        const [survivor, dying] = servers;
        const world = { servers, survivor, users: [], rows: new Map() };
        while (world.users.length < USERS) world.users.push(await survivor.addUser());
        for (const user of world.users) {
            user.token = await survivor.token(user.email, ['--ttl', '1h']);
            const { json } = await survivor.request('/api/directus/items/user_nodes', {
                method: 'POST',
                token: user.token,
                body: { node_type: 'note', title: 'common', content: 'common', weight: 0 },
            });
            world.rows.set(user, json.data.id);
        }
        const clients = Array.from({ length: CLIENTS }, (_, n) => new KINDS[placeOf(n)](world, n));
        for (const kind of [(c) => c.session === 'shared', (c) => c instanceof Changing])
            for (const user of world.users)
                assert.equal(new Set(clients.filter((c) => c.user === user && kind(c)).map((c) => c.server)).size, 2);
        await Promise.all(clients.map((client) => client.run(ROUNDS_BEFORE)));
        const rest = clients.map((client) => client.run(ROUNDS_AFTER));
        await Promise.race(rest);
        await dying.kill9();
        await Promise.all(rest);
        await eventually(async () => (await leaders([survivor])).length === 1, 'the survivor leads');

        const of = (kind) => clients.filter((client) => client instanceof kind);
        await checkChats(survivor, world, of(Chatting));
        checkRows(survivor, of(Adding));
        checkChanges(survivor, world, of(Changing));
        checkSessions(survivor, of(Refreshing));
        if (!survivor.databaseUrl)
            assert.deepEqual(sql(survivor, 'PRAGMA integrity_check'), [{ integrity_check: 'ok' }]);
        await survivor.assertWell();
    } finally {
        await stopServers(servers);
    }
});

async function checkChats(server, world, clients) {
    const rows = sql(server, 'SELECT id, prompt, response FROM workspace_chats');
    const stored = new Map(rows.map((row) => [row.prompt, row]));
    assert.equal(stored.size, rows.length, 'a message is stored twice');
    const known = new Set(clients.flatMap(({ told, unknown }) => [...told.map(({ prompt }) => prompt), ...unknown]));
    for (const { prompt } of rows) assert.ok(known.has(prompt), `${prompt} was never sent`);
    for (const { prompt, chatId, text } of clients.flatMap(({ told }) => told)) {
        assert.equal(Number(stored.get(prompt)?.id), chatId, prompt);
        assert.equal(JSON.parse(stored.get(prompt).response).text, text);
    }
    const sessions = new Set(clients.map(({ user, session }) => `${user.id} ${session}`));
    const [{ n }] = sql(server, 'SELECT count(*) AS n FROM workspace_threads');
    assert.equal(Number(n), sessions.size, 'one thread a session');
    for (const user of world.users) {
        const shown = await history(server, user.token, 'shared');
        const told = clients
            .filter((client) => client.user === user && client.session === 'shared')
            .flatMap((client) => client.told);
        for (const { chatId } of told) assert.ok(shown.some((row) => row.chatId === chatId));
    }
}

function checkRows(server, clients) {
    const rows = sql(server, "SELECT id, title FROM user_nodes WHERE title LIKE 'client%'");
    const stored = new Map(rows.map(({ id, title }) => [title, id]));
    assert.equal(stored.size, rows.length, 'a row is there twice');
    for (const { title, id } of clients.flatMap(({ told }) => told)) assert.equal(stored.get(title), id, title);
}

function checkChanges(server, world, clients) {
    for (const { user, field, told, unknown } of clients) {
        const [row] = sql(
            server,
            `SELECT title, content, tags, weight FROM user_nodes WHERE id = ${quoted(world.rows.get(user))}`,
        );
        if (typeof row.tags === 'string') row.tags = JSON.parse(row.tags);
        const possible = [...told, ...unknown].map((value) => JSON.stringify(value));
        assert.ok(possible.includes(JSON.stringify(row[field])), `${field} is ${row[field]}, not ${possible}`);
    }
}

function checkSessions(server, clients) {
    const live = clients.map(({ refreshToken }) => refreshToken).filter(Boolean);
    const given = clients.flatMap(({ told }) => told);
    const used = given.filter((token) => !live.includes(token));
    assert.ok(live.length > 0 && used.length > 0);
    const rows = (tokens) => sql(server, `SELECT token FROM directus_sessions WHERE token IN (${tokenList(tokens)})`);
    assert.equal(rows(live).length, live.length, 'the last session of each is there');
    assert.equal(new Set(given).size, given.length);
    assert.ok(rows(used).length <= clients.length, 'used tokens are gone but for those lost with their server');
}
