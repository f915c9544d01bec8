/* SPDX-License-Identifier: MIT */
/* The front of the store: hands each call to the engine, and builds the conveniences on the engine's basics.
 */
#include "db/db.h"

#include "base/log.h"
#include "db/engine.h"

#include <errno.h>
#include <string.h>

int db_open(const struct db_options *options, struct db **ret)
{
    return options->url ? postgres_engine.open(options, ret) : sqlite_engine.open(options, ret);
}

void db_close(struct db *db)
{
    db->engine->close(db);
}

int db_read(struct db *db, db_fn fn, void *arg)
{
    return db->engine->read(db, fn, arg);
}

struct look {
    db_fn fn;
    void *arg;
};

static int look_unit(struct db_conn *c, void *arg)
{
    struct look *look = arg;
    c->kind = UNIT_LOOKS;
    int r = look->fn(c, look->arg);
    c->kind = UNIT_ANY;
    return r;
}

int db_look(struct db *db, db_fn fn, void *arg)
{
    return db->engine->look(db, look_unit, &(struct look){fn, arg});
}

/* A second statement would see another snapshot, and a write nothing would undo. */
static int may_run(struct db_conn *c, const char *sql)
{
    if (c->kind == UNIT_ANY)
        return 0;
    if (c->kind == UNIT_HAS_LOOKED || strncmp(sql, "SELECT ", 7) != 0)
        return log_error(-EIO, "store: a look is one SELECT");
    c->kind = UNIT_HAS_LOOKED;
    return 0;
}

int db_write(struct db *db, db_fn fn, void *arg)
{
    return db->engine->write(db, fn, arg);
}

int db_write_in_turn(struct db *db, const char *turn, db_fn fn, void *arg)
{
    return db->engine->write_in_turn(db, turn, fn, arg);
}

struct long_unit {
    db_fn fn;
    void *arg;
};

static int run_long(struct db_conn *c, void *arg)
{
    const struct long_unit *u = arg;
    int r = c->engine->unlimit(c);
    return r < 0 ? r : u->fn(c, u->arg);
}

int db_write_long(struct db *db, db_fn fn, void *arg)
{
    return db->engine->write_schema(db, run_long, &(struct long_unit){fn, arg});
}

int db_write_async(struct db *db, db_fn fn, void *arg, db_done_fn done)
{
    return db->engine->write_async(db, fn, arg, done);
}

int64_t db_data_version(struct db *db)
{
    return db->engine->data_version(db);
}

int64_t db_topic_version(struct db *db, enum db_topic topic)
{
    return db->engine->topic_version(db, topic);
}

void db_on_user_change(struct db *db, db_user_change_fn fn, void *ctx)
{
    db->engine->on_user_change(db, fn, ctx);
}

static int ping(struct db_conn *c, void *arg)
{
    (void)arg;
    int64_t n;
    int r = db_query_int(c, c->engine->ping_sql, DB_NO_ARGS, &n);
    return r < 0 ? r : 0;
}

int db_ping(struct db *db)
{
    return db_read(db, ping, NULL);
}

void db_limit(struct db_conn *c, int limit_ms)
{
    c->engine->limit(c, limit_ms);
}

void db_concerns(struct db_conn *c, const char *user_id)
{
    c->engine->concerns(c, user_id);
}

int db_exec(struct db_conn *c, const char *sql, const struct db_value *args, size_t n, int64_t *ret_changed)
{
    int r = may_run(c, sql);
    return r < 0 ? r : c->engine->exec(c, sql, args, n, ret_changed);
}

int db_query(struct db_conn *c, const char *sql, const struct db_value *args, size_t n, struct db_rows **ret)
{
    int r = may_run(c, sql);
    return r < 0 ? r : c->engine->query(c, sql, args, n, ret);
}

int db_next(struct db_rows *rows)
{
    return rows->engine->next(rows);
}

void db_rows_free(struct db_rows *rows)
{
    if (rows)
        rows->engine->rows_free(rows);
}

const char *db_text(struct db_rows *rows, int col)
{
    return rows->engine->text(rows, col);
}

int64_t db_int(struct db_rows *rows, int col)
{
    return rows->engine->integer(rows, col);
}

double db_real(struct db_rows *rows, int col)
{
    return rows->engine->real(rows, col);
}

bool db_is_null(struct db_rows *rows, int col)
{
    return rows->engine->is_null(rows, col);
}

const void *db_blob(struct db_rows *rows, int col, size_t *ret_len)
{
    return rows->engine->blob(rows, col, ret_len);
}

char *db_text_dup(struct db_rows *rows, int col, struct arena *a)
{
    return arena_strdup(a, db_text(rows, col));
}

int db_query_int(struct db_conn *c, const char *sql, const struct db_value *args, size_t n, int64_t *ret)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c, sql, args, n, &rows);
    if (r < 0)
        return r;
    r = db_next(rows);
    if (r > 0)
        *ret = db_int(rows, 0);
    return r;
}

int db_now(struct db_conn *c, int64_t *ret_ms)
{
    int r = db_query_int(c, c->engine->now_sql, DB_NO_ARGS, ret_ms);
    return r < 0 ? r : 0;
}

int db_now_text(struct db_conn *c, int64_t offset_ms, char ret[ISO_TIME_LEN])
{
    int64_t now_ms;
    int r = db_now(c, &now_ms);
    if (r == 0)
        clock_format_iso(now_ms + offset_ms, ret);
    return r;
}

int db_insert(struct db_conn *c, const char *sql, const struct db_value *args, size_t n, int64_t *ret_id)
{
    int64_t id;
    int r = db_query_int(c, sql, args, n, &id);
    if (r < 0)
        return r;
    if (r == 0)
        return -EEXIST; /* ON CONFLICT DO NOTHING did nothing */
    *ret_id = id;
    return 0;
}

const char *db_sql(struct db_conn *c, const char *sqlite, const char *postgres)
{
    return c->engine == &postgres_engine ? postgres : sqlite;
}

int db_has_table(struct db_conn *c, const char *name)
{
    int64_t one;
    return db_query_int(c, c->engine->table_sql, DB_ARGS(DB_TEXT(name)), &one);
}
