/* SPDX-License-Identifier: MIT */
/* Rules of a collection that a table can't say. The engine asks them about every row that is created, changed
 * or deleted, inside the unit that does it, after rights and references were checked and before the row is
 * written: so all ways to a row obey them, and what they decide by can't change under them.
 *
 * A unit may be run again after it was undone, so rules keep nothing of their own. */
#ifndef ITEMS_RULES_H
#define ITEMS_RULES_H

#include "items/access.h"
#include "items/items.h"

struct items_change;

/* 0 lets it be done; else what items_refuse returned, or the store's error. */
typedef int (*items_rules_fn)(void *ctx, struct db_conn *c, struct items_change *change);

/* Once for each collection whose row in the access table says `ruled`, at start. ctx must outlive all
 * writing. */
void items_set_rules(const char *collection, items_rules_fn fn, void *ctx);

enum action items_change_action(const struct items_change *change);
const struct identity *items_change_who(const struct items_change *change);
const char *items_change_owner(const struct items_change *change);

/* A column that is kept as text (texts, choices, ids, times, JSON) as it is stored, and as it will be. NULL
 * is null; before a creation, and after a deletion, all are. */
const char *items_before(const struct items_change *change, const char *column);
const char *items_after(const struct items_change *change, const char *column);

/* Whether the writing names the column. */
bool items_gives(const struct items_change *change, const char *column);

/* Sets a column of the row that is written, to a text that lives for ever, or (NULL) to null. */
void items_put(struct items_change *change, const char *column, const char *text);

/* What the caller hears: field may be NULL. Returns r: -EINVAL, -EALREADY, -EACCES. */
int items_refuse(const struct items_change *change, int r, const char *field, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The plan says no; returns -EDQUOT. */
int items_refuse_quota(const struct items_change *change, const struct quota_outcome *outcome);

#endif
