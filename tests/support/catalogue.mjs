// SPDX-License-Identifier: MIT
//
// The schema as the store itself has it, on both engines alike; one filled row of any table; and the table of
// access as the binary prints it.

import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { quoted, sql } from './talk.mjs';

const MIGRATIONS = new URL('../../src/db/migrations/postgres/', import.meta.url);
const DAYS_AHEAD = new Date(Date.now() + 3 * 86_400_000).toISOString();

const ON_SQLITE = {
    columns: `SELECT t.name AS tab, c.name AS col, c."notnull" AS needed, c.dflt_value AS preset, t.sql AS rules
        FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'
        ORDER BY t.name, c.cid`,
    refers: `SELECT t.name AS tab, f."from" AS col, f."table" AS target
        FROM sqlite_schema t, pragma_foreign_key_list(t.name) f WHERE t.type = 'table'`,
};
const ON_POSTGRES = {
    columns: `SELECT c.table_name AS tab, c.column_name AS col, c.is_nullable = 'NO' AS needed, c.column_default AS preset,
        (SELECT string_agg(pg_get_constraintdef(k.oid), ' ') FROM pg_constraint k
         WHERE k.contype = 'c' AND k.conrelid = format('%I', c.table_name)::regclass) AS rules
        FROM information_schema.columns c JOIN pg_tables p ON p.tablename = c.table_name
        WHERE c.table_schema = current_schema() AND p.schemaname = current_schema()
        ORDER BY c.table_name, c.ordinal_position`,
    refers: `SELECT k.conrelid::regclass::text AS tab, a.attname AS col, k.confrelid::regclass::text AS target
        FROM pg_constraint k JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
        WHERE k.contype = 'f'`,
};

/** {table: {column: type}}, by the migrations, since SQLite has but four types. */
function typesOf() {
    const types = {};
    for (const name of readdirSync(MIGRATIONS)) {
        const text = readFileSync(new URL(name, MIGRATIONS), 'utf8');
        for (const [, table, body] of text.matchAll(
            /CREATE TABLE (?:IF NOT EXISTS )?"?(\w+)"? \(\n([^]*?)\n\s*\);/g,
        ))
            for (const [, column, type] of body.matchAll(/^\s+"?(\w+)"? ([a-z]\w*)/gm))
                (types[table] ??= {})[column] = type;
        for (const [, table, column, type] of text.matchAll(
            /ALTER TABLE (\w+) ADD COLUMN (?:IF NOT EXISTS )?"?(\w+)"? ([a-z]\w*)/g,
        ))
            (types[table] ??= {})[column] = type;
    }
    return types;
}

/** The texts that a CHECK leaves a column, as either engine says it. */
function choicesOf(rules, column) {
    const found = new RegExp(`\\b${column}\\b"? (?:IN \\(|= ANY \\(+ARRAY\\[)([^\\])]*)`).exec(rules ?? '');
    return found ? [...found[1].matchAll(/'([^']*)'/g)].map(([, text]) => text) : [];
}

/** {table: {column: {type, needed, choices, refers}}} of a server's store. */
export function catalogueOf(server) {
    const query = server.databaseUrl ? ON_POSTGRES : ON_SQLITE;
    const types = typesOf();
    const tables = {};
    for (const { tab, col, needed, preset, rules } of sql(server, query.columns))
        (tables[tab] ??= {})[col] = {
            type: types[tab]?.[col] ?? 'text',
            needed: Boolean(needed) && preset === null,
            choices: choicesOf(rules, col),
            refers: null,
        };
    for (const { tab, col, target } of sql(server, query.refers)) tables[tab][col].refers = target;
    return tables;
}

let marks = 0;

/** A word that is nowhere else, and short enough for any text. */
const newMark = () => `q${(36 ** 4 + ++marks).toString(36)}z`;

const VALUES = {
    uuid: () => quoted(randomUUID()),
    timestamptz: () => quoted(DAYS_AHEAD),
    boolean: () => 'TRUE',
    double: () => '0.5',
    real: () => '0.5',
    integer: () => '1',
    bigint: () => '1',
    bytea: () => 'NULL',
    json: (mark, column) => quoted(JSON.stringify(column === 'tags' ? [mark] : { mark })),
    text: (mark, column) => quoted(column.endsWith('_url') ? `https://example.com/${mark}` : mark),
};
VALUES.jsonb = VALUES.json;

