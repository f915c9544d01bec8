/* SPDX-License-Identifier: MIT */
#include "import/mend.h"

#include "base/text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define BYTES(s) (s), sizeof(s) - 1

static int set_up(void **state)
{
    static struct arena arena;
    arena_init(&arena, 16 << 20);
    *state = &arena;
    return 0;
}

static int tear_down(void **state)
{
    arena_free(*state);
    return 0;
}

static void texts_are_kept_where_they_are_good_and_mended_where_not(void **state)
{
    static const struct {
        const char *given;
        size_t len;
        const char *expected;
        bool mended;
    } cases[] = {
        {BYTES(""), "", false},
        {BYTES("plain"), "plain", false},
        {BYTES("\xF0\x9F\x9A\x80 ü"), "\xF0\x9F\x9A\x80 ü", false},
        {BYTES("a\0b"),
         "a\xEF\xBF\xBD"
         "b",
         true},
        {BYTES("\0"), "\xEF\xBF\xBD", true},
        {BYTES("A\xC3("), "A\xEF\xBF\xBD(", true},
        {BYTES("cut \xF0\x9F\x9A"), "cut \xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD", true},
        {BYTES("\xED\xA0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD", true}, /* a surrogate */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        bool mended = false;
        const char *text = mend_text(*state, cases[i].given, cases[i].len, &mended);
        assert_string_equal(text, cases[i].expected);
        assert_int_equal(mended, cases[i].mended);
        assert_true(utf8_valid(text, strlen(text)));
    }
}

static void json_loses_escapes_that_stand_for_nothing(void **state)
{
    static const struct {
        const char *given, *expected;
        bool mended;
    } cases[] = {
        {"{\"a\":\"\\ud83d\\ude80\"}", "{\"a\":\"\\ud83d\\ude80\"}", false},
        {"\"\\u0000\"", "\"\\uFFFD\"", true},
        {"\"\\ud83d\"", "\"\\uFFFD\"", true},
        {"\"\\ud83dx\"", "\"\\uFFFDx\"", true},
        {"\"\\ude80\\ud83d\"", "\"\\uFFFD\\uFFFD\"", true},
        {"\"\\\\u0000\"", "\"\\\\u0000\"", false}, /* a backslash, and then a text */
        {"\"\\\\\\u0000\"", "\"\\\\\\uFFFD\"", true},
        {"\"\\u00", "\"\\u00", false},
        {"\\", "\\", false},
        {"\"\\uD83D\\u0041\"", "\"\\uFFFD\\u0041\"", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        bool mended = false;
        assert_string_equal(mend_json(*state, cases[i].given, &mended), cases[i].expected);
        assert_int_equal(mended, cases[i].mended);
    }
}

static void times_are_milliseconds_or_texts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t number;
        int r;
        int64_t ms;
    } cases[] = {
        {NULL, 1700000000123, 0, 1700000000123},
        {NULL, 0, 0, 0},
        {NULL, -1, -EINVAL, 0},
        {NULL, INT64_MAX, -EINVAL, 0},
        {NULL, INT64_MIN, -EINVAL, 0},
        {NULL, 253402300799999, 0, 253402300799999},
        {NULL, 253402300800000, -EINVAL, 0},
        {"2023-11-14 22:13:20", 0, 0, 1700000000000},
        {"2023-11-14T22:13:20.123Z", 0, 0, 1700000000123},
        {"2023-11-14T22:13:20.123+00:00", 0, 0, 1700000000123},
        {"1700000000123", 0, -EINVAL, 0},
        {"yesterday", 0, -EINVAL, 0},
        {"", 0, -EINVAL, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t ms = 0;
        assert_int_equal(mend_time(cases[i].text, cases[i].number, &ms), cases[i].r);
        assert_int_equal(ms, cases[i].ms);
    }
}

static void an_answer_is_kept_as_it_is_where_a_history_can_show_it(void **state)
{
    static const char good[] =
        "{\"text\": \"t\", \"sources\": [{\"title\":\"x\"}], \"metrics\": {\"a\": 0.1}}";
    const char *out;
    bool mended = false;
    assert_int_equal(mend_answer(*state, good, 1000, &out, &mended), 0);
    assert_string_equal(out, good);
    assert_false(mended);
}

static void an_answer_is_made_such_that_a_history_can_show_it(void **state)
{
    static const struct {
        const char *given;
        int r;
        const char *expected;
    } cases[] = {
        {"{\"text\":\"t\",\"sources\":{},\"actions\":7}", 0, "{\"text\":\"t\",\"sources\":[]}"},
        {"{\"text\":\"\\ud83d\"}", 0, "{\"text\":\"\xEF\xBF\xBD\",\"sources\":[]}"},
        {"{\"text\":7}", -ENODATA, NULL},
        {"[]", -ENODATA, NULL},
        {"null", -ENODATA, NULL},
        {"", -EINVAL, NULL},
        {"{\"text\":\"t\"", -EINVAL, NULL},
        {"{\"text\":\"12345678901234567890123456789012345678901234567890\"}", -E2BIG, NULL},
        {"{\"text\":\"t\",\"attachments\":[\"12345678901234567890123456789012345678901234567890\"]}", 0,
         "{\"text\":\"t\",\"sources\":[]}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *out = NULL;
        bool mended = false;
        assert_int_equal(mend_answer(*state, cases[i].given, 50, &out, &mended), cases[i].r);
        if (cases[i].r < 0)
            continue;
        assert_true(mended);
        assert_string_equal(out, cases[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_kept_where_they_are_good_and_mended_where_not),
        cmocka_unit_test(json_loses_escapes_that_stand_for_nothing),
        cmocka_unit_test(times_are_milliseconds_or_texts),
        cmocka_unit_test(an_answer_is_kept_as_it_is_where_a_history_can_show_it),
        cmocka_unit_test(an_answer_is_made_such_that_a_history_can_show_it),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
