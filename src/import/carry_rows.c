/* SPDX-License-Identifier: MIT */
/* Rows travel as JSON arrays that PostgreSQL takes apart (json_populate_recordset): one parameter a batch,
 * and each value is read by the type of its column. A value that PostgreSQL would refuse is found before it
 * is sent, so that a sentence can name it: a failed statement would only end the unit. */
#include "import/carry_job.h"

#include "base/clock.h"
#include "base/text.h"
#include "base/uuid.h"
#include "import/mend.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#define BATCH_ROWS 500
#define BATCH_BYTES ((size_t)2 << 20) /* then it is full */
#define BATCH_MAX ((size_t)1000 << 20)
#define SQL_MAX (32 * 1024)

/* A table on its way. */
struct flow {
    struct carry *k;
    const struct catalogue_table *table;
    sqlite3_stmt *rows; /* of the columns that `takes` names, in order */
    bool takes[CATALOGUE_COLUMNS];
    bool counts; /* for the progress */
    char sql[SQL_MAX];
    struct buf batch;
    int64_t n, sent;
};

/* ---- values */

static int write_text(struct buf *b, const char *s, size_t len)
{
    if (memchr(s, '\0', len) || !utf8_valid(s, len))
        return -EINVAL;
    return json_write_str(b, s, len);
}

/* A time in any of the forms that AnythingLLM's client writes as well. */
static int write_time(struct buf *b, sqlite3_stmt *row, int col, const char *s)
{
    char iso[ISO_TIME_LEN];
    int64_t ms;
    bool number = sqlite3_column_type(row, col) == SQLITE_INTEGER;
    if (mend_time(number ? NULL : s, sqlite3_column_int64(row, col), &ms) < 0)
        return -EINVAL;
    clock_format_iso(ms, iso);
    return json_write_str(b, iso, ISO_TIME_LEN - 1);
}

static int write_json(struct buf *b, const char *s, size_t len)
{
    _cleanup_json_ json_t *value = memchr(s, '\0', len) ? NULL : json_parse_own(s, len);
    return value ? buf_add(b, s, len) : -EINVAL;
}

static int write_blob(struct buf *b, const void *data, size_t len)
{
    _cleanup_free_ char *hex = malloc(2 * len + 1);
    if (!hex)
        return -ENOMEM;
    hex_encode(data ? data : "", len, hex);
    return buf_addf(b, "\"\\\\x%s\"", hex);
}

static int write_number(struct buf *b, enum target_type type, sqlite3_stmt *row, int col)
{
    int found = sqlite3_column_type(row, col);
    if (type == TARGET_REAL && found == SQLITE_FLOAT) {
        double d = sqlite3_column_double(row, col);
        return isfinite(d) ? buf_addf(b, "%.17g", d) : buf_adds(b, d > 0 ? "\"Infinity\"" : "\"-Infinity\"");
    }
    if (found != SQLITE_INTEGER)
        return -EINVAL;
    int64_t n = sqlite3_column_int64(row, col);
    if (type == TARGET_BOOL)
        return n == 0 || n == 1 ? buf_adds(b, n ? "true" : "false") : -EINVAL;
    return buf_addf(b, "%" PRId64, n);
}

/* 0, or -EINVAL for what the column there can't hold. */
static int write_value(struct buf *b, const struct catalogue_column *col, sqlite3_stmt *row, int at)
{
    if (sqlite3_column_type(row, at) == SQLITE_NULL)
        return buf_adds(b, "null");
    if (col->type == TARGET_INT || col->type == TARGET_REAL || col->type == TARGET_BOOL)
        return write_number(b, col->type, row, at);
    if (col->type == TARGET_BLOB)
        return write_blob(b, sqlite3_column_blob(row, at), (size_t)sqlite3_column_bytes(row, at));
    const char *s = (const char *)sqlite3_column_text(row, at);
    size_t len = (size_t)sqlite3_column_bytes(row, at);
    if (!s)
        return -ENOMEM;
    switch (col->type) {
    case TARGET_TIME:
        return write_time(b, row, at, s);
    case TARGET_JSON:
        return write_json(b, s, len);
    case TARGET_UUID:
        return uuid_valid(s) ? write_text(b, s, len) : -EINVAL;
    default:
        return write_text(b, s, len);
    }
}

