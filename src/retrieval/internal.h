/* SPDX-License-Identifier: MIT */
/* Retrieval with a source of vectors of one's own, for tests; NULL = none. Else as retrieval_open. */
#ifndef RETRIEVAL_INTERNAL_H
#define RETRIEVAL_INTERNAL_H

#include "retrieval/embedder.h"
#include "retrieval/retrieval.h"

int retrieval_open_with(struct db *db, const struct vector_source *source, struct retrieval **ret);

#endif
