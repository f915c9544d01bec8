/* SPDX-License-Identifier: MIT */
#include "auth/backoff.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

static const struct backoff_options options = {
    .max_keys = 4, .free_attempts = 3, .first_wait_ms = 1000, .longest_wait_ms = 5000};

static void waits_grow_to_a_limit(void **state)
{
    (void)state;
    struct backoff *b = backoff_new(&options);
    int64_t now = 0, wait = 0;
    for (int i = 0; i < 3; i++)
        assert_int_equal(backoff_take(b, "a", now, &wait), 0);
    assert_int_equal(backoff_take(b, "a", now, &wait), 0);
    static const int64_t expected[] = {1000, 2000, 4000, 5000, 5000};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(backoff_take(b, "a", now, &wait), -EAGAIN);
        assert_int_equal(wait, expected[i]);
        assert_int_equal(backoff_take(b, "a", now + wait - 1, &wait), -EAGAIN);
        assert_int_equal(wait, 1);
        now += expected[i];
        assert_int_equal(backoff_take(b, "a", now, &wait), 0);
    }
    assert_int_equal(backoff_take(b, "b", now, &wait), 0);
    backoff_free(b);
}

static void quiet_forgets(void **state)
{
    (void)state;
    struct backoff *b = backoff_new(&options);
    int64_t wait;
    for (int i = 0; i < 4; i++)
        assert_int_equal(backoff_take(b, "a", 0, &wait), 0);
    assert_int_equal(backoff_take(b, "a", 0, &wait), -EAGAIN);
    for (int i = 0; i < 4; i++)
        assert_int_equal(backoff_take(b, "a", BACKOFF_FORGET_MS, &wait), 0);
    assert_int_equal(backoff_take(b, "a", BACKOFF_FORGET_MS, &wait), -EAGAIN);
    backoff_free(b);
}

static void what_is_given_back(void **state)
{
    (void)state;
    struct backoff *b = backoff_new(&options);
    int64_t wait;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(backoff_take(b, "a", 0, &wait), 0);
        backoff_return(b, "a");
    }
    for (int i = 0; i < 4; i++)
        assert_int_equal(backoff_take(b, "a", 0, &wait), 0);
    backoff_clear(b, "a");
    assert_int_equal(backoff_take(b, "a", 0, &wait), 0);
    backoff_return(b, "unknown");
    backoff_clear(b, "unknown");
    backoff_free(b);
}

static void memory_is_bounded(void **state)
{
    (void)state;
    struct backoff *b = backoff_new(&options);
    int64_t wait;
    for (int i = 0; i < 4; i++)
        assert_int_equal(backoff_take(b, "first", 0, &wait), 0);
    assert_int_equal(backoff_take(b, "first", 0, &wait), -EAGAIN);
    for (int i = 0; i < 4; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "key-%d", i);
        assert_int_equal(backoff_take(b, key, 0, &wait), 0);
    }
    assert_int_equal(backoff_take(b, "first", 0, &wait), 0); /* it made room and is new again */
    backoff_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_grow_to_a_limit),
        cmocka_unit_test(quiet_forgets),
        cmocka_unit_test(what_is_given_back),
        cmocka_unit_test(memory_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
