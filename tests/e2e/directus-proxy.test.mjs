// SPDX-License-Identifier: MIT
//
// The official SDK, through genie, against a real Directus: log-in in all modes, rows, files, assets; and what is
// changed there counts here at once.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
    authentication,
    createDirectus,
    createItem,
    deleteFile,
    deleteItem,
    readAssetArrayBuffer,
    readFile,
    readItem,
    readItems,
    readMe,
    rest,
    staticToken,
    updateItem,
    updateUser,
    uploadFiles,
} from '@directus/sdk';
import { ADMIN, startDirectus } from '../support/directus.mjs';

const NOTE = { node_type: 'note', title: 'Lighthouse', content: 'The lighthouse is painted red.' };

/** A fetch that keeps cookies as a browser does: by path, and only for this origin. */
function browser() {
    const jar = new Map();
    return {
        jar,
        fetch: async (url, options = {}) => {
            const { pathname } = new URL(url);
            const cookies = [...jar.values()].filter(({ path }) => pathname.startsWith(path));
            const headers = new Headers(options.headers);
            if (options.credentials === 'include' && cookies.length > 0)
                headers.set('Cookie', cookies.map(({ name, value }) => `${name}=${value}`).join('; '));
            const answer = await fetch(url, { ...options, headers });
            for (const line of answer.headers.getSetCookie()) {
                const [pair, ...attributes] = line.split(/; */);
                const [name, value] = pair.split('=');
                const path = attributes.find((a) => /^path=/i.test(a))?.slice(5) ?? '/';
                if (value) jar.set(name, { name, value, path });
                else jar.delete(name);
            }
            return answer;
        },
    };
}

describe('a real Directus behind genie', () => {
    let directus, genie, url, creator;

    before(async () => {
        directus = await startDirectus();
        genie = await directus.startGenie({ env: { DIRECTUS_URL: directus.url } });
        await directus.restart(); // which shows it the collections
        url = `${genie.url}/api/directus`;
        creator = await genie.addUser({ email: 'creator@example.com' });
    });
    after(async () => {
        await directus?.stop();
    });

    const sdk = (mode, more = {}, own = {}) =>
        createDirectus(url, { globals: { fetch, ...own } })
            .with(authentication(mode, { autoRefresh: false, ...more }))
            .with(rest(more));

    test('log-in with tokens, rows from their creation to their end', async () => {
        const client = sdk('json');
        await client.login(creator.email, creator.password);
        assert.equal((await client.request(readMe())).email, creator.email);
        const made = await client.request(createItem('user_nodes', NOTE));
        assert.equal(made.user_id, creator.id);
        const changed = await client.request(
            updateItem('user_nodes', made.id, { content: 'It is white now.' }),
        );
        assert.equal(changed.content, 'It is white now.');
        assert.equal((await client.request(readItem('user_nodes', made.id))).title, NOTE.title);
        const filter = { title: { _eq: NOTE.title } };
        assert.equal((await client.request(readItems('user_nodes', { filter }))).length, 1);
        const search = { ...readItems('user_nodes', { filter })(), method: 'SEARCH' };
        assert.equal(
            (
                await client.request(() => ({
                    ...search,
                    path: '/items/user_nodes',
                    params: {},
                    body: JSON.stringify({ query: { filter } }),
                }))
            ).length,
            1,
        );
        await client.request(deleteItem('user_nodes', made.id));
        await assert.rejects(
            client.request(readItem('user_nodes', made.id)),
            (e) => e.response.status === 403,
        );
        await client.refresh();
        assert.equal((await client.request(readMe())).id, creator.id);
        await client.logout();
    });

    test('log-in with cookies and with a session, under our own path', async () => {
        for (const mode of ['cookie', 'session']) {
            const { jar, fetch } = browser();
            const client = sdk(mode, { credentials: 'include' }, { fetch });
            await client.login(creator.email, creator.password);
            assert.ok(jar.size > 0, mode);
            for (const { path } of jar.values()) assert.equal(path, '/api/directus');
            assert.equal((await client.request(readMe())).id, creator.id, mode);
            await client.refresh();
            assert.equal((await client.request(readMe())).id, creator.id, mode);
            await client.logout();
            await assert.rejects(client.request(readMe()), mode);
        }
    });

    test('a file goes up, its asset comes down', async () => {
        const client = sdk('json');
        await client.login(ADMIN.email, ADMIN.password);
        const bytes = new Uint8Array(1_500_000).map((_, i) => (i * 7) % 251);
        const form = new FormData();
        form.append('title', 'Caf\u00e9');
        form.append('file', new Blob([bytes], { type: 'application/octet-stream' }), 'caf\u00e9.bin');
        const file = await client.request(uploadFiles(form));
        assert.equal(file.title, 'Caf\u00e9');
        assert.equal(Number(file.filesize), bytes.length);
        assert.equal((await client.request(readFile(file.id))).filename_download, 'caf\u00e9.bin');
        const back = new Uint8Array(await client.request(readAssetArrayBuffer(file.id)));
        assert.deepEqual(Buffer.from(back), Buffer.from(bytes));
        const token = await client.getToken();
        const part = await genie.request(`/api/directus/assets/${file.id}`, {
            token,
            headers: { Range: 'bytes=10-19' },
        });
        assert.equal(part.status, 206);
        assert.deepEqual([...part.bytes], [...bytes.subarray(10, 20)]);
        await client.request(deleteFile(file.id));
        await assert.rejects(client.request(readFile(file.id)));
    });

    test('refusals are those of Directus', async () => {
        const client = sdk('json');
        await assert.rejects(client.login(creator.email, 'wrong'), (e) => {
            assert.equal(e.response.status, 401);
            return e.errors[0].extensions.code === 'INVALID_CREDENTIALS';
        });
        const anonymous = createDirectus(url).with(staticToken('nonsense')).with(rest());
        await assert.rejects(anonymous.request(readMe()), (e) => e.response.status === 401);
    });

    test('who is suspended through it is out here at once', async () => {
        const user = await genie.addUser({ email: 'leaving@example.com' });
        const token = await directus.login(user);
        const look = async () => (await genie.request('/api/genie/history?sessionId=none', { token })).status;
        assert.equal(await look(), 200);
        const admin = sdk('json');
        await admin.login(ADMIN.email, ADMIN.password);
        await admin.request(updateUser(user.id, { status: 'suspended' }));
        assert.equal(await look(), 403);
        await admin.request(updateUser(user.id, { status: 'active' }));
        assert.equal(await look(), 200);
    });

    test('an address that only a trusted proxy may name reaches its rules', async () => {
        const token = await directus.login(ADMIN);
        await genie.request('/api/directus/users/me', {
            token,
            headers: { 'X-Forwarded-For': '198.51.100.7' },
        });
        await genie.request('/api/directus/items/user_nodes', {
            method: 'POST',
            token,
            headers: { 'X-Forwarded-For': '198.51.100.7' },
            body: { ...NOTE, user_id: creator.id },
        });
        const [last] = directus.sql('SELECT ip FROM directus_activity ORDER BY id DESC LIMIT 1');
        assert.equal(last.ip, '198.51.100.7');
    });
});
