// SPDX-License-Identifier: MIT
//
// A PostgreSQL of a measurement's own that keeps what it confirms: with flushes, which the tests' goes without.

import { PostgresServer } from '../../tests/support/postgres.mjs';

const DURABLE = { fsync: 'on', full_page_writes: 'on', synchronous_commit: 'on', autovacuum: 'on' };

export class DurablePostgres extends PostgresServer {
    constructor() {
        super();
        for (const [name, value] of Object.entries(DURABLE)) this.sql(`ALTER SYSTEM SET ${name} = ${value}`);
        this.sql('SELECT pg_reload_conf()');
    }

    /** What genie is told to store there. */
    get store() {
        return { store: 'postgres', database: this.url };
    }
}
