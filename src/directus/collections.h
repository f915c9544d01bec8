/* SPDX-License-Identifier: MIT */
/* How the product's collections look in a Directus that manages the store: one table. What their columns are
 * and who may do what with them isn't said again here; it comes from the access table (items/access.h). What
 * is in neither table (queues, secrets, bookkeeping) isn't registered. */
#ifndef DIRECTUS_COLLECTIONS_H
#define DIRECTUS_COLLECTIONS_H

#include "items/access.h"

/* The folder that the collections stand in. */
#define DIRECTUS_GROUP "genie"

struct directus_collection {
    const char *name; /* one of the access table's */
    const char *icon, *note;
    const char *display;    /* template of a row; NULL = Directus's own choice */
    bool hidden;            /* registered, but not in the navigation */
    bool theirs;            /* Directus's own: only columns of ours are registered */
    const char *columns;    /* of theirs: "a|b|c" */
    const char *visible;    /* the access table's `visible` as a filter of Directus */
    const char *deletable;  /* the opposite of its `held`, likewise */
    const char *create_too; /* "a|b|c" what Directus itself adds when a user creates a row; then rows are
                             * created and deleted at Directus although the access table says elsewhere */
};

/* Ended by one without a name. */
extern const struct directus_collection directus_collections[];

/* A column that no row of Directus may show, in a registered table or not. Ended by one without a name. */
struct directus_concealed {
    const char *collection, *field;
    const char *note;
};

extern const struct directus_concealed directus_concealed[];

/* What an administrator should know of a column; NULL = nothing. */
const char *directus_column_note(const char *collection, const char *column);

/* By name; NULL if there is none. */
const struct directus_collection *directus_collection(const char *name);

#endif
