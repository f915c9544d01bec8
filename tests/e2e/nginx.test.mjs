// SPDX-License-Identifier: MIT
//
// Two servers behind nginx as packaging/nginx.conf sets it up: streams as they come, users at their server, real
// addresses, and what happens when one of the servers dies.

import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startModel } from '../support/model.mjs';
import { startNginx } from '../support/nginx.mjs';
import { metric, startServers, stopServers } from '../support/servers.mjs';
import { openChat } from '../support/sse.mjs';
import { CONNECT, eventually, history, openResume, quoted, sql, stopAll, talk } from '../support/talk.mjs';

const USERS_MOST = 24;

describe('two servers behind nginx', () => {
    let model, servers, nginx;
    const users = []; // at least one of each server: {…, home}
    before(async () => {
        model = await startModel({ formats: ['openai'] });
        servers = await startServers(2, { env: CONNECT.openai(model) });
        nginx = await startNginx(servers);
        while (new Set(users.map(({ home }) => home)).size < 2) {
            assert.ok(users.length < USERS_MOST, 'nginx uses one server only');
            users.push(await newUser());
        }
    });
    after(async () => {
        await nginx?.stop();
        await stopServers(servers);
        await stopAll(model);
    });

    const chatsOf = (server) => metric(server, 'genie_chats_total');

    /** A user, with the server that nginx sends them to. */
    async function newUser() {
        const user = await servers[0].addUser();
        const before = await chatsOf(servers[0]);
        model.once('Hello');
        await talk(nginx, user, 'Hello');
        user.home = servers[(await chatsOf(servers[0])) > before ? 0 : 1];
        return user;
    }

    const userOf = (server) => users.find(({ home }) => home === server);
    const me = (user) => nginx.request('/api/directus/users/me', { token: user.token });

    it('passes events on before the answer is whole', async () => {
        model.once({ tokens: ['one ', 'two ', 'three'], stall: 1 });
        const stream = await openChat(nginx, users[0].token, { message: 'Count', sessionId: 'count' });
        assert.equal(stream.headers['content-type'].split(';')[0], 'text/event-stream');
        await stream.until((events) => events.find(({ json }) => json.textResponse?.startsWith('one')));
        const exchange = await model.waitFor(() => model.chats.find((chat) => chat.waiting));
        assert.ok(!exchange.complete, 'the model has not finished');
        exchange.release();
        await stream.ended();
        assert.equal(stream.events.at(-1).json.type, 'finalizeResponseStream');
    });

    it('brings who resumes to the server of the stream, with a fresh token too', async () => {
        for (const server of servers) {
            const user = userOf(server);
            model.once({ tokens: ['one ', 'two ', 'three'], stall: 1 });
            const stream = await openChat(nginx, user.token, { message: 'Count', sessionId: 'again' });
            await stream.until((events) => events.find(({ json }) => json.textResponse));
            const last = stream.events.at(-1).id;
            stream.cut();
            await stream.ended();
            const token = await servers[0].token(user.email, ['--ttl', '2h']);
            assert.notEqual(token, user.token);
            const asked = model.chats.length;
            const resumed = await openResume(nginx, token, last.split(':')[0], last);
            assert.equal(resumed.status, 200);
            resumed.cut();
            await resumed.ended();
            const sentAgain = await openChat(
                nginx,
                token,
                { message: 'Count', sessionId: 'again' },
                { headers: { 'Last-Event-ID': last } },
            );
            assert.equal(sentAgain.status, 200);
            model.chats.at(-1).release();
            await sentAgain.ended();
            assert.equal(sentAgain.events.at(-1).json.type, 'finalizeResponseStream');
            assert.equal(model.chats.length, asked, 'one answer');
            assert.equal((await history(nginx, user.token, 'again')).length, 1);
        }
    });

    it('tells the address of the client, whatever the client says', async () => {
        const [user] = users;
        const body = JSON.stringify({ email: user.email, password: user.password });
        const outgoing = httpRequest(`${nginx.url}/api/directus/auth/login`, {
            method: 'POST',
            localAddress: '127.0.0.9',
            headers: { 'Content-Type': 'application/json', 'X-Forwarded-For': '203.0.113.7' },
        });
        outgoing.end(body);
        const [incoming] = await once(outgoing, 'response');
        incoming.resume();
        assert.equal(incoming.statusCode, 200);
        const rows = sql(servers[0], `SELECT ip FROM directus_sessions WHERE "user" = ${quoted(user.id)}`);
        assert.deepEqual(rows, [{ ip: '127.0.0.9' }]);
    });

    it('takes as large a body as the servers do, and says so where it is larger', async () => {
        const send = (path, size) =>
            nginx.request(path, {
                method: 'POST',
                token: users[0].token,
                body: `{"message":"Hi","more":"${'x'.repeat(size)}"}`,
                headers: { 'Content-Type': 'application/json' },
            });
        const MIB = 1 << 20;
        const refused = await send('/api/directus/items/user_nodes', MIB);
        assert.equal(refused.status, 413);
        assert.equal(refused.json.code, 'body_too_large');
        const read = await send('/api/directus/items/user_nodes', MIB - 100);
        assert.equal(read.json.errors[0].extensions.code, 'FORBIDDEN', 'the server read it: there is no such field');
        model.once('Hello');
        assert.equal((await send('/api/genie/stream-chat', 15 * MIB)).status, 200);
        assert.equal((await send('/api/genie/stream-chat', 16 * MIB)).json.code, 'body_too_large');
    });

    it('asks the other server when one dies, but sends nothing twice that may have been done', async () => {
        const [dying, other] = servers;
        const user = userOf(dying);
        dying.child.kill('SIGSTOP'); // it takes requests and does not answer
        const reading = me(user);
        const writing = nginx.request('/api/directus/items/user_nodes', {
            method: 'POST',
            token: user.token,
            body: { node_type: 'note', title: 'perhaps', content: 'once at most' },
        });
        await sleep(300);
        await dying.kill9();
        assert.equal((await reading).status, 200, 'a read is asked of the other server');
        assert.equal((await writing).status, 502, 'a write is not');
        assert.equal(sql(other, "SELECT id FROM user_nodes WHERE title = 'perhaps'").length, 0);

        model.reply((request) => `Answer to ${request.prompt}`);
        for (const each of users) {
            assert.equal((await me(each)).status, 200);
            const answer = await talk(nginx, each, { message: 'still there?', sessionId: 'after' });
            assert.equal(answer.answer, 'Answer to still there?');
            assert.equal((await history(nginx, each.token, 'after')).length, 1);
        }
        const before = await chatsOf(other);
        await dying.restart();
        await eventually(async () => {
            await talk(nginx, user, { message: 'home again?', sessionId: 'home' });
            return (await chatsOf(dying)) > 0;
        }, 'the return of its users');
        assert.ok((await chatsOf(other)) >= before);
    });
});
