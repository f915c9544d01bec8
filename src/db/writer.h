/* SPDX-License-Identifier: MIT */
/* The one thread that writes to SQLite; private to src/db. */
#ifndef DB_WRITER_H
#define DB_WRITER_H

#include "db/sqlite_conn.h"

struct writer;

/* Starts the thread; it owns the connection from then on, also when starting fails. 0 or negative errno. */
int writer_start(struct sqlite_conn *conn, struct writer **ret);

/* Runs what is queued, then ends the thread and closes its connection. */
void writer_stop(struct writer *w);

/* db_write, db_write_async and db_data_version. */
int writer_run(struct writer *w, db_fn fn, void *arg);
int writer_submit(struct writer *w, db_fn fn, void *arg, db_done_fn done);
int64_t writer_data_version(struct writer *w);

#endif
