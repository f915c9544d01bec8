/* SPDX-License-Identifier: MIT */
/* A walk asks for each row by itself ("the first above this key"), so that a row that can't be read ends
 * nothing: the next is asked for by its key alone. */
#include "import/source.h"

#include "base/buf.h"

#include <errno.h>
#include <string.h>

#define SQL_MAX (64 * 1024)

struct source {
    sqlite3 *handle;
};

struct source_walk {
    struct source *source;
    sqlite3_stmt *row, *key;
    size_t n;
    int64_t after;
};

static int to_errno(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_TOOBIG:
        return -E2BIG;
    case SQLITE_NOTADB:
        return -EINVAL;
    default:
        return -EIO;
    }
}

/* --- opening ---------------------------------------------------------------------------------------- */

static void harden(sqlite3 *handle)
{
    static const struct {
        int what, on;
    } settings[] = {
        {SQLITE_DBCONFIG_DEFENSIVE, 1},
        {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
        {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},
        {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
        {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(settings); i++)
        (void)sqlite3_db_config(handle, settings[i].what, settings[i].on, NULL);
    (void)sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, SOURCE_VALUE_MAX);
    (void)sqlite3_limit(handle, SQLITE_LIMIT_ATTACHED, 0);
}

/* The first statement takes in a log or a journal that lies beside the copy; in DELETE mode none is needed
 * any more for reading. */
static int settle(sqlite3 *handle)
{
    static const char *const pragmas[] = {"PRAGMA cell_size_check=ON", "PRAGMA mmap_size=0",
                                          "PRAGMA temp_store=MEMORY", "PRAGMA journal_mode=DELETE",
                                          "PRAGMA query_only=ON"};
    for (size_t i = 0; i < ARRAY_LEN(pragmas); i++) {
        int rc = sqlite3_exec(handle, pragmas[i], NULL, NULL, NULL);
        if (rc != SQLITE_OK)
            return to_errno(rc);
    }
    return 0;
}

int source_open(const char *path, struct source **ret)
{
    _cleanup_(source_closeP) struct source *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX | SQLITE_OPEN_NOFOLLOW;
    int rc = sqlite3_open_v2(path, &s->handle, flags, NULL);
    if (rc != SQLITE_OK)
        return to_errno(rc);
    harden(s->handle);
    int r = settle(s->handle);
    if (r == 0)
        *ret = TAKE_PTR(s);
    return r;
}

void source_close(struct source *s)
{
    (void)sqlite3_close_v2(s->handle);
    free(s);
}

sqlite3 *source_trusted(struct source *s)
{
    (void)sqlite3_limit(s->handle, SQLITE_LIMIT_LENGTH, INT32_MAX);
    return s->handle;
}

const char *source_error(struct source *s)
{
    return sqlite3_errmsg(s->handle);
}

/* --- single values ---------------------------------------------------------------------------------- */

/* Prepares and steps once, with up to two texts: 1 a row, 0 none, or negative errno. */
static int ask(struct source *s, const char *sql, const char *first, const char *second, sqlite3_stmt **ret)
{
    int rc = sqlite3_prepare_v2(s->handle, sql, -1, ret, NULL);
    if (rc != SQLITE_OK)
        return to_errno(rc);
    if (first)
        (void)sqlite3_bind_text(*ret, 1, first, -1, SQLITE_STATIC);
    if (second)
        (void)sqlite3_bind_text(*ret, 2, second, -1, SQLITE_STATIC);
    rc = sqlite3_step(*ret);
    return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : to_errno(rc);
}

int source_has_table(struct source *s, const char *table)
{
    sqlite3_stmt *stmt = NULL;
    int r =
        ask(s, "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1 AND sql LIKE 'CREATE TABLE%'",
            table, NULL, &stmt);
    (void)sqlite3_finalize(stmt);
    return r;
}

bool source_has_column(struct source *s, const char *table, const char *column)
{
    sqlite3_stmt *stmt = NULL;
    int r = ask(s, "SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2", table, column, &stmt);
    (void)sqlite3_finalize(stmt);
    return r > 0;
}

int source_int(struct source *s, const char *sql, int64_t *ret)
{
    sqlite3_stmt *stmt = NULL;
    int r = ask(s, sql, NULL, NULL, &stmt);
    if (r > 0)
        *ret = sqlite3_column_int64(stmt, 0);
    (void)sqlite3_finalize(stmt);
    return r;
}

int source_text(struct source *s, const char *sql, struct arena *a, const char **ret)
{
    sqlite3_stmt *stmt = NULL;
    int r = ask(s, sql, NULL, NULL, &stmt);
    const char *text = r > 0 ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
    if (r > 0 && !text)
        r = 0;
    if (text && !(*ret = arena_strdup(a, text)))
        r = -ENOMEM;
    (void)sqlite3_finalize(stmt);
    return r;
}

/* --- walking ---------------------------------------------------------------------------------------- */

static void add_name(struct buf *sql, const char *name)
{
    (void)buf_adds(sql, "\"");
    for (; *name; name++)
        (void)buf_add(sql, *name == '"' ? "\"\"" : name, *name == '"' ? 2 : 1);
    (void)buf_adds(sql, "\"");
}

static int prepare_walk(struct source_walk *w, const char *table, const char *const *columns, size_t n)
{
    _cleanup_buf_ struct buf row = BUF_INIT(SQL_MAX), key = BUF_INIT(SQL_MAX);
    static const char end[] = " WHERE id > ?1 ORDER BY id LIMIT 1";
    (void)buf_adds(&row, "SELECT id");
    (void)buf_adds(&key, "SELECT id FROM ");
    for (size_t i = 0; i < n; i++) {
        (void)buf_adds(&row, ", ");
        add_name(&row, columns[i]);
    }
    (void)buf_adds(&row, " FROM ");
    add_name(&row, table);
    add_name(&key, table);
    (void)buf_adds(&row, end);
    (void)buf_adds(&key, end);
    int rc = row.failed || key.failed ? SQLITE_NOMEM : SQLITE_OK;
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(w->source->handle, row.data, -1, &w->row, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(w->source->handle, key.data, -1, &w->key, NULL);
    return rc == SQLITE_OK ? 0 : to_errno(rc);
}

int source_walk_open(struct source *s, const char *table, const char *const *columns, size_t n,
                     struct source_walk **ret)
{
    _cleanup_(source_walk_closeP) struct source_walk *w = calloc(1, sizeof *w);
    if (!w)
        return -ENOMEM;
    w->source = s;
    w->n = n;
    w->after = INT64_MIN;
    int r = prepare_walk(w, table, columns, n);
    if (r == 0)
        *ret = TAKE_PTR(w);
    return r;
}

void source_walk_close(struct source_walk *w)
{
    (void)sqlite3_finalize(w->row);
    (void)sqlite3_finalize(w->key);
    free(w);
}

static int copy_value(sqlite3_stmt *stmt, int col, struct arena *a, struct source_value *ret)
{
    *ret = (struct source_value){.type = sqlite3_column_type(stmt, col)};
    if (ret->type == SQLITE_INTEGER) {
        ret->i = sqlite3_column_int64(stmt, col);
    } else if (ret->type == SQLITE_FLOAT) {
        ret->d = sqlite3_column_double(stmt, col);
    } else if (ret->type != SQLITE_NULL) {
        const void *p = ret->type == SQLITE_TEXT ? (const void *)sqlite3_column_text(stmt, col)
                                                 : sqlite3_column_blob(stmt, col);
        ret->len = (size_t)sqlite3_column_bytes(stmt, col);
        char *copy = arena_alloc(a, ret->len + 1);
        if (!copy || (!p && ret->len > 0))
            return -ENOMEM;
        if (ret->len > 0)
            memcpy(copy, p, ret->len);
        ret->p = copy;
    }
    return 0;
}

/* The key of the row that could not be read. */
static int skip(struct source_walk *w, int64_t *ret_id)
{
    (void)sqlite3_bind_int64(w->key, 1, w->after);
    int rc = sqlite3_step(w->key);
    bool found = rc == SQLITE_ROW && sqlite3_column_type(w->key, 0) == SQLITE_INTEGER;
    if (found)
        w->after = *ret_id = sqlite3_column_int64(w->key, 0);
    (void)sqlite3_reset(w->key);
    return found ? -E2BIG : -EIO;
}

int source_walk_next(struct source_walk *w, struct arena *a, int64_t *ret_id, struct source_value *ret)
{
    (void)sqlite3_bind_int64(w->row, 1, w->after);
    int rc = sqlite3_step(w->row);
    int r = rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : to_errno(rc);
    if (r > 0 && sqlite3_column_type(w->row, 0) != SQLITE_INTEGER)
        r = -EIO; /* the walk would not end */
    if (r > 0)
        w->after = *ret_id = sqlite3_column_int64(w->row, 0);
    for (size_t i = 0; r > 0 && i < w->n; i++)
        if (copy_value(w->row, (int)i + 1, a, &ret[i]) < 0)
            r = -ENOMEM;
    (void)sqlite3_reset(w->row);
    return r == -E2BIG ? skip(w, ret_id) : r;
}
