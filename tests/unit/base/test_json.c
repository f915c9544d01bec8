/* SPDX-License-Identifier: MIT */
#include "base/json.h"

#include "base/text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static json_t *parse(const char *s)
{
    return json_parse(s, strlen(s));
}

/* `depth` brackets around a number, of both kinds in turn. */
static json_t *parse_nested(int depth)
{
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    for (int i = 0; i < depth; i++)
        assert_int_equal(buf_adds(&b, i % 2 ? "{\"a\":" : "["), 0);
    assert_int_equal(buf_adds(&b, "1"), 0);
    for (int i = depth - 1; i >= 0; i--)
        assert_int_equal(buf_adds(&b, i % 2 ? "}" : "]"), 0);
    return json_parse(b.data, b.len);
}

static void depth_is_limited(void **state)
{
    (void)state;
    for (int depth = 0; depth <= JSON_MAX_DEPTH + 2; depth++) {
        _cleanup_json_ json_t *v = parse_nested(depth);
        assert_int_equal(v != NULL, depth <= JSON_MAX_DEPTH);
    }
}

/* "[{},{},…]" with n inner values. */
static json_t *parse_many(const char *inner, size_t n)
{
    _cleanup_buf_ struct buf b = BUF_INIT(4 * 1024 * 1024);
    assert_int_equal(buf_adds(&b, "["), 0);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(buf_adds(&b, i ? "," : ""), 0);
        assert_int_equal(buf_adds(&b, inner), 0);
    }
    assert_int_equal(buf_adds(&b, "]"), 0);
    return json_parse(b.data, b.len);
}

static void short_texts_cannot_become_large_values(void **state)
{
    static const struct {
        const char *inner;
        size_t most;
    } kinds[] = {{"{}", JSON_MAX_CONTAINERS - 1},
                 {"[]", JSON_MAX_CONTAINERS - 1},
                 {"0", JSON_MAX_VALUES},
                 {"\"\"", JSON_MAX_VALUES}};
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        _cleanup_json_ json_t *most = parse_many(kinds[i].inner, kinds[i].most);
        _cleanup_json_ json_t *more = parse_many(kinds[i].inner, kinds[i].most + 1);
        assert_int_equal(json_array_size(most), kinds[i].most);
        assert_null(more);
    }
    _cleanup_json_ json_t *text = parse_many("\"{{{[[[,,,,,,,,\"", JSON_MAX_VALUES / 8);
    assert_int_equal(json_array_size(text), JSON_MAX_VALUES / 8);
}

static void what_was_written_can_be_read_at_any_depth(void **state)
{
    (void)state;
    _cleanup_json_ json_t *inner = parse_nested(JSON_MAX_DEPTH), *outer = json_array();
    assert_int_equal(json_array_append(outer, inner), 0);
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    assert_int_equal(json_write(&b, outer), 0);
    assert_null(json_parse(b.data, b.len));
    _cleanup_json_ json_t *again = json_parse_own(b.data, b.len);
    assert_true(json_equal(again, outer));
}

static void brackets_in_texts_are_no_depth(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    (void)state;
    assert_int_equal(buf_adds(&b, "[\"\\\""), 0);
    for (int i = 0; i < 200; i++)
        assert_int_equal(buf_adds(&b, "[{"), 0);
    assert_int_equal(buf_adds(&b, "\\\\\"]"), 0);
    _cleanup_json_ json_t *v = json_parse(b.data, b.len);
    assert_int_equal(json_string_length(json_array_get(v, 0)), 402);
}

static void wide_is_not_deep(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(64 * 1024);
    (void)state;
    assert_int_equal(buf_adds(&b, "[[]"), 0);
    for (int i = 0; i < 5000; i++)
        assert_int_equal(buf_adds(&b, ",[]"), 0);
    assert_int_equal(buf_adds(&b, "]"), 0);
    _cleanup_json_ json_t *v = json_parse(b.data, b.len);
    assert_int_equal(json_array_size(v), 5001);
}

