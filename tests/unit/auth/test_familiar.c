/* SPDX-License-Identifier: MIT */
#include "auth/familiar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void places_belong_to_their_account(void **state)
{
    (void)state;
    struct familiar *f = familiar_new(8);
    assert_false(familiar_has(f, "anna", "192.0.2.1"));
    familiar_add(f, "anna", "192.0.2.1");
    assert_true(familiar_has(f, "anna", "192.0.2.1"));
    assert_false(familiar_has(f, "anna", "192.0.2.2"));
    assert_false(familiar_has(f, "bert", "192.0.2.1"));
    assert_false(familiar_has(f, "anna", ""));
    familiar_free(f);
    familiar_free(NULL);
}

static void the_last_few_places_are_kept(void **state)
{
    (void)state;
    struct familiar *f = familiar_new(8);
    char place[16];
    for (int i = 0; i < FAMILIAR_PLACES; i++) {
        (void)snprintf(place, sizeof place, "p%d", i);
        familiar_add(f, "anna", place);
    }
    familiar_add(f, "anna", "p0"); /* used again: p1 is now the oldest */
    familiar_add(f, "anna", "new");
    assert_true(familiar_has(f, "anna", "p0"));
    assert_false(familiar_has(f, "anna", "p1"));
    for (int i = 2; i < FAMILIAR_PLACES; i++) {
        (void)snprintf(place, sizeof place, "p%d", i);
        assert_true(familiar_has(f, "anna", place));
    }
    assert_true(familiar_has(f, "anna", "new"));
    familiar_free(f);
}

static void too_long_or_empty_places_are_not_kept(void **state)
{
    (void)state;
    struct familiar *f = familiar_new(8);
    char longest[FAMILIAR_PLACE_MAX + 2];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    familiar_add(f, "anna", longest);
    assert_false(familiar_has(f, "anna", longest));
    familiar_add(f, "anna", longest + 1);
    assert_true(familiar_has(f, "anna", longest + 1));
    familiar_add(f, "anna", "");
    assert_false(familiar_has(f, "anna", ""));
    familiar_free(f);
}

static void the_account_used_longest_ago_makes_room(void **state)
{
    (void)state;
    struct familiar *f = familiar_new(2);
    familiar_add(f, "anna", "a");
    familiar_add(f, "bert", "b");
    familiar_add(f, "anna", "a");
    familiar_add(f, "carl", "c");
    assert_true(familiar_has(f, "anna", "a"));
    assert_false(familiar_has(f, "bert", "b"));
    assert_true(familiar_has(f, "carl", "c"));
    for (int i = 0; i < 100; i++) { /* one account alone makes no room by logging in from everywhere */
        char place[16];
        (void)snprintf(place, sizeof place, "p%d", i);
        familiar_add(f, "carl", place);
    }
    assert_true(familiar_has(f, "anna", "a"));
    familiar_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_belong_to_their_account),
        cmocka_unit_test(the_last_few_places_are_kept),
        cmocka_unit_test(too_long_or_empty_places_are_not_kept),
        cmocka_unit_test(the_account_used_longest_ago_makes_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
