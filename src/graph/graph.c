/* SPDX-License-Identifier: MIT */
/* Building a graph, and looking at it. It is three arrays: where a node's edges begin, target and weight of
 * each edge, kinds. A node's edges are sorted by falling weight, so that a walk stops at the first that is
 * too faint, and sums don't depend on the order of rows in a store. */
#include "graph/csr.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>

#define LARGE ((size_t)4 << 20)      /* bytes from which memory is asked for in large pages … */
#define LARGE_PAGE ((size_t)2 << 20) /* … of this size */

/* Zeroed memory, to be freed. Where a walk goes through a lot of it at random, large pages save a miss of the
 * address cache each time; the kernel may or may not have some. */
void *graph_alloc(size_t n, size_t size)
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
    g->first = graph_alloc((size_t)nodes + 1, sizeof *g->first);
    g->arc = graph_alloc(n, sizeof *g->arc);
    g->kind = graph_alloc(n, sizeof *g->kind);
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
