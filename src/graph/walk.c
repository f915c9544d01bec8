/* SPDX-License-Identifier: MIT */
/* Propagation.
 *
 * Within a hop every firing node sends the potential it had when the hop began: whether a neighbour fires
 * before or after it in the same hop changes nothing.
 *
 * What a walk writes is small, so that it stays in a core's cache also where the graph doesn't. The nodes
 * reached are numbered in order of arrival. In a small graph each node has a slot that holds its number. In a
 * large one slots would be as far apart as the nodes; there 32 nodes share one: a bit for each tells whether
 * it was reached, so that the usual case, a node that is new, needs no search and no branch that can't be
 * foreseen, and those that were are a chain, from the last to the first. A walk that comes back to the same
 * nodes again and again gets a slot for each after all. Numbers go on from walk to walk: a slot with one of
 * an earlier walk is free, and nothing has to be cleared.
 *
 * In a large graph no cache holds the edges of a node that fires, nor the translation of their address. A
 * core goes on while it waits for the former, hardly for the latter; so the beginnings of many nodes' edges
 * are asked for at once, and the rest of a node's shortly before it fires. */
#include "graph/csr.h"

#include <string.h>

#define SMALL_NODES 131072u /* each node of such a graph has a slot */
#define FOUND_MOST 16384    /* signals to nodes that were reached before, until each node gets one */
#define PIECE 1024          /* edges between two looks at how many there were */
#define GROUP 32            /* nodes that share a slot in a large graph */
#define BATCH 16            /* nodes whose edges' beginnings are asked for at once */
#define ROWS_AHEAD 2        /* nodes whose other edges are asked for … */
#define LINES_AHEAD 8       /* … at most so many lines of the cache, */
#define LINE 64             /* of so many bytes */

/* gcc takes a function that only asks for memory ahead for one that does nothing, and drops calls of it. */
#define ALWAYS_INLINE inline __attribute__((always_inline))

/* A node that the walk reached. Its number is its place in the order of arrival. */
struct charge {
    uint32_t node;
    float potential;
    uint32_t before; /* the number of the one that was reached before it in its group, if any was */
};

/* What nodes of a large graph share. */
struct group {
    uint32_t reached; /* a bit for each */
    uint32_t last;    /* the number of the last of them */
};

struct firing {
    uint32_t number;
    float sends;
};

/* What changes with each edge; copied to registers while a node's edges are gone along. */
struct walk {
    struct charge *reached;
    struct firing *firing; /* those that fire, the hops one behind the other */
    uint32_t *slot;        /* base + the number of a node; less than base: none */
    struct group *group;
    uint32_t base, n_reached, n_fired, n_found;
    float threshold;
};

struct graph_scratch {
    struct walk walk;
    uint32_t capacity;
    uint32_t nodes; /* of the graph that is walked */
    bool slots;     /* each node has one */
    bool grouped;   /* the walk began without */
    uint64_t edges;
    uint32_t until[UINT8_MAX + 1]; /* how many were reached at the end of a hop */
};

static size_t groups_of(uint32_t nodes)
{
    return (size_t)nodes / GROUP + 1;
}

struct graph_scratch *graph_scratch_new(uint32_t nodes)
{
    _cleanup_(graph_scratch_freeP) struct graph_scratch *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    struct walk *w = &s->walk;
    s->capacity = nodes;
    w->reached = graph_alloc(nodes, sizeof *w->reached);
    w->firing = graph_alloc(nodes, sizeof *w->firing);
    w->slot = graph_alloc(nodes, sizeof *w->slot);
    w->group = graph_alloc(groups_of(nodes), sizeof *w->group);
    /* not far from the end, so that beginning anew is nothing rare */
    w->base = nodes < UINT32_MAX / 4 ? UINT32_MAX - 4 * nodes : 1;
    if (!w->reached || !w->firing || !w->slot || !w->group)
        return NULL;
    return TAKE_PTR(s);
}

