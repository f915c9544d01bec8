// SPDX-License-Identifier: MIT
//
// URLs that users give for media jobs: those that say themselves that they lead nowhere public are refused where
// they come in, whoever gives them, and nothing is connected to.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startGenie } from '../support/genie.mjs';
import { Listener } from '../support/listener.mjs';
import { sql } from '../support/talk.mjs';

const JOBS = '/api/directus/items/media_jobs';
const NOT_PUBLIC = 'input_url leads to an address that is not public';
const NOT_WEB = 'input_url must be a http or https address';

describe('URLs of users', () => {
    let genie, user, admin, target;

    before(async () => {
        target = new Listener((request, response) => response.end('secret'));
        await target.start();
        genie = await startGenie({ env: { ALLOW_PRIVATE_URLS: 'false', WORKER_CONCURRENCY_MEDIA: '0' } });
        user = await genie.addUser({ tier: 'pro' });
        admin = await genie.addUser({ role: 'Administrator' });
    });
    after(async () => {
        await genie.stop();
        await target.stop();
    });

    const add = (who, url) =>
        genie.request(JOBS, {
            method: 'POST',
            token: who.token,
            body: { operation: 'download_video', input_url: url },
        });

    async function refused(url, sentence) {
        for (const who of [user, admin]) {
            const answer = await add(who, url);
            assert.equal(answer.status, 400, `${url} ${answer.text}`);
            assert.deepEqual(answer.json, {
                errors: [{ message: sentence, extensions: { field: 'input_url', code: 'FAILED_VALIDATION' } }],
            });
        }
    }

    test('private addresses are refused, however they are written', async () => {
        const hosts = ['127.0.0.1', '2130706433', '0x7f.1', '0177.0.0.1', 'localhost', '[::1]', '[::ffff:127.0.0.1]'];
        for (const host of hosts) await refused(`http://${host}:${target.port}/`, NOT_PUBLIC);
        const others = ['169.254.169.254/latest/meta-data/', '10.0.0.1/', '192.168.1.1/', '[fd00:ec2::254]/'];
        for (const rest of others) await refused(`http://${rest}`, NOT_PUBLIC);
    });

    test('so are other schemes and what is no URL', async () => {
        for (const url of ['file:///etc/passwd', 'ftp://example.com/', 'gopher://127.0.0.1:6379/_x', '/etc/passwd', 'x', ''])
            await refused(url, NOT_WEB);
        await refused('http://user:password@example.com/', NOT_WEB);
    });

    test('a public one is taken, and none is opened by that', async () => {
        const answer = await add(user, 'https://example.com/video');
        assert.equal(answer.status, 200, answer.text);
        assert.equal(answer.json.data.input_url, 'https://example.com/video');
        assert.equal(sql(genie, 'SELECT count(*) AS n FROM media_jobs')[0].n, 1);
        assert.equal(target.connections, 0);
    });
});
