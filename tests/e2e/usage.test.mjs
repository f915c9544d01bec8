// SPDX-License-Identifier: MIT
//
// /api/usage: what is left, counting, whose units, billing cycles, plans that change while the server runs, and
// a store that can't be read or written: showing fails open, counting fails closed.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it, test } from 'node:test';
import { Genie, ON_POSTGRES, startGenie } from '../support/genie.mjs';
import { startModel } from '../support/model.mjs';
import { PostgresServer } from '../support/postgres.mjs';
import { openChat } from '../support/sse.mjs';
import { CONNECT, eventually, sql, stopAll, talk } from '../support/talk.mjs';
import {
    SECRET_HEADER,
    Service,
    addRows,
    counted,
    increment,
    readUsage,
    writeTiers,
} from '../support/usage.mjs';

const setUser = (server, user, what) =>
    sql(server, `UPDATE directus_users SET ${what} WHERE id = '${user.id}'`);

function assertRefused({ status, json }, reason) {
    assert.equal(status, 403);
    assert.equal(json.ok, false);
    assert.equal(json.error, 'tier_limit_reached');
    assert.equal(json.code, 'tier_limit_reached');
    assert.equal(json.reason, reason);
    assert.ok(json.message.endsWith('.'));
}

describe('usage', () => {
    let server, user;
    before(async () => {
        server = await startGenie();
        user = await server.addUser({ tier: 'pro' });
    });
    after(() => stopAll(server));

    it('shows limits, counters and what is left by the names that people know', async () => {
        const { status, json } = await readUsage(server, user.token);
        assert.equal(status, 200);
        const { cycle_start, resets_at, ...rest } = json;
        const limits = { post_creations: 200, taxonomy_tags: 500, media_modifications: 150 };
        const usage = { post_creations: 0, taxonomy_tags: 0, media_modifications: 0 };
        assert.deepEqual(rest, { tier: 'pro', limits, usage, remaining: limits });
        const now = Date.now();
        assert.ok(Date.parse(cycle_start) <= now && now < Date.parse(resets_at));
        assert.match(cycle_start, /T00:00:00\.000Z$/);
    });

    it('counts once whatever is sent again under one key', async () => {
        const payer = await server.addUser({ tier: 'starter' });
        const count = (key, amount) =>
            server.request('/api/usage/increment', {
                method: 'POST',
                token: payer.token,
                headers: { 'Idempotency-Key': key },
                body: { operation: 'post_creations', amount },
            });
        const answers = await Promise.all(Array.from({ length: 8 }, () => count('one', 2)));
        const done = answers.filter(({ status }) => status === 200);
        assert.ok(done.length >= 1);
        for (const { json } of done) assert.deepEqual(json, { ok: true, newValue: 2, limitReached: false });
        for (const { status } of answers) assert.ok(status === 200 || status === 409);
        const again = await count('one', 2);
        assert.equal(again.json.newValue, 2);
        assert.equal(again.headers['idempotent-replayed'], 'true');
        assert.equal((await count('one', 1)).status, 422);
        assertRefused(await count('two', 2), 'limit_reached');
        assert.equal((await readUsage(server, payer.token)).json.usage.post_creations, 2);
    });

    it('shows what was counted as soon as it was', async () => {
        const busy = await server.addUser({ tier: 'studio' });
        for (let i = 1; i <= 40; i++) {
            const { status, json } = await increment(server, busy.token, 'post_creations', 2);
            assert.equal(status, 200);
            assert.deepEqual(json, { ok: true, newValue: 2 * i, limitReached: false });
            const read = (await readUsage(server, busy.token)).json;
            assert.equal(read.usage.post_creations, 2 * i);
            assert.equal(read.limits.post_creations, -1);
            assert.equal(read.remaining.post_creations, -1);
        }
    });

    it('takes every name of a feature, and free operations', async () => {
        const names = await server.addUser({ tier: 'creator' });
        const values = [];
        for (const operation of ['media_modifications', 'ai_clip_ops', 'apply_watermark', 'ytdlp_info'])
            values.push((await increment(server, names.token, operation)).json.newValue);
        assert.deepEqual(values, [1, 2, 3, 0]);
    });

    it('refuses whole what would pass the limit', async () => {
        const starter = await server.addUser();
        assertRefused(await increment(server, starter.token, 'post_creations', 4), 'limit_reached');
        assert.equal((await increment(server, starter.token, 'post_creations', 2)).json.newValue, 2);
        assertRefused(await increment(server, starter.token, 'post_creations', 2), 'limit_reached');
        const last = await increment(server, starter.token, 'post_creations');
        assert.deepEqual(last.json, { ok: true, newValue: 3, limitReached: true });
        const refused = await increment(server, starter.token, 'post_creations');
        assertRefused(refused, 'limit_reached');
        assert.equal(refused.json.message, 'You have reached your plan limit for caption generation.');
        const { json } = await readUsage(server, starter.token);
        assert.equal(refused.json.limit, 3);
        assert.equal(refused.json.used, 3);
        assert.equal(refused.json.resets_at, json.resets_at);
        assert.equal(json.remaining.post_creations, 0);
    });

    it('counts administrators like anybody, and viewers not at all', async () => {
        const admin = await server.addUser({ role: 'Administrator' });
        const viewer = await server.addUser({ role: 'Viewer' });
        assertRefused(await increment(server, admin.token, 'post_creations', 4), 'limit_reached');
        const refused = await increment(server, viewer.token, 'post_creations');
        assert.equal(refused.status, 403);
        assert.equal(refused.json.code, 'read_only');
        assert.equal((await readUsage(server, viewer.token)).status, 200);
    });

    it('says what is wrong with a body', async () => {
        const cases = [
            [{}, 'missing_field', 'operation'],
            [{ operation: ' ' }, 'missing_field', 'operation'],
            [{ operation: 'make_coffee' }, 'unknown_operation', 'operation'],
            [{ operation: 'scheduled_queue_size' }, 'unknown_operation', 'operation'],
            [{ operation: 7 }, 'invalid_field', 'operation'],
            [{ operation: 'post_creations', amount: 0 }, 'invalid_field', 'amount'],
            [{ operation: 'post_creations', amount: 1001 }, 'invalid_field', 'amount'],
            [{ operation: 'post_creations', amount: 1.5 }, 'invalid_field', 'amount'],
            [{ operation: 'post_creations', userId: 'me' }, 'invalid_field', 'userId'],
        ];
        for (const [body, code, field] of cases) {
            const { status, json } = await server.request('/api/usage/increment', {
                method: 'POST',
                token: user.token,
                body,
            });
            assert.deepEqual([status, json.code, json.field], [400, code, field], JSON.stringify(body));
        }
        assert.equal(counted(server, user.id), 0);
    });

    it('lets nobody count for somebody else', async () => {
        const other = await server.addUser();
        const send = (userId) =>
            server.request('/api/usage/increment', {
                method: 'POST',
                token: user.token,
                body: { operation: 'post_creations', userId },
            });
        for (const id of [other.id, '00000000-0000-4000-8000-000000000000']) {
            const { status, json } = await send(id);
            assert.deepEqual([status, json.code], [404, 'not_found']);
        }
        assert.equal((await send(user.id.toUpperCase())).json.newValue, 1);
        assert.equal(counted(server, other.id), 0);
    });

    it('lets a service that knows the secret count for anybody', async () => {
        const service = new Service(server);
        const post = (headers, body) =>
            server.request('/api/usage/increment', { method: 'POST', headers, body });
        const secret = { [SECRET_HEADER]: server.secrets.RBAC_SYNC_WEBHOOK_SECRET };
        const { json } = await service.increment(user.id.toUpperCase(), 'taxonomy_tags', 5);
        assert.equal(json.newValue, 5);
        const nobody = await service.increment('00000000-0000-4000-8000-000000000000', 'taxonomy_tags');
        assert.deepEqual([nobody.status, nobody.json.field], [404, 'userId']);
        const whose = await post(secret, { operation: 'taxonomy_tags' });
        assert.deepEqual([whose.status, whose.json.code, whose.json.field], [400, 'missing_field', 'userId']);
        for (const headers of [{}, { [SECRET_HEADER]: 'wrong' }]) {
            const { status } = await post(headers, { operation: 'taxonomy_tags', userId: user.id });
            assert.equal(status, 401);
        }
        assert.equal((await readUsage(server, user.token)).json.usage.taxonomy_tags, 5);
        service.close();
    });

    it('needs a token', async () => {
        assert.equal((await server.request('/api/usage')).status, 401);
    });

    it('lets a changed plan count at once', async () => {
        const mover = await server.addUser();
        assertRefused(await increment(server, mover.token, 'post_creations', 10), 'limit_reached');
        setUser(server, mover, "subscription_tier = 'elite'");
        assert.equal((await increment(server, mover.token, 'post_creations', 10)).json.newValue, 10);
        assert.equal((await readUsage(server, mover.token)).json.tier, 'studio');
        setUser(server, mover, 'subscription_tier = NULL');
        assertRefused(await increment(server, mover.token, 'post_creations'), 'limit_reached');
        await eventually(async () => (await readUsage(server, mover.token)).json.tier === 'starter');
        assert.equal((await readUsage(server, mover.token)).json.remaining.post_creations, 0);
    });

    it('begins cycles on the day of the subscription, or on the last of a shorter month', async () => {
        const payer = await server.addUser();
        const now = new Date();
        const date = (year, month, day) => {
            const last = new Date(Date.UTC(year, month + 1, 0)).getUTCDate();
            return Date.UTC(year, month, Math.min(day, last));
        };
        const cases = [1, 15, 28, 29, 30, 31].flatMap((day) => [
            [`'2024-01-${String(day).padStart(2, '0')}T13:14:15.000Z'`, 'monthly', 0, day],
            [`'2099-01-${String(day).padStart(2, '0')}T13:14:15.000Z'`, 'monthly', 0, day],
        ]);
        cases.push(
            ["'2024-02-29T23:59:59.999Z'", 'yearly', 1, 29],
            ["'2020-12-31T00:00:00.000Z'", 'yearly', 11, 31],
        );
        cases.push(['NULL', 'monthly', 0, 1], ['NULL', 'yearly', 0, 1]);
        for (const [start, period, month, day] of cases) {
            setUser(server, payer, `subscription_start = ${start}, subscription_period = '${period}'`);
            const step = period === 'yearly' ? 12 : 1;
            let at = period === 'yearly' ? month : now.getUTCMonth();
            if (date(now.getUTCFullYear(), at, day) > now) at -= step;
            const expected = [at, at + step].map((m) =>
                new Date(
                    date(now.getUTCFullYear() + Math.floor(m / 12), ((m % 12) + 12) % 12, day),
                ).toISOString(),
            );
            await increment(server, payer.token, 'ytdlp_info'); // what was remembered is read anew
            const { json } = await readUsage(server, payer.token);
            assert.deepEqual([json.cycle_start, json.resets_at], expected, `${start} ${period}`);
        }
    });

    it('has counters of the cycle that runs alone', async () => {
        const payer = await server.addUser();
        assert.equal((await increment(server, payer.token, 'post_creations', 3)).status, 200);
        sql(
            server,
            `UPDATE user_usage_counts SET billing_cycle_start = '2024-01-01T00:00:00.000Z' WHERE user_id = '${payer.id}'`,
        );
        assert.equal((await increment(server, payer.token, 'post_creations')).json.newValue, 1);
    });

    it('shows on and counts nothing while counters can’t be read', async () => {
        const victim = await server.addUser();
        assert.equal((await increment(server, victim.token, 'post_creations', 2)).status, 200);
        assert.equal((await readUsage(server, victim.token)).json.degraded, undefined);
        sql(server, 'ALTER TABLE user_usage_counts RENAME TO gone');
        try {
            const refused = await increment(server, victim.token, 'post_creations');
            assertRefused(refused, 'quota_check_failed');
            assert.equal(refused.json.limit, undefined);
            await eventually(async () => (await readUsage(server, victim.token)).json.degraded === true);
            const { status, json } = await readUsage(server, victim.token);
            assert.equal(status, 200);
            assert.equal(json.tier, 'starter');
            assert.equal(json.usage.post_creations, 0);
            assert.equal(json.limits.post_creations, 3);
            assert.ok(json.resets_at);
        } finally {
            sql(server, 'ALTER TABLE gone RENAME TO user_usage_counts');
        }
        assert.equal((await increment(server, victim.token, 'post_creations')).json.newValue, 3);
        const { json } = await readUsage(server, victim.token);
        assert.equal(json.degraded, undefined);
        assert.equal(json.usage.post_creations, 3);
    });

    it('refuses while the disk is full, and shows on', { skip: ON_POSTGRES }, async () => {
        const victim = await server.addUser();
        assert.equal((await increment(server, victim.token, 'post_creations')).status, 200);
        const limit = (bytes) => execFileSync('prlimit', ['--pid', String(server.pid), `--fsize=${bytes}:`]);
        limit(4096);
        try {
            for (let i = 0; i < 5; i++)
                assertRefused(await increment(server, victim.token, 'post_creations'), 'quota_check_failed');
            const { status, json } = await readUsage(server, victim.token);
            assert.deepEqual([status, json.usage.post_creations, json.degraded], [200, 1, undefined]);
        } finally {
            limit('unlimited');
        }
        assert.equal((await increment(server, victim.token, 'post_creations')).json.newValue, 2);
        await server.assertWell();
    });
});

