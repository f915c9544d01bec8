// SPDX-License-Identifier: MIT
//
// From embedded to grown: a whole embedded store carried into PostgreSQL, wholly or not at all.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { removeDir, tempDir } from '../support/dirs.mjs';
import { dumpBoth, fillAll, lite, tablesOf } from '../support/fill.mjs';
import { GENIE_BIN, Genie, ON_POSTGRES } from '../support/genie.mjs';
import { rows } from '../support/postgres.mjs';
import { chat } from '../support/sse.mjs';
import { addNode, eventually, history } from '../support/talk.mjs';

const MIGRATIONS = new URL('../../src/db/migrations/sqlite/', import.meta.url);

/** An embedded store with its generated secrets; not running. */
function newEmbedded() {
    const genie = new Genie({ secrets: 'none' });
    genie.port = 0;
    return genie;
}

/** A PostgreSQL store that gets the embedded one's secrets, migrated. */
async function newTarget(embedded) {
    const genie = new Genie({ store: 'postgres' });
    genie.given = embedded.secrets;
    genie.port = 0;
    await genie.cli(['migrate']);
    return genie;
}

const storeOf = (genie) => join(genie.dataDir, 'genie.db');
const carry = (target, embedded, options) => target.cli(['import', 'embedded', embedded.dataDir], options);
const count = (target, table) => Number(rows(target.databaseUrl, `SELECT count(*) AS n FROM ${table}`)[0].n);

