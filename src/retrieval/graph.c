/* SPDX-License-Identifier: MIT */
/* The graph is three arrays: where a node's edges begin, their targets, their weights. A walk works on a
 * scratch whose cells carry the number of the walk that wrote them, so that nothing has to be cleared between
 * walks.
 *
 * Within a hop every firing node sends the potential it had when the hop began: whether a neighbour fires
 * before or after it in the same hop changes nothing. */
#include "retrieval/graph.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

struct graph {
    uint32_t nodes;
    uint32_t *first; /* nodes + 1 */
    uint32_t *to;
    float *weight;
};

struct cell {
    uint32_t walk; /* the walk that last wrote this cell */
    float potential;
    uint8_t hops;
    bool queued; /* has fired, or is about to */
};

struct firing {
    uint32_t node;
    float sends;
};

struct graph_scratch {
    uint32_t capacity, walk;
    struct cell *cell;
    uint32_t *reached; /* every node with a potential, in order of arrival */
    uint32_t n_reached;
    struct firing *now, *next;
    uint32_t n_next;
};

DEFINE_CLEANUP(struct graph *, graph_free);
DEFINE_CLEANUP(struct graph_scratch *, graph_scratch_free);

static bool edges_fit(uint32_t nodes, const struct graph_edge *edges, size_t n)
{
    if (n >= UINT32_MAX)
        return false;
    for (size_t i = 0; i < n; i++)
        if (edges[i].from >= nodes || edges[i].to >= nodes)
            return false;
    return true;
}

/* Counts, sums up, then places: edges of one node keep the order they came in. */
static void place_edges(struct graph *g, const struct graph_edge *edges, size_t n)
{
    for (size_t i = 0; i < n; i++)
        g->first[edges[i].from + 1]++;
    for (uint32_t v = 0; v < g->nodes; v++)
        g->first[v + 1] += g->first[v];
    for (size_t i = 0; i < n; i++) {
        uint32_t at = g->first[edges[i].from]++;
        g->to[at] = edges[i].to;
        g->weight[at] = edges[i].weight;
    }
    memmove(g->first + 1, g->first, g->nodes * sizeof *g->first);
    g->first[0] = 0;
}

int graph_build(uint32_t nodes, const struct graph_edge *edges, size_t n, struct graph **ret)
{
    if (nodes == UINT32_MAX || !edges_fit(nodes, edges, n))
        return -EINVAL;
    _cleanup_(graph_freeP) struct graph *g = calloc(1, sizeof *g);
    if (!g)
        return -ENOMEM;
    g->nodes = nodes;
    g->first = calloc((size_t)nodes + 1, sizeof *g->first);
    g->to = calloc(n ? n : 1, sizeof *g->to);
    g->weight = calloc(n ? n : 1, sizeof *g->weight);
    if (!g->first || !g->to || !g->weight)
        return -ENOMEM;
    place_edges(g, edges, n);
    *ret = TAKE_PTR(g);
    return 0;
}

void graph_free(struct graph *g)
{
    if (!g)
        return;
    free(g->first);
    free(g->to);
    free(g->weight);
    free(g);
}

uint32_t graph_nodes(const struct graph *g)
{
    return g->nodes;
}

size_t graph_bytes(const struct graph *g)
{
    return sizeof *g + ((size_t)g->nodes + 1) * sizeof *g->first +
           g->first[g->nodes] * (sizeof *g->to + sizeof *g->weight);
}

struct graph_scratch *graph_scratch_new(uint32_t nodes)
{
    _cleanup_(graph_scratch_freeP) struct graph_scratch *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    size_t n = nodes ? nodes : 1;
    s->capacity = nodes;
    s->cell = calloc(n, sizeof *s->cell);
    s->reached = calloc(n, sizeof *s->reached);
    s->now = calloc(n, sizeof *s->now);
    s->next = calloc(n, sizeof *s->next);
    if (!s->cell || !s->reached || !s->now || !s->next)
        return NULL;
    return TAKE_PTR(s);
}

void graph_scratch_free(struct graph_scratch *s)
{
    if (!s)
        return;
    free(s->cell);
    free(s->reached);
    free(s->now);
    free(s->next);
    free(s);
}

size_t graph_scratch_bytes(uint32_t nodes)
{
    return sizeof(struct graph_scratch) +
           nodes * (sizeof(struct cell) + sizeof(uint32_t) + 2 * sizeof(struct firing));
}

static void begin_walk(struct graph_scratch *s)
{
    if (++s->walk == 0) { /* the counter came round: old stamps would look new */
        memset(s->cell, 0, s->capacity * sizeof *s->cell);
        s->walk = 1;
    }
    s->n_reached = 0;
    s->n_next = 0;
}

