/* SPDX-License-Identifier: MIT */
/* The tables, one after the other, in batches: read and checked first, then stored in one unit. A row that
 * the store itself refuses would undo its batch; then its rows go one by one, so that it is left alone. */
#include "import/job.h"

#include "base/clock.h"
#include "base/text.h"
#include "import/ids.h"
#include "import/mend.h"

#include <errno.h>
#include <string.h>

#define BATCH_ROWS 64
#define BATCH_BYTES ((size_t)4 << 20) /* then it is full; a row is at most SOURCE_VALUE_MAX */
#define SQL_MAX 2048

/* A table on its way. */
struct pass {
    struct import_job *job;
    const struct import_table *table;
    struct report_table *report;
    bool present[COLUMNS_MAX]; /* columns that the source has */
    char insert[SQL_MAX];
    struct import_row *rows;
    size_t n, from, to; /* rows of the batch, and those that a unit takes */
    int64_t done, total;
};

/* ---- values */

static int leave(struct import_row *row, const char *why)
{
    row->left = why;
    return 0;
}

/* The value as an integer, if it is a whole number of 32 bits (or 64). */
static bool whole(const struct source_value *v, bool wide, int64_t *ret)
{
    if (v->type == SQLITE_INTEGER)
        *ret = v->i;
    else if (v->type == SQLITE_FLOAT && v->d >= -9.0e15 && v->d <= 9.0e15 && v->d == (double)(int64_t)v->d)
        *ret = (int64_t)v->d;
    else
        return false;
    return wide || (*ret >= INT32_MIN && *ret <= INT32_MAX);
}

static int take_text(struct import_job *job, const struct import_column *col, const struct source_value *v,
                     struct import_row *row, struct db_value *ret)
{
    bool mended = false;
    if (v->type != SQLITE_TEXT)
        return leave(row, "a text of it is none");
    if (v->len > col->max && col->kind != COLUMN_ANSWER)
        return leave(row, "a text of it is too large");
    const char *text = mend_text(&job->batch, v->p, v->len, &mended);
    int r = text ? 0 : -ENOMEM;
    if (r == 0 && col->kind == COLUMN_ANSWER)
        r = mend_answer(&job->batch, text, col->max, &text, &mended);
    if (mended)
        row->changed = "a text of it was mended";
    if (r == -EINVAL)
        return leave(row, "its response is no JSON");
    if (r == -ENODATA)
        return leave(row, "its response has no text");
    if (r == -E2BIG)
        return leave(row, "its response is too large");
    *ret = DB_TEXT(text);
    return r;
}

static int take_time(struct import_job *job, const struct source_value *v, struct import_row *row,
                     struct db_value *ret)
{
    int64_t number = -1, ms;
    char *text = arena_alloc(&job->batch, ISO_TIME_LEN);
    if (!text)
        return -ENOMEM;
    bool given = v->type == SQLITE_TEXT && strlen(v->p) == v->len;
    if ((!given && !whole(v, true, &number)) || mend_time(given ? v->p : NULL, number, &ms) < 0)
        return leave(row, "a time of it is none");
    clock_format_iso(ms, text);
    *ret = DB_TEXT(text);
    return 0;
}

static int take_value(struct import_job *job, const struct import_column *col, const struct source_value *v,
                      struct import_row *row, struct db_value *ret)
{
    int64_t number;
    if (v->type == SQLITE_NULL) {
        *ret = DB_NULL;
        return col->needed ? leave(row, "a value that it needs is missing") : 0;
    }
    switch (col->kind) {
    case COLUMN_TEXT:
    case COLUMN_ANSWER:
        return take_text(job, col, v, row, ret);
    case COLUMN_TIME:
        return take_time(job, v, row, ret);
    case COLUMN_REAL:
        if (v->type != SQLITE_INTEGER && v->type != SQLITE_FLOAT)
            return leave(row, "a number of it is none");
        *ret = DB_REAL(v->type == SQLITE_FLOAT ? v->d : (double)v->i);
        return 0;
    default:
        if (!whole(v, col->kind == COLUMN_REF, &number))
            return leave(row, "a number of it is none");
        *ret = col->kind == COLUMN_BOOL ? DB_BOOL(number != 0) : DB_INT(number);
        return 0;
    }
}

/* ---- reading a batch */

