// SPDX-License-Identifier: MIT
//
// The database of a real Directus: what genie adds to it and what it leaves alone, how Directus shows it, and what a
// creator's token of Directus opens there.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pageText } from '../support/book.mjs';
import { ADMIN, newDirectus } from '../support/directus.mjs';

const TABLES =
    "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' AND tablename LIKE 'directus%' ORDER BY 1";
const COLUMNS = `SELECT table_name || '.' || column_name AS name FROM information_schema.columns
    WHERE table_schema = 'public' AND table_name LIKE 'directus%' ORDER BY 1`;
const META = ['collections', 'fields', 'relations', 'permissions', 'roles', 'policies', 'access'];

/** What docs/directus.md tells an administrator to keep out of Directus. */
const [, excluded] = /DB_EXCLUDE_TABLES=(\S+)/.exec(pageText('docs/directus.md'));

const TIERS = JSON.parse(readFileSync(new URL('../../config/tier_rate_limits.json', import.meta.url), 'utf8'));

const names = (list) => list.map((row) => row.name);

/** A digest of every row of Directus's tables that genie could write to at its start. */
function meta(directus) {
    const parts = META.map(
        (table) =>
            `SELECT '${table}' AS name, count(*) AS rows, md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) AS sum FROM directus_${table} t`,
    );
    return directus.sql(`SELECT * FROM (${parts.join(' UNION ALL ')}) u ORDER BY name`);
}

