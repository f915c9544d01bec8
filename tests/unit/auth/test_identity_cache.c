/* SPDX-License-Identifier: MIT */
#include "auth/identity_cache.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define ANNA "aaaaaaaa-2222-4333-8444-555555555555"
#define BERT "bbbbbbbb-2222-4333-8444-555555555555"

static const struct identity_now start = {.monotonic_ms = 1000, .wall_s = 5000, .data_version = 7};

static const uint8_t *digest_of(int n)
{
    static uint8_t digest[IDENTITY_DIGEST_BYTES];
    memset(digest, 0, sizeof digest);
    memcpy(digest, &n, sizeof n);
    return digest;
}

static void put(struct identity_cache *cache, int n, const char *user_id, const char *impersonated_by)
{
    struct identity plain = {.email = "anna@example.com", .impersonated_by = impersonated_by};
    memcpy(plain.user_id, user_id, UUID_SIZE);
    struct identity *who = identity_make(&plain);
    assert_non_null(who);
    identity_cache_put(cache, digest_of(n), who, start.wall_s + 60, &start, identity_cache_epoch(cache));
    identity_unref(who);
}

static int get(struct identity_cache *cache, int n, struct identity_now now)
{
    struct identity *who = NULL;
    int r = identity_cache_get(cache, digest_of(n), &now, &who);
    identity_unref(who);
    return r;
}

static void keeps_what_was_put(void **state)
{
    (void)state;
    struct identity_cache *cache = identity_cache_new(64);
    struct identity *who;
    put(cache, 1, ANNA, NULL);
    assert_int_equal(identity_cache_get(cache, digest_of(1), &start, &who), 0);
    assert_string_equal(who->user_id, ANNA);
    assert_string_equal(who->email, "anna@example.com");
    assert_int_equal(get(cache, 2, start), -ENOENT);
    identity_cache_free(cache);
    assert_string_equal(who->email, "anna@example.com"); /* a reference outlives the cache */
    identity_unref(who);
}

static void grows_old(void **state)
{
    (void)state;
    struct identity_cache *cache = identity_cache_new(64);
    struct identity_now now = start;
    put(cache, 1, ANNA, NULL);
    now.monotonic_ms = start.monotonic_ms + IDENTITY_CACHE_MS - 1;
    assert_int_equal(get(cache, 1, now), 0);
    now.monotonic_ms++;
    assert_int_equal(get(cache, 1, now), -ENOENT);
    now = start;
    now.wall_s = start.wall_s + 59;
    assert_int_equal(get(cache, 1, now), 0);
    now.wall_s++;
    assert_int_equal(get(cache, 1, now), -EKEYEXPIRED);
    now = start;
    now.data_version++;
    assert_int_equal(get(cache, 1, now), -ENOENT);
    assert_int_equal(get(cache, 1, start), 0);
    identity_cache_free(cache);
}

static void forgets(void **state)
{
    (void)state;
    struct identity_cache *cache = identity_cache_new(64);
    put(cache, 1, ANNA, NULL);
    put(cache, 2, BERT, NULL);
    put(cache, 3, BERT, ANNA);
    identity_cache_forget(cache, ANNA);
    assert_int_equal(get(cache, 1, start), -ENOENT);
    assert_int_equal(get(cache, 2, start), 0);
    assert_int_equal(get(cache, 3, start), -ENOENT); /* Anna acted as Bert */
    identity_cache_forget(cache, NULL);
    assert_int_equal(get(cache, 2, start), -ENOENT);
    identity_cache_free(cache);
}

/* Loaded before a change, put after it: must not be believed. */
static void load_that_a_change_overtook(void **state)
{
    (void)state;
    struct identity_cache *cache = identity_cache_new(64);
    struct identity plain = {.user_id = ANNA}, *who = identity_make(&plain);
    uint64_t before = identity_cache_epoch(cache);
    identity_cache_forget(cache, ANNA);
    identity_cache_put(cache, digest_of(1), who, start.wall_s + 60, &start, before);
    assert_int_equal(get(cache, 1, start), -ENOENT);
    identity_cache_put(cache, digest_of(1), who, start.wall_s + 60, &start, identity_cache_epoch(cache));
    assert_int_equal(get(cache, 1, start), 0);
    identity_unref(who);
    identity_cache_free(cache);
}

static void is_bounded(void **state)
{
    (void)state;
    struct identity_cache *cache = identity_cache_new(32);
    int kept = 0;
    for (int i = 0; i < 1000; i++)
        put(cache, i, ANNA, NULL);
    for (int i = 0; i < 1000; i++)
        kept += get(cache, i, start) == 0;
    assert_int_equal(kept, 32);
    assert_int_equal(get(cache, 999, start), 0);
    put(cache, 999, ANNA, NULL); /* again: takes its own place */
    put(cache, 999, BERT, NULL);
    kept = 0;
    for (int i = 0; i < 1000; i++)
        kept += get(cache, i, start) == 0;
    assert_int_equal(kept, 32);
    identity_cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_what_was_put),
        cmocka_unit_test(grows_old),
        cmocka_unit_test(forgets),
        cmocka_unit_test(load_that_a_change_overtook),
        cmocka_unit_test(is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
