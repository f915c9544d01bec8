/* SPDX-License-Identifier: MIT */
#include "goose/rows.h"

#include "base/clock.h"
#include "base/text.h"

#include <errno.h>

#define DIED "The server that ran it has died, or lost the store"

struct times {
    char now[ISO_TIME_LEN], lease[ISO_TIME_LEN];
};

static int read_times(struct db_conn *c, struct times *ret)
{
    int64_t now_ms;
    int r = db_now(c, &now_ms);
    if (r < 0)
        return r;
    clock_format_iso(now_ms, ret->now);
    clock_format_iso(now_ms + GOOSE_LEASE_MS, ret->lease);
    return 0;
}

static int expire(struct db_conn *c, const char *now)
{
    return db_exec(
        c,
        "UPDATE goose_runs SET status = 'failed', error_message = ?2, finished_at = ?1,"
        " date_updated = ?1 WHERE status = 'running' AND (lease_until IS NULL OR lease_until < ?1)",
        DB_ARGS(DB_TEXT(now), DB_TEXT(DIED)), NULL);
}

int goose_expire(struct db_conn *c, const struct duty_run *run)
{
    int r = expire(c, run->now);
    return r < 0 ? r : 0;
}

/* ---- beginning */

/* Writes to the row that all who count write to, so that of several at once each sees those before it. */
static int lock_count(struct db_conn *c, const char *now)
{
    return db_exec(c,
                   "INSERT INTO leader_leases (name, last_run_at) VALUES ('goose runs', ?1)"
                   " ON CONFLICT (name) DO UPDATE SET last_run_at = excluded.last_run_at",
                   DB_ARGS(DB_TEXT(now)), NULL);
}

static int insert(struct db_conn *c, const struct goose_new *run, const struct times *t)
{
    return db_exec(c,
                   "INSERT INTO goose_runs (id, server, user_id, instructions, recipe, timeout_s, status,"
                   " started_at, lease_until, date_created, date_updated)"
                   " VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'running', ?7, ?8, ?7, ?7)",
                   DB_ARGS(DB_TEXT(run->id), DB_TEXT(run->server), DB_TEXT(run->user_id),
                           DB_TEXT(run->instructions), DB_TEXT(run->recipe), DB_INT(run->timeout_s),
                           DB_TEXT(t->now), DB_TEXT(t->lease)),
                   NULL);
}

static int begin_unit(struct db_conn *c, void *arg)
{
    const struct goose_new *run = arg;
    struct times t;
    int64_t running = 0;
    int r = read_times(c, &t);
    if (r == 0)
        r = lock_count(c, t.now);
    if (r == 0)
        r = expire(c, t.now);
    if (r == 0)
        r = db_query_int(c, "SELECT count(*) FROM goose_runs WHERE status = 'running'", DB_NO_ARGS, &running);
    if (r < 0 || running >= run->most)
        return r < 0 ? r : 1;
    r = insert(c, run, &t);
    return r == 0 && run->also ? run->also(c, run->id, run->arg) : r;
}

int goose_row_begin(struct db *db, const struct goose_new *run)
{
    return db_write(db, begin_unit, (void *)(uintptr_t)run);
}

/* ---- while it runs */

static int beat_unit(struct db_conn *c, void *arg)
{
    struct goose_beat *b = arg;
    struct times t;
    int64_t changed = 0, cancelled = 0;
    int r = read_times(c, &t);
    if (r == 0)
        r = db_exec(c,
                    "UPDATE goose_runs SET lease_until = ?3, date_updated = ?4, output_bytes = ?6,"
                    " output = coalesce(?5, output) WHERE id = ?1 AND server = ?2 AND status = 'running'",
                    DB_ARGS(DB_TEXT(b->id), DB_TEXT(b->server), DB_TEXT(t.lease), DB_TEXT(t.now),
                            DB_TEXT(b->output), DB_INT(b->output_bytes)),
                    &changed);
    if (r == 0)
        r = db_query_int(c, "SELECT 1 FROM goose_runs WHERE id = ?1 AND cancelled_by IS NOT NULL",
                         DB_ARGS(DB_TEXT(b->id)), &cancelled);
    b->ours = changed > 0;
    b->cancelled = cancelled != 0;
    return r < 0 ? r : 0;
}

int goose_row_beat(struct db *db, struct goose_beat *beat)
{
    return db_write(db, beat_unit, beat);
}

