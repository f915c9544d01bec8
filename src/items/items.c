/* SPDX-License-Identifier: MIT */
/* Reading. A query becomes one SELECT whose conditions begin with the rows that are there at all for who
 * asks; counts are taken in the same snapshot. */
#include "items/items.h"

#include "base/text.h"
#include "base/uuid.h"
#include "items/filter.h"
#include "items/scope.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <utlist.h>

#define ROWS_MAX 1000
#define ARENA_MAX (4 * 1024 * 1024)
#define ANSWER_MAX_BYTES (16 * 1024 * 1024) /* of texts; as JSON values they take a few times as much */

int scope_open(struct filter_scope *scope, struct arena *a, const struct identity *who,
               const char *collection, enum action action, struct items_error *error)
{
    static const struct items_error none;
    *error = none;
    *scope = (struct filter_scope){.values = {.who = who, .arena = a}, .error = error};
    clock_format_iso(clock_now_ms(), scope->values.now);
    scope->collection = access_collection(collection);
    if (scope->collection && (access_actions(scope->collection, who) & action))
        return 0;
    return scope_refuse(scope, -EACCES, NULL, "You don't have permission to access this.");
}

int scope_refuse(const struct filter_scope *scope, int r, const char *field, const char *why)
{
    *scope->error = (struct items_error){0};
    (void)snprintf(scope->error->field, sizeof scope->error->field, "%s", field ? field : "");
    (void)snprintf(scope->error->sentence, sizeof scope->error->sentence, "%s", why);
    return r;
}

/* One reading: the statements, then what they yield. */
struct reading {
    const struct column *columns[COLUMNS_MAX];
    size_t n;
    struct sql rows, total, filtered;
    bool want_rows, want_total, want_filtered;
    json_t *ret_rows; /* out, owned until handed over */
    int64_t total_count, filter_count;
    size_t bytes;
};

static void reading_done(struct reading *r)
{
    sql_free(&r->rows);
    sql_free(&r->total);
    sql_free(&r->filtered);
    json_decref(r->ret_rows);
}

#define READING_INIT \
    { \
        .rows = SQL_INIT, .total = SQL_INIT, .filtered = SQL_INIT \
    }

static json_t *make_row(struct reading *r, struct db_rows *rows)
{
    json_t *row = json_object();
    for (size_t i = 0; row && i < r->n; i++) {
        const char *text = r->columns[i]->type == COLUMN_INT ? NULL : db_text(rows, (int)i);
        r->bytes += text ? strlen(text) : 0;
        if (json_object_set_new_nocheck(row, r->columns[i]->name,
                                        value_to_json(r->columns[i], rows, (int)i)) < 0) {
            json_decref(row);
            return NULL;
        }
    }
    return row;
}

static int collect_rows(struct db_conn *c, struct reading *r)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int rc = db_query(c, buf_str(&r->rows.text), r->rows.args, r->rows.n, &rows);
    while (rc == 0 && (rc = db_next(rows)) > 0) {
        if (json_array_append_new(r->ret_rows, make_row(r, rows)) < 0)
            return -ENOMEM;
        rc = r->bytes > ANSWER_MAX_BYTES ? -EFBIG : 0;
    }
    return rc;
}

static int count_rows(struct db_conn *c, struct sql *sql, int64_t *ret)
{
    int r = db_query_int(c, buf_str(&sql->text), sql->args, sql->n, ret);
    return r < 0 ? r : 0;
}

static int read_unit(struct db_conn *c, void *arg)
{
    struct reading *r = arg;
    db_limit(c, ITEMS_READ_LIMIT_MS);
    int rc = r->want_rows ? collect_rows(c, r) : 0;
    if (rc == 0 && r->want_total)
        rc = count_rows(c, &r->total, &r->total_count);
    if (rc == 0 && r->want_filtered)
        rc = count_rows(c, &r->filtered, &r->filter_count);
    return rc == -ETIMEDOUT ? -ETIME : rc;
}

/* Who is scanning now; entries live on their readers' stacks. */
struct scan {
    const char *user_id;
    struct scan *prev, *next;
};

static struct scan *scans;
static pthread_mutex_t scans_lock = PTHREAD_MUTEX_INITIALIZER;

