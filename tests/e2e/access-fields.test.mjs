// SPDX-License-Identifier: MIT
//
// Who reaches which field of which row: every column that the store has, by every way of reading and writing it,
// through the items API, through the steps of a flow, and through the profile. What is expected is what
// `genie config --access` prints; a table or column that isn't there is closed. So a new column is in this test
// as soon as a migration makes it.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { accessOf, catalogueOf, contentsOf, filledRow } from '../support/catalogue.mjs';
import { GENIE_BIN, startGenie } from '../support/genie.mjs';
import { startModel } from '../support/model.mjs';
import { chat } from '../support/sse.mjs';
import { CONNECT, newSession, quoted, sql, stopAll } from '../support/talk.mjs';

const AT_ONCE = 8;
const STEPS = 30;
const FLOWS = 8;
const FILES = 'directus_files';
const USERS = 'directus_users';
/** Made and deleted by routes of their own. */
const ELSEWHERE = { [FILES]: 'cd' };
const PROFILE = [
    ...['id', 'email', 'first_name', 'last_name', 'avatar', 'title', 'description', 'location', 'language'],
    ...['tags', 'subscription_tier', 'onboarding_state', 'role'],
];

const access = accessOf(GENIE_BIN);
const items = (collection) =>
    collection === FILES ? '/api/directus/files' : `/api/directus/items/${collection}`;
const overHttp = (collection) => collection === FILES || !collection.startsWith('directus_');

/** What one may do with which columns: {r, c, u, d, reads, creates, updates}; all empty where a table is closed. */
function rightsOf(name, who) {
    const c = access.collections[name];
    if (!c) return { r: false, c: false, u: false, d: false, reads: [], creates: [], updates: [] };
    const letters = [...(who.admin ? c.admin : c.user)].filter(
        (l) => who.admin || !ELSEWHERE[name]?.includes(l),
    );
    const has = Object.fromEntries([...'rcud'].map((letter) => [letter, letters.includes(letter)]));
    const all = [...new Set([...c.writes, ...c.seen, ...c.set, ...c.adminsOnly])];
    const open = (column) => who.extended || !c.extended.includes(column);
    const sees = who.admin ? all : all.filter((column) => !c.adminsOnly.includes(column) && open(column));
    const writes = who.admin ? all.filter((column) => !c.set.includes(column)) : c.writes.filter(open);
    return { ...has, reads: has.r ? sees : [], creates: has.c ? writes : [], updates: has.u ? writes : [] };
}

/** Runs fn on all items, a few at a time. */
async function each(list, fn, atOnce = AT_ONCE) {
    const rest = [...list];
    const work = async () => {
        for (let item = rest.shift(); item !== undefined; item = rest.shift()) await fn(item);
    };
    await Promise.all(Array.from({ length: atOnce }, work));
}

