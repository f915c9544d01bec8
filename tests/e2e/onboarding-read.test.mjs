// SPDX-License-Identifier: MIT
//
// The reading of exports: an uploaded archive becomes nodes and edges of its owner, answers cite it at once, and
// onboarding goes on. Whatever ends the server meanwhile, what comes of an export is what an undisturbed reading
// makes of it, and nothing twice.

import assert from 'node:assert/strict';
import { existsSync, readdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { exportEntries, LISBON, sampleExport } from '../support/export.mjs';
import { ON_POSTGRES, startGenie } from '../support/genie.mjs';
import { startModel } from '../support/model.mjs';
import { CONNECT, eventually, quoted, sql, stopAll, talk, textOf } from '../support/talk.mjs';
import { makeZip, upload } from '../support/zip.mjs';

const LIMIT_MS = 60_000;
const STATE = '/api/onboarding';

const newUser = (server) => server.addUser({ onboarding: 'DATA_COLLECTION' });
const stateOf = async (server, user) => (await server.request(STATE, { token: user.token })).json;
const jobOf = (server, id) =>
    sql(server, `SELECT state, progress, attempts, error, result FROM queue_jobs WHERE id = ${quoted(id)}`)[0];
const parsed = (value) => (typeof value === 'string' ? JSON.parse(value) : value);
const number = (server, from) => Number(sql(server, `SELECT count(*) AS n FROM ${from}`)[0].n);
const filesOf = (server, user) => {
    const directory = join(server.dataDir, 'onboarding', user.id);
    return existsSync(directory) ? readdirSync(directory) : [];
};

/** What an export left in the store, without what differs from user to user. */
const nodesOf = (server, user) =>
    sql(
        server,
        `SELECT node_type, title, content, CAST(tags AS TEXT) AS tags, weight, import_key FROM user_nodes
         WHERE user_id = ${quoted(user.id)} ORDER BY import_key`,
    );
const edgesOf = (server, user) =>
    sql(
        server,
        `SELECT a.import_key AS a, b.import_key AS b, e.weight AS w FROM user_node_edges e
         JOIN user_nodes a ON a.id = e.source JOIN user_nodes b ON b.id = e.target
         WHERE e.user_id = ${quoted(user.id)} ORDER BY a.import_key, b.import_key`,
    );

async function send(server, user, archive) {
    const answer = await upload(server, user.token, archive);
    assert.equal(answer.status, 200, answer.text);
    return answer.json.jobId;
}

const ended = (server, jobId) =>
    eventually(
        () => {
            const job = jobOf(server, jobId);
            return ['completed', 'failed'].includes(job.state) && job;
        },
        'the end of the job',
        LIMIT_MS,
    );

async function read(server, user, archive) {
    const jobId = await send(server, user, archive);
    const job = await ended(server, jobId);
    assert.equal(job.state, 'completed', job.error);
    return { jobId, job };
}

/**
 * Has every unit that writes such a row wait until the server is killed, or as long as the store lets a statement
 * run: a trigger takes that long. Gives the statement that ends it.
 */
function hold(server, table, event, condition) {
    if (ON_POSTGRES) {
        sql(
            server,
            `CREATE OR REPLACE FUNCTION hold_up() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN PERFORM pg_sleep(20); RETURN NEW; END';
             CREATE TRIGGER hold_up BEFORE ${event} ON ${table} FOR EACH ROW WHEN (${condition})
             EXECUTE FUNCTION hold_up()`,
        );
        return `DROP TRIGGER hold_up ON ${table}`;
    }
    sql(
        server,
        `CREATE TRIGGER hold_up BEFORE ${event} ON ${table} WHEN ${condition} BEGIN
         SELECT count(*) FROM (WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n
         WHERE i < 2000000000) SELECT i FROM n); END`,
    );
    return 'DROP TRIGGER hold_up';
}

const reached = (server, user, phase, position) =>
    eventually(
        () =>
            sql(
                server,
                `SELECT 1 AS x FROM export_reads WHERE user_id = ${quoted(user.id)} AND phase = ${quoted(phase)}
                 AND position >= ${position}`,
            ).length > 0,
        `phase ${phase}`,
        LIMIT_MS,
    );

/** Kills the server in the midst of what is held up, and starts it again; the job is free to be taken at once. */
async function killHeld(server, release, meanwhile = () => {}) {
    await server.kill9();
    sql(server, release);
    sql(server, "UPDATE queue_jobs SET lease_until = '2026-01-01T00:00:00.000Z' WHERE state = 'active'");
    meanwhile();
    await server.restart();
}

const begun = (server, jobId) =>
    eventually(() => jobOf(server, jobId).state === 'active', 'the beginning', LIMIT_MS);

describe('an export', () => {
    let server, user, other, jobId, job;
    before(async () => {
        server = await startGenie();
        user = await newUser(server);
        other = await newUser(server);
        ({ jobId, job } = await read(server, user, sampleExport()));
    });
    after(async () => await server.stop());

    test('becomes nodes of every kind, and says what was read', () => {
        const result = parsed(job.result);
        const nodes = nodesOf(server, user);
        assert.ok(nodes.length > 400, `${nodes.length} nodes`);
        assert.equal(result.nodes, nodes.length);
        assert.equal(result.filesRead, 14);
        assert.equal(result.filesUnreadable, 2);
        assert.equal(result.filesOther, 1);
        assert.equal(result.samples, undefined);
        assert.equal(job.progress, 100);
        for (const [kind, count] of Object.entries(result.kinds))
            assert.equal(nodes.filter((node) => node.node_type === kind).length, count, kind);
        for (const kind of ['content', 'fan_memory', 'persona', 'note']) assert.ok(result.kinds[kind] > 0, kind);
        const texts = nodes.map((node) => `${node.title}\n${node.content}`).join('\n');
        for (const part of ['Message from Jürgen', '美咲', '😊', 'likes: 37', 'A draft that was saved', 'Custom film'])
            assert.ok(texts.includes(part), part);
        for (const part of ['@example.com', 'not for reading', 'litter', 'Ã']) assert.ok(!texts.includes(part), part);
        const tagged = nodes.find((node) => node.title === 'Plans: Launch of the Lisbon rooftop set');
        assert.deepEqual(parsed(tagged.tags), ['planning', 'launch']);
        assert.equal(new Set(nodes.map((node) => node.import_key)).size, nodes.length);
    });

    test('joins what belongs together, with weights from 0 to 1 and few edges a node', () => {
        const edges = edgesOf(server, user);
        assert.ok(edges.length > 400, `${edges.length} edges`);
        const reach = new Map();
        for (const { a, b, w } of edges) {
            assert.ok(Number(w) > 0 && Number(w) <= 1);
            reach.set(a, (reach.get(a) ?? 0) + 1);
            assert.notEqual(a, b);
        }
        assert.ok(Math.max(...reach.values()) <= 6);
    });

    test('is told in the job’s log: what could not be read, and how much was', () => {
        const lines = sql(server, `SELECT line FROM queue_job_logs WHERE job_id = ${quoted(jobId)} ORDER BY id`);
        const log = lines.map(({ line }) => line).join('\n');
        for (const part of ['data/drafts.json: ', 'data/cache.txt: ', 'data/older.zip: ', 'read 14 of 17 files'])
            assert.ok(log.includes(part), `${part} in ${log}`);
    });

    test('ends onboarding, gives the persona an honest summary, and is removed', async () => {
        assert.deepEqual(await stateOf(server, user), { state: 'COMPLETE', userId: user.id });
        const [{ summary }] = sql(
            server,
            `SELECT summary FROM user_personas WHERE user_id = ${quoted(user.id)}`,
        );
        assert.match(summary, /^From the uploaded export, counted without a language model: \d+ pieces of content/);
        assert.match(summary, /Most used tags: /);
        assert.deepEqual(filesOf(server, user), []);
        assert.equal(number(server, 'export_reads'), 0);
    });

    test('feeds answers at once, its owner’s alone', async () => {
        const question = 'When does the Lisbon rooftop set come out?';
        const mine = await talk(server, user, question);
        assert.ok(textOf(mine.events).includes(LISBON), textOf(mine.events));
        const sources = mine.events.map((event) => event.json ?? event).flatMap((event) => event.sources ?? []);
        const titles = sources.map((source) => source.title);
        assert.ok(titles.includes('Plans: Launch of the Lisbon rooftop set'), titles.join());
        sql(server, `UPDATE user_personas SET onboarding_state = 'COMPLETE' WHERE user_id = ${quoted(other.id)}`);
        const theirs = await talk(server, other, question);
        assert.ok(!textOf(theirs.events).includes(LISBON), textOf(theirs.events));
        const seen = await server.request('/api/directus/items/user_nodes?limit=5', { token: other.token });
        assert.deepEqual(seen.json.data, []);
    });

    test('that comes again brings only what is new, and nothing its owner has edited', async () => {
        const admin = await server.addUser({ role: 'Administrator' });
        const before = nodesOf(server, user).length;
        sql(
            server,
            `UPDATE user_nodes SET content = 'Mine now' WHERE user_id = ${quoted(user.id)} AND title = 'Mia''s page: Prices'`,
        );
        await server.request(STATE, {
            method: 'PATCH',
            token: admin.token,
            body: { state: 'DATA_COLLECTION', userId: user.id },
        });
        const more = { name: 'later.md', data: '# Later\nA note from after the first export.\n' };
        await read(server, user, makeZip([...exportEntries(), more]));
        assert.equal(nodesOf(server, user).length, before + 1);
        assert.equal((await stateOf(server, user)).state, 'COMPLETE');
    });
});

describe('an export that comes to nothing', () => {
    let server, admin;
    before(async () => {
        server = await startGenie();
        admin = await server.addUser({ role: 'Administrator' });
    });
    after(async () => await server.stop());

    test('gives the state back with the reason, and the next one is taken', async () => {
        const user = await newUser(server);
        const jobId = await send(server, user, makeZip([{ name: 'photo.jpg', data: 'x' }]));
        const job = await ended(server, jobId);
        assert.equal(job.state, 'failed');
        const { state, reason } = await stateOf(server, user);
        assert.equal(state, 'DATA_COLLECTION');
        assert.match(reason, /nothing in the archive could be read/);
        assert.equal(job.error, reason);
        await read(server, user, makeZip([{ name: 'a.md', data: '# A\nnote' }]));
        assert.deepEqual(await stateOf(server, user), { state: 'COMPLETE', userId: user.id });
    });

    test('because its file is gone says so', async () => {
        const user = await newUser(server);
        const release = hold(server, 'export_reads', 'INSERT', 'TRUE');
        const jobId = await send(server, user, makeZip([{ name: 'a.md', data: '# A\nnote' }]));
        await begun(server, jobId);
        await killHeld(server, release, () =>
            unlinkSync(join(server.dataDir, 'onboarding', user.id, `${jobId}.zip`)),
        );
        assert.equal((await ended(server, jobId)).state, 'failed');
        assert.match((await stateOf(server, user)).reason, /upload the export again/);
    });

    test('waits for the server that has the file, for a day', async () => {
        const user = await newUser(server);
        const release = hold(server, 'export_reads', 'INSERT', 'TRUE');
        const jobId = await send(server, user, makeZip([{ name: 'a.md', data: '# A\nnote' }]));
        await begun(server, jobId);
        await killHeld(server, release, () => {
            unlinkSync(join(server.dataDir, 'onboarding', user.id, `${jobId}.zip`));
            const data = parsed(sql(server, `SELECT data FROM queue_jobs WHERE id = ${quoted(jobId)}`)[0].data);
            data.params.server = 'another.example.com';
            sql(
                server,
                `UPDATE queue_jobs SET data = ${quoted(JSON.stringify(data))} WHERE id = ${quoted(jobId)}`,
            );
        });
        await eventually(() => jobOf(server, jobId).state === 'delayed', 'its delay', LIMIT_MS);
        assert.equal((await stateOf(server, user)).state, 'PROCESSING');
        await server.kill9();
        const past = '2026-01-01T00:00:00.000Z';
        sql(
            server,
            `UPDATE queue_jobs SET created_at = '${past}', run_at = '${past}' WHERE id = ${quoted(jobId)}`,
        );
        await server.restart();
        assert.equal((await ended(server, jobId)).state, 'failed');
        assert.match((await stateOf(server, user)).reason, /did not take it up/);
    });
});

describe('with a model and an embedder', () => {
    let server, model, admin;
    before(async () => {
        model = await startModel({ formats: ['ollama'] });
        server = await startGenie({
            env: { ...CONNECT.ollama(model), EMBEDDING_PROVIDER: 'ollama', EMBEDDING_MODEL: 'nomic-embed-text' },
        });
        admin = await server.addUser({ role: 'Administrator' });
    });
    after(async () => await stopAll(server, model));

    const summaryOf = (user) =>
        sql(server, `SELECT summary FROM user_personas WHERE user_id = ${quoted(user.id)}`)[0].summary;

    test('an export has vectors, and a summary that the model wrote from the creator’s own words', async () => {
        const user = await newUser(server);
        model.reset();
        model.once('Mia paints in oil and dances.');
        await read(server, user, sampleExport({ size: 0.3 }));
        assert.match(summaryOf(user), /^From the uploaded export, by [^:]+(:[^:]+)?: Mia paints in oil and dances\.$/);
        const [request] = model.chats;
        assert.ok(request.text.includes('I paint in oil'));
        assert.ok(!request.text.includes('I still love your'), 'what fans wrote is no sample');
        const lacking = `user_nodes WHERE user_id = ${quoted(user.id)} AND embedding IS NULL`;
        assert.equal(number(server, lacking), 0);
    });

    test('a model that fails costs no export: the summary is counted', async () => {
        const user = await newUser(server);
        model.reset();
        model.reply({ status: 500 });
        await read(server, user, makeZip([{ name: 'a.md', data: '# A\nnote' }]));
        assert.match(summaryOf(user), /counted without a language model/);
    });

    test('an export that an admin withdraws while it is read ends, and writes nothing more', async () => {
        const user = await newUser(server);
        model.reset();
        model.once({ text: 'It is too late', stall: 1 });
        const jobId = await send(server, user, makeZip([{ name: 'a.md', data: '# A\nnote' }]));
        const request = await model.nextChat(LIMIT_MS);
        const answer = await server.request(STATE, {
            method: 'PATCH',
            token: admin.token,
            body: { state: 'DATA_COLLECTION', userId: user.id },
        });
        assert.equal(answer.status, 200, answer.text);
        assert.equal(jobOf(server, jobId).state, 'failed');
        request.release();
        await read(server, await newUser(server), makeZip([{ name: 'b.md', data: '# B\nnote' }])); // behind it
        assert.match(jobOf(server, jobId).error, /withdrawn/);
        assert.equal((await stateOf(server, user)).state, 'DATA_COLLECTION');
        assert.equal(summaryOf(user), null);
        await read(server, user, makeZip([{ name: 'a.md', data: '# A\nnote' }]));
        assert.equal(nodesOf(server, user).length, 1);
    });
});

describe('killed in the midst, an export is read to its end, and nothing twice', () => {
    const archive = sampleExport({ size: 0.8 });
    const moments = {
        read: ['export_reads', 'INSERT', 'TRUE', (user, jobId) => begun(server, jobId)],
        nodes: ['export_reads', 'UPDATE', "NEW.phase = 'nodes' AND NEW.position > 100", reachedBy('nodes', 100)],
        edges: ['export_reads', 'UPDATE', "NEW.phase = 'edges' AND NEW.position > 100", reachedBy('edges', 100)],
        embed: ['export_reads', 'UPDATE', "NEW.phase = 'summary'", reachedBy('embed', 0)],
        summary: ['export_reads', 'UPDATE', "NEW.phase = 'done'", reachedBy('summary', 0)],
        done: ['user_personas', 'UPDATE', "NEW.onboarding_state = 'COMPLETE'", reachedBy('done', 0)],
    };
    let server, nodes, edges;
    before(async () => {
        server = await startGenie();
        const undisturbed = await newUser(server);
        await read(server, undisturbed, archive);
        nodes = nodesOf(server, undisturbed);
        edges = edgesOf(server, undisturbed);
        assert.ok(nodes.length > 200 && edges.length > 200, `${nodes.length} nodes, ${edges.length} edges`);
    });
    after(async () => await server.stop());

    function reachedBy(phase, position) {
        return (user) => reached(server, user, phase, position);
    }

    for (const [phase, [table, event, condition, isThere]] of Object.entries(moments))
        test(`in the phase ${phase}`, async () => {
            const user = await newUser(server);
            const release = hold(server, table, event, condition);
            const jobId = await send(server, user, archive);
            await isThere(user, jobId);
            await killHeld(server, release);
            const job = await ended(server, jobId);
            assert.equal(job.state, 'completed', job.error);
            assert.deepEqual(nodesOf(server, user), nodes);
            assert.deepEqual(edgesOf(server, user), edges);
            assert.deepEqual(await stateOf(server, user), { state: 'COMPLETE', userId: user.id });
            assert.deepEqual(filesOf(server, user), []);
            assert.equal(number(server, 'export_reads'), 0);
        });
});
