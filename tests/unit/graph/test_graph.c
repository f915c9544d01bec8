/* SPDX-License-Identifier: MIT */
/* Propagation: the rules one by one, then against a slow and obvious reference on random graphs. */
#include "check.h"

#include "graph/graph.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define NEAR(a, b) assert_true(fabsf((a) - (b)) < 1e-5f)

struct walk {
    struct graph *g;
    struct graph_scratch *s;
    struct graph_hit hit[64];
    size_t n;
};

static struct walk walk_from(uint32_t nodes, const struct graph_edge *edges, size_t n,
                             const struct graph_hit *seeds, size_t n_seeds)
{
    struct walk w = {.s = graph_scratch_new(nodes)};
    assert_non_null(w.s);
    assert_int_equal(graph_build(nodes, edges, n, &w.g), 0);
    w.n = graph_propagate(w.g, w.s, seeds, n_seeds, NULL, w.hit, ARRAY_LEN(w.hit));
    return w;
}

static void end_walk(struct walk *w)
{
    graph_unref(w->g);
    graph_scratch_free(w->s);
}

static const struct graph_hit *hit_on(const struct walk *w, uint32_t node)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->hit[i].node == node)
            return &w->hit[i];
    return NULL;
}

static const struct graph_hit from_zero[] = {{.node = 0, .potential = 1}};

static void a_signal_is_weighed_and_decays(void **state)
{
    (void)state;
    const struct graph_edge edges[] = {{0, 1, 0.9f, 0}, {1, 2, 0.9f, 0}};
    struct walk w = walk_from(3, edges, 2, from_zero, 1);
    assert_int_equal(w.n, 3);
    NEAR(w.hit[0].potential, 1.0f);
    NEAR(hit_on(&w, 1)->potential, 0.765f);
    NEAR(hit_on(&w, 2)->potential, 0.765f * 0.765f);
    assert_int_equal(hit_on(&w, 0)->hops, 0);
    assert_int_equal(hit_on(&w, 1)->hops, 1);
    assert_int_equal(hit_on(&w, 2)->hops, 2);
    end_walk(&w);
}

static void several_paths_add(void **state)
{
    (void)state;
    const struct graph_edge edges[] = {{0, 1, 1, 0}, {0, 2, 1, 0}, {1, 3, 0.5f, 0}, {2, 3, 0.4f, 0}};
    struct walk w = walk_from(4, edges, 4, from_zero, 1);
    NEAR(hit_on(&w, 3)->potential, 0.85f * 0.85f * 0.9f);
    end_walk(&w);
}

static void a_weak_node_does_not_fire(void **state)
{
    (void)state;
    const struct graph_edge weak[] = {{0, 1, 0.588f, 0}, {1, 2, 1, 0}},
                            strong[] = {{0, 1, 0.589f, 0}, {1, 2, 1, 0}};
    struct walk w = walk_from(3, weak, 2, from_zero, 1);
    assert_null(hit_on(&w, 2)); /* 0.4998 */
    end_walk(&w);
    w = walk_from(3, strong, 2, from_zero, 1);
    assert_non_null(hit_on(&w, 2)); /* 0.50065 */
    end_walk(&w);
}

static void a_node_fires_once(void **state)
{
    (void)state;
    /* 0 and 1 excite each other for ever if they may fire again. */
    const struct graph_edge edges[] = {{0, 1, 1, 0}, {1, 0, 1, 0}, {0, 2, 0.1f, 0}};
    struct walk w = walk_from(3, edges, 3, from_zero, 1);
    NEAR(hit_on(&w, 0)->potential, 1 + 0.85f * 0.85f);
    NEAR(hit_on(&w, 1)->potential, 0.85f);
    NEAR(hit_on(&w, 2)->potential, 0.085f);
    end_walk(&w);
}

static void signals_go_three_hops(void **state)
{
    (void)state;
    const struct graph_edge edges[] = {{0, 1, 1, 0}, {1, 2, 1, 0}, {2, 3, 1, 0}, {3, 4, 1, 0}};
    struct walk w = walk_from(5, edges, 4, from_zero, 1);
    NEAR(hit_on(&w, 3)->potential, 0.85f * 0.85f * 0.85f);
    assert_int_equal(hit_on(&w, 3)->hops, 3);
    assert_null(hit_on(&w, 4));
    end_walk(&w);
}

