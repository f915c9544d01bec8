/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "retrieval/ranking.h"

#include <math.h>

#define NEAR(a, b) assert_true(fabs((double)(a) - (b)) < 1e-7)

static void offer(struct ranking *r, uint32_t node, float score)
{
    ranking_offer(r, (struct ranked){.node = node, .unit = node * 10, .score = score});
}

static void the_best_stay_in_order(void **state)
{
    (void)state;
    struct ranking r;
    ranking_begin(&r, 3);
    offer(&r, 5, 1);
    offer(&r, 2, 3);
    offer(&r, 9, 2);
    offer(&r, 7, 2);
    offer(&r, 1, 0.5f);
    assert_int_equal(r.n, 3);
    assert_int_equal(r.item[0].node, 2);
    assert_int_equal(r.item[1].node, 7); /* a tie goes to the lower number */
    assert_int_equal(r.item[2].node, 9);
    assert_null(ranking_find(&r, 5));
}

static void a_node_stands_once_with_its_best_score(void **state)
{
    (void)state;
    struct ranking r;
    ranking_begin(&r, 4);
    offer(&r, 1, 1);
    offer(&r, 2, 2);
    offer(&r, 1, 3);
    offer(&r, 1, 0.5f);
    assert_int_equal(r.n, 2);
    assert_int_equal(r.item[0].node, 1);
    NEAR(r.item[0].score, 3);
    ranking_begin(&r, 0);
    offer(&r, 1, 1);
    assert_int_equal(r.n, 0);
}

static void any_order_of_offers_gives_the_same(void **state)
{
    (void)state;
    uint64_t random = 99;
    for (int round = 0; round < 300; round++) {
        struct ranking forth, back;
        float score[200];
        uint32_t node[200];
        ranking_begin(&forth, 20);
        ranking_begin(&back, 20);
        for (size_t i = 0; i < 200; i++) {
            node[i] = random_below(&random, 60);
            score[i] = (float)random_below(&random, 50);
        }
        for (size_t i = 0; i < 200; i++) {
            offer(&forth, node[i], score[i]);
            offer(&back, node[199 - i], score[199 - i]);
        }
        assert_int_equal(forth.n, back.n);
        for (size_t i = 0; i < forth.n; i++) {
            assert_int_equal(forth.item[i].node, back.item[i].node);
            NEAR(forth.item[i].score, back.item[i].score);
        }
    }
}

static void fusion_is_as_by_hand(void **state)
{
    (void)state;
    struct ranking first, second, fused;
    struct ranking *const lists[] = {&first, &second};
    ranking_begin(&first, 10);
    ranking_begin(&second, 10);
    offer(&first, 1, 9);
    offer(&first, 2, 8);
    offer(&first, 3, 7);
    offer(&second, 3, 0.9f);
    offer(&second, 4, 0.8f);
    ranking_begin(&fused, 10);
    ranking_fuse(lists, 2, &fused);
    assert_int_equal(fused.n, 4);
    assert_int_equal(fused.item[0].node, 3);
    NEAR(fused.item[0].score, 1.0 / 63 + 1.0 / 61);
    assert_int_equal(fused.item[1].node, 1);
    NEAR(fused.item[1].score, 1.0 / 61);
    assert_int_equal(fused.item[2].node, 2); /* 1/62, as node 4 */
    NEAR(fused.item[2].score, 1.0 / 62);
    assert_int_equal(fused.item[3].node, 4);
    assert_int_equal(fused.item[0].unit, 30);
    ranking_begin(&fused, 10);
    ranking_fuse(lists, 0, &fused);
    assert_int_equal(fused.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_stay_in_order),
        cmocka_unit_test(a_node_stands_once_with_its_best_score),
        cmocka_unit_test(any_order_of_offers_gives_the_same),
        cmocka_unit_test(fusion_is_as_by_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
