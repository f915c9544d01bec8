// SPDX-License-Identifier: MIT
//
// Idempotency keys on a route of the product: whatever happens to a request that creates (sent twice, sent by
// many at once, answered by a server that then died), there is one row.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Genie, startGenie } from '../support/genie.mjs';

const NODES = '/api/directus/items/user_nodes';

describe('idempotency keys', () => {
    let server, anna, bert;

    const create = (title, key, { token = anna.token, at = server } = {}) =>
        at.request(NODES, {
            method: 'POST',
            token,
            headers: key === undefined ? {} : { 'Idempotency-Key': key },
            body: { node_type: 'note', title },
        });
    const rowsNamed = async (title, token = anna.token) => {
        const filter = encodeURIComponent(JSON.stringify({ title: { _eq: title } }));
        const { json } = await server.request(`${NODES}?filter=${filter}`, { token });
        return json.data;
    };
    const codeOf = (answer) => answer.json.errors?.[0].extensions.code;

    before(async () => {
        server = await startGenie();
        anna = await server.addUser();
        bert = await server.addUser();
    });
    after(async () => {
        await server.stop();
    });

    test('a repeat gets the first answer, and changes nothing', async () => {
        const first = await create('repeat', 'key-1');
        assert.equal(first.status, 200, first.text);
        assert.equal(first.headers['idempotent-replayed'], undefined);
        const second = await create('repeat', 'key-1');
        assert.equal(second.status, 200);
        assert.equal(second.headers['idempotent-replayed'], 'true');
        assert.equal(second.text, first.text);
        assert.equal(second.headers['content-type'], first.headers['content-type']);
        assert.equal((await rowsNamed('repeat')).length, 1);
    });

    test('the answer is repeated as it was, also where only some fields were asked for', async () => {
        const ask = () =>
            server.request(`${NODES}?fields=title,status`, {
                method: 'POST',
                token: anna.token,
                headers: { 'Idempotency-Key': 'key-1b' },
                body: [{ node_type: 'note', title: 'some fields' }],
            });
        const first = await ask();
        assert.deepEqual(first.json, { data: [{ title: 'some fields', status: 'active' }] });
        assert.equal((await ask()).text, first.text);
    });

    test('without a key each request is one of its own', async () => {
        await create('free');
        await create('free');
        assert.equal((await rowsNamed('free')).length, 2);
    });

    test('a key belongs to one request of one user', async () => {
        await create('mine', 'key-2');
        const other = await create('another', 'key-2');
        assert.equal(other.status, 422);
        assert.equal(codeOf(other), 'IDEMPOTENCY_MISMATCH');
        const bertsOwn = await create('mine', 'key-2', { token: bert.token });
        assert.equal(bertsOwn.headers['idempotent-replayed'], undefined);
        assert.equal((await rowsNamed('mine', bert.token)).length, 1);
        assert.equal((await rowsNamed('another')).length, 0);
    });

    test('a refused request leaves the key free', async () => {
        const headers = { 'Idempotency-Key': 'key-3' };
        const refused = await server.request(NODES, {
            method: 'POST',
            token: anna.token,
            headers,
            body: { node_type: 'note', title: 5 },
        });
        assert.ok(refused.status >= 400 && refused.status < 500, refused.text);
        assert.equal((await create('after a mistake', 'key-3')).status, 200);
        assert.equal((await create('x', 'a b')).status, 400);
    });

    test('of many at once, at two servers, one creates', async () => {
        const second = new Genie({ dataDir: server.dataDir, database: server.databaseUrl });
        second.given = server.given;
        await second.start();
        try {
            const answers = await Promise.all(
                Array.from({ length: 24 }, (_, i) =>
                    create('crowd', 'key-4', { at: i % 2 ? second : server }),
                ),
            );
            for (const answer of answers)
                assert.ok(
                    answer.status === 200 ||
                        (answer.status === 409 && codeOf(answer) === 'IDEMPOTENCY_IN_PROGRESS'),
                    `${answer.status} ${answer.text}`,
                );
            const done = answers.filter(({ status }) => status === 200);
            assert.ok(done.length >= 1);
            assert.equal(new Set(done.map(({ text }) => text)).size, 1);
            const created = done.filter(({ headers }) => headers['idempotent-replayed'] === undefined);
            assert.equal(created.length, 1);
            const late = await create('crowd', 'key-4', { at: second });
            assert.equal(late.text, created[0].text);
        } finally {
            await second.stop({ keep: true });
        }
        assert.equal((await rowsNamed('crowd')).length, 1);
    });

    test('an answer outlives the server that gave it', async () => {
        const first = await create('outlives', 'key-5');
        await server.kill9();
        await server.restart();
        const again = await create('outlives', 'key-5');
        assert.equal(again.text, first.text);
        assert.equal(again.headers['idempotent-replayed'], 'true');
        assert.equal((await rowsNamed('outlives')).length, 1);
    });
});