static int convert(struct pass *p, const struct source_value *found, struct import_row *row)
{
    size_t at = 0;
    int r = 0;
    for (size_t i = 0; i < p->table->n && r == 0 && !row->left; i++)
        if (p->present[i])
            r = take_value(p->job, &p->table->columns[i], &found[at++], row, &row->values[i]);
    if (r == 0 && !row->left && p->table->check)
        r = p->table->check(p->job, row);
    return r;
}

/* The next rows; fewer than BATCH_ROWS at the table's end, or where they are large. */
static int read_batch(struct pass *p, struct source_walk *walk, bool *ret_end)
{
    struct import_job *job = p->job;
    struct source_value found[COLUMNS_MAX];
    arena_free(&job->batch);
    p->rows = arena_alloc(&job->batch, BATCH_ROWS * sizeof *p->rows);
    p->n = 0;
    *ret_end = false;
    int r = p->rows ? 0 : -ENOMEM;
    while (r == 0 && p->n < BATCH_ROWS && job->batch.total < BATCH_BYTES) {
        struct import_row *row = &p->rows[p->n];
        r = source_walk_next(walk, &job->batch, &row->old_id, found);
        if (r == 0) {
            *ret_end = true;
            return 0;
        }
        if (r == -E2BIG)
            r = leave(row, "it is too large");
        else if (r > 0)
            r = convert(p, found, row);
        row->unfit = row->left;
        p->n++;
    }
    return r;
}

/* ---- storing it */

static int resolve(struct db_conn *c, struct pass *p, struct import_row *row)
{
    for (size_t i = 0; i < p->table->n; i++) {
        const struct import_column *col = &p->table->columns[i];
        struct db_value *v = &row->now[i];
        int64_t id = 0;
        if (col->kind != COLUMN_REF)
            continue;
        int r = v->type == DB_T_NULL ? 0 : ids_resolve(c, p->job->source_id, col->table, v->i, &id);
        if (r < 0)
            return r;
        if (r == 0 && (col->rule == REF_NEEDED || (col->rule == REF_IF_SET && v->type != DB_T_NULL)))
            return leave(row, "what it belongs to is not here");
        *v = r > 0 ? DB_INT(id) : DB_NULL;
    }
    return 0;
}

static int insert(struct db_conn *c, struct pass *p, struct import_row *row)
{
    struct db_value args[COLUMNS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < p->table->n; i++)
        if (p->present[i])
            args[n++] = row->now[i];
    int r = db_insert(c, p->insert, args, n, &row->new_id);
    return r == 0 && p->table->after ? p->table->after(c, p->job, row) : r;
}

static int store_row(struct db_conn *c, struct pass *p, struct import_row *row)
{
    char old[OLD_ID_MAX];
    int64_t source = p->job->source_id;
    row->outcome = OUTCOME_ADDED;
    row->unit_changed = NULL;
    memcpy(row->now, row->values, sizeof row->now);
    int r = ids_known(c, source, p->table->name, ids_text(row->old_id, old), &row->new_id);
    if (r != 0) {
        row->outcome = OUTCOME_THERE;
        return r < 0 ? r : 0;
    }
    r = resolve(c, p, row);
    if (r == 0 && !row->left)
        r = p->table->prepare ? p->table->prepare(c, p->job, row) : 1;
    if (r > 0)
        r = insert(c, p, row);
    return r < 0 || row->left ? r : ids_keep(c, source, p->table->name, old, row->new_id);
}

/* May run twice, so it begins from what is known of a row before it. */
static int store_unit(struct db_conn *c, void *arg)
{
    struct pass *p = arg;
    for (size_t i = p->from; i < p->to; i++) {
        struct import_row *row = &p->rows[i];
        row->left = row->unfit;
        int r = row->left ? 0 : store_row(c, p, row);
        if (r < 0)
            return r;
        row->outcome = row->left ? OUTCOME_LEFT : row->outcome;
    }
    return 0;
}

static bool refused(int r)
{
    return r == -EDOM || r == -EEXIST;
}

static int store_rows(struct pass *p, size_t from, size_t to)
{
    p->from = from;
    p->to = to;
    return db_write(p->job->db, store_unit, p);
}

