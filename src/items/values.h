/* SPDX-License-Identifier: MIT */
/* Values between JSON and the store, by the type of their column; private to src/items. */
#ifndef ITEMS_VALUES_H
#define ITEMS_VALUES_H

#include "base/clock.h"
#include "base/json.h"
#include "items/access.h"

#define TAGS_MAX 64
#define TAG_MAX_BYTES 100

/* On whose behalf, and when, values and filters are read. */
struct value_scope {
    const struct identity *who;
    char now[ISO_TIME_LEN];
    struct arena *arena; /* what values point to */
};

/* Reads a value to be written: of exactly the column's type and within its limits (null is the caller's
 * affair). 0; -EINVAL with *ret_why, the end of a sentence that begins with the field's name; or -ENOMEM. */
int value_to_write(const struct value_scope *scope, const struct column *column, const json_t *json,
                   struct db_value *ret, const char **ret_why);

/* Reads a value to compare with: also as text, since it may come from a URL; $CURRENT_USER in ids, $NOW in
 * times. */
int value_to_compare(const struct value_scope *scope, const struct column *column, const json_t *json,
                     struct db_value *ret, const char **ret_why);

/* A column of the present row as JSON; a new reference, NULL without memory. */
json_t *value_to_json(const struct column *column, struct db_rows *rows, int index);

#endif
