// SPDX-License-Identifier: MIT
//
// Posts that are due, and the jobs that act in a browser: published once each whatever dies, refused clearly
// where that can't be done, waiting for a person where a platform asks for one.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { startGenie } from '../support/genie.mjs';
import { startServers, stopServers } from '../support/servers.mjs';
import { startStagehand } from '../support/stagehand.mjs';
import { eventually, quoted, sql, stopAll } from '../support/talk.mjs';

const LOOK_OFTEN = { POST_SCHEDULER_MS: '200', LEADER_LEASE_S: '3' };
const LEASE_MS = 60_000; // more than a dead worker's lease lasts
const WRITE = 'Write the text of the new post: %text%';
const PUBLISH = 'Publish the new post';
const SIGN_IN = 'Sign in with the name %username% and the password %password%';

const browser = (stagehand) => ({ ...LOOK_OFTEN, STAGEHAND_URL: stagehand.url, ALLOW_PRIVATE_URLS: 'true' });
const soon = (ms = 1500) => new Date(Date.now() + ms).toISOString();
const asks = (call, word) => call.body.instruction.includes(word);

/** A platform on which the account is signed in and posts go out. */
function allIsWell(call) {
    if (asks(call, 'signed in')) return { result: { signed_in: true, challenge: '' } };
    if (asks(call, 'is out')) return { result: { published: true, url: 'https://x.com/anna/status/1' } };
    return { result: { display_name: 'Anna', bio: 'Paints at night', followers: 1200, posts: 87 } };
}

const acts = (stagehand, input) =>
    stagehand.requests.filter(({ operation, body }) => operation === 'act' && body.input === input);

async function schedule(server, user, more = {}) {
    const { status, json, text } = await server.request('/api/posts/schedule', {
        method: 'POST',
        token: user.token,
        body: { platform: 'x', content_text: 'hello', scheduled_time: soon(), ...more },
    });
    assert.equal(status, 200, text);
    return json.post.id;
}

async function postOf(server, user, id) {
    const { status, json, text } = await server.request(`/api/posts/${id}`, { token: user.token });
    assert.equal(status, 200, text);
    return json.post;
}

const ended = (server, user, id, limitMs = LEASE_MS) =>
    eventually(
        async () => {
            const post = await postOf(server, user, id);
            return ['posted', 'failed'].includes(post.status) && post;
        },
        'the post has ended',
        limitMs,
    );

const waiting = (server, user) =>
    sql(
        server,
        `SELECT id, action, message, status FROM hitl_action_queue WHERE user_id = ${quoted(user.id)}`,
    );

function addProfile(server, user, username = 'anna') {
    const id = randomUUID();
    sql(
        server,
        `INSERT INTO creator_profiles (id, user_id, platform, username) VALUES
         (${quoted(id)}, ${quoted(user.id)}, 'x', ${quoted(username)})`,
    );
    return id;
}

describe('without a browser service', () => {
    let server, anna;

    before(async () => {
        server = await startGenie({ env: LOOK_OFTEN });
        anna = await server.addUser({ tier: 'starter' });
    });
    after(() => stopAll(server));

    test('a post that is due fails and says why; its place in the queue is free again', async () => {
        const ids = [];
        for (let i = 0; i < 3; i++) ids.push(await schedule(server, anna));
        for (const id of ids) {
            const post = await ended(server, anna, id);
            assert.deepEqual([post.status, post.error_message], ['failed', 'publisher_not_configured']);
        }
        await schedule(server, anna, { scheduled_time: soon(3_600_000) });
        assert.deepEqual(waiting(server, anna), []);
    });

    test('what has failed can be scheduled again, and gets a job of its own', async () => {
        const id = await schedule(server, anna);
        await ended(server, anna, id);
        const body = { scheduled_time: soon() };
        const path = `/api/posts/${id}`;
        const { status, text } = await server.request(path, { method: 'PATCH', token: anna.token, body });
        assert.equal(status, 200, text);
        assert.equal((await ended(server, anna, id)).error_message, 'publisher_not_configured');
        const jobs = sql(
            server,
            `SELECT state FROM queue_jobs WHERE data LIKE '%${id}%'`.replace(
                'data LIKE',
                'CAST(data AS TEXT) LIKE',
            ),
        );
        assert.equal(jobs.length, 2);
    });
});

