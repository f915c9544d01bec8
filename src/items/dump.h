/* SPDX-License-Identifier: MIT */
/* Whole tables of one owner, page by page, with the columns that the access table knows: for exports. No
 * identity stands behind it, so it is for the operator's commands alone. */
#ifndef ITEMS_DUMP_H
#define ITEMS_DUMP_H

#include "base/json.h"
#include "db/db.h"
#include "items/access.h"

#define DUMP_PAGE 500

struct dump {
    const char *table;
    const struct column *columns; /* the first is the key, of type uuid or integer */
    const char *where;            /* SQL on rows, with ?1 the owner */
    struct db_value owner;
};

/* Appends the page's rows that follow the key `after` (NULL: the first page) as objects to `rows`, in order
 * of the key. Inside a unit. The number of rows (fewer than DUMP_PAGE: that was the last page), or negative
 * errno. */
int dump_page(struct db_conn *c, const struct dump *dump, const json_t *after, json_t *rows);

#endif
