// SPDX-License-Identifier: MIT
//
// Bringing an AnythingLLM installation in: what comes, what is left and why, twice, after a kill, and from files
// that mean harm.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { AnythingLLM, answer } from '../support/anythingllm.mjs';
import { removeDir, tempDir } from '../support/dirs.mjs';
import { GENIE_BIN, startGenie } from '../support/genie.mjs';
import { eventually, history, sql } from '../support/talk.mjs';

const T = 1700000000000; // a time, in Prisma's form

const counts = (result, table) => {
    const { added, linked, there, left } = result.tables.find((row) => row.table === table);
    return { added, linked, there, left };
};
const reasons = (result, table) =>
    Object.fromEntries(
        result.tables.find((row) => row.table === table).reasons.map((reason) => [reason.why, reason.examples]),
    );
const number = (server, query) => Number(Object.values(sql(server, query)[0])[0]);

async function run(server, old, ...args) {
    const { stdout } = await server.cli(['import', 'anythingllm', old.file, '--json', ...args]);
    return JSON.parse(stdout);
}

/** Three users, two workspaces, threads, exchanges within and outside them, documents. */
function fill(old) {
    old.add(
        'users',
        { id: 1, username: 'boss', password: '$2b$10$abcdefghijklmnopqrstuv', role: 'admin', createdAt: T },
        { id: 2, username: 'mia@example.com', password: '$2b$10$x', role: 'default', createdAt: T, bio: 'Mia' },
        { id: 4, username: 'Jo@example.com', password: '$2b$10$x', role: 'default', createdAt: T },
        { id: 5, username: 'tom', password: '$2b$10$x', role: 'manager', suspended: 1, createdAt: T },
    );
    old.add(
        'workspaces',
        { id: 1, name: 'Ideas', slug: 'ideas', createdAt: T, openAiTemp: 0.7, openAiPrompt: 'Be kind to Mia.' },
        { id: 3, name: 'Sales', slug: 'sales', createdAt: '2024-02-03 04:05:06', topN: 6 },
    );
    old.add(
        'workspace_users',
        { user_id: 2, workspace_id: 1, createdAt: T },
        { user_id: 2, workspace_id: 3, createdAt: T },
        { user_id: 5, workspace_id: 3, createdAt: T },
    );
    old.slug = randomUUID();
    old.add('workspace_threads', {
        id: 9,
        name: 'Launch',
        slug: old.slug,
        workspace_id: 1,
        user_id: 2,
        createdAt: T,
    });
    const chat = { workspaceId: 1, user_id: 2, include: true, createdAt: T };
    old.add(
        'workspace_chats',
        { ...chat, id: 1, prompt: 'First thought', response: answer('A first answer') },
        {
            ...chat,
            id: 2,
            prompt: 'When is the launch? 🚀',
            thread_id: 9,
            response: answer('In May.', {
                sources: [{ id: 'a', title: 'plan.txt', text: 'May', score: 0.9, chunkSource: '' }],
                attachments: [{ name: 'a.png', mime: 'image/png', contentString: 'data:image/png;base64,AAAA' }],
            }),
            feedbackScore: true,
            memory_processed: false,
        },
        { ...chat, id: 3, prompt: 'Hidden', response: answer('gone'), include: false },
        { ...chat, id: 4, workspaceId: 3, prompt: 'What sells?', response: answer('Prints.'), createdAt: T + 5 },
        { ...chat, id: 6, user_id: null, api_session_id: 'bot-1', prompt: 'By key', response: answer('ok') },
    );
    old.add('workspace_documents', {
        id: 1,
        docId: randomUUID(),
        filename: 'plan.json',
        docpath: 'custom-documents/plan.json',
        workspaceId: 1,
        metadata: '{"title":"plan.txt"}',
        createdAt: T,
    });
    old.document('custom-documents/plan.json', 'The launch of the aquamarine calendar is in May.', {
        title: 'plan.txt',
    });
    old.add('document_vectors', { docId: { sql: '(SELECT docId FROM workspace_documents)' }, vectorId: randomUUID() });
    old.add('invites', { code: 'ABCD-EFGH', createdBy: 1, workspaceIds: '[1,3,77]', createdAt: T });
    old.add('api_keys', { secret: 'AAAAAAA-BBBBBBB-CCCCCCC-DDDDDDD', createdBy: 1, createdAt: T });
    old.add(
        'system_settings',
        { label: 'custom_app_name', value: 'Studio' },
        { label: 'hub_api_key', value: 'top-secret' },
    );
    old.add('event_logs', { event: 'login_event', metadata: '{"ip":"::1"}', userId: 2, occurredAt: T });
}

