/* SPDX-License-Identifier: MIT */
/* The graph is three arrays: where a node's edges begin, target and weight of each edge, kinds. A walk works
 * on a scratch whose cells carry the number of the walk that wrote them, so that nothing has to be cleared
 * between walks.
 *
 * Within a hop every firing node sends the potential it had when the hop began: whether a neighbour fires
 * before or after it in the same hop changes nothing. A node's edges are sorted by falling weight, so a node
 * stops at the first that is too faint, and sums don't depend on the order of rows in a store.
 *
 * In a large graph nearly every edge leads to a cell that no cache holds: cells some edges ahead are asked
 * for early, so that many of those waits overlap. */
#include "graph/graph.h"

#include "graph/slot.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define PREFETCH_ARCS 16

struct graph {
    struct shared shared;
    uint32_t nodes;
    uint32_t *first; /* nodes + 1 */
    struct graph_arc *arc;
    uint8_t *kind;
};

struct cell {
    uint32_t walk; /* the walk that last wrote this cell */
    float potential;
    uint8_t hops;
    bool fired; /* or is queued for the next hop */
};

struct firing {
    uint32_t node;
    float sends;
};

struct graph_scratch {
    uint32_t capacity, walk;
    struct cell *cell;
    uint32_t *reached; /* every node with a potential, in order of arrival */
    struct firing *now, *next;
    uint32_t n_next;
    float threshold;
    struct graph_stats stats;
};

/* ---- building */

static bool edges_fit(uint32_t nodes, const struct graph_edge *edges, size_t n)
{
    if (n >= UINT32_MAX)
        return false;
    for (size_t i = 0; i < n; i++)
        if (edges[i].from >= nodes || edges[i].to >= nodes || !(edges[i].weight >= 0) ||
            isinf(edges[i].weight))
            return false;
    return true;
}

/* Counts, sums up, then places. */
static void place_edges(struct graph *g, const struct graph_edge *edges, size_t n)
{
    for (size_t i = 0; i < n; i++)
        g->first[edges[i].from + 1]++;
    for (uint32_t v = 0; v < g->nodes; v++)
        g->first[v + 1] += g->first[v];
    for (size_t i = 0; i < n; i++) {
        uint32_t at = g->first[edges[i].from]++;
        g->arc[at] = (struct graph_arc){edges[i].to, edges[i].weight};
        g->kind[at] = edges[i].kind;
    }
    memmove(g->first + 1, g->first, g->nodes * sizeof *g->first);
    g->first[0] = 0;
}

static uint32_t widest_row(const struct graph *g)
{
    uint32_t most = 0;
    for (uint32_t v = 0; v < g->nodes; v++)
        if (g->first[v + 1] - g->first[v] > most)
            most = g->first[v + 1] - g->first[v];
    return most;
}

static int by_weight(const void *a, const void *b)
{
    const struct graph_edge *x = a, *y = b;
    if (x->weight != y->weight)
        return x->weight > y->weight ? -1 : 1;
    if (x->to != y->to)
        return x->to < y->to ? -1 : 1;
    return (int)x->kind - (int)y->kind;
}

static void sort_row(struct graph *g, uint32_t begin, uint32_t n, struct graph_edge *row)
{
    for (uint32_t i = 0; i < n; i++)
        row[i] = (struct graph_edge){
            .to = g->arc[begin + i].to, .weight = g->arc[begin + i].weight, .kind = g->kind[begin + i]};
    qsort(row, n, sizeof *row, by_weight);
    for (uint32_t i = 0; i < n; i++) {
        g->arc[begin + i] = (struct graph_arc){row[i].to, row[i].weight};
        g->kind[begin + i] = row[i].kind;
    }
}

static int sort_rows(struct graph *g)
{
    uint32_t most = widest_row(g);
    _cleanup_free_ struct graph_edge *row = calloc(most ? most : 1, sizeof *row);
    if (!row)
        return -ENOMEM;
    for (uint32_t v = 0; v < g->nodes; v++)
        sort_row(g, g->first[v], g->first[v + 1] - g->first[v], row);
    return 0;
}

static void free_graph(struct shared *self)
{
    struct graph *g = (struct graph *)self;
    free(g->first);
    free(g->arc);
    free(g->kind);
    free(g);
}

int graph_build(uint32_t nodes, const struct graph_edge *edges, size_t n, struct graph **ret)
{
    if (nodes == UINT32_MAX || !edges_fit(nodes, edges, n))
        return -EINVAL;
    struct graph *made = calloc(1, sizeof *made);
    if (!made)
        return -ENOMEM;
    shared_init(&made->shared, free_graph);
    _cleanup_(graph_unrefP) struct graph *g = made;
    g->nodes = nodes;
    g->first = calloc((size_t)nodes + 1, sizeof *g->first);
    g->arc = calloc(n ? n : 1, sizeof *g->arc);
    g->kind = calloc(n ? n : 1, sizeof *g->kind);
    if (!g->first || !g->arc || !g->kind)
        return -ENOMEM;
    place_edges(g, edges, n);
    int r = sort_rows(g);
    if (r == 0)
        *ret = TAKE_PTR(g);
    return r;
}

struct graph *graph_ref(struct graph *g)
{
    shared_ref(&g->shared);
    return g;
}

