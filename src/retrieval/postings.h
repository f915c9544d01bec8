/* SPDX-License-Identifier: MIT */
/* An inverted index whose weights are worked out when it is built: for each term, the documents that hold it,
 * each with what the term adds to that document's score. A question then only adds numbers up. Reading is
 * thread-safe, each thread with a tally of its own. */
#ifndef RETRIEVAL_POSTINGS_H
#define RETRIEVAL_POSTINGS_H

#include <stddef.h>
#include <stdint.h>

struct posting {
    uint32_t doc;
    float weight;
};

struct postings {
    uint32_t terms;
    uint32_t *first; /* terms + 1 */
    struct posting *list;
};

/* What a builder gathers: in any order of terms, documents ascending. */
struct occurrence {
    uint32_t term, doc;
    float weight;
};

/* 0 or -ENOMEM. */
int postings_build(uint32_t terms, const struct occurrence *all, size_t n, struct postings *ret);
void postings_free(struct postings *p);
size_t postings_bytes(const struct postings *p);

/* Scores being added up; all zero between questions. */
struct tally {
    float *score;      /* by document */
    uint32_t *touched; /* documents with a score, in order of arrival */
    uint32_t n, capacity;
};

int tally_init(struct tally *t, uint32_t docs);
void tally_free(struct tally *t);
void tally_clear(struct tally *t);

/* Adds the weights of one term, which may be LEXICON_NONE. */
void postings_add(const struct postings *p, uint32_t term, struct tally *t);

#endif
