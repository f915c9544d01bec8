// SPDX-License-Identifier: MIT
//
// A client that loses its connection goes on where it was, byte for byte, and never causes a second answer;
// by hand, and by the library that the product's clients use, in Node and in a browser.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { JSDOM } from 'jsdom';
import { chromium } from 'playwright-core';
import { removeDir, tempDir } from '../support/dirs.mjs';
import { startGenie } from '../support/genie.mjs';
import { Listener } from '../support/listener.mjs';
import { startModel } from '../support/model.mjs';
import { startProxy } from '../support/proxy.mjs';
import { openChat } from '../support/sse.mjs';
import {
    CONNECT,
    STREAM,
    assertTranscript,
    eventually,
    history,
    newSession,
    openResume,
    stopAll,
    stopChat,
    talk,
    textOf,
} from '../support/talk.mjs';

const TOKENS = [
    'Grüße',
    ' 🎉',
    '\n',
    '"quoted"',
    ' \\',
    ' 世界',
    ' [1]',
    ' and',
    ' more',
    ' to',
    ' come',
    '.',
];
const TEXT = TOKENS.join('');
const CHROMIUM = '/usr/bin/chromium';
const LIBRARY = fileURLToPath(
    new URL('../node_modules/@microsoft/fetch-event-source/lib/esm', import.meta.url),
);

