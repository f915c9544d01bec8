// SPDX-License-Identifier: MIT
//
// An id that is somebody else's names nothing, wherever it is sent; and what a body may not hold changes nothing.
// Which routes take ids is read from the OpenAPI document: one that isn't in the table below fails the test, which
// says of each what its ids name, and what else a good request has.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { catalogueOf, contentsOf } from '../support/catalogue.mjs';
import { operationsOf, readDocument } from '../support/contract.mjs';
import { gif, upload } from '../support/form.mjs';
import { GENIE_BIN, startGenie } from '../support/genie.mjs';
import { startModel } from '../support/model.mjs';
import { chat } from '../support/sse.mjs';
import { addNode, CONNECT, quoted, sql, stopAll } from '../support/talk.mjs';

const SEALED = { user: 'anna', password: 'blue' };

/**
 * path: what the id in the path names. body: what the ids in the body name. more: the rest of the body. json: the
 * body around an id where any JSON is taken, and `names` what that names. status: what a foreign id gets where it isn't
 * 404, or in Directus's API 403 FORBIDDEN; code: likewise. Deletions come last, since each request is also sent with
 * one's own ids, and then succeeds.
 */
const ROUTES = {
    'POST /api/genie/stream-chat': { more: { message: 'hello', sessionId: 'one' } },
    'GET /api/genie/stream-chat/{id}': { path: 'stream' },
    'DELETE /api/genie/stream-chat/{id}': { path: 'stream' },
    'POST /api/credentials/create-profile': {
        more: { platform: 'x', platform_username: 'anna', credentials: SEALED },
    },
    'POST /api/credentials/store': {
        body: { creatorProfileId: 'connection' },
        more: { credentials: SEALED },
    },
    'POST /api/credentials/reveal': { body: { creatorProfileId: 'connection' } },
    'POST /api/credentials/update-profile-creds': {
        body: { id: 'connection' },
        more: { credentials: SEALED },
    },
    'POST /api/captions/generate': { more: { platform: 'x' } },
    'GET /api/fans/{id}': { path: 'fan' },
    'POST /api/posts/schedule': { body: { media_id: 'asset' }, more: { platform: 'x', content_text: 'hi' } },
    'GET /api/posts/{id}': { path: 'post' },
    'PATCH /api/posts/{id}': { path: 'post', body: { media_id: 'asset' }, more: { content_text: 'ho' } },
    'DELETE /api/posts/{id}': { path: 'post' },
    'POST /api/queue/media': {
        body: { jobId: 'job', input_file_id: 'file', creator_profile_id: 'profile' },
        more: { operation: 'resize_image', params: { width: 10 } },
    },
    'POST /api/queue/retry/{jobId}': { path: 'run' },
    'GET /api/queue/jobs/{jobId}': { path: 'run' },
    'DELETE /api/queue/jobs/{jobId}': { path: 'run' },
    'POST /api/usage/increment': { body: { userId: 'user' }, more: { operation: 'post_creations' } },
    'PATCH /api/onboarding': { body: { userId: 'user' }, more: { state: 'COMPLETE' } },
    'PATCH /api/onboarding/state': { body: { userId: 'user' }, more: { state: 'COMPLETE' } },
    // only somebody impersonated, or an admin, has a session to end
    'DELETE /api/impersonate': { body: { userId: 'user' }, status: 403, own: 403 },

    'PATCH /api/user-proxy': { names: 'file', json: (id) => ({ avatar: id }), status: 400, own: 400 },
    'PATCH /api/directus/users/me': { names: 'file', json: (id) => ({ avatar: id }), own: 403 },
    'POST /api/directus/items/{collection}': {
        in: 'user_node_edges',
        names: 'node',
        json: (id, own) => ({ source: own.nodes[1], target: id }),
        status: 400,
        code: 'INVALID_FOREIGN_KEY',
    },
    'GET /api/directus/items/{collection}/{id}': { path: 'node' },
    'PATCH /api/directus/items/{collection}/{id}': { path: 'node', more: { title: 'mine' } },
    'PATCH /api/directus/items/{collection}': {
        names: 'node',
        json: (id, own) => ({ keys: [own.nodes[1], id], data: { title: 'mine' } }),
    },
    'GET /api/directus/files/{id}': { path: 'file' },
    'PATCH /api/directus/files/{id}': { path: 'file', more: { title: 'mine' } },
    'PATCH /api/directus/files': { names: 'file', json: (id) => ({ keys: [id], data: { title: 'mine' } }) },
    'GET /api/directus/assets/{id}': { path: 'file' },
    'GET /api/directus/assets/{id}/{filename}': { path: 'file' },
    'DELETE /api/directus/items/{collection}': { names: 'node', json: (id) => [id] },
    'DELETE /api/directus/items/{collection}/{id}': { path: 'fan', in: 'fan_profiles' },
    'DELETE /api/directus/files': { names: 'file', json: (id) => [id] },
    'DELETE /api/directus/files/{id}': { path: 'spare' },
};

