// SPDX-License-Identifier: MIT
//
// On PostgreSQL: requests and commands that write the rows that an ending job writes, too, do so in its order, and
// those for whose rows there is no order have their turn. psql plays the other side: it holds what they come to
// wait for, and must get what it wants next without waiting for them.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { ON_POSTGRES, startGenie } from '../support/genie.mjs';
import { newJob } from '../support/jobs.mjs';
import { quoted, sql } from '../support/talk.mjs';

const TURNS = 1734700650; // TURN_CLASS of src/db/postgres.c
const items = (collection) => `/api/directus/items/${collection}`;

/** SQL that waits, 30 s at most, for what is then so. */
const until = (condition) => `DO $$ BEGIN
    FOR i IN 1..3000 LOOP
        EXIT WHEN ${condition};
        PERFORM pg_sleep(0.01);
    END LOOP;
END $$`;

/** Runs the first statements of a script, returns when they are done, and goes on; ended: resolves to its errors. */
async function begin(server, statements, rest) {
    const child = spawn('psql', ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', server.databaseUrl]);
    let errors = '';
    child.stderr.setEncoding('utf8').on('data', (part) => {
        errors += part;
    });
    const ended = once(child, 'close').then(() => errors);
    const held = once(child.stdout, 'data');
    child.stdin.end(`${[...statements, "SELECT 'held'", ...rest].join(';\n')};\n`);
    await Promise.race([held, ended]);
    child.stdout.resume();
    return { ended };
}

/** Holds `first`; once somebody waits for it, wants `second`, which nobody may hold. */
function endOfJob(server, first, second) {
    return begin(
        server,
        ['BEGIN', first],
        [
            until('EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted AND transactionid = pg_current_xact_id()::xid)'),
            "SET LOCAL lock_timeout TO '500ms'",
            second,
            'COMMIT',
        ],
    );
}

/** FNV-1a, as a signed number of 32 bits. */
function turnOf(text) {
    let hash = 2166136261;
    for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 16777619);
    return hash | 0;
}

describe('on PostgreSQL nobody holds what another wants next', { skip: !ON_POSTGRES }, () => {
    let server, admin;
    before(async () => {
        server = await startGenie({ env: { WORKER_CONCURRENCY_MEDIA: '0' } });
        admin = await server.addUser({ role: 'Administrator' });
    });
    after(async () => {
        await server?.stop();
    });

    function addActive(user, queue, mediaJob) {
        const id = `active-${randomUUID()}`;
        sql(
            server,
            `INSERT INTO queue_jobs (id, queue, operation, user_id, media_job_id, state, lease_owner, lease_until) VALUES
             (${quoted(id)}, ${quoted(queue)}, 'x', ${quoted(user.id)}, ${mediaJob ? quoted(mediaJob) : 'NULL'}, 'active',
              'another', '2100-01-01T00:00:00Z')`,
        );
        return `UPDATE queue_jobs SET progress = 50 WHERE id = ${quoted(id)}`;
    }

    test('an export that is withdrawn while its job ends', async () => {
        const user = await server.addUser({ onboarding: 'PROCESSING' });
        const persona = `UPDATE user_personas SET summary = 'made' WHERE user_id = ${quoted(user.id)}`;
        const { ended } = await endOfJob(server, addActive(user, 'onboarding-jobs'), persona);
        const answer = await server.request('/api/onboarding', {
            method: 'PATCH',
            token: admin.token,
            body: { userId: user.id, state: 'DATA_COLLECTION' },
        });
        assert.equal(await ended, '');
        assert.equal(answer.status, 200, answer.text);
        const [{ state }] = sql(server, `SELECT state FROM queue_jobs WHERE user_id = ${quoted(user.id)}`);
        assert.equal(state, 'failed');
    });

    test('a user who is deleted while a job ends', async () => {
        const user = await server.addUser();
        const id = await newJob(server, user);
        const job = `UPDATE media_jobs SET progress = 50 WHERE id = ${quoted(id)}`;
        const { ended } = await endOfJob(server, addActive(user, 'media-jobs', id), job);
        await server.cli(['user', 'delete', '--email', user.email, '--yes']);
        assert.equal(await ended, '');
        assert.deepEqual(sql(server, `SELECT id FROM media_jobs WHERE id = ${quoted(id)}`), []);
    });

    test('a log-in while somebody deletes sessions that have ended', async () => {
        const user = await server.addUser();
        sql(
            server,
            `INSERT INTO directus_sessions (token, "user", expires) VALUES ('ended', ${quoted(user.id)}, '2020-01-01T00:00:00Z')`,
        );
        const answered = `EXISTS (SELECT 1 FROM directus_sessions WHERE "user" = ${quoted(user.id)} AND token <> 'ended')`;
        const { ended } = await begin(
            server,
            ['BEGIN', "DELETE FROM directus_sessions WHERE token = 'ended'"],
            [until(answered), `SELECT 1 / (${answered})::int`, 'COMMIT'],
        );
        const { email, password } = user;
        const answer = await server.request('/api/directus/auth/login', { method: 'POST', body: { email, password } });
        assert.equal(answer.status, 200, answer.text);
        assert.equal(await ended, '', 'it did not wait');
    });

    test('deletions, and rows that name others, wait for their turn; others go on', async () => {
        const user = await server.addUser({ tier: 'pro' });
        const send = (method, path, body) => server.request(path, { method, token: user.token, body });
        const post = async (collection, body) => (await send('POST', items(collection), body)).json.data;
        const note = { node_type: 'note', title: 'one' };
        const [a, b, c] = (await post('user_nodes', [note, note, note])).map(({ id }) => id);
        const { id: edge } = await post('user_node_edges', { source: a, target: b });
        const profile = await post('creator_profiles', { platform: 'fansly', username: 'one' });
        const job = await newJob(server, user, { operation: 'strip_metadata' });
        const wait = [
            () => send('DELETE', `${items('user_nodes')}/${c}`),
            () => send('DELETE', items('user_node_edges'), [edge]),
            () => send('POST', items('user_node_edges'), { source: b, target: a }),
            () => send('POST', '/api/queue/media', {
                jobId: job,
                operation: 'strip_metadata',
                input_url: 'https://example.com/one.jpg',
                creator_profile_id: profile.id,
            }),
        ];
        const waiting = `(SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'
            AND classid = ${TURNS} AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))`;
        const { ended } = await begin(
            server,
            [`SELECT pg_advisory_lock(${TURNS}, ${turnOf(user.id)})`],
            [until(`${waiting} = ${wait.length}`), `SELECT 1 / (${waiting} = ${wait.length})::int`],
        );
        const answers = wait.map((ask) => ask());
        assert.equal((await send('POST', items('user_nodes'), note)).status, 200);
        assert.equal((await send('PATCH', items('user_nodes'), { keys: [a, b], data: { title: 'two' } })).status, 200);
        assert.equal(await ended, '', 'all of them waited');
        assert.deepEqual((await Promise.all(answers)).map(({ status }) => status), [204, 204, 200, 200]);
    });
});
