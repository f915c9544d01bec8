/* SPDX-License-Identifier: MIT */
/* The tables of an embedded store as its catalogue has them, and in which order rows can be inserted: after
 * those that they refer to. Where tables refer to each other in a ring, a reference that may be NULL is
 * `late`: inserted as NULL, and set when all rows are there. Pure but for what it reads. */
#ifndef IMPORT_CATALOGUE_H
#define IMPORT_CATALOGUE_H

#include "base/arena.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CATALOGUE_TABLES 256
#define CATALOGUE_COLUMNS 128
#define CATALOGUE_REFS 512 /* columns that refer */

/* What PostgreSQL makes of a column. */
enum target_type {
    TARGET_TEXT,
    TARGET_UUID,
    TARGET_TIME,
    TARGET_JSON,
    TARGET_INT,
    TARGET_REAL,
    TARGET_BOOL,
    TARGET_BLOB
};

struct catalogue_column {
    const char *name;
    bool needed; /* NOT NULL */
    bool late;
    int key;               /* place in the primary key, from 1; 0 = none */
    enum target_type type; /* filled in by who knows the target */
    bool identity;         /* likewise */
};

struct catalogue_table {
    const char *name;
    struct catalogue_column columns[CATALOGUE_COLUMNS];
    size_t n, n_keys;
    bool placed;
};

/* One column of a foreign key. */
struct catalogue_ref {
    struct catalogue_table *table;
    struct catalogue_column *column;
    const char *to;
};

struct catalogue {
    struct catalogue_table *tables; /* in the order of insertion */
    size_t n;
    struct catalogue_ref refs[CATALOGUE_REFS];
    size_t n_refs;
};

/* Reads the tables (but SQLite's own, and the two in which migrating notes what it did to that very database:
 * schema_version, genie_registrations) and puts them in order. 0; -ELOOP where a ring has
 * no reference that may be NULL; -E2BIG, -ENOMEM, -EIO. Everything in the arena. */
int catalogue_read(sqlite3 *db, struct arena *a, struct catalogue *ret);

struct catalogue_table *catalogue_table(struct catalogue *c, const char *name);

#endif
