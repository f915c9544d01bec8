// SPDX-License-Identifier: MIT
//
// The taxonomy as those see it who use it: imported from a file, asked by a flow of the chat, refined by a
// model within the plan, its cache dropped while it is read, and taught by the nightly duties.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { startGenie } from '../support/genie.mjs';
import { startModel } from '../support/model.mjs';
import { chat } from '../support/sse.mjs';
import { CONNECT, addNode, eventually, newSession, sql, stopAll } from '../support/talk.mjs';
import { SECRET_HEADER, increment, readUsage } from '../support/usage.mjs';

const INVALIDATE = '/api/queue/taxonomy/invalidate';
const TEXT = 'Slow yoga flow on the beach at golden hour, behind the scenes';
const LIMIT_MS = 60_000;

const tool = (events) => events.findLast((event) => event.type === 'toolCall');
const outcome = (events) => events.find((event) => event.type === 'actionResult');
const names = (result) => result.results.tags.tags.map(({ tag }) => tag);

/** Has the duty done at the next renewal of the leader's lease, and waits for that. */
async function runDuty(server, name) {
    const where = `WHERE name = 'duty ${name}'`;
    await eventually(
        () => sql(server, `SELECT name FROM leader_leases ${where}`).length === 1,
        `the row of ${name}`,
        LIMIT_MS,
    );
    sql(server, `UPDATE leader_leases SET last_run_at = NULL ${where}`);
    await eventually(
        () =>
            sql(server, `SELECT name FROM leader_leases ${where} AND last_run_at IS NOT NULL`).length === 1,
        `a run of ${name}`,
        LIMIT_MS,
    );
}

