/* SPDX-License-Identifier: MIT */
/* The store. One interface, one file per engine; the SQL is the common subset of SQLite and PostgreSQL with
 * numbered parameters (?1, ?2 …).
 *
 * Work on the store is a function that gets a connection:
 *
 *   - db_read(): runs once, on the calling thread, read-only, in one consistent snapshot;
 *
 *   - db_write(): runs as one unit, wholly done and durable when the call returns >= 0, or not done at all.
 *
 * A unit may be run by another thread (SQLite's group-committing writer), so it touches only `arg` and the
 * connection, never blocks on anything else, and does not call db_read/db_write again. One that writes may be
 * run again after a run was undone, so it begins from *arg as the caller left it; what it stores there counts
 * only if the call does not fail. A negative return of the unit rolls it back and is passed on; a positive
 * one is passed on after success. A statement's failure ends the unit: every later one fails alike, and so
 * does the unit, whatever it returns; to go on, look first or say ON CONFLICT. A unit can't end the
 * transaction it runs in, and its statements have 30 s (then -ETIMEDOUT).
 *
 * Two units at a time don't overwrite each other's rows, but on PostgreSQL each sees the others' rows as they
 * were when it began: one that decides by rows that it doesn't itself write must also write to one that all
 * who decide so write to (docs/store.md).
 *
 * Portable text forms: uuid and timestamps are text (ISO 8601, see clock.h), JSON columns are text, booleans
 * are DB_BOOL in parameters, TRUE and FALSE in SQL, and come back as 0/1. Errors: -ENOENT is never used by
 * the store itself; -EEXIST a unique rule, -EDOM another constraint, -ETIMEDOUT the store is too busy (a unit
 * that has not begun within 5 s is withdrawn), -ENOSPC disk full, -ENOMEM, -EDEADLK db_write from within a
 * unit, -EIO anything else (logged once, with the SQL and never with values). On PostgreSQL -EIO may also
 * mean that the connection was lost during COMMIT; then nobody knows whether the unit was done. */
#ifndef DB_DB_H
#define DB_DB_H

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct db;      /* the store; thread-safe */
struct db_conn; /* a connection lent to a unit of work; only for the thread that runs it */
struct db_rows; /* the rows of a running query; owned by who asked, freed before its unit ends */

struct db_options {
    const char *path; /* SQLite database file */
    int readers;      /* most read connections to it */
    const char *url;  /* postgres://…, instead of a file; a secret: it may hold a password */
    int connections;  /* most connections there, for reading and writing */
};

/* Opens (a file that isn't there is made, a database must exist), 0 or negative errno with a log line. Does
 * not migrate. */
int db_open(const struct db_options *options, struct db **ret);

/* Waits for the writer to finish what is queued, then closes. Nothing may use it any more. */
void db_close(struct db *db);

DEFINE_CLEANUP(struct db *, db_close);

/* Brings the schema up to date; each migration is one transaction. 0, -ENOTSUP when the database is newer
 * than the program (logged with a sentence), or negative errno. ret_applied (may be NULL): how many ran. */
int db_migrate(struct db *db, int *ret_applied);

/* 0 if the store answers a trivial read now. */
int db_ping(struct db *db);

typedef int (*db_fn)(struct db_conn *c, void *arg);

int db_read(struct db *db, db_fn fn, void *arg);
int db_write(struct db *db, db_fn fn, void *arg);

/* Like db_write, for a unit whose rows hang together with others that such units write, so that two of them
 * could each wait for a row that the other has. Those of one turn (a text, such as a user's id) run one after
 * another, on all servers; each waits at most 5 s for the one before it. */
int db_write_in_turn(struct db *db, const char *turn, db_fn fn, void *arg);

/* db_read for a unit of exactly one SELECT, which has 5 s. It needs no transaction, which on PostgreSQL saves
 * two of three ways to the server and back. Anything else in it is -EIO. */
int db_look(struct db *db, db_fn fn, void *arg);

/* Like db_write, for a unit that takes as long as its data is large: its statements have no limit but a day,
 * and no other process migrates, or runs another of this kind, meanwhile. */
int db_write_long(struct db *db, db_fn fn, void *arg);

/* Like db_write, but returns at once; done(arg, r) is called later, once, on the writer's thread, when the
 * unit is durable (r >= 0) or rolled back (r < 0). It must be short. Returns 0, or -EAGAIN when the queue is
 * full: then done is never called. */
typedef void (*db_done_fn)(void *arg, int r);
int db_write_async(struct db *db, db_fn fn, void *arg, db_done_fn done);

/* A counter that changes whenever another process has written to the store; for dropping caches. Cheap. */
int64_t db_data_version(struct db *db);

/* The same for what caches are made of, as far as the engine can tell writes apart (PostgreSQL): who may do
 * what, users' nodes and edges, flows, skills. src/db/topics.c says which tables they are. */