describe('a database that a Directus manages', () => {
    let directus, genie, tables, columns, said, early;

    before(async () => {
        directus = await newDirectus();
        directus.sql('CREATE TABLE orders (id uuid PRIMARY KEY, note text)');
        tables = names(directus.sql(TABLES));
        columns = names(directus.sql(COLUMNS));
        await directus.start();
        genie = directus.genie();
        said = (await genie.cli(['migrate'])).stdout;
        early = await directus.request('/items/user_nodes', { token: await directus.login(ADMIN) });
        await directus.restart({ DB_EXCLUDE_TABLES: excluded });
        await genie.start();
    });
    after(async () => {
        await directus?.stop();
    });

    test('gets four columns in its own tables, and nothing else', () => {
        assert.deepEqual(names(directus.sql(TABLES)), tables);
        assert.deepEqual(
            names(directus.sql(COLUMNS)).filter((name) => !columns.includes(name)),
            ['anythingllm_user_id', 'subscription_period', 'subscription_start', 'subscription_tier'].map(
                (name) => `directus_users.${name}`,
            ),
        );
        const triggers = directus.sql(
            `SELECT tgrelid::regclass::text AS name FROM pg_trigger WHERE NOT tgisinternal
             AND (tgrelid::regclass::text LIKE 'directus%' OR tgrelid = 'orders'::regclass)`,
        );
        assert.deepEqual(triggers, []);
    });

    test('keeps its administrators, and gets the two roles that it lacks', () => {
        const roles = directus.sql('SELECT name FROM directus_roles ORDER BY name');
        assert.deepEqual(names(roles), ['Administrator', 'Creator', 'Viewer']);
        assert.equal(directus.sql('SELECT id FROM directus_policies WHERE admin_access').length, 1);
    });

    test('is told of everything once', async () => {
        assert.match(said, /^Registered with Directus: \d+ collections, \d+ fields, \d+ relations/m);
        assert.match(said, /Directus must be restarted/);
        const before = meta(directus);
        const again = await genie.cli(['migrate']);
        assert.doesNotMatch(again.stdout, /Registered|restarted/);
        assert.deepEqual(meta(directus), before);
    });

    test('keeps what an administrator changed, removed or had made before', async () => {
        await directus.admin('PATCH', '/collections/user_nodes', { meta: { note: 'Ours now' } });
        await directus.admin('PATCH', '/fields/user_nodes/title', { meta: { note: 'A headline' } });
        const [permission] = await directus.admin(
            'GET',
            '/permissions?filter[collection][_eq]=user_nodes&filter[action][_eq]=delete',
        );
        await directus.admin('DELETE', `/permissions/${permission.id}`);
        const before = meta(directus);
        // As a new version does, whose list isn't known yet.
        directus.sql(
            "DELETE FROM genie_registrations WHERE name LIKE 'all %' OR name LIKE '%user_nodes.title'",
        );
        const { stdout } = await genie.cli(['migrate']);
        assert.doesNotMatch(stdout, /Registered/);
        assert.deepEqual(meta(directus), before);
    });

    test('shows the collections after a restart, with notes, choices and relations', async () => {
        assert.equal(early.status, 403, 'seen without a restart');
        assert.deepEqual(await directus.admin('GET', '/items/user_nodes'), []);
        const { meta: nodes } = await directus.admin('GET', '/collections/media_jobs');
        assert.match(nodes.note, /media/);
        assert.equal(nodes.group, 'genie');
        const field = async (name) => (await directus.admin('GET', `/fields/${name}`)).meta;
        const status = await field('media_jobs/status');
        assert.deepEqual(
            status.options.choices.map((choice) => choice.value),
            ['pending', 'queued', 'processing', 'completed', 'failed'],
        );
        assert.deepEqual((await field('media_jobs/params')).special, ['cast-json']);
        assert.deepEqual((await field('media_jobs/date_created')).special, ['date-created']);
        assert.equal((await field('media_jobs/user_id')).readonly, true);
        assert.equal((await field('directus_users/subscription_tier')).interface, 'select-dropdown');
        const relation = async (name) =>
            (await directus.admin('GET', `/relations/${name}`)).related_collection;
        assert.equal(await relation('media_jobs/user_id'), 'directus_users');
        assert.equal(await relation('fan_memories/fan_profile_id'), 'fan_profiles');
    });

    test('does not register secrets and bookkeeping, which the manual tells to leave out', async () => {
        const others = names(
            directus.sql(
                `SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'orders'
                 AND tablename NOT LIKE 'directus%'
                 AND tablename NOT IN (SELECT collection FROM directus_collections) ORDER BY 1`,
            ),
        );
        assert.deepEqual(excluded.split(',').slice(2), others);
        const token = await directus.login(ADMIN);
        for (const table of ['platform_sessions', 'api_keys', 'users', 'queue_jobs'])
            assert.equal((await directus.request(`/items/${table}`, { token })).status, 403, table);
    });

    describe('with creators', () => {
        let anna, bert, viewer, studio;

        const at = (who) => async (method, path, body) =>
            directus.request(path, { method, token: who.there, body });

        before(async () => {
            anna = await genie.addUser();
            bert = await genie.addUser();
            viewer = await genie.addUser({ role: 'Viewer' });
            studio = await genie.addUser({ tier: 'studio' });
            for (const who of [anna, bert, viewer, studio]) who.there = await directus.login(who);
        });

        const here = (who, path, options = {}) =>
            genie.request(`/api/directus${path}`, { token: who.token, ...options });

        test('a row that each side wrote is read by the other, and by its owner alone', async () => {
            const made = await at(anna)('POST', '/items/user_nodes', {
                node_type: 'note',
                title: 'Made there',
                tags: ['a'],
            });
            assert.equal(made.status, 200, made.text);
            assert.equal(made.json.data.user_id, anna.id);
            const read = await here(anna, `/items/user_nodes/${made.json.data.id}`);
            assert.deepEqual(read.json.data.tags, ['a']);
            assert.equal((await here(bert, `/items/user_nodes/${made.json.data.id}`)).status, 403);

            const back = await here(anna, '/items/fan_profiles', {
                method: 'POST',
                body: { platform: 'x', display_name: 'Made here', tags: ['vip'] },
            });
            assert.equal(back.status, 200, back.text);
            const { id } = back.json.data;
            assert.deepEqual((await at(anna)('GET', `/items/fan_profiles/${id}`)).json.data.tags, ['vip']);
            assert.equal((await at(bert)('GET', `/items/fan_profiles/${id}`)).status, 403);
            assert.deepEqual((await at(bert)('GET', '/items/fan_profiles')).json.data, []);
            assert.equal(
                (await at(bert)('PATCH', `/items/fan_profiles/${id}`, { username: 'b' })).status,
                403,
            );
            assert.equal((await at(bert)('DELETE', `/items/fan_profiles/${id}`)).status, 403);
            assert.equal((await at(anna)('DELETE', `/items/fan_profiles/${id}`)).status, 204);
            assert.equal((await here(anna, `/items/fan_profiles/${id}`)).status, 403);
        });

        test('nobody can give a row to somebody else, or take one over', async () => {
            const body = { node_type: 'note', title: 'For Bert', user_id: bert.id };
            assert.equal((await at(anna)('POST', '/items/user_nodes', body)).status, 400);
            const own = await at(anna)('POST', '/items/user_nodes', { ...body, user_id: anna.id });
            assert.equal(own.status, 200, own.text);
            const path = `/items/user_nodes/${own.json.data.id}`;
            assert.equal((await at(anna)('PATCH', path, { user_id: bert.id })).status, 403);
            assert.equal((await at(anna)('PATCH', path, { title: 'Mine' })).status, 200);
        });

        test('a job begins as pending, whatever its creator says', async () => {
            const made = await at(anna)('POST', '/items/media_jobs', { operation: 'strip_metadata' });
            assert.equal(made.json.data.status, 'pending', made.text);
            const forged = { operation: 'strip_metadata', status: 'completed' };
            assert.equal((await at(anna)('POST', '/items/media_jobs', forged)).status, 400);
            const path = `/items/media_jobs/${made.json.data.id}`;
            assert.equal((await at(anna)('PATCH', path, { status: 'completed' })).status, 403);
            directus.sql(`UPDATE media_jobs SET status = 'queued' WHERE id = '${made.json.data.id}'`);
            assert.equal((await at(anna)('DELETE', path)).status, 403);
        });

        test('what a person had to do is resolved there with its time', async () => {
            directus.sql(
                `INSERT INTO hitl_action_queue (id, user_id, action, message) VALUES
                 ('7d0a2d2e-6f5a-4a63-9c7e-0d2f7a3f1a01', '${anna.id}', 'captcha', 'Solve it')`,
            );
            const path = '/items/hitl_action_queue/7d0a2d2e-6f5a-4a63-9c7e-0d2f7a3f1a01';
            assert.equal((await at(anna)('PATCH', path, { status: 'pending' })).status, 400);
            const done = await at(anna)('PATCH', path, { status: 'resolved' });
            assert.equal(done.json.data.status, 'resolved', done.text);
            assert.ok(done.json.data.resolved_at);
        });

        test('encrypted credentials are closed to creators and concealed from administrators', async () => {
            directus.sql(
                `INSERT INTO platform_connections (id, user_id, platform, encrypted_credentials) VALUES
                 ('7d0a2d2e-6f5a-4a63-9c7e-0d2f7a3f1a02', '${anna.id}', 'x', 'v1:00:11:22')`,
            );
            const path = '/items/platform_connections';
            const [row] = (await at(anna)('GET', path)).json.data;
            assert.equal(row.platform, 'x');
            assert.equal('encrypted_credentials' in row, false);
            for (const query of [
                'fields=encrypted_credentials',
                'filter[encrypted_credentials][_nnull]=true',
                'sort=encrypted_credentials',
            ])
                assert.equal((await at(anna)('GET', `${path}?${query}`)).status, 403, query);
            const [shown] = await directus.admin('GET', path);
            assert.match(shown.encrypted_credentials, /^\*+$/);
            await directus.admin('PATCH', `${path}/${shown.id}`, { status: 'paused' });
            const kept = directus.sql('SELECT encrypted_credentials AS c FROM platform_connections');
            assert.deepEqual(kept, [{ c: 'v1:00:11:22' }]);
            const revisions = directus.sql('SELECT data::text || delta::text AS r FROM directus_revisions');
            for (const { r } of revisions) assert.ok(!r.includes('v1:00:11:22'));
        });

        test('fields of the higher tiers are seen there by the same tiers as here', async () => {
            for (const who of [anna, studio]) {
                directus.sql(
                    `INSERT INTO fan_profiles (id, user_id, platform, notes) VALUES
                     (gen_random_uuid(), '${who.id}', 'x', 'likes tea')`,
                );
                const there = (await at(who)('GET', '/items/fan_profiles')).json.data;
                const same = (await here(who, '/items/fan_profiles')).json.data;
                assert.equal(there.length, 1);
                assert.equal(there[0].notes ?? null, who === studio ? 'likes tea' : null);
                assert.equal(same[0].notes ?? null, there[0].notes ?? null);
            }
        });

        test('a tier that the tiers file calls Pro sees them once genie migrate has read that file', async () => {
            const tiers = (aliases) => {
                const file = join(directus.dir, 'tiers.json');
                writeFileSync(file, JSON.stringify({ ...TIERS, aliases: { ...TIERS.aliases, ...aliases } }));
                return { env: { TIERS_FILE: file } };
            };
            const RULE = `FROM directus_permissions WHERE collection = 'fan_profiles'
                AND policy = '7b0c4a52-52d4-4f0e-9d5c-0f3c6f2b8b04'`;
            const named = () => {
                const [{ rule }] = directus.sql(`SELECT permissions::text AS rule ${RULE}`);
                return JSON.parse(rule)._and[1].user_id.subscription_tier._in;
            };
            const migrate = async (options) => (await genie.cli(['migrate'], options)).stdout;
            assert.deepEqual(named(), ['pro', 'studio', 'elite']);
            directus.sql(`UPDATE directus_users SET subscription_tier = 'vip' WHERE id = '${bert.id}'`);
            directus.sql(
                `INSERT INTO fan_profiles (id, user_id, platform, notes) VALUES
                 (gen_random_uuid(), '${bert.id}', 'x', 'likes tea')`,
            );
            const seen = async () => (await at(bert)('GET', '/items/fan_profiles')).json.data[0].notes ?? null;
            assert.equal(await seen(), null);

            const file = tiers({ vip: 'pro', elite: 'starter', basic: 'creator' });
            assert.match(await migrate(file), /names the tiers of the tiers file now.*restarted/s);
            assert.deepEqual(named(), ['pro', 'studio', 'vip']);
            assert.doesNotMatch(await migrate(file), /tiers/);
            await directus.restart();
            assert.equal(await seen(), 'likes tea');

            assert.match(await migrate(), /names the tiers/); // the file that is built in has no vip
            assert.deepEqual(named(), ['pro', 'studio', 'elite']);
            const broken = await genie.cli(['migrate'], { ...tiers({ vip: 'gold' }), expect: 1 });
            assert.match(broken.stderr, /aliases.vip must name a tier/);

            directus.sql(`UPDATE directus_permissions SET permissions = '{"_and":[]}' WHERE id = (SELECT id ${RULE})`);
            assert.match(await migrate(tiers({ vip: 'pro' })), /changed or removed at Directus, and stays so/);
            assert.deepEqual(directus.sql(`SELECT permissions::text AS rule ${RULE}`), [{ rule: '{"_and":[]}' }]);
        });

        test('a viewer reads and writes nothing', async () => {
            const read = await at(viewer)('GET', '/items/user_nodes');
            assert.deepEqual(read.json.data, []);
            const body = { node_type: 'note', title: 'x' };
            assert.equal((await at(viewer)('POST', '/items/user_nodes', body)).status, 403);
        });

        test('everybody reads what is shared, and nobody the texts of the installation', async () => {
            const flows = (await at(anna)('GET', '/items/action_flows')).json.data;
            assert.ok(flows.length > 0);
            assert.equal('steps' in flows[0], false);
            directus.sql("UPDATE action_flows SET active = FALSE WHERE slug = 'taxonomy-tag'");
            const left = (await at(anna)('GET', '/items/action_flows')).json.data;
            assert.equal(left.length, flows.length - 1);
            for (const closed of ['system_config', 'users', 'api_keys', 'platform_sessions', 'queue_jobs'])
                assert.equal((await at(anna)('GET', `/items/${closed}`)).status, 403, closed);
            const config = await directus.admin('GET', '/items/system_config');
            assert.ok(config.some((row) => row.key === 'prime_directive'));
        });

        test('a profile that one side changed is what the other shows', async () => {
            const change = { first_name: 'Zoë', title: 'Ms', tags: ['a', 'b'], language: 'de-DE' };
            const patched = await here(anna, '/users/me', { method: 'PATCH', body: change });
            assert.equal(patched.status, 200, patched.text);
            const { data } = (await at(anna)('GET', '/users/me')).json;
            for (const [name, value] of Object.entries(change)) assert.deepEqual(data[name], value, name);
            const back = await at(anna)('PATCH', '/users/me', { tags: ['c'], location: 'Köln' });
            assert.equal(back.status, 200, back.text);
            const mine = (await here(anna, '/users/me')).json.data;
            assert.deepEqual([mine.tags, mine.location], [['c'], 'Köln']);
            for (const field of ['subscription_tier', 'anythingllm_user_id', 'status', 'role'])
                assert.equal((await at(anna)('PATCH', '/users/me', { [field]: null })).status, 403, field);
            assert.equal((await at(anna)('GET', `/users/${anna.id}?fields=subscription_tier`)).status, 403);
        });

        test('a file that was uploaded there is seen by its owner on both sides', async () => {
            const form = new FormData();
            form.set('title', 'A picture');
            form.set('file', new Blob(['not much']), 'note.txt');
            const answer = await fetch(`${directus.url}/files`, {
                method: 'POST',
                headers: { Authorization: `Bearer ${anna.there}` },
                body: form,
            });
            const { data } = await answer.json();
            assert.equal(answer.status, 200, JSON.stringify(data));
            assert.equal(data.uploaded_by, anna.id);
            assert.equal((await at(bert)('GET', `/files/${data.id}`)).status, 403);
            assert.equal((await at(bert)('GET', `/assets/${data.id}`)).status, 403);
            const job = { operation: 'strip_metadata', input_file_id: data.id };
            assert.equal((await here(anna, '/items/media_jobs', { method: 'POST', body: job })).status, 200);
            assert.equal((await here(bert, '/items/media_jobs', { method: 'POST', body: job })).status, 400);
            const token = await directus.login(ADMIN);
            const gone = await directus.request(`/users/${anna.id}`, { method: 'DELETE', token });
            assert.match(gone.text, /directus_files_uploaded_by_foreign/); // the manual says so
        });
    });
});

