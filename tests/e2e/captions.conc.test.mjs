// SPDX-License-Identifier: MIT
//
// Of many at once exactly as many captions are written as are left.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startGenie } from '../support/genie.mjs';
import { startModel } from '../support/model.mjs';
import { CONNECT, stopAll } from '../support/talk.mjs';
import { counted } from '../support/usage.mjs';

const AT_ONCE = 64;
const LIMIT = 3; // of a starter

test(`of ${AT_ONCE} captions at once as many are written as are left`, async () => {
    const model = await startModel({ formats: ['openai'] });
    const server = await startGenie({ env: { ...CONNECT.openai(model), LOG_LEVEL: 'warn' } });
    try {
        model.reply('A caption.');
        for (let left = 0; left <= LIMIT; left++) {
            const user = await server.addUser({ tier: 'starter' });
            const send = (n = 1) =>
                server.request('/api/captions/generate', { method: 'POST', token: user.token, body: { n } });
            if (left < LIMIT) assert.equal((await send(LIMIT - left)).status, 200);
            const answers = await Promise.all(Array.from({ length: AT_ONCE }, () => send()));
            assert.equal(answers.filter(({ status }) => status === 200).length, left);
            assert.equal(answers.filter(({ status }) => status === 403).length, AT_ONCE - left);
            assert.equal(counted(server, user.id), LIMIT);
        }
    } finally {
        await stopAll(server, model);
    }
});
