/* SPDX-License-Identifier: MIT */
/* A SQLite database that others made, read row by row. Nothing in it is trusted: no trigger, view or function
 * of its schema runs, and no value above SOURCE_VALUE_MAX enters memory. Used by one thread at a time. */
#ifndef IMPORT_SOURCE_H
#define IMPORT_SOURCE_H

#include "base/arena.h"
#include "base/cleanup.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOURCE_VALUE_MAX (16 * 1024 * 1024) /* bytes of a row */

struct source;

/* Opens a copy of ours (snapshot.h), with what its companions hold taken in. 0, -EINVAL no SQLite database,
 * -ENOMEM or -EIO. The file may be removed from its directory after this. */
int source_open(const char *path, struct source **ret);
void source_close(struct source *s);
DEFINE_CLEANUP(struct source *, source_close);

/* 1 there is such a table, 0 there is none (a view or a virtual table is none), or negative errno. */
int source_has_table(struct source *s, const char *table);

/* Whether that table has the column. */
bool source_has_column(struct source *s, const char *table, const char *column);

/* The integer that a query of ours yields: 1, 0 no row, or negative errno. */
int source_int(struct source *s, const char *sql, int64_t *ret);

/* The text that a query of ours yields, in the arena: 1, 0 no row or no text, or negative errno. */
int source_text(struct source *s, const char *sql, struct arena *a, const char **ret);

/* A value of a row. */
struct source_value {
    int type; /* SQLITE_INTEGER, _FLOAT, _TEXT, _BLOB or _NULL */
    int64_t i;
    double d;
    const char *p; /* text or blob; a NUL stands behind it, and may stand in it */
    size_t len;
};

/* A walk over a table in the order of its integer key. */
struct source_walk;

/* `columns` are the names (quoted by the callee) after the key `id`. 0 or negative errno. */
int source_walk_open(struct source *s, const char *table, const char *const *columns, size_t n,
                     struct source_walk **ret);
void source_walk_close(struct source_walk *w);
DEFINE_CLEANUP(struct source_walk *, source_walk_close);

/* The next row: its key, and its values in the arena. 1 a row, 0 the end, -E2BIG the row of that key is too
 * large (the walk goes on behind it), or another negative errno, with which it ends. */
int source_walk_next(struct source_walk *w, struct arena *a, int64_t *ret_id, struct source_value *ret);

/* The connection, for a database of ours; values of any length are read from then on. */
sqlite3 *source_trusted(struct source *s);

/* What SQLite says of the last failure; valid until the next call. */
const char *source_error(struct source *s);

#endif