void graph_scratch_free(struct graph_scratch *s)
{
    if (!s)
        return;
    free(s->walk.reached);
    free(s->walk.firing);
    free(s->walk.slot);
    free(s->walk.group);
    free(s);
}

uint32_t graph_scratch_nodes(const struct graph_scratch *s)
{
    return s->capacity;
}

size_t graph_scratch_bytes(uint32_t nodes)
{
    return sizeof(struct graph_scratch) + groups_of(nodes) * sizeof(struct group) +
           nodes * (sizeof(struct charge) + sizeof(struct firing) + sizeof(uint32_t));
}

struct graph_stats graph_scratch_stats(const struct graph_scratch *s)
{
    return (struct graph_stats){s->walk.n_reached, s->walk.n_fired, s->edges};
}

/* ---- a signal arrives */

static inline void queue(struct walk *w, uint32_t number)
{
    w->firing[w->n_fired++].number = number;
}

static inline void arrive(struct walk *w, uint32_t node, float signal, uint32_t before)
{
    if (signal >= w->threshold)
        queue(w, w->n_reached);
    w->reached[w->n_reached++] = (struct charge){node, signal, before};
}

/* No signal is negative: a node comes to the threshold once. */
static inline void add(struct walk *w, uint32_t number, float signal)
{
    struct charge *c = &w->reached[number];
    float before = c->potential;
    c->potential += signal;
    if (before < w->threshold && c->potential >= w->threshold)
        queue(w, number);
}

static inline void charge_by_slot(struct walk *w, uint32_t node, float signal)
{
    uint32_t *slot = &w->slot[node];
    if (*slot >= w->base) {
        add(w, *slot - w->base, signal);
        return;
    }
    *slot = w->base + w->n_reached;
    arrive(w, node, signal, 0);
}

static inline void charge_by_group(struct walk *w, uint32_t node, float signal)
{
    struct group *group = &w->group[node / GROUP], was = *group;
    uint32_t bit = 1u << node % GROUP;
    if (was.reached & bit) {
        uint32_t number = was.last;
        while (w->reached[number].node != node)
            number = w->reached[number].before;
        w->n_found++;
        add(w, number, signal);
        return;
    }
    *group = (struct group){was.reached | bit, w->n_reached};
    arrive(w, node, signal, was.last);
}

static ALWAYS_INLINE void charge(struct walk *w, uint32_t node, float signal, bool slots)
{
    if (slots)
        charge_by_slot(w, node, signal);
    else
        charge_by_group(w, node, signal);
}

static void fill_slots(struct graph_scratch *s)
{
    struct walk *w = &s->walk;
    for (uint32_t i = 0; i < w->n_reached; i++)
        w->slot[w->reached[i].node] = w->base + i;
    s->slots = true;
}

/* Where so many were found that a search each costs more than slots. */
static void choose_slots(struct graph_scratch *s)
{
    if (!s->slots && s->walk.n_found > FOUND_MOST)
        fill_slots(s);
}

/* ---- the beginning */

/* Costs no more than the walk that used them. */
static void clear_groups(struct graph_scratch *s)
{
    size_t n = groups_of(s->nodes);
    if (!s->grouped)
        return;
    if (s->walk.n_reached > n / 4)
        memset(s->walk.group, 0, n * sizeof *s->walk.group);
    else
        for (uint32_t i = 0; i < s->walk.n_reached; i++)
            s->walk.group[s->walk.reached[i].node / GROUP] = (struct group){0};
}

/* Makes all slots free. */
static void free_slots(struct graph_scratch *s)
{
    s->walk.base += s->walk.n_reached;
    if ((uint64_t)s->walk.base + s->capacity <= UINT32_MAX)
        return;
    /* numbers begin anew: old ones would look new */
    memset(s->walk.slot, 0, s->capacity * sizeof *s->walk.slot);
    s->walk.base = 1;
}