void graph_unref(struct graph *g)
{
    shared_unref(g ? &g->shared : NULL);
}

uint32_t graph_nodes(const struct graph *g)
{
    return g->nodes;
}

uint32_t graph_edges(const struct graph *g)
{
    return g->first[g->nodes];
}

size_t graph_bytes(const struct graph *g)
{
    return sizeof *g + ((size_t)g->nodes + 1) * sizeof *g->first +
           graph_edges(g) * (sizeof *g->arc + sizeof *g->kind);
}

struct graph_neighbours graph_neighbours(const struct graph *g, uint32_t node)
{
    if (node >= g->nodes)
        return (struct graph_neighbours){0};
    uint32_t begin = g->first[node];
    return (struct graph_neighbours){g->arc + begin, g->kind + begin, g->first[node + 1] - begin};
}

/* ---- walking */

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

uint32_t graph_scratch_nodes(const struct graph_scratch *s)
{
    return s->capacity;
}

size_t graph_scratch_bytes(uint32_t nodes)
{
    return sizeof(struct graph_scratch) +
           nodes * (sizeof(struct cell) + sizeof(uint32_t) + 2 * sizeof(struct firing));
}

struct graph_stats graph_scratch_stats(const struct graph_scratch *s)
{
    return s->stats;
}

static void begin_walk(struct graph_scratch *s)
{
    if (++s->walk == 0) { /* the counter came round: old stamps would look new */
        memset(s->cell, 0, s->capacity * sizeof *s->cell);
        s->walk = 1;
    }
    s->n_next = 0;
    s->stats = (struct graph_stats){0};
}

/* Adds a signal to a node, and queues the node to fire once it is strong enough. */
static inline void charge(struct graph_scratch *s, uint32_t node, float signal, uint8_t hop)
{
    struct cell *c = &s->cell[node];
    if (c->walk != s->walk) {
        *c = (struct cell){.walk = s->walk, .hops = hop};
        s->reached[s->stats.reached++] = node;
    }
    c->potential += signal;
    if (!c->fired && c->potential >= s->threshold) {
        c->fired = true;
        s->stats.fired++;
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
    for (uint32_t i = 0; i < n; i++)
        queued[i].sends = s->cell[queued[i].node].potential;
    return n;
}

static void fire(const struct graph *g, struct graph_scratch *s, struct firing f,
                 const struct graph_params *params, uint8_t hop)
{
    const struct graph_arc *arc = g->arc + g->first[f.node], *end = g->arc + g->first[f.node + 1];
    const struct graph_arc *begin = arc;
    for (; arc < end; arc++) {
        if (end - arc > PREFETCH_ARCS)
            __builtin_prefetch(&s->cell[arc[PREFETCH_ARCS].to], 1);
        float signal = f.sends * arc->weight * params->decay;
        if (signal < params->floor)
            break;
        charge(s, arc->to, signal, hop);
    }
    s->stats.edges += (uint64_t)(arc - begin);
}

static struct graph_hit hit_of(const struct graph_scratch *s, uint32_t node)
{
    const struct cell *c = &s->cell[node];
    return (struct graph_hit){.node = node, .potential = c->potential, .hops = c->hops, .fired = c->fired};
}

/* Keeps the `most` strongest in ret as a heap with the weakest on top, then puts them in order. */
static size_t collect(const struct graph_scratch *s, struct graph_hit *ret, size_t most)
{
    size_t n = s->stats.reached < most ? s->stats.reached : most;
    for (size_t i = 0; i < n; i++)
        ret[i] = hit_of(s, s->reached[i]);
    for (size_t i = n / 2; n < s->stats.reached && i-- > 0;)
        sort_hits_sink(ret, i, n);
    for (size_t i = n; n > 0 && i < s->stats.reached; i++) {
        struct graph_hit hit = hit_of(s, s->reached[i]);
        if (by_strength(&hit, &ret[0]) >= 0)
            continue;
        ret[0] = hit;
        sort_hits_sink(ret, 0, n);
    }
    sort_hits(ret, n);
    return n;
}

/* Seeds fire in the order of their numbers, and everything after follows from that. */
static void charge_seeds(const struct graph *g, struct graph_scratch *s, const struct graph_hit *seeds,
                         size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (seeds[i].node < g->nodes)
            charge(s, seeds[i].node, seeds[i].potential, 0);
    sort_firings(s->next, s->n_next);
}

size_t graph_propagate(const struct graph *g, struct graph_scratch *s, const struct graph_hit *seeds,
                       size_t n_seeds, const struct graph_params *params, struct graph_hit *ret, size_t most)
{
    const struct graph_params defaults = GRAPH_PARAMS_DEFAULT;
    params = params ? params : &defaults;
    begin_walk(s);
    if (g->nodes > s->capacity)
        return 0;
    s->threshold = params->threshold;
    charge_seeds(g, s, seeds, n_seeds);
    for (unsigned hop = 1; hop <= params->max_hops && s->n_next > 0; hop++) {
        uint32_t n = begin_hop(s);
        for (uint32_t i = 0; i < n; i++)
            fire(g, s, s->now[i], params, (uint8_t)hop);
    }
    return collect(s, ret, most);
}
