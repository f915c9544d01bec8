// SPDX-License-Identifier: MIT
//
// What one client may not do to the others, nor learn about the machine.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { startGenie } from '../support/genie.mjs';

describe('guards', () => {
    let genie, user, admin;
    before(async () => {
        genie = await startGenie();
        user = await genie.addUser();
        admin = await genie.addUser({ role: 'Administrator' });
    });
    after(async () => await genie.stop());

    it('shows counters to this machine, but not to pages that its browser shows', async () => {
        for (const path of ['/metrics', '/readyz']) {
            const own = await genie.request(path);
            const page = await genie.request(path, { headers: { Origin: 'https://elsewhere.example' } });
            assert.equal(own.status, 200);
            assert.equal(page.status, path === '/metrics' ? 401 : 200);
            assert.ok(own.text.length > page.text.length);
            assert.ok(!page.text.includes('dependencies'));
        }
    });

    it('does not let a short body become a large value', async () => {
        const bodies = {
            '/api/directus/items/user_nodes': `[${'{},'.repeat(300_000)}{}]`,
            '/api/genie/stream-chat': `{"message":"x","attachments":[${'{},'.repeat(1_000_000)}{}]}`,
        };
        for (const [path, body] of Object.entries(bodies)) {
            const answer = await genie.request(path, {
                method: 'POST',
                token: user.token,
                headers: { 'Content-Type': 'application/json' },
                body,
            });
            assert.equal(answer.status, 400, answer.text);
            assert.match(answer.text, /not valid JSON/);
        }
    });

    it('keeps the steps of flows, and what they may hold, to admins', async () => {
        const flows = '/api/directus/items/action_flows';
        const steps = [
            { type: 'http_request', config: { url: 'https://x.example', headers: { 'X-Key': 'hidden' } } },
        ];
        const body = { slug: 'keyed', name: 'Keyed', description: 'd', active: true, steps };
        assert.equal((await genie.request(flows, { method: 'POST', token: admin.token, body })).status, 200);
        const seen = await genie.request(`${flows}?filter[slug][_eq]=keyed`, { token: user.token });
        assert.equal(seen.json.data[0].name, 'Keyed');
        assert.ok(!seen.text.includes('hidden'));
        for (const query of ['fields=steps', 'filter[steps][_contains]=hid', 'sort=steps'])
            assert.equal(
                (await genie.request(`${flows}?${query}`, { token: user.token })).status,
                403,
                query,
            );
    });
});
