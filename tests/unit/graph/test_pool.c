/* SPDX-License-Identifier: MIT */
/* Scratches are used again, and replaced when a graph has outgrown them. */
#include "check.h"

#include "graph/pool.h"

static void a_scratch_is_used_again(void **state)
{
    (void)state;
    struct graph_pool p = GRAPH_POOL_INIT;
    struct graph_scratch *first = graph_pool_take(&p, 10), *second = graph_pool_take(&p, 10);
    assert_non_null(first);
    assert_ptr_not_equal(first, second);
    graph_pool_give(&p, first);
    assert_ptr_equal(graph_pool_take(&p, 4), first);
    graph_pool_give(&p, first);
    graph_pool_give(&p, second);
    graph_pool_give(&p, NULL);
    graph_pool_free(&p);
}

static void a_small_scratch_is_replaced(void **state)
{
    (void)state;
    struct graph_pool p = GRAPH_POOL_INIT;
    graph_pool_give(&p, graph_pool_take(&p, 2));
    struct graph_scratch *s = graph_pool_take(&p, 3);
    assert_int_equal(graph_scratch_nodes(s), 3);
    graph_pool_give(&p, s);
    graph_pool_free(&p);
}

static void what_nobody_needs_is_not_kept(void **state)
{
    (void)state;
    struct graph_pool p = GRAPH_POOL_INIT;
    struct graph_scratch *all[GRAPH_POOL_MOST + 5];
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        all[i] = graph_pool_take(&p, 1);
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        graph_pool_give(&p, all[i]);
    assert_int_equal(p.n, GRAPH_POOL_MOST);
    graph_pool_free(&p);
    assert_int_equal(p.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scratch_is_used_again),
        cmocka_unit_test(a_small_scratch_is_replaced),
        cmocka_unit_test(what_nobody_needs_is_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
