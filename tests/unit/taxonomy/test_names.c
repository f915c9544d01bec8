/* SPDX-License-Identifier: MIT */
#include "taxonomy/names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>

static void terms_have_one_spelling(void **state)
{
    (void)state;
    static const struct {
        const char *given, *normal;
    } terms[] = {
        {"beach", "beach"},
        {"  Golden Hour\n", "golden-hour"},
        {"Golden \t  Hour", "golden-hour"},
        {"golden-hour", "golden-hour"},
        {"4K", "4k"},
        {"Café au lait", "café-au-lait"},
        {"CAFE\xCC\x81", "café"}, /* the accent as a mark of its own */
        {"ÜBERGRÖSSE", "übergrösse"},
        {"behind the scenes (raw)", "behind-the-scenes-(raw)"},
    };
    for (size_t i = 0; i < sizeof terms / sizeof terms[0]; i++) {
        char got[TAXONOMY_NAME_MAX + 1];
        int r = taxonomy_normalise(terms[i].given, strlen(terms[i].given), got);
        assert_int_equal(r, (int)strlen(terms[i].normal));
        assert_string_equal(got, terms[i].normal);
        char again[TAXONOMY_NAME_MAX + 1];
        assert_int_equal(taxonomy_normalise(got, strlen(got), again), r);
        assert_string_equal(again, got);
    }
}

static void what_is_no_term_is_refused(void **state)
{
    (void)state;
    char got[TAXONOMY_NAME_MAX + 1], text[10 * TAXONOMY_NAME_MAX];
    assert_int_equal(taxonomy_normalise("", 0, got), -EINVAL);
    assert_int_equal(taxonomy_normalise(" \t\n", 3, got), -EINVAL);
    assert_int_equal(taxonomy_normalise("a\x01z", 3, got), -EINVAL);
    assert_int_equal(taxonomy_normalise("a\0z", 3, got), -EINVAL);
    assert_int_equal(taxonomy_normalise("a\xff", 2, got), -EINVAL);
    memset(text, 'x', sizeof text);
    assert_int_equal(taxonomy_normalise(text, TAXONOMY_NAME_MAX, got), TAXONOMY_NAME_MAX);
    assert_int_equal(taxonomy_normalise(text, TAXONOMY_NAME_MAX + 1, got), -E2BIG);
    assert_int_equal(taxonomy_normalise(text, sizeof text, got), -E2BIG);
    memset(text, ' ', sizeof text); /* blanks around it don't count */
    text[500] = 'x';
    assert_int_equal(taxonomy_normalise(text, sizeof text, got), 1);
}

static void compounds_have_parts(void **state)
{
    (void)state;
    const char *at = "-behind--the-scenes-", *part;
    size_t len;
    char joined[64] = "";
    while (taxonomy_next_part(&at, &part, &len)) {
        strncat(joined, part, len);
        strcat(joined, "|");
    }
    assert_string_equal(joined, "behind|the|scenes|");
    assert_true(taxonomy_is_compound("golden-hour"));
    assert_false(taxonomy_is_compound("beach"));
    assert_false(taxonomy_is_compound("beach-"));
    assert_false(taxonomy_is_compound("-"));
}

static void names_of_types_lead_back(void **state)
{
    (void)state;
    for (int i = 0; i < TAXONOMY_TYPES; i++)
        assert_int_equal(taxonomy_type_find(taxonomy_type_name((enum taxonomy_type)i)), i);
    for (int i = 0; i < TAXONOMY_RELATIONS; i++)
        assert_int_equal(taxonomy_relation_find(taxonomy_relation_info((enum taxonomy_relation)i)->name), i);
    assert_int_equal(taxonomy_type_find("tags"), -ENOENT);
    assert_int_equal(taxonomy_relation_find(NULL), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(terms_have_one_spelling),
        cmocka_unit_test(what_is_no_term_is_refused),
        cmocka_unit_test(compounds_have_parts),
        cmocka_unit_test(names_of_types_lead_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