static void begin_walk(struct graph_scratch *s, uint32_t nodes, float threshold)
{
    clear_groups(s);
    free_slots(s);
    s->nodes = nodes;
    s->edges = 0;
    s->walk.n_reached = s->walk.n_fired = s->walk.n_found = 0;
    s->walk.threshold = threshold;
    s->slots = nodes <= SMALL_NODES;
    s->grouped = !s->slots;
}

static int by_node(const struct charge *a, const struct charge *b)
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

DEFINE_SORT(sort_charges, struct charge, by_node);
DEFINE_SORT(sort_hits, struct graph_hit, by_strength);

/* After the nodes reached have changed their order. */
static void number_anew(struct graph_scratch *s)
{
    struct walk *w = &s->walk;
    if (s->slots) {
        fill_slots(s);
        return;
    }
    for (uint32_t i = 0; i < w->n_reached; i++) {
        struct group *group = &w->group[w->reached[i].node / GROUP];
        w->reached[i].before = group->last;
        group->last = i;
    }
}

/* Potentials that are given add first. Then the seeds fire in the order of their nodes, and everything after
 * follows from that. */
static void charge_seeds(struct graph_scratch *s, const struct graph_hit *seeds, size_t n)
{
    struct walk *w = &s->walk;
    for (size_t i = 0; i < n; i++) {
        choose_slots(s);
        if (seeds[i].node < s->nodes)
            charge(w, seeds[i].node, seeds[i].potential, s->slots);
        w->n_fired = 0;
    }
    sort_charges(w->reached, w->n_reached);
    number_anew(s);
    for (uint32_t i = 0; i < w->n_reached; i++)
        if (w->reached[i].potential >= w->threshold)
            queue(w, i);
    s->until[0] = w->n_reached;
}

/* ---- firing */

/* Sends along edges, up to one that is too faint, which is returned; else `end`. */
static ALWAYS_INLINE const struct graph_arc *send(struct walk *walk, const struct graph_arc *arc,
                                                  const struct graph_arc *end, float sends,
                                                  const struct graph_params *params, bool slots)
{
    struct walk w = *walk;
    float decay = params->decay, floor = params->floor;
    for (; arc < end; arc++) {
        float signal = sends * arc->weight * decay;
        if (signal < floor)
            break;
        charge(&w, arc->to, signal, slots);
    }
    *walk = w;
    return arc;
}

static void fire(const struct graph *g, struct graph_scratch *s, struct firing f,
                 const struct graph_params *params)
{
    uint32_t node = s->walk.reached[f.number].node;
    const struct graph_arc *begin = g->arc + g->first[node], *end = g->arc + g->first[node + 1], *arc = begin,
                           *stop;
    do {
        stop = end - arc > PIECE ? arc + PIECE : end;
        choose_slots(s);
        arc = s->slots ? send(&s->walk, arc, stop, f.sends, params, true)
                       : send(&s->walk, arc, stop, f.sends, params, false);
    } while (arc == stop && arc < end);
    s->edges += (uint64_t)(arc - begin);
}

/* ---- asking for memory ahead */

static ALWAYS_INLINE uint32_t firing_node(const struct walk *w, uint32_t i)
{
    return w->reached[w->firing[i].number].node;
}

static ALWAYS_INLINE void expect_offsets(const struct graph *g, const struct walk *w, uint32_t i,
                                         uint32_t end)
{
    for (uint32_t n = 0; n < BATCH && i + n < end; n++)
        __builtin_prefetch(&g->first[firing_node(w, i + n)]);
}

static ALWAYS_INLINE void expect_begins(const struct graph *g, const struct walk *w, uint32_t i, uint32_t end)
{
    for (uint32_t n = 0; n < BATCH && i + n < end; n++)
        __builtin_prefetch(&g->arc[g->first[firing_node(w, i + n)]]);
}

