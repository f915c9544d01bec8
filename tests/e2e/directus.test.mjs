// SPDX-License-Identifier: MIT
//
// The Directus-compatible endpoints, as Directus's own SDK meets them: log-in in all modes, the profile,
// items with filters, and Directus's own errors.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
    authentication,
    createDirectus,
    createItem,
    createItems,
    deleteItem,
    deleteItems,
    readItem,
    readItems,
    readMe,
    rest,
    staticToken,
    updateItem,
    updateItems,
    updateMe,
} from '@directus/sdk';
import { startGenie } from '../support/genie.mjs';
import { decode } from '../support/jwt.mjs';

const JSON_TYPE = { 'Content-Type': 'application/json' };

/** What the SDK throws: asserts the status and the code of Directus. */
async function refused(promise, code, status) {
    const error = await promise.then(
        () => assert.fail(`not refused with ${code}`),
        (reason) => reason,
    );
    assert.equal(error.errors?.[0]?.extensions?.code, code, JSON.stringify(error.errors ?? error));
    if (status) assert.equal(error.response.status, status);
    return error.errors[0];
}

function cookieOf(answer) {
    const [header] = [answer.headers['set-cookie']].flat();
    return { header, pair: header?.split(';')[0] };
}

describe('the Directus-compatible endpoints', () => {
    let server, anna, bert, viewer, admin;

    const client = () => createDirectus(`${server.url}/api/directus`).with(rest());
    const as = (person) => client().with(staticToken(person.token));
    const post = (path, body, headers = {}) =>
        server.request(`/api/directus${path}`, { method: 'POST', body, headers });

    before(async () => {
        server = await startGenie();
        anna = await server.addUser({ tier: 'pro' });
        bert = await server.addUser();
        viewer = await server.addUser({ role: 'Viewer' });
        admin = await server.addUser({ role: 'Administrator' });
    });
    after(async () => {
        await server.stop();
    });

    describe('sessions', () => {
        test('the SDK logs in, refreshes and logs out', async () => {
            const sdk = createDirectus(`${server.url}/api/directus`)
                .with(authentication('json'))
                .with(rest());
            const first = await sdk.login(anna.email, anna.password);
            assert.equal(first.expires, 900_000);
            assert.equal(decode(first.access_token).id, anna.id);
            assert.equal((await sdk.request(readMe())).email, anna.email);
            const second = await sdk.refresh();
            assert.notEqual(second.refresh_token, first.refresh_token);
            assert.equal((await sdk.request(readMe())).id, anna.id);
            await refused(
                client().request(() => ({
                    path: '/auth/refresh',
                    method: 'POST',
                    body: JSON.stringify({ refresh_token: first.refresh_token, mode: 'json' }),
                })),
                'INVALID_CREDENTIALS',
                401,
            );
            await sdk.logout();
            const { status, json } = await post('/auth/refresh', { refresh_token: second.refresh_token });
            assert.equal(status, 401);
            assert.equal(json.errors[0].extensions.code, 'INVALID_CREDENTIALS');
        });

        test('wrong passwords and unknown people are told the same', async () => {
            const wrong = await post('/auth/login', { email: bert.email, password: 'wrong password' });
            const unknown = await post('/auth/login', {
                email: 'nobody@example.com',
                password: 'wrong password',
            });
            assert.equal(wrong.status, 401);
            assert.equal(wrong.json.errors[0].extensions.code, 'INVALID_CREDENTIALS');
            assert.deepEqual(wrong.json, unknown.json);
        });

        test('payloads that are none', async () => {
            for (const body of [
                {},
                { email: bert.email },
                { email: 1, password: 2 },
                { email: bert.email, password: bert.password, mode: 'magic' },
            ]) {
                const answer = await post('/auth/login', body);
                assert.equal(answer.status, 400);
                assert.equal(answer.json.errors[0].extensions.code, 'INVALID_PAYLOAD');
            }
            for (const path of ['/auth/refresh', '/auth/logout'])
                assert.equal((await post(path, {}, JSON_TYPE)).status, 400);
        });

        test('cookie mode keeps the refresh token in a cookie that scripts cannot see', async () => {
            const answer = await post('/auth/login', {
                email: anna.email,
                password: anna.password,
                mode: 'cookie',
            });
            const { header, pair } = cookieOf(answer);
            assert.deepEqual(Object.keys(answer.json.data).sort(), ['access_token', 'expires']);
            assert.match(
                header,
                /^directus_refresh_token=[\w-]{64}; Path=\/api\/directus; HttpOnly; SameSite=Lax; Max-Age=\d+$/,
            );
            const again = await post('/auth/refresh', { mode: 'cookie' }, { ...JSON_TYPE, Cookie: pair });
            assert.equal(again.status, 200);
            const replaced = cookieOf(again).pair;
            assert.notEqual(replaced, pair);
            assert.equal(
                (await post('/auth/logout', { mode: 'cookie' }, { ...JSON_TYPE, Cookie: replaced })).status,
                204,
            );
            assert.equal(
                (await post('/auth/refresh', { mode: 'cookie' }, { ...JSON_TYPE, Cookie: replaced })).status,
                401,
            );
        });

        test('session mode: the cookie alone is the token, here and nowhere else, with JSON and not without', async () => {
            const answer = await post('/auth/login', {
                email: anna.email,
                password: anna.password,
                mode: 'session',
            });
            const { header, pair } = cookieOf(answer);
            assert.deepEqual(Object.keys(answer.json.data), ['expires']);
            assert.match(
                header,
                /^directus_session_token=eyJ[^;]+; Path=\/api\/directus; HttpOnly; SameSite=Lax; Max-Age=86400$/,
            );
            const me = (headers) => server.request('/api/directus/users/me', { headers });
            assert.equal((await me({ Cookie: pair, ...JSON_TYPE })).json.data.id, anna.id);
            assert.equal((await me({ Cookie: pair })).status, 403);
            assert.equal((await me({ Cookie: pair, 'Content-Type': 'text/plain' })).status, 403);
            const elsewhere = await server.request('/api/genie/history', {
                headers: { Cookie: pair, ...JSON_TYPE },
            });
            assert.equal(elsewhere.status, 401);
            const secure = await post(
                '/auth/login',
                { email: anna.email, password: anna.password, mode: 'session' },
                { 'X-Forwarded-Proto': 'https' },
            );
            assert.match(cookieOf(secure).header, /; Secure$/);

            const again = await post('/auth/refresh', { mode: 'session' }, { Cookie: pair, ...JSON_TYPE });
            const next = cookieOf(again).pair;
            assert.equal(again.status, 200);
            assert.equal((await me({ Cookie: next, ...JSON_TYPE })).status, 200);
            const out = await post('/auth/logout', { mode: 'session' }, { Cookie: next, ...JSON_TYPE });
            assert.equal(out.status, 204);
            assert.match(cookieOf(out).header, /^directus_session_token=; .*Max-Age=0$/);
            assert.equal((await me({ Cookie: next, ...JSON_TYPE })).status >= 401, true);
            assert.equal((await me({ Cookie: pair, ...JSON_TYPE })).status >= 401, true);
        });

        test('a form of another site can neither log a visitor in as somebody else nor out', async () => {
            const credentials = { email: anna.email, password: anna.password };
            for (const type of ['text/plain', 'application/x-www-form-urlencoded'])
                for (const mode of ['cookie', 'session'])
                    for (const what of ['login', 'refresh', 'logout']) {
                        const answer = await server.request(`/api/directus/auth/${what}`, {
                            method: 'POST',
                            headers: { 'Content-Type': type, Origin: 'https://elsewhere.example' },
                            body: JSON.stringify({ ...credentials, mode, refresh_token: 'x' }),
                        });
                        assert.equal(answer.status, 415, `${what} ${mode} ${type}`);
                        assert.equal(answer.headers['set-cookie'], undefined);
                    }
            const logOut = (type) =>
                server.request('/api/directus/auth/logout', {
                    method: 'POST',
                    headers: { 'Content-Type': type, Origin: 'https://elsewhere.example' },
                    body: JSON.stringify({ refresh_token: 'x' }),
                });
            assert.equal((await logOut('text/plain')).headers['set-cookie'], undefined);
            assert.match(String((await logOut('application/json')).headers['set-cookie']), /Max-Age=0/);
            const plain = await server.request('/api/directus/auth/login', {
                method: 'POST',
                headers: { 'Content-Type': 'text/plain' },
                body: JSON.stringify(credentials),
            });
            assert.equal(plain.status, 200);
        });

        test('bytes that are no text are a wrong token, in header and cookie', async () => {
            const odd = 'abc\xff\xfe'; // sent as these bytes
            for (const path of ['/api/directus/users/me', '/api/usage'])
                assert.equal((await server.request(path, { headers: { Authorization: `Bearer ${odd}` } })).status, 401);
            const send = (what) =>
                server.request(`/api/directus/auth/${what}`, {
                    method: 'POST',
                    headers: { Cookie: `directus_refresh_token=${odd}`, ...JSON_TYPE },
                    body: JSON.stringify({ mode: 'cookie' }),
                });
            assert.equal((await send('refresh')).status, 401);
            assert.equal((await send('logout')).status, 204);
        });

        test('guessing is slowed for the account that is guessed at', async () => {
            const guessed = await server.addUser();
            let answer;
            for (let i = 0; i < 12 && answer?.status !== 429; i++)
                answer = await post('/auth/login', { email: guessed.email, password: 'wrong password' });
            assert.equal(answer.status, 429);
            assert.equal(answer.json.errors[0].extensions.code, 'REQUESTS_EXCEEDED');
            assert.match(answer.headers['retry-after'], /^[1-9]\d*$/);
            assert.equal(
                (await post('/auth/login', { email: bert.email, password: bert.password })).status,
                200,
            );
        });
    });

    describe('the profile', () => {
        test('readMe and updateMe', async () => {
            const sdk = as(anna);
            const changed = await sdk.request(
                updateMe({ first_name: 'Anna', title: 'Creator', tags: ['x', 'y'], language: 'sv-SE' }),
            );
            assert.equal(changed.first_name, 'Anna');
            const me = await sdk.request(
                readMe({ fields: ['id', 'tags', 'subscription_tier', 'onboarding_state'] }),
            );
            assert.deepEqual(me, {
                id: anna.id,
                tags: ['x', 'y'],
                subscription_tier: 'pro',
                onboarding_state: 'COMPLETE',
            });
        });

        test('what may not be changed or seen', async () => {
            const sdk = as(anna);
            for (const change of [
                { role: admin.id },
                { status: 'active' },
                { subscription_tier: 'studio' },
                { token: 'x' },
                { email: 'x@example.com' },
                { password: 'long enough' },
                { id: bert.id },
                { avatar: bert.id },
                { anythingllm_user_id: 1 },
                { first_name: 'B', role: admin.id },
            ])
                await refused(sdk.request(updateMe(change)), 'FORBIDDEN', 403);
            for (const field of ['password', 'token', 'tfa_secret', 'role.name', 'nope'])
                await refused(sdk.request(readMe({ fields: [field] })), 'FORBIDDEN', 403);
            await refused(sdk.request(updateMe({ first_name: 7 })), 'FAILED_VALIDATION', 400);
            assert.equal((await sdk.request(readMe())).first_name, 'Anna');
        });

        test('a viewer reads, and changes nothing', async () => {
            const sdk = as(viewer);
            assert.equal((await sdk.request(readMe())).id, viewer.id);
            await refused(sdk.request(updateMe({ first_name: 'V' })), 'FORBIDDEN', 403);
        });
    });

    describe('items', () => {
        test('create, read, change, delete', async () => {
            const sdk = as(anna);
            const made = await sdk.request(
                createItem('user_nodes', { node_type: 'note', title: 'First', tags: ['a'], weight: 0.5 }),
            );
            assert.equal(made.user_id, anna.id);
            assert.equal(made.status, 'active');
            assert.deepEqual(await sdk.request(readItem('user_nodes', made.id)), made);
            const changed = await sdk.request(updateItem('user_nodes', made.id, { content: 'Text' }));
            assert.equal(changed.content, 'Text');
            assert.ok(changed.date_updated >= made.date_updated);
            const slim = await sdk.request(
                updateItem('user_nodes', made.id, { weight: 0.25 }, { fields: ['id', 'weight'] }),
            );
            assert.deepEqual(slim, { id: made.id, weight: 0.25 });
            await sdk.request(deleteItem('user_nodes', made.id));
            await refused(sdk.request(readItem('user_nodes', made.id)), 'FORBIDDEN', 403);
        });

        test('filters, sorting, pages, search and counts', async () => {
            const sdk = as(bert);
            const titles = ['Alpha', 'beta', 'Gamma', 'delta', "o'clock", '100%'];
            const made = await sdk.request(
                createItems(
                    'user_nodes',
                    titles.map((title, i) => ({
                        node_type: i % 2 ? 'odd' : 'even',
                        title,
                        weight: i / 10,
                        tags: [title],
                    })),
                ),
            );
            assert.equal(made.length, titles.length);
            const found = async (query) =>
                (
                    await sdk.request(
                        readItems('user_nodes', { sort: ['weight'], fields: ['title'], ...query }),
                    )
                ).map((row) => row.title);
            assert.deepEqual(await found({}), titles);
            assert.deepEqual(await found({ filter: { weight: { _gte: 0.3 } } }), titles.slice(3));
            assert.deepEqual(await found({ filter: { title: { _eq: "o'clock" } } }), ["o'clock"]);
            assert.deepEqual(await found({ filter: { title: { _contains: 'a' } } }), [
                'Alpha',
                'beta',
                'Gamma',
                'delta',
            ]);
            assert.deepEqual(await found({ filter: { title: { _in: ['beta', '100%'] } } }), ['beta', '100%']);
            assert.deepEqual(
                await found({
                    filter: { _or: [{ node_type: { _eq: 'odd' } }, { title: { _eq: 'Alpha' } }] },
                }),
                ['Alpha', 'beta', 'delta', '100%'],
            );
            assert.deepEqual(
                await found({
                    filter: { user_id: { _eq: '$CURRENT_USER' }, last_decayed_at: { _null: true } },
                }),
                titles,
            );
            assert.deepEqual(await found({ sort: ['-title'], limit: 2, page: 2 }), ['beta', 'Gamma']);
            assert.deepEqual(await found({ limit: 2, offset: 4 }), ["o'clock", '100%']);
            assert.deepEqual(await found({ search: 'ALPHA' }), ['Alpha']);
            const bracketed = await server.request(
                '/api/directus/items/user_nodes?filter[_and][0][weight][_lt]=0.2&fields=title&sort=-weight&meta=*',
                { token: bert.token },
            );
            assert.deepEqual(bracketed.json, {
                meta: { total_count: 6, filter_count: 2 },
                data: [{ title: 'beta' }, { title: 'Alpha' }],
            });

            const ids = made.slice(0, 2).map((row) => row.id);
            const many = await sdk.request(updateItems('user_nodes', ids, { node_type: 'changed' }));
            assert.deepEqual(
                many.map((row) => row.node_type),
                ['changed', 'changed'],
            );
            await sdk.request(
                deleteItems(
                    'user_nodes',
                    made.map((row) => row.id),
                ),
            );
            assert.deepEqual(await found({}), []);
        });

        test("somebody else's rows are not there", async () => {
            const node = await as(anna).request(
                createItem('user_nodes', { node_type: 'note', title: 'Mine' }),
            );
            for (const person of [bert, viewer]) {
                const sdk = as(person);
                await refused(sdk.request(readItem('user_nodes', node.id)), 'FORBIDDEN', 403);
                await refused(
                    sdk.request(updateItem('user_nodes', node.id, { title: 'x' })),
                    'FORBIDDEN',
                    403,
                );
                await refused(sdk.request(deleteItem('user_nodes', node.id)), 'FORBIDDEN', 403);
                assert.deepEqual(
                    await sdk.request(readItems('user_nodes', { filter: { id: { _eq: node.id } } })),
                    [],
                );
            }
            const theirs = await as(bert).request(
                createItem('user_nodes', { node_type: 'note', title: 'B' }),
            );
            await refused(
                as(bert).request(createItem('user_node_edges', { source: theirs.id, target: node.id })),
                'INVALID_FOREIGN_KEY',
                400,
            );
            assert.equal((await as(admin).request(readItem('user_nodes', node.id))).title, 'Mine');
        });

        test("Directus's own errors", async () => {
            const sdk = as(anna);
            const nodes = (query) => sdk.request(readItems('user_nodes', query));
            await refused(sdk.request(readItems('no_such_thing')), 'FORBIDDEN', 403);
            await refused(sdk.request(readItems('system_config')), 'FORBIDDEN', 403);
            for (const name of ['directus_users', 'directus_files'])
                assert.equal(
                    (await server.request(`/api/directus/items/${name}`, { token: admin.token })).status,
                    403,
                );
            await refused(nodes({ fields: ['embedding'] }), 'FORBIDDEN', 403);
            await refused(nodes({ filter: { embedding: { _null: true } } }), 'FORBIDDEN', 403);
            await refused(nodes({ sort: ['embedding'] }), 'FORBIDDEN', 403);
            await refused(nodes({ filter: { title: { _like: 'x' } } }), 'INVALID_QUERY', 400);
            await refused(nodes({ fields: [{ user_id: ['email'] }] }), 'INVALID_QUERY', 400);
            await refused(nodes({ deep: { tags: { _limit: 1 } } }), 'INVALID_QUERY', 400);
            await refused(nodes({ limit: 5000 }), 'INVALID_QUERY', 400);
            const create = (values) => sdk.request(createItem('user_nodes', values));
            const missing = await refused(create({ title: 'x' }), 'FAILED_VALIDATION', 400);
            assert.equal(missing.extensions.field, 'node_type');
            await refused(create({ node_type: 'n', title: 'x', weight: 2 }), 'FAILED_VALIDATION', 400);
            await refused(create({ node_type: 'n', title: 'x', user_id: bert.id }), 'FORBIDDEN', 403);
            await refused(create({ node_type: 'n', title: 'x', decay_rate: 0 }), 'FORBIDDEN', 403);
            const connection = { platform: 'x', platform_username: 'anna' };
            await sdk.request(createItem('platform_connections', connection));
            await refused(
                sdk.request(createItem('platform_connections', connection)),
                'RECORD_NOT_UNIQUE',
                400,
            );
            await refused(
                sdk.request(createItem('scheduled_posts', { platform: 'x', status: 'posted' })),
                'FAILED_VALIDATION',
                400,
            );
            await refused(
                sdk.request(() => ({ path: '/nothing/here', method: 'GET' })),
                'ROUTE_NOT_FOUND',
                404,
            );
        });

        test('a writing whose answer asks for what cannot be shown is not done', async () => {
            const nodes = '/api/directus/items/user_nodes';
            const title = 'asked for too much';
            const found = async () =>
                (await server.request(`${nodes}?filter[title][_eq]=${encodeURIComponent(title)}`, { token: anna.token })).json;
            const send = (method, path, body) => server.request(path, { method, token: anna.token, body });
            const own = await send('POST', nodes, { node_type: 'note', title: 'as it was' });
            const { id } = own.json.data;
            for (const fields of ['nonsense', 'embedding', 'id,nonsense']) {
                const made = await send('POST', `${nodes}?fields=${fields}`, { node_type: 'note', title });
                assert.deepEqual([made.status, made.json.errors[0].extensions.code], [403, 'FORBIDDEN']);
                assert.equal((await send('PATCH', `${nodes}/${id}?fields=${fields}`, { title })).status, 403);
                assert.equal((await send('PATCH', `${nodes}?fields=${fields}`, { keys: [id], data: { title } })).status, 403);
                assert.equal((await send('PATCH', `/api/directus/users/me?fields=${fields}`, { title })).status, 403);
            }
            assert.deepEqual((await found()).data, []);
            assert.notEqual((await send('GET', '/api/directus/users/me')).json.data.title, title);
            const before = (await send('GET', '/api/directus/files')).json.data.length;
            const form = new FormData();
            form.append('file', new Blob(['text']), 'a.txt');
            const upload = await fetch(`${server.url}/api/directus/files?fields=nonsense`, {
                method: 'POST',
                headers: { Authorization: `Bearer ${anna.token}` },
                body: form,
            });
            assert.equal(upload.status, 403);
            assert.equal((await send('GET', '/api/directus/files')).json.data.length, before);
            assert.equal((await send('DELETE', `${nodes}/${id}`)).status, 204);
        });

        test('rows that many write at once, each in an order of its own', async () => {
            const nodes = '/api/directus/items/user_nodes';
            const send = (method, body) => server.request(nodes, { method, token: anna.token, body });
            const made = await send('POST', Array.from({ length: 8 }, (_, i) => ({ node_type: 'note', title: `n${i}` })));
            const keys = made.json.data.map(({ id }) => id);
            const orders = [keys, [...keys].reverse()];
            const answers = await Promise.all(
                Array.from({ length: 32 }, (_, i) =>
                    send('PATCH', { keys: orders[i % 2], data: { title: `by-${i}` } })),
            );
            assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
            const found = await server.request(`${nodes}?filter[id][_in]=${keys}`, { token: anna.token });
            assert.equal(found.json.data.length, keys.length);
            assert.equal(new Set(found.json.data.map(({ title }) => title)).size, 1, 'the rows of one request alone');
            assert.equal((await send('DELETE', keys)).status, 204);
        });

        test('rows that hang together, deleted and joined by many at once', async () => {
            const [nodes, edges] = ['user_nodes', 'user_node_edges'].map((name) => `/api/directus/items/${name}`);
            const send = (method, path, body) => server.request(path, { method, token: anna.token, body });
            const post = async (path, body) => (await send('POST', path, body)).json.data.map(({ id }) => id);
            const keys = await post(nodes, Array.from({ length: 24 }, (_, i) => ({ node_type: 'note', title: `n${i}` })));
            const pairs = keys.flatMap((source) =>
                keys.filter((target) => target !== source).map((target) => ({ source, target })),
            );
            const opposite = pairs.slice(0, 200);
            const joined = await Promise.all(
                Array.from({ length: 24 }, (_, i) => send('POST', edges, i % 2 ? opposite : opposite.toReversed())),
            );
            assert.deepEqual(joined.map(({ status }) => status).sort(), [200, ...Array(23).fill(400)]);
            await post(edges, pairs.slice(200, 500));
            const gone = await Promise.all(keys.map((id) => send('DELETE', `${nodes}/${id}`)));
            assert.deepEqual([...new Set(gone.map(({ status }) => status))], [204]);
            assert.deepEqual((await send('GET', `${edges}?limit=1`)).json.data, []);
        });

        test("tokens that are none, in Directus's words", async () => {
            const code = async (token) => {
                const { status, json } = await server.request('/api/directus/items/user_nodes', { token });
                return [status, json.errors[0].extensions.code];
            };
            assert.deepEqual(await code(undefined), [403, 'FORBIDDEN']);
            assert.deepEqual(await code('some-static-token'), [401, 'INVALID_CREDENTIALS']);
            assert.deepEqual(await code(`${anna.token.slice(0, -3)}xxx`), [403, 'INVALID_TOKEN']);
            const short = await server.token(anna.email, ['--ttl', '1s']);
            for (let i = 0; i < 100 && (await code(short).catch(() => [200]))[0] !== 401; i++)
                await new Promise((resolve) => setTimeout(resolve, 100));
            assert.deepEqual(await code(short), [401, 'TOKEN_EXPIRED']);
        });

        test('bodies that are none', async () => {
            const send = (method, body) =>
                server.request('/api/directus/items/user_nodes', { method, token: anna.token, body });
            for (const [method, body] of [
                ['POST', []],
                ['POST', [1]],
                ['POST', '"x"'],
                ['PATCH', { keys: [] }],
                ['PATCH', { keys: [1], data: {} }],
                ['PATCH', {}],
                ['DELETE', []],
                ['DELETE', {}],
                ['DELETE', [1]],
            ]) {
                const answer = await send(method, body);
                assert.equal(answer.status, 400, `${method} ${JSON.stringify(body)}: ${answer.text}`);
                assert.match(answer.json.errors[0].extensions.code, /^(INVALID_PAYLOAD|FAILED_VALIDATION)$/);
            }
            await server.assertWell();
        });
    });
});
