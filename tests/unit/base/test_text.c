/* SPDX-License-Identifier: MIT */
#include "base/text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define BYTES(s) (s), sizeof(s) - 1

static const struct {
    const char *bytes;
    size_t len;
    uint32_t code; /* 0 = malformed */
} characters[] = {
    {BYTES("\x01"), 1},
    {BYTES("\x7F"), 0x7F},
    {BYTES("\xC2\x80"), 0x80},
    {BYTES("\xDF\xBF"), 0x7FF},
    {BYTES("\xE0\xA0\x80"), 0x800},
    {BYTES("\xE0\xBF\xBF"), 0xFFF},
    {BYTES("\xE1\x80\x80"), 0x1000},
    {BYTES("\xEC\xBF\xBF"), 0xCFFF},
    {BYTES("\xED\x80\x80"), 0xD000},
    {BYTES("\xED\x9F\xBF"), 0xD7FF},
    {BYTES("\xEE\x80\x80"), 0xE000},
    {BYTES("\xEF\xBF\xBF"), 0xFFFF},
    {BYTES("\xF0\x90\x80\x80"), 0x10000},
    {BYTES("\xF3\xBF\xBF\xBF"), 0xFFFFF},
    {BYTES("\xF4\x80\x80\x80"), 0x100000},
    {BYTES("\xF4\x8F\xBF\xBF"), 0x10FFFF},
    {BYTES("\x80"), 0}, /* a continuation alone */
    {BYTES("\xBF"), 0},
    {BYTES("\xC0\x80"), 0}, /* overlong */
    {BYTES("\xC1\xBF"), 0},
    {BYTES("\xE0\x80\x80"), 0},
    {BYTES("\xE0\x9F\xBF"), 0},
    {BYTES("\xF0\x80\x80\x80"), 0},
    {BYTES("\xF0\x8F\xBF\xBF"), 0},
    {BYTES("\xED\xA0\x80"), 0}, /* surrogates */
    {BYTES("\xED\xBF\xBF"), 0},
    {BYTES("\xF4\x90\x80\x80"), 0}, /* past the last */
    {BYTES("\xF5\x80\x80\x80"), 0},
    {BYTES("\xFE"), 0},
    {BYTES("\xFF"), 0},
    {BYTES("\xC2\x41"), 0}, /* something else in place of the rest */
    {BYTES("\xE1\x80\x41"), 0},
    {BYTES("\xF1\x80\x80\x41"), 0},
    {BYTES("\xE1\xC2\x80"), 0},
};

static void utf8_forms_at_every_border(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(characters); i++) {
        uint32_t code = 0;
        size_t len = characters[i].len;
        bool good = characters[i].code != 0;
        assert_int_equal(utf8_valid(characters[i].bytes, len), good);
        assert_int_equal(utf8_decode(characters[i].bytes, len, &code), good ? len : 0);
        assert_int_equal(code, characters[i].code);
        if (good)
            assert_int_equal(utf8_count(characters[i].bytes, len), 1);
    }
}

static void a_cut_character_is_incomplete_and_invalid(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(characters); i++) {
        if (!characters[i].code)
            continue;
        for (size_t cut = 1; cut < characters[i].len; cut++) {
            char text[8] = "ab";
            memcpy(text + 2, characters[i].bytes, cut);
            assert_false(utf8_valid(text, 2 + cut));
            assert_int_equal(utf8_incomplete_tail(text, 2 + cut), cut);
            assert_int_equal(utf8_char_length(text + 2, cut), (int)cut - (int)characters[i].len);
        }
        assert_int_equal(utf8_incomplete_tail(characters[i].bytes, characters[i].len), 0);
    }
    assert_int_equal(utf8_incomplete_tail("", 0), 0);
    assert_int_equal(utf8_incomplete_tail(BYTES("\x80\x80\x80\x80")), 0); /* broken, not cut */
    assert_int_equal(utf8_incomplete_tail(BYTES("a\xE0\x80")), 0);        /* no byte can mend it */
}

static void a_text_is_cut_only_between_characters(void **state)
{
    static const char text[] = "aé€😀z";
    size_t len = sizeof text - 1;
    (void)state;
    for (size_t max = 0; max <= len + 2; max++) {
        size_t n = utf8_floor(text, len, max);
        assert_true(n <= max && n <= len && max < n + 4);
        assert_true(utf8_valid(text, n) && utf8_valid(text + n, len - n));
    }
    assert_int_equal(utf8_floor(text, len, 3), 3);
    assert_int_equal(utf8_floor(text, len, 5), 3);
    assert_int_equal(utf8_count(text, len), 5);
    assert_true(utf8_valid("", 0));
}

static void what_no_terminal_should_get_becomes_question_marks(void **state)
{
    char text[] = "a\x1b[1m\n\x7f\xc2\x9b"
                  "é€😀\xff\xe2\x82",
         plain[] = "as it is ✓", none[] = "";
    (void)state;
    text_make_printable(text);
    assert_string_equal(text, "a?[1m????é€😀???");
    text_make_printable(plain);
    assert_string_equal(plain, "as it is ✓");
    text_make_printable(none);
    assert_string_equal(none, "");
}