static int end_unit(struct db_conn *c, void *arg)
{
    const struct goose_end *e = arg;
    struct times t;
    int64_t changed = 0;
    int r = read_times(c, &t);
    if (r == 0)
        r = db_exec(c,
                    "UPDATE goose_runs SET status = ?3, exit_code = ?4, output = ?5, output_bytes = ?6,"
                    " error_message = ?7, finished_at = ?8, date_updated = ?8, lease_until = NULL"
                    " WHERE id = ?1 AND server = ?2 AND status = 'running'",
                    DB_ARGS(DB_TEXT(e->id), DB_TEXT(e->server), DB_TEXT(e->status),
                            e->has_exit_code ? DB_INT(e->exit_code) : DB_NULL, DB_TEXT(e->output),
                            DB_INT(e->output_bytes), DB_TEXT(e->error), DB_TEXT(t.now)),
                    &changed);
    return r < 0 ? r : changed == 0;
}

int goose_row_end(struct db *db, const struct goose_end *end)
{
    return db_write(db, end_unit, (void *)(uintptr_t)end);
}

/* ---- cancelling */

struct cancelling {
    const char *id, *user_id;
};

static int cancel_unit(struct db_conn *c, void *arg)
{
    const struct cancelling *in = arg;
    struct times t;
    int64_t changed = 0, one;
    int r = read_times(c, &t);
    if (r == 0)
        r = expire(c, t.now);
    if (r == 0)
        r = db_exec(c,
                    "UPDATE goose_runs SET cancelled_by = coalesce(cancelled_by, ?2), date_updated = ?3"
                    " WHERE id = ?1 AND status = 'running'",
                    DB_ARGS(DB_TEXT(in->id), DB_TEXT(in->user_id), DB_TEXT(t.now)), &changed);
    if (r < 0 || changed > 0)
        return r;
    r = db_query_int(c, "SELECT 1 FROM goose_runs WHERE id = ?1", DB_ARGS(DB_TEXT(in->id)), &one);
    return r == 0 ? -ENOENT : r;
}

int goose_row_cancel(struct db *db, const char *id, const char *user_id)
{
    struct cancelling in = {id, user_id};
    return db_write(db, cancel_unit, &in);
}

/* ---- reading */

#define COLUMNS(output) \
    "SELECT id, user_id, instructions, recipe, status, " output ", error_message, started_at, finished_at," \
    " cancelled_by, exit_code, timeout_s, output_bytes FROM goose_runs "

enum { TEXTS = 10, EXIT_CODE = TEXTS, TIMEOUT_S, OUTPUT_BYTES };

static int read_row(struct db_rows *rows, struct arena *a, struct goose_row *ret)
{
    const char **texts[TEXTS] = {&ret->id,          &ret->user_id,     &ret->instructions, &ret->recipe,
                                 &ret->status,      &ret->output,      &ret->error,        &ret->started_at,
                                 &ret->finished_at, &ret->cancelled_by};
    for (int i = 0; i < TEXTS; i++)
        if (!(*texts[i] = db_text_dup(rows, i, a)) && !db_is_null(rows, i))
            return -ENOMEM;
    ret->has_exit_code = !db_is_null(rows, EXIT_CODE);
    ret->exit_code = db_int(rows, EXIT_CODE);
    ret->timeout_s = db_int(rows, TIMEOUT_S);
    ret->output_bytes = db_int(rows, OUTPUT_BYTES);
    return 0;
}

struct reading {
    const char *id;
    struct arena *a;
    struct goose_row *rows;
    size_t n;
};

int goose_row_read_in(struct db_conn *c, const char *id, struct arena *a, struct goose_row *ret)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c, COLUMNS("output") "WHERE id = ?1", DB_ARGS(DB_TEXT(id)), &rows);
    if (r == 0)
        r = db_next(rows);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    return read_row(rows, a, ret);
}

static int read_unit(struct db_conn *c, void *arg)
{
    struct reading *in = arg;
    return goose_row_read_in(c, in->id, in->a, in->rows);
}

int goose_row_read(struct db *db, const char *id, struct arena *a, struct goose_row *ret)
{
    struct reading in = {.id = id, .a = a, .rows = ret};
    return db_look(db, read_unit, &in);
}

static int list_unit(struct db_conn *c, void *arg)
{
    struct reading *in = arg;
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c, COLUMNS("CAST(NULL AS TEXT)") "ORDER BY date_created DESC, id LIMIT ?1",
                     DB_ARGS(DB_INT(GOOSE_RUNS_LISTED)), &rows);
    in->n = 0;
    while (r == 0 && (r = db_next(rows)) > 0)
        r = read_row(rows, in->a, &in->rows[in->n++]);
    return r;
}

int goose_row_list(struct db *db, struct arena *a, struct goose_row *rows, size_t *ret_n)
{
    struct reading in = {.a = a, .rows = rows};
    int r = db_look(db, list_unit, &in);
    if (r < 0)
        return r;
    *ret_n = in.n;
    return 0;
}
