// SPDX-License-Identifier: MIT
//
// PostgreSQL stopped under load: clear 503s, nothing half-written, service by itself after its return.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ON_POSTGRES, Genie } from '../support/genie.mjs';
import { PostgresServer } from '../support/postgres.mjs';
import { chat } from '../support/sse.mjs';

const CLIENTS = 24;
const ROWS = 5; // of one request: all are written or none
const LIMIT_MS = 30_000; // nothing may hang for longer than the store's own limits

describe('PostgreSQL that is stopped', { skip: !ON_POSTGRES }, () => {
    let postgres, genie, user;
    before(async () => {
        postgres = new PostgresServer();
        genie = await new Genie({ database: postgres.url }).start();
        user = await genie.addUser();
    });
    after(async () => {
        await genie?.stop();
        postgres?.remove();
    });

    const nodes = (group) =>
        Array.from({ length: ROWS }, (_, i) => ({ node_type: 'note', title: group, content: `row ${i}` }));

    const write = (group) =>
        genie.request('/api/directus/items/user_nodes', {
            method: 'POST',
            token: user.token,
            body: nodes(group),
            limitMs: LIMIT_MS,
        });

    /** Writes groups of rows until told to stop: [{group, status, json}]. */
    async function load(client, until) {
        const answers = [];
        for (let i = 0; !until.done; i++) {
            const group = `client ${client} group ${i}`;
            const { status, json } = await write(group);
            answers.push({ group, status, json });
            if (status !== 200) await sleep(20);
        }
        return answers;
    }

    async function serves() {
        for (const deadline = performance.now() + LIMIT_MS; performance.now() < deadline; await sleep(50))
            if ((await genie.request('/readyz')).status === 200) return true;
        return false;
    }

    it('answers 503 meanwhile, keeps what it confirmed, and serves again by itself', async () => {
        const until = { done: false };
        const clients = Array.from({ length: CLIENTS }, (_, i) => load(i, until));
        for (let round = 0; round < 3; round++) {
            await sleep(400);
            postgres.halt();
            const ready = await genie.request('/readyz');
            assert.equal(ready.status, 503);
            assert.equal((await genie.request('/healthz')).status, 200);
            await sleep(400);
            postgres.resume();
            assert.ok(await serves(), 'no service after the return of PostgreSQL');
        }
        await sleep(400);
        until.done = true;
        const answers = (await Promise.all(clients)).flat();

        const refused = answers.filter(({ status }) => status !== 200);
        assert.ok(refused.length > 0, 'nobody noticed');
        for (const { status, json } of refused) {
            assert.equal(status, 503);
            assert.ok(json.errors[0].message.length > 0);
        }
        const stored = new Map(
            postgres
                .sql('SELECT title, count(*) FROM user_nodes GROUP BY title')
                .split('\n')
                .map((line) => line.split('|')),
        );
        for (const [group, count] of stored) assert.equal(count, String(ROWS), `${group} is half written`);
        const confirmed = answers.filter(({ status }) => status === 200);
        for (const { group } of confirmed) assert.ok(stored.has(group), `${group} was confirmed and is lost`);
        assert.ok(confirmed.length > CLIENTS);
        await genie.assertWell();
    });

    it('leaves no exchange of a chat half stored', async () => {
        const streams = Array.from({ length: 8 }, (_, i) =>
            chat(genie, user.token, { message: `question ${i}`, sessionId: `s${i}` }),
        );
        postgres.halt();
        await Promise.allSettled(streams);
        postgres.resume();
        assert.ok(await serves());
        const odd = postgres.sql(
            'SELECT (SELECT count(*) FROM workspace_chats) - (SELECT count(*) FROM chat_answers), ' +
                '(SELECT count(*) FROM session_threads) - (SELECT count(*) FROM workspace_threads)',
        );
        assert.equal(odd, '0|0');
        await genie.assertWell();
    });

    it('does not show the password of its database, whatever happens', async () => {
        const url = postgres.url.replace('postgres@', 'postgres:hunter2secret@');
        const lost = new Genie({ database: url.replace(/\/e2e_[^?]*/, '/nowhere') });
        lost.port = 0;
        const { stdout, stderr } = await lost.cli(['serve'], { expect: 1 });
        assert.match(stderr, /DATABASE_URL can't be used/);
        assert.match(stderr, /"nowhere\\?" does not exist/);
        assert.doesNotMatch(stdout + stderr, /hunter2secret/);
        const shown = await lost.cli(['config']);
        assert.match(shown.stdout, /DATABASE_URL +\(set\)/);
        await lost.stop();
    });
});
