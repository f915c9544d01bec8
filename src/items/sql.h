/* SPDX-License-Identifier: MIT */
/* A statement that is put together: text with numbered parameters, and their values beside it. Names come
 * from the access table alone, everything else is a parameter. Private to src/items. */
#ifndef ITEMS_SQL_H
#define ITEMS_SQL_H

#include "base/buf.h"
#include "db/db.h"

#define SQL_MAX_BYTES (128 * 1024)
#define SQL_MAX_ARGS 4096

struct sql {
    struct buf text;
    struct db_value *args; /* owned */
    size_t n, cap;
    bool scans;  /* it reads texts whole, of every row that is there */
    bool failed; /* an add was refused; looked at once, by sql_ready() */
};

#define SQL_INIT \
    { \
        .text = {.max = SQL_MAX_BYTES } \
    }

void sql_free(struct sql *sql);

/* Appends text; failures are remembered. */
void sql_add(struct sql *sql, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Appends "?N" for a value. */
void sql_arg(struct sql *sql, struct db_value value);

/* 0, or -E2BIG / -ENOMEM if anything was refused on the way. */
int sql_ready(struct sql *sql);

#endif
