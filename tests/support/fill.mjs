// SPDX-License-Identifier: MIT
//
// Rows for every table of an embedded store, made from its catalogue and the types that PostgreSQL has for its
// columns, so that a table that is added later is filled as well; and all rows of a store in a form in which the
// two engines can be compared.

import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { rows } from './postgres.mjs';

/** Runs SQL on a SQLite file; rows as objects. */
export function lite(file, text) {
    const out = execFileSync('sqlite3', ['-bail', '-json', file], { input: text, maxBuffer: 1 << 28, encoding: 'utf8' });
    return out.trim() === '' ? [] : JSON.parse(out);
}

/** All tables but those in which migrating notes what it did to that very database. */
export function tablesOf(file) {
    return lite(
        file,
        `SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
         AND name NOT IN ('schema_version', 'genie_registrations') ORDER BY name`,
    );
}

/** {table: {column: type}} of the PostgreSQL database. */
function typesOf(url) {
    const types = {};
    for (const row of rows(
        url,
        'SELECT table_name, column_name, udt_name FROM information_schema.columns WHERE table_schema = current_schema()',
    ))
        (types[row.table_name] ??= {})[row.column_name] = row.udt_name;
    return types;
}

const quoted = (value) => `'${String(value).replaceAll("'", "''")}'`;

function plainValue(type, table, column, i) {
    const forms = {
        uuid: () => quoted(randomUUID()),
        timestamptz: () => quoted(`2026-01-0${i + 1}T10:00:00.${123 + i}Z`),
        bool: () => String(i),
        int4: () => String(i + 1),
        int8: () => String(i + 5_000_000_000),
        float8: () => String(0.25 + i / 3),
        bytea: () => `x'00ff10${i}0'`,
        json: () => quoted(JSON.stringify({ n: [1, 2.5, 'ü"\\', null, { x: true }], i })),
    };
    forms.jsonb = forms.json;
    return (forms[type] ?? (() => quoted(`${table}.${column} ${i} ü 'q' "x" \\ 🚀\nline`)))();
}

/** SQL that puts two rows into every table; foreign keys hold. */
export function fillAll(file, url) {
    const types = typesOf(url);
    const made = {};
    const tables = tablesOf(file);
    const value = (table, column, i) => (made[table][i][column] ??= choose(table, column, i));

    function choose(name, column, i) {
        const { info, refs, sql, unique } = shapes[name];
        const ref = refs.find(({ from }) => from === column);
        if (ref && ref.table !== name) {
            const earlier = refs.filter(({ table }) => table === ref.table).map(({ from }) => from);
            const others = [...new Set(earlier)].filter((from) => from !== 'user_id');
            const crossed = others.indexOf(column) === 1;
            const shared = column === 'user_id' && ref.table === 'directus_users' && !unique.has(column);
            return value(ref.table, ref.to ?? 'id', shared ? 0 : crossed ? 1 - i : i);
        }
        if (ref) return i === 0 ? 'NULL' : value(name, ref.to ?? 'id', 0);
        const check = new RegExp(`CHECK \\("?${column}"? IN \\(\\s*([^)]*)\\)`).exec(sql);
        if (check) return check[1].split(',')[check[1].includes("'") ? 0 : i].trim();
        const key = info.find((row) => row.name === column).pk > 0;
        if (/BETWEEN 0 AND (1|100|2097151)\)/.test(sql) && types[name][column] === 'float8') return String(0.25 + i / 4);
        return key && types[name][column] === 'int8' ? String(1000 + i) : plainValue(types[name][column], name, column, i);
    }

    const shapes = {};
    for (const { name, sql } of tables) {
        const info = lite(file, `PRAGMA table_info("${name}")`);
        const refs = lite(file, `PRAGMA foreign_key_list("${name}")`);
        const indexes = lite(
            file,
            `SELECT (SELECT count(*) FROM pragma_index_info(l.name)) AS n,
                    (SELECT name FROM pragma_index_info(l.name)) AS first
             FROM pragma_index_list('${name}') l WHERE l."unique" = 1`,
        );
        const unique = new Set(indexes.filter(({ n }) => n === 1).map(({ first }) => first));
        shapes[name] = { info, refs, sql, unique };
        made[name] = [{}, {}];
    }
    let text = 'BEGIN;\n';
    for (const { name } of tables)
        for (const i of [0, 1]) {
            const columns = shapes[name].info.map((row) => row.name);
            const values = columns.map((column) => value(name, column, i));
            text += `INSERT INTO "${name}" (${columns.map((c) => `"${c}"`).join(', ')}) VALUES (${values.join(', ')});\n`;
        }
    lite(file, `${text}COMMIT;\n`);
    return lite(file, 'PRAGMA foreign_key_check');
}

const sortKeys = (value) =>
    Array.isArray(value)
        ? value.map(sortKeys)
        : value && typeof value === 'object'
          ? Object.fromEntries(Object.entries(value).sort().map(([key, inner]) => [key, sortKeys(inner)]))
          : value;

function common(type, value) {
    if (value === null) return null;
    if (type === 'bool') return Boolean(Number(value));
    if (type === 'timestamptz') return new Date(value).toISOString();
    if (type === 'json' || type === 'jsonb') return sortKeys(typeof value === 'string' ? JSON.parse(value) : value);
    return value;
}

/** {table: [rows]} of the SQLite file and of the PostgreSQL database, comparable. */
export function dumpBoth(file, url) {
    const types = typesOf(url);
    const here = {};
    const there = {};
    for (const { name } of tablesOf(file)) {
        const columns = lite(file, `PRAGMA table_info("${name}")`).map((row) => row.name);
        const shape = (list) =>
            list
                .map((row) =>
                    JSON.stringify(columns.map((column) => [column, common(types[name][column], row[column])])),
                )
                .sort();
        const listed = (hex) =>
            columns.map((c) => (types[name][c] === 'bytea' ? `${hex(`"${c}"`)} AS "${c}"` : `"${c}"`)).join(', ');
        here[name] = shape(lite(file, `SELECT ${listed((c) => `lower(hex(${c}))`)} FROM "${name}"`));
        there[name] = shape(rows(url, `SELECT ${listed((c) => `encode(${c}, 'hex')`)} FROM "${name}"`));
    }
    return { here, there };
}