describe('importing an AnythingLLM installation', () => {
    let server, old, mia, first;

    before(async () => {
        old = new AnythingLLM(tempDir());
        fill(old);
        server = await startGenie();
        mia = await server.addUser({ email: 'mia@example.com' });
        // as Directus makes users: without one of AnythingLLM's
        sql(server, `INSERT INTO directus_users (id, email) VALUES ('${randomUUID()}', 'jo@example.com')`);
    });
    after(async () => {
        await server?.stop();
        removeDir(old.dir);
    });

    it('brings everything in beside a running server, and says what it left and why', async () => {
        first = await run(server, old, '--documents', old.dir, '--accounts');
        assert.deepEqual(counts(first, 'users'), { added: 2, linked: 2, there: 0, left: 0 });
        const jo = `SELECT u.username FROM directus_users d JOIN users u ON u.id = d.anythingllm_user_id
                    WHERE d.email = 'jo@example.com'`;
        assert.deepEqual(sql(server, jo), [{ username: 'Jo@example.com' }]);
        assert.deepEqual(counts(first, 'workspaces'), { added: 2, linked: 0, there: 0, left: 0 });
        assert.deepEqual(counts(first, 'workspace_users'), { added: 3, linked: 0, there: 0, left: 0 });
        assert.deepEqual(counts(first, 'workspace_chats'), { added: 5, linked: 0, there: 0, left: 0 });
        assert.deepEqual(counts(first, 'documents'), { added: 1, linked: 0, there: 0, left: 0 });
        for (const table of ['workspace_threads', 'workspace_documents', 'document_vectors', 'invites', 'event_logs'])
            assert.deepEqual(counts(first, table), { added: 1, linked: 0, there: 0, left: 0 }, table);
        assert.deepEqual(reasons(first, 'api_keys'), {
            'it gives rights over everybody (--admins brings it in)': [1],
        });
        assert.deepEqual(counts(first, 'system_settings'), { added: 1, linked: 0, there: 0, left: 2 });
        assert.deepEqual(
            first.accounts.map(({ email, role }) => [email, role]),
            [
                ['boss@import.invalid', 'Creator'],
                ['tom@import.invalid', 'Creator'],
            ],
        );
    });

    it('leaves no secret behind: no password hash, no setting that is one', () => {
        const users = sql(server, 'SELECT password, role FROM users ORDER BY id');
        assert.ok(users.every(({ password, role }) => password === '!' && role === 'default'));
        assert.equal(number(server, "SELECT count(*) FROM system_settings WHERE label = 'hub_api_key'"), 0);
    });

    it('keeps times, booleans and numbers', () => {
        const [sales] = sql(server, 'SELECT * FROM workspaces WHERE slug = \'sales\'');
        assert.equal(new Date(sales.createdAt).toISOString(), '2024-02-03T04:05:06.000Z');
        assert.equal(sales.topN, 6);
        const [chat] = sql(server, "SELECT * FROM workspace_chats WHERE prompt LIKE 'When is%'");
        assert.equal(new Date(chat.createdAt).getTime(), T);
        assert.equal(Number(chat.feedbackScore), 1);
        assert.equal(Number(chat.memoryProcessed), 0);
    });

    it('shows a thread under its slug, with its sources', async () => {
        const [row, ...more] = await history(server, mia.token, old.slug);
        assert.equal(more.length, 0);
        assert.equal(row.prompt, 'When is the launch? 🚀');
        assert.equal(row.response, 'In May.');
        assert.equal(row.sources[0].title, 'plan.txt');
        assert.equal(row.createdAt, new Date(T).toISOString());
    });

    it('shows what was said outside threads: last used by default, the rest by workspace', async () => {
        const used = await history(server, mia.token);
        assert.deepEqual(used.map(({ prompt }) => prompt), ['What sells?']);
        const other = await history(server, mia.token, 'workspace-ideas');
        assert.deepEqual(other.map(({ prompt }) => prompt), ['First thought']);
    });

    it('makes a document known to the members of its workspace', async () => {
        const { json } = await server.request(
            '/api/directus/items/user_nodes?fields=title,content,node_type',
            { token: mia.token },
        );
        assert.deepEqual(json.data, [
            {
                title: 'plan.txt',
                content: 'The launch of the aquamarine calendar is in May.',
                node_type: 'document',
            },
        ]);
    });

    it('maps the workspaces of an invite', () => {
        const [{ workspaceIds }] = sql(server, 'SELECT "workspaceIds" FROM invites');
        const slugs = JSON.parse(workspaceIds).map(
            (id) => sql(server, `SELECT slug FROM workspaces WHERE id = ${id}`)[0].slug,
        );
        assert.deepEqual(slugs, ['ideas', 'sales']);
    });

    it('lets nobody in whose password was not set here', async () => {
        const tries = ['', '!', '$2b$10$abcdefghijklmnopqrstuv', 'boss'];
        for (const password of tries) {
            const { status } = await server.request('/api/directus/auth/login', {
                method: 'POST',
                body: { email: 'boss@import.invalid', password },
            });
            assert.ok(status === 401 || status === 400, `${password}: ${status}`);
        }
        await server.cli(['user', 'passwd', '--email', 'boss@import.invalid', '--password-stdin'], {
            stdin: 'a new password\n',
        });
        const { status } = await server.request('/api/directus/auth/login', {
            method: 'POST',
            body: { email: 'boss@import.invalid', password: 'a new password' },
        });
        assert.equal(status, 200);
        const tom = sql(server, "SELECT status FROM directus_users WHERE email = 'tom@import.invalid'");
        assert.deepEqual(tom, [{ status: 'suspended' }]);
    });

    it('adds, a second time, only what is new', async () => {
        const tables = sql(server, 'SELECT DISTINCT table_name FROM import_rows')
            .map((row) => row.table_name)
            .filter((name) => !['default_threads', 'document_nodes'].includes(name))
            .concat('session_threads', 'user_nodes', 'directus_users');
        const sizes = () => tables.map((table) => number(server, `SELECT count(*) FROM ${table}`));
        const before = sizes();
        const second = await run(server, old, '--documents', old.dir, '--accounts');
        assert.equal(second.source, first.source);
        assert.deepEqual(sizes(), before);
        for (const row of second.tables) assert.equal(row.added + row.linked, 0, row.table);

        old.add('workspace_chats', {
            workspaceId: 1,
            user_id: 2,
            prompt: 'Later',
            response: answer('Later, too.'),
            createdAt: T + 1000,
        });
        const third = await run(server, old, '--admins');
        assert.deepEqual(counts(third, 'workspace_chats'), { added: 1, linked: 0, there: 5, left: 0 });
        assert.equal(counts(third, 'api_keys').added, 1);
        const other = await history(server, mia.token, 'workspace-ideas');
        assert.deepEqual(other.map(({ prompt }) => prompt), ['First thought', 'Later']);
    });

    it('does not bring back what was deleted here', async () => {
        sql(server, 'DELETE FROM user_nodes');
        sql(server, `DELETE FROM workspace_threads WHERE slug = '${old.slug}'`);
        const again = await run(server, old, '--documents', old.dir);
        assert.equal(counts(again, 'workspace_threads').there, 1);
        assert.equal(number(server, 'SELECT count(*) FROM user_nodes'), 0);
    });

    it('keeps two installations with the same names apart', async () => {
        const twin = new AnythingLLM(tempDir());
        fill(twin);
        const result = await run(server, twin);
        assert.notEqual(result.source, first.source);
        assert.equal(counts(result, 'workspaces').added, 2);
        assert.ok(reasons(result, 'workspaces')['its slug is taken by another, so it got digits']);
        assert.equal(number(server, "SELECT count(*) FROM workspaces WHERE slug LIKE 'ideas-%'"), 1);
        removeDir(twin.dir);
    });

    it('prints a table for people', async () => {
        const { stdout } = await server.cli(['import', 'anythingllm', old.file]);
        assert.match(stdout, /^TABLE +ADDED +LINKED +THERE +LEFT$/m);
        assert.match(stdout, /^ +1 left: it gives rights|^workspace_chats +0 +0 +6 +0$/m);
    });
});