describe('a lost connection', () => {
    let model, server, user, other;

    before(async () => {
        model = await startModel({ formats: ['openai'] });
        server = await startGenie({
            env: { ...CONNECT.openai(model), STREAM_KEEP_S: '20', STREAM_HEARTBEAT_S: '1' },
        });
        user = await server.addUser();
        other = await server.addUser();
    });
    beforeEach(() => {
        model.reset();
        model.reply({ tokens: TOKENS });
    });
    after(() => stopAll(server, model));

    /** Opens a chat, reads until `count` tokens have come, and loses the connection there. */
    async function lose(count) {
        const body = { message: `lost after ${count}`, sessionId: newSession() };
        model.reply((request) => ({ tokens: TOKENS, stall: Number(request.prompt.split(' ').at(-1)) }));
        const stream = await openChat(server, user.token, body);
        const wanted = TOKENS.slice(0, count).join('');
        await stream.until((events) => events.length > 0 && textOf(events) === wanted);
        const request = await model.waitFor(() =>
            model.chats.find((r) => r.prompt === body.message && r.waiting),
        );
        stream.cut();
        const last = stream.events.at(-1);
        return { body, stream, request, last, uuid: last.json.uuid };
    }

    async function replayed(uuid) {
        const replay = await openResume(server, user.token, uuid);
        await replay.ended();
        assertTranscript(replay.events);
        return replay;
    }

    for (const how of ['GET', 'POST'])
        test(`after any event is resumed by ${how}: the transcript is the same byte for byte`, async () => {
            await Promise.all(
                Array.from({ length: TOKENS.length + 1 }, async (_, count) => {
                    const { body, stream, request, last, uuid } = await lose(count);
                    const resumed =
                        how === 'GET'
                            ? await openResume(server, user.token, uuid, last.id)
                            : await openChat(server, user.token, body, {
                                  headers: { 'Last-Event-ID': last.id },
                              });
                    assert.equal(resumed.status, 200);
                    assert.match(resumed.headers['content-type'], /^text\/event-stream/);
                    request.release();
                    await resumed.ended();
                    const joined = [...stream.events, ...resumed.events];
                    assertTranscript(joined);
                    assert.equal(textOf(joined), TEXT);
                    const whole = await replayed(uuid);
                    assert.ok(whole.raw.equals(Buffer.concat([stream.raw, resumed.raw])));
                    const rows = await history(server, user.token, body.sessionId);
                    assert.deepEqual(
                        rows.map((row) => [row.chatId, row.prompt, row.response]),
                        [[joined.at(-1).json.chatId, body.message, TEXT]],
                    );
                }),
            );
            assert.equal(model.chats.length, TOKENS.length + 1, 'one answer each');
        });

    test('may be lost at each event again', async () => {
        const { body, request, uuid } = await lose(0);
        request.release();
        const events = [];
        for (let after = 0; events.at(-1)?.json.type !== 'finalizeResponseStream'; after++) {
            const stream = await openResume(server, user.token, uuid, after);
            events.push(await stream.next());
            stream.cut();
        }
        assertTranscript(events);
        assert.equal(textOf(events), TEXT);
        assert.equal((await history(server, user.token, body.sessionId)).length, 1);
    });

    test('may be lost after the finalize was sent: nothing is answered twice', async () => {
        const body = { message: 'Once', sessionId: newSession() };
        const answer = await talk(server, user, body);
        const again = await openChat(server, user.token, body, {
            headers: { 'Last-Event-ID': answer.last.id },
        });
        await again.ended();
        assert.equal(again.status, 200);
        assert.equal(again.raw.length, 0);
        const byNumber = await openResume(server, user.token, answer.last.uuid, answer.events.length - 1);
        await byNumber.ended();
        assert.deepEqual(
            byNumber.events.map((event) => event.id),
            [answer.last.id],
        );
        assert.equal(model.chats.length, 1);
        assert.equal((await history(server, user.token, body.sessionId)).length, 1);
    });

    test('is not resumed from an id that is stale, unknown, malformed or of another user: 404', async () => {
        const answer = await talk(server, user, 'Whose?');
        const { uuid } = answer.last;
        const unknown = '6f1b3b8e-0000-4000-8000-000000000000';
        const refused = async (token, path, header, method = 'GET') => {
            const reply = await server.request(`${STREAM}${path}`, {
                method,
                token,
                headers: header === undefined ? {} : { 'Last-Event-ID': header },
                body: method === 'POST' ? { message: 'Whose?' } : undefined,
            });
            assert.equal(reply.status, 404, `${method} ${path} ${header}: ${reply.text.slice(0, 100)}`);
            assert.equal(reply.json.ok, false);
        };
        for (const header of [
            `${uuid}:${answer.events.length + 1}`,
            `${uuid}:9223372036854775807`,
            `${unknown}:1`,
        ])
            for (const [path, method] of [
                [`/${uuid}`, 'GET'],
                ['', 'POST'],
            ])
                await refused(user.token, path, header, method);
        for (const header of [
            `${uuid}:`,
            `${uuid}:x`,
            `${uuid}:-1`,
            'x:1',
            `${uuid}`,
            '-1',
            '1e3',
            `${uuid}:1:1`,
            '99999999999999999999',
        ])
            await refused(user.token, `/${uuid}`, header);
        await refused(user.token, '', '3', 'POST');
        for (const path of [`/${unknown}`, '/nonsense', `/${uuid.toUpperCase()}x`])
            await refused(user.token, path);
        await refused(other.token, `/${uuid}`, `${uuid}:1`);
        await refused(other.token, `/${uuid}`);
        await refused(other.token, '', `${uuid}:1`, 'POST');
        assert.equal((await stopChat(server, other.token, uuid)).status, 404);
        assert.equal(model.chats.length, 1);
    });

    test('does not matter: the newest connection wins, the one before is ended', async () => {
        const { request, stream, uuid } = await lose(3);
        const second = await openResume(server, user.token, uuid, 0);
        await second.until((events) => events.length >= stream.events.length);
        const third = await openResume(server, user.token, uuid, 1);
        await second.ended();
        assert.ok(second.complete);
        assert.equal(second.events.at(-1).json.type, 'textResponseChunk');
        request.release();
        await third.ended();
        assertTranscript([second.events[0], ...third.events]);
        assert.equal(textOf(third.events), TEXT);
    });

    /** What the library gathers through a proxy that breaks its connection after so many bytes. */
    async function readByLibrary(body, { limits = [], meanwhile } = {}) {
        const { window } = new JSDOM('', { url: 'http://localhost/' });
        Object.assign(globalThis, { window, document: window.document });
        const { fetchEventSource } = await import('@microsoft/fetch-event-source');
        const proxy = await startProxy(server.port);
        proxy.limits.push(...limits);
        const events = [];
        try {
            const reading = fetchEventSource(`${proxy.url}${STREAM}`, {
                method: 'POST',
                headers: { 'Authorization': `Bearer ${user.token}`, 'Content-Type': 'application/json' },
                body: JSON.stringify(body),
                fetch: globalThis.fetch,
                onmessage: (event) => events.push({ id: event.id, json: JSON.parse(event.data) }),
                onerror: () => 1,
            });
            await Promise.all([reading, meanwhile?.(proxy)]);
        } finally {
            await proxy.stop();
            window.close();
            delete globalThis.window;
            delete globalThis.document;
        }
        return { events, connections: proxy.connections };
    }

    test('is resumed by @microsoft/fetch-event-source by itself', async () => {
        const body = { message: 'By the library', sessionId: newSession() };
        model.reply({ tokens: TOKENS, delay: 5 });
        const { events, connections } = await readByLibrary(body, { limits: [700, 900, 1100] });
        assert.equal(connections, 4);
        assertTranscript(events);
        assert.equal(textOf(events), TEXT);
        assert.equal(model.chats.length, 1);
        assert.equal((await history(server, user.token, body.sessionId)).length, 1);
    });

    test('is not what the library takes a heartbeat for', async () => {
        model.reply({ tokens: TOKENS, stall: 5 });
        const { events, connections } = await readByLibrary(
            { message: 'Silence', sessionId: newSession() },
            {
                meanwhile: async (proxy) => {
                    await eventually(() => proxy.answered.includes(': ping\n'), 'a heartbeat');
                    (await model.nextChat()).release();
                },
            },
        );
        assert.equal(connections, 1);
        assertTranscript(events);
        assert.equal(textOf(events), TEXT);
    });

    test(
        'is resumed in a browser, after a drop and for a tab that was hidden',
        { skip: !existsSync(CHROMIUM) },
        async () => {
            const proxy = await startProxy(server.port);
            const site = await startSite();
            const profile = tempDir('genie-chromium-');
            const browser = await chromium.launchPersistentContext(profile, {
                executablePath: CHROMIUM,
                headless: true,
                args: [
                    '--no-sandbox',
                    '--disable-gpu',
                    '--disable-quic',
                    '--no-first-run',
                    '--disable-background-networking',
                    '--disable-component-update',
                    '--disable-sync',
                ],
            });
            try {
                const page = await browser.newPage();
                await page.goto(site.url);
                const body = { message: 'In a browser', sessionId: newSession() };
                model.once({ tokens: TOKENS, stall: 4 });
                await page.evaluate(
                    ([url, token, json]) => globalThis.begin(url, token, json),
                    [`${proxy.url}${STREAM}`, user.token, JSON.stringify(body)],
                );
                const seen = () => page.evaluate(() => globalThis.events);
                const request = await model.nextChat();
                await eventually(
                    async () => textOf(await seen()) === TOKENS.slice(0, 4).join(''),
                    'four tokens',
                );
                const { connections } = proxy;
                proxy.cut();
                await eventually(() => proxy.connections > connections, 'a new connection');
                await page.evaluate(() => globalThis.hide(true));
                await page.evaluate(() => globalThis.hide(false));
                request.release();
                await eventually(() => page.evaluate(() => globalThis.done), 'the end');
                const events = await seen();
                assertTranscript(events);
                assert.equal(textOf(events), TEXT);
                assert.equal(model.chats.length, 1);
                assert.equal((await history(server, user.token, body.sessionId)).length, 1);
            } finally {
                await browser.close();
                await stopAll(proxy, site);
                removeDir(profile);
            }
        },
    );
});