describe('carrying an embedded store into PostgreSQL', { skip: !ON_POSTGRES }, () => {
    const opened = [];
    const keep = (genie) => (opened.push(genie), genie);
    after(async () => {
        for (const genie of opened) await genie.stop();
    });

    it('carries every table that there is, with equal content', async () => {
        const embedded = keep(newEmbedded());
        await embedded.cli(['migrate']);
        const target = keep(await newTarget(embedded));
        assert.deepEqual(fillAll(storeOf(embedded), target.databaseUrl), [], 'foreign keys hold');
        const { stdout } = await carry(target, embedded);
        const { here, there } = dumpBoth(storeOf(embedded), target.databaseUrl);
        const names = tablesOf(storeOf(embedded)).map(({ name }) => name);
        assert.ok(names.length > 50);
        for (const name of names) {
            assert.ok(here[name].length >= 2, `${name} was filled`);
            assert.deepEqual(there[name], here[name], name);
            assert.match(stdout, new RegExp(`^${name} +${here[name].length} `, 'm'));
        }
        // keys go on behind those that were given
        const next = "SELECT nextval(pg_get_serial_sequence('users', 'id')) AS id";
        assert.deepEqual(rows(target.databaseUrl, next), [{ id: 1002 }]);
        await embedded.cli(['migrate']); // the embedded store is as it was
    });

    it('lets its users in with their passwords, and shows their history', async () => {
        const embedded = keep(newEmbedded());
        await embedded.start();
        const user = await embedded.addUser();
        addNode(embedded, user, 'Launch plan', 'The launch of the aquamarine calendar is in May.');
        await chat(embedded, user.token, { message: 'When is the launch of the aquamarine calendar?' });
        const before = await history(embedded, user.token);
        assert.equal(before.length, 1);

        const target = keep(await newTarget(embedded));
        const busy = await carry(target, embedded, { expect: 1 });
        assert.match(busy.stderr, new RegExp(`process ${embedded.pid} has the store in .* open; stop it first`));
        assert.equal(count(target, 'directus_users'), 0);

        await embedded.stop({ keep: true });
        const { stdout } = await carry(target, embedded);
        for (const [name, value] of Object.entries(embedded.secrets)) {
            assert.match(stdout, new RegExp(`^  ${name}=`, 'm'));
            assert.ok(!stdout.includes(value), 'never a value');
        }
        await target.start();
        const login = await target.request('/api/directus/auth/login', {
            method: 'POST',
            body: { email: user.email, password: user.password },
        });
        assert.equal(login.status, 200, login.text);
        const token = login.json.data.access_token;
        assert.deepEqual(await history(target, token), before);
        // a token of before holds as well, since the secrets came along; and the store goes on
        assert.equal((await target.request('/api/genie/history', { token: user.token })).status, 200);
        await chat(target, token, { message: 'And once more, please' });
        assert.equal((await history(target, token)).length, 2);
        const again = await carry(target, embedded, { expect: 1 });
        assert.match(again.stderr, /the target holds data already/);
    });

    it('brings an older store to the newest schema, in a copy', async () => {
        const old = ['0001_schema', '0002_seed', '0003_seed_flows'];
        const script = old
            .map(
                (name, i) =>
                    `${readFileSync(new URL(`${name}.sql`, MIGRATIONS), 'utf8')}
                     INSERT INTO schema_version VALUES (${i + 1}, '${name.slice(5)}', '2026-01-01T00:00:00.000Z');`,
            )
            .join('\n');
        const dir = tempDir();
        lite(
            join(dir, 'genie.db'),
            `CREATE TABLE schema_version (version INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL);
             ${script}
             INSERT INTO users (id, username, password) VALUES (7, 'old', '!');\n`,
        );
        const target = keep(new Genie({ store: 'postgres' }));
        target.port = 0;
        await target.cli(['import', 'embedded', dir]);
        assert.deepEqual(rows(target.databaseUrl, 'SELECT id, username FROM users'), [{ id: 7, username: 'old' }]);
        assert.equal(lite(join(dir, 'genie.db'), 'SELECT max(version) AS v FROM schema_version')[0].v, 3);
        removeDir(dir);
    });

    it('refuses, with a sentence and nothing carried, what can not be carried whole', async () => {
        const embedded = keep(newEmbedded());
        await embedded.cli(['migrate']);
        const target = keep(await newTarget(embedded));
        const user = await embedded.addUser();
        const store = storeOf(embedded);
        const refused = async (sentence, change, undo) => {
            lite(store, `${change};\n`);
            const { stderr } = await carry(target, embedded, { expect: 1 });
            assert.match(stderr, sentence);
            assert.equal(count(target, 'directus_users'), 0);
            assert.equal(count(target, 'directus_roles'), 3);
            lite(store, `${undo};\n`);
        };
        await refused(
            /media_jobs.params of the row .* can't be carried: it is no JSON/,
            `INSERT INTO media_jobs (id, user_id, operation, params) VALUES
             ('7b0c4a52-52d4-4f0e-9d5c-0f3c6f2b8fff', '${user.id}', 'x', '{broken')`,
            'DELETE FROM media_jobs',
        );
        await refused(
            /directus_users.first_name of the row .* no text of UTF-8/,
            "UPDATE directus_users SET first_name = CAST(x'c328' AS TEXT)",
            'UPDATE directus_users SET first_name = NULL',
        );
        await refused(
            /the store in .* can't be used/,
            "INSERT INTO schema_version VALUES (9999, 'later', '2027-01-01T00:00:00.000Z')",
            'DELETE FROM schema_version WHERE version = 9999',
        );
        const [name] = Object.keys(embedded.secrets);
        const other = await carry(target, embedded, { env: { [name]: 'another'.repeat(10) }, expect: 1 });
        assert.match(other.stderr, new RegExp(`${name} is not the one in`));
        const nowhere = await target.cli(['import', 'embedded', '/nowhere'], { expect: 1 });
        assert.match(nowhere.stderr, /genie.db can't be read/);
        const plain = await embedded.cli(['import', 'embedded', embedded.dataDir], { expect: 1 });
        assert.match(plain.stderr, /DATABASE_URL must name/);
        await carry(target, embedded);
        assert.equal(count(target, 'directus_users'), 1);
    });

    it('leaves, when it is killed, a target that it can carry into again', async () => {
        const embedded = keep(newEmbedded());
        await embedded.cli(['migrate']);
        lite(
            storeOf(embedded),
            `INSERT INTO workspaces (id, name, slug) VALUES (1, 'W', 'w');
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
             INSERT INTO workspace_chats ("workspaceId", prompt, response) SELECT 1, 'p' || i, '{"text":"t"}' FROM n;\n`,
        );
        const target = keep(await newTarget(embedded));
        const child = spawn(GENIE_BIN, ['import', 'embedded', embedded.dataDir], {
            env: { ...target.env, LOG_LEVEL: 'warn' },
            stdio: 'ignore',
        });
        const ended = new Promise((resolve) => child.once('close', (code, signal) => resolve(signal)));
        const busy = `SELECT 1 AS there FROM pg_stat_activity WHERE datname = current_database()
                      AND query LIKE 'INSERT INTO "workspace_chats"%'`;
        await eventually(() => child.exitCode !== null || rows(target.databaseUrl, busy).length > 0);
        child.kill('SIGKILL');
        assert.equal(await ended, 'SIGKILL');
        assert.equal(count(target, 'workspace_chats'), 0);
        await carry(target, embedded);
        assert.equal(count(target, 'workspace_chats'), 20000);
        assert.deepEqual(
            readdirSync(target.dataDir).filter((name) => name.startsWith('import-')),
            [],
        );
    });

    it("writes, on a database of Directus's, none of its tables but users and files", async () => {
        const embedded = keep(newEmbedded());
        await embedded.cli(['migrate']);
        const creator = await embedded.addUser();
        const target = keep(await newTarget(embedded));
        const url = target.databaseUrl;
        rows(
            url,
            `DELETE FROM directus_roles; DELETE FROM directus_policies;
             CREATE TABLE directus_collections (collection varchar(64) PRIMARY KEY, icon varchar(64), note text,
                 display_template varchar(255), hidden boolean NOT NULL DEFAULT false, singleton boolean NOT NULL
                 DEFAULT false, translations json, archive_field varchar(64), archive_app_filter boolean NOT NULL
                 DEFAULT true, archive_value varchar(255), unarchive_value varchar(255), sort_field varchar(64),
                 accountability varchar(255) DEFAULT 'all', color varchar(255), item_duplication_fields json,
                 sort integer, "group" varchar(64), collapse varchar(255) NOT NULL DEFAULT 'open',
                 preview_url varchar(255), versioning boolean NOT NULL DEFAULT false);
             INSERT INTO directus_roles (id, name) VALUES (gen_random_uuid(), 'Administrator');
             INSERT INTO directus_users (id, email, role) SELECT gen_random_uuid(), 'boss@example.com', id FROM directus_roles`,
        );
        const lacking = await carry(target, embedded, { expect: 1 });
        assert.match(lacking.stderr, /Directus has no role 'Creator'; make it there first/);
        rows(url, "INSERT INTO directus_roles (id, name) VALUES (gen_random_uuid(), 'Creator')");
        rows(url, `INSERT INTO directus_users (id, email) VALUES (gen_random_uuid(), upper('${creator.email}'))`);
        const taken = await carry(target, embedded, { expect: 1 });
        assert.match(taken.stderr, /Directus has a user .* already/);
        rows(url, `DELETE FROM directus_users WHERE email = upper('${creator.email}')`);

        const own = () =>
            ['directus_roles', 'directus_policies', 'directus_access', 'directus_sessions'].map((table) =>
                JSON.stringify(rows(url, `SELECT * FROM ${table} ORDER BY 1`)),
            );
        const before = own();
        await carry(target, embedded);
        assert.deepEqual(own(), before);
        assert.deepEqual(
            rows(
                url,
                `SELECT u.email, r.name FROM directus_users u JOIN directus_roles r ON r.id = u.role ORDER BY r.name`,
            ),
            [
                { email: 'boss@example.com', name: 'Administrator' },
                { email: creator.email, name: 'Creator' },
            ],
        );
        assert.equal(count(target, 'user_personas'), 1);
    });
});
