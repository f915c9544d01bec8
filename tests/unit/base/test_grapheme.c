/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "base/grapheme.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

/* Each text is one cluster, alone and with a letter behind it. */
static void what_looks_like_one_is_one(void **state)
{
    (void)state;
    static const char *const clusters[] = {
        "a",
        "\xC3\xA9",
        "e\xCC\x81",
        "\r\n",
        "\xF0\x9F\x87\xA9\xF0\x9F\x87\xAA",                                         /* a flag */
        "\xF0\x9F\x91\x8D\xF0\x9F\x8F\xBD",                                         /* with a skin tone */
        "\xF0\x9F\x91\xA8\xE2\x80\x8D\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x91\xA7", /* a family */
        "\xE2\x9D\xA4\xEF\xB8\x8F\xE2\x80\x8D\xF0\x9F\x94\xA5",                     /* a heart on fire */
        "\xE0\xA4\xA8\xE0\xA4\xBF", /* a Devanagari syllable */
    };
    for (size_t i = 0; i < ARRAY_LEN(clusters); i++) {
        char text[64];
        size_t n = strlen(clusters[i]);
        (void)snprintf(text, sizeof text, "%sz", clusters[i]);
        assert_int_equal(grapheme_length(clusters[i], n), n);
        assert_int_equal(grapheme_length(text, n + 1), n);
        assert_int_equal(grapheme_floor(text, n + 1, n), n);
        assert_int_equal(grapheme_floor(text, n + 1, n - 1), 0);
    }
}

static void flags_are_pairs(void **state)
{
    (void)state;
    static const char three[] =
        "\xF0\x9F\x87\xA9\xF0\x9F\x87\xAA\xF0\x9F\x87\xAB\xF0\x9F\x87\xB7\xF0\x9F\x87\xA9";
    assert_int_equal(grapheme_floor(three, 20, 20), 20);
    assert_int_equal(grapheme_floor(three, 20, 19), 16);
    assert_int_equal(grapheme_floor(three, 20, 15), 8);
}

static void joiners_glue_no_letters(void **state)
{
    (void)state;
    assert_int_equal(grapheme_length("a\xE2\x80\x8D"
                                     "b",
                                     5),
                     4);
    assert_int_equal(grapheme_length("", 0), 0);
    assert_int_equal(grapheme_floor("", 0, 10), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_looks_like_one_is_one),
        cmocka_unit_test(flags_are_pairs),
        cmocka_unit_test(joiners_glue_no_letters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
