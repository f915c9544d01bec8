/* SPDX-License-Identifier: MIT */
#include "redis/address.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 65536);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(&arena);
    return 0;
}

static struct redis_address parsed(const char *url)
{
    struct redis_address a = {0};
    const char *why = NULL;
    assert_int_equal(redis_address_parse(url, &arena, &a, &why), 0);
    return a;
}

static void parts_are_taken_apart(void **state)
{
    (void)state;
    struct redis_address a = parsed("redis://worker:s%40cret%3A@queue.example:6380/3");
    assert_string_equal(a.host, "queue.example");
    assert_string_equal(a.port, "6380");
    assert_string_equal(a.user, "worker");
    assert_string_equal(a.password, "s@cret:");
    assert_int_equal(a.db, 3);
}

static void what_is_left_out_has_defaults(void **state)
{
    (void)state;
    struct redis_address a = parsed("redis://localhost");
    assert_string_equal(a.host, "localhost");
    assert_string_equal(a.port, "6379");
    assert_null(a.user);
    assert_null(a.password);
    assert_int_equal(a.db, 0);
    a = parsed("redis://:secret@127.0.0.1/");
    assert_null(a.user);
    assert_string_equal(a.password, "secret");
}

static void an_ipv6_address_stands_in_brackets(void **state)
{
    (void)state;
    struct redis_address a = parsed("redis://[::1]:7000/1");
    assert_string_equal(a.host, "::1");
    assert_string_equal(a.port, "7000");
    assert_string_equal(parsed("redis://[fe80::2]").port, "6379");
}

static void others_are_refused_with_a_sentence_that_has_no_secret(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "http://hunter2",        "rediss://u:hunter2@h", "redis://",          "redis:///0",
        "redis://u:hunter2@",    "redis://h:0",          "redis://h:65536",   "redis://h:port",
        "redis://h/hunter2",     "redis://h/-1",         "redis://h/65536",   "redis://[::1",
        "redis://[::1]x",        "redis://u@h",          "redis://:%4@h",     "redis://:%zz@h",
        "redis://:hunter2%00@h", "redis://h?hunter2=1",  "redis://h#hunter2", "redis://a b",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct redis_address a;
        const char *why = NULL;
        assert_int_equal(redis_address_parse(bad[i], &arena, &a, &why), -EINVAL);
        assert_non_null(why);
        assert_null(strstr(why, "hunter2"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(parts_are_taken_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_left_out_has_defaults, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_ipv6_address_stands_in_brackets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(others_are_refused_with_a_sentence_that_has_no_secret, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
