/* SPDX-License-Identifier: MIT */
/* What reading and writing share; private to src/items. */
#ifndef ITEMS_SCOPE_H
#define ITEMS_SCOPE_H

#include "items/filter.h"

/* Opens the collection on behalf of somebody for one action: 0, or -EACCES with the error filled in, the same
 * whether the collection doesn't exist or is closed to them. */
int scope_open(struct filter_scope *scope, struct arena *a, const struct identity *who,
               const char *collection, enum action action, struct items_error *error);

/* Fills in the error (field may be NULL) and returns r. */
int scope_refuse(const struct filter_scope *scope, int r, const char *field, const char *why);

/* Inside a unit: 0 if the row exists and is the owner's (any row of a collection that is shared), -ENOENT, or
 * the store's error. */
int scope_owns(struct db_conn *c, const struct collection *collection, const char *owner, const char *id);

#endif
