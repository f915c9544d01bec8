/* SPDX-License-Identifier: MIT */
/* What the target is, before anything is written into it. "Empty" means: no table holds a row whose key a
 * fresh store doesn't hold as well; so what migrations seed is known without a list of it. */
#include "import/carry_job.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

#define KEYS_MAX 8
#define SQL_MAX 4096

/* ---- types */

static enum target_type type_of(const char *udt)
{
    static const struct {
        const char *names;
        enum target_type type;
    } types[] = {
        {"uuid", TARGET_UUID},          {"timestamptz|timestamp", TARGET_TIME}, {"json|jsonb", TARGET_JSON},
        {"int2|int4|int8", TARGET_INT}, {"float4|float8|numeric", TARGET_REAL}, {"bool", TARGET_BOOL},
        {"bytea", TARGET_BLOB}};
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (choices_have(types[i].names, udt, strlen(udt)))
            return types[i].type;
    return TARGET_TEXT;
}

static int read_table_types(struct db_conn *c, struct catalogue_table *t, size_t *ret_found)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(
        c,
        "SELECT column_name::text, udt_name::text, is_identity::text FROM information_schema.columns "
        "WHERE table_schema = current_schema() AND table_name = ?1",
        DB_ARGS(DB_TEXT(t->name)), &rows);
    *ret_found = 0;
    while (r >= 0 && (r = db_next(rows)) > 0)
        for (size_t i = 0; i < t->n; i++) {
            if (strcmp(t->columns[i].name, db_text(rows, 0)) != 0)
                continue;
            t->columns[i].type = type_of(db_text(rows, 1));
            t->columns[i].identity = str_equal(db_text(rows, 2), "YES");
            (*ret_found)++;
        }
    return r;
}

int carry_read_types(struct db_conn *c, struct carry *k)
{
    for (size_t i = 0; i < k->catalogue.n; i++) {
        struct catalogue_table *t = &k->catalogue.tables[i];
        size_t found;
        if (carry_skips(k, t))
            continue;
        int r = read_table_types(c, t, &found);
        if (r < 0)
            return r;
        if (found != t->n)
            return carry_fail(k, -ENOTSUP, "the target's table %s lacks columns of the store's", t->name);
    }
    return 0;
}

/* ---- is it empty */

/* The table's keys as text: SQL for the target with a LIMIT, and for the look into the fresh store. */
static int write_sql(const struct catalogue_table *t, char *ask, char *look)
{
    _cleanup_buf_ struct buf a = BUF_INIT(SQL_MAX), l = BUF_INIT(SQL_MAX);
    int n = 0;
    (void)buf_addf(&l, "SELECT 1 FROM \"%s\"", t->name);
    for (size_t i = 0; i < t->n; i++) {
        if (t->columns[i].key == 0)
            continue;
        (void)buf_addf(&a, "%s CAST(\"%s\" AS text)", n ? "," : "SELECT", t->columns[i].name);
        (void)buf_addf(&l, " %s \"%s\" = ?%d", n ? "AND" : "WHERE", t->columns[i].name, n + 1);
        n++;
    }
    (void)buf_addf(&a, " FROM \"%s\" LIMIT ?1", t->name);
    if (n == 0 || n > KEYS_MAX || a.failed || l.failed || a.len >= SQL_MAX || l.len >= SQL_MAX)
        return -EIO;
    memcpy(ask, buf_str(&a), a.len + 1);
    memcpy(look, buf_str(&l), l.len + 1);
    return 0;
}

/* Whether the fresh store has the present row: 1, 0, negative errno. */
static int is_seed(struct db_rows *rows, sqlite3_stmt *look, size_t keys)
{
    (void)sqlite3_reset(look);
    for (size_t i = 0; i < keys; i++)
        if (sqlite3_bind_text(look, (int)i + 1, db_text(rows, (int)i), -1, SQLITE_TRANSIENT) != SQLITE_OK)
            return -ENOMEM;
    int rc = sqlite3_step(look);
    return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : -EIO;
}

static int count_fresh(struct carry *k, const struct catalogue_table *t, int64_t *ret)
{
    char sql[256];
    sqlite3_stmt *stmt = NULL;
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM \"%s\"", t->name);
    int r = carry_prepare(k, k->fresh, sql, &stmt);
    if (r == 0 && sqlite3_step(stmt) == SQLITE_ROW)
        *ret = sqlite3_column_int64(stmt, 0);
    else if (r == 0)
        r = -EIO;
    (void)sqlite3_finalize(stmt);
    return r;
}