/**
 * A row of a table with every column filled, for a user: {id, marks: {column: text}, insert: SQL}. `known` has ids that
 * references name, {table: [ids]}, one for each of a row's references to that table; whatever else it may refer to
 * stays empty, so those tables come first.
 */
export function filledRow(catalogue, table, { owner, known }) {
    const id = randomUUID();
    const row = {};
    const texts = {};
    const ids = Object.fromEntries(Object.entries(known).map(([name, list]) => [name, [...list]]));
    for (const [name, { type, needed, choices, refers }] of Object.entries(catalogue[table])) {
        const mark = newMark();
        if (name === 'id') row.id = quoted(id);
        else if (name === 'user_id' || refers === 'directus_users') row[name] = quoted(owner);
        else if (refers)
            row[name] = ids[refers]?.length > 0 ? quoted(ids[refers].shift()) : needed ? undefined : 'NULL';
        else if (choices.length > 0) row[name] = quoted(choices[0]);
        else if (!VALUES[type]) throw new Error(`${table}.${name}: no value of type ${type}`);
        else {
            row[name] = VALUES[type](mark, name);
            if (row[name].includes(mark)) texts[name] = mark;
        }
        if (row[name] === undefined) throw new Error(`${table}.${name}: there is no row of ${refers} yet`);
    }
    const columns = Object.keys(row).map((name) => `"${name}"`);
    const insert = `INSERT INTO "${table}" (${columns.join(', ')}) VALUES (${Object.values(row).join(', ')})`;
    return { id, marks: texts, insert };
}

/** [[table, what is in that row, or undefined]] of rows [[table, id]], with every column. */
export function contentsOf(server, catalogue, rows) {
    const text = (table) =>
        server.databaseUrl
            ? 't::text'
            : Object.keys(catalogue[table])
                  .map((column) => `quote("${column}")`)
                  .join(" || ',' || ");
    const parts = rows.map(
        ([table, id], i) => `SELECT ${i} AS i, ${text(table)} AS held FROM "${table}" t WHERE id = ${quoted(id)}`,
    );
    const found = sql(server, parts.join(' UNION ALL '));
    return rows.map(([table], i) => [table, found.find((row) => row.i === i)?.held]);
}

const cells = (line) => line.slice(2, -2).split(' | ');
const listed = (cell) => [...cell.matchAll(/`(\w+)`(?: \(`(\w+)`\))?/g)];
const names = (cell) => listed(cell).map(([, name]) => name);

/**
 * What `genie config --access` prints: {collection: {owner, user, admin, writes, extended, adminsOnly, seen, set,
 * refers}}; user and admin are letters of rcud, refers is {column: collection}, the rest lists of columns. Under
 * `limits` it says which values a user may write where those are fewer, {'collection.column': [values]}.
 */
export function accessOf(binary) {
    const { stdout } = spawnSync(binary, ['config', '--access'], { encoding: 'utf8' });
    const collections = {};
    const lines = stdout.split('\n').filter((line) => line.startsWith('| `'));
    for (const [name, ...rest] of lines.map(cells)) {
        const collection = (collections[name.slice(1, -1)] ??= {});
        if (rest.length === 6) {
            const [owner, user, admin, ...columns] = rest;
            const [writes, extended, adminsOnly] = columns.map(names);
            const letters = (text) => text.replace('–', '');
            Object.assign(collection, {
                owner: owner === 'all' ? null : owner,
                user: letters(user),
                admin: letters(admin),
                writes,
                extended,
                adminsOnly,
            });
        } else {
            const [seen, set, refers] = rest;
            Object.assign(collection, { seen: names(seen), set: names(set) });
            collection.refers = Object.fromEntries(
                listed(refers).map(([, column, target]) => [column, target]),
            );
        }
    }
    const limits = {};
    for (const [, field, choices] of stdout.matchAll(/^- `(\w+\.\w+)`: a user may write only `([^`]+)`/gm))
        limits[field] = choices.split('|');
    return { collections, limits };
}
