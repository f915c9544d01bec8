/* SPDX-License-Identifier: MIT */
/* What an engine of the store provides; private to src/db. db.c looks nothing up: each handle begins with a
 * pointer to its engine. How writes become durable is the engine's affair: SQLite has one writer thread,
 * PostgreSQL gives each caller a connection; so the group-committing writer stands behind these
 * operations, not before them. */
#ifndef DB_ENGINE_H
#define DB_ENGINE_H

#include "db/db.h"
#include "db/migrations.h"

/* Longest wait of a unit that has not begun, and of a connection for another process's lock. */
#define DB_WAIT_MS 5000

struct db {
    const struct db_engine *engine;
};

/* What the unit that runs may do. */
enum unit_kind { UNIT_ANY, UNIT_LOOKS, UNIT_HAS_LOOKED };

struct db_conn {
    const struct db_engine *engine;
    enum unit_kind kind;
};

struct db_rows {
    const struct db_engine *engine;
};

/* The contracts are those of the functions in db.h that have the same name. */
struct db_engine {
    const struct migration *migrations;
    const char *now_sql;   /* its clock, in milliseconds since the epoch */
    const char *ping_sql;  /* must touch the stored data, migrated or not */
    const char *table_sql; /* a row where there is a table named ?1 */

    int (*open)(const struct db_options *options, struct db **ret);
    void (*close)(struct db *db);
    int (*read)(struct db *db, db_fn fn, void *arg);
    int (*look)(struct db *db, db_fn fn, void *arg);
    int (*write)(struct db *db, db_fn fn, void *arg);
    int (*write_in_turn)(struct db *db, const char *turn, db_fn fn, void *arg);
    /* Like write, but no other process does the same meanwhile; for migrations. */
    int (*write_schema)(struct db *db, db_fn fn, void *arg);
    int (*write_async)(struct db *db, db_fn fn, void *arg, db_done_fn done);
    int64_t (*data_version)(struct db *db);
    int64_t (*topic_version)(struct db *db, enum db_topic topic);
    void (*on_user_change)(struct db *db, db_user_change_fn fn, void *ctx);

    void (*limit)(struct db_conn *c, int limit_ms);
    void (*concerns)(struct db_conn *c, const char *user_id);
    /* Gives the unit's statements all the time there is; for db_write_long. */
    int (*unlimit)(struct db_conn *c);
    int (*exec)(struct db_conn *c, const char *sql, const struct db_value *args, size_t n,
                int64_t *ret_changed);
    /* Runs all statements of a script; for migrations. */
    int (*script)(struct db_conn *c, const char *sql);
    int (*query)(struct db_conn *c, const char *sql, const struct db_value *args, size_t n,
                 struct db_rows **ret);
    int (*next)(struct db_rows *rows);
    void (*rows_free)(struct db_rows *rows);
    const char *(*text)(struct db_rows *rows, int col);
    int64_t (*integer)(struct db_rows *rows, int col);
    double (*real)(struct db_rows *rows, int col);
    bool (*is_null)(struct db_rows *rows, int col);
    const void *(*blob)(struct db_rows *rows, int col, size_t *ret_len);
};

extern const struct db_engine sqlite_engine, postgres_engine;

/* db_migrate with a list of one's own. */
int db_apply_migrations(struct db *db, const struct migration *list, int *ret_applied);

#endif