describe('plans that change while the server runs', () => {
    let server, user, path;
    before(async () => {
        server = new Genie();
        path = writeTiers(join(server.dataDir, 'tiers.json'), (t) => (t.tiers.starter.caption_generator = 1));
        server.extra.TIERS_FILE = path;
        await server.start();
        user = await server.addUser();
    });
    after(() => stopAll(server));

    const loaded = () => server.logs().filter(({ json }) => json?.msg === 'tiers in force').length;
    const refused = () =>
        server.logs().filter(({ json }) => json?.msg?.startsWith('the tiers file is refused'));
    const limitOf = async () => (await readUsage(server, user.token)).json.limits.post_creations;

    it('give a plan another name, which counts wherever plans do', async () => {
        const aliased = writeTiers(join(server.dataDir, 'aliased.json'), (t) => (t.aliases.gold = 'pro'));
        const other = new Genie({ env: { TIERS_FILE: aliased } });
        await other.start();
        try {
            const gold = await other.addUser({ tier: 'gold' });
            sql(other, `UPDATE directus_users SET subscription_tier = 'gold' WHERE id = '${gold.id}'`);
            const id = randomUUID();
            sql(
                other,
                `INSERT INTO fan_profiles (id, user_id, platform, notes) VALUES ('${id}', '${gold.id}', 'x', 'kind')`,
            );
            await eventually(async () => (await readUsage(other, gold.token)).json.tier === 'pro');
            const fan = await other.request(`/api/fans/${id}`, { token: gold.token });
            assert.equal(fan.json.data.notes, 'kind');
        } finally {
            await other.stop();
        }
    });

    it('are read again on SIGHUP', async () => {
        assert.equal(await limitOf(), 1);
        writeTiers(path, (t) => {
            t.tiers.starter.caption_generator = 7;
            t.features.caption_generator.shown_as = 'captions';
        });
        assert.equal(await limitOf(), 1);
        const before = loaded();
        server.child.kill('SIGHUP');
        await eventually(() => loaded() > before);
        const { json } = await readUsage(server, user.token);
        assert.equal(json.limits.captions, 7);
        assert.equal((await increment(server, user.token, 'captions', 7)).json.limitReached, true);
        assert.equal((await increment(server, user.token, 'post_creations')).json.code, 'unknown_operation');
    });

    it('stay as they are where the file is bad, which is said with its place', async () => {
        const bad = [
            ['{"features":', /line 1, column 12/],
            ['[]', /must be a JSON object/],
            [undefined, /tiers\.pro\.ai_clip_ops must be a whole number/],
        ];
        for (const [text, sentence] of bad) {
            if (text) writeFileSync(path, text);
            else writeTiers(path, (t) => (t.tiers.pro.ai_clip_ops = 'many'));
            const before = refused().length;
            server.child.kill('SIGHUP');
            await eventually(() => refused().length > before);
            assert.match(refused().at(-1).json.error, sentence);
            assert.ok(refused().at(-1).json.error.startsWith(path));
            assert.equal((await readUsage(server, user.token)).json.limits.captions, 7);
            const { stderr } = await server.cli(['config', '--tiers'], { expect: 1 });
            assert.match(stderr, sentence);
        }
    });

    it('may drop a feature altogether', async () => {
        writeTiers(path, (t) => (t.tiers.starter.taxonomy_ai_calls = 0));
        server.child.kill('SIGHUP');
        await eventually(async () => (await readUsage(server, user.token)).json.limits.taxonomy_tags === 0);
        const gone = await increment(server, user.token, 'taxonomy_tags');
        assertRefused(gone, 'not_in_tier');
        assert.equal(gone.json.message, "Your plan doesn't include taxonomy AI calls.");
        const { stdout } = await server.cli(['config', '--tiers']);
        assert.equal(JSON.parse(stdout).tiers.starter.taxonomy_ai_calls, 0);
    });

    it('stop the start where the file is bad', async () => {
        writeFileSync(path, '{}');
        const { stdout, stderr } = await server.cli(['serve', '--port', '0'], { expect: 1 });
        assert.match(stdout + stderr, /features is missing/);
    });
});

