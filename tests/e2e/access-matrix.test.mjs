// SPDX-License-Identifier: MIT
//
// Every route with every kind of caller. What is expected is derived from the route's own columns, as the
// OpenAPI document shows them, so a new route is in the matrix as soon as it is served.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { operationsOf, readDocument } from '../support/contract.mjs';
import { form } from '../support/form.mjs';
import { GENIE_BIN, startGenie } from '../support/genie.mjs';
import { directusToken, now } from '../support/jwt.mjs';

const SECRET = 'X-RBAC-SYNC-SECRET';

/** Why the server's gate refused, or null: what a handler says is another matter. */
function refusal({ status, json }) {
    const code = json?.code ?? json?.errors?.[0]?.extensions?.code;
    const sentence = json?.error ?? json?.errors?.[0]?.message;
    if (status !== 401 && status !== 403) return null;
    if (/^Invalid or expired token$|^Invalid token$/.test(sentence)) return 'unauthorized';
    if (sentence === 'This account may only read') return 'read-only';
    if (sentence === "You don't have permission to do this") return 'forbidden';
    return code === 'TOKEN_EXPIRED' ? 'unauthorized' : null;
}

/** To Directus, a caller without a token is the public, which may do nothing. */
function expectedRefusal(path, wanted, caller) {
    const isPublic = path.startsWith('/api/directus') && wanted === 'unauthorized' && !caller.token;
    return isPublic ? 'forbidden' : wanted;
}

const TAKES_SECRET = ['secret', 'user-or-secret', 'admin-or-secret', 'user-or-service'];

/** By the rules of docs/http.md: whatever is sent must be right; where both are, the token decides. */
function expected({ auth, writes }, { token, rights, secret }) {
    if (auth === 'none') return null;
    if (TAKES_SECRET.includes(auth) && secret === 'wrong') return 'unauthorized';
    if (auth === 'secret' && secret !== 'right') return 'unauthorized';
    if (token && !rights) return 'unauthorized';
    if (!token) return TAKES_SECRET.includes(auth) && secret === 'right' ? null : 'unauthorized';
    if (auth.startsWith('admin') && rights !== 'admin') return 'forbidden';
    return writes && rights === 'viewer' ? 'read-only' : null;
}

/** A body of a type that the route takes: whoever sends another is refused for that before his rights. */
function bodyFor(method, operation) {
    if (method === 'GET') return {};
    const types = Object.keys(operation.requestBody?.content ?? {});
    return types.length === 1 && types[0] === 'multipart/form-data' ? form([]) : { body: {} };
}

describe('who may call what', () => {
    const operations = operationsOf(readDocument(GENIE_BIN));
    const callers = {};
    let server;

    before(async () => {
        server = await startGenie();
        const { RBAC_SYNC_WEBHOOK_SECRET: right, DIRECTUS_SECRET: key } = server.secrets;
        const people = {
            viewer: await server.addUser({ role: 'Viewer' }),
            creator: await server.addUser(),
            admin: await server.addUser({ role: 'Administrator' }),
        };
        const expired = directusToken(people.creator.id, key, { iat: now() - 1000, exp: now() - 100 });
        Object.assign(callers, {
            'nobody': {},
            'a bad token': { token: 'eyJhbGciOiJIUzI1NiJ9.e30.AAAA' },
            'an expired token': { token: expired },
            'the wrong secret': { secret: 'wrong' },
            'the right secret': { secret: 'right' },
        });
        for (const [rights, { token }] of Object.entries(people)) {
            callers[`a ${rights}`] = { token, rights };
            callers[`a ${rights} with the right secret`] = { token, rights, secret: 'right' };
            callers[`a ${rights} with the wrong secret`] = { token, rights, secret: 'wrong' };
        }
        callers['a bad token with the right secret'] = { ...callers['a bad token'], secret: 'right' };
        for (const caller of Object.values(callers))
            caller.headers = caller.secret ? { [SECRET]: caller.secret === 'right' ? right : 'wr0ng' } : {};
    });
    after(async () => {
        await server.stop();
    });

    for (const { method, path, operation } of operations)
        test(`${method} ${path} (${operation['x-auth']}, ${operation['x-access']})`, async () => {
            const route = { auth: operation['x-auth'], writes: operation['x-access'] === 'writes' };
            const target = path.replace('{collection}', 'user_nodes').replace(/\{\w+\}/g, () => randomUUID());
            for (const [name, caller] of Object.entries(callers)) {
                const sent = bodyFor(method, operation);
                const answer = await server.request(target, {
                    method,
                    token: caller.token,
                    headers: { ...sent.headers, ...caller.headers },
                    body: sent.body,
                });
                const what = `${name}: ${answer.status} ${answer.text.slice(0, 200)}`;
                const wanted = expectedRefusal(path, expected(route, caller), caller);
                const limited = operation['x-rate-limit'] && answer.status === 429;
                if (!limited) assert.equal(refusal(answer), wanted, what);
                const noModel = answer.json?.code === 'model_unavailable'; // the server under test has none
                if (wanted === null) assert.ok(answer.status < 500 || noModel, what);
            }
            await server.assertWell();
        });

    test('there are routes of every kind of access that the tests know', () => {
        for (const { operation } of operations)
            assert.ok(['none', 'user', 'user-or-public', 'admin', ...TAKES_SECRET].includes(operation['x-auth']));
        assert.ok(operations.length > 20);
    });
});