describe('a single-user installation', () => {
    it('goes to the account that is named', async () => {
        const old = new AnythingLLM(tempDir());
        const server = await startGenie();
        try {
            old.add('workspaces', { id: 1, name: 'Mine', slug: 'mine', createdAt: T });
            old.add('workspace_threads', { id: 1, name: 'T', slug: 'one', workspace_id: 1, createdAt: T });
            old.add(
                'workspace_chats',
                { workspaceId: 1, prompt: 'loose', response: answer('a'), createdAt: T },
                { workspaceId: 1, prompt: 'tied', response: answer('b'), thread_id: 1, createdAt: T },
            );
            const user = await server.addUser();
            const unowned = await run(server, old);
            assert.equal(unowned.nobodys, 2);
            await server.cli(['import', 'anythingllm', old.file, '--owner', 'nobody@example.com'], { expect: 1 });
            const owned = await run(server, old, '--owner', user.email);
            assert.equal(owned.nobodys, 0);
            assert.deepEqual((await history(server, user.token)).map(({ prompt }) => prompt), ['loose']);
            assert.deepEqual((await history(server, user.token, 'one')).map(({ prompt }) => prompt), ['tied']);
        } finally {
            await server.stop();
            removeDir(old.dir);
        }
    });
});

/** Every file below a directory with its size, time and content: what must not change. */
function fingerprint(dir) {
    return readdirSync(dir).map((name) => {
        const { size, mtimeMs } = statSync(join(dir, name));
        return [name, size, mtimeMs, readFileSync(join(dir, name)).toString('base64')];
    });
}

