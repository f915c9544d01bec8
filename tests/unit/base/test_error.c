/* SPDX-License-Identifier: MIT */
#include "base/error.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void every_row_is_complete(void **state)
{
    (void)state;
    for (int id = ERR_NONE + 1; id < ERROR_COUNT; id++) {
        const struct error_info *info = error_info((enum error_id)id);
        assert_true(info->status >= 400 && info->status < 600);
        assert_true(info->code[0] && str_only(info->code, "abcdefghijklmnopqrstuvwxyz0123456789_"));
        /* a quota's refusal is documented with its code for a sentence */
        if (strcmp(info->sentence, info->code) != 0)
            assert_true(info->sentence[0] >= 'A' && info->sentence[0] <= 'Z');
        assert_int_not_equal(info->sentence[strlen(info->sentence) - 1], '.');
    }
}

static void codes_are_unique(void **state)
{
    (void)state;
    for (int a = ERR_NONE + 1; a < ERROR_COUNT; a++)
        for (int b = a + 1; b < ERROR_COUNT; b++)
            assert_string_not_equal(error_info((enum error_id)a)->code, error_info((enum error_id)b)->code);
}

static void what_is_no_error_reads_as_an_internal_one(void **state)
{
    static const int ids[] = {ERR_NONE, ERROR_COUNT, ERROR_COUNT + 1, -1};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        assert_string_equal(error_info((enum error_id)ids[i])->code, "internal_error");
}

static void documented_sentences_stand(void **state)
{
    (void)state;
    assert_string_equal(error_info(ERR_UNAUTHORIZED)->sentence, "Invalid or expired token");
    assert_string_equal(error_info(ERR_MISSING_FIELD)->sentence, "Missing required fields");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_complete),
        cmocka_unit_test(codes_are_unique),
        cmocka_unit_test(what_is_no_error_reads_as_an_internal_one),
        cmocka_unit_test(documented_sentences_stand),
    };
    return cmocka_run_group_tests_name("base/error", tests, NULL, NULL);
}