describe('with a browser service', () => {
    let server, stagehand, anna;

    before(async () => {
        stagehand = await startStagehand();
        server = await startGenie({ env: browser(stagehand) });
        anna = await server.addUser({ tier: 'pro' });
    });
    after(() => stopAll(server, stagehand));

    const fresh = () => {
        stagehand.reset();
        stagehand.on('extract', allIsWell);
    };

    test('a post goes out once, when its time has come, and says where it is', async () => {
        fresh();
        const id = await schedule(server, anna, { content_text: 'a post', platform_meta: { a: 1 } });
        assert.equal((await postOf(server, anna, id)).status, 'scheduled');
        const post = await ended(server, anna, id);
        assert.deepEqual([post.status, post.error_message], ['posted', null]);
        assert.deepEqual(post.platform_meta, { a: 1, url: 'https://x.com/anna/status/1' });
        assert.ok(post.posted_at);
        assert.equal(acts(stagehand, PUBLISH).length, 1);
        assert.equal(acts(stagehand, WRITE)[0].body.options.variables.text, 'a post');
        await eventually(() => stagehand.openSessions.length === 0, 'the session is closed');
    });

    test('before the submission a failure is tried again', async () => {
        fresh();
        let failures = 1;
        stagehand.on('navigate', () => (failures-- > 0 ? { status: 500 } : {}));
        const post = await ended(server, anna, await schedule(server, anna));
        assert.equal(post.status, 'posted');
        assert.equal(acts(stagehand, PUBLISH).length, 1);
    });

    test('once it has begun, what is not known is not tried again: its owner is asked', async () => {
        fresh();
        stagehand.on('act', ({ body }) => (body.input === PUBLISH ? { status: 500 } : {}));
        const id = await schedule(server, anna);
        const post = await ended(server, anna, id);
        assert.deepEqual([post.status, post.error_message], ['failed', 'outcome_unknown']);
        assert.equal(acts(stagehand, PUBLISH).length, 1);
        const path = `/api/directus/items/hitl_action_queue?filter[scheduled_post_id][_eq]=${id}`;
        const { json } = await server.request(path, { token: anna.token });
        assert.deepEqual(
            json.data.map(({ action, status }) => [action, status]),
            [['check_post', 'pending']],
        );
    });

    test('a post with media is for a person to publish', async () => {
        fresh();
        const media_id = randomUUID();
        sql(server, `INSERT INTO media_assets (id, user_id) VALUES ('${media_id}', '${anna.id}')`);
        const post = await ended(server, anna, await schedule(server, anna, { media_id }));
        assert.deepEqual([post.status, post.error_message], ['failed', 'media_upload_unsupported']);
        assert.ok(waiting(server, anna).some(({ action }) => action === 'publish_by_hand'));
        assert.equal(stagehand.requests.length, 0);
    });

    test('an account that is not connected is asked for, and the job goes on once it is', async () => {
        fresh();
        const bert = await server.addUser({ tier: 'pro' });
        const password = `pass-${randomUUID()}`;
        let signedIn = false;
        stagehand.on('act', ({ body }) => {
            if (body.input === SIGN_IN) signedIn = body.options.variables.password === password;
            return {};
        });
        stagehand.on('extract', (call) =>
            asks(call, 'signed in') ? { result: { signed_in: signedIn, challenge: '' } } : allIsWell(call),
        );
        const id = await schedule(server, bert);
        const [asked] = await eventually(() => {
            const rows = waiting(server, bert);
            return rows.length > 0 && rows;
        }, 'the account is asked for');
        assert.equal(asked.action, 'connect_account');
        assert.equal((await postOf(server, bert, id)).status, 'publishing');
        const created = await server.request('/api/credentials/create-profile', {
            method: 'POST',
            token: bert.token,
            body: { platform: 'x', platform_username: 'bert', credentials: { password } },
        });
        assert.equal(created.status, 200, created.text);
        const resolve = await server.request(`/api/directus/items/hitl_action_queue/${asked.id}`, {
            method: 'PATCH',
            token: bert.token,
            body: { status: 'resolved' },
        });
        assert.equal(resolve.status, 200, resolve.text);
        assert.equal((await ended(server, bert, id)).status, 'posted');
        assert.deepEqual(acts(stagehand, SIGN_IN)[0].body.options.variables, { username: 'bert', password });
        const audits = sql(
            server,
            `SELECT actor, action, outcome FROM credential_audits WHERE user_id = ${quoted(bert.id)} AND action = 'reveal'`,
        );
        assert.deepEqual(audits, [{ actor: 'scrape-jobs', action: 'reveal', outcome: 'ok' }]);
        assert.ok(!server.logs().some(({ line }) => line.includes(password)), 'the password is in the log');
    });

    test('a challenge waits for its owner, without a browser', async () => {
        fresh();
        const carl = await server.addUser({ tier: 'pro' });
        let challenge = 'a code from the phone';
        stagehand.on('extract', (call) =>
            asks(call, 'signed in') ? { result: { signed_in: !challenge, challenge } } : allIsWell(call),
        );
        const id = await schedule(server, carl);
        const [asked] = await eventually(() => {
            const rows = waiting(server, carl);
            return rows.length > 0 && rows;
        }, 'the challenge is shown');
        assert.equal(asked.action, 'login_challenge');
        assert.match(asked.message, /a code from the phone/);
        await eventually(() => stagehand.openSessions.length === 0, 'the session is closed');
        challenge = '';
        sql(server, `UPDATE hitl_action_queue SET status = 'resolved' WHERE id = ${quoted(asked.id)}`);
        assert.equal((await ended(server, carl, id)).status, 'posted');
        assert.equal(waiting(server, carl).length, 1);
    });

    test('profiles are read periodically; what they show becomes a node', async () => {
        fresh();
        const dora = await server.addUser({ tier: 'pro' });
        const [profile, resting] = [addProfile(server, dora, 'dora'), addProfile(server, dora, 'resting')];
        sql(server, `UPDATE creator_profiles SET is_active = FALSE WHERE id = ${quoted(resting)}`);
        sql(server, "UPDATE leader_leases SET last_run_at = NULL WHERE name = 'duty scrape'");
        const state = (id) =>
            sql(
                server,
                `SELECT scrape_status, last_scraped_at FROM creator_profiles WHERE id = ${quoted(id)}`,
            )[0];
        await eventually(() => state(profile).scrape_status === 'success', 'the profile is read', LEASE_MS);
        assert.ok(state(profile).last_scraped_at);
        assert.equal(state(resting).scrape_status, 'idle');
        const { json } = await server.request('/api/directus/items/user_nodes', { token: dora.token });
        assert.equal(json.data.length, 1);
        assert.equal(json.data[0].title, 'Profile on x: dora');
        assert.match(json.data[0].content, /followers: 1200.*Paints at night/s);
        assert.ok(stagehand.requests.some(({ body }) => body.url === 'https://x.com/dora'));
    });
});

