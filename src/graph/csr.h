/* SPDX-License-Identifier: MIT */
/* How a graph lies in memory: compressed sparse rows. Private to src/graph. */
#ifndef GRAPH_CSR_H
#define GRAPH_CSR_H

#include "graph/graph.h"
#include "graph/slot.h"

struct graph {
    struct shared shared;
    uint32_t nodes;
    uint32_t *first; /* where each node's edges begin; nodes + 1 */
    struct graph_arc *arc;
    uint8_t *kind;
};

/* Zeroed memory, to be freed; NULL without. */
void *graph_alloc(size_t n, size_t size);

#endif