static void what_is_printable(void **state)
{
    (void)state;
    static const char *const good[] = {"", "Anna", "as it is ✓", "é\u00a0€😀", "\u200f\u05d0"};
    static const char *const bad[] = {"a\n",     "\x1b[1m",   "\x7f",     "a\xc2\x85", "\xc2\x9b[m", "\u2028",
                                      "x\u2029", "\u202egpj", "a\u2066b", "\xc3",      "a\x80"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(text_is_printable(good[i]));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char copy[16];
        (void)snprintf(copy, sizeof copy, "%s", bad[i]);
        assert_false(text_is_printable(bad[i]));
        text_make_printable(copy);
        assert_true(text_is_printable(copy));
    }
}

static void base64_of_every_length(void **state)
{
    struct arena a;
    uint8_t data[256];
    (void)state;
    arena_init(&a, 1024 * 1024);
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 37 + 11);
    for (size_t len = 0; len <= sizeof data; len++) {
        size_t got = 999;
        char *text = base64_encode(&a, data, len);
        assert_int_equal(strlen(text), (len + 2) / 3 * 4);
        uint8_t *back = base64_decode(&a, text, &got);
        assert_non_null(back);
        assert_int_equal(got, len);
        assert_memory_equal(back, data, len);
    }
    assert_string_equal(base64_encode(&a, (const uint8_t *)"fooba", 5), "Zm9vYmE=");
    arena_free(&a);
}

static void malformed_base64_is_refused(void **state)
{
    static const char *const bad[] = {"Z",         "Zm",        "Zm9",      "Zm9v\n", "\nZm9",
                                      " Zm9vYg==", "Zm9vYg== ", "Zm=v",     "=Zm9",   "====",
                                      "Z===",      "Zm9=Zm9=",  "Zm9-",     "Zm_v",   "Zm9v\nZm9",
                                      "\n\n\n\n",  "----",      "Zm9v====", "é==="};
    struct arena a;
    (void)state;
    arena_init(&a, 1024 * 1024);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        size_t len = 77;
        if (base64_decode(&a, bad[i], &len))
            fail_msg("accepted \"%s\"", bad[i]);
        assert_int_equal(len, 77);
    }
    arena_free(&a);
}

