/* SPDX-License-Identifier: MIT */
/* Which tags a text speaks of: the names and aliases of all tags as phrases of stemmed words, by those words.
 * Immutable once built, so any number of threads may ask. */
#ifndef TAXONOMY_PHRASES_H
#define TAXONOMY_PHRASES_H

#include "retrieval/lexicon.h"
#include "retrieval/postings.h"
#include "taxonomy/rows.h"

#define PHRASES_WHOLE 1.0f     /* score of a phrase as it stands in the text; times the alias's weight */
#define PHRASES_SCATTERED 0.7f /* of all its words, but not one behind the other */
#define PHRASES_PART 0.4f      /* of some of its words, by their share */
#define PHRASES_LEAST 0.1f     /* what scores less is left out */
#define PHRASES_TEXT_MAX ((size_t)16 << 10) /* bytes of a text that are looked at */

struct phrase {
    uint32_t node, first, n; /* its words in `words` */
    uint32_t telling;        /* how many different ones say something */
    float weight;
};

struct phrases {
    struct lexicon stems;
    struct postings by_stem; /* phrases, by the words that say something */
    struct phrase *items;
    uint32_t *words;
    uint32_t n;
};

struct taxonomy_scored {
    uint32_t node;
    float score;
};

/* 0 or -ENOMEM. */
int phrases_build(const struct taxonomy_rows *rows, struct phrases *ret);
void phrases_free(struct phrases *p);

/* The tags of a text (any bytes), best first and then by node, at most `most`. 0 or -ENOMEM. */
int phrases_tag(const struct phrases *p, const char *text, size_t len, size_t most,
                struct taxonomy_scored *ret, size_t *ret_n);

/* Offers a candidate to a list of at most `most`, which keeps the best in order; of a node that is offered
 * again the better score stays. */
void taxonomy_offer(struct taxonomy_scored *list, size_t *n, size_t most, struct taxonomy_scored candidate);

#endif
