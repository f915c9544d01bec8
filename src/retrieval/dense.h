/* SPDX-License-Identifier: MIT */
/* The second stage: nearness of meaning. With an embedder it is the cosine between the question's vector and
 * each node's; without, how much of a node's tags the question names. */
#ifndef RETRIEVAL_DENSE_H
#define RETRIEVAL_DENSE_H

#include "retrieval/bm25.h"
#include "retrieval/ranking.h"

#define VECTOR_DIM_MAX 16384 /* what an embedder may answer */

/* Vectors in 8 bits a component, a quarter of the memory to read: 10,000 vectors of 768 components are 7.7
 * MB. A cosine is off by less than 0.01 for it. */
struct vectors {
    int8_t *data; /* one row of `stride` a node */
    float *scale; /* by node; 0 = the node has no vector */
    uint32_t nodes, present;
    size_t dim, stride;
};

/* Room for one vector a node, none present: 0, -EINVAL for a dimension out of range, or -ENOMEM. */
int vectors_init(struct vectors *v, uint32_t nodes, size_t dim);
void vectors_free(struct vectors *v);
size_t vectors_bytes(const struct vectors *v);

/* Sets a node's vector; one without a direction (zero, or not finite) is left out. */
void vectors_set(struct vectors *v, uint32_t node, const float *values);

/* Ranks the nodes by cosine with `question` (dim components), those at or below 0 left out. `work` holds
 * stride bytes. */
void vectors_rank(const struct vectors *v, const float *question, int8_t *work, struct ranking *ret);

/* Tag overlap as postings over nodes: matched / √tag terms × node weight; the number of terms in the question
 * is the same for every node and left out. Tags are texts, each maybe of several terms; a term counts once a
 * node. */
struct overlap_builder {
    struct lexicon *lexicon; /* borrowed, as is the cutter */
    struct terms *cutter;
    struct occurrence *all;
    size_t n, cap;
    size_t first; /* of the newest node */
};

/* Adds a tag to a node; nodes come in ascending order. 0 or -ENOMEM. */
int overlap_add(struct overlap_builder *b, uint32_t node, const char *tag, size_t len);

/* Weighs what was added to the newest node. A node without weight has no tags. */
void overlap_end_node(struct overlap_builder *b, float node_weight);
int overlap_build(struct overlap_builder *b, struct postings *ret);
void overlap_free(struct overlap_builder *b);

#endif
