// SPDX-License-Identifier: MIT
//
// What tests of quotas share: asking and counting, tiers files, and users that no registration made.

import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { Agent, request as httpRequest } from 'node:http';
import { fileURLToPath } from 'node:url';
import { sql } from './talk.mjs';

const SHIPPED = fileURLToPath(new URL('../../config/tier_rate_limits.json', import.meta.url));
export const SECRET_HEADER = 'X-RBAC-SYNC-SECRET';

export const readUsage = (server, token) => server.request('/api/usage', { token });

export function increment(server, token, operation, amount) {
    const body = { operation, ...(amount === undefined ? {} : { amount }) };
    return server.request('/api/usage/increment', { method: 'POST', token, body });
}

/** The shipped tiers, changed by change(tiers); returns the path it is written to. */
export function writeTiers(path, change = () => {}) {
    const tiers = JSON.parse(readFileSync(SHIPPED, 'utf8'));
    change(tiers);
    writeFileSync(path, JSON.stringify(tiers, null, 2));
    return path;
}

/** Users as rows alone, for calls with the shared secret; their ids. */
export function addRows(server, n, tier = 'starter') {
    const ids = Array.from({ length: n }, () => randomUUID());
    const values = ids.map((id) => `('${id}', '${id}@example.com', '${tier}')`).join(', ');
    sql(server, `INSERT INTO directus_users (id, email, subscription_tier) VALUES ${values}`);
    return ids;
}

/** Counts for a user, as another service does, over kept connections: {status, json}, or null if cut off. */
export class Service {
    constructor(server) {
        this.server = server;
        this.agent = new Agent({ keepAlive: true, maxSockets: 128 });
    }

    increment(userId, operation, amount = 1) {
        const body = JSON.stringify({ userId, operation, amount });
        const headers = {
            'Content-Type': 'application/json',
            'Content-Length': Buffer.byteLength(body),
            [SECRET_HEADER]: this.server.secrets.RBAC_SYNC_WEBHOOK_SECRET,
        };
        return new Promise((resolve) => {
            const outgoing = httpRequest(
                `${this.server.url}/api/usage/increment`,
                { method: 'POST', headers, agent: this.agent },
                (incoming) => {
                    let text = '';
                    incoming.setEncoding('utf8').on('data', (part) => {
                        text += part;
                    });
                    incoming.on('error', () => resolve(null));
                    incoming.on('end', () =>
                        resolve({ status: incoming.statusCode, json: JSON.parse(text) }),
                    );
                },
            );
            outgoing.on('error', () => resolve(null));
            outgoing.end(body);
        });
    }

    close() {
        this.agent.destroy();
    }
}

/** What is counted of a user in the store. */
export function counted(server, userId) {
    const [row] = sql(
        server,
        `SELECT coalesce(sum(count), 0) AS n FROM user_usage_counts WHERE user_id = '${userId}'`,
    );
    return Number(row.n);
}