describe('a Directus with roles of its own', () => {
    let directus, genie, said;

    before(async () => {
        directus = await newDirectus();
        directus.sql(`INSERT INTO directus_roles (id, name) VALUES
            ('00000000-0000-4000-8000-000000000001', 'Creator'), ('00000000-0000-4000-8000-000000000002', 'Creator')`);
        directus.sql(`INSERT INTO directus_policies (id, name) VALUES
            ('00000000-0000-4000-8000-000000000003', 'Creator')`);
        directus.sql("UPDATE directus_roles SET name = 'Owners' WHERE name = 'Administrator'");
        genie = directus.genie();
        said = await Promise.all([genie.cli(['migrate']), genie.cli(['migrate'])]);
    });
    after(async () => {
        await directus?.stop();
    });

    test('is told once by two who start at the same time', () => {
        assert.equal(said.filter(({ stdout }) => stdout.includes('Registered')).length, 1);
        for (const [table, key] of [
            ['directus_fields', 'collection, field'],
            ['directus_relations', 'many_collection, many_field'],
            ['directus_permissions', 'policy, collection, action'],
        ]) {
            const twice = directus.sql(`SELECT ${key} FROM ${table} GROUP BY ${key} HAVING count(*) > 1`);
            assert.deepEqual(twice, [], table);
        }
    });

    test('gets no second Creator: one that is there is given the policy', async () => {
        const roles = directus.sql("SELECT id FROM directus_roles WHERE name = 'Creator'");
        assert.equal(roles.length, 2);
        const user = await genie.addUser();
        const policies = directus.sql(
            `SELECT p.name FROM directus_users u JOIN directus_access a ON a.role = u.role
             JOIN directus_policies p ON p.id = a.policy WHERE u.id = '${user.id}' ORDER BY p.name`,
        );
        assert.deepEqual(names(policies), ['Creator', 'Pro and Studio']);
    });

    test('has its administrators found by their rights', async () => {
        const admin = await genie.addUser({ role: 'Administrator' });
        const [row] = directus.sql(
            `SELECT r.name, n.role FROM directus_users u JOIN directus_roles r ON r.id = u.role
             JOIN users n ON n.id = u.anythingllm_user_id WHERE u.id = '${admin.id}'`,
        );
        assert.deepEqual(row, { name: 'Owners', role: 'admin' });
        await genie.cli(['user', 'add', '--email', 'x@example.com', '--role', 'Nobody'], { expect: 1 });
    });

    test('refuses an e-mail that Directus has no room for, with a sentence', async () => {
        const email = `${'a'.repeat(120)}@example.com`;
        const { stderr } = await genie.cli(['user', 'add', '--email', email], { expect: 2 });
        assert.match(stderr, /is not an e-mail address/);
    });
});

describe('a Directus that has a table of a name of ours', () => {
    test('is left as it was', async () => {
        const directus = await newDirectus();
        directus.sql('CREATE TABLE workspaces (id uuid PRIMARY KEY)');
        const before = [...names(directus.sql(TABLES)), ...names(directus.sql(COLUMNS))];
        const { stderr } = await directus.genie().cli(['migrate'], { expect: 1 });
        assert.match(stderr, /relation \\?"workspaces\\?" already exists/);
        assert.deepEqual([...names(directus.sql(TABLES)), ...names(directus.sql(COLUMNS))], before);
        assert.deepEqual(directus.sql("SELECT 1 AS x FROM pg_tables WHERE tablename = 'user_nodes'"), []);
        await directus.stop();
    });
});
