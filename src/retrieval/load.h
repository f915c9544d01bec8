/* SPDX-License-Identifier: MIT */
/* Reads one user's nodes and edges from the store into an index: those with status `active`, and the edges
 * among them, in one snapshot. */
#ifndef RETRIEVAL_LOAD_H
#define RETRIEVAL_LOAD_H

#include "db/db.h"
#include "retrieval/index.h"

/* model, dim: as for index_begin. 0 or negative errno. A user with more than an index holds is searched by
 * what has the most weight; that is logged. */
int index_load(struct db *db, const char *user_id, const char *model, size_t dim, struct index **ret);

#endif