test('two servers on one store count together', async () => {
    const one = await startGenie();
    const two = await new Genie({
        dataDir: one.dataDir,
        database: one.databaseUrl,
        env: one.secrets,
    }).start();
    try {
        const user = await one.addUser({ tier: 'creator' });
        for (let i = 1; i <= 20; i++) {
            const server = i % 2 ? one : two;
            assert.equal((await increment(server, user.token, 'post_creations')).json.newValue, i);
            assert.equal((await readUsage(server, user.token)).json.usage.post_creations, i);
        }
        const services = [new Service(one), new Service(two)];
        const answers = await Promise.all(
            Array.from({ length: 64 }, (_, i) => services[i % 2].increment(user.id, 'post_creations')),
        );
        assert.equal(answers.filter(({ status }) => status === 200).length, 30);
        for (const server of [one, two])
            await eventually(
                async () => (await readUsage(server, user.token)).json.usage.post_creations === 50,
            );
        services.forEach((service) => service.close());
    } finally {
        await two.stop({ keep: true });
        await one.stop();
    }
});

test('PostgreSQL that is stopped: nothing is counted, nothing is lost', { skip: !ON_POSTGRES }, async () => {
    const postgres = new PostgresServer();
    const server = await new Genie({ database: postgres.url }).start();
    try {
        const user = await server.addUser({ tier: 'studio' });
        assert.equal((await increment(server, user.token, 'post_creations')).json.newValue, 1);
        postgres.halt();
        for (let i = 0; i < 3; i++) {
            const { status, json } = await increment(server, user.token, 'post_creations');
            assert.ok(
                status === 503 || (status === 403 && json.reason === 'quota_check_failed'),
                `${status}`,
            );
        }
        // who asks can't be known any more
        await eventually(async () => (await readUsage(server, user.token)).status === 503);
        assert.equal((await increment(server, user.token, 'post_creations')).json.code, 'store_unavailable');
        postgres.resume();
        await eventually(async () => (await readUsage(server, user.token)).status === 200);
        assert.equal((await increment(server, user.token, 'post_creations')).json.newValue, 2);
        await server.assertWell();
    } finally {
        await server.stop();
        postgres.remove();
    }
});

