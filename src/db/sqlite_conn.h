/* SPDX-License-Identifier: MIT */
/* One SQLite connection with its prepared statements; private to src/db. Used by one thread at a time. */
#ifndef DB_SQLITE_CONN_H
#define DB_SQLITE_CONN_H

#include "db/engine.h"

#include <sqlite3.h>

struct sqlite_stmt;

struct sqlite_conn {
    struct db_conn base;
    sqlite3 *handle;
    struct sqlite_stmt *cache; /* by SQL text, least recently used first */
    int busy_limit_ms;         /* longest wait for another process's lock */
    int unit_limit_ms;         /* longest run of one unit's statements; beyond it they end with -ETIMEDOUT */
    int64_t busy_since, unit_deadline;
    bool in_unit;             /* a unit runs: it may neither end the transaction nor outlive it */
    int running;              /* statements that are not done */
    int error;                /* the unit's first failure: whatever follows fails alike */
    struct sqlite_conn *next; /* in a list of idle ones */
};

struct sqlite_conn_options {
    const char *path;
    int cache_kib;
    bool read_only;
};

/* Opens a connection, in WAL mode and with foreign keys; the file must exist. Logs what fails. */
int sqlite_conn_open(const struct sqlite_conn_options *options, struct sqlite_conn **ret);
void sqlite_conn_close(struct sqlite_conn *c);
DEFINE_CLEANUP(struct sqlite_conn *, sqlite_conn_close);

/* Runs fn between begin and the caller's end of the transaction; its result. */
int sqlite_conn_run(struct sqlite_conn *c, db_fn fn, void *arg);

/* Whether a transaction is open. After an error it may not be: SQLite rolls back by itself. */
bool sqlite_conn_in_transaction(struct sqlite_conn *c);

/* The operations of struct db_engine. */
void sqlite_limit(struct db_conn *c, int limit_ms);
int sqlite_unlimit(struct db_conn *c);
int sqlite_exec(struct db_conn *c, const char *sql, const struct db_value *args, size_t n,
                int64_t *ret_changed);
int sqlite_script(struct db_conn *c, const char *sql);
int sqlite_query(struct db_conn *c, const char *sql, const struct db_value *args, size_t n,
                 struct db_rows **ret);
int sqlite_next(struct db_rows *rows);
void sqlite_rows_free(struct db_rows *rows);
const char *sqlite_text(struct db_rows *rows, int col);
int64_t sqlite_int(struct db_rows *rows, int col);
double sqlite_real(struct db_rows *rows, int col);
bool sqlite_is_null(struct db_rows *rows, int col);
const void *sqlite_blob(struct db_rows *rows, int col, size_t *ret_len);

#endif