static void faint_signals_are_dropped(void **state)
{
    (void)state;
    const struct graph_edge edges[] = {{0, 1, 0.0235f, 0}, {0, 2, 0.0236f, 0}};
    struct walk w = walk_from(3, edges, 2, from_zero, 1);
    assert_null(hit_on(&w, 1)); /* 0.019975 */
    assert_non_null(hit_on(&w, 2));
    end_walk(&w);
}

static void the_order_within_a_hop_does_not_matter(void **state)
{
    (void)state;
    /* 0 and 1 fire in the same hop; what 0 sends to 1 must not be in what 1 sends. */
    const struct graph_edge edges[] = {{0, 1, 0.5f, 0}, {1, 2, 1, 0}};
    const struct graph_hit seeds[] = {{.node = 1, .potential = 1}, {.node = 0, .potential = 1}};
    struct walk w = walk_from(3, edges, 2, seeds, 2);
    NEAR(hit_on(&w, 2)->potential, 0.85f);
    NEAR(hit_on(&w, 1)->potential, 1.425f);
    end_walk(&w);
}

static void seeds_add_and_strangers_are_ignored(void **state)
{
    (void)state;
    const struct graph_edge edges[] = {{0, 1, 1, 0}};
    const struct graph_hit seeds[] = {
        {.node = 0, .potential = 0.3f}, {.node = 7, .potential = 1}, {.node = 0, .potential = 0.3f}};
    struct walk w = walk_from(2, edges, 1, seeds, 3);
    assert_int_equal(w.n, 2);
    NEAR(hit_on(&w, 0)->potential, 0.6f);
    NEAR(hit_on(&w, 1)->potential, 0.6f * 0.85f);
    end_walk(&w);
}

static void only_the_strongest_are_given(void **state)
{
    (void)state;
    struct graph_edge edges[40];
    for (uint32_t i = 0; i < 40; i++)
        edges[i] = (struct graph_edge){0, i + 1, 0.1f + 0.01f * (float)(i % 20), 0};
    struct graph *g = NULL;
    struct graph_scratch *s = graph_scratch_new(41);
    assert_int_equal(graph_build(41, edges, 40, &g), 0);
    struct graph_hit few[5], all[41];
    size_t n = graph_propagate(g, s, from_zero, 1, NULL, few, 5);
    assert_int_equal(n, 5);
    assert_int_equal(graph_propagate(g, s, from_zero, 1, NULL, all, 41), 41);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(few[i].node, all[i].node);
    assert_int_equal(all[1].node, 20); /* ties in the order of index */
    assert_int_equal(all[2].node, 40);
    assert_int_equal(graph_propagate(g, s, from_zero, 1, NULL, few, 0), 0);
    graph_unref(g);
    graph_scratch_free(s);
}

static void a_walk_tells_what_it_did(void **state)
{
    (void)state;
    /* 0 fires, then 1; 2 stays under the threshold, so its edge is not touched; the last of 0's is too faint.
     */
    const struct graph_edge edges[] = {
        {0, 1, 0.9f, 0}, {0, 2, 0.3f, 0}, {0, 3, 0.01f, 0}, {1, 3, 0.5f, 0}, {2, 4, 1, 0}};
    struct walk w = walk_from(5, edges, ARRAY_LEN(edges), from_zero, 1);
    struct graph_stats stats = graph_scratch_stats(w.s);
    assert_int_equal(stats.reached, 4);
    assert_int_equal(stats.fired, 2);
    assert_int_equal(stats.edges, 3);
    assert_true(hit_on(&w, 1)->fired);
    assert_false(hit_on(&w, 2)->fired);
    end_walk(&w);
}