static ALWAYS_INLINE void expect_row(const struct graph *g, const struct walk *w, uint32_t i, uint32_t end)
{
    if (i >= end)
        return;
    uint32_t node = firing_node(w, i);
    const char *line = (const char *)(g->arc + g->first[node]),
               *last = (const char *)(g->arc + g->first[node + 1]);
    for (uint32_t n = 1; n < LINES_AHEAD && last - line > LINE; n++)
        __builtin_prefetch(line += LINE);
}

/* ---- hops */

/* Fires the nodes from `begin` on that are queued now, each with the potential it has now. Returns how many
 * have fired in all. */
static uint32_t run_hop(const struct graph *g, struct graph_scratch *s, const struct graph_params *params,
                        uint32_t begin)
{
    struct walk *w = &s->walk;
    uint32_t end = w->n_fired;
    for (uint32_t i = begin; i < end; i++)
        w->firing[i].sends = w->reached[w->firing[i].number].potential;
    expect_offsets(g, w, begin, end);
    expect_offsets(g, w, begin + BATCH, end);
    expect_begins(g, w, begin, end);
    for (uint32_t i = begin; i < end; i++) {
        if ((i - begin) % BATCH == 0) {
            expect_offsets(g, w, i + 2 * BATCH, end);
            expect_begins(g, w, i + BATCH, end);
        }
        expect_row(g, w, i + ROWS_AHEAD, end);
        fire(g, s, w->firing[i], params);
    }
    return end;
}

/* The strongest of a walk: at first as they come, and once there are `most`, as a heap with the weakest on
 * top. */
struct best {
    struct graph_hit *hits;
    size_t n, most;
};

static uint8_t hops_of(const struct graph_scratch *s, uint32_t number)
{
    uint8_t hops = 0;
    while (number >= s->until[hops])
        hops++;
    return hops;
}

static inline void offer(struct best *b, const struct graph_scratch *s, uint32_t number)
{
    struct charge c = s->walk.reached[number];
    struct graph_hit hit = {.node = c.node, .potential = c.potential};
    if (b->n == b->most && by_strength(&hit, &b->hits[0]) >= 0)
        return;
    hit.hops = hops_of(s, number);
    hit.fired = c.potential >= s->walk.threshold;
    if (b->n == b->most) {
        b->hits[0] = hit;
        sort_hits_sink(b->hits, 0, b->n);
        return;
    }
    b->hits[b->n++] = hit;
    for (size_t i = b->n / 2; b->n == b->most && i-- > 0;)
        sort_hits_sink(b->hits, i, b->n);
}

/* The `most` strongest, in order. A node that fired is stronger than any that didn't. */
static size_t collect(const struct graph_scratch *s, struct graph_hit *ret, size_t most)
{
    struct best b = {.hits = ret, .most = most};
    if (most == 0)
        return 0;
    if (s->walk.n_fired >= most)
        for (uint32_t i = 0; i < s->walk.n_fired; i++)
            offer(&b, s, s->walk.firing[i].number);
    else
        for (uint32_t i = 0; i < s->walk.n_reached; i++)
            offer(&b, s, i);
    sort_hits(ret, b.n);
    return b.n;
}

size_t graph_propagate(const struct graph *g, struct graph_scratch *s, const struct graph_hit *seeds,
                       size_t n_seeds, const struct graph_params *params, struct graph_hit *ret, size_t most)
{
    const struct graph_params defaults = GRAPH_PARAMS_DEFAULT;
    params = params ? params : &defaults;
    begin_walk(s, g->nodes <= s->capacity ? g->nodes : 0, params->threshold);
    if (g->nodes > s->capacity)
        return 0;
    charge_seeds(s, seeds, n_seeds);
    uint32_t fired = 0;
    for (unsigned hop = 1; hop <= params->max_hops && fired < s->walk.n_fired; hop++) {
        fired = run_hop(g, s, params, fired);
        s->until[hop] = s->walk.n_reached;
    }
    return collect(s, ret, most);
}
