// SPDX-License-Identifier: MIT
//
// Of many at once exactly as many posts join the queue as it has places, by whichever way they come.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startGenie } from '../support/genie.mjs';
import { sql } from '../support/talk.mjs';

const AT_ONCE = 64;
const ROUNDS = 4;
const PLACES = 3; // of a starter

test(`of ${AT_ONCE} posts at once ${PLACES} are scheduled`, async () => {
    const server = await startGenie({ env: { LOG_LEVEL: 'warn' } });
    try {
        const scheduled_time = new Date(Date.now() + 3_600_000).toISOString();
        const body = { platform: 'x', content_text: 'c', scheduled_time };
        for (let round = 0; round < ROUNDS; round++) {
            const user = await server.addUser({ tier: 'starter' });
            const send = (method, path, data) =>
                server.request(path, { method, token: user.token, body: data });
            const taken = round % PLACES;
            for (let i = 0; i < taken; i++) await send('POST', '/api/posts/schedule', body);
            const drafts = await Promise.all(
                Array.from({ length: AT_ONCE / 4 }, () =>
                    send('POST', '/api/posts/schedule', { ...body, status: 'draft' }),
                ),
            );
            const ways = [
                () => send('POST', '/api/posts/schedule', body),
                (i) =>
                    send('PATCH', `/api/posts/${drafts[(i - 1) / 4].json.post.id}`, { status: 'scheduled' }),
                () => send('POST', '/api/directus/items/scheduled_posts', body),
                () => send('POST', '/api/posts/schedule', body),
            ];
            const answers = await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => ways[i % 4](i)));
            const passed = answers.filter(({ status }) => status === 200);
            assert.equal(passed.length, PLACES - taken, `round ${round}`);
            for (const { status } of answers) assert.ok(status === 200 || status === 403, `status ${status}`);
            const [{ n }] = sql(
                server,
                `SELECT count(*) AS n FROM scheduled_posts WHERE user_id = '${user.id}' AND status = 'scheduled'`,
            );
            assert.equal(Number(n), PLACES);
        }
    } finally {
        await server.stop();
    }
});
