/* SPDX-License-Identifier: MIT */
/* The best candidates of one stage, in order: higher score first, ties by lower node number. */
#ifndef RETRIEVAL_RANKING_H
#define RETRIEVAL_RANKING_H

#include <stddef.h>
#include <stdint.h>

#define RANKING_MAX 128

struct ranked {
    uint32_t node;
    uint32_t unit; /* the part of the node that matched best */
    float score;
};

struct ranking {
    struct ranked item[RANKING_MAX];
    size_t n, most; /* most <= RANKING_MAX */
};

static inline void ranking_begin(struct ranking *r, size_t most)
{
    r->n = 0;
    r->most = most < RANKING_MAX ? most : RANKING_MAX;
}

/* Offers a candidate. Of a node that is offered again, the better one stays. */
void ranking_offer(struct ranking *r, struct ranked candidate);

/* The place of a node, or NULL. */
struct ranked *ranking_find(struct ranking *r, uint32_t node);

/* Reciprocal rank fusion: every list gives 1 / (RRF_K + rank) to each of its nodes, ranks from 1. A node
 * keeps the unit of the first list that has it. `ret` is begun by the caller. */
#define RRF_K 60
void ranking_fuse(struct ranking *const *lists, size_t n, struct ranking *ret);

#endif