/** A page with the library, its modules as they are. */
async function startSite() {
    const page = `<!doctype html><title>chat</title><script type="module">
        import { fetchEventSource } from '/lib/index';
        globalThis.events = [];
        globalThis.hide = (hidden) => {
            Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
            document.dispatchEvent(new Event('visibilitychange'));
        };
        globalThis.begin = (url, token, body) => {
            void fetchEventSource(url, {
                method: 'POST',
                headers: { 'Authorization': 'Bearer ' + token, 'Content-Type': 'application/json' },
                body,
                onmessage: (event) => events.push({ id: event.id, json: JSON.parse(event.data) }),
                onerror: () => 1,
            }).then(() => { globalThis.done = true; });
        };
    </script>`;
    const site = new Listener((request, response) => {
        const [, name] = /^\/lib\/(\w+)$/.exec(request.url) ?? [];
        response.setHeader('Content-Type', name ? 'text/javascript' : 'text/html');
        response.end(name ? readFileSync(join(LIBRARY, `${name}.js`)) : page);
    });
    await site.start();
    return site;
}

describe('a finished answer', () => {
    test('can be replayed for STREAM_KEEP_S, then it is gone, but stays in the history', async () => {
        const server = await startGenie({ env: { STREAM_KEEP_S: '1' } });
        try {
            const user = await server.addUser();
            const answer = await talk(server, user, 'Hello');
            const replay = await openResume(server, user.token, answer.last.uuid);
            await replay.ended();
            assert.ok(replay.raw.equals(answer.raw));
            await eventually(async () => {
                const { status } = await server.request(`${STREAM}/${answer.last.uuid}`, {
                    token: user.token,
                });
                return status === 404;
            }, 'the end of the replay');
            assert.equal((await stopChat(server, user.token, answer.last.uuid)).status, 404);
            assert.equal((await history(server, user.token)).length, 1);
        } finally {
            await server.stop();
        }
    });
});
