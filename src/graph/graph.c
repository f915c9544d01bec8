/* SPDX-License-Identifier: MIT */
/* The graph is three arrays: where a node's edges begin, target and weight of each edge, kinds.
 *
 * Within a hop every firing node sends the potential it had when the hop began: whether a neighbour fires
 * before or after it in the same hop changes nothing. A node's edges are sorted by falling weight, so a node
 * stops at the first that is too faint, and sums don't depend on the order of rows in a store.
 *
 * What a walk writes is as small as what it reaches, so that it stays in a core's cache however large the
 * graph is. The nodes reached are numbered in order of arrival. A node's number is found through slots: in a
 * small graph each node has its own; in a large one those with the same hash share one, as a chain, and a bit
 * for each node tells whether it was reached, so that the usual case, a node that is new, needs no search and
 * no branch that can't be foreseen. There are more slots where many are reached, up to one for each node;
 * that is also the way out for nodes whose hashes collide, by chance or by design. Numbers go on from walk to
 * walk: a slot with one of an earlier walk is free, and nothing has to be cleared.
 *
 * In a large graph no cache holds the edges of a node that fires, nor the translation of their address. A
 * core goes on while it waits for the former, hardly for the latter; so the beginnings of many nodes' edges
 * are asked for at once, and the rest of a node's shortly before it fires. */
#include "graph/graph.h"

#include "graph/slot.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>

#define BATCH 16                     /* nodes whose edges' beginnings are asked for at once */
#define ROWS_AHEAD 2                 /* nodes whose other edges are asked for … */
#define LINES_AHEAD 8                /* … at most so many lines of the cache, */
#define LINE 64                      /* of so many bytes */
#define PIECE 1024                   /* edges between two looks at whether the slots are enough */
#define LEAST_SLOTS 32768u           /* a power of two */
#define MOST_TRIES 64                /* nodes passed in a chain before there are too few slots */
#define HASH_FACTOR 2654435769u      /* 2^32 divided by the golden ratio */
#define LARGE ((size_t)4 << 20)      /* bytes from which memory is asked for in large pages … */
#define LARGE_PAGE ((size_t)2 << 20) /* … of this size */

/* gcc takes a function that only asks for memory ahead for one that does nothing, and drops calls of it. */
#define ALWAYS_INLINE inline __attribute__((always_inline))

struct graph {
    struct shared shared;
    uint32_t nodes;
    uint32_t *first; /* nodes + 1 */
    struct graph_arc *arc;
    uint8_t *kind;
};

/* A node that the walk reached. Its number is its place in the order of arrival. */
struct charge {
    uint32_t node;
    float potential;
    uint32_t next; /* base + the number of the one that had the slot before; less than base: none */
};

struct firing {
    uint32_t number;
    float sends;
};

/* What changes with each edge; copied to registers while a node's edges are gone along. */
struct walk {
    struct charge *reached;
    struct firing *firing; /* those that fire, the hops one behind the other */
    uint32_t *slot;        /* base + the number of the last node with this slot; less than base: none */
    uint64_t *seen;        /* a bit for each node of a large graph: it was reached */
    uint32_t base, shift, n_reached, n_fired;
    float threshold;
    bool crowded; /* finding a node took long, since so many have the same slot */
};

struct graph_scratch {
    struct walk walk;
    uint32_t capacity;
    uint32_t nodes; /* of the graph that is walked */
    uint32_t slots; /* in use, a power of two */
    bool direct;    /* each node has a slot of its own */
    bool marked;    /* the walk began with fewer, so that bits are set */
    uint64_t edges;
    uint32_t until[UINT8_MAX + 1]; /* how many were reached at the end of a hop */
};

/* Zeroed memory, to be freed. Where a walk goes through a lot of it at random, large pages save a miss of the
 * address cache each time; the kernel may or may not have some. */
