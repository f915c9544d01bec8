/* SPDX-License-Identifier: MIT */
/* What of a corpus belongs together: pieces of one record, sections that follow one another, messages of a
 * thread, things by the same author, things that share a tag which few have. Each joins a draft to earlier
 * ones, and few of them. Pure; the same corpus always gives the same edges in the same order. */
#ifndef READER_EDGES_H
#define READER_EDGES_H

#include "reader/corpus.h"

#define EDGES_BACK 6   /* most edges from a draft to earlier ones */
#define EDGES_TO 12    /* most that reach one from later ones */
#define TAG_HOLDERS 12 /* a tag that more drafts have joins nothing */

#define EDGE_PART 0.9
#define EDGE_SECTION 0.6
#define EDGE_THREAD 0.5
#define EDGE_AUTHOR 0.4
#define EDGE_TAG 0.3 /* and EDGE_TAG_RARE / holders more */
#define EDGE_TAG_RARE 0.4

struct corpus_edge {
    uint32_t from, to; /* drafts; `to` is the earlier one */
    double weight;
};

/* *ret is an array of *ret_n, freed by the caller: 0 or -ENOMEM. */
int corpus_edges(const struct corpus *c, struct corpus_edge **ret, size_t *ret_n);

#endif