static void parameters_change_the_walk(void **state)
{
    (void)state;
    const struct graph_edge edges[] = {{0, 1, 1, 0}, {1, 2, 1, 0}};
    struct graph_params params = GRAPH_PARAMS_DEFAULT;
    struct walk w = walk_from(3, edges, 2, from_zero, 1);
    params.decay = 0.5f;
    assert_int_equal(graph_propagate(w.g, w.s, from_zero, 1, &params, w.hit, 64), 3);
    NEAR(hit_on(&w, 2)->potential, 0.25f); /* 0.5 is just enough to fire */
    params.threshold = 0.6f;
    assert_int_equal(graph_propagate(w.g, w.s, from_zero, 1, &params, w.hit, 64), 2);
    params.max_hops = 0;
    assert_int_equal(graph_propagate(w.g, w.s, from_zero, 1, &params, w.hit, 64), 1);
    end_walk(&w);
}

static void neighbours_come_heaviest_first(void **state)
{
    (void)state;
    const struct graph_edge edges[] = {{1, 0, 0.2f, 4}, {0, 2, 0.5f, 1}, {0, 1, 0.9f, 2}, {0, 0, 0.5f, 3}};
    struct graph *g = NULL;
    assert_int_equal(graph_build(3, edges, ARRAY_LEN(edges), &g), 0);
    struct graph_neighbours near = graph_neighbours(g, 0);
    assert_int_equal(near.n, 3);
    assert_int_equal(near.arc[0].to, 1);
    assert_int_equal(near.kind[0], 2);
    assert_int_equal(near.arc[1].to, 0);
    assert_int_equal(near.arc[2].to, 2);
    assert_int_equal(near.kind[2], 1);
    assert_int_equal(graph_neighbours(g, 2).n, 0);
    assert_int_equal(graph_neighbours(g, 3).n, 0);
    assert_int_equal(graph_edges(g), 4);
    graph_unref(graph_ref(g));
    graph_unref(g);
}

static void the_order_of_edges_and_seeds_does_not_matter(void **state)
{
    (void)state;
    uint64_t random = 99;
    struct graph_edge edges[300];
    struct graph_hit seeds[8];
    for (size_t e = 0; e < ARRAY_LEN(edges); e++)
        edges[e] = (struct graph_edge){random_below(&random, 40), random_below(&random, 40),
                                       (float)random_below(&random, 1001) / 1000, 0};
    for (uint32_t i = 0; i < 8; i++)
        seeds[i] = (struct graph_hit){.node = i * 5, .potential = 1 - 0.05f * (float)i};
    struct walk first = walk_from(40, edges, ARRAY_LEN(edges), seeds, 8);
    for (int round = 0; round < 50; round++) {
        for (size_t e = ARRAY_LEN(edges) - 1; e > 0; e--) {
            size_t other = random_below(&random, (uint32_t)e + 1);
            struct graph_edge edge = edges[e];
            edges[e] = edges[other];
            edges[other] = edge;
        }
        struct graph_hit seed = seeds[0];
        memmove(seeds, seeds + 1, 7 * sizeof *seeds);
        seeds[7] = seed;
        struct walk again = walk_from(40, edges, ARRAY_LEN(edges), seeds, 8);
        assert_int_equal(again.n, first.n);
        for (size_t i = 0; i < first.n; i++) {
            assert_int_equal(again.hit[i].node, first.hit[i].node);
            assert_true(again.hit[i].potential == first.hit[i].potential); /* to the last bit */
        }
        end_walk(&again);
    }
    end_walk(&first);
}

static void impossible_graphs_are_refused(void **state)
{
    (void)state;
    const struct graph_edge edges[] = {{0, 3, 1, 0}};
    struct graph *g = NULL;
    assert_int_equal(graph_build(3, edges, 1, &g), -EINVAL);
    const float weights[] = {-0.1f, NAN, INFINITY};
    for (size_t i = 0; i < ARRAY_LEN(weights); i++) {
        const struct graph_edge odd[] = {{0, 1, weights[i], 0}};
        assert_int_equal(graph_build(3, odd, 1, &g), -EINVAL);
    }
    assert_null(g);
    assert_int_equal(graph_build(0, NULL, 0, &g), 0);
    struct graph_scratch *s = graph_scratch_new(0);
    struct graph_hit hit;
    assert_int_equal(graph_propagate(g, s, from_zero, 1, NULL, &hit, 1), 0);
    graph_unref(g);
    graph_scratch_free(s);
    const struct graph_edge fine[] = {{0, 1, 1, 0}};
    assert_int_equal(graph_build(2, fine, 1, &g), 0);
    s = graph_scratch_new(1);
    assert_int_equal(graph_propagate(g, s, from_zero, 1, NULL, &hit, 1), 0); /* scratch too small */
    graph_unref(g);
    graph_scratch_free(s);
}

