// SPDX-License-Identifier: MIT
//
// Of many at once exactly as many pass as are left, whoever reads and whatever is reloaded meanwhile.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startGenie } from '../support/genie.mjs';
import { Service, addRows, counted, increment, readUsage } from '../support/usage.mjs';

const ROUNDS = 200;
const AT_ONCE = 64;
const LIMIT = 10; // taxonomy calls of a starter

test(`of ${AT_ONCE} at once as many pass as are left`, async () => {
    const server = await startGenie({ env: { LOG_LEVEL: 'warn' } });
    const service = new Service(server);
    try {
        const users = addRows(server, ROUNDS);
        for (const [round, user] of users.entries()) {
            const left = round % (LIMIT + 1);
            if (left < LIMIT) await service.increment(user, 'taxonomy_tags', LIMIT - left);
            const answers = await Promise.all(
                Array.from({ length: AT_ONCE }, () => service.increment(user, 'taxonomy_tags')),
            );
            const values = answers.filter(({ status }) => status === 200).map(({ json }) => json.newValue);
            assert.deepEqual(
                values.sort((a, b) => a - b),
                Array.from({ length: left }, (_, i) => LIMIT - left + 1 + i),
                `round ${round}`,
            );
            for (const { status, json } of answers.filter((answer) => answer.status !== 200))
                assert.deepEqual([status, json.reason], [403, 'limit_reached']);
        }
        assert.equal(counted(server, users[7]), LIMIT);
    } finally {
        service.close();
        await server.stop();
    }
});

test('readers see their own writes, under increments, reloads and other readers', async () => {
    const server = await startGenie({ env: { LOG_LEVEL: 'warn', HTTP_THREADS: '2' } });
    try {
        const users = [await server.addUser({ tier: 'studio' }), await server.addUser({ tier: 'studio' })];
        let done = false;
        const reloading = setInterval(() => server.child.kill('SIGHUP'), 5);
        const reading = users.map(async ({ token }) => {
            for (let last = 0; !done; ) {
                const { json } = await readUsage(server, token);
                assert.ok(json.usage.post_creations >= last, 'a counter never goes back');
                last = json.usage.post_creations;
            }
        });
        const writing = users.map(async ({ token }) => {
            for (let i = 1; i <= 60; i++) {
                assert.equal((await increment(server, token, 'post_creations')).json.newValue, i);
                assert.equal((await readUsage(server, token)).json.usage.post_creations, i);
            }
        });
        await Promise.all(writing);
        done = true;
        await Promise.all(reading);
        clearInterval(reloading);
    } finally {
        await server.stop();
    }
});