static void what_is_read_and_what_is_not(void **state)
{
    static const char *const good[] = {"1",           "\"x\"",
                                       "null",        "true",
                                       "[]",          "{}",
                                       " {\"a\":1} ", "{\"a\":{\"a\":1}}",
                                       "-0.5e3",      "\"\\ud83d\\ude00\"",
                                       "{\"\":1}"};
    static const char *const bad[] = {
        "",
        " ",
        "{",
        "}",
        "[1,]",
        "{\"a\":1,}",
        "{'a':1}",
        "{a:1}",
        "01",
        "1 2",
        "nul",
        "[1]]",
        "\"\n\"",
        "\"\\x\"",
        "\"a",
        "{\"a\":1,\"a\":1}",           /* duplicate keys */
        "{\"a\":1,\"\\u0061\":2}",     /* also under an escape */
        "{\"x\":[{\"b\":1,\"b\":2}]}", /* also further in */
        "\"\xC3\"",
        "\"\xED\xA0\x80\"",
        "\"\\ud83d\"",
        "\"\\u0000\"",
        "{\"\\u0000\":1}",
        "1e999",
        "9223372036854775808",
        "NaN",
        "]]]]{}",
        "// x\n1",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        _cleanup_json_ json_t *v = parse(good[i]);
        if (!v)
            fail_msg("refused %s", good[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        _cleanup_json_ json_t *v = parse(bad[i]);
        if (v)
            fail_msg("accepted %s", bad[i]);
    }
    assert_null(json_parse("1\0", 2));
    assert_null(json_parse("{}\0garbage", 10));
    assert_null(json_parse("", 0));
}

static void getters_fall_back_on_absence_and_on_other_types(void **state)
{
    _cleanup_json_ json_t *v = parse("{\"s\":\"text\",\"i\":7,\"r\":1.5,\"t\":true,\"f\":false,\"n\":null}");
    (void)state;
    assert_string_equal(json_str(v, "s", "-"), "text");
    assert_string_equal(json_str(v, "i", "-"), "-");
    assert_string_equal(json_str(v, "none", "-"), "-");
    assert_null(json_str(v, "n", NULL));
    assert_int_equal(json_int(v, "i", 9), 7);
    assert_int_equal(json_int(v, "r", 9), 9);
    assert_int_equal(json_int(v, "t", 9), 9);
    assert_true(json_num(v, "i", 9) == 7.0);
    assert_true(json_num(v, "r", 9) == 1.5);
    assert_true(json_num(v, "s", 9) == 9.0);
    assert_true(json_bool(v, "t", false));
    assert_false(json_bool(v, "f", true));
    assert_true(json_bool(v, "n", true));
    assert_true(json_bool(NULL, "n", true));
    assert_int_equal(json_int(json_object_get(v, "s"), "i", 9), 9);
}

static uint32_t seed = 2463534242u;

static uint32_t below(uint32_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed % n;
}

/* Characters of all kinds: control, quotes, ASCII, and two to four bytes long. */
static size_t random_utf8(char *to, size_t most)
{
    size_t len = 0;
    while (len + 4 <= most) {
        static const char *const odd[] = {
            "\"", "\\", "/", "\x7F", "é", "߿", "ࠀ", "\xEF\xBF\xBF", "\xE2\x80\xA8", "😀", "\xF4\x8F\xBF\xBF"};
        char plain[2] = {(char)(1 + below(126)), '\0'};
        const char *piece = below(3) ? plain : odd[below(ARRAY_LEN(odd))];
        memcpy(to + len, piece, strlen(piece));
        len += strlen(piece);
    }
    return len;
}

static void random_texts_read_back_as_jansson_reads_them(void **state)
{
    (void)state;
    for (int round = 0; round < 3000; round++) {
        char text[260];
        size_t len = random_utf8(text, 4 + below(256));
        _cleanup_buf_ struct buf b = BUF_INIT(8192);
        assert_true(utf8_valid(text, len));
        assert_int_equal(json_write_str(&b, text, len), 0);
        assert_null(memchr(b.data, '\n', b.len));
        _cleanup_json_ json_t *back = json_parse(b.data, b.len);
        assert_non_null(back);
        assert_int_equal(json_string_length(back), len);
        assert_memory_equal(json_string_value(back), text, len);
        struct buf theirs = BUF_INIT(8192);
        assert_int_equal(json_write(&theirs, back), 0);
        assert_int_equal(theirs.len, b.len); /* escapes differ at most in the case of hex digits */
        buf_free(&theirs);
    }
}

static void nul_and_every_control_character_is_escaped(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(8192);
    char text[33];
    (void)state;
    for (int i = 0; i < 33; i++)
        text[i] = (char)i;
    assert_int_equal(json_write_str(&b, text, sizeof text), 0);
    for (size_t i = 0; i < b.len; i++)
        assert_true((unsigned char)b.data[i] >= 0x20);
    json_t *back = json_loadb(b.data, b.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    assert_int_equal(json_string_length(back), 33);
    assert_memory_equal(json_string_value(back), text, 33);
    json_decref(back);
}

static void writing_stops_at_the_maximum(void **state)
{
    _cleanup_json_ json_t *v = parse("{\"key\":[1,2.5,\"text\",null,true,0.9]}");
    static const char text[] = "{\"key\":[1,2.5,\"text\",null,true,0.9]}";
    (void)state;
    for (size_t max = 3; max < sizeof text + 6; max++) {
        _cleanup_buf_ struct buf b = BUF_INIT(max);
        assert_int_equal(buf_adds(&b, "..."), 0);
        int r = json_write(&b, v);
        assert_int_equal(r, max >= 3 + sizeof text - 1 ? 0 : -ENOBUFS);
        assert_string_equal(buf_str(&b), r ? "..." : "...{\"key\":[1,2.5,\"text\",null,true,0.9]}");
    }
    struct arena a;
    arena_init(&a, 4096);
    assert_string_equal(json_text(&a, v), text);
    arena_free(&a);
    arena_init(&a, 16);
    assert_null(json_text(&a, v));
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(short_texts_cannot_become_large_values),
        cmocka_unit_test(what_was_written_can_be_read_at_any_depth),
        cmocka_unit_test(brackets_in_texts_are_no_depth),
        cmocka_unit_test(wide_is_not_deep),
        cmocka_unit_test(what_is_read_and_what_is_not),
        cmocka_unit_test(getters_fall_back_on_absence_and_on_other_types),
        cmocka_unit_test(random_texts_read_back_as_jansson_reads_them),
        cmocka_unit_test(nul_and_every_control_character_is_escaped),
        cmocka_unit_test(writing_stops_at_the_maximum),
    };
    return cmocka_run_group_tests_name("base/json", tests, NULL, NULL);
}
