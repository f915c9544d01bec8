/* SPDX-License-Identifier: MIT */
/* AnythingLLM's tables, as far as they are brought in: which columns, of which type, what they refer to; and
 * what is special about a table, as two functions. */
#ifndef IMPORT_TABLES_H
#define IMPORT_TABLES_H

#include "db/db.h"
#include "import/report.h"
#include "import/source.h"

#include <stdbool.h>

#define COLUMNS_MAX 20

/* What a reference does whose row isn't here. */
enum ref_rule {
    REF_NEEDED, /* the row is left, also without a reference */
    REF_IF_SET, /* the row is left; none is none */
    REF_OR_NONE /* there is none then */
};

enum column_kind {
    COLUMN_TEXT,
    COLUMN_ANSWER,
    COLUMN_INT,
    COLUMN_REAL,
    COLUMN_BOOL,
    COLUMN_TIME,
    COLUMN_REF
};

struct import_column {
    const char *name;   /* in both */
    const char *source; /* its name there, where it is another; else NULL */
    enum column_kind kind;
    bool needed;       /* never NULL */
    size_t max;        /* bytes of a text */
    const char *table; /* that a reference leads to */
    enum ref_rule rule;
};

/* A row on its way. What the unit changes is `now`; it may run twice. */
struct import_row {
    int64_t old_id, new_id;
    enum outcome outcome;
    const char *left;                    /* why, if it is */
    const char *unfit;                   /* the same, as it was before the unit */
    const char *changed, *unit_changed;  /* what was */
    struct db_value values[COLUMNS_MAX]; /* by column; of a reference the old id */
    struct db_value now[COLUMNS_MAX];
};

struct import_job;

struct import_table {
    const char *name;
    const struct import_column *columns;
    size_t n;
    /* Before the unit, from the values alone; sets row->left or row->changed. May be NULL. */
    int (*check)(struct import_job *job, struct import_row *row);
    /* In the unit, references resolved: 1 the row is to be inserted, 0 it was decided otherwise (row->left,
     * or row->outcome and new_id), or the store's error. May be NULL. */
    int (*prepare)(struct db_conn *c, struct import_job *job, struct import_row *row);
    /* In the unit, once it is inserted. May be NULL. */
    int (*after)(struct db_conn *c, struct import_job *job, struct import_row *row);
};

/* In the order in which they refer to each other; ended by one without a name. */
extern const struct import_table import_tables[];

/* The value of a column, as it is now. */
struct db_value *import_value(const struct import_table *t, struct import_row *row, const char *column);

#endif
