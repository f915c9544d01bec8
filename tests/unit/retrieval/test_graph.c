/* SPDX-License-Identifier: MIT */
/* Propagation: the rules one by one, then against a slow and obvious reference on random graphs. */
#include "check.h"

#include "retrieval/graph.h"

#include <errno.h>
#include <math.h>

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
    w.n = graph_propagate(w.g, w.s, seeds, n_seeds, w.hit, ARRAY_LEN(w.hit));
    return w;
}

static void end_walk(struct walk *w)
{
    graph_free(w->g);
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
    const struct graph_edge edges[] = {{0, 1, 0.9f}, {1, 2, 0.9f}};
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
    const struct graph_edge edges[] = {{0, 1, 1}, {0, 2, 1}, {1, 3, 0.5f}, {2, 3, 0.4f}};
    struct walk w = walk_from(4, edges, 4, from_zero, 1);
    NEAR(hit_on(&w, 3)->potential, 0.85f * 0.85f * 0.9f);
    end_walk(&w);
}

static void a_weak_node_does_not_fire(void **state)
{
    (void)state;
    const struct graph_edge weak[] = {{0, 1, 0.588f}, {1, 2, 1}}, strong[] = {{0, 1, 0.589f}, {1, 2, 1}};
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
    const struct graph_edge edges[] = {{0, 1, 1}, {1, 0, 1}, {0, 2, 0.1f}};
    struct walk w = walk_from(3, edges, 3, from_zero, 1);
    NEAR(hit_on(&w, 0)->potential, 1 + 0.85f * 0.85f);
    NEAR(hit_on(&w, 1)->potential, 0.85f);
    NEAR(hit_on(&w, 2)->potential, 0.085f);
    end_walk(&w);
}

static void signals_go_three_hops(void **state)
{
    (void)state;
    const struct graph_edge edges[] = {{0, 1, 1}, {1, 2, 1}, {2, 3, 1}, {3, 4, 1}};
    struct walk w = walk_from(5, edges, 4, from_zero, 1);
    NEAR(hit_on(&w, 3)->potential, 0.85f * 0.85f * 0.85f);
    assert_int_equal(hit_on(&w, 3)->hops, 3);
    assert_null(hit_on(&w, 4));
    end_walk(&w);
}

static void faint_signals_are_dropped(void **state)
{
    (void)state;
    const struct graph_edge edges[] = {{0, 1, 0.0235f}, {0, 2, 0.0236f}};
    struct walk w = walk_from(3, edges, 2, from_zero, 1);
    assert_null(hit_on(&w, 1)); /* 0.019975 */
    assert_non_null(hit_on(&w, 2));
    end_walk(&w);
}

static void the_order_within_a_hop_does_not_matter(void **state)
{
    (void)state;
    /* 0 and 1 fire in the same hop; what 0 sends to 1 must not be in what 1 sends. */
    const struct graph_edge edges[] = {{0, 1, 0.5f}, {1, 2, 1}};
    const struct graph_hit seeds[] = {{.node = 1, .potential = 1}, {.node = 0, .potential = 1}};
    struct walk w = walk_from(3, edges, 2, seeds, 2);
    NEAR(hit_on(&w, 2)->potential, 0.85f);
    NEAR(hit_on(&w, 1)->potential, 1.425f);
    end_walk(&w);
}

static void seeds_add_and_strangers_are_ignored(void **state)
{
    (void)state;
    const struct graph_edge edges[] = {{0, 1, 1}};
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
        edges[i] = (struct graph_edge){0, i + 1, 0.1f + 0.01f * (float)(i % 20)};
    struct graph *g = NULL;
    struct graph_scratch *s = graph_scratch_new(41);
    assert_int_equal(graph_build(41, edges, 40, &g), 0);
    struct graph_hit few[5], all[41];
    size_t n = graph_propagate(g, s, from_zero, 1, few, 5);
    assert_int_equal(n, 5);
    assert_int_equal(graph_propagate(g, s, from_zero, 1, all, 41), 41);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(few[i].node, all[i].node);
    assert_int_equal(all[1].node, 20); /* ties in the order of index */
    assert_int_equal(all[2].node, 40);
    assert_int_equal(graph_propagate(g, s, from_zero, 1, few, 0), 0);
    graph_free(g);
    graph_scratch_free(s);
}

