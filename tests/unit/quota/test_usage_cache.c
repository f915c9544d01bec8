/* SPDX-License-Identifier: MIT */
#include "quota/usage_cache.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#define ANNA "11111111-1111-4111-8111-111111111111"
#define BERT "22222222-2222-4222-8222-222222222222"
#define WALL 50000

static const struct usage_now start = {.monotonic_ms = 5000, .wall_ms = WALL, .data_version = 3};

static struct usage_now later(int64_t ms)
{
    struct usage_now now = start;
    now.monotonic_ms += ms;
    now.wall_ms += ms;
    return now;
}

static void put(struct usage_cache *cache, const char *user_id, int64_t used)
{
    struct quota_usage usage = {.cycle = {WALL - 10000, WALL + 500}, .used = {used}};
    usage_cache_put(cache, user_id, &usage, &start, usage_cache_epoch(cache));
}

/* What is remembered as used, or -1. */
static int64_t get(struct usage_cache *cache, const char *user_id, struct usage_now now)
{
    struct quota_usage usage;
    int r = usage_cache_get(cache, user_id, &now, &usage);
    assert_true(r == 0 || r == -EAGAIN);
    return r == 0 ? usage.used[0] : -1;
}

static void keeps_what_was_put(void **state)
{
    (void)state;
    struct usage_cache *cache = usage_cache_new(10);
    assert_int_equal(get(cache, ANNA, start), -1);
    put(cache, ANNA, 7);
    put(cache, BERT, 8);
    assert_int_equal(get(cache, ANNA, start), 7);
    put(cache, ANNA, 9);
    assert_int_equal(get(cache, ANNA, start), 9);
    assert_int_equal(get(cache, BERT, later(400)), 8);
    usage_cache_free(cache);
}

static void grows_old_by_age_by_the_cycle_s_end_and_by_others_writes(void **state)
{
    (void)state;
    struct usage_cache *cache = usage_cache_new(10);
    put(cache, ANNA, 7);
    assert_int_equal(get(cache, ANNA, later(499)), 7);
    assert_int_equal(get(cache, ANNA, later(500)), -1); /* a new cycle */
    struct usage_now now = later(QUOTA_CACHE_MS);
    now.wall_ms = WALL;
    assert_int_equal(get(cache, ANNA, now), -1);
    now.monotonic_ms--;
    assert_int_equal(get(cache, ANNA, now), 7);
    now.data_version++;
    assert_int_equal(get(cache, ANNA, now), -1);
    usage_cache_free(cache);
}

static void forgets(void **state)
{
    (void)state;
    struct usage_cache *cache = usage_cache_new(10);
    put(cache, ANNA, 7);
    put(cache, BERT, 8);
    usage_cache_forget(cache, ANNA);
    assert_int_equal(get(cache, ANNA, start), -1);
    assert_int_equal(get(cache, BERT, start), 8);
    usage_cache_forget(cache, NULL);
    assert_int_equal(get(cache, BERT, start), -1);
    usage_cache_free(cache);
}

static void a_read_that_a_write_overtook_is_not_kept(void **state)
{
    (void)state;
    struct usage_cache *cache = usage_cache_new(10);
    struct quota_usage usage = {.cycle = {0, INT64_MAX}, .used = {7}};
    uint64_t epoch = usage_cache_epoch(cache);
    usage_cache_forget(cache, ANNA);
    usage_cache_put(cache, ANNA, &usage, &start, epoch);
    assert_int_equal(get(cache, ANNA, start), -1);
    usage_cache_free(cache);
}

static void is_bounded(void **state)
{
    (void)state;
    struct usage_cache *cache = usage_cache_new(16);
    char id[40];
    int kept = 0;
    for (int i = 0; i < 100; i++) {
        (void)snprintf(id, sizeof id, "11111111-1111-4111-8111-%012d", i);
        put(cache, id, i);
    }
    for (int i = 0; i < 100; i++) {
        (void)snprintf(id, sizeof id, "11111111-1111-4111-8111-%012d", i);
        kept += get(cache, id, start) >= 0;
    }
    assert_int_equal(kept, 16);
    assert_int_equal(get(cache, id, start), 99);
    usage_cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_what_was_put),
        cmocka_unit_test(grows_old_by_age_by_the_cycle_s_end_and_by_others_writes),
        cmocka_unit_test(forgets),
        cmocka_unit_test(a_read_that_a_write_overtook_is_not_kept),
        cmocka_unit_test(is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