/* --- the reference: every edge is looked at in every hop ---------------------------------------------- */

#define MOST_NODES 60
#define MOST_EDGES 400

/* Potentials in double precision. Where one of them, or a signal, lies so close to its border that the
 * engine's floats may fall on the other side, the round says nothing. */
struct reference {
    double potential[MOST_NODES];
    bool reached[MOST_NODES], fired[MOST_NODES];
    int hops[MOST_NODES];
    bool close;
};

static bool passes(struct reference *r, double value, double border)
{
    r->close |= fabs(value - border) < 1e-5;
    return value >= border;
}

static void reference_hop(uint32_t nodes, const struct graph_edge *edges, size_t n, int hop,
                          struct reference *r)
{
    double before[MOST_NODES];
    bool fires[MOST_NODES];
    for (uint32_t v = 0; v < nodes; v++) {
        before[v] = r->potential[v];
        fires[v] = r->reached[v] && !r->fired[v] && passes(r, before[v], 0.5);
    }
    for (size_t e = 0; e < n; e++) {
        double signal = before[edges[e].from] * (double)edges[e].weight * 0.85;
        if (!fires[edges[e].from] || !passes(r, signal, 0.02))
            continue;
        if (!r->reached[edges[e].to])
            r->hops[edges[e].to] = hop;
        r->reached[edges[e].to] = true;
        r->potential[edges[e].to] += signal;
    }
    for (uint32_t v = 0; v < nodes; v++)
        r->fired[v] |= fires[v];
}

static void reference_walk(uint32_t nodes, const struct graph_edge *edges, size_t n,
                           const struct graph_hit *seeds, size_t n_seeds, struct reference *r)
{
    *r = (struct reference){0};
    for (size_t i = 0; i < n_seeds; i++) {
        r->potential[seeds[i].node] += (double)seeds[i].potential;
        r->reached[seeds[i].node] = true;
    }
    for (int hop = 1; hop <= 3; hop++)
        reference_hop(nodes, edges, n, hop, r);
    for (uint32_t v = 0; v < nodes; v++) /* those that the last hop charged */
        r->fired[v] |= r->reached[v] && passes(r, r->potential[v], 0.5);
}

static void compare_walks(const struct graph_hit *hits, size_t n, const struct reference *r, uint32_t nodes)
{
    size_t reached = 0;
    for (uint32_t v = 0; v < nodes; v++)
        reached += r->reached[v];
    assert_int_equal(n, reached);
    for (size_t i = 0; i < n; i++) {
        assert_true(r->reached[hits[i].node]);
        double potential = r->potential[hits[i].node];
        assert_true(fabs((double)hits[i].potential - potential) < 1e-5 * (1 + potential));
        assert_int_equal(hits[i].hops, r->hops[hits[i].node]);
        assert_int_equal(hits[i].fired, r->fired[hits[i].node]);
        if (i > 0)
            assert_true(hits[i - 1].potential >= hits[i].potential);
    }
}

static float random_share(uint64_t *random)
{
    return (float)random_below(random, 1000001) / 1000000;
}

