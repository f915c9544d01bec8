// SPDX-License-Identifier: MIT
//
// Power may fail at any moment. What a client was told to be stored is stored, once; the database opens.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startGenie } from '../support/genie.mjs';
import { startModel } from '../support/model.mjs';
import { openChat } from '../support/sse.mjs';
import { CONNECT, history, sql, stopAll, textOf } from '../support/talk.mjs';

const ROUNDS = 20;
const CLIENTS = 12;

test('killed at random under load, the server keeps every answer that was finalized, exactly once', async () => {
    const model = await startModel({ formats: ['openai'] });
    const server = await startGenie({ env: { ...CONNECT.openai(model), LOG_LEVEL: 'warn' } });
    const finalized = []; // {prompt, chatId, text}: what clients saw
    let sent = 0;
    let killed = false;

    /** Sends one message after the other until the server is gone. */
    async function client(user, round, n) {
        for (let i = 0; !killed; i++) {
            const prompt = `round ${round} client ${n} message ${i}`;
            const stream = await openChat(server, user.token, {
                message: prompt,
                sessionId: `crash-${n}`,
            }).catch(() => null);
            if (!stream) return;
            sent++;
            await stream.ended();
            const last = stream.events.at(-1)?.json;
            if (last?.type !== 'finalizeResponseStream') continue;
            assert.equal(last.error, false);
            finalized.push({ prompt, chatId: last.chatId, text: textOf(stream.events) });
        }
    }

    try {
        const user = await server.addUser();
        user.token = await server.token(user.email, ['--ttl', '1h']);
        model.reply((request) => ({ text: `Answer to ${request.prompt}` }));
        for (let round = 0; round < ROUNDS; round++) {
            killed = false;
            const before = finalized.length;
            const clients = Array.from({ length: CLIENTS }, (_, n) => client(user, round, n));
            while (finalized.length < before + 5) await sleep(2);
            await sleep(Math.random() * 40);
            killed = true;
            await server.kill9();
            await Promise.all(clients);
            await server.restart();
        }
        if (!server.databaseUrl) {
            assert.deepEqual(sql(server, 'PRAGMA integrity_check'), [{ integrity_check: 'ok' }]);
            assert.deepEqual(sql(server, 'PRAGMA foreign_key_check'), []);
        }
        const rows = new Map();
        for (const row of sql(server, 'SELECT id, prompt, response FROM workspace_chats')) {
            assert.ok(!rows.has(row.prompt), `${row.prompt} is stored twice`);
            rows.set(row.prompt, row);
        }
        for (const { prompt, chatId, text } of finalized) {
            assert.equal(rows.get(prompt)?.id, chatId, prompt);
            assert.equal(JSON.parse(rows.get(prompt).response).text, text);
            assert.equal(text, `Answer to ${prompt}`);
        }
        assert.ok(sent > finalized.length, 'some answers were cut off');
        const [counted] = sql(server, 'SELECT count(*) AS threads FROM session_threads');
        assert.equal(counted.threads, CLIENTS, 'one thread for each session');
        const listed = await history(server, user.token, 'crash-0');
        const newest = finalized.filter(({ prompt }) => /client 0 /.test(prompt)).slice(-1);
        for (const { prompt } of newest) assert.ok(listed.some((row) => row.prompt === prompt));
    } finally {
        await stopAll(server, model);
    }
});
