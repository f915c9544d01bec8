/* SPDX-License-Identifier: MIT */
/* Propagation over a weighted graph: a leaky integrate-and-fire walk, hop by hop. The graph is an immutable
 * compact snapshot (compressed sparse rows); many threads may walk it at once, each with a scratch of its
 * own. The cost grows with the edges that are touched, not with the graph.
 *
 * Rules: seeds start at their given potential; a node fires once, when its potential reaches FIRE_THRESHOLD,
 * and sends potential × edge weight × DECAY along each edge; signals under SIGNAL_FLOOR are dropped;
 * potentials of several paths add; at most MAX_HOPS hops. Deterministic: nodes fire in order of index within
 * a hop. */
#ifndef RETRIEVAL_GRAPH_H
#define RETRIEVAL_GRAPH_H

#include <stddef.h>
#include <stdint.h>

#define GRAPH_DECAY 0.85f
#define GRAPH_FIRE_THRESHOLD 0.5f
#define GRAPH_SIGNAL_FLOOR 0.02f
#define GRAPH_MAX_HOPS 3

struct graph;
struct graph_scratch;

struct graph_edge {
    uint32_t from, to;
    float weight; /* 0..1 */
};

struct graph_hit {
    uint32_t node;
    float potential;
    uint8_t hops; /* the hop that first reached it; 0 = a seed */
};

/* Builds from directed edges (copied). 0, -EINVAL for an index out of range, or -ENOMEM. */
int graph_build(uint32_t nodes, const struct graph_edge *edges, size_t n, struct graph **ret);
void graph_free(struct graph *g);
uint32_t graph_nodes(const struct graph *g);

/* Memory it holds. */
size_t graph_bytes(const struct graph *g);

/* Scratch memory for walks over graphs of at most `nodes` nodes; one thread at a time. NULL without memory.
 */
struct graph_scratch *graph_scratch_new(uint32_t nodes);
void graph_scratch_free(struct graph_scratch *s);
size_t graph_scratch_bytes(uint32_t nodes);

/* Walks from the seeds (node and potential; duplicates add; one that is no node of the graph is ignored).
 * Within a hop each node sends the potential it had when the hop began. Returns the number of hits written,
 * strongest first and then by index, at most `most`; 0 when the scratch is too small. Allocates nothing. */
size_t graph_propagate(const struct graph *g, struct graph_scratch *s, const struct graph_hit *seeds,
                       size_t n_seeds, struct graph_hit *ret, size_t most);

#endif
