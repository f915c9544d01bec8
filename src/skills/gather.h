/* SPDX-License-Identifier: MIT */
/* Private to src/skills. Gathers which terms stand in which document, each once a field, for
 * postings_build. Filler words are no terms here. */
#ifndef SKILLS_GATHER_H
#define SKILLS_GATHER_H

#include "retrieval/lexicon.h"
#include "retrieval/postings.h"
#include "retrieval/terms.h"

enum gather_field { GATHER_CONCEPT = 1, GATHER_DESCRIPTION = 2, GATHER_NO_NUMBERS = 4 };

struct gather {
    struct lexicon *lexicon; /* gets the terms; borrowed */
    struct terms *cutter;    /* borrowed */
    struct occurrence *all;
    unsigned *fields; /* of each occurrence: where the term was seen */
    size_t n, cap;
    uint32_t *latest; /* by term: its last place in `all` */
    uint32_t latest_cap;
};

/* Adds `weight` for each term of the text that the document doesn't have in this field yet. Documents come in
 * order. ret_new (may be NULL): counted up by the terms that were new. 0 or -ENOMEM. */
int gather_add(struct gather *g, uint32_t doc, const char *text, unsigned field, float weight,
               uint32_t *ret_new);
void gather_free(struct gather *g);

#endif
