// SPDX-License-Identifier: MIT
//
// Two servers on one store: who leads, how soon one sees what the other wrote, and what becomes of a conversation
// that is held at both.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { startModel } from '../support/model.mjs';
import { joinServer, leaders, metric, startServers, stopServers } from '../support/servers.mjs';
import { openChat } from '../support/sse.mjs';
import {
    CONNECT,
    addFlow,
    eventually,
    history,
    newSession,
    openResume,
    quoted,
    sql,
    stopAll,
    stopChat,
    talk,
} from '../support/talk.mjs';

const LEASE = { LEADER_LEASE_S: '3' };
const SWEPT = 'schedule: done';

/** The one that leads, once there is one. */
async function leaderOf(servers) {
    const found = await eventually(async () => (await leaders(servers))[0], 'a leader');
    assert.equal((await leaders(servers)).length, 1);
    return found;
}

const runs = (servers) =>
    servers.flatMap((server) => server.logs()).filter(({ json }) => json?.msg === SWEPT && json.duty === 'sweep');

describe('the leader of several servers', () => {
    let servers, user;
    before(async () => {
        servers = await startServers(3, { env: LEASE });
        user = await servers[0].addUser();
    });
    after(() => stopServers(servers));

    const addDeadSession = () =>
        sql(
            servers[0],
            `INSERT INTO directus_sessions (token, "user", expires)
             VALUES (${quoted(randomUUID())}, ${quoted(user.id)}, '2026-01-01T00:00:00.000Z')`,
        );
    const deadSessions = () =>
        Number(
            sql(
                servers[0],
                `SELECT count(*) AS n FROM directus_sessions WHERE expires < '2026-01-02T00:00:00.000Z'`,
            )[0].n,
        );
    const askForSweep = () =>
        sql(servers[0], "UPDATE leader_leases SET last_run_at = NULL WHERE name = 'duty sweep'");

    it('is one, and does what is due once', async () => {
        const leader = await leaderOf(servers);
        addDeadSession();
        askForSweep();
        await eventually(() => deadSessions() === 0, 'the sweep');
        await eventually(() => runs(servers).length === 1, 'a line about it');
        assert.equal(runs([leader]).length, 1);
        assert.equal(await metric(leader, 'genie_duties_total'), 1);
    });

    it('hands over when it stops', async () => {
        const first = await leaderOf(servers);
        await first.stop({ keep: true });
        const [row] = sql(servers[0], "SELECT holder, expires_at FROM leader_leases WHERE name = 'schedule'");
        const next = await leaderOf(servers);
        assert.ok(row.holder === null || next.logText.includes(row.holder), 'nobody waits for the lease to end');
        assert.ok(first.logText.includes('this server no longer leads'));
        await first.restart();
    });

    it('is replaced when it is killed, and what it missed is made up once', async () => {
        const first = await leaderOf(servers);
        const before = runs(servers).length;
        await first.kill9();
        addDeadSession();
        askForSweep();
        const rest = servers.filter((server) => server !== first);
        await leaderOf(rest);
        await eventually(() => deadSessions() === 0, 'the sweep');
        await eventually(() => runs(servers).length === before + 1, 'a line about it');
        await first.restart();
        await leaderOf(servers);
        assert.equal(runs(servers).length, before + 1);
    });
});

describe('what one server writes', () => {
    let model, servers, user, admin;
    const [a, b] = [() => servers[0], () => servers[1]];
    before(async () => {
        model = await startModel({ formats: ['openai'] });
        model.reply('Very well.');
        servers = await startServers(2, { env: CONNECT.openai(model) });
        user = await servers[0].addUser();
        admin = await servers[0].addUser({ role: 'Administrator' });
    });
    after(async () => {
        await stopServers(servers);
        await stopAll(model);
    });

    const me = (server, token) => server.request('/api/directus/users/me', { token });

    /** What the model is told when the user asks this at that server. */
    async function toldAt(server, who, message) {
        await talk(server, who, { message, sessionId: newSession() });
        return model.chats.at(-1).messages.map((m) => m.content).join('\n') + model.chats.at(-1).system;
    }

    it('is known at the other: the end of a session', async () => {
        const login = await a().request('/api/directus/auth/login', {
            method: 'POST',
            body: { email: user.email, password: user.password, mode: 'session' },
        });
        const [, token] = /directus_session_token=([^;]+)/.exec(login.headers['set-cookie'].join(';'));
        assert.equal((await me(b(), token)).status, 200);
        const out = await a().request('/api/directus/auth/logout', {
            method: 'POST',
            body: { mode: 'session' },
            headers: { Cookie: `directus_session_token=${token}` },
        });
        assert.equal(out.status, 204, out.text);
        await eventually(async () => (await me(b(), token)).status === 403, 'the end of the session');
        assert.equal((await me(a(), token)).status, 403);
    });

    it('is known at the other: that a refresh token is used up, be it used at both at once', async () => {
        const post = (server, path, body) => server.request(`/api/directus/auth/${path}`, { method: 'POST', body });
        const { email, password } = user;
        let { json } = await post(a(), 'login', { email, password });
        for (let round = 0; round < 8; round++) {
            const body = { refresh_token: json.data.refresh_token, mode: 'json' };
            const answers = await Promise.all([...servers, ...servers].map((server) => post(server, 'refresh', body)));
            const [won, ...more] = answers.filter(({ status }) => status === 200);
            assert.ok(won && more.length === 0, `round ${round}: ${answers.map(({ status }) => status)}`);
            json = won.json;
        }
    });

    it('is known at the other: an account that is suspended', async () => {
        const other = await a().addUser();
        for (const server of servers) assert.equal((await me(server, other.token)).status, 200);
        await a().cli(['user', 'suspend', '--email', other.email]);
        for (const server of servers)
            await eventually(async () => (await me(server, other.token)).status === 401, 'the suspension');
    });

    it('is known at the other: a note', async () => {
        const question = 'What is the password of the pelican enclosure?';
        assert.doesNotMatch(await toldAt(b(), user, question), /MARMALADE/);
        const { status, text } = await a().request('/api/directus/items/user_nodes', {
            method: 'POST',
            token: user.token,
            body: { node_type: 'note', title: 'Pelican enclosure', content: 'The password is MARMALADE.' },
        });
        assert.equal(status, 200, text);
        await eventually(async () => /MARMALADE/.test(await toldAt(b(), user, question)), 'the note');
    });

    it('is known at the other: a flow', async () => {
        assert.doesNotMatch(await toldAt(b(), admin, 'Hello'), /count-the-pelicans/);
        addFlow(a(), 'count-the-pelicans', [{ type: 'memory_recall', config: { query: 'pelicans' } }]);
        await eventually(async () => /count-the-pelicans/.test(await toldAt(b(), admin, 'Hello')), 'the flow');
    });
});

