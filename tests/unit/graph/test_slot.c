/* SPDX-License-Identifier: MIT */
/* 64 readers walk while graphs are swapped under them: each sees a whole graph, and never an older one after
 * a newer one. Run under the thread sanitizer as well. */
#include "check.h"

#include "graph/graph.h"
#include "graph/pool.h"
#include "graph/slot.h"

#include <stdlib.h>

#define READERS 64
#define SWAPS 200
#define CHAIN 4 /* of the nodes that each graph has beside its number */

/* A graph and what goes with it, as those who keep one do: `number` tells which one it is. */
struct snapshot {
    struct shared shared;
    struct graph *graph;
    uint32_t number;
};

static atomic_int alive;

static void free_snapshot(struct shared *self)
{
    struct snapshot *s = (struct snapshot *)self;
    graph_unref(s->graph);
    free(s);
    atomic_fetch_sub(&alive, 1);
}

/* A star whose number of nodes depends on its number, so that a mixture of two would be seen. */
static struct snapshot *make(uint32_t number)
{
    struct snapshot *s = calloc(1, sizeof *s);
    struct graph_edge edges[64];
    uint32_t nodes = CHAIN + number % 50;
    assert_non_null(s);
    atomic_fetch_add(&alive, 1);
    shared_init(&s->shared, free_snapshot);
    s->number = number;
    for (uint32_t i = 1; i < nodes; i++)
        edges[i - 1] = (struct graph_edge){0, i, 0.9f, 0};
    assert_int_equal(graph_build(nodes, edges, nodes - 1, &s->graph), 0);
    return s;
}

static struct slot slot = SLOT_INIT;
static struct graph_pool pool = GRAPH_POOL_INIT;
static atomic_bool done;
static atomic_int wrong, walks;

static bool walk_is_whole(const struct snapshot *s)
{
    struct graph_hit seed = {.node = 0, .potential = 1}, hits[64];
    struct graph_scratch *scratch = graph_pool_take(&pool, graph_nodes(s->graph));
    size_t n = scratch ? graph_propagate(s->graph, scratch, &seed, 1, NULL, hits, ARRAY_LEN(hits)) : 0;
    graph_pool_give(&pool, scratch);
    return n == CHAIN + s->number % 50;
}

static void *read_on(void *arg)
{
    (void)arg;
    uint32_t newest = 0;
    do {
        struct snapshot *s = (struct snapshot *)slot_take(&slot);
        if (!s || s->number < newest || !walk_is_whole(s))
            atomic_fetch_add(&wrong, 1);
        newest = s ? s->number : newest;
        shared_unref(s ? &s->shared : NULL);
        atomic_fetch_add(&walks, 1);
    } while (!atomic_load(&done));
    return NULL;
}

static void readers_see_whole_graphs_while_they_are_swapped(void **state)
{
    (void)state;
    pthread_t reader[READERS];
    slot_put(&slot, &make(1)->shared);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&reader[i], NULL, read_on, NULL), 0);
    for (uint32_t number = 2; number < SWAPS; number++)
        slot_put(&slot, &make(number)->shared);
    atomic_store(&done, true);
    for (int i = 0; i < READERS; i++)
        pthread_join(reader[i], NULL);
    assert_int_equal(atomic_load(&wrong), 0);
    assert_true(atomic_load(&walks) >= READERS);
    assert_int_equal(atomic_load(&alive), 1); /* what was replaced is gone */
    slot_put(&slot, NULL);
    assert_int_equal(atomic_load(&alive), 0);
    graph_pool_free(&pool);
}

static void a_reader_keeps_what_was_replaced(void **state)
{
    (void)state;
    struct slot own = SLOT_INIT;
    assert_null(slot_take(&own));
    slot_put(&own, &make(7)->shared);
    struct snapshot *old = (struct snapshot *)slot_take(&own);
    slot_put(&own, &make(8)->shared);
    assert_int_equal(old->number, 7);
    assert_int_equal(graph_nodes(old->graph), CHAIN + 7);
    assert_int_equal(atomic_load(&alive), 2);
    shared_unref(&old->shared);
    assert_int_equal(atomic_load(&alive), 1);
    slot_put(&own, NULL);
    assert_null(slot_take(&own));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reader_keeps_what_was_replaced),
        cmocka_unit_test(readers_see_whole_graphs_while_they_are_swapped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
