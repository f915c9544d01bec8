// SPDX-License-Identifier: MIT
//
// What docs/operate.md says of a Directus, followed to the letter beside a real one; see operate.test.mjs.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Shell, blocksOf, pageText } from '../support/book.mjs';
import { ADMIN, newDirectus } from '../support/directus.mjs';
import { request } from '../support/http.mjs';
import { Machine } from '../support/machine.mjs';
import { freePort } from '../support/ports.mjs';

const BOOK = 'docs/operate.md';
const NAMES_AND_INSTALL = 'sh';
const [, excluded] = /DB_EXCLUDE_TABLES=(\S+)/.exec(pageText('docs/directus.md'));

describe('the book, followed beside a Directus', () => {
    let directus, machine, shell, names, restarts;

    before(async () => {
        directus = await newDirectus();
        directus.env.DB_EXCLUDE_TABLES = excluded;
        await directus.start();
        restarts = 0;
        const service = {
            restart: async () => {
                restarts++;
                await directus.restart();
            },
        };
        machine = await new Machine({ port: await freePort(), services: { directus: service } }).start();
        names = {
            ...machine.names,
            DATABASE_URL: directus.database.url,
            DIRECTUS_URL: directus.url,
            DIRECTUS_SECRET: directus.secret,
        };
        shell = new Shell({ cwd: machine.source, env: machine.env });
    });
    after(async () => {
        shell?.stop();
        const [end] = await Promise.allSettled([machine?.stop()]);
        await directus?.stop();
        if (end.reason) throw end.reason;
    });

    const blocks = blocksOf(BOOK);
    const follow = async (block) => await shell.follow(block, names);
    const [first, second] = blocks.filter(({ info }) => info === 'sh directus');

    test('the installation', async () => {
        for (const block of blocks.filter(({ info }) => info === NAMES_AND_INSTALL)) await follow(block);
    });

    test('on its database', async () => {
        await follow(first);
        assert.equal(restarts, 1);
        const token = await directus.login(ADMIN);
        const me = await request(`http://127.0.0.1:${machine.port}/api/directus/users/me`, { token });
        assert.equal(me.json.data.email, ADMIN.email);
        const known = await directus.request('/items/user_personas?fields=user_id', { token });
        assert.equal(known.json.data.length, 1);
    });

    test('before it', async () => {
        await follow(second);
        const token = await directus.login(ADMIN);
        const path = '/settings?fields=project_name';
        const passed = await request(`http://127.0.0.1:${machine.port}/api/directus${path}`, { token });
        assert.deepEqual(passed.json, (await directus.request(path, { token })).json);
        assert.doesNotMatch(machine.log, /Sanitizer|runtime error|"level":"error"/);
    });
});