/* The role that Directus has under the same name. */
static int write_role(struct flow *f, sqlite3_stmt *row, int at)
{
    const char *here = (const char *)sqlite3_column_text(row, at);
    const char *there = here ? json_str(f->k->role_ids, here, NULL) : NULL;
    return there ? json_write_str(&f->batch, there, strlen(there)) : buf_adds(&f->batch, "null");
}

static int refuse_value(struct flow *f, const struct catalogue_column *col, int r)
{
    const struct catalogue_table *t = f->table;
    const char *key = "?";
    for (size_t i = 0, at = 0; i < t->n; i++) {
        if (!f->takes[i])
            continue;
        if (t->columns[i].key == 1)
            key = (const char *)sqlite3_column_text(f->rows, (int)at);
        at++;
    }
    return carry_fail(f->k, r, "%s.%s of the row %s can't be carried: it is no %s", t->name, col->name,
                      key ? key : "?",
                      col->type == TARGET_JSON   ? "JSON"
                      : col->type == TARGET_TIME ? "time"
                      : col->type == TARGET_UUID ? "UUID"
                      : col->type == TARGET_TEXT ? "text of UTF-8"
                                                 : "value of its type");
}

static int add_row(struct flow *f)
{
    bool is_users = f->k->directus && strcmp(f->table->name, "directus_users") == 0;
    int at = 0, r = buf_adds(&f->batch, f->n ? ",{" : "{");
    for (size_t i = 0; i < f->table->n && r == 0; i++) {
        const struct catalogue_column *col = &f->table->columns[i];
        if (!f->takes[i])
            continue;
        r = buf_addf(&f->batch, "%s\"%s\":", at ? "," : "", col->name);
        if (r == 0 && is_users && strcmp(col->name, "role") == 0)
            r = write_role(f, f->rows, at);
        else if (r == 0)
            r = write_value(&f->batch, col, f->rows, at);
        if (r == -EINVAL)
            return refuse_value(f, col, r);
        at++;
    }
    f->n++;
    return r == 0 ? buf_adds(&f->batch, "}") : r;
}

/* ---- batches */

static void progress(struct flow *f)
{
    struct carry *k = f->k;
    if (k->options->progress)
        k->options->progress(k->options->ctx, f->table->name, k->done, k->total);
}

static int send_batch(struct db_conn *c, struct flow *f)
{
    int64_t changed = 0;
    if (f->n == 0)
        return 0;
    (void)buf_adds(&f->batch, "]");
    if (f->batch.failed)
        return -ENOMEM;
    int r = db_exec(c, f->sql, DB_ARGS(DB_TEXT(f->batch.data)), &changed);
    if (r == -EDOM || r == -EEXIST)
        return carry_fail(f->k, r, "%s: the target refuses its rows", f->table->name);
    if (r == 0 && changed != f->n)
        r = carry_fail(f->k, -EIO, "%s: the target took %" PRId64 " of %" PRId64 " rows", f->table->name,
                       changed, f->n);
    f->sent += f->n;
    f->k->done += f->counts ? f->n : 0;
    f->n = 0;
    buf_reset(&f->batch);
    progress(f);
    return r < 0 ? r : buf_adds(&f->batch, "[");
}

static int send_all(struct db_conn *c, struct flow *f)
{
    int rc, r = buf_adds(&f->batch, "[");
    while (r == 0 && (rc = sqlite3_step(f->rows)) != SQLITE_DONE) {
        if (rc != SQLITE_ROW)
            return carry_fail(f->k, -EIO, "%s can't be read: %s", f->table->name, sqlite3_errstr(rc));
        r = add_row(f);
        if (r == 0 && (f->n >= BATCH_ROWS || f->batch.len >= BATCH_BYTES))
            r = send_batch(c, f);
    }
    return r < 0 ? r : send_batch(c, f);
}

/* ---- statements */

/* "a", "b": the columns that are taken, each behind `before`. */
static void add_columns(struct buf *b, const struct flow *f, const char *before)
{
    bool first = true;
    for (size_t i = 0; i < f->table->n; i++) {
        if (!f->takes[i])
            continue;
        (void)buf_addf(b, "%s%s\"%s\"", first ? "" : ", ", before, f->table->columns[i].name);
        first = false;
    }
}