const ROUNDS = 8;
const CLIENTS = 16;

test('killed at random under increments, what was acknowledged is counted, and no more than was sent', async () => {
    const server = await startGenie({ env: { LOG_LEVEL: 'warn' } });
    try {
        const [user] = addRows(server, 1, 'studio');
        let acknowledged = 0;
        let lost = 0;
        for (let round = 0; round < ROUNDS; round++) {
            const service = new Service(server);
            const before = acknowledged;
            let killed = false;
            const client = async () => {
                while (!killed) {
                    const answer = await service.increment(user, 'post_creations');
                    if (answer?.status === 200) acknowledged++;
                    else lost++;
                    if (answer) assert.equal(answer.status, 200);
                    else return;
                }
            };
            const clients = Array.from({ length: CLIENTS }, client);
            await eventually(() => acknowledged > before + 5);
            await new Promise((resolve) => setTimeout(resolve, Math.random() * 30));
            await server.kill9();
            killed = true;
            await Promise.all(clients);
            service.close();
            await server.restart();
            const used = counted(server, user);
            assert.ok(used >= acknowledged, `${used} counted, ${acknowledged} acknowledged`);
            assert.ok(used <= acknowledged + lost, `${used} counted, ${acknowledged} + ${lost} sent`);
        }
        assert.ok(lost > 0, 'some answers were cut off');
    } finally {
        await server.stop();
    }
});

