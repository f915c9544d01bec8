/* SPDX-License-Identifier: MIT */
/* The five stages over one index. docs/retrieval.md says what the constants were chosen by. */
#ifndef RETRIEVAL_SEARCH_H
#define RETRIEVAL_SEARCH_H

#include "retrieval/index.h"
#include "retrieval/ranking.h"
#include "retrieval/retrieval.h"

#define SEARCH_CANDIDATES 64     /* that BM25 and the dense stage leave, each */
#define SEARCH_LEAST 0.5f        /* of the best BM25 score; what scores less is left out */
#define SEARCH_SEEDS 5           /* of propagation */
#define SEARCH_RECEIVED 0.2f     /* activation of what signals over edges bring, at most */
#define SEARCH_QUESTION_MAX 4096 /* bytes of the question that are looked at */
#define SEARCH_TERMS_MAX 128     /* different terms of it */

/* Working memory for one search at a time over one index. After search_run the rankings say what each stage
 * left. */
struct search {
    struct terms *cutter;
    struct tally tally;
    struct graph_scratch *scratch;
    int8_t *quantised;
    uint32_t terms[SEARCH_TERMS_MAX]; /* of the question, each once */
    size_t n_terms;
    struct graph_hit hits[RANKING_MAX];
    struct ranking stage[STAGE_COUNT];
};

/* NULL without memory. */
struct search *search_new(const struct index *x);
void search_free(struct search *s);
DEFINE_CLEANUP(struct search *, search_free);

/* Memory that one holds, about. */
size_t search_bytes(const struct index *x);

/* Runs the stages. vector: the question's, as long as the index's, or NULL for tag overlap. Allocates
 * nothing. stage_us: time of each stage; may be NULL. */
void search_run(const struct index *x, struct search *s, const char *question, const float *vector,
                int64_t *stage_us);

#endif