/* Without this one user's slow searches could hold every connection. */
static int begin_scan(struct scan *mine)
{
    const struct scan *s;
    int running = 0;
    pthread_mutex_lock(&scans_lock);
    DL_FOREACH (scans, s)
        running += strcmp(s->user_id, mine->user_id) == 0;
    bool may = running < ITEMS_SCANS_EACH;
    if (may)
        DL_APPEND(scans, mine);
    pthread_mutex_unlock(&scans_lock);
    return may ? 0 : -EBUSY;
}

static void end_scan(struct scan *mine)
{
    pthread_mutex_lock(&scans_lock);
    DL_DELETE(scans, mine);
    pthread_mutex_unlock(&scans_lock);
}

static int read_rows(struct db *db, const struct identity *who, struct reading *r)
{
    struct scan scan = {.user_id = who->user_id};
    bool scanning = r->filtered.scans;
    int rc = scanning ? begin_scan(&scan) : 0;
    if (rc < 0)
        return rc;
    rc = db_read(db, read_unit, r);
    if (scanning)
        end_scan(&scan);
    return rc;
}

static void add_columns(struct reading *r)
{
    sql_add(&r->rows, "SELECT ");
    for (size_t i = 0; i < r->n; i++)
        sql_add(&r->rows, "%s%s", i ? ", " : "", r->columns[i]->name);
}

/* " FROM … WHERE …" with the visible rows, and (where q) the query's own conditions. */
static int add_from(const struct filter_scope *scope, const struct items_query *q, struct sql *sql)
{
    sql_add(sql, " FROM %s WHERE ", scope->collection->name);
    filter_rows(scope, sql);
    if (!q)
        return 0;
    sql_add(sql, " AND ");
    int r = filter_where(scope, q->filter, sql);
    if (r < 0)
        return r;
    sql_add(sql, " AND ");
    return filter_search(scope, q->search, q->search_in, sql);
}

static int prepare_rows(const struct filter_scope *scope, const struct items_query *q, struct reading *r)
{
    int64_t limit = q->limit < 0 ? ROWS_MAX : q->limit;
    if (limit > ROWS_MAX || q->limit < -1 || q->offset < 0)
        return scope_refuse(scope, -EINVAL, NULL, "limit must be from -1 to 1000, and offset 0 or more");
    int rc = filter_fields(scope, q->fields, r->columns, &r->n);
    if (rc < 0)
        return rc;
    add_columns(r);
    rc = add_from(scope, q, &r->rows);
    if (rc == 0)
        rc = filter_sort(scope, q->sort, &r->rows);
    if (rc < 0)
        return rc;
    sql_add(&r->rows, " LIMIT ");
    sql_arg(&r->rows, DB_INT(limit));
    sql_add(&r->rows, " OFFSET ");
    sql_arg(&r->rows, DB_INT(q->offset));
    r->want_rows = limit > 0;
    return sql_ready(&r->rows);
}

static int prepare_counts(const struct filter_scope *scope, const struct items_query *q, struct reading *r)
{
    sql_add(&r->total, "SELECT count(*)");
    sql_add(&r->filtered, "SELECT count(*)");
    int rc = add_from(scope, NULL, &r->total);
    if (rc == 0)
        rc = add_from(scope, q, &r->filtered);
    if (rc == 0)
        rc = sql_ready(&r->total);
    r->want_total = q->total_count;
    r->want_filtered = q->filter_count;
    return rc < 0 ? rc : sql_ready(&r->filtered);
}

static json_t *make_meta(const struct reading *r)
{
    json_t *meta = json_object();
    if (r->want_total)
        (void)json_object_set_new(meta, "total_count", json_integer(r->total_count));
    if (r->want_filtered)
        (void)json_object_set_new(meta, "filter_count", json_integer(r->filter_count));
    return meta;
}

static int run_reading(struct db *db, const struct filter_scope *scope, const struct items_query *q,
                       struct reading *r)
{
    int rc = prepare_rows(scope, q, r);
    if (rc == 0)
        rc = prepare_counts(scope, q, r);
    if (rc == -E2BIG)
        return scope_refuse(scope, -EINVAL, NULL, "The query is too large");
    r->ret_rows = json_array();
    if (rc == 0)
        rc = r->ret_rows ? read_rows(db, scope->values.who, r) : -ENOMEM;
    if (rc == -EBUSY)
        return scope_refuse(scope, rc, NULL, "Too many searches at once, try again shortly");
    if (rc == -ETIME)
        return scope_refuse(scope, -EINVAL, NULL, "The query takes too long: ask for less");
    if (rc == -EFBIG)
        return scope_refuse(scope, -EINVAL, NULL,
                            "The answer would be too large: ask for fewer rows or fields");
    return rc;
}