enum db_topic { DB_IDENTITIES, DB_NODES, DB_FLOWS, DB_SKILLS, DB_TOPICS };
int64_t db_topic_version(struct db *db, enum db_topic topic);

/* Has fn called when another process wrote rows of one user alone, and said so (db_concerns): that doesn't
 * move the topics' versions then. topics: bits 1 << topic. On a thread of the store's; fn must be short. NULL
 * ends it, and returns when no call is under way. */
typedef void (*db_user_change_fn)(void *ctx, unsigned topics, const char *user_id);
void db_on_user_change(struct db *db, db_user_change_fn fn, void *ctx);

/* --- inside a unit ---------------------------------------------------------------------------------- */

enum db_type { DB_T_NULL, DB_T_INT, DB_T_REAL, DB_T_TEXT, DB_T_BLOB, DB_T_BOOL };

struct db_value {
    enum db_type type;
    int64_t i;
    double d;
    const void *p; /* text or blob, lives until the call returns */
    size_t len;    /* of a blob */
};

#define DB_NULL ((struct db_value){.type = DB_T_NULL})
#define DB_INT(n) ((struct db_value){.type = DB_T_INT, .i = (int64_t)(n)})
#define DB_BOOL(yes) ((struct db_value){.type = DB_T_BOOL, .i = (yes) ? 1 : 0})
#define DB_REAL(x) ((struct db_value){.type = DB_T_REAL, .d = (x)})
#define DB_TEXT(s) db_text_value(s) /* NULL becomes SQL NULL */
#define DB_BLOB(ptr, n) ((struct db_value){.type = DB_T_BLOB, .p = (ptr), .len = (n)})

static inline struct db_value db_text_value(const char *s)
{
    return s ? (struct db_value){.type = DB_T_TEXT, .p = s} : DB_NULL;
}

/* The parameters of a statement: DB_ARGS(DB_TEXT(id), DB_INT(n)), or DB_NO_ARGS. */
#define DB_ARGS(...) \
    (const struct db_value[]){__VA_ARGS__}, \
        sizeof((const struct db_value[]){__VA_ARGS__}) / sizeof(struct db_value)
#define DB_NO_ARGS NULL, 0

/* Gives the unit's statements only so long from now on (then -ETIMEDOUT): for work whose cost somebody
 * outside chooses. */
void db_limit(struct db_conn *c, int limit_ms);

/* Says that all this unit writes of the topics is this user's (a UUID). Other servers then keep what they
 * have of others. */
void db_concerns(struct db_conn *c, const char *user_id);

/* Runs a statement without rows; ret_changed (may be NULL): rows it touched. */
int db_exec(struct db_conn *c, const char *sql, const struct db_value *args, size_t n, int64_t *ret_changed);

/* Runs an INSERT into a table with an integer key and gives that key (SQL must end in RETURNING id).
 * -EEXIST when ON CONFLICT DO NOTHING did nothing. */
int db_insert(struct db_conn *c, const char *sql, const struct db_value *args, size_t n, int64_t *ret_id);

/* The store's clock, which is the same for all its users, in milliseconds since the epoch. Two calls in one
 * unit may differ. */
int db_now(struct db_conn *c, int64_t *ret_ms);

/* The same as text (clock_format_iso), so much later, or earlier where offset_ms is negative. */
int db_now_text(struct db_conn *c, int64_t offset_ms, char ret[ISO_TIME_LEN]);

/* Starts a query; then while ((r = db_next(rows)) > 0) …: 1 a row, 0 the end, or negative errno. */
int db_query(struct db_conn *c, const char *sql, const struct db_value *args, size_t n, struct db_rows **ret);
int db_next(struct db_rows *rows);
void db_rows_free(struct db_rows *rows);
DEFINE_CLEANUP(struct db_rows *, db_rows_free);

/* Columns of the present row, from 0. Pointers live until the next db_next or free; db_text gives NULL for
 * SQL NULL. */
const char *db_text(struct db_rows *rows, int col);
int64_t db_int(struct db_rows *rows, int col);
double db_real(struct db_rows *rows, int col);
bool db_is_null(struct db_rows *rows, int col);
const void *db_blob(struct db_rows *rows, int col, size_t *ret_len);

/* The text of a column copied into an arena; NULL for SQL NULL (or without memory). */
char *db_text_dup(struct db_rows *rows, int col, struct arena *a);

/* Runs a query that yields at most one row of one integer: 1 and *ret, 0 no row, or negative errno. */
int db_query_int(struct db_conn *c, const char *sql, const struct db_value *args, size_t n, int64_t *ret);

/* The one of two texts that the unit's engine speaks, for what the common subset lacks: rows that others hold
 * can be passed over only where there are such locks. */
const char *db_sql(struct db_conn *c, const char *sqlite, const char *postgres);

/* Whether there is a table of this name: 1, 0, or negative errno. */
int db_has_table(struct db_conn *c, const char *name);

#endif
