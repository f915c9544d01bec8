/* SPDX-License-Identifier: MIT */
#include "base/buf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <wchar.h>

#include <cmocka.h>

static void it_holds_exactly_its_maximum(void **state)
{
    (void)state;
    for (size_t max = 0; max < 600; max += 7) {
        _cleanup_buf_ struct buf b = BUF_INIT(max);
        for (size_t i = 0; i < max; i++)
            assert_int_equal(buf_add(&b, "x", 1), 0);
        assert_int_equal(b.len, max);
        assert_false(b.failed);
        assert_int_equal(buf_add(&b, "y", 1), -ENOBUFS);
        assert_true(b.failed);
        assert_int_equal(b.len, max);
        assert_int_equal(strlen(buf_str(&b)), max);
        assert_int_equal(buf_add(&b, "", 0), 0);
    }
}

static void a_refused_piece_leaves_the_content_as_it_was(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(10);
    (void)state;
    assert_int_equal(buf_adds(&b, "12345"), 0);
    assert_int_equal(buf_adds(&b, "678901"), -ENOBUFS);
    assert_string_equal(buf_str(&b), "12345");
    assert_int_equal(buf_addf(&b, "%s", "678901"), -ENOBUFS);
    assert_string_equal(buf_str(&b), "12345");
    assert_int_equal(buf_addf(&b, "%d", 67890), 0);
    assert_string_equal(buf_str(&b), "1234567890");
    assert_true(b.failed);
    buf_reset(&b);
    assert_false(b.failed);
    assert_string_equal(buf_str(&b), "");
}

/* Texts of each length, so that they end before, at and after the memory that a buffer has. */
static void texts_are_formatted_whole_or_not_at_all(void **state)
{
    char text[1200];
    (void)state;
    memset(text, 'x', sizeof text);
    for (int len = 0; len < (int)sizeof text; len++) {
        _cleanup_buf_ struct buf b = BUF_INIT(1000), empty = BUF_INIT(1000);
        assert_int_equal(buf_adds(&b, "before"), 0);
        int r = buf_addf(&b, "%.*s", len, text);
        assert_int_equal(r, 6 + len <= 1000 ? 0 : -ENOBUFS);
        assert_true(b.failed == (r < 0));
        assert_int_equal(b.len, r == 0 ? 6 + len : 6);
        assert_int_equal(strlen(b.data), b.len);
        assert_int_equal(buf_addf(&empty, "%.*s", len, text), len <= 1000 ? 0 : -ENOBUFS);
        assert_int_equal(strlen(buf_str(&empty)), len <= 1000 ? len : 0);
    }
    _cleanup_buf_ struct buf odd = BUF_INIT(100);
    assert_int_equal(buf_addf(&odd, "%lc", (wint_t)0x10ffff), -EINVAL); /* none in the C locale */
    assert_true(odd.failed && odd.len == 0 && odd.data[0] == '\0');
}

static void bytes_may_be_anything(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(100);
    (void)state;
    assert_int_equal(buf_add(&b, "a\0b", 3), 0);
    assert_int_equal(buf_add(&b, "\0", 1), 0);
    assert_int_equal(b.len, 4);
    assert_memory_equal(b.data, "a\0b\0", 5);
}

static void the_front_can_be_dropped(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(100);
    (void)state;
    buf_drop(&b, 0); /* nothing there, nothing to do */
    assert_int_equal(buf_adds(&b, "0123456789"), 0);
    buf_drop(&b, 0);
    buf_drop(&b, 4);
    assert_string_equal(buf_str(&b), "456789");
    buf_drop(&b, 6);
    assert_string_equal(buf_str(&b), "");
    assert_int_equal(b.len, 0);
}

static void taking_hands_the_content_over(void **state)
{
    struct buf b = BUF_INIT(100);
    size_t len = 99;
    (void)state;
    _cleanup_free_ char *empty = buf_take(&b, &len);
    assert_string_equal(empty, "");
    assert_int_equal(len, 0);
    assert_int_equal(buf_adds(&b, "text"), 0);
    _cleanup_free_ char *text = buf_take(&b, &len);
    assert_string_equal(text, "text");
    assert_int_equal(len, 4);
    assert_null(b.data);
    assert_int_equal(b.max, 100);
    assert_int_equal(buf_adds(&b, "again"), 0);
    buf_free(&b);
}

static void a_secret_is_forgotten(void **state)
{
    struct buf b = BUF_INIT_SECRET(10000);
    (void)state;
    assert_int_equal(buf_adds(&b, "secret"), 0);
    buf_reset(&b);
    for (size_t i = 0; i < b.cap; i++)
        assert_int_equal(b.data[i], 0);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(buf_adds(&b, "0123456789"), 0);
    assert_int_equal(b.len, 10000);
    assert_memory_equal(b.data + 9990, "0123456789", 10);
    assert_int_equal(buf_adds(&b, "x"), -ENOBUFS);
    char *taken = buf_take(&b, NULL);
    assert_true(b.secret);
    free(taken);
    buf_free(&b);
    assert_true(b.secret && !b.data);
}

static void an_empty_buffer_is_an_empty_string(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    (void)state;
    assert_string_equal(buf_str(&b), "");
    assert_int_equal(b.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_holds_exactly_its_maximum),
        cmocka_unit_test(a_refused_piece_leaves_the_content_as_it_was),
        cmocka_unit_test(texts_are_formatted_whole_or_not_at_all),
        cmocka_unit_test(bytes_may_be_anything),
        cmocka_unit_test(the_front_can_be_dropped),
        cmocka_unit_test(taking_hands_the_content_over),
        cmocka_unit_test(a_secret_is_forgotten),
        cmocka_unit_test(an_empty_buffer_is_an_empty_string),
    };
    return cmocka_run_group_tests_name("base/buf", tests, NULL, NULL);
}