int items_read(struct db *db, const struct identity *who, const char *collection, const struct items_query *q,
               json_t **ret_rows, json_t **ret_meta, struct items_error *ret_error)
{
    struct arena a;
    struct filter_scope scope;
    struct reading reading = READING_INIT;
    int r = scope_open(&scope, NULL, who, collection, ACTION_READ, ret_error);
    if (r < 0)
        return r;
    arena_init(&a, ARENA_MAX);
    scope.values.arena = &a;
    r = run_reading(db, &scope, q, &reading);
    if (r == 0) {
        *ret_rows = TAKE_PTR(reading.ret_rows);
        if (ret_meta)
            *ret_meta = q->total_count || q->filter_count ? make_meta(&reading) : NULL;
    }
    reading_done(&reading);
    arena_free(&a);
    return r;
}

int items_read_one(struct db *db, const struct identity *who, const char *collection, const char *id,
                   const json_t *fields, json_t **ret_row, struct items_error *ret_error)
{
    _cleanup_json_ json_t *filter = json_pack("{s:{s:s}}", "id", "_eq", id), *rows = NULL;
    struct items_query q = {.fields = fields, .filter = filter, .limit = 1};
    bool valid = uuid_valid(id);
    if (valid && !filter)
        return -ENOMEM;
    if (!valid)
        q.filter = NULL, q.limit = 0; /* still tells who may not read here at all from who asks for nothing */
    int r = items_read(db, who, collection, &q, &rows, NULL, ret_error);
    if (r < 0)
        return r;
    if (json_array_size(rows) == 0)
        return -ENOENT;
    *ret_row = json_incref(json_array_get(rows, 0));
    return 0;
}

int items_check_fields(const struct identity *who, const char *collection, const json_t *fields,
                       struct items_error *ret_error)
{
    struct filter_scope scope;
    const struct column *columns[COLUMNS_MAX];
    size_t n;
    int r = scope_open(&scope, NULL, who, collection, ACTION_READ, ret_error);
    return r < 0 ? r : filter_fields(&scope, fields, columns, &n);
}

int scope_read_row(struct db_conn *c, const struct filter_scope *scope, const char *id, json_t **ret_row)
{
    struct reading r = READING_INIT;
    int rc = filter_fields(scope, NULL, r.columns, &r.n);
    if (rc == 0) {
        add_columns(&r);
        (void)add_from(scope, NULL, &r.rows);
        sql_add(&r.rows, " AND id = ");
        sql_arg(&r.rows, DB_TEXT(id));
        rc = sql_ready(&r.rows);
    }
    r.ret_rows = json_array();
    if (rc == 0)
        rc = r.ret_rows ? collect_rows(c, &r) : -ENOMEM;
    if (rc == 0 && json_array_size(r.ret_rows) == 0)
        rc = -ENOENT;
    if (rc == 0)
        *ret_row = json_incref(json_array_get(r.ret_rows, 0));
    reading_done(&r);
    return rc;
}

/* ---- owned rows */

int scope_owns(struct db_conn *c, const struct collection *collection, const char *owner, const char *id)
{
    char sql[256];
    int64_t one;
    const struct db_value args[] = {DB_TEXT(id), DB_TEXT(owner)};
    (void)snprintf(sql, sizeof sql, "SELECT 1 FROM %s WHERE id = ?1%s%s%s", collection->name,
                   collection->owner ? " AND " : "", collection->owner ? collection->owner : "",
                   collection->owner ? " = ?2" : "");
    int r = db_query_int(c, sql, args, collection->owner ? 2 : 1, &one);
    return r < 0 ? r : r == 0 ? -ENOENT : 0;
}

struct own_arg {
    const struct collection *collection;
    const char *owner, *id;
};

static int own_unit(struct db_conn *c, void *arg)
{
    const struct own_arg *o = arg;
    return scope_owns(c, o->collection, o->owner, o->id);
}

int items_own(struct db *db, const struct identity *who, const char *collection, const char *id)
{
    char lower[UUID_SIZE];
    struct own_arg o = {.collection = access_collection(collection), .owner = who->user_id, .id = lower};
    if (!o.collection || !uuid_valid(id))
        return -ENOENT;
    memcpy(lower, id, UUID_SIZE);
    str_lower(lower);
    return db_read(db, own_unit, &o);
}
