/* SPDX-License-Identifier: MIT */
#include "base/uuid.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void made_ones_are_version_4_and_differ(void **state)
{
    static char made[1000][UUID_SIZE];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(made); i++) {
        uuid_make(made[i]);
        assert_true(uuid_valid(made[i]));
        assert_int_equal(strlen(made[i]), UUID_LEN);
        assert_int_equal(made[i][14], '4');
        assert_non_null(strchr("89ab", made[i][19]));
        assert_int_equal(strspn(made[i], "0123456789abcdef-"), UUID_LEN);
    }
    qsort(made, ARRAY_LEN(made), UUID_SIZE, compare);
    for (size_t i = 1; i < ARRAY_LEN(made); i++)
        assert_string_not_equal(made[i - 1], made[i]);
}

static void only_the_36_character_form_is_valid(void **state)
{
    static const char *const good[] = {"00000000-0000-0000-0000-000000000000",
                                       "FFFFFFFF-ffff-FFFF-ffff-FFFFFFFFFFFF",
                                       "0189dcbf-6d5b-7c3a-9e6f-0123456789ab"};
    static const char *const bad[] = {
        "",
        "-",
        "0189dcbf-6d5b-7c3a-9e6f-0123456789a",
        "0189dcbf-6d5b-7c3a-9e6f-0123456789abc",
        "0189dcbf6d5b7c3a9e6f0123456789ab",
        "0189dcbf-6d5b-7c3a-9e6f-0123456789ag",
        "0189dcbf-6d5b-7c3a-9e6f_0123456789ab",
        "0189dcb-f6d5b-7c3a-9e6f-0123456789ab",
        "{189dcbf-6d5b-7c3a-9e6f-0123456789a}",
        "0189dcbf-6d5b-7c3a-9e6f-0123456789ab ",
        "0189dcbf-6d5b-7c3a-9e6f-\303\25123456789ab",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(uuid_valid(good[i]));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(uuid_valid(bad[i]));
}

static void random_text_uses_its_whole_alphabet(void **state)
{
    static const char *const alphabets[] = {"01", "abc", "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(alphabets); i++) {
        char text[2001];
        random_text(alphabets[i], text, 2000);
        assert_int_equal(strlen(text), 2000);
        assert_int_equal(strspn(text, alphabets[i]), 2000);
        for (const char *c = alphabets[i]; *c; c++)
            assert_non_null(strchr(text, *c)); /* missing by chance: less than once in 10^27 */
    }
    char none[1] = "x";
    random_text("ab", none, 0);
    assert_string_equal(none, "");
}

static void random_bytes_fill_exactly_what_is_asked(void **state)
{
    uint8_t bytes[66] = {0}, seen[66] = {0};
    (void)state;
    for (int round = 0; round < 64; round++) {
        random_bytes(bytes + 1, 64);
        for (size_t i = 0; i < sizeof bytes; i++)
            seen[i] |= bytes[i];
    }
    assert_int_equal(seen[0], 0);
    assert_int_equal(seen[65], 0);
    for (size_t i = 1; i <= 64; i++)
        assert_int_not_equal(seen[i], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(made_ones_are_version_4_and_differ),
        cmocka_unit_test(only_the_36_character_form_is_valid),
        cmocka_unit_test(random_text_uses_its_whole_alphabet),
        cmocka_unit_test(random_bytes_fill_exactly_what_is_asked),
    };
    return cmocka_run_group_tests_name("base/uuid", tests, NULL, NULL);
}