static void random_graphs_agree_with_the_reference(void **state)
{
    (void)state;
    uint64_t random = 0x1234567;
    int compared = 0;
    struct graph_scratch *s = graph_scratch_new(MOST_NODES); /* one for all walks: nothing may stay behind */
    for (int round = 0; round < 2000; round++) {
        uint32_t nodes = 1 + random_below(&random, MOST_NODES);
        size_t n = random_below(&random, MOST_EDGES), n_seeds = 1 + random_below(&random, 6);
        struct graph_edge edges[MOST_EDGES];
        struct graph_hit seeds[6], hits[MOST_NODES];
        for (size_t e = 0; e < n; e++)
            edges[e] = (struct graph_edge){random_below(&random, nodes), random_below(&random, nodes),
                                           random_share(&random), 0};
        for (size_t i = 0; i < n_seeds; i++)
            seeds[i] =
                (struct graph_hit){.node = random_below(&random, nodes), .potential = random_share(&random)};
        struct graph *g = NULL;
        struct reference r;
        assert_int_equal(graph_build(nodes, edges, n, &g), 0);
        size_t n_hits = graph_propagate(g, s, seeds, n_seeds, NULL, hits, MOST_NODES);
        reference_walk(nodes, edges, n, seeds, n_seeds, &r);
        if (!r.close)
            compare_walks(hits, n_hits, &r, nodes);
        compared += !r.close;
        graph_unref(g);
    }
    assert_true(compared > 1900);
    graph_scratch_free(s);
}

/* --- large graphs: the same rules where nodes share a place ----------------------------------------------
 */

#define SPREAD_NODES 120
#define SPREAD_EDGES 900
#define DENSE_EDGES 60000 /* so many that a walk gives each node a place of its own */
#define LARGE_NODES (1u << 22)

static void assert_same_hits(const struct graph_hit *small, const struct graph_hit *large, size_t n,
                             const uint32_t *place)
{
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(large[i].node, place[small[i].node]);
        assert_true(large[i].potential == small[i].potential); /* to the last bit */
        assert_int_equal(large[i].hops, small[i].hops);
        assert_int_equal(large[i].fired, small[i].fired);
    }
}

/* A random graph, and the same one whose nodes lie at `place` (rising) among those of a large one. */
static void make_both(uint64_t *random, const uint32_t *place, size_t n_edges, struct graph *ret[2])
{
    _cleanup_free_ struct graph_edge *small = calloc(n_edges, sizeof *small),
                                     *large = calloc(n_edges, sizeof *large);
    assert_true(small && large);
    for (size_t e = 0; e < n_edges; e++) {
        small[e] = (struct graph_edge){random_below(random, SPREAD_NODES), random_below(random, SPREAD_NODES),
                                       random_share(random), 0};
        large[e] = (struct graph_edge){place[small[e].from], place[small[e].to], small[e].weight, 0};
    }
    assert_int_equal(graph_build(SPREAD_NODES, small, n_edges, &ret[0]), 0);
    assert_int_equal(graph_build(LARGE_NODES, large, n_edges, &ret[1]), 0);
}

static void walk_both(uint64_t *random, const uint32_t *place, size_t n_edges, struct graph_scratch *s)
{
    struct graph_hit seed[2][8], hits[2][SPREAD_NODES];
    struct graph *g[2] = {NULL, NULL};
    make_both(random, place, n_edges, g);
    for (int walk = 0; walk < 20; walk++) {
        for (size_t i = 0; i < 8; i++) {
            seed[0][i] = (struct graph_hit){.node = random_below(random, SPREAD_NODES),
                                            .potential = random_share(random)};
            seed[1][i] = seed[0][i];
            seed[1][i].node = place[seed[0][i].node];
        }
        size_t most = walk % 2 ? SPREAD_NODES : 10, n[2];
        for (int i = 0; i < 2; i++)
            n[i] = graph_propagate(g[i], s, seed[i], 8, NULL, hits[i], most);
        assert_int_equal(n[0], n[1]);
        assert_same_hits(hits[0], hits[1], n[0], place);
    }
    graph_unref(g[0]);
    graph_unref(g[1]);
}

