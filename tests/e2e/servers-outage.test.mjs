// SPDX-License-Identifier: MIT
//
// PostgreSQL stopped under the load of two servers: clear refusals within the limits, nothing half-written, nobody
// leads for longer than its lease, and both serve again by themselves.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ON_POSTGRES } from '../support/genie.mjs';
import { PostgresServer } from '../support/postgres.mjs';
import { leaders, metric, startServers, stopServers } from '../support/servers.mjs';
import { openChat } from '../support/sse.mjs';
import { eventually } from '../support/talk.mjs';

const CLIENTS = 24;
const ROWS = 4; // of one request: all are written or none
const LIMIT_MS = 30_000; // nothing may hang for longer than the store's own limits

describe('two servers whose PostgreSQL is stopped', { skip: !ON_POSTGRES }, () => {
    let postgres, servers, user;
    before(async () => {
        postgres = new PostgresServer();
        servers = await startServers(2, { database: postgres.url, env: { LEADER_LEASE_S: '3' } });
        user = await servers[0].addUser();
    });
    after(async () => {
        await stopServers(servers);
        postgres?.remove();
    });

    const write = (server, group) =>
        server.request('/api/directus/items/user_nodes', {
            method: 'POST',
            token: user.token,
            body: Array.from({ length: ROWS }, (_, i) => ({ node_type: 'note', title: group, content: `row ${i}` })),
            limitMs: LIMIT_MS,
        });

    /** Chats until it is refused or ends: whether it was finalized without an error, and what was asked. */
    async function converse(server, message) {
        const stream = await openChat(server, user.token, { message, sessionId: 'outage' }, { limitMs: LIMIT_MS });
        await stream.ended(LIMIT_MS);
        if (stream.status !== 200) return { message, status: stream.status, done: false };
        const last = stream.events.at(-1).json;
        assert.equal(last.type, 'finalizeResponseStream', 'whatever happens, it has an end');
        return { message, status: 200, done: !last.error, chatId: last.chatId };
    }

    /** Writes and chats in turns until told to stop. */
    async function load(n, until) {
        const server = servers[n % 2];
        const seen = { writes: [], chats: [] };
        for (let i = 0; !until.done; i++) {
            const group = `client ${n} group ${i}`;
            const { status, json } = await write(server, group);
            seen.writes.push({ group, status, json });
            seen.chats.push(await converse(server, `client ${n} message ${i}`));
            if (status !== 200) await sleep(20);
        }
        return seen;
    }

    async function serve() {
        for (const server of servers)
            await eventually(async () => (await server.request('/readyz')).status === 200, 'service', LIMIT_MS);
    }

    it('both refuse meanwhile, keep what they confirmed, and serve again; at most one leads at any time', async () => {
        const until = { done: false };
        const clients = Array.from({ length: CLIENTS }, (_, n) => load(n, until));
        await eventually(async () => (await leaders(servers)).length === 1, 'a leader');
        for (let round = 0; round < 2; round++) {
            await sleep(300);
            postgres.halt();
            for (const server of servers) {
                assert.equal((await server.request('/readyz')).status, 503);
                assert.equal((await server.request('/healthz')).status, 200);
            }
            await eventually(async () => (await leaders(servers)).length === 0, 'the end of the lease', LIMIT_MS);
            postgres.resume();
            await serve();
            await eventually(async () => (await leaders(servers)).length === 1, 'a leader', LIMIT_MS);
        }
        await sleep(300);
        until.done = true;
        const seen = await Promise.all(clients);
        checkWrites(seen.flatMap(({ writes }) => writes));
        checkChats(seen.flatMap(({ chats }) => chats));
        assert.equal(await metric(servers[0], 'genie_duties_failed_total'), 0);
        for (const server of servers) await server.assertWell();
    });

    function checkWrites(writes) {
        const refused = writes.filter(({ status }) => status !== 200);
        assert.ok(refused.length > 0, 'nobody noticed');
        for (const { status, json } of refused) {
            assert.equal(status, 503);
            assert.ok(json.errors[0].message.length > 0);
        }
        const lines = postgres.sql('SELECT title, count(*) FROM user_nodes GROUP BY title').split('\n');
        const stored = new Map(lines.map((line) => line.split('|')));
        for (const [group, count] of stored) assert.equal(count, String(ROWS), `${group} is half written or twice there`);
        for (const { group, status } of writes)
            assert.ok(status !== 200 || stored.has(group), `${group} was confirmed and is lost`);
    }

    function checkChats(chats) {
        for (const { status } of chats) assert.ok([200, 503].includes(status), `a chat was answered ${status}`);
        const lines = postgres.sql('SELECT prompt, id FROM workspace_chats').split('\n');
        const stored = new Map(lines.map((line) => line.split('|')));
        assert.equal(stored.size, lines.length, 'an exchange is stored twice');
        const done = chats.filter((chat) => chat.done);
        assert.ok(done.length > CLIENTS);
        for (const { message, chatId } of done) assert.equal(stored.get(message), String(chatId), message);
        const odd = postgres.sql(
            'SELECT (SELECT count(*) FROM workspace_chats) - (SELECT count(*) FROM chat_answers), ' +
                '(SELECT count(*) FROM workspace_threads)',
        );
        assert.equal(odd, '0|1');
    }
});