static void *alloc_zeroed(size_t n, size_t size)
{
    size_t bytes = (n ? n : 1) * size;
    if (bytes < LARGE)
        return calloc(1, bytes);
    bytes = (bytes + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
    void *p = aligned_alloc(LARGE_PAGE, bytes);
    if (!p)
        return NULL;
    (void)madvise(p, bytes, MADV_HUGEPAGE);
    return memset(p, 0, bytes);
}

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
    g->first = alloc_zeroed((size_t)nodes + 1, sizeof *g->first);
    g->arc = alloc_zeroed(n, sizeof *g->arc);
    g->kind = alloc_zeroed(n, sizeof *g->kind);
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

static size_t seen_words(uint32_t nodes)
{
    return (size_t)nodes / 64 + 1;
}

struct graph_scratch *graph_scratch_new(uint32_t nodes)
{
    _cleanup_(graph_scratch_freeP) struct graph_scratch *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->capacity = nodes;
    s->slots = LEAST_SLOTS;
    s->walk = (struct walk){
        .reached = alloc_zeroed(nodes, sizeof *s->walk.reached),
        .firing = alloc_zeroed(nodes, sizeof *s->walk.firing),
        .slot = alloc_zeroed(nodes, sizeof *s->walk.slot),
        .seen = alloc_zeroed(seen_words(nodes), sizeof *s->walk.seen),
        /* not far from the end, so that beginning anew is nothing rare */
        .base = nodes < UINT32_MAX / 4 ? UINT32_MAX - 4 * nodes : 1,
    };
    if (!s->walk.reached || !s->walk.firing || !s->walk.slot || !s->walk.seen)
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
    free(s->walk.seen);
    free(s);
}

uint32_t graph_scratch_nodes(const struct graph_scratch *s)
{
    return s->capacity;
}

size_t graph_scratch_bytes(uint32_t nodes)
{
    return sizeof(struct graph_scratch) + seen_words(nodes) * sizeof(uint64_t) +
           nodes * (sizeof(struct charge) + sizeof(struct firing) + sizeof(uint32_t));
}

struct graph_stats graph_scratch_stats(const struct graph_scratch *s)
{
    return (struct graph_stats){s->walk.n_reached, s->walk.n_fired, s->edges};
}

/* ---- which nodes a walk has reached */

static inline uint32_t *slot_of(const struct walk *w, uint32_t node, bool direct)
{
    return &w->slot[direct ? node : node * HASH_FACTOR >> w->shift];
}

/* Uses so many slots from now on, all free. `used` numbers were given out since it was called last. */
static void begin_slots(struct graph_scratch *s, uint32_t slots, uint32_t used)
{
    s->walk.base += used;
    if ((uint64_t)s->walk.base + s->capacity > UINT32_MAX) { /* numbers begin anew: old ones would look new */
        memset(s->walk.slot, 0, s->capacity * sizeof *s->walk.slot);
        s->walk.base = 1;
    }
    s->slots = slots;
    s->walk.shift = 1 + (uint32_t)__builtin_clz(slots);
    s->walk.crowded = false;
    s->direct = slots > s->nodes / 2;
}

/* Gives those reached so far their slots, which are all free. */
static void fill_slots(struct graph_scratch *s)
{
    struct walk *w = &s->walk;
    for (uint32_t i = 0; i < w->n_reached; i++) {
        uint32_t *slot = slot_of(w, w->reached[i].node, s->direct);
        w->reached[i].next = *slot;
        *slot = w->base + i;
    }
}

/* Twice as many slots where they are too few; in the end each node has its own. */
static void make_room(struct graph_scratch *s)
{
    if (s->direct || (s->walk.n_reached < s->slots && !s->walk.crowded))
        return;
    begin_slots(s, s->slots * 2, s->walk.n_reached);
    fill_slots(s);
}

/* Costs no more than the walk that set the bits. */
static void clear_seen(struct graph_scratch *s)
{
    size_t words = seen_words(s->nodes);
    if (!s->marked)
        return;
    if (s->walk.n_reached > words / 8)
        memset(s->walk.seen, 0, words * sizeof *s->walk.seen);
    else
        for (uint32_t i = 0; i < s->walk.n_reached; i++)
            s->walk.seen[s->walk.reached[i].node / 64] = 0;
}

/* True for a node that the walk has not reached yet; false from then on. */
static inline bool is_new(struct walk *w, uint32_t node, const uint32_t *slot, bool direct)
{
    if (direct)
        return *slot < w->base;
    uint64_t *seen = &w->seen[node / 64], bit = (uint64_t)1 << (node % 64);
    if (*seen & bit)
        return false;
    *seen |= bit;
    return true;
}

static inline void arrive(struct walk *w, uint32_t node, uint32_t *slot, float potential)
{
    w->reached[w->n_reached] = (struct charge){node, potential, *slot};
    *slot = w->base + w->n_reached++;
}

/* A node that was reached before. */
static inline struct charge *find(struct walk *w, uint32_t node, const uint32_t *slot)
{
    struct charge *c = &w->reached[*slot - w->base];
    uint32_t tries = 0;
    for (; c->node != node; c = &w->reached[c->next - w->base])
        tries++;
    w->crowded |= tries > MOST_TRIES;
    return c;
}

/* ---- walking */

/* After a walk that reached little, fewer slots will do, which are nearer. */
static void begin_walk(struct graph_scratch *s, uint32_t nodes, float threshold)
{
    uint32_t used = s->walk.n_reached;
    bool fewer = used < s->slots / 4 && s->slots > LEAST_SLOTS;
    clear_seen(s);
    s->nodes = nodes;
    s->edges = 0;
    s->walk.n_reached = s->walk.n_fired = 0;
    s->walk.threshold = threshold;
    begin_slots(s, fewer ? s->slots / 2 : s->slots, used);
    s->marked = !s->direct;
}

static inline void queue(struct walk *w, uint32_t number)
{
    w->firing[w->n_fired++].number = number;
}

/* Adds a signal to a node, and queues the node to fire as soon as it is strong enough. No signal is negative:
 * a node comes to the threshold once. */
static inline void charge(struct walk *w, uint32_t node, float signal, bool direct)
{
    uint32_t *slot = slot_of(w, node, direct);
    if (is_new(w, node, slot, direct)) {
        arrive(w, node, slot, signal);
        if (signal >= w->threshold)
            queue(w, w->n_reached - 1);
        return;
    }
    struct charge *c = direct ? &w->reached[*slot - w->base] : find(w, node, slot);
    float before = c->potential;
    c->potential += signal;
    if (before < w->threshold && c->potential >= w->threshold)
        queue(w, (uint32_t)(c - w->reached));
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

/* Sends along edges, up to one that is too faint, which is returned; else `end`. */
static ALWAYS_INLINE const struct graph_arc *send(struct walk *walk, const struct graph_arc *arc,
                                                  const struct graph_arc *end, float sends,
                                                  const struct graph_params *params, bool direct)
{
    struct walk w = *walk;
    float decay = params->decay, floor = params->floor;
    for (; arc < end; arc++) {
        float signal = sends * arc->weight * decay;
        if (signal < floor)
            break;
        charge(&w, arc->to, signal, direct);
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
        make_room(s);
        arc = s->direct ? send(&s->walk, arc, stop, f.sends, params, true)
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

/* Potentials that are given add first. Then the seeds fire in the order of their nodes, and everything after
 * follows from that. */
static void charge_seeds(struct graph_scratch *s, const struct graph_hit *seeds, size_t n)
{
    struct walk *w = &s->walk;
    for (size_t i = 0; i < n; i++) {
        if (seeds[i].node < s->nodes)
            charge(w, seeds[i].node, seeds[i].potential, s->direct);
        w->n_fired = 0;
        make_room(s);
    }
    sort_charges(w->reached, w->n_reached);
    begin_slots(s, s->slots, w->n_reached);
    fill_slots(s);
    for (uint32_t i = 0; i < w->n_reached; i++)
        if (w->reached[i].potential >= w->threshold)
            queue(w, i);
    s->until[0] = w->n_reached;
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
