/* SPDX-License-Identifier: MIT */
#include "items/access.h"
#include "posts/platforms.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static size_t count(const char *platform, const char *text)
{
    return platform_count(platform_find(platform), text, strlen(text));
}

static void the_table_has_the_platforms_of_the_collections(void **state)
{
    (void)state;
    int n = 0;
    for (const struct platform *p = platforms; p->name; p++, n++) {
        assert_true(access_choice(PLATFORMS, p->name));
        assert_true(p->text_max > 0 && p->text_max <= POST_TEXT_MAX);
        assert_true(p->caption_max > 0 && p->caption_max <= p->text_max);
    }
    assert_int_equal(n, 9);
    assert_null(platform_find("myspace"));
}

static void each_counts_in_its_own_units(void **state)
{
    (void)state;
    static const char grin[] = "\xF0\x9F\x98\x80", accent[] = "\xC3\xA9", kanji[] = "\xE6\xBC\xA2";
    static const char family[] = "\xF0\x9F\x91\xA8\xE2\x80\x8D\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x91\xA7";
    static const struct {
        const char *platform, *text;
        size_t units;
    } cases[] = {
        {"facebook", grin, 1},
        {"tiktok", grin, 2},
        {"youtube", grin, 4},
        {"x", grin, 2},
        {"facebook", accent, 1},
        {"tiktok", accent, 1},
        {"youtube", accent, 2},
        {"x", accent, 1},
        {"x", kanji, 2},
        {"instagram", kanji, 1},
        {"x", family, 2},
        {"instagram", family, 5},
        {"x", "see https://example.com/a/very/long/path/that/nobody/reads", 4 + 23},
        {"x", "http://a.b", 23},
        {"x", "xhttp://a.b", 11},
        {"x", "", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(count(cases[i].platform, cases[i].text), cases[i].units);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_has_the_platforms_of_the_collections),
        cmocka_unit_test(each_counts_in_its_own_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