/* Adds a signal to a node, and queues the node to fire once it is strong enough. */
static inline void charge(struct graph_scratch *s, uint32_t node, float signal, uint8_t hop)
{
    struct cell *c = &s->cell[node];
    if (c->walk != s->walk) {
        *c = (struct cell){.walk = s->walk, .hops = hop};
        s->reached[s->n_reached++] = node;
    }
    c->potential += signal;
    if (!c->queued && c->potential >= GRAPH_FIRE_THRESHOLD) {
        c->queued = true;
        s->next[s->n_next++].node = node;
    }
}

static int by_node(const struct firing *a, const struct firing *b)
{
    return a->node < b->node ? -1 : a->node > b->node;
}

static int by_strength(const struct graph_hit *a, const struct graph_hit *b)
{
    if (a->potential != b->potential)
        return a->potential > b->potential ? -1 : 1;
    return a->node < b->node ? -1 : a->node > b->node;
}

/* Heap sort, since qsort() may allocate. Sorts `a` by `order`. */
#define DEFINE_SORT(name, type, order) \
    static void name##_sink(type *a, size_t root, size_t n) \
    { \
        type moved = a[root]; \
        for (size_t child; (child = 2 * root + 1) < n; root = child) { \
            if (child + 1 < n && order(&a[child], &a[child + 1]) < 0) \
                child++; \
            if (order(&moved, &a[child]) >= 0) \
                break; \
            a[root] = a[child]; \
        } \
        a[root] = moved; \
    } \
    static void name(type *a, size_t n) \
    { \
        for (size_t i = n / 2; i-- > 0;) \
            name##_sink(a, i, n); \
        for (size_t end = n; end-- > 1;) { \
            type last = a[end]; \
            a[end] = a[0]; \
            a[0] = last; \
            name##_sink(a, 0, end); \
        } \
    } \
    struct sort_needs_semicolon

DEFINE_SORT(sort_firings, struct firing, by_node);
DEFINE_SORT(sort_hits, struct graph_hit, by_strength);

/* Takes what is queued as the nodes that fire in this hop, each with what it will send. */
static uint32_t begin_hop(struct graph_scratch *s)
{
    struct firing *queued = s->next;
    uint32_t n = s->n_next;
    s->next = s->now;
    s->now = queued;
    s->n_next = 0;
    sort_firings(queued, n);
    for (uint32_t i = 0; i < n; i++)
        queued[i].sends = s->cell[queued[i].node].potential;
    return n;
}

static void fire(const struct graph *g, struct graph_scratch *s, struct firing f, uint8_t hop)
{
    for (uint32_t e = g->first[f.node]; e < g->first[f.node + 1]; e++) {
        float signal = f.sends * g->weight[e] * GRAPH_DECAY;
        if (signal >= GRAPH_SIGNAL_FLOOR)
            charge(s, g->to[e], signal, hop);
    }
}

static struct graph_hit hit_of(const struct graph_scratch *s, uint32_t node)
{
    return (struct graph_hit){.node = node, .potential = s->cell[node].potential, .hops = s->cell[node].hops};
}

/* Keeps the `most` strongest in ret as a heap with the weakest on top, then puts them in order. */
static size_t collect(const struct graph_scratch *s, struct graph_hit *ret, size_t most)
{
    size_t n = s->n_reached < most ? s->n_reached : most;
    for (size_t i = 0; i < n; i++)
        ret[i] = hit_of(s, s->reached[i]);
    for (size_t i = n / 2; n < s->n_reached && i-- > 0;)
        sort_hits_sink(ret, i, n);
    for (size_t i = n; n > 0 && i < s->n_reached; i++) {
        struct graph_hit hit = hit_of(s, s->reached[i]);
        if (by_strength(&hit, &ret[0]) >= 0)
            continue;
        ret[0] = hit;
        sort_hits_sink(ret, 0, n);
    }
    sort_hits(ret, n);
    return n;
}

size_t graph_propagate(const struct graph *g, struct graph_scratch *s, const struct graph_hit *seeds,
                       size_t n_seeds, struct graph_hit *ret, size_t most)
{
    if (g->nodes > s->capacity)
        return 0;
    begin_walk(s);
    for (size_t i = 0; i < n_seeds; i++)
        if (seeds[i].node < g->nodes)
            charge(s, seeds[i].node, seeds[i].potential, 0);
    for (uint8_t hop = 1; hop <= GRAPH_MAX_HOPS; hop++) {
        uint32_t n = begin_hop(s);
        for (uint32_t i = 0; i < n; i++)
            fire(g, s, s->now[i], hop);
    }
    return collect(s, ret, most);
}
