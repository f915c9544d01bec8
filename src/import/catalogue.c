/* SPDX-License-Identifier: MIT */
#include "import/catalogue.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

static void finalizeP(sqlite3_stmt **stmt)
{
    (void)sqlite3_finalize(*stmt);
}
#define _cleanup_stmt_ _cleanup_(finalizeP)

static int prepare(sqlite3 *db, const char *sql, const char *arg, sqlite3_stmt **ret)
{
    if (sqlite3_prepare_v2(db, sql, -1, ret, NULL) != SQLITE_OK)
        return -EIO;
    if (arg && sqlite3_bind_text(*ret, 1, arg, -1, SQLITE_STATIC) != SQLITE_OK)
        return -ENOMEM;
    return 0;
}

/* 1 a row, 0 the end, -EIO. */
static int step(sqlite3_stmt *stmt)
{
    int rc = sqlite3_step(stmt);
    return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : -EIO;
}

static const char *text(sqlite3_stmt *stmt, int col, struct arena *a)
{
    return arena_strdup(a, (const char *)sqlite3_column_text(stmt, col));
}

struct catalogue_table *catalogue_table(struct catalogue *c, const char *name)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->tables[i].name, name) == 0)
            return &c->tables[i];
    return NULL;
}

static struct catalogue_column *find_column(struct catalogue_table *t, const char *name)
{
    for (size_t i = 0; i < t->n; i++)
        if (strcmp(t->columns[i].name, name) == 0)
            return &t->columns[i];
    return NULL;
}

/* ---- reading */

static int read_columns(sqlite3 *db, struct arena *a, struct catalogue_table *t)
{
    _cleanup_stmt_ sqlite3_stmt *stmt = NULL;
    int r =
        prepare(db, "SELECT name, \"notnull\", pk FROM pragma_table_info(?1) ORDER BY cid", t->name, &stmt);
    while (r >= 0 && (r = step(stmt)) > 0) {
        if (t->n == CATALOGUE_COLUMNS)
            return -E2BIG;
        struct catalogue_column *col = &t->columns[t->n++];
        *col = (struct catalogue_column){.name = text(stmt, 0, a),
                                         .needed = sqlite3_column_int(stmt, 1) != 0,
                                         .key = sqlite3_column_int(stmt, 2)};
        if (!col->name)
            return -ENOMEM;
        t->n_keys += col->key > 0;
    }
    return r;
}

static int read_refs(sqlite3 *db, struct arena *a, struct catalogue *c, struct catalogue_table *t)
{
    _cleanup_stmt_ sqlite3_stmt *stmt = NULL;
    int r = prepare(db, "SELECT \"from\", \"table\" FROM pragma_foreign_key_list(?1)", t->name, &stmt);
    while (r >= 0 && (r = step(stmt)) > 0) {
        if (c->n_refs == CATALOGUE_REFS)
            return -E2BIG;
        const char *from = (const char *)sqlite3_column_text(stmt, 0);
        struct catalogue_ref *ref = &c->refs[c->n_refs++];
        *ref = (struct catalogue_ref){t, from ? find_column(t, from) : NULL, text(stmt, 1, a)};
        if (!ref->column || !ref->to)
            return -EIO;
    }
    return r;
}

static int read_tables(sqlite3 *db, struct arena *a, struct catalogue *c)
{
    _cleanup_stmt_ sqlite3_stmt *stmt = NULL;
    c->tables = arena_alloc(a, CATALOGUE_TABLES * sizeof *c->tables);
    int r = c->tables ? prepare(db,
                                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE "
                                "'sqlite\\_%' ESCAPE '\\' AND name NOT IN ('schema_version', "
                                "'genie_registrations') ORDER BY name",
                                NULL, &stmt)
                      : -ENOMEM;
    while (r >= 0 && (r = step(stmt)) > 0) {
        if (c->n == CATALOGUE_TABLES)
            return -E2BIG;
        struct catalogue_table *t = &c->tables[c->n++];
        t->name = text(stmt, 0, a);
        r = t->name ? read_columns(db, a, t) : -ENOMEM;
    }
    for (size_t i = 0; r >= 0 && i < c->n; i++)
        r = read_refs(db, a, c, &c->tables[i]);
    return r;
}

/* ---- order */

/* How a table's references hinder it: 0 not at all, 1 by such as may come late, 2 by one that may not. */
static int hindrance(struct catalogue *c, const struct catalogue_table *t)
{
    int worst = 0;
    for (size_t i = 0; i < c->n_refs; i++) {
        const struct catalogue_ref *ref = &c->refs[i];
        const struct catalogue_table *to = catalogue_table(c, ref->to);
        if (ref->table != t || !to || (to->placed && to != t))
            continue;
        int how = ref->column->needed ? 2 : 1;
        if (to == t && how == 1)
            how = 0; /* late, but no reason to wait */
        worst = how > worst ? how : worst;
    }
    return worst;
}

static void mark_late(struct catalogue *c, const struct catalogue_table *t)
{
    for (size_t i = 0; i < c->n_refs; i++) {
        const struct catalogue_ref *ref = &c->refs[i];
        const struct catalogue_table *to = catalogue_table(c, ref->to);
        if (ref->table == t && to && (!to->placed || to == t))
            ref->column->late = true;
    }
}

/* The next table: one that nothing hinders, else one that can do with late references. */
static struct catalogue_table *choose(struct catalogue *c)
{
    for (int allowed = 0; allowed <= 1; allowed++)
        for (size_t i = 0; i < c->n; i++)
            if (!c->tables[i].placed && hindrance(c, &c->tables[i]) <= allowed)
                return &c->tables[i];
    return NULL;
}

static int put_in_order(struct catalogue *c, struct arena *a)
{
    struct catalogue_table *ordered = arena_alloc(a, CATALOGUE_TABLES * sizeof *ordered);
    if (!ordered)
        return -ENOMEM;
    for (size_t i = 0; i < c->n; i++) {
        struct catalogue_table *t = choose(c);
        if (!t)
            return -ELOOP;
        mark_late(c, t);
        t->placed = true;
        ordered[i] = *t;
    }
    c->tables = ordered;
    c->n_refs = 0; /* they led to the old order's places */
    return 0;
}

int catalogue_read(sqlite3 *db, struct arena *a, struct catalogue *ret)
{
    *ret = (struct catalogue){0};
    int r = read_tables(db, a, ret);
    return r < 0 ? r : put_in_order(ret, a);
}