static int finish_sql(struct flow *f, struct buf *b)
{
    if (!buf_str(b) || b->failed || b->len >= sizeof f->sql)
        return -ENOBUFS;
    memcpy(f->sql, b->data, b->len + 1);
    return 0;
}

static int select_rows(struct flow *f, const char *where)
{
    _cleanup_buf_ struct buf b = BUF_INIT(SQL_MAX);
    (void)buf_adds(&b, "SELECT ");
    add_columns(&b, f, "");
    (void)buf_addf(&b, " FROM \"%s\"%s", f->table->name, where);
    return buf_str(&b) && !b.failed ? carry_prepare(f->k, f->k->from, b.data, &f->rows) : -ENOBUFS;
}

static int write_insert(struct flow *f)
{
    _cleanup_buf_ struct buf b = BUF_INIT(SQL_MAX);
    (void)buf_addf(&b, "INSERT INTO \"%s\" (", f->table->name);
    add_columns(&b, f, "");
    (void)buf_adds(&b, ") SELECT ");
    add_columns(&b, f, "s.");
    (void)buf_addf(&b, " FROM json_populate_recordset(NULL::\"%s\", ?1::json) s", f->table->name);
    return finish_sql(f, &b);
}

static int run_flow(struct db_conn *c, struct flow *f)
{
    f->batch = BUF_INIT(BATCH_MAX);
    int r = send_all(c, f);
    buf_free(&f->batch);
    (void)sqlite3_finalize(f->rows);
    return r;
}

int carry_insert(struct db_conn *c, struct carry *k, const struct catalogue_table *t)
{
    _cleanup_free_ struct flow *f = calloc(1, sizeof *f);
    if (!f)
        return -ENOMEM;
    f->k = k;
    f->table = t;
    f->counts = true;
    for (size_t i = 0; i < t->n; i++)
        f->takes[i] = !t->columns[i].late;
    int r = select_rows(f, "");
    if (r == 0)
        r = write_insert(f);
    if (r == 0)
        r = run_flow(c, f);
    else
        (void)sqlite3_finalize(f->rows);
    report_table(&k->result->report, t->name)->counts[OUTCOME_ADDED] = f->sent;
    return r;
}

/* ---- late references */

static int write_update(struct flow *f, const struct catalogue_column *late)
{
    _cleanup_buf_ struct buf b = BUF_INIT(SQL_MAX);
    bool first = true;
    (void)buf_addf(
        &b, "UPDATE \"%s\" t SET \"%s\" = s.\"%s\" FROM json_populate_recordset(NULL::\"%s\", ?1::json) s",
        f->table->name, late->name, late->name, f->table->name);
    for (size_t i = 0; i < f->table->n; i++) {
        const char *name = f->table->columns[i].name;
        if (f->table->columns[i].key == 0)
            continue;
        (void)buf_addf(&b, " %s t.\"%s\" = s.\"%s\"", first ? "WHERE" : "AND", name, name);
        first = false;
    }
    return first ? -EIO : finish_sql(f, &b);
}

static int set_one(struct db_conn *c, struct carry *k, const struct catalogue_table *t, size_t late)
{
    _cleanup_free_ struct flow *f = calloc(1, sizeof *f);
    char where[256];
    if (!f)
        return -ENOMEM;
    f->k = k;
    f->table = t;
    for (size_t i = 0; i < t->n; i++)
        f->takes[i] = t->columns[i].key > 0 || i == late;
    (void)snprintf(where, sizeof where, " WHERE \"%s\" IS NOT NULL", t->columns[late].name);
    int r = select_rows(f, where);
    if (r == 0)
        r = write_update(f, &t->columns[late]);
    if (r == 0)
        return run_flow(c, f);
    (void)sqlite3_finalize(f->rows);
    return r;
}

int carry_set_late(struct db_conn *c, struct carry *k, const struct catalogue_table *t)
{
    int r = 0;
    for (size_t i = 0; i < t->n && r == 0; i++)
        if (t->columns[i].late)
            r = set_one(c, k, t, i);
    return r;
}