describe('taxonomy', () => {
    let model, genie, user, admin;

    /** The flow's result where the model calls for it, and then says these. */
    async function tag(text, who, ...said) {
        model.once({ text: `[ACTION:taxonomy-tag:${JSON.stringify({ text })}]` }, ...said);
        const seen = await chat(genie, who.token, { message: 'tag it', sessionId: newSession() });
        const result = outcome(seen.events);
        assert.equal(result?.success, true, JSON.stringify(tool(seen.events)));
        return result;
    }

    const used = async (who) => (await readUsage(genie, who.token)).json.usage.taxonomy_tags;

    async function invalidate(headers) {
        const { status, json, text } = await genie.request(INVALIDATE, { method: 'POST', ...headers });
        assert.equal(status, 200, text);
        assert.deepEqual(Object.keys(json), ['ok', 'cleared']);
        assert.equal(json.ok, true);
        return json.cleared;
    }

    before(async () => {
        model = await startModel({ formats: ['openai'] });
        genie = await startGenie({ env: { ...CONNECT.openai(model), LEADER_LEASE_S: '3' } });
        user = await genie.addUser();
        admin = await genie.addUser({ role: 'Administrator' });
    });
    after(() => stopAll(genie, model));

    it('is unavailable while it is empty', async () => {
        model.once({ text: `[ACTION:taxonomy-tag:{"text":"beach"}]` });
        const seen = await chat(genie, user.token, { message: 'tag it', sessionId: newSession() });
        assert.equal(outcome(seen.events).success, false);
        assert.match(tool(seen.events).error, /step_unavailable: the taxonomy is empty/);
    });

    it('refuses a file with the place of the mistake, and imports nothing of it', async () => {
        const path = join(genie.dataDir, 'wrong.json');
        const wrong = [
            ['{\n  "nodes": [,]\n}', /wrong\.json: line 2, column \d+: /],
            [
                '{"nodes":[{"type":"tag","name":"a"},{"type":"tug","name":"b"}]}',
                /wrong\.json: nodes\[1\]\.type must be one of/,
            ],
            [
                '{"nodes":[{"type":"tag","name":"a"}],"edges":[{"type":"CO_OCCURS","source":"a","target":"b"}]}',
                /edges\[0\]\.target: there is no such node: b; nothing was imported/,
            ],
        ];
        for (const [text, expected] of wrong) {
            writeFileSync(path, text);
            const { stderr } = await genie.cli(['taxonomy', 'import', path], { expect: 1 });
            assert.match(stderr, expected);
        }
        assert.deepEqual(sql(genie, 'SELECT id FROM taxonomy_nodes'), []);
        await genie.cli(['taxonomy', 'import'], { expect: 2 });
        await genie.cli(['taxonomy', 'import', '--what'], { expect: 2 });
    });

    it('is imported beside the running server, again at no cost, and counted', async () => {
        const first = JSON.parse((await genie.cli(['taxonomy', 'import', '--sample', '--json'])).stdout);
        assert.ok(first.nodes.added >= 200);
        assert.equal(first.edges.added, first.edges.read);
        const again = JSON.parse((await genie.cli(['taxonomy', 'import', '--sample', '--json'])).stdout);
        for (const part of ['dimensions', 'nodes', 'aliases', 'edges'])
            assert.equal(again[part].added + again[part].updated, 0);
        const stats = JSON.parse((await genie.cli(['taxonomy', 'stats', '--json'])).stdout);
        assert.ok(stats.nodes.tag >= 150);
        assert.equal(Object.keys(stats.tags_by_dimension).length, 6);
        assert.match((await genie.cli(['taxonomy', 'stats'])).stdout, /MAPS_TO_CONCEPT +\d+/);
        const shown = JSON.parse((await genie.cli(['taxonomy', 'show', 'Golden Hour', '--json'])).stdout);
        assert.equal(shown.tags[0].name, 'golden-hour');
        assert.ok(shown.neighbours.some(({ name }) => name === 'natural-light'));
    });

    it('tags a text for a flow, and the model may choose among what was found', async () => {
        // the server looks whether the taxonomy has changed within seconds
        await eventually(
            async () => {
                model.once({ text: `[ACTION:taxonomy-tag:{"text":"beach"}]` });
                const seen = await chat(genie, admin.token, { message: 'x', sessionId: newSession() });
                return outcome(seen.events)?.success;
            },
            'the imported taxonomy',
            LIMIT_MS,
        );
        const result = await tag(TEXT, user, {
            text: 'Sure: ["Golden Hour", "swimwear", "no-such-tag", "beach", "beach"]. Enjoy!',
        });
        const { tags } = result.results;
        assert.deepEqual(names(result), ['golden-hour', 'swimwear', 'beach']);
        assert.equal(tags.refined, true);
        assert.equal(tags.text, 'golden-hour, swimwear, beach');
        assert.ok(tags.super_concepts.includes('places'));
        assert.equal(await used(user), 1);
        const asked = model.chats.at(-1).body.messages.map(({ content }) => content).join('\n');
        assert.ok(asked.includes(TEXT) && asked.includes('yoga-flow') && asked.includes('natural-light'));
    });

    it('gives the unit back where the model is of no use, and tags all the same', async () => {
        const before = await used(user);
        const result = await tag(TEXT, user, { text: 'I would rather not.' });
        assert.equal(result.results.tags.refined, false);
        assert.equal(result.results.tags.reason, 'model_failed');
        assert.ok(names(result).includes('beach') && names(result).length <= 12);
        assert.equal(await used(user), before);
    });

    it('asks no model once the plan is used up', async () => {
        const starter = await genie.addUser({ tier: 'starter' });
        assert.equal((await increment(genie, starter.token, 'taxonomy_ai_calls', 10)).status, 200);
        const asked = model.chats.length;
        const result = await tag(TEXT, starter);
        assert.equal(result.results.tags.reason, 'limit_reached');
        assert.ok(names(result).includes('golden-hour'));
        assert.equal(model.chats.length, asked + 1, 'the chat alone');
        assert.equal(await used(starter), 10);
    });

    it('drops its cache for admins and services alone', async () => {
        const secret = { headers: { [SECRET_HEADER]: genie.secrets.RBAC_SYNC_WEBHOOK_SECRET } };
        assert.equal((await genie.request(INVALIDATE, { method: 'POST' })).status, 401);
        assert.equal((await genie.request(INVALIDATE, { method: 'POST', token: user.token })).status, 403);
        assert.equal((await genie.request(INVALIDATE, { token: admin.token })).status, 405);
        await invalidate(secret);
        await tag('beach and golden hour', user, { text: '["beach"]' });
        assert.ok((await invalidate({ token: admin.token })) >= 2, 'a look-up of each tag was kept');
        assert.equal(await invalidate(secret), 0);
    });

    it('shows what a writer left without a date once it is told to', async () => {
        sql(genie, "UPDATE taxonomy_nodes SET name = 'seafront' WHERE name = 'beach'");
        await invalidate({ token: admin.token });
        assert.deepEqual(names(await tag('At the seafront', user, { text: '["seafront"]' })), ['seafront']);
        sql(genie, "UPDATE taxonomy_nodes SET name = 'beach' WHERE name = 'seafront'");
        await invalidate({ token: admin.token });
    });

    it('is whole for who reads while it is dropped, in this process and in others', async () => {
        let done = false;
        const dropping = (async () => {
            while (!done) await invalidate({ token: admin.token });
        })();
        try {
            const show = async () => (await genie.cli(['taxonomy', 'show', 'beach', '--json'])).stdout;
            const shown = await Promise.all([show(), show(), show()]);
            assert.equal(new Set(shown).size, 1);
            model.reply((request) => ({
                text: request.prompt.includes('List:')
                    ? '["beach"]'
                    : '[ACTION:taxonomy-tag:{"text":"beach and golden hour"}]',
            }));
            const seen = await Promise.all(
                Array.from({ length: 12 }, () =>
                    chat(genie, admin.token, { message: 'tag it', sessionId: newSession() }),
                ),
            );
            for (const { events } of seen) assert.equal(names(outcome(events))[0], 'beach');
        } finally {
            done = true;
            model.reply({ text: 'ok' });
            await dropping;
        }
        await genie.assertWell();
    });

    it('is kept in a DuckDB file where the library is there', async () => {
        const { duckdb, graph_file } = JSON.parse(
            (await genie.cli(['taxonomy', 'stats', '--json'])).stdout,
        );
        const file = join(genie.dataDir, 'taxonomy.duckdb');
        assert.equal(existsSync(file), duckdb !== 'none');
        assert.equal(graph_file, duckdb === 'none' ? 'no libduckdb' : 'current');
        const without = await genie.cli(['taxonomy', 'show', 'gym', '--json'], { env: { DUCKDB_LIB: 'none' } });
        assert.equal(without.stdout, (await genie.cli(['taxonomy', 'show', 'gym', '--json'])).stdout);
    });

    it('learns at night what was tagged together', async () => {
        const weights = () =>
            sql(
                genie,
                `SELECT e.weight FROM taxonomy_edges e JOIN taxonomy_nodes s ON s.id = e.source
                 JOIN taxonomy_nodes t ON t.id = e.target WHERE e.type = 'CO_OCCURS'
                 AND s.name IN ('knitting', 'gaming') AND t.name IN ('knitting', 'gaming')`,
            );
        assert.deepEqual(weights(), []);
        sql(genie, "UPDATE taxonomy_edges SET date_updated = '2026-01-01T00:00:00.000Z'");
        const [before] = sql(genie, "SELECT max(weight) AS w FROM taxonomy_edges WHERE type = 'CO_OCCURS'");
        await tag('knitting while gaming', user, { text: '["knitting", "gaming"]' });
        sql(genie, "UPDATE taxonomy_tag_sets SET date_created = '2026-01-01T00:00:00.000Z'");
        await runDuty(genie, 'taxonomy learning');
        assert.equal(Number(weights()[0].weight), 0.05);
        assert.deepEqual(sql(genie, 'SELECT id FROM taxonomy_tag_sets'), []);
        const [after] = sql(genie, "SELECT max(weight) AS w FROM taxonomy_edges WHERE type = 'CO_OCCURS'");
        assert.ok(Number(after.w) <= 1 && Number(after.w) !== Number(before.w));
    });

    it('lets notes decay at night, and what an accepted answer cites comes back', async () => {
        const faint = addNode(genie, user, 'Bay', 'Morning light over the bay, the seventh of its kind.');
        sql(
            genie,
            `UPDATE user_nodes SET weight = 0.1005, last_decayed_at = '2026-01-01T00:00:00.000Z' WHERE id = '${faint}'`,
        );
        const read = () =>
            sql(genie, `SELECT status, weight, last_reinforced_at FROM user_nodes WHERE id = '${faint}'`)[0];
        await runDuty(genie, 'node decay');
        assert.equal(read().status, 'decayed');
        const caption = `Morning light over the bay ${randomUUID()}`;
        const response = JSON.stringify({ text: `Here: ${caption}`, sources: [{ id: faint }] });
        sql(
            genie,
            `INSERT INTO workspace_chats ("workspaceId", prompt, response, user_id) SELECT 1, 'q', '${response}',
             anythingllm_user_id FROM directus_users WHERE id = '${user.id}'`,
        );
        const body = {
            platform: 'onlyfans',
            content_text: caption,
            scheduled_time: new Date(Date.now() + 3_600_000).toISOString(),
        };
        const post = await genie.request('/api/posts/schedule', { method: 'POST', token: user.token, body });
        assert.ok(post.status < 300, post.text);
        assert.equal(read().status, 'active');
        assert.ok(read().last_reinforced_at && Number(read().weight) >= 0.1);
    });
});
