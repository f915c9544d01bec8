/* SPDX-License-Identifier: MIT */
/* The graph engine: one for a user's nodes, the skills and the taxonomy. A graph is an immutable compact
 * snapshot (compressed sparse rows) with counted references; many threads may read and walk it at once, each
 * walk with a scratch of its own. A walk allocates nothing, and costs what it touches, whatever the graph's
 * size.
 *
 * Propagation is leaky integrate-and-fire, hop by hop: seeds start at their given potential; a node fires
 * once, when its potential reaches the threshold, and sends potential × edge weight × decay along each edge;
 * signals under the floor are dropped; potentials of several paths add; a walk has at most so many hops. The
 * same graph and seeds give the same result to the last bit, in whatever order edges and seeds were given. */
#ifndef GRAPH_GRAPH_H
#define GRAPH_GRAPH_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GRAPH_DECAY 0.85f
#define GRAPH_FIRE_THRESHOLD 0.5f
#define GRAPH_SIGNAL_FLOOR 0.02f
#define GRAPH_MAX_HOPS 3

struct graph;
struct graph_scratch;

/* A directed edge as it is given to graph_build. */
struct graph_edge {
    uint32_t from, to;
    float weight; /* 0..1 in use; never negative */
    uint8_t kind; /* what it means, for whoever reads neighbours; the walk doesn't look at it */
};

/* An edge as it lies in the graph. */
struct graph_arc {
    uint32_t to;
    float weight;
};

/* A node's outgoing edges: heaviest first, then by target, then by kind. */
struct graph_neighbours {
    const struct graph_arc *arc;
    const uint8_t *kind;
    uint32_t n;
};

/* A seed (node and potential), or a node that a walk reached. */
struct graph_hit {
    uint32_t node;
    float potential;
    uint8_t hops; /* the hop that first reached it; 0 = a seed */
    bool fired;   /* its potential reached the threshold */
};

struct graph_params {
    float decay, threshold, floor; /* floor > 0 */
    uint8_t max_hops;
};

#define GRAPH_PARAMS_DEFAULT \
    ((struct graph_params){GRAPH_DECAY, GRAPH_FIRE_THRESHOLD, GRAPH_SIGNAL_FLOOR, GRAPH_MAX_HOPS})

/* What a walk did. */
struct graph_stats {
    uint32_t reached, fired; /* nodes, seeds among them */
    uint64_t edges;          /* signals that were worked out */
};

/* Builds from directed edges (copied; n < 2^32 - 1; NULL where n is 0), for the caller, who holds the first
 * reference. 0, -EINVAL for an index out of range or a weight that is negative or no number, or -ENOMEM. */
int graph_build(uint32_t nodes, const struct graph_edge *edges, size_t n, struct graph **ret);

/* One more reference, and one less; both from any thread. graph_unref(NULL) does nothing. */
struct graph *graph_ref(struct graph *g);
void graph_unref(struct graph *g);
DEFINE_CLEANUP(struct graph *, graph_unref);

uint32_t graph_nodes(const struct graph *g);
uint32_t graph_edges(const struct graph *g);

/* Memory it holds. */
size_t graph_bytes(const struct graph *g);

/* The outgoing edges of a node; none for an index out of range. They live as long as the graph. */
struct graph_neighbours graph_neighbours(const struct graph *g, uint32_t node);

/* Scratch memory for walks over graphs of at most `nodes` nodes; one thread at a time. NULL without memory.
 */
struct graph_scratch *graph_scratch_new(uint32_t nodes);
void graph_scratch_free(struct graph_scratch *s);
DEFINE_CLEANUP(struct graph_scratch *, graph_scratch_free);
uint32_t graph_scratch_nodes(const struct graph_scratch *s);
size_t graph_scratch_bytes(uint32_t nodes);

/* Walks from the seeds (node and potential count; duplicates add; one that is no node of the graph is
 * ignored). Potentials of a seed that is given several times add before it can fire; they may be negative.
 * params: NULL = the defaults. Within a hop each node sends the potential it had when the hop
 * began. Returns the number of hits written, strongest first and then by index, at most `most`; 0 when the
 * scratch is too small. Allocates nothing. */
size_t graph_propagate(const struct graph *g, struct graph_scratch *s, const struct graph_hit *seeds,
                       size_t n_seeds, const struct graph_params *params, struct graph_hit *ret, size_t most);

/* What the scratch's last walk did. */
struct graph_stats graph_scratch_stats(const struct graph_scratch *s);

#endif