describe('fields and rows', () => {
    let genie, model, catalogue, admin, shared, flows;
    const people = {};

    const json = (value) => encodeURIComponent(JSON.stringify(value));

    before(async () => {
        model = await startModel({ formats: ['openai'] });
        genie = await startGenie({ env: { ...CONNECT.openai(model), STREAM_GRACE_S: '0' } });
        catalogue = catalogueOf(genie);
        // references that are no foreign keys, since what they name may go
        for (const [name, { refers }] of Object.entries(access.collections))
            for (const [column, to] of Object.entries(refers)) catalogue[name][column].refers ??= to;
        flows = 0;
        admin = { ...(await genie.addUser({ role: 'Administrator' })), admin: true };
        for (const [name, tier] of Object.entries({ mine: 'starter', other: 'pro', studio: 'studio' }))
            people[name] = { ...(await genie.addUser({ tier })), extended: tier !== 'starter' };
        shared = { id: null, rows: {}, marks: {} };
        for (const owner of [shared, ...Object.values(people)]) fill(owner);
        sql(genie, "UPDATE user_personas SET onboarding_state = 'COMPLETE'");
    });
    after(async () => await stopAll(genie, model));

    /** A row of every collection: those of a user, or (where the owner has no id) those that all share. */
    function fill(owner) {
        owner.rows ??= {};
        owner.marks ??= {};
        const isOpen = ([name, c]) => name !== USERS && (c.owner === null) === (owner.id === null);
        let rest = Object.entries(access.collections)
            .filter(isOpen)
            .map(([name]) => name);
        const statements = owner.id ? [`DELETE FROM user_personas WHERE user_id = ${quoted(owner.id)}`] : [];
        if (owner.id) owner.rows[USERS] = owner.id;
        const known = {};
        while (rest.length > 0) {
            const waits = (name) =>
                Object.values(access.collections[name].refers).some((to) => to !== name && rest.includes(to));
            const ready = rest.filter((name) => !waits(name));
            for (const name of ready.length > 0 ? ready : [needsNothing(rest)]) {
                const two = [1, 2].map(() => filledRow(catalogue, name, { owner: owner.id, known }));
                const made = isNamedTwice(name) ? two : two.slice(1);
                statements.push(...made.map(({ insert }) => insert));
                known[name] = made.map(({ id }) => id);
                owner.rows[name] = made[0].id;
                owner.marks[name] = made[0].marks;
                rest = rest.filter((other) => other !== name);
            }
        }
        sql(genie, statements.join(';\n'));
    }

    /** Whether a row of some collection names two of this one's. */
    const isNamedTwice = (name) =>
        Object.values(access.collections).some(
            ({ refers }) => Object.values(refers).filter((to) => to === name).length > 1,
        );

    /** Of collections that refer to each other, one that may be without. */
    const needsNothing = (names) =>
        names.find((name) =>
            Object.values(catalogue[name]).every(({ needed, refers }) => !needed || !names.includes(refers)),
        );

    const rowOf = (name, who) => (access.collections[name]?.owner ? who.rows[name] : shared.rows[name]);
    const stored = (name, id) => sql(genie, `SELECT * FROM "${name}" WHERE id = ${quoted(id)}`)[0];
    const allOf = (who) => {
        const contents = contentsOf(genie, catalogue, Object.entries(who.rows));
        for (const [name, held] of contents) assert.ok(held, `${name} has lost its row`);
        return contents;
    };

    /** A row as an admin reads it, to be written back, with values that the caller may write. */
    async function valuesOf(name, who) {
        const path = `${items(name)}/${rowOf(name, who)}`;
        const { json: answer } = await genie.request(path, { token: admin.token });
        return answer.data;
    }

    const writable = (name, who, values, columns) =>
        Object.fromEntries(
            columns.map((column) => {
                const fewer = who.admin ? undefined : access.limits[`${name}.${column}`];
                return [column, fewer && !fewer.includes(values[column]) ? fewer[0] : values[column]];
            }),
        );

    // ---- probes: one way to reach something, and what must come of it

    /** The probes of what `who` may not do with the fields of their own row. */
    function closedFields(name, who) {
        const id = rowOf(name, who) ?? people.other.rows[name] ?? people.mine.id;
        const rights = rightsOf(name, who);
        const found = [];
        for (const column of Object.keys(catalogue[name])) {
            const value = column === 'id' || column === 'user_id' ? people.other.id : 'x';
            const probe = (what) => found.push({ name, id, column, expect: 'refused', ...what });
            if (!rights.reads.includes(column)) {
                probe({ op: 'read', fields: [column] });
                probe({ op: 'read', filter: { _or: [{ [column]: { _nnull: true } }] } });
                probe({ op: 'read', sort: [column] });
                probe({ op: 'read', sort: [`-${column}`] });
                const mark = who.marks?.[name]?.[column];
                if (mark && rights.r) probe({ op: 'read', search: mark, expect: 'empty' });
            }
            if (!rights.creates.includes(column)) probe({ op: 'create', data: { [column]: value } });
            if (!rights.updates.includes(column)) probe({ op: 'update', data: { [column]: value } });
        }
        if (!rights.r) found.push({ name, id, op: 'read', expect: 'refused' });
        if (!rights.d) found.push({ name, id, op: 'delete', expect: 'refused' });
        return found;
    }

    /** The probes of somebody else's row. */
    function foreignRow(name, who, whose) {
        const id = whose.rows[name];
        const { r, u, d, updates, reads } = rightsOf(name, who);
        const found = [];
        if (r) found.push({ name, id, op: 'read', one: true, expect: 'absent' });
        if (r) found.push({ name, op: 'read', filter: { id: { _in: [id] } }, expect: 'empty' });
        if (r) found.push({ name, op: 'read', filter: { id: { _eq: id } }, sort: ['-id'], expect: 'empty' });
        const owner = access.collections[name].owner;
        if (reads.includes(owner))
            found.push({
                name,
                op: 'read',
                filter: { _or: [{ [owner]: { _eq: whose.id } }] },
                expect: 'empty',
            });
        for (const [column, mark] of Object.entries(whose.marks[name] ?? {}))
            if (r) found.push({ name, column, op: 'read', search: mark, expect: 'empty' });
        if (u) found.push({ name, id, op: 'update', data: { [updates[0]]: null }, expect: 'not-done' });
        if (d) found.push({ name, id, op: 'delete', expect: 'absent' });
        return found;
    }

    // ---- through the items API

    async function sendProbe({ name, id, op, one, fields, filter, sort, search, data }, token) {
        const query = [
            fields && `fields=${fields}`,
            filter && `filter=${json(filter)}`,
            sort && `sort=${sort}`,
            search && `search=${search}`,
        ];
        const path = `${items(name)}${one || op === 'update' || op === 'delete' ? `/${id}` : ''}`;
        const method = { read: 'GET', create: 'POST', update: 'PATCH', delete: 'DELETE' }[op];
        const shown = op === 'read' ? `?${query.filter(Boolean).join('&')}` : '';
        return await genie.request(path + shown, { method, token, body: data });
    }

    const HTTP = {
        'refused': ({ status, json: body }) =>
            status === 403 && body.errors[0].extensions.code === 'FORBIDDEN',
        'absent': ({ status, json: body }) =>
            status === 403 && body.errors[0].extensions.code === 'FORBIDDEN',
        'empty': ({ status, json: body }) => status === 200 && body.data.length === 0,
        'not-done': ({ status }) => status === 403 || status === 400,
        'foreign': ({ status, json: body }) =>
            status === 400 && body.errors[0].extensions.code === 'INVALID_FOREIGN_KEY',
    };

    /** JSON at /files makes nothing, whatever it holds; and there one does delete one's own. */
    const isSent = ({ name, op, expect }) =>
        overHttp(name) && !(name === FILES && (op === 'create' || (op === 'delete' && expect === 'refused')));

    async function probeItems(probes, who) {
        const sent = probes.filter(isSent);
        const hold = async (probe) => {
            const answer = await sendProbe(probe, who.token);
            const shown = `${JSON.stringify(probe)}: ${answer.status} ${answer.text.slice(0, 300)}`;
            assert.ok(HTTP[probe.expect](answer), shown);
        };
        await each(
            sent.filter(({ search }) => !search),
            hold,
        );
        await each(
            sent.filter(({ search }) => search),
            hold,
            1,
        ); // one user's searches at once are few
        assert.ok(sent.length > 0);
    }

    // ---- through flows

    const STEP = {
        read: ({ name, one, id, fields, filter, sort, search }) => {
            const config = { collection: name, fields: fields ?? ['id'], filter, sort, limit: 1 };
            if (one) return ['directus_read', { collection: name, id }];
            return search ? ['directus_search', { ...config, query: search }] : ['directus_read', config];
        },
        create: ({ name, data }) => ['directus_write', { collection: name, data }],
        update: ({ name, id, data }) => ['directus_update', { collection: name, id, data }],
        delete: ({ name, id }) => ['directus_delete', { collection: name, id }],
    };

    const RESULT = {
        'refused': ({ error }) => /^You may not do this in /.test(error),
        'absent': ({ error }) => /^There is no such row in /.test(error),
        'empty': (rows) => Array.isArray(rows) && rows.length === 0,
        'not-done': ({ error }) => typeof error === 'string',
        'foreign': ({ error }) => /^There is no such row in /.test(error),
    };

    async function makeFlow(probes) {
        const slug = `probe-${++flows}`;
        const steps = probes.map((probe, i) => {
            const [type, config] = STEP[probe.op](probe);
            return { type, config, result_key: `r${i}`, on_error: 'continue' };
        });
        const body = { slug, name: slug, active: true, allow_side_effects: true, steps };
        const made = await genie.request(items('action_flows'), { method: 'POST', token: admin.token, body });
        assert.equal(made.status, 200, made.text);
        return { slug, probes };
    }

    async function probeFlows(probes, who) {
        const made = [];
        for (let at = 0; at < probes.length; at += STEPS)
            made.push(await makeFlow(probes.slice(at, at + STEPS)));
        assert.ok(made.length > 0);
        for (let at = 0; at < made.length; at += FLOWS) {
            const some = made.slice(at, at + FLOWS);
            model.once({ text: some.map(({ slug }) => `[ACTION:${slug}:{}]`).join(' ') });
            const seen = await chat(genie, who.token, { message: 'go', sessionId: newSession() });
            const results = seen.events.filter(({ type }) => type === 'actionResult');
            assert.deepEqual(
                results.map(({ slug, success }) => [slug, success]),
                some.map(({ slug }) => [slug, true]),
                JSON.stringify(
                    seen.events.filter(({ type }) => type === 'toolCall' || type === 'abort').slice(-2),
                ),
            );
            results.forEach((result, i) =>
                some[i].probes.forEach((probe, k) => {
                    const got = result.results[`r${k}`];
                    assert.ok(RESULT[probe.expect](got), `${JSON.stringify(probe)}: ${JSON.stringify(got)}`);
                }),
            );
        }
        sql(genie, "DELETE FROM action_flows WHERE slug LIKE 'probe-%'");
    }

    // ---- the promises

    const tables = () => Object.keys(catalogue);
    const owned = () => tables().filter((name) => access.collections[name]?.owner);
    const ways = { 'the items API': probeItems, 'a flow': probeFlows };

    test('the printed table names columns that are there, and the store has tables that are closed', () => {
        for (const [name, c] of Object.entries(access.collections)) {
            const named = [...c.writes, ...c.seen, ...c.set, ...c.adminsOnly, ...Object.keys(c.refers)];
            assert.deepEqual(
                named.filter((column) => !catalogue[name]?.[column]),
                [],
                name,
            );
        }
        const closed = tables().filter((name) => !access.collections[name]);
        for (const name of [
            'users',
            'workspace_chats',
            'directus_sessions',
            'directus_policies',
            'rate_limits',
        ])
            assert.ok(closed.includes(name), name);
        const hidden = {
            [USERS]: ['password', 'token', 'tfa_secret'],
            platform_connections: ['encrypted_credentials'],
        };
        for (const [name, columns] of Object.entries(hidden))
            for (const column of columns) {
                assert.ok(catalogue[name][column], `${name}.${column}`);
                assert.ok(!rightsOf(name, admin).reads.includes(column), `${name}.${column}`);
            }
    });

    for (const [way, probe] of Object.entries(ways)) {
        test(`a user reaches no closed field through ${way}`, async () => {
            const { mine } = people;
            const was = allOf(mine);
            await probe(
                tables().flatMap((name) => closedFields(name, mine)),
                mine,
            );
            assert.deepEqual(allOf(mine), was);
        });

        test(`an admin reaches no audit and nothing encrypted through ${way}`, async () => {
            const who = { ...admin, rows: people.mine.rows, marks: people.mine.marks };
            const was = allOf(people.mine);
            await probe(
                tables().flatMap((name) => closedFields(name, who)),
                who,
            );
            assert.deepEqual(allOf(people.mine), was);
        });

        test(`nobody reaches another user's row through ${way}`, async () => {
            const { mine, other } = people;
            const was = allOf(other);
            await probe(
                owned().flatMap((name) => foreignRow(name, mine, other)),
                mine,
            );
            assert.deepEqual(allOf(other), was);
        });

        test(`no reference names another user's row through ${way}`, async () => {
            const { mine, other } = people;
            const probes = [];
            for (const name of owned().filter(overHttp)) {
                const values = await valuesOf(name, mine);
                for (const [column, to] of Object.entries(access.collections[name].refers)) {
                    const { creates, updates } = rightsOf(name, mine);
                    const data = { [column]: other.rows[to] };
                    if (updates.includes(column))
                        probes.push({ name, id: mine.rows[name], op: 'update', data, expect: 'foreign' });
                    if (creates.includes(column))
                        probes.push({
                            name,
                            op: 'create',
                            data: { ...writable(name, mine, values, creates), ...data },
                            expect: 'foreign',
                        });
                }
            }
            assert.ok(probes.length > 10);
            await probe(probes, mine);
        });
    }

    test('nor may an admin tie a row to somebody else', async () => {
        const probes = owned()
            .filter(overHttp)
            .filter((name) => rightsOf(name, admin).u)
            .flatMap((name) =>
                Object.entries(access.collections[name].refers).map(([column, to]) => ({
                    name,
                    id: people.mine.rows[name],
                    op: 'update',
                    data: { [column]: people.other.rows[to] },
                    expect: 'foreign',
                })),
            );
        await probeItems(probes, admin);
    });

    test("counts are of what one sees, and of many rows all are one's own or none is touched", async () => {
        const { mine, other } = people;
        const was = allOf(other);
        await each(owned().filter(overHttp), async (name) => {
            const path = items(name);
            const token = mine.token;
            const { json: list } = await genie.request(`${path}?limit=0&meta=total_count,filter_count`, {
                token,
            });
            const [{ n }] = sql(
                genie,
                `SELECT count(*) AS n FROM "${name}" WHERE ${access.collections[name].owner} = ${quoted(mine.id)}`,
            );
            assert.deepEqual(list.meta, { total_count: Number(n), filter_count: Number(n) }, name);
            const filter = json({ id: { _eq: other.rows[name] } });
            const { json: none } = await genie.request(`${path}?filter=${filter}&meta=filter_count`, {
                token,
            });
            assert.equal(none.meta.filter_count, 0, name);
            const { updates, d } = rightsOf(name, mine);
            const keys = [mine.rows[name], other.rows[name]];
            const before_ = stored(name, mine.rows[name]);
            if (updates.length > 0 && name !== FILES) {
                const values = writable(name, mine, await valuesOf(name, mine), updates);
                const answer = await genie.request(path, {
                    method: 'PATCH',
                    token,
                    body: { keys, data: values },
                });
                assert.equal(answer.status, 403, `${name} ${answer.text}`);
            }
            if (d && name !== FILES) {
                const answer = await genie.request(path, { method: 'DELETE', token, body: keys });
                assert.equal(answer.status, 403, `${name} ${answer.text}`);
            }
            assert.deepEqual(stored(name, mine.rows[name]), before_, name);
        });
        assert.deepEqual(allOf(other), was);
    });

    for (const name of ['mine', 'studio', 'admin'])
        test(`what is open is open: ${name}`, async () => {
            const who = name === 'admin' ? { ...admin, rows: people.mine.rows } : people[name];
            const open = tables().filter((table) => overHttp(table) && rightsOf(table, who).r);
            await each(open, async (table) => {
                const { reads, updates } = rightsOf(table, who);
                const path = items(table);
                const one = json({ id: { _eq: rowOf(table, who) } });
                for (const fields of [reads.join(','), '*']) {
                    const { status, json: body } = await genie.request(
                        `${path}?fields=${fields}&filter=${one}`,
                        {
                            token: who.token,
                        },
                    );
                    assert.equal(status, 200, table);
                    assert.deepEqual(Object.keys(body.data[0]).sort(), [...reads].sort(), table);
                }
                const filter = json({ _and: reads.map((column) => ({ [column]: { _nnull: true } })) });
                assert.equal(
                    (await genie.request(`${path}?filter=${filter}`, { token: who.token })).status,
                    200,
                );
                if (updates.length === 0) return;
                const values = writable(table, who, await valuesOf(table, who), updates);
                const changed = await genie.request(`${path}/${rowOf(table, who)}`, {
                    method: 'PATCH',
                    token: who.token,
                    body: values,
                });
                assert.equal(changed.status, 200, `${table} ${changed.text}`);
            });
        });

    test('a search finds what one sees', async () => {
        const { mine } = people;
        const found = [];
        for (const [table, marks] of Object.entries(mine.marks).filter(([name]) => overHttp(name)))
            for (const [column, mark] of Object.entries(marks)) {
                const answer = await genie.request(`${items(table)}?search=${mark}`, { token: mine.token });
                assert.equal(answer.status, 200, answer.text);
                if (answer.json.data.length > 0) found.push(`${table}.${column}`);
            }
        for (const field of ['user_nodes.title', 'media_jobs.error_message', 'fan_profiles.display_name'])
            assert.ok(found.includes(field), field);
        for (const field of ['fan_profiles.notes', 'platform_connections.encrypted_credentials'])
            assert.ok(!found.includes(field), field);
    });

    test("one's own profile has the fields of the profile, and no other", async () => {
        const { mine } = people;
        const { token } = mine;
        const me = '/api/directus/users/me';
        const own = () => stored(USERS, mine.id);
        const was = own();
        const writes = rightsOf(USERS, mine).updates;
        const proxy = '/api/user-proxy';
        const { json: shown } = await genie.request(proxy, { token });
        assert.deepEqual(Object.keys(shown.data).sort(), [...PROFILE].sort());
        await each(Object.keys(catalogue[USERS]), async (column) => {
            const read = await genie.request(`${me}?fields=${column}`, { token });
            assert.equal(read.status, PROFILE.includes(column) ? 200 : 403, `${column} ${read.text}`);
            if (writes.includes(column)) return;
            const body = { [column]: column === 'id' ? people.other.id : 'x', title: 'not this' };
            const patched = await genie.request(me, { method: 'PATCH', token, body });
            assert.equal(patched.status, 403, `${column} ${patched.text}`);
            const proxied = await genie.request(proxy, { method: 'PATCH', token, body });
            assert.deepEqual([proxied.status, proxied.json.code], [400, 'field_not_allowed'], column);
        });
        assert.deepEqual(own(), was);
        const values = Object.fromEntries(writes.map((column) => [column, column === 'tags' ? ['a'] : 'en']));
        for (const path of [me, proxy]) {
            const done = await genie.request(path, { method: 'PATCH', token, body: values });
            assert.equal(done.status, 200, done.text);
        }
        const changed = own();
        const other = ([column]) => !writes.includes(column);
        assert.deepEqual(Object.entries(changed).filter(other), Object.entries(was).filter(other));
    });

    test('what one may delete and create goes and comes, with the fields that one may give', async () => {
        const { mine } = people;
        const creatable = owned().filter((name) => overHttp(name) && rightsOf(name, mine).c);
        const deletable = owned().filter((name) => overHttp(name) && rightsOf(name, mine).d);
        const refers = (name) => Object.values(access.collections[name].refers);
        const inOrder = [];
        // those first that no other row needs
        for (let rest = [...new Set([...creatable, ...deletable])]; rest.length > 0; ) {
            const next = rest.find(
                (name) => !rest.some((other) => other !== name && refers(other).includes(name)),
            );
            inOrder.push(next ?? rest[0]);
            rest = rest.filter((name) => name !== inOrder.at(-1));
        }
        for (const name of inOrder.filter((table) => creatable.includes(table))) {
            const { creates } = rightsOf(name, mine);
            const body = writable(name, mine, await valuesOf(name, mine), creates);
            if (deletable.includes(name)) await remove(name, mine);
            const made = await genie.request(items(name), { method: 'POST', token: mine.token, body });
            assert.equal(made.status, 200, `${name} ${made.text}`);
            assert.equal(made.json.data.user_id, mine.id);
        }
        for (const name of inOrder.filter((table) => !creatable.includes(table))) await remove(name, mine);
    });

    async function remove(name, who) {
        const gone = await genie.request(`${items(name)}/${who.rows[name]}`, {
            method: 'DELETE',
            token: who.token,
        });
        assert.equal(gone.status, 204, `${name} ${gone.text}`);
    }
});
