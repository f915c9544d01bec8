/* SPDX-License-Identifier: MIT */
/* A bounded pool of PostgreSQL connections; private to src/db. Thread-safe.
 *
 * Where the server refuses a connection while others are there (it has a limit, too), callers wait for those.
 * While the server can't be reached one caller at a time tries to connect, at growing intervals; the others
 * are told at once, so that an outage doesn't hold up every thread. */
#ifndef DB_PG_POOL_H
#define DB_PG_POOL_H

#include "db/pg_conn.h"

struct pg_pool;

/* url as in struct db_options. 0 or negative errno with a log line; doesn't connect. */
int pg_pool_make(const char *url, int max, struct pg_pool **ret);

/* Every connection must have been given back. */
void pg_pool_free(struct pg_pool *p);

/* Lends a connection until it is given back. -ETIMEDOUT when all are lent until `until_ms`; -EIO when the
 * server can't be reached: at once, or with `patient` only when that is still so at `until_ms`. */
int pg_pool_lend(struct pg_pool *p, int64_t until_ms, bool patient, struct pg_conn **ret);

/* Gives it back; one that is lost is closed, and so are the idle ones, which may be as dead. */
void pg_pool_return(struct pg_pool *p, struct pg_conn *c);

/* A connection beside the pool, for who keeps it. */
int pg_pool_open_own(struct pg_pool *p, int64_t until_ms, struct pg_conn **ret);

#endif
