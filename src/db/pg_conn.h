/* SPDX-License-Identifier: MIT */
/* One PostgreSQL connection with its prepared statements; private to src/db. Used by one thread at a time.
 * Every wait for the server has a limit; a connection that passes it is lost, since an answer may still be on
 * its way. */
#ifndef DB_PG_CONN_H
#define DB_PG_CONN_H

#include "base/uuid.h"
#include "db/engine.h"

#include <libpq-fe.h>

struct pg_stmt;

/* Where to connect: libpq's keywords and values, as it parsed them. */
struct pg_target {
    PQconninfoOption *options;
    const char *keywords[64], *values[64];
    char place[256]; /* host, port and database, for logs */
};

struct pg_conn {
    struct db_conn base;
    PGconn *handle;
    struct pg_stmt *cache; /* by SQL and types, least recently used first */
    unsigned prepared;     /* so far, for their names */
    int unit_limit_ms;     /* longest run of one unit's statements */
    int64_t unit_deadline;
    bool in_unit;
    int error;                       /* the unit's first failure: whatever follows fails alike */
    bool again, deadlock, duplicate; /* see struct pg_error */
    bool wrote;
    unsigned topics;         /* of what was written */
    char user_id[UUID_SIZE]; /* whose rows alone they were, or "" */
    bool several;            /* the unit named more than one */
    bool lost;               /* no longer usable: closed instead of given back */
    int rows;                /* results that are not freed */
    struct pg_conn *next;    /* in a list of idle ones */
};

/* Reads a URL (which is never logged: it may hold a password). 0, or -EINVAL with a log line. */
int pg_target_parse(const char *url, struct pg_target *ret);
void pg_target_free(struct pg_target *t);

/* Connects and sets the session up, all by `until_ms` of the monotonic clock; -EIO or -ETIMEDOUT, with what
 * the server or the network said in `ret_why` (owned by the caller). */
int pg_conn_open(const struct pg_target *t, int64_t until_ms, struct pg_conn **ret, char **ret_why);
void pg_conn_close(struct pg_conn *c);
DEFINE_CLEANUP(struct pg_conn *, pg_conn_close);

/* Looks, without waiting, whether the server has closed an idle connection. */
bool pg_conn_alive(struct pg_conn *c);

/* Runs statements that are ours and have no parameters, outside the accounts of a unit: 0 or negative errno
 * (the first error's). Results after an error aren't run by the server. */
int pg_conn_command(struct pg_conn *c, const char *sql, int64_t until_ms);

/* Ends a transaction with "COMMIT" or what begins with it: 0 once COMMIT has been answered, whatever became
 * of the rest; -EIO when the connection was lost before the answer: then nobody knows. */
int pg_conn_commit(struct pg_conn *c, const char *sql, int64_t until_ms);

/* Runs fn in the transaction that is open; its result, or the first error of its statements. */
int pg_conn_run(struct pg_conn *c, db_fn fn, void *arg);

/* Waits for the whole answer to what was sent: the first error's result, or else the first result (owned by
 * the caller). 0, or negative errno with the connection lost. */
int pg_conn_answer(struct pg_conn *c, int64_t until_ms, PGresult **ret);

/* Notes a statement that the server refused and returns its errno. */
int pg_conn_fail(struct pg_conn *c, const char *sql, const PGresult *res);

/* The same for one that never reached the server; logged if it is -EIO. */
int pg_conn_refuse(struct pg_conn *c, const char *sql, int r, const char *why);

/* The same for one whose answer didn't come. */
int pg_conn_lose(struct pg_conn *c, int r);

void pg_stmt_discard_all(struct pg_conn *c);

/* The operations of struct db_engine. */
void pg_limit(struct db_conn *c, int limit_ms);
void pg_concerns(struct db_conn *c, const char *user_id);
int pg_unlimit(struct db_conn *c);
int pg_exec(struct db_conn *c, const char *sql, const struct db_value *args, size_t n, int64_t *ret_changed);
int pg_script(struct db_conn *c, const char *sql);
int pg_query(struct db_conn *c, const char *sql, const struct db_value *args, size_t n, struct db_rows **ret);

/* Takes the result over. NULL without memory. */
struct db_rows *pg_rows_make(struct pg_conn *c, PGresult *res);
int pg_next(struct db_rows *rows);
void pg_rows_free(struct db_rows *rows);
const char *pg_text(struct db_rows *rows, int col);
int64_t pg_int(struct db_rows *rows, int col);
double pg_real(struct db_rows *rows, int col);
bool pg_is_null(struct db_rows *rows, int col);
const void *pg_blob(struct db_rows *rows, int col, size_t *ret_len);

#endif