describe('messages of the chat', () => {
    let model, server, user;
    before(async () => {
        model = await startModel({ formats: ['openai'] });
        server = new Genie({ env: CONNECT.openai(model) });
        server.extra.TIERS_FILE = writeTiers(join(server.dataDir, 'tiers.json'), (t) => {
            t.features.chat_messages = { shown_as: 'messages', label: 'chat messages' };
            t.tiers.starter.chat_messages = 2;
        });
        await server.start();
        user = await server.addUser();
    });
    after(() => stopAll(server, model));

    const used = async () => (await readUsage(server, user.token)).json.usage.messages;
    const send = (message, who = user) => talk(server, who, { message });

    it('count where the tier names them, but not those that came to nothing', async () => {
        model.reply({ text: 'An answer' });
        await send('one');
        assert.equal(await used(), 1);
        model.reply({ status: 500 });
        await send('two');
        assert.equal(await used(), 1);
        model.reply({ text: 'An answer' });
        await send('three');
        assert.equal(await used(), 2);
        const refused = await server.request('/api/genie/stream-chat', {
            method: 'POST',
            token: user.token,
            body: { message: 'four' },
        });
        assertRefused(refused, 'limit_reached');
        assert.equal(refused.json.message, 'You have reached your plan limit for chat messages.');
        assert.ok(!model.chats.some(({ prompt }) => prompt === 'four'), 'the model was not asked');
        assert.deepEqual(
            sql(
                server,
                'SELECT status, count(*) AS n FROM quota_reservations GROUP BY status ORDER BY status',
            ),
            [
                { status: 'kept', n: 2 },
                { status: 'returned', n: 1 },
            ],
        );
    });

    it('are counted exactly, however often the server is killed', async () => {
        const limit = (n) => {
            writeTiers(server.extra.TIERS_FILE, (t) => {
                t.features.chat_messages = { shown_as: 'messages', label: 'chat messages' };
                t.tiers.starter.chat_messages = n;
            });
        };
        limit(100000);
        await server.restart();
        const writer = await server.addUser();
        model.reply((request) => ({ text: `Answer to ${request.prompt}` }));
        for (let round = 0; round < 3; round++) {
            let killed = false;
            let finalized = 0;
            const client = async (n) => {
                for (let i = 0; !killed; i++) {
                    const message = `round ${round} client ${n} message ${i}`;
                    const stream = await openChat(server, writer.token, { message }).catch(() => null);
                    if (!stream) return;
                    await stream.ended();
                    if (stream.events.at(-1)?.json.type === 'finalizeResponseStream') finalized++;
                }
            };
            const clients = Array.from({ length: 8 }, (_, n) => client(n));
            await eventually(() => finalized > 5);
            await server.kill9();
            killed = true;
            await Promise.all(clients);
            await server.restart();
        }
        const of = `user_id = '${writer.id}'`;
        const [held, kept] = ['held', 'kept'].map((status) =>
            Number(
                sql(
                    server,
                    `SELECT count(*) AS n FROM quota_reservations WHERE status = '${status}' AND ${of}`,
                )[0].n,
            ),
        );
        const stored = Number(
            sql(server, "SELECT count(*) AS n FROM workspace_chats WHERE prompt LIKE 'round %'")[0].n,
        );
        assert.equal(kept, stored, 'each stored exchange counts');
        assert.equal(counted(server, writer.id), kept + held);
        // the leases of those that were killed end
        sql(
            server,
            `UPDATE quota_reservations SET expires_at = '2001-01-01T00:00:00.000Z' WHERE status = 'held'`,
        );
        limit(stored + 1);
        await server.restart();
        await talk(server, writer, { message: 'one more' });
        assert.equal(counted(server, writer.id), stored + 1);
        limit(2);
        await server.restart();
    });

    it('are not counted elsewhere', async () => {
        const other = await server.addUser({ tier: 'pro' });
        for (let i = 0; i < 3; i++) await send(`message ${i}`, other);
        assert.equal((await readUsage(server, other.token)).json.usage.messages, undefined);
    });
});
