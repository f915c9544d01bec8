/* SPDX-License-Identifier: MIT */
/* Directus's query language → SQL: fields, filter, sort and search. A name is looked up in the access table
 * on behalf of who asks: one that may not be read is refused exactly as one that doesn't exist. Filters over
 * relations
 * (`author.name`) are refused with a sentence. Pure; private to src/items.
 *
 * Functions return 0; -EACCES (a field that isn't there for this identity); -EINVAL (ret_error says what is
 * wrong); -E2BIG or -ENOMEM. */
#ifndef ITEMS_FILTER_H
#define ITEMS_FILTER_H

#include "items/items.h"
#include "items/sql.h"
#include "items/values.h"

#define FILTER_MAX_DEPTH 8
#define FILTER_MAX_CONDITIONS 64
#define FILTER_MAX_LIST 100
#define FILTER_MAX_CONTAINS 8 /* _contains reads every text whole */
#define SORT_MAX 8
#define SEARCH_MAX_BYTES 255
#define COLUMNS_MAX 48 /* of one collection */

struct filter_scope {
    struct value_scope values;
    const struct collection *collection;
    struct items_error *error; /* filled on -EACCES and -EINVAL */
};

/* Which rows are there at all for this identity; appends an expression. */
void filter_rows(const struct filter_scope *scope, struct sql *sql);

/* Appends an expression for a filter object; NULL or {} is always true. */
int filter_where(const struct filter_scope *scope, const json_t *filter, struct sql *sql);

/* Appends an expression that is true where a readable text holds these words, in either case; in: "a|b", or
 * NULL for all texts. */
int filter_search(const struct filter_scope *scope, const char *search, const char *in, struct sql *sql);

/* Appends " ORDER BY …"; the id comes last, so that the order is total. */
int filter_sort(const struct filter_scope *scope, const json_t *sort, struct sql *sql);

/* The columns asked for (NULL, [] or "*": all readable ones), COLUMNS_MAX at most. */
int filter_fields(const struct filter_scope *scope, const json_t *fields, const struct column **ret,
                  size_t *ret_n);

/* The column, if this identity may read it; else NULL with the error filled in and *ret_r set. */
const struct column *filter_column(const struct filter_scope *scope, const char *name, int *ret_r);

#endif
