/* SPDX-License-Identifier: MIT */
#include "corpora.h"

#include "reader/decode.h"

static void expect(const char *bytes, size_t len, const char *text)
{
    struct buf out = BUF_INIT(4096);
    const char *got;
    size_t got_len;
    assert_int_equal(text_decode(bytes, len, &out, &got, &got_len), 0);
    assert_int_equal(got_len, strlen(text));
    assert_memory_equal(got, text, got_len);
    buf_free(&out);
}

static void refuse(const char *bytes, size_t len)
{
    struct buf out = BUF_INIT(4096);
    const char *got;
    size_t got_len;
    assert_int_equal(text_decode(bytes, len, &out, &got, &got_len), -EBADMSG);
    buf_free(&out);
}

static void test_encodings_are_found(void **state)
{
    (void)state;
    expect("plain", 5, "plain");
    expect("", 0, "");
    expect("\xEF\xBB\xBF"
           "caf\xC3\xA9",
           8, "caf\xC3\xA9");
    expect("caf\xE9 \x93quoted\x94", 13, "caf\xC3\xA9 \xE2\x80\x9Cquoted\xE2\x80\x9D");
    expect("\xC3\xA9\xC3\xA9\xC3\xA9 \xFF", 8, "\xC3\xA9\xC3\xA9\xC3\xA9 \xEF\xBF\xBD");
    expect("\xFF\xFE"
           "a\0\xE9\0",
           6, "a\xC3\xA9");
    expect("\xFE\xFF\0a\xD8=\xDE\x0A", 8, "a\xF0\x9F\x98\x8A");
    expect("\xFE\xFF\xD8=\0a", 6,
           "\xEF\xBF\xBD"
           "a"); /* half of a pair */
}

static void test_what_is_no_text(void **state)
{
    (void)state;
    refuse("a\0b", 3);
    refuse("\1\2\3", 3);
    refuse("\xFF\xFE\0\0", 4);
}

static void test_mending(void **state)
{
    static const struct {
        const char *from, *to;
    } cases[] = {
        {"caf\xC3\x83\xC2\xA9", "caf\xC3\xA9"},
        {"caf\xC3\xA9", "caf\xC3\xA9"}, /* right as it is */
        {"caf\xC3\x83", "caf\xC3\x83"}, /* half of one */
        {"\xE2\x82\xAC\xC3\x83\xC2\xA9", "\xE2\x82\xAC\xC3\x83\xC2\xA9"},
        {"plain", "plain"},
        {"", ""},
    };
    char s[64];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        (void)snprintf(s, sizeof s, "%s", cases[i].from);
        assert_int_equal(text_mend(s, strlen(s)), strlen(cases[i].to));
        assert_memory_equal(s, cases[i].to, strlen(cases[i].to));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encodings_are_found),
        cmocka_unit_test(test_what_is_no_text),
        cmocka_unit_test(test_mending),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