static void impossible_graphs_are_refused(void **state)
{
    (void)state;
    const struct graph_edge edges[] = {{0, 3, 1}};
    struct graph *g = NULL;
    assert_int_equal(graph_build(3, edges, 1, &g), -EINVAL);
    assert_null(g);
    assert_int_equal(graph_build(0, NULL, 0, &g), 0);
    struct graph_scratch *s = graph_scratch_new(0);
    struct graph_hit hit;
    assert_int_equal(graph_propagate(g, s, from_zero, 1, &hit, 1), 0);
    graph_free(g);
    graph_scratch_free(s);
    const struct graph_edge fine[] = {{0, 1, 1}};
    assert_int_equal(graph_build(2, fine, 1, &g), 0);
    s = graph_scratch_new(1);
    assert_int_equal(graph_propagate(g, s, from_zero, 1, &hit, 1), 0); /* scratch too small */
    graph_free(g);
    graph_scratch_free(s);
}

/* --- the reference: every edge is looked at in every hop ---------------------------------------------- */

#define MOST_NODES 60
#define MOST_EDGES 400

struct reference {
    float potential[MOST_NODES];
    bool reached[MOST_NODES], fired[MOST_NODES];
    int hops[MOST_NODES];
};

static void reference_walk(uint32_t nodes, const struct graph_edge *edges, size_t n,
                           const struct graph_hit *seeds, size_t n_seeds, struct reference *r)
{
    *r = (struct reference){0};
    for (size_t i = 0; i < n_seeds; i++) {
        r->potential[seeds[i].node] += seeds[i].potential;
        r->reached[seeds[i].node] = true;
    }
    for (int hop = 1; hop <= 3; hop++) {
        float before[MOST_NODES];
        bool fires[MOST_NODES];
        for (uint32_t v = 0; v < nodes; v++) {
            before[v] = r->potential[v];
            fires[v] = !r->fired[v] && before[v] >= 0.5f;
        }
        for (uint32_t v = 0; v < nodes; v++)
            for (size_t e = 0; e < n; e++) {
                float signal = before[v] * edges[e].weight * 0.85f;
                if (!fires[v] || edges[e].from != v || signal < 0.02f)
                    continue;
                if (!r->reached[edges[e].to])
                    r->hops[edges[e].to] = hop;
                r->reached[edges[e].to] = true;
                r->potential[edges[e].to] += signal;
            }
        for (uint32_t v = 0; v < nodes; v++)
            r->fired[v] |= fires[v];
    }
}

static void compare_walks(const struct graph_hit *hits, size_t n, const struct reference *r, uint32_t nodes)
{
    size_t reached = 0;
    for (uint32_t v = 0; v < nodes; v++)
        reached += r->reached[v];
    assert_int_equal(n, reached);
    for (size_t i = 0; i < n; i++) {
        assert_true(r->reached[hits[i].node]);
        NEAR(hits[i].potential, r->potential[hits[i].node]);
        assert_int_equal(hits[i].hops, r->hops[hits[i].node]);
        if (i > 0)
            assert_true(hits[i - 1].potential >= hits[i].potential);
    }
}

static void random_graphs_agree_with_the_reference(void **state)
{
    (void)state;
    uint64_t random = 0x1234567;
    struct graph_scratch *s = graph_scratch_new(MOST_NODES); /* one for all walks: nothing may stay behind */
    for (int round = 0; round < 2000; round++) {
        uint32_t nodes = 1 + random_below(&random, MOST_NODES);
        size_t n = random_below(&random, MOST_EDGES), n_seeds = 1 + random_below(&random, 6);
        struct graph_edge edges[MOST_EDGES];
        struct graph_hit seeds[6], hits[MOST_NODES];
        for (size_t e = 0; e < n; e++)
            edges[e] = (struct graph_edge){random_below(&random, nodes), random_below(&random, nodes),
                                           (float)random_below(&random, 1001) / 1000};
        for (size_t i = 0; i < n_seeds; i++)
            seeds[i] = (struct graph_hit){.node = random_below(&random, nodes),
                                          .potential = (float)random_below(&random, 101) / 100};
        struct graph *g = NULL;
        struct reference r;
        assert_int_equal(graph_build(nodes, edges, n, &g), 0);
        size_t n_hits = graph_propagate(g, s, seeds, n_seeds, hits, MOST_NODES);
        reference_walk(nodes, edges, n, seeds, n_seeds, &r);
        compare_walks(hits, n_hits, &r, nodes);
        graph_free(g);
    }
    graph_scratch_free(s);
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
        cmocka_unit_test(impossible_graphs_are_refused),
        cmocka_unit_test(random_graphs_agree_with_the_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
