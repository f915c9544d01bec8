// SPDX-License-Identifier: MIT
//
// One's own fans, with the fields that one's plan shows.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { startGenie } from '../support/genie.mjs';
import { quoted, sql } from '../support/talk.mjs';

const BASE = [
    'display_name',
    'username',
    'platform',
    'status',
    'subscribed_at',
    'last_seen_at',
    'total_spend',
    'currency',
    'tags',
];
const EXTENDED = [
    'message_count',
    'purchase_count',
    'tip_total',
    'ppv_total',
    'avg_order_value',
    'sentiment',
    'churn_risk',
    'lifetime_days',
    'notes',
    'preferences',
    'custom',
];

describe('fans', () => {
    let server, starter, pro;
    const fans = {};

    function addFan(user, name, more = {}) {
        const row = {
            id: randomUUID(),
            user_id: user.id,
            platform: 'x',
            display_name: name,
            username: `${name}_u`,
            ...more,
        };
        const values = Object.values(row).map((v) => (typeof v === 'number' ? v : quoted(v)));
        sql(server, `INSERT INTO fan_profiles (${Object.keys(row)}) VALUES (${values})`);
        return row.id;
    }

    before(async () => {
        server = await startGenie();
        starter = await server.addUser({ tier: 'starter' });
        pro = await server.addUser({ tier: 'pro' });
        for (const user of [starter, pro]) {
            const notes = { notes: 'secretnote' };
            fans[user.id] = [
                addFan(user, 'Mia', {
                    last_seen_at: '2026-03-02T00:00:00.000Z',
                    total_spend: 5,
                    churn_risk: 0.9,
                    ...notes,
                }),
                addFan(user, 'Ben', {
                    last_seen_at: '2026-03-03T00:00:00.000Z',
                    total_spend: 50,
                    churn_risk: 0.1,
                    status: 'churned',
                }),
                addFan(user, 'Zoe', {
                    last_seen_at: '2026-03-01T00:00:00.000Z',
                    total_spend: 9,
                    platform: 'onlyfans',
                }),
            ];
        }
    });
    after(() => server.stop());

    const get = (path, user) => server.request(path, { token: user.token });
    const names = async (user, query) => {
        const { status, json, text } = await get(`/api/fans?${query}`, user);
        assert.equal(status, 200, text);
        return [
            json.data.map((f) => f.display_name).join(' '),
            json.meta.total_count,
            json.meta.filter_count,
        ];
    };

    test('own fans only, sorted, searched, filtered, page by page', async () => {
        for (const [query, expected] of [
            ['', ['Ben Mia Zoe', 3, 3]],
            ['sort=-total_spend', ['Ben Zoe Mia', 3, 3]],
            ['sort=display_name', ['Ben Mia Zoe', 3, 3]],
            ['sort=platform,-display_name', ['Zoe Mia Ben', 3, 3]],
            ['status=churned', ['Ben', 3, 1]],
            ['platform=onlyfans', ['Zoe', 3, 1]],
            ['search=mIA_', ['Mia', 3, 1]],
            ['search=nobody', ['', 3, 0]],
            ['limit=1&offset=1', ['Mia', 3, 3]],
        ])
            assert.deepEqual(await names(starter, query), expected, query);
    });

    test('the plan in the database decides on the extended fields', async () => {
        for (const [user, extended] of [
            [starter, false],
            [pro, true],
        ]) {
            const [row] = (await get('/api/fans?limit=1', user)).json.data;
            for (const field of BASE) assert.ok(field in row, field);
            for (const field of EXTENDED) assert.equal(field in row, extended, field);
            const { data } = (await get(`/api/fans/${fans[user.id][0]}`, user)).json;
            for (const field of EXTENDED) assert.equal(field in data, extended, field);
        }
        const admin = await server.addUser({ role: 'Administrator' });
        addFan(admin, 'Adam');
        const [row] = (await get('/api/fans', admin)).json.data;
        assert.deepEqual([row.display_name, 'notes' in row], ['Adam', false]);
    });

    test('what a plan does not show can be neither sorted by nor searched', async () => {
        assert.deepEqual(await names(pro, 'sort=-churn_risk'), ['Mia Ben Zoe', 3, 3]);
        for (const field of [...EXTENDED, 'no_such_field', 'user_id,password']) {
            const { status, json } = await get(`/api/fans?sort=-${field}`, starter);
            assert.deepEqual([status, json.code], [400, 'invalid_query'], field);
        }
        assert.deepEqual(await names(starter, 'search=secretnote'), ['', 3, 0]);
        assert.deepEqual(await names(pro, 'search=secretnote'), ['', 3, 0], 'names alone are searched');
    });

    test('bad queries are told by their parameter', async () => {
        for (const bad of ['limit=501', 'limit=0', 'offset=-1', 'platform=myspace', 'status=gone']) {
            const { status, json } = await get(`/api/fans?${bad}`, pro);
            assert.deepEqual([status, json.code, json.field], [400, 'invalid_query', bad.split('=')[0]]);
        }
    });

    test('a fan comes with accounts, subscriptions and memories, the newest of them', async () => {
        const [id, other] = fans[pro.id];
        const insert = (table, fan, columns, values) =>
            sql(
                server,
                `INSERT INTO ${table} (id, user_id, fan_profile_id, ${columns})
                         VALUES ('${randomUUID()}', '${pro.id}', '${fan}', ${values})`,
            );
        insert('fan_platform_accounts', id, 'platform, platform_fan_id', "'x', 'fan-1'");
        insert('fan_subscriptions', id, 'platform, status, price', "'x', 'active', 9.99");
        insert('fan_memories', other, 'content', "'of another fan'");
        const rows = Array.from(
            { length: 120 },
            (_, i) =>
                `('${randomUUID()}', '${pro.id}', '${id}', 'memory ${i}', '2026-01-01T00:${String(Math.floor(i / 60)).padStart(2, '0')}:${String(i % 60).padStart(2, '0')}.000Z')`,
        );
        sql(
            server,
            `INSERT INTO fan_memories (id, user_id, fan_profile_id, content, date_created) VALUES ${rows}`,
        );
        const { status, json } = await get(`/api/fans/${id}`, pro);
        assert.equal(status, 200);
        assert.equal(json.data.platform_accounts[0].platform_fan_id, 'fan-1');
        assert.equal(json.data.subscriptions[0].price, 9.99);
        assert.deepEqual([json.data.memories.length, json.data.memories[0].content], [100, 'memory 119']);
        assert.deepEqual(json.meta, { platform_accounts: 1, subscriptions: 1, memories: 120 });
    });

    test("another's fan is not there", async () => {
        const admin = await server.addUser({ role: 'Administrator' });
        for (const [user, id] of [
            [pro, fans[starter.id][0]],
            [starter, fans[pro.id][0]],
            [admin, fans[pro.id][0]],
            [pro, 'x'],
            [pro, randomUUID()],
        ]) {
            const { status, json } = await get(`/api/fans/${id}`, user);
            assert.deepEqual([status, json.code], [404, 'not_found']);
        }
    });
});
