// SPDX-License-Identifier: MIT
//
// What a row of each kind takes in PostgreSQL, its indexes included: exchanges as chats make them (64 tokens, one of
// the demo's questions), users and notes of ordinary length. docs/scaling.md multiplies these.

import { DurablePostgres } from '../support/postgres.mjs';
import { chatOf, load, openaiAt, serve, startUpstream } from '../support/processes.mjs';

const USERS = 5000;
const NOTES_EACH = 4;
const QUESTION = 'What do my fans in Berlin like, and what should I post next week?';
const AGENT = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120 Safari/537.36';

const FILL = [
    `INSERT INTO directus_users (id, email, password, status)
     SELECT gen_random_uuid(), 'user' || i || '@example.com', repeat('x', 97), 'active' FROM generate_series(1, ${USERS}) i`,
    `INSERT INTO directus_sessions (token, "user", expires, ip, user_agent)
     SELECT md5(random()::text) || md5(random()::text), id, now() + interval '7 days', '203.0.113.7', '${AGENT}'
     FROM directus_users`,
    `INSERT INTO user_personas (id, user_id, summary) SELECT gen_random_uuid(), id, repeat('word ', 60)
     FROM directus_users WHERE id NOT IN (SELECT user_id FROM user_personas)`,
    `INSERT INTO user_nodes (id, user_id, node_type, title, content, tags, weight)
     SELECT gen_random_uuid(), id, 'note', 'A title of a note', repeat('some words of a note ', 24), '["a", "b"]', 0.5
     FROM directus_users, generate_series(1, ${NOTES_EACH})`,
    'VACUUM ANALYZE',
];

/** [what, tables of which it has a row each] */
const KINDS = [
    ['a user with a persona and one session', ['directus_users', 'user_personas', 'directus_sessions']],
    ['a note of 500 characters, without a vector', ['user_nodes']],
    ['an exchange', ['workspace_chats', 'chat_answers']],
    ['a conversation, beside its exchanges', ['workspace_threads', 'session_threads']],
];

export const name = 'store-size';

export async function measure() {
    const postgres = new DurablePostgres();
    const upstream = await startUpstream({ tokens: 64 });
    try {
        const server = await serve(openaiAt(upstream), ['--demo'], postgres.store);
        const token = await server.token('creator@demo.local');
        const body = { message: QUESTION, sessionId: 's-########' };
        await load({ connections: 16, seconds: 5, warmup: 0, ...chatOf(server, token, body) });
        await server.stop();
        for (const statement of FILL) postgres.sql(statement);
        const each = (table) =>
            Number(postgres.sql(`SELECT pg_total_relation_size('${table}') / count(*) FROM ${table}`));
        return KINDS.map(([what, tables]) => ({
            what: `room in PostgreSQL: ${what}`,
            unit: 'bytes',
            value: tables.reduce((sum, table) => sum + each(table), 0),
        }));
    } finally {
        await upstream.stop();
        postgres.remove();
    }
}
