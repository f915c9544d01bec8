// SPDX-License-Identifier: MIT
//
// Invites and registrations, and what they leave in the store.

import { randomBytes } from 'node:crypto';
import { sql } from './talk.mjs';

/** Makes codes by the command line. */
export async function invite(server, ...args) {
    const { stdout } = await server.cli(['invite', 'create', ...args]);
    return stdout.trim();
}

export async function invites(server, count) {
    return (await invite(server, '--count', String(count))).split('\n');
}

export const newEmail = () => `new-${randomBytes(5).toString('hex')}@example.com`;

/** Each from an address of its own (through the trusted proxy that the test is), unless one is given. */
let clients = 0;
export function register(server, body, { from, headers = {}, at = server } = {}) {
    const address = from ?? `198.51.${(++clients >> 8) & 255}.${clients & 255}`;
    return at.request('/api/register', {
        method: 'POST',
        headers: from === null ? headers : { 'X-Forwarded-For': address, ...headers },
        body: { email: newEmail(), password: 'correct horse', ...body },
    });
}

/** How many rows there are of all that a registration makes. */
export function counts(server) {
    const tables = ['directus_users', 'users', 'user_personas', 'workspaces', 'workspace_users'];
    const columns = tables.map((table) => `(SELECT count(*) FROM ${table}) AS ${table}`);
    const [row] = sql(server, `SELECT ${columns.join(', ')}`);
    return Object.fromEntries(Object.entries(row).map(([table, n]) => [table, Number(n)]));
}

export const inviteRow = (server, code) =>
    sql(server, `SELECT status, "claimedBy", "createdBy" FROM invites WHERE code = '${code}'`)[0];