describe('files that mean harm', () => {
    let server;
    before(async () => {
        server = await startGenie();
    });
    after(async () => await server?.stop());

    it('refuses what is no database of AnythingLLM, with a sentence', async () => {
        const dir = tempDir();
        const file = (name, content) => (writeFileSync(join(dir, name), content), join(dir, name));
        const other = new AnythingLLM(tempDir());
        other.sql('DROP TABLE workspace_chats;\n');
        const bad = [
            [join(dir, 'absent'), /can't be read/],
            [dir, /can't be read/],
            [file('text', 'no database at all '.repeat(100)), /no database of SQLite/],
            [file('empty', ''), /no database of AnythingLLM/],
            [other.file, /it has no table workspace_chats/],
        ];
        for (const [path, sentence] of bad) {
            const { stderr } = await server.cli(['import', 'anythingllm', path], { expect: 1 });
            assert.match(stderr, sentence);
        }
        await server.cli(['import', 'anythingllm'], { expect: 2 });
        await server.cli(['import', 'anythingllm', other.file, '--nonsense'], { expect: 2 });
        await server.cli(['import', 'nonsense'], { expect: 2 });
        removeDir(other.dir);
        removeDir(dir);
    });

    it('takes the good rows and names the bad ones', async () => {
        const old = new AnythingLLM(tempDir());
        const chat = { workspaceId: 1, user_id: 1, createdAt: T };
        old.add('users', { id: 1, username: 'ann@example.com', password: 'x', createdAt: T });
        old.add('users', { id: 2, username: new Uint8Array([1, 2]), password: 'x', createdAt: T });
        old.add('users', { id: 3, username: 'u'.repeat(5000), password: 'x', createdAt: T });
        old.add('users', { id: 4, username: 'late', password: 'x', createdAt: 'yesterday' });
        old.add('users', { id: 5, username: 'early', password: 'x', createdAt: -5 });
        old.add('users', { id: 6, username: 'odd', password: 'x', suspended: 'perhaps', createdAt: T });
        old.add('workspaces', { id: 1, name: 'W', slug: 'w', createdAt: T });
        old.add('workspaces', { id: 2, name: { sql: "CAST(x'41ff42' AS TEXT)" }, slug: 'w2', createdAt: T });
        old.add('workspace_threads', { id: 1, name: 'x', slug: 'lost', workspace_id: 99, createdAt: T });
        old.add('workspace_threads', { id: 2, name: 'y', slug: 'ghost', workspace_id: 1, user_id: 77, createdAt: T });
        old.add(
            'workspace_chats',
            { ...chat, id: 1, prompt: 'good', response: answer('good') },
            { ...chat, id: 2, prompt: { sql: "'nul' || char(0) || 'inside'" }, response: answer('n') },
            { ...chat, id: 3, prompt: { sql: "CAST(x'4142c328' AS TEXT)" }, response: answer('bytes') },
            { ...chat, id: 4, prompt: 'p', response: '{broken' },
            { ...chat, id: 5, prompt: 'p', response: '{"text":7}' },
            { ...chat, id: 6, prompt: 'p', response: '['.repeat(100000) },
            { ...chat, id: 7, prompt: 'half', response: '{"text":"a\\ud83d b\\u0000","sources":{"no":"list"}}' },
            { ...chat, id: 8, prompt: { sql: "printf('%.*c', 2000000, 'x')" }, response: answer('big') },
            { ...chat, id: 9, prompt: { sql: 'zeroblob(40000000)' }, response: answer('huge') },
            { ...chat, id: 10, workspaceId: 42, prompt: 'nowhere', response: answer('x') },
            { ...chat, id: 11, user_id: 42, prompt: 'by nobody', response: answer('x') },
            { ...chat, id: 12, prompt: 'p', response: answer('x'), include: 'yes' },
            {
                ...chat,
                id: 13,
                prompt: 'picture',
                response: answer('seen', { attachments: [{ contentString: 'x'.repeat(5 << 20) }] }),
            },
            { ...chat, id: 14, prompt: 'after all that', response: answer('still here') },
        );
        old.sql(`CREATE TRIGGER t AFTER INSERT ON users BEGIN SELECT load_extension('x'); END;
                 CREATE VIEW v AS SELECT 1;\n`);
        const docs = [
            ['../../../etc/passwd', 1],
            ['/etc/passwd', 2],
            ['custom-documents/link.json', 3],
            ['custom-documents/bad.json', 4],
            ['custom-documents/absent.json', 5],
            ['custom-documents/good.json', 6],
        ];
        for (const [docpath, id] of docs)
            old.add('workspace_documents', { id, docId: `d${id}`, filename: 'f', docpath, workspaceId: 1, createdAt: T });
        old.add('workspace_users', { user_id: 1, workspace_id: 1, createdAt: T });
        old.document('custom-documents/good.json', `${'A paragraph of a long text. '.repeat(3000)}\n\nThe end.`);
        writeFileSync(join(old.dir, 'documents/custom-documents/bad.json'), '{"pageContent": [1]}');
        symlinkSync('/etc/passwd', join(old.dir, 'documents/custom-documents/link.json'));

        const ann = await server.addUser({ email: 'ann@example.com' });
        const result = await run(server, old, '--documents', join(old.dir, 'documents'));
        assert.deepEqual(reasons(result, 'users'), {
            'a text of it is none': [2],
            'a text of it is too large': [3],
            'a time of it is none': [4, 5],
            'a number of it is none': [6],
        });
        assert.deepEqual(reasons(result, 'workspace_threads'), { 'what it belongs to is not here': [1, 2] });
        assert.deepEqual(reasons(result, 'workspace_chats'), {
            'a text of it was mended': [2, 3, 7, 13],
            'its response is no JSON': [4, 6],
            'its response has no text': [5],
            'a text of it is too large': [8],
            'it is too large': [9],
            'what it belongs to is not here': [10, 11],
            'a number of it is none': [12],
        });
        assert.deepEqual(reasons(result, 'documents'), {
            'its file is not in the folder': [1, 2, 3, 5],
            'its file holds no text': [4],
        });
        const rows = await history(server, ann.token);
        assert.deepEqual(rows.map(({ prompt, response }) => [prompt, response]), [
            ['good', 'good'],
            ['nul\uFFFDinside', 'n'],
            ['AB\uFFFD(', 'bytes'],
            ['half', 'a\uFFFD b\uFFFD'],
            ['picture', 'seen'],
            ['after all that', 'still here'],
        ]);
        assert.deepEqual(rows[3].sources, []);
        const parts = sql(server, "SELECT title, content FROM user_nodes WHERE node_type = 'document'");
        assert.ok(parts.length > 2);
        assert.ok(parts.every(({ title }) => /^custom-documents\/good.json \(\d+\/\d+\)$/.test(title)));
        removeDir(old.dir);
        await server.assertWell();
    });

    it('writes nothing beside the file, and takes in what its log holds', async () => {
        const old = new AnythingLLM(tempDir());
        old.add('workspaces', { id: 1, name: 'W', slug: 'wal', createdAt: T });
        // a writer in WAL mode that has the database open and has not moved its log into it
        const writer = spawn('sqlite3', [old.file], { stdio: ['pipe', 'pipe', 'inherit'] });
        try {
            writer.stdin.write(
                `PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0;
                 INSERT INTO workspaces (name, slug, createdAt) VALUES ('L', 'in-the-log', ${T});\nSELECT 'done';\n`,
            );
            let said = '';
            writer.stdout.on('data', (part) => (said += part));
            await eventually(() => said.includes('done'), 'the writer');
            const before = fingerprint(old.dir);
            assert.ok(before.some(([name]) => name.endsWith('-wal')));
            const result = await run(server, old);
            assert.equal(counts(result, 'workspaces').added, 2);
            assert.deepEqual(fingerprint(old.dir), before);
            assert.deepEqual(
                readdirSync(server.dataDir).filter((name) => name.startsWith('import-')),
                [],
            );
        } finally {
            writer.stdin.end();
            await new Promise((resolve) => writer.once('close', resolve));
            removeDir(old.dir);
        }
    });
});

describe('an import that is killed', () => {
    it('is finished by the next, to the same result', async () => {
        const old = new AnythingLLM(tempDir());
        const server = await startGenie();
        try {
            fill(old);
            const many = Array.from({ length: 3000 }, (_, i) => ({
                id: 100 + i,
                workspaceId: i % 2 ? 1 : 3,
                user_id: 2,
                prompt: `message ${i}`,
                response: answer(`answer ${i}`),
                createdAt: T + i,
            }));
            old.add('workspace_chats', ...many);
            await server.addUser({ email: 'mia@example.com' });
            let kills = 0;
            for (let round = 0; round < 3; round++) {
                const child = spawn(GENIE_BIN, ['import', 'anythingllm', old.file, '--accounts', '--documents', old.dir], {
                    env: { ...server.env, LOG_LEVEL: 'warn' },
                    stdio: 'ignore',
                });
                const ended = new Promise((resolve) => child.once('close', (code, signal) => resolve(signal)));
                const before = number(server, 'SELECT count(*) FROM import_rows');
                await eventually(
                    () => child.exitCode !== null || number(server, 'SELECT count(*) FROM import_rows') > before + 200,
                );
                child.kill('SIGKILL');
                if ((await ended) === 'SIGKILL') kills++;
            }
            assert.ok(kills > 0, 'it was killed in its midst');
            await run(server, old, '--accounts', '--documents', old.dir);
            assert.equal(number(server, 'SELECT count(*) FROM workspace_chats'), 3005);
            assert.equal(number(server, 'SELECT count(DISTINCT prompt) FROM workspace_chats'), 3005);
            // Mia's own; those of the accounts for boss and Jo
            assert.equal(number(server, 'SELECT count(*) FROM workspaces'), 2 + 3);
            assert.equal(number(server, 'SELECT count(*) FROM workspace_threads'), 1 + 2);
            assert.equal(number(server, 'SELECT count(*) FROM directus_users'), 4);
            assert.equal(number(server, 'SELECT count(*) FROM user_nodes'), 1);
            assert.deepEqual(
                readdirSync(server.dataDir).filter((name) => name.startsWith('import-')),
                [],
            );
        } finally {
            await server.stop();
            removeDir(old.dir);
        }
    });
});