static int store_one_by_one(struct pass *p)
{
    for (size_t i = 0; i < p->n; i++) {
        int r = store_rows(p, i, i + 1);
        if (refused(r)) {
            p->rows[i].left = "the store refused it";
            p->rows[i].outcome = OUTCOME_LEFT;
        } else if (r < 0) {
            return r;
        }
    }
    return 0;
}

static void count(struct pass *p)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct import_row *row = &p->rows[i];
        report_count(p->report, row->outcome);
        if (row->left)
            report_why(p->report, true, row->left, row->old_id);
        if (row->outcome != OUTCOME_ADDED)
            continue;
        if (row->changed)
            report_why(p->report, false, row->changed, row->old_id);
        if (row->unit_changed)
            report_why(p->report, false, row->unit_changed, row->old_id);
    }
}

/* ---- tables */

static const char *source_name(const struct import_column *col)
{
    return col->source ? col->source : col->name;
}

/* What a row is nothing without; the rest takes its default where an older AnythingLLM doesn't have it. */
static bool must_be_there(const struct import_column *col)
{
    bool text = col->kind == COLUMN_TEXT || col->kind == COLUMN_ANSWER;
    return (text && col->needed) || (col->kind == COLUMN_REF && col->rule == REF_NEEDED);
}

static int find_columns(struct pass *p, const char *names[COLUMNS_MAX], size_t *ret_n)
{
    const struct import_table *t = p->table;
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) {
        p->present[i] = source_has_column(p->job->source, t->name, source_name(&t->columns[i]));
        if (p->present[i])
            names[n++] = source_name(&t->columns[i]);
        else if (must_be_there(&t->columns[i]))
            return -ENOENT;
    }
    *ret_n = n;
    return source_has_column(p->job->source, t->name, "id") ? 0 : -ENOENT;
}

static int write_insert(struct pass *p)
{
    _cleanup_buf_ struct buf names = BUF_INIT(SQL_MAX), places = BUF_INIT(SQL_MAX);
    int n = 0;
    for (size_t i = 0; i < p->table->n; i++) {
        if (!p->present[i])
            continue;
        (void)buf_addf(&names, "%s\"%s\"", n ? ", " : "", p->table->columns[i].name);
        (void)buf_addf(&places, "%s?%d", n ? ", " : "", n + 1);
        n++;
    }
    int len = snprintf(p->insert, sizeof p->insert, "INSERT INTO %s (%s) VALUES (%s) RETURNING id",
                       p->table->name, buf_str(&names), buf_str(&places));
    return len > 0 && (size_t)len < sizeof p->insert ? 0 : -ENOBUFS;
}

static int64_t count_rows(struct import_job *job, const char *table)
{
    char sql[128];
    int64_t n = 0;
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM \"%s\"", table);
    return source_int(job->source, sql, &n) > 0 ? n : 0;
}

static int walk_table(struct pass *p, struct source_walk *walk)
{
    bool end = false;
    while (!end) {
        int r = read_batch(p, walk, &end);
        if (r < 0)
            return job_fail(p->job, r, "%s can't be read: %s", p->table->name, source_error(p->job->source));
        r = store_rows(p, 0, p->n);
        if (refused(r))
            r = store_one_by_one(p);
        if (r < 0)
            return job_fail(p->job, r, "the store failed: %s", strerror(-r));
        count(p);
        p->done += (int64_t)p->n;
        job_progress(p->job, p->table->name, p->done, p->total);
    }
    return 0;
}

static int import_one(struct import_job *job, const struct import_table *table)
{
    const char *names[COLUMNS_MAX];
    size_t n;
    struct pass p = {.job = job, .table = table, .report = report_table(&job->result->report, table->name)};
    _cleanup_(source_walk_closeP) struct source_walk *walk = NULL;
    int r = source_has_table(job->source, table->name);
    if (r == 0)
        return 0; /* of a later version */
    if (r > 0)
        r = find_columns(&p, names, &n);
    if (r == 0)
        r = write_insert(&p);
    if (r == 0)
        r = source_walk_open(job->source, table->name, names, n, &walk);
    if (r < 0)
        return job_fail(job, r, "the table %s is not AnythingLLM's", table->name);
    p.total = count_rows(job, table->name);
    return walk_table(&p, walk);
}

int import_rows(struct import_job *job)
{
    int r = 0;
    for (const struct import_table *t = import_tables; t->name && r == 0; t++)
        r = import_one(job, t);
    return r;
}
