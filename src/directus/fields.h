/* SPDX-License-Identifier: MIT */
/* How a column looks in Directus, worked out from its row in the access table: rows for directus_fields and
 * directus_relations. Pure. */
#ifndef DIRECTUS_FIELDS_H
#define DIRECTUS_FIELDS_H

#include "base/arena.h"
#include "directus/collections.h"

/* A row of directus_fields; texts are constants or live in the arena. */
struct directus_field {
    const char *collection, *field;
    const char *special;   /* may be NULL, as all that follow */
    const char *interface; /* how it is edited */
    const char *options;   /* JSON */
    const char *display;
    const char *display_options; /* JSON */
    const char *note;
    const char *width;
    bool readonly, hidden, required;
    int sort;
};

/* 0 or -ENOMEM. sort: the column's place, from 1. */
int directus_field_of(const struct collection *collection, const struct column *column, int sort,
                      struct arena *a, struct directus_field *ret);

/* The row of a column that is never shown. */
void directus_field_concealed(const struct directus_concealed *concealed, struct directus_field *ret);

/* The collection that an id in this column names; NULL if it names none. */
const char *directus_related(const struct collection *collection, const struct column *column);

#endif