describe('one conversation at two servers', () => {
    const CHATS = 24;
    let model, servers, user;
    before(async () => {
        model = await startModel({ formats: ['openai'] });
        servers = await startServers(2, { env: CONNECT.openai(model) });
        user = await servers[0].addUser();
    });
    after(async () => {
        await stopServers(servers);
        await stopAll(model);
    });

    it('is one thread without a lost or doubled exchange', async () => {
        model.reply((request) => `Answer to ${request.prompt}`);
        const sessionId = newSession();
        const answers = await Promise.all(
            Array.from({ length: CHATS }, (_, i) =>
                talk(servers[i % 2], user, { message: `question ${i}`, sessionId }),
            ),
        );
        const told = new Map(answers.map(({ last, answer }) => [last.chatId, answer]));
        assert.equal(told.size, CHATS, 'each has an exchange of its own');
        const [{ n }] = sql(
            servers[0],
            `SELECT count(*) AS n FROM workspace_threads t JOIN session_threads s ON s.thread_id = t.id
             WHERE s.session_id = ${quoted(sessionId)}`,
        );
        assert.equal(Number(n), 1);
        const [all] = sql(servers[0], 'SELECT count(*) AS n FROM workspace_threads');
        assert.equal(Number(all.n), 1, 'no thread is left over');
        const shown = await Promise.all(servers.map((server) => history(server, user.token, sessionId)));
        assert.deepEqual(shown[0], shown[1]);
        assert.deepEqual(new Map(shown[0].map(({ chatId, response }) => [chatId, response])), told);
        for (const { prompt, response } of shown[0]) assert.equal(response, `Answer to ${prompt}`);
    });

    it('shows the model at either what was said at the other', async () => {
        const sessionId = newSession();
        model.reply('Noted.');
        await talk(servers[0], user, { message: 'My boat is called Petrel.', sessionId });
        await talk(servers[1], user, { message: 'And now?', sessionId });
        assert.ok(model.chats.at(-1).messages.some((m) => /Petrel/.test(m.content)));
    });

    it('is resumed and stopped only where its stream is', async () => {
        model.once({ text: 'one two three', stall: 1 });
        const sessionId = newSession();
        const stream = await openChat(servers[0], user.token, { message: 'Count', sessionId });
        await stream.next();
        const { uuid } = stream.events[0].json;
        await model.waitFor(() => model.chats.some((chat) => chat.waiting));
        const begun = model.chats.length;

        const elsewhere = await openResume(servers[1], user.token, uuid, 0);
        await elsewhere.ended();
        assert.equal(elsewhere.status, 404);
        assert.equal(elsewhere.json.code, 'not_found');
        const again = await openChat(
            servers[1],
            user.token,
            { message: 'Count', sessionId },
            { headers: { 'Last-Event-ID': `${uuid}:1` } },
        );
        await again.ended();
        assert.equal(again.status, 404);
        assert.equal((await stopChat(servers[1], user.token, uuid)).status, 404);
        assert.equal(model.chats.length, begun, 'no second answer was asked for');

        const here = await openResume(servers[0], user.token, uuid, 0);
        assert.equal(here.status, 200);
        model.chats.at(-1).release();
        await here.ended();
        assert.equal(here.events.at(-1).json.type, 'finalizeResponseStream');
        assert.equal((await history(servers[1], user.token, sessionId)).length, 1);
        await servers[0].assertWell();
    });
});

describe('a server that joins', () => {
    it('finds everything there, and leaves without a trace', async () => {
        const servers = await startServers(1, { env: LEASE });
        try {
            const user = await servers[0].addUser();
            await talk(servers[0], user, 'Hello there');
            servers.push(await joinServer(servers[0]));
            assert.equal((await history(servers[1], user.token)).length, 1);
            await servers.pop().stop();
            await talk(servers[0], user, 'Hello again');
            assert.equal((await history(servers[0], user.token)).length, 2);
        } finally {
            await stopServers(servers);
        }
    });
});