const PLACES = new Set(['collection', 'filename']);
const isId = ([name, { format }]) => format === 'uuid' || (/(_id|Ids?)$/.test(name) && name !== 'sessionId');

/** What a creator may send to a route: {path: has an id, body: [names of ids], open: takes any JSON}. */
function idsOf(operation) {
    const schema = operation.requestBody?.content['application/json']?.schema;
    const parameters = operation.parameters ?? [];
    return {
        path: parameters.some((parameter) => parameter.in === 'path' && !PLACES.has(parameter.name)),
        body: Object.entries(schema?.properties ?? {}).filter(isId).map(([name]) => name),
        open: schema !== undefined && !schema.properties,
        json: schema !== undefined,
    };
}

const nameOf = ({ method, path }) => `${method} ${path}`;
const takesUsers = ({ operation }) => /^user\b/.test(operation['x-auth']);

describe('ids and fields that are not the caller\'s', () => {
    const served = operationsOf(readDocument(GENIE_BIN));
    const asked = served.filter((route) => {
        const { path, json } = idsOf(route.operation);
        return takesUsers(route) && (path || json);
    });
    let genie, model, catalogue, own, other;

    before(async () => {
        model = await startModel({ formats: ['ollama'] });
        genie = await startGenie({ env: { ...CONNECT.ollama(model), WORKER_CONCURRENCY_MEDIA: '0' } });
        catalogue = catalogueOf(genie);
        [own, other] = [await person(), await person()];
    });
    after(async () => await stopAll(genie, model));

    /** A user with one row of each kind, and their ids. */
    async function person() {
        const user = await genie.addUser({ tier: 'studio' });
        const { token } = user;
        const post = async (path, body) => {
            const answer = await genie.request(path, { method: 'POST', token, body });
            assert.equal(answer.status, 200, answer.text);
            return answer.json;
        };
        const asset = randomUUID();
        sql(
            genie,
            `INSERT INTO media_assets (id, user_id, title) VALUES (${quoted(asset)}, ${quoted(user.id)}, 'one')`,
        );
        const files = [await upload(genie, user, gif()), await upload(genie, user, gif())];
        const newJob = async () =>
            (await post('/api/directus/items/media_jobs', { operation: 'strip_metadata' })).data.id;
        const [job, run] = [await newJob(), await newJob()];
        await post('/api/queue/media', {
            jobId: run,
            operation: 'resize_image',
            input_file_id: files[0].json.data.id,
            params: { width: 10 },
        });
        await genie.request(`/api/queue/jobs/${run}`, { method: 'DELETE', token });
        const seen = await chat(genie, token, { message: 'hello' });
        const nodes = ['one', 'two'].map((title) => addNode(genie, user, title, 'A note.'));
        return {
            token,
            user: user.id,
            asset,
            job,
            run,
            profile: (
                await post('/api/directus/items/creator_profiles', { platform: 'x', username: 'anna' })
            ).data.id,
            nodes,
            node: nodes[0],
            file: files[0].json.data.id,
            spare: files[1].json.data.id,
            stream: seen.events[0].uuid,
            connection: (
                await post('/api/credentials/create-profile', { platform: 'fansly', credentials: SEALED })
            ).id,
            fan: (await post('/api/directus/items/fan_profiles', { platform: 'x', username: 'fan' })).data.id,
            post: (await post('/api/posts/schedule', { platform: 'x', content_text: 'draft' })).post.id,
        };
    }

    /** A request of a route with these ids: {kind: id}; `extra` goes into its body. */
    function send({ method, path }, entry, ids, extra = {}) {
        const target = path
            .replace('{collection}', entry.in ?? 'user_nodes')
            .replace('{filename}', 'a.png')
            .replace(/\{\w+\}/, ids[entry.path]);
        const named = Object.entries(entry.body ?? {}).map(([name, kind]) => [name, ids[kind]]);
        const object = { ...extra, ...Object.fromEntries(named), ...entry.more };
        const body = entry.json ? entry.json(ids[entry.names], own) : object;
        const empty = !entry.json && Object.keys(object).length === 0;
        return genie.request(target, { method, token: own.token, body: empty ? undefined : body });
    }

    /** The kinds that a request names, each in turn somebody else's. */
    const kindsOf = (entry) => [entry.path, entry.names, ...Object.values(entry.body ?? {})].filter(Boolean);

    const rowsOf = (who) => {
        const tables = {
            user_nodes: who.nodes,
            media_assets: [who.asset],
            media_jobs: [who.job, who.run],
            creator_profiles: [who.profile],
            platform_connections: [who.connection],
            fan_profiles: [who.fan],
            scheduled_posts: [who.post],
            directus_files: [who.file, who.spare],
            directus_users: [who.user],
        };
        const rows = Object.entries(tables).flatMap(([table, ids]) => ids.map((id) => [table, id]));
        const contents = contentsOf(genie, catalogue, rows);
        for (const [table, held] of contents) assert.ok(held, `${table} has lost a row`);
        return contents;
    };
    const OWNED = ['user_nodes', 'user_node_edges', 'platform_connections', 'scheduled_posts', 'user_usage_counts'];
    const owned = (who) =>
        sql(
            genie,
            OWNED.map(
                (table) => `SELECT '${table}' AS tab, count(*) AS n FROM ${table} WHERE user_id = ${quoted(who.user)}`,
            ).join(' UNION ALL '),
        );

    test('the table has every route that takes an id or a body, with all its ids, and no other', () => {
        assert.deepEqual(asked.map(nameOf).filter((name) => !ROUTES[name]), []);
        const names = served.map(nameOf);
        assert.deepEqual(Object.keys(ROUTES).filter((name) => !names.includes(name)), []);
        for (const route of asked) {
            const { path, body, open } = idsOf(route.operation);
            const entry = ROUTES[nameOf(route)];
            assert.equal(entry.path !== undefined, path, nameOf(route));
            assert.deepEqual(Object.keys(entry.body ?? {}).sort(), body.sort(), nameOf(route));
            assert.ok(!open || entry.json || entry.path, nameOf(route));
        }
    });

    test('routes for admins and services are closed to users, whatever ids they send', async () => {
        const closed = served.filter((route) => !takesUsers(route) && idsOf(route.operation).body.length > 0);
        assert.ok(closed.length >= 3);
        for (const { method, path, operation } of closed) {
            const body = Object.fromEntries(idsOf(operation).body.map((name) => [name, other.user]));
            const answer = await genie.request(path, { method, token: own.token, body });
            const expected = operation['x-auth'].startsWith('admin') ? 403 : 401;
            assert.equal(answer.status, expected, `${method} ${path}: ${answer.text}`);
        }
    });

    for (const [name, entry] of Object.entries(ROUTES)) {
        const [method, path] = name.split(' ');
        for (const kind of kindsOf(entry))
            test(`${name}: another user's ${kind}`, async () => {
                const was = rowsOf(other);
                const answer = await send({ method, path }, entry, { ...own, [kind]: other[kind] });
                const directus = path.startsWith('/api/directus');
                const shown = `${answer.status} ${answer.text.slice(0, 300)}`;
                assert.equal(answer.status, entry.status ?? (directus ? 403 : 404), shown);
                const code = answer.json.code ?? answer.json.errors[0].extensions.code;
                if (directus) assert.equal(code, entry.code ?? 'FORBIDDEN', shown);
                assert.deepEqual(rowsOf(other), was);
                // and what isn't there at all gets the same words
                const unknown = await send({ method, path }, entry, { ...own, [kind]: randomUUID() });
                assert.equal(unknown.status, answer.status, unknown.text);
                assert.deepEqual(unknown.json, answer.json);
            });
    }

    test('what a body may not hold changes nothing, and one\'s own ids do name what they name', async () => {
        const columns = Object.keys(sql(genie, `SELECT * FROM directus_users WHERE id = ${quoted(own.user)}`)[0]);
        const open = ['first_name', 'last_name', 'location', 'title', 'description', 'tags', 'language', 'avatar'];
        const extra = Object.fromEntries(
            columns.filter((column) => !open.includes(column)).map((column) => [column, 'archived']),
        );
        Object.assign(extra, { uploaded_by: other.user, onboarding_state: 'PROCESSING', count: 0, admin: true });
        Object.assign(extra, { encrypted_credentials: 'v1:00:00:00', bull_job_id: 'x', posted_at: '2026-01-01' });
        delete extra.id; // which some routes take
        delete extra.status; // which posts have: access-fields.test.mjs and posts.test.mjs have that
        const closed = () =>
            sql(genie, `SELECT * FROM directus_users WHERE id = ${quoted(own.user)}`).map((row) =>
                Object.entries(row).filter(([column]) => !open.includes(column)),
            );
        const was = closed();
        const others = [rowsOf(other), owned(other)];
        for (const [name, entry] of Object.entries(ROUTES)) {
            const [method, path] = name.split(' ');
            const native = !path.startsWith('/api/directus') && method !== 'GET' && method !== 'DELETE';
            const answer = await send({ method, path }, entry, own, native ? extra : {});
            const good = entry.own ? answer.status === entry.own : answer.status >= 200 && answer.status < 300;
            assert.ok(good, `${name}: ${answer.status} ${answer.text.slice(0, 300)}`);
            assert.deepEqual(closed(), was, name);
        }
        assert.deepEqual([rowsOf(other), owned(other)], others);
        await genie.assertWell();
    });
});