static void hex_there_and_back(void **state)
{
    uint8_t data[256], back[256];
    char text[513];
    (void)state;
    for (int i = 0; i < 256; i++)
        data[i] = (uint8_t)i;
    hex_encode(data, sizeof data, text);
    assert_int_equal(strlen(text), 512);
    assert_memory_equal(text, "000102", 6);
    assert_string_equal(text + 506, "fdfeff");
    assert_int_equal(hex_decode(text, back, sizeof back), 0);
    assert_memory_equal(back, data, sizeof data);
    assert_int_equal(hex_decode("aBcDeF", back, 3), 0);
    assert_memory_equal(back, "\xAB\xCD\xEF", 3);
    static const char *const bad[] = {"",       "abc",    "abcde",  "abcdefa", "abcdeg",
                                      "abcd f", "0xabcd", "abcde@", "ab`def"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(hex_decode(bad[i], back, 3), -EINVAL);
}

static void whole_numbers(void **state)
{
    static const struct {
        const char *text;
        int64_t min, max;
        int r;
        int64_t n;
    } cases[] = {
        {"0", 0, 9, 0, 0},
        {"-5", -9, 9, 0, -5},
        {"007", 0, 9, 0, 7},
        {"10", 0, 9, -ERANGE, 0},
        {"-1", 0, 9, -ERANGE, 0},
        {"9223372036854775807", 0, INT64_MAX, 0, INT64_MAX},
        {"-9223372036854775808", INT64_MIN, 0, 0, INT64_MIN},
        {"9223372036854775808", INT64_MIN, INT64_MAX, -ERANGE, 0},
        {"99999999999999999999999", INT64_MIN, INT64_MAX, -ERANGE, 0},
        {"", 0, 9, -EINVAL, 0},
        {"-", -9, 9, -EINVAL, 0},
        {"--1", -9, 9, -EINVAL, 0},
        {"+1", 0, 9, -EINVAL, 0},
        {" 1", 0, 9, -EINVAL, 0},
        {"1 ", 0, 9, -EINVAL, 0},
        {"1.0", 0, 9, -EINVAL, 0},
        {"0x1", 0, 9, -EINVAL, 0},
        {"- 1", -9, 9, -EINVAL, 0},
        {"one", 0, 9, -EINVAL, 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t n = 0;
        assert_int_equal(parse_int(cases[i].text, cases[i].min, cases[i].max, &n), cases[i].r);
        assert_int_equal(n, cases[i].n);
    }
}

static void durations(void **state)
{
    static const struct {
        const char *text;
        int64_t ms; /* 0 = refused */
    } cases[] = {
        {"1s", 1000},      {"90s", 90000},    {"15m", 900000},
        {"12h", 43200000}, {"7d", 604800000}, {"1000000d", INT64_C(86400000000000)},
        {"0s", 0},         {"1000001s", 0},   {"-1s", 0},
        {"s", 0},          {"", 0},           {"1", 0},
        {"1w", 0},         {"1S", 0},         {"1 s", 0},
        {" 1s", 0},        {"1ss", 0},        {"1.5h", 0},
        {"1h30m", 0},      {"+1s", 0},        {"00000000000000000000001s", 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t ms = 0;
        assert_int_equal(parse_duration(cases[i].text, &ms), cases[i].ms ? 0 : -EINVAL);
        assert_int_equal(ms, cases[i].ms);
    }
}

static void urls_keep_only_unreserved_characters(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    (void)state;
    assert_int_equal(url_encode(&b, "AZaz09-._~ /?#[]@!$&'()*+,;=%\"é\x01"), 0);
    assert_string_equal(buf_str(&b),
                        "AZaz09-._~%20%2F%3F%23%5B%5D%40%21%24%26%27%28%29%2A%2B%2C%3B%3D%25%22%C3%A9%01");
    struct buf small = BUF_INIT(4);
    assert_int_equal(url_encode(&small, "ab c"), -ENOBUFS);
    buf_free(&small);
}

static void lists_give_their_items_trimmed(void **state)
{
    static const struct {
        const char *list, *items; /* joined by '|' */
    } cases[] = {
        {"", ""},
        {" , ,\t,", ""},
        {"a", "a"},
        {"a,b", "a|b"},
        {"  a b\t, ,c ,", "a b|c"},
        {",,x,,y,,", "x|y"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_buf_ struct buf b = BUF_INIT(100);
        const char *list = cases[i].list, *item;
        size_t len;
        while (list_next(&list, &item, &len))
            assert_int_equal(buf_addf(&b, "%s%.*s", b.len ? "|" : "", (int)len, item), 0);
        assert_string_equal(buf_str(&b), cases[i].items);
    }
}

static void choices_match_whole_words(void **state)
{
    static const char *const yes[] = {"a", "bc", "d"}, *const no[] = {"",  "b",   "c", "a|bc",
                                                                      "|", "bcd", "A", "bc|"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(yes); i++)
        assert_true(choices_have("a|bc|d", yes[i], strlen(yes[i])));
    for (size_t i = 0; i < ARRAY_LEN(no); i++)
        assert_false(choices_have("a|bc|d", no[i], strlen(no[i])));
    assert_false(choices_have("a|bc|d", "a\0", 2));
}

static void secrets_are_compared_whole(void **state)
{
    (void)state;
    assert_true(secret_equal("sesame", "sesame"));
    assert_false(secret_equal("sesame", "sesamf"));
    assert_false(secret_equal("sesam", "sesame"));
    assert_false(secret_equal("sesames", "sesame"));
    assert_false(secret_equal("aa", "a")); /* a repetition of the expected one */
    assert_false(secret_equal("", "sesame"));
    assert_false(secret_equal("x", ""));
}

static void small_questions(void **state)
{
    char text[] = "MiXed ÄÖ 09";
    (void)state;
    assert_true(str_is_blank("") && str_is_blank(" \t\r\n\v\f") && !str_is_blank(" x "));
    assert_true(str_has_prefix("abc", "ab") && str_has_prefix("abc", "") && !str_has_prefix("ab", "abc"));
    assert_true(str_equal("a", "a") && str_equal(NULL, NULL) && !str_equal("a", NULL) &&
                !str_equal(NULL, "a"));
    assert_true(str_equal_nocase("aB", "Ab") && !str_equal_nocase("a", "b") && !str_equal_nocase(NULL, ""));
    assert_true(str_only("aab", "ab") && str_only("", "") && !str_only("abc", "ab"));
    const char *names[] = {"b", "\xc3\xa4", "a", "ab", "B"};
    qsort(names, ARRAY_LEN(names), sizeof *names, str_order);
    assert_string_equal(names[0], "B");
    assert_string_equal(names[2], "ab");
    assert_string_equal(names[4], "\xc3\xa4");
    str_lower(text);
    assert_string_equal(text, "mixed ÄÖ 09"); /* ASCII alone */
    wipe(text, 5);
    assert_memory_equal(text, "\0\0\0\0\0", 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_forms_at_every_border),
        cmocka_unit_test(a_cut_character_is_incomplete_and_invalid),
        cmocka_unit_test(a_text_is_cut_only_between_characters),
        cmocka_unit_test(what_no_terminal_should_get_becomes_question_marks),
        cmocka_unit_test(what_is_printable),
        cmocka_unit_test(base64_of_every_length),
        cmocka_unit_test(malformed_base64_is_refused),
        cmocka_unit_test(hex_there_and_back),
        cmocka_unit_test(whole_numbers),
        cmocka_unit_test(durations),
        cmocka_unit_test(urls_keep_only_unreserved_characters),
        cmocka_unit_test(lists_give_their_items_trimmed),
        cmocka_unit_test(choices_match_whole_words),
        cmocka_unit_test(secrets_are_compared_whole),
        cmocka_unit_test(small_questions),
    };
    return cmocka_run_group_tests_name("base/text", tests, NULL, NULL);
}