static void a_large_graph_gives_what_a_small_one_gives(void **state)
{
    (void)state;
    uint64_t random = 4711;
    uint32_t place[SPREAD_NODES];
    struct graph_scratch *s = graph_scratch_new(LARGE_NODES);
    assert_non_null(s);
    for (uint32_t i = 0; i < SPREAD_NODES; i++)
        place[i] = LARGE_NODES / SPREAD_NODES * i + random_below(&random, LARGE_NODES / SPREAD_NODES);
    walk_both(&random, place, SPREAD_EDGES, s);
    walk_both(&random, place, DENSE_EDGES, s);
    for (uint32_t i = 0; i < SPREAD_NODES; i++) /* side by side, the last of all among them */
        place[i] = LARGE_NODES - SPREAD_NODES + i;
    walk_both(&random, place, SPREAD_EDGES, s);
    walk_both(&random, place, DENSE_EDGES, s);
    graph_scratch_free(s);
}

#define MIDDLES 1000
#define LEAVES_EACH 100
#define LEAVES (MIDDLES * LEAVES_EACH)
#define TREE_NODES 300000

/* 0 leads to the middles, and each of them to leaves, half of which it shares with the next. */
static struct graph *make_tree(void)
{
    size_t n = 0;
    struct graph_edge *edges = calloc(MIDDLES + LEAVES * 2, sizeof *edges);
    assert_non_null(edges);
    for (uint32_t m = 0; m < MIDDLES; m++) {
        edges[n++] = (struct graph_edge){0, 1 + m, 1, 0};
        for (uint32_t k = 0; k < 2 * LEAVES_EACH; k++) {
            uint32_t leaf = (m * LEAVES_EACH + k) % LEAVES;
            edges[n++] = (struct graph_edge){1 + m, TREE_NODES - 1 - leaf * 2, 0.5f, 0};
        }
    }
    struct graph *g = NULL;
    assert_int_equal(graph_build(TREE_NODES, edges, n, &g), 0);
    free(edges);
    return g;
}

static void assert_each_once(const struct graph_hit *hits, size_t n, uint32_t nodes)
{
    _cleanup_free_ bool *seen = calloc(nodes, sizeof *seen);
    assert_non_null(seen);
    for (size_t i = 0; i < n; i++) {
        assert_true(hits[i].node < nodes);
        assert_false(seen[hits[i].node]);
        seen[hits[i].node] = true;
    }
}

static void a_hop_may_reach_many(void **state)
{
    (void)state;
    struct graph *g = make_tree();
    struct graph_scratch *s = graph_scratch_new(TREE_NODES);
    struct graph_hit *hits = calloc(TREE_NODES, sizeof *hits);
    assert_true(s && hits);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(graph_propagate(g, s, from_zero, 1, NULL, hits, TREE_NODES), 1 + MIDDLES + LEAVES);
        assert_int_equal(graph_scratch_stats(s).edges, MIDDLES + 2 * LEAVES);
        assert_int_equal(graph_scratch_stats(s).fired, 1 + MIDDLES + LEAVES);
        assert_each_once(hits, 1 + MIDDLES + LEAVES, TREE_NODES);
        for (size_t i = 1 + MIDDLES; i < 1 + MIDDLES + LEAVES; i++) {
            NEAR(hits[i].potential, 0.85f * 0.85f);
            assert_int_equal(hits[i].hops, 2);
        }
        const struct graph_hit leaf = {.node = TREE_NODES - 1, .potential = 1}; /* that leads nowhere */
        assert_int_equal(graph_propagate(g, s, &leaf, 1, NULL, hits, TREE_NODES), 1);
    }
    free(hits);
    graph_scratch_free(s);
    graph_unref(g);
}

#define HUB_NODES 200000

