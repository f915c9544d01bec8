// SPDX-License-Identifier: MIT
//
// Posts over HTTP: scheduling, listing, changing, deleting; the same rules and queue by every other way.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { startGenie } from '../support/genie.mjs';
import { startModel } from '../support/model.mjs';
import { CONNECT, addFlow, quoted, sql, stopAll, talk } from '../support/talk.mjs';

const HOUR = 3_600_000;
const inFuture = (ms = HOUR) => new Date(Date.now() + ms).toISOString();

describe('posts', () => {
    let anna, bert, model, server;

    before(async () => {
        model = await startModel({ formats: ['openai'] });
        server = await startGenie({ env: CONNECT.openai(model) });
        anna = await server.addUser({ tier: 'creator' });
        bert = await server.addUser({ tier: 'starter' });
    });
    after(() => stopAll(server, model));

    const call = (method, path, user, body) =>
        server.request(path, { method, token: user.token, ...(body === undefined ? {} : { body }) });
    const schedule = (user, body) => call('POST', '/api/posts/schedule', user, body);

    async function scheduled(user, more = {}) {
        const { status, json, text } = await schedule(user, {
            platform: 'x',
            content_text: 'hello',
            scheduled_time: inFuture(),
            ...more,
        });
        assert.equal(status, 200, text);
        return json.post;
    }

    function addAsset(user) {
        const id = randomUUID();
        sql(server, `INSERT INTO media_assets (id, user_id, title) VALUES ('${id}', '${user.id}', 'a')`);
        return id;
    }

    test('a post with a time is scheduled, one without is a draft', async () => {
        const time = inFuture();
        const media = addAsset(anna);
        const post = await scheduled(anna, {
            scheduled_time: time,
            media_id: media,
            platform_meta: { a: 1 },
        });
        assert.deepEqual(
            [post.platform, post.status, post.content_text, post.scheduled_time, post.media_id],
            ['x', 'scheduled', 'hello', time, media],
        );
        assert.deepEqual(post.platform_meta, { a: 1 });
        const draft = (
            await schedule(anna, {
                platform: 'reddit',
                caption: 'hi',
                platform_meta: { subreddit: 'r/art', title: 'T' },
            })
        ).json.post;
        assert.deepEqual([draft.status, draft.content_text, draft.scheduled_time], ['draft', 'hi', null]);
        const kept = await schedule(anna, {
            platform: 'x',
            content_text: 'c',
            scheduled_time: time,
            status: 'draft',
        });
        assert.deepEqual([kept.json.post.status, kept.json.post.scheduled_time], ['draft', time]);
        const zoned = await scheduled(anna, { scheduled_time: `${inFuture(48 * HOUR).slice(0, 19)}+02:00` });
        assert.match(zoned.scheduled_time, /Z$/);
    });

    const refusals = [
        ['no platform', { content_text: 'c' }, 400, 'missing_field', 'platform'],
        ['an unknown platform', { platform: 'myspace' }, 400, 'invalid_field', 'platform'],
        ['a text of another type', { platform: 'x', content_text: 7 }, 400, 'invalid_field', 'content_text'],
        [
            '281 characters on X',
            { platform: 'x', caption: 'a'.repeat(281) },
            400,
            'invalid_field',
            'content_text',
        ],
        [
            '5001 characters',
            { platform: 'onlyfans', caption: 'é'.repeat(5001) },
            400,
            'invalid_field',
            'content_text',
        ],
        [
            'a time gone by',
            { platform: 'x', content_text: 'c', scheduled_time: inFuture(-HOUR) },
            400,
            'invalid_field',
            'scheduled_time',
        ],
        [
            'a time in two years',
            { platform: 'x', content_text: 'c', scheduled_time: inFuture(2 * 365 * 24 * HOUR) },
            400,
            'invalid_field',
            'scheduled_time',
        ],
        [
            'no time at all',
            { platform: 'x', content_text: 'c', scheduled_time: 'tomorrow' },
            400,
            'invalid_field',
            'scheduled_time',
        ],
        [
            'scheduled without a time',
            { platform: 'x', content_text: 'c', status: 'scheduled' },
            400,
            'invalid_field',
            'scheduled_time',
        ],
        [
            'nothing to post',
            { platform: 'x', scheduled_time: inFuture() },
            400,
            'invalid_field',
            'content_text',
        ],
        [
            'reddit without a subreddit',
            { platform: 'reddit', content_text: 'c', platform_meta: { title: 't' } },
            400,
            'invalid_field',
            'platform_meta',
        ],
        [
            'meta that is no object',
            { platform: 'x', content_text: 'c', platform_meta: [] },
            400,
            'invalid_field',
            'platform_meta',
        ],
        [
            'a media id that is none',
            { platform: 'x', content_text: 'c', media_id: '7' },
            400,
            'invalid_field',
            'media_id',
        ],
        [
            'media that is not there',
            { platform: 'x', content_text: 'c', media_id: randomUUID() },
            404,
            'not_found',
            'media_id',
        ],
    ];
    for (const [what, body, status, code, field] of refusals)
        test(`${what}: ${status} ${code}, and nothing is kept`, async () => {
            const [before] = sql(server, 'SELECT count(*) AS n FROM scheduled_posts');
            const answer = await schedule(anna, body);
            assert.deepEqual(
                [answer.status, answer.json.code, answer.json.field],
                [status, code, field],
                answer.text,
            );
            const [now] = sql(server, 'SELECT count(*) AS n FROM scheduled_posts');
            assert.equal(Number(now.n), Number(before.n));
        });

    test("another's post, media and list are not there", async () => {
        const admin = await server.addUser({ role: 'Administrator' });
        const post = await scheduled(anna);
        for (const user of [bert, admin]) {
            for (const [method, body] of [['GET'], ['PATCH', { content_text: 'x' }], ['DELETE']]) {
                const answer = await call(method, `/api/posts/${post.id}`, user, body);
                assert.deepEqual([answer.status, answer.json.code], [404, 'not_found'], answer.text);
            }
            const { json } = await call('GET', '/api/posts', user);
            assert.deepEqual([json.data, json.meta.total_count], [[], 0]);
        }
        assert.equal(
            (await schedule(bert, { platform: 'x', content_text: 'c', media_id: addAsset(anna) })).status,
            404,
        );
        assert.equal((await call('GET', '/api/posts/none', anna)).status, 404);
        assert.equal((await call('GET', `/api/posts/${post.id}`, anna)).json.post.content_text, 'hello');
    });

    test('a list by range, status and platform, page by page', async () => {
        const user = await server.addUser({ tier: 'pro' });
        const times = [3, 1, 2].map((days) => inFuture(days * 24 * HOUR));
        for (const time of times) await scheduled(user, { scheduled_time: time });
        await scheduled(user, { platform: 'tiktok', scheduled_time: inFuture(9 * 24 * HOUR) });
        await schedule(user, { platform: 'x', content_text: 'draft' });
        const list = async (query) => {
            const { status, json, text } = await call('GET', `/api/posts?${query}`, user);
            assert.equal(status, 200, text);
            return [json.data.map((p) => p.scheduled_time), json.meta.total_count, json.meta.filter_count];
        };
        const sorted = [times[1], times[2], times[0]];
        const query = (q) => new URLSearchParams(q).toString();
        assert.deepEqual(await list('status=scheduled&platform=x'), [sorted, 5, 3]);
        assert.deepEqual(await list(query({ from: times[2], to: times[0] })), [[times[2]], 5, 1]);
        assert.deepEqual(await list(query({ from: times[1], limit: 2, offset: 1 })), [
            [times[2], times[0]],
            5,
            4,
        ]);
        assert.deepEqual(await list('status=draft'), [[null], 5, 1]);
        for (const bad of [
            'status=lost',
            'platform=myspace',
            'from=soon',
            'limit=0',
            'limit=501',
            'offset=-1',
        ]) {
            const { status, json } = await call('GET', `/api/posts?${bad}`, user);
            assert.deepEqual([status, json.code, json.field], [400, 'invalid_query', bad.split('=')[0]]);
        }
    });

    test('a post is changed and deleted until it is published', async () => {
        const post = await scheduled(anna);
        const path = `/api/posts/${post.id}`;
        const changed = await call('PATCH', path, anna, {
            caption: 'new',
            scheduled_time: null,
            platform: 'x',
        });
        assert.deepEqual(
            [changed.json.post.content_text, changed.json.post.scheduled_time, changed.json.post.status],
            ['new', null, 'draft'],
        );
        assert.equal((await call('PATCH', path, anna, {})).json.code, 'invalid_field');
        assert.equal((await call('PATCH', path, anna, { status: 'posted' })).json.field, 'status');
        assert.equal((await call('PATCH', path, anna, { platform: null })).json.field, 'platform');
        for (const status of ['publishing', 'posted']) {
            sql(server, `UPDATE scheduled_posts SET status = '${status}' WHERE id = '${post.id}'`);
            for (const [method, body] of [['PATCH', { content_text: 'x' }], ['DELETE']]) {
                const answer = await call(method, path, anna, body);
                assert.deepEqual([answer.status, answer.json.code], [409, 'conflict'], answer.text);
            }
        }
        sql(server, `UPDATE scheduled_posts SET status = 'failed' WHERE id = '${post.id}'`);
        assert.equal(
            (await call('PATCH', path, anna, { scheduled_time: inFuture() })).json.post.status,
            'scheduled',
        );
        assert.deepEqual((await call('DELETE', path, anna)).json, { ok: true, deleted: true });
        assert.equal((await call('DELETE', path, anna)).status, 404);
    });

    test('a repeated key makes one post', async () => {
        const headers = { 'Idempotency-Key': randomUUID() };
        const body = { platform: 'x', content_text: 'once', scheduled_time: inFuture() };
        const send = () =>
            server.request('/api/posts/schedule', { method: 'POST', token: anna.token, body, headers });
        const [first, second] = [await send(), await send()];
        assert.deepEqual(second.json, first.json);
        assert.equal(second.headers['idempotent-replayed'], 'true');
        const [{ n }] = sql(server, "SELECT count(*) AS n FROM scheduled_posts WHERE content_text = 'once'");
        assert.equal(Number(n), 1);
    });

    test('the items API and flows obey the same rules and the same queue', async () => {
        const user = await server.addUser({ tier: 'starter' });
        const items = '/api/directus/items/scheduled_posts';
        const body = { platform: 'x', content_text: 'c', scheduled_time: inFuture() };
        await scheduled(user);
        const { json } = await call('POST', items, user, { ...body, status: 'scheduled' });
        assert.equal(json.data.status, 'scheduled');
        const long = await call('POST', items, user, { ...body, content_text: 'a'.repeat(281) });
        assert.deepEqual([long.status, long.json.errors[0].extensions.field], [400, 'content_text']);
        const two = await call('POST', items, user, [body, body]);
        assert.deepEqual([two.status, two.json.errors[0].extensions.code], [403, 'LIMIT_EXCEEDED'], two.text);

        const step = (data) => [
            { type: 'directus_write', result_key: 'post', config: { collection: 'scheduled_posts', data } },
        ];
        addFlow(server, 'post-now', step(body));
        addFlow(server, 'post-long', step({ ...body, content_text: 'a'.repeat(281) }));
        const run = async (slug) => {
            model.once(`[ACTION:${slug}:{}]`);
            const { events } = await talk(server, user, 'go');
            return events.map((e) => e.json ?? e).find((e) => e.type === 'actionResult');
        };
        assert.match(JSON.stringify(await run('post-long')), /content_text/);
        assert.equal((await run('post-now')).success, true);
        assert.match(JSON.stringify(await run('post-now')), /plan limit for scheduled posts/);
        const [{ n }] = sql(server, `SELECT count(*) AS n FROM scheduled_posts WHERE user_id = '${user.id}'`);
        assert.equal(Number(n), 3);

        sql(server, `UPDATE scheduled_posts SET status = 'publishing' WHERE id = '${json.data.id}'`);
        for (const [method, change] of [['PATCH', { content_text: 'x' }], ['DELETE']])
            assert.equal((await call(method, `${items}/${json.data.id}`, user, change)).status, 403);
        const draft = await call('POST', '/api/posts/schedule', user, {
            platform: 'x',
            content_text: quoted('d'),
        });
        assert.equal(draft.json.post.status, 'draft');
    });

    test('a full queue says so, and a draft frees a place', async () => {
        const posts = [await scheduled(bert), await scheduled(bert), await scheduled(bert)];
        const full = await schedule(bert, { platform: 'x', content_text: 'c', scheduled_time: inFuture() });
        assert.deepEqual(
            [
                full.status,
                full.json.code,
                full.json.reason,
                full.json.limit,
                full.json.used,
                full.json.resets_at,
            ],
            [403, 'tier_limit_reached', 'limit_reached', 3, 3, undefined],
        );
        assert.equal(
            (await call('PATCH', `/api/posts/${posts[0].id}`, bert, { status: 'draft' })).status,
            200,
        );
        await scheduled(bert);
        const again = await call('PATCH', `/api/posts/${posts[0].id}`, bert, { status: 'scheduled' });
        assert.equal(again.json.code, 'tier_limit_reached');
    });
});