static int look_at_rows(struct db_conn *c, const struct catalogue_table *t, const char *ask, int64_t seeds,
                        sqlite3_stmt *look)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c, ask, DB_ARGS(DB_INT(seeds + 1)), &rows);
    while (r >= 0 && (r = db_next(rows)) > 0) {
        r = is_seed(rows, look, t->n_keys);
        if (r <= 0)
            return r < 0 ? r : -ENOTEMPTY;
    }
    return r;
}

static int check_table(struct db_conn *c, struct carry *k, const struct catalogue_table *t)
{
    char ask[SQL_MAX], look_sql[SQL_MAX];
    sqlite3_stmt *look = NULL;
    int64_t seeds = 0;
    int r = write_sql(t, ask, look_sql);
    if (r == 0)
        r = count_fresh(k, t, &seeds);
    if (r == 0)
        r = carry_prepare(k, k->fresh, look_sql, &look);
    if (r == 0)
        r = look_at_rows(c, t, ask, seeds, look);
    (void)sqlite3_finalize(look);
    if (r == -ENOTEMPTY)
        return carry_fail(
            k, r, "the target holds data already (in %s); it must be a database that was only migrated",
            t->name);
    return r;
}

/* ---- a database of Directus */

static bool belongs_to_directus(const struct catalogue_table *t)
{
    return str_has_prefix(t->name, "directus_");
}

bool carry_skips(const struct carry *k, const struct catalogue_table *t)
{
    return k->directus && belongs_to_directus(t) && strcmp(t->name, "directus_users") != 0 &&
           strcmp(t->name, "directus_files") != 0;
}

/* Every role that a user has must be there by its name. */
static int match_role(struct db_conn *c, struct carry *k, const char *id, const char *name)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c, "SELECT id FROM directus_roles WHERE name = ?1 ORDER BY id LIMIT 1",
                     DB_ARGS(DB_TEXT(name)), &rows);
    if (r == 0)
        r = db_next(rows);
    if (r == 0)
        return carry_fail(k, -ENOENT, "Directus has no role '%s'; make it there first", name);
    return r < 0 ? r : json_object_set_new(k->role_ids, id, json_string(db_text(rows, 0))) < 0 ? -ENOMEM : 0;
}

static int check_user(struct db_conn *c, struct carry *k, const char *id, const char *email)
{
    int64_t one;
    int r = db_query_int(c, "SELECT 1 FROM directus_users WHERE id = ?1 OR lower(email) = lower(?2)",
                         DB_ARGS(DB_TEXT(id), DB_TEXT(email)), &one);
    return r > 0 ? carry_fail(k, -EEXIST, "Directus has a user %s already; ids can't be kept",
                              email ? email : id)
                 : r;
}

/* Calls fn for each row of two texts that a query on the store yields. */
static int each_pair(struct db_conn *c, struct carry *k, const char *sql,
                     int (*fn)(struct db_conn *, struct carry *, const char *, const char *))
{
    sqlite3_stmt *stmt = NULL;
    int rc = SQLITE_DONE, r = carry_prepare(k, k->from, sql, &stmt);
    while (r == 0 && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
        r = fn(c, k, (const char *)sqlite3_column_text(stmt, 0), (const char *)sqlite3_column_text(stmt, 1));
    (void)sqlite3_finalize(stmt);
    return r == 0 && rc != SQLITE_DONE ? -EIO : r;
}

static int check_directus(struct db_conn *c, struct carry *k)
{
    k->role_ids = json_object();
    int r = k->role_ids ? 0 : -ENOMEM;
    if (r == 0)
        r = each_pair(c, k,
                      "SELECT id, name FROM directus_roles WHERE id IN (SELECT role FROM directus_users)",
                      match_role);
    return r < 0 ? r : each_pair(c, k, "SELECT id, email FROM directus_users", check_user);
}

int carry_check_target(struct db_conn *c, struct carry *k)
{
    int r = 0;
    for (size_t i = 0; i < k->catalogue.n && r == 0; i++) {
        const struct catalogue_table *t = &k->catalogue.tables[i];
        if (!k->directus || !belongs_to_directus(t))
            r = check_table(c, k, t);
    }
    return r == 0 && k->directus ? check_directus(c, k) : r;
}
