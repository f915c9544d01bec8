/* SPDX-License-Identifier: MIT */
/* Hears of other processes' writes; private to src/db. Every unit that wrote something is followed by a
 * notification that names the process; one connection of our own listens.
 *
 * What can't be heard counts as a change: the beginning, every loss of the connection, and every moment
 * without one. */
#ifndef DB_PG_LISTENER_H
#define DB_PG_LISTENER_H

#include "db/pg_pool.h"

#define PG_CHANNEL "genie_changes"

struct pg_listener;

/* node: what our own notifications say; it outlives the listener. Connections are made beside the pool. */
struct pg_listener *pg_listener_make(struct pg_pool *pool, const char *node);
void pg_listener_free(struct pg_listener *l);

/* db_topic_version, and db_data_version with DB_TOPICS: starts to listen when first asked. Never waits. */
int64_t pg_listener_version(struct pg_listener *l, enum db_topic topic);

/* db_on_user_change. */
void pg_listener_on_user_change(struct pg_listener *l, db_user_change_fn fn, void *ctx);

#endif
