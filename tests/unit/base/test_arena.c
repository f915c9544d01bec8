/* SPDX-License-Identifier: MIT */
#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void memory_is_zeroed_and_aligned(void **state)
{
    struct arena a;
    (void)state;
    arena_init(&a, 1024 * 1024);
    for (size_t size = 0; size < 200; size++) {
        unsigned char *p = arena_alloc(&a, size);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xAA, size);
    }
    arena_free(&a);
}

static void what_was_given_out_never_overlaps(void **state)
{
    struct arena a;
    unsigned char *given[500];
    (void)state;
    arena_init(&a, 1024 * 1024);
    for (size_t i = 0; i < 500; i++) {
        given[i] = arena_alloc(&a, 1 + i);
        assert_non_null(given[i]);
        memset(given[i], (int)(i & 0xFF), 1 + i);
    }
    for (size_t i = 0; i < 500; i++)
        for (size_t k = 0; k < 1 + i; k++)
            assert_int_equal(given[i][k], i & 0xFF);
    arena_free(&a);
}

static void the_maximum_is_reached_and_never_passed(void **state)
{
    static const size_t maxima[] = {0, 1, 16, 1023, 1024, 1025, 5000, 200000};
    (void)state;
    for (size_t i = 0; i < sizeof maxima / sizeof maxima[0]; i++) {
        struct arena a;
        size_t got = 0;
        arena_init(&a, maxima[i]);
        while (arena_alloc(&a, 16))
            got += 16;
        assert_true(got <= maxima[i]);
        assert_true(a.total <= maxima[i]);
        assert_true(got + 16 * 16 >= maxima[i]); /* hardly anything is wasted on the way */
        assert_null(arena_alloc(&a, 16));
        arena_free(&a);
    }
}

static void sizes_that_overflow_are_refused(void **state)
{
    struct arena a;
    (void)state;
    arena_init(&a, SIZE_MAX);
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_alloc(&a, SIZE_MAX - 1));
    assert_null(arena_strndup(&a, "x", SIZE_MAX));
    arena_free(&a);
}

static void one_large_piece_fits_exactly(void **state)
{
    struct arena a;
    (void)state;
    arena_init(&a, 100000);
    assert_non_null(arena_alloc(&a, 99984));
    assert_null(arena_alloc(&a, 32));
    arena_free(&a);
    assert_non_null(arena_alloc(&a, 99984)); /* usable again */
    arena_wipe(&a);
    assert_int_equal(a.total, 0);
    assert_int_equal(a.max, 100000);
}

static void texts_are_copied(void **state)
{
    struct arena a;
    char source[] = "some text";
    (void)state;
    arena_init(&a, 4096);
    char *whole = arena_strdup(&a, source), *part = arena_strndup(&a, source, 4);
    char *made = arena_printf(&a, "%s-%d", source, 42);
    memset(source, 'x', sizeof source - 1);
    assert_string_equal(whole, "some text");
    assert_string_equal(part, "some");
    assert_string_equal(made, "some text-42");
    assert_null(arena_strdup(&a, NULL));
    assert_null(arena_printf(&a, "%5000s", "x"));
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_and_aligned),
        cmocka_unit_test(what_was_given_out_never_overlaps),
        cmocka_unit_test(the_maximum_is_reached_and_never_passed),
        cmocka_unit_test(sizes_that_overflow_are_refused),
        cmocka_unit_test(one_large_piece_fits_exactly),
        cmocka_unit_test(texts_are_copied),
    };
    return cmocka_run_group_tests_name("base/arena", tests, NULL, NULL);
}
