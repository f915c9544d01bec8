// SPDX-License-Identifier: MIT
//
// Everything at once, for the thread sanitizer's eyes: chats, clients that leave and come back, answers that are
// stopped by others than who reads them, flows, failures, history, and the end of the server in the middle of it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startGenie } from '../support/genie.mjs';
import { startModel } from '../support/model.mjs';
import { openChat } from '../support/sse.mjs';
import {
    CONNECT,
    addFlow,
    addNode,
    assertTranscript,
    history,
    openResume,
    stopAll,
    stopChat,
    textOf,
} from '../support/talk.mjs';

const ROUNDS = 10;
const WORDS = 'A short answer in a few words'.match(/\S+ ?/g);
const TAG = '[ACTION:checks:{}]';

/** What the model does with a message is written in it. */
const SCRIPTS = {
    plain: { tokens: WORDS, delay: 1 },
    failing: { tokens: WORDS, drop: 3 },
    refusing: { status: 500 },
    flowing: { tokens: [...WORDS, TAG, TAG] },
    stalling: { tokens: WORDS, stall: 3 },
};

const kindOf = (prompt) => prompt.split(' ')[0];
const uuidOf = (stream) => stream.events[0].json.uuid;

/** Reads a stream to its end whatever happens to its connections: by resuming, some of them at once. */
async function readAll(server, token, stream) {
    await stream.next();
    const uuid = uuidOf(stream);
    for (let tries = 0; ; tries++) {
        await stream.ended();
        if (stream.events.at(-1)?.json.type === 'finalizeResponseStream') break;
        assert.ok(tries < 20, 'the answer has an end');
        stream = await openResume(server, token, uuid);
        assert.equal(stream.status, 200);
    }
    const whole = await openResume(server, token, uuid);
    await whole.ended();
    return assertTranscript(whole.events);
}

/** [name, how a client behaves]; each gets its message sent and returns the transcript. */
const BEHAVIOURS = {
    async patient(server, user, body) {
        return await readAll(server, user.token, await openChat(server, user.token, body));
    },
    async leaving(server, user, body) {
        const stream = await openChat(server, user.token, body, { cutAfter: 3 });
        return await readAll(server, user.token, stream);
    },
    async stopping(server, user, body) {
        const stream = await openChat(server, user.token, body);
        await stream.next();
        const stops = [1, 2].map(() => stopChat(server, user.token, uuidOf(stream)));
        const reading = readAll(server, user.token, stream);
        for (const { status } of await Promise.all(stops)) assert.equal(status, 200);
        return await reading;
    },
    async crowding(server, user, body) {
        const stream = await openChat(server, user.token, body);
        await stream.next();
        const others = await Promise.all(
            [0, 1, 0].map((n) => openResume(server, user.token, uuidOf(stream), n)),
        );
        for (const other of others) await other.ended();
        return await readAll(server, user.token, stream);
    },
    async idle(server, user, body) {
        const stream = await openChat(server, user.token, body, { paused: true });
        await sleep(5);
        stream.resume();
        return await readAll(server, user.token, stream);
    },
};

function judge(kind, events) {
    const last = events.at(-1);
    const text = textOf(events);
    assert.ok(WORDS.join('').startsWith(text), text);
    if (last.stopped) return;
    assert.equal(last.error, kind === 'failing' || kind === 'refusing', kind);
    if (!last.error) assert.equal(text, WORDS.join(''));
    if (kind === 'flowing')
        assert.deepEqual(
            events.filter((e) => e.type === 'actionResult').map((e) => e.success),
            [true, true],
        );
}

test('chats, resumes, stops, drops and readers of the history don’t get in each other’s way', async () => {
    const model = await startModel({ formats: ['openai'] });
    const server = await startGenie({
        env: { ...CONNECT.openai(model), LOG_LEVEL: 'warn', HTTP_THREADS: '2' },
    });
    try {
        const users = [await server.addUser(), await server.addUser()];
        addFlow(server, 'checks', [
            {
                type: 'condition',
                result_key: 'is',
                config: { if: { left: 1, op: 'eq', right: 1 }, then: [] },
            },
        ]);
        for (const user of users) addNode(server, user, 'Words', 'A short note in a few words.');
        model.reply((request) => SCRIPTS[kindOf(request.prompt)]);
        const releasing = setInterval(() => model.chats.forEach((request) => request.release()), 5);
        const stored = new Map();
        const run = async (kind, name, round) => {
            const user = users[round % users.length];
            const prompt = `${kind} ${name} ${round}`;
            const body = { message: prompt, sessionId: `race-${name}` };
            const events = await BEHAVIOURS[name](server, user, body);
            judge(kind, events);
            if (events.at(-1).chatId) stored.set(prompt, [events.at(-1).chatId, textOf(events)]);
            for (const row of await history(server, user.token, body.sessionId)) {
                assert.ok(row.prompt.includes(` ${name} `));
                assert.ok(WORDS.join('').startsWith(row.response));
            }
        };
        try {
            for (let round = 0; round < ROUNDS; round++)
                await Promise.all(
                    Object.keys(SCRIPTS).flatMap((kind) =>
                        Object.keys(BEHAVIOURS).map((name) => run(kind, name, round)),
                    ),
                );
        } finally {
            clearInterval(releasing);
        }
        const rows = new Map();
        for (const user of users)
            for (const name of Object.keys(BEHAVIOURS))
                for (const row of await history(server, user.token, `race-${name}`)) {
                    assert.ok(!rows.has(row.prompt), `${row.prompt} is stored once`);
                    rows.set(row.prompt, [row.chatId, row.response]);
                }
        assert.deepEqual(new Map([...rows].sort()), new Map([...stored].sort()));
        const asked = model.chats.map((request) => request.prompt);
        assert.equal(new Set(asked).size, asked.length, 'no message reached the model twice');
        await endInTheMiddle(server, model, users);
    } finally {
        await stopAll(server, model);
    }
});

async function endInTheMiddle(server, model, users) {
    model.reply({ tokens: WORDS, delay: 2 });
    const streams = await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
            openChat(server, users[i % 2].token, { message: `plain last ${i}`, sessionId: `end-${i}` }),
        ),
    );
    streams.slice(0, 5).forEach((stream) => stream.cut());
    await server.stop({ keep: true });
    for (const stream of streams.slice(5)) {
        await stream.ended();
        assertTranscript(stream.events);
    }
}
