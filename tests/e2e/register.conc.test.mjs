// SPDX-License-Identifier: MIT
//
// Registrations at once, on two servers with one store: an invite makes one account, an address has one, and
// whoever is refused leaves nothing behind, nor does a server that is killed in between.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startGenie } from '../support/genie.mjs';
import { counts, invite, inviteRow, invites, newEmail, register } from '../support/invites.mjs';
import { sql } from '../support/talk.mjs';

const CROWD = 32;
const FEW = 8;
/* Enough that many wait for a password hash at once. */
const WORKERS = { WORKER_THREADS: '48' };

describe('registrations at once', () => {
    let one, two;
    const servers = (i) => (i % 2 ? two : one);
    const crowd = (size, make) =>
        Promise.all(Array.from({ length: size }, (_, i) => register(one, make(i), { at: servers(i) })));
    const tally = (answers) => {
        const by = {};
        for (const { status, json } of answers) {
            const key = status === 200 ? '200' : `${status} ${json.code}`;
            by[key] = (by[key] ?? 0) + 1;
        }
        return by;
    };
    const grown = (before, now, by) => {
        for (const table of Object.keys(before)) assert.equal(now[table] - before[table], by, table);
    };

    before(async () => {
        one = await startGenie({ env: WORKERS });
        two = await startGenie({
            dataDir: one.dataDir,
            env: { ...WORKERS, ...one.secrets },
            database: one.databaseUrl,
        });
    });
    after(async () => {
        await two.stop({ keep: true });
        await one.stop();
    });

    test('one invite makes one account', async () => {
        const inviteCode = await invite(one);
        const before = counts(one);
        const answers = await crowd(CROWD, () => ({ inviteCode }));
        const by = tally(answers);
        assert.equal(by['200'], 1, JSON.stringify(by));
        const known = ['200', '400 invalid_invite', '503 overloaded'];
        assert.deepEqual(
            Object.keys(by).filter((key) => !known.includes(key)),
            [],
            JSON.stringify(by),
        );
        grown(before, counts(one), 1);
        const [{ native }] = sql(
            one,
            `SELECT anythingllm_user_id AS native FROM directus_users
             WHERE id = '${answers.find(({ status }) => status === 200).json.userId}'`,
        );
        assert.equal(Number(inviteRow(one, inviteCode).claimedBy), Number(native));
    });

    test('one address has one account, and the other invites stay good', async () => {
        const codes = await invites(one, FEW);
        const before = counts(one);
        const email = newEmail();
        const by = tally(await crowd(FEW, (i) => ({ inviteCode: codes[i], email })));
        assert.equal(by['200'], 1, JSON.stringify(by));
        const known = ['200', '409 email_exists', '503 overloaded'];
        assert.deepEqual(
            Object.keys(by).filter((key) => !known.includes(key)),
            [],
            JSON.stringify(by),
        );
        grown(before, counts(one), 1);
        assert.equal(codes.filter((code) => inviteRow(one, code).status === 'claimed').length, 1);
    });

    test('different people with different invites all get in, or are asked to come again', async () => {
        const codes = await invites(one, FEW);
        const before = counts(one);
        const answers = await crowd(FEW, (i) => ({ inviteCode: codes[i], email: newEmail() }));
        for (const [i, { status, headers, text }] of answers.entries()) {
            assert.ok(status === 200 || (status === 503 && headers['retry-after'] === '1'), text);
            assert.equal(inviteRow(one, codes[i]).status, status === 200 ? 'claimed' : 'pending');
        }
        grown(before, counts(one), answers.filter(({ status }) => status === 200).length);
    });

    test('a server that is killed in between leaves whole accounts or nothing', async () => {
        const codes = await invites(one, 12);
        const requests = codes.map((inviteCode) => register(two, { inviteCode }).catch(() => null));
        await sleep(400);
        await two.kill9();
        const answers = await Promise.all(requests);
        await two.restart();
        for (const [i, code] of codes.entries()) {
            const { status, claimedBy } = inviteRow(one, code);
            if (answers[i]?.status === 200) assert.equal(status, 'claimed', 'what was acknowledged is there');
            const [{ n }] = sql(
                one,
                `SELECT count(*) AS n FROM users a JOIN directus_users u ON u.anythingllm_user_id = a.id
                 JOIN user_personas p ON p.user_id = u.id JOIN workspace_users wu ON wu.user_id = a.id
                 JOIN workspaces w ON w.id = wu.workspace_id WHERE a.id = ${claimedBy ?? 0}`,
            );
            assert.equal(Number(n), status === 'claimed' ? 1 : 0);
        }
        const all = counts(one);
        assert.equal(all.users, all.directus_users);
        assert.equal(all.user_personas, all.directus_users);
        assert.equal(all.workspaces, all.directus_users);
    });
});
