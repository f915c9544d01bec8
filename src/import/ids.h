/* SPDX-License-Identifier: MIT */
/* What has become of the rows of a source (tables import_sources, import_rows). All run inside a unit of the
 * caller, so that a row and the note of it come together or not at all. */
#ifndef IMPORT_IDS_H
#define IMPORT_IDS_H

#include "db/db.h"

#define OLD_ID_MAX 96

/* The source of that kind and identity, made if need be: 0 or the store's error. */
int ids_source(struct db_conn *c, const char *kind, const char *identity, int64_t *ret_source);

/* Whether that row was brought in: 1 (and what it became; 0 where that has no integer key), 0, or the store's
 * error. */
int ids_known(struct db_conn *c, int64_t source, const char *table, const char *old_id, int64_t *ret_new);

/* The same, for what refers to it: 0 also where what it became is no longer there. */
int ids_resolve(struct db_conn *c, int64_t source, const char *table, int64_t old_id, int64_t *ret_new);

/* Notes that the row was brought in; new_id 0 = without an integer key. 0 or the store's error. */
int ids_keep(struct db_conn *c, int64_t source, const char *table, const char *old_id, int64_t new_id);

/* An integer key as the text that ids are kept under. */
static inline const char *ids_text(int64_t id, char ret[OLD_ID_MAX])
{
    (void)snprintf(ret, OLD_ID_MAX, "%lld", (long long)id);
    return ret;
}

#endif
