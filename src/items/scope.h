/* SPDX-License-Identifier: MIT */
/* What reading and writing share; private to src/items. */
#ifndef ITEMS_SCOPE_H
#define ITEMS_SCOPE_H

#include "items/filter.h"
#include "items/rules.h"

/* Opens the collection on behalf of somebody for one action: 0, or -EACCES with the error filled in, the same
 * whether the collection doesn't exist or is closed to them. */
int scope_open(struct filter_scope *scope, struct arena *a, const struct identity *who,
               const char *collection, enum action action, struct items_error *error);

/* Fills in the error (field may be NULL) and returns r. */
int scope_refuse(const struct filter_scope *scope, int r, const char *field, const char *why);

/* What is written of a row: values by column, each column once. */
struct write_row {
    char id[UUID_SIZE];
    const struct column *columns[COLUMNS_MAX];
    struct db_value values[COLUMNS_MAX];
    size_t n;
};

/* One row on its way through the rules of its collection. */
struct items_change {
    const struct filter_scope *scope;
    enum action action;
    const char *owner;
    struct write_row *row;
    const char *stored[COLUMNS_MAX]; /* by the column's place in the table; at creation all NULL */
};

/* Inside a unit: asks the collection's rules, if it has any, about a row of `owner` that is created (id
 * NULL), changed or deleted. row may be added to; texts are in the scope's arena. */
int rules_apply(struct db_conn *c, const struct filter_scope *scope, enum action action, const char *owner,
                const char *id, struct write_row *row);

/* -EACCES where a collection needs rules that nobody has set. */
int rules_ready(const struct filter_scope *scope);

/* Inside a unit: a row as its reader sees it, as a new reference; -ENOENT … */
int scope_read_row(struct db_conn *c, const struct filter_scope *scope, const char *id, json_t **ret_row);

/* Inside a unit: 0 if the row exists and is the owner's (any row of a collection that is shared), -ENOENT, or
 * the store's error. */
int scope_owns(struct db_conn *c, const struct collection *collection, const char *owner, const char *id);

#endif
