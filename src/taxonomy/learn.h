/* SPDX-License-Identifier: MIT */
/* What the taxonomy learns from its use: tags that were given together become co-occurrence edges. Each
 * tagging leaves its set of tags in taxonomy_tag_sets, without whose it was; once a day all such edges fade
 * by a little, and each pair of a set adds to its own, as neurons that fire together. */
#ifndef TAXONOMY_LEARN_H
#define TAXONOMY_LEARN_H

#include "schedule/duty.h"
#include "taxonomy/taxonomy.h"

#define TAXONOMY_FADE 0.98  /* of every co-occurrence edge, once a day; half in 34 days */
#define TAXONOMY_DELTA 0.05 /* what a pair adds; at most 1 in all */
#define TAXONOMY_LEAST 0.01 /* an edge that has faded below is deleted: no walk would take it */

/* Keeps the tags of one tagging for the next run; fewer than two are nothing to learn from. 0 or the store's
 * error. */
int taxonomy_remember(struct db *db, const struct taxonomy_terms *tags);

/* The step of the nightly duty; a batch is so many edges, or a tenth as many sets. */
int taxonomy_learn(struct db_conn *c, const struct duty_run *run);

#endif