test('a server killed while it submits: the post is not published twice', async () => {
    const stagehand = await startStagehand();
    const server = await startGenie({ env: browser(stagehand) });
    try {
        const anna = await server.addUser({ tier: 'pro' });
        stagehand.on('extract', allIsWell);
        stagehand.on('act', ({ body }) => (body.input === PUBLISH ? { stall: true } : {}));
        const id = await schedule(server, anna);
        await eventually(() => acts(stagehand, PUBLISH).length === 1, 'it submits');
        await server.kill9();
        stagehand.on('act', {});
        await server.start();
        const post = await ended(server, anna, id, 2 * LEASE_MS);
        assert.deepEqual([post.status, post.error_message], ['failed', 'outcome_unknown']);
        assert.equal(acts(stagehand, PUBLISH).length, 1);
        assert.deepEqual(
            waiting(server, anna).map(({ action }) => action),
            ['check_post'],
        );
    } finally {
        await stopAll(server, stagehand);
    }
});

test('two servers, many posts due at once: each goes out once', async () => {
    const stagehand = await startStagehand();
    const servers = await startServers(2, { env: { ...browser(stagehand), WORKER_CONCURRENCY_SCRAPE: '4' } });
    try {
        stagehand.on('extract', allIsWell);
        const [server] = servers;
        const anna = await server.addUser({ tier: 'studio' });
        const texts = Array.from({ length: 24 }, (_, i) => `post ${i}`);
        const scheduled_time = soon(4000);
        const ids = await Promise.all(
            texts.map((content_text, i) => schedule(servers[i % 2], anna, { content_text, scheduled_time })),
        );
        for (const id of ids) assert.equal((await ended(server, anna, id)).status, 'posted');
        const written = acts(stagehand, WRITE).map(({ body }) => body.options.variables.text);
        assert.deepEqual(written.sort(), texts.sort());
        assert.equal(acts(stagehand, PUBLISH).length, texts.length);
    } finally {
        await stopServers(servers);
        await stopAll(stagehand);
    }
});
