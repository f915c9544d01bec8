/* SPDX-License-Identifier: MIT */
/* Who hears guidance instead of an answer. */
#include "agent/gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static const enum onboarding_state states[] = {ONBOARDING_EXTENSION, ONBOARDING_DATA, ONBOARDING_PROCESSING,
                                               ONBOARDING_COMPLETE};

static void a_creator_is_guided_until_data_are_there(void **state)
{
    (void)state;
    struct identity creator = {.app_access = true};
    const char *extension = gate_guidance(ONBOARDING_EXTENSION, &creator);
    const char *data = gate_guidance(ONBOARDING_DATA, &creator);
    assert_non_null(extension);
    assert_non_null(data);
    assert_non_null(strstr(extension, "extension"));
    assert_non_null(strstr(data, "upload"));
    assert_string_not_equal(extension, data);
    assert_null(gate_guidance(ONBOARDING_PROCESSING, &creator));
    assert_null(gate_guidance(ONBOARDING_COMPLETE, &creator));
}

static void an_admin_is_never_gated(void **state)
{
    (void)state;
    struct identity admin = {.admin = true};
    assert_true(gate_is_admin(&admin));
    for (size_t i = 0; i < ARRAY_LEN(states); i++)
        assert_null(gate_guidance(states[i], &admin));
}

static void an_impersonated_session_counts_as_its_creator(void **state)
{
    (void)state;
    struct identity who = {.admin = true, .impersonated_by = "00000000-0000-4000-8000-00000000000c"};
    assert_false(gate_is_admin(&who));
    assert_non_null(gate_guidance(ONBOARDING_EXTENSION, &who));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_creator_is_guided_until_data_are_there),
        cmocka_unit_test(an_admin_is_never_gated),
        cmocka_unit_test(an_impersonated_session_counts_as_its_creator),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