/* Each node of a large graph, twice, by one row of edges; and each as a seed. */
static void a_walk_may_reach_all(void **state)
{
    (void)state;
    struct graph *g = NULL;
    struct graph_edge *edges = calloc(2 * HUB_NODES, sizeof *edges);
    struct graph_hit *seeds = calloc(HUB_NODES, sizeof *seeds), *hits = calloc(HUB_NODES, sizeof *hits);
    struct graph_scratch *s = graph_scratch_new(HUB_NODES);
    assert_true(edges && seeds && hits && s);
    for (uint32_t i = 0; i < 2 * HUB_NODES; i++)
        edges[i] = (struct graph_edge){7, i % HUB_NODES, 0.25f, 0};
    for (uint32_t i = 0; i < HUB_NODES; i++)
        seeds[i] = (struct graph_hit){.node = HUB_NODES - 1 - i, .potential = 0.125f};
    assert_int_equal(graph_build(HUB_NODES, edges, 2 * HUB_NODES, &g), 0);
    const struct graph_hit hub = {.node = 7, .potential = 1}, other = {.node = 8, .potential = 1};
    for (int round = 0; round < 3; round++) {
        assert_int_equal(graph_propagate(g, s, &hub, 1, NULL, hits, HUB_NODES), HUB_NODES);
        assert_each_once(hits, HUB_NODES, HUB_NODES);
        NEAR(hits[0].potential, 1.425f);
        for (size_t i = 1; i < HUB_NODES; i++)
            NEAR(hits[i].potential, 0.425f);
        assert_int_equal(graph_propagate(g, s, &other, 1, NULL, hits, HUB_NODES), 1);
        assert_int_equal(graph_propagate(g, s, seeds, HUB_NODES, NULL, hits, HUB_NODES), HUB_NODES);
        assert_int_equal(graph_scratch_stats(s).fired, 0);
        for (uint32_t i = 0; i < HUB_NODES; i++)
            assert_true(hits[i].node == i && hits[i].potential == 0.125f && hits[i].hops == 0);
    }
    free(edges);
    free(seeds);
    free(hits);
    graph_scratch_free(s);
    graph_unref(g);
}

static void seeds_add_before_they_fire(void **state)
{
    (void)state;
    const struct graph_edge edges[] = {{0, 1, 1, 0}};
    const float given[][2] = {{0.75f, -0.5f}, {-0.5f, 0.75f}};
    for (size_t i = 0; i < 2; i++) {
        const struct graph_hit seeds[] = {
            {.node = 0, .potential = given[i][0]}, {.node = 0, .potential = given[i][1]}, {.node = 2}};
        struct walk w = walk_from(3, edges, 1, seeds, 3);
        assert_int_equal(w.n, 2);
        assert_true(w.hit[0].potential == 0.25f && w.hit[1].potential == 0);
        assert_false(w.hit[0].fired || w.hit[1].fired);
        end_walk(&w);
    }
}

/* More seeds than nodes, each of which comes to the threshold again and again. */
static void seeds_may_be_many(void **state)
{
    (void)state;
    const struct graph_edge edges[] = {{0, 1, 1, 0}};
    struct graph_hit seeds[100];
    for (size_t i = 0; i < 100; i++)
        seeds[i] = (struct graph_hit){.node = 0, .potential = i % 2 ? -1 : 1};
    struct walk w = walk_from(2, edges, 1, seeds, 99);
    assert_int_equal(w.n, 2);
    assert_int_equal(graph_scratch_stats(w.s).fired, 2);
    assert_true(w.hit[0].potential == 1);
    end_walk(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signal_is_weighed_and_decays),
        cmocka_unit_test(several_paths_add),
        cmocka_unit_test(a_weak_node_does_not_fire),
        cmocka_unit_test(a_node_fires_once),
        cmocka_unit_test(signals_go_three_hops),
        cmocka_unit_test(faint_signals_are_dropped),
        cmocka_unit_test(the_order_within_a_hop_does_not_matter),
        cmocka_unit_test(seeds_add_and_strangers_are_ignored),
        cmocka_unit_test(only_the_strongest_are_given),
        cmocka_unit_test(a_walk_tells_what_it_did),
        cmocka_unit_test(parameters_change_the_walk),
        cmocka_unit_test(neighbours_come_heaviest_first),
        cmocka_unit_test(the_order_of_edges_and_seeds_does_not_matter),
        cmocka_unit_test(impossible_graphs_are_refused),
        cmocka_unit_test(random_graphs_agree_with_the_reference),
        cmocka_unit_test(a_large_graph_gives_what_a_small_one_gives),
        cmocka_unit_test(a_hop_may_reach_many),
        cmocka_unit_test(a_walk_may_reach_all),
        cmocka_unit_test(seeds_add_before_they_fire),
        cmocka_unit_test(seeds_may_be_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
