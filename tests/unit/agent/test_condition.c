/* SPDX-License-Identifier: MIT */
/* The test of a condition: every operator over every kind of value. */
#include "agent/condition.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static const struct {
    const char *test;
    int result;
} cases[] = {
    {"{\"left\":\"$input.n\",\"op\":\"eq\",\"right\":3}", 1},
    {"{\"left\":\"$input.n\",\"op\":\"eq\",\"right\":3.0}", 1},
    {"{\"left\":\"$input.n\",\"op\":\"eq\",\"right\":\"3\"}", 0},
    {"{\"left\":\"$input.n\",\"op\":\"ne\",\"right\":4}", 1},
    {"{\"left\":\"$input.s\",\"op\":\"eq\",\"right\":\"warm\"}", 1},
    {"{\"left\":\"$input.s\",\"op\":\"ne\",\"right\":\"warm\"}", 0},
    {"{\"left\":{\"a\":[1]},\"op\":\"eq\",\"right\":{\"a\":[1]}}", 1},
    {"{\"left\":\"$input.nothing_set\",\"op\":\"eq\",\"right\":1}", -ENOENT},
    {"{\"left\":1,\"op\":\"eq\",\"right\":\"$input.nothing_set\"}", -ENOENT},
    {"{\"left\":\"$input.n\",\"op\":\"lt\",\"right\":3}", 0},
    {"{\"left\":\"$input.n\",\"op\":\"lt\",\"right\":3.5}", 1},
    {"{\"left\":\"$input.n\",\"op\":\"gt\",\"right\":2}", 1},
    {"{\"left\":\"$input.n\",\"op\":\"gt\",\"right\":3}", 0},
    {"{\"left\":\"2026-01-02\",\"op\":\"lt\",\"right\":\"2026-01-10\"}", 1},
    {"{\"left\":\"b\",\"op\":\"gt\",\"right\":\"a\"}", 1},
    {"{\"left\":\"b\",\"op\":\"gt\",\"right\":1}", -EINVAL},
    {"{\"left\":null,\"op\":\"lt\",\"right\":1}", -EINVAL},
    {"{\"left\":\"a warm day\",\"op\":\"contains\",\"right\":\"$input.s\"}", 1},
    {"{\"left\":\"a cold day\",\"op\":\"contains\",\"right\":\"$input.s\"}", 0},
    {"{\"left\":\"$input.list\",\"op\":\"contains\",\"right\":2}", 1},
    {"{\"left\":\"$input.list\",\"op\":\"contains\",\"right\":\"2\"}", 0},
    {"{\"left\":\"$input\",\"op\":\"contains\",\"right\":\"list\"}", 1},
    {"{\"left\":7,\"op\":\"contains\",\"right\":7}", -EINVAL},
    {"{\"left\":\"$input.s\",\"op\":\"exists\"}", 1},
    {"{\"left\":\"$input.none\",\"op\":\"exists\"}", 0},
    {"{\"left\":\"$input.nothing_set\",\"op\":\"exists\"}", 0},
    {"{\"left\":\"$input.list.9\",\"op\":\"exists\"}", 0},
    {"{\"left\":\"$input.empty\",\"op\":\"exists\"}", 1},
};

static void a_test_is_true_false_or_an_error(void **state)
{
    (void)state;
    static const char text[] = "{\"n\":3,\"s\":\"warm\",\"list\":[1,2.0],\"none\":null,\"empty\":\"\"}";
    _cleanup_json_ json_t *input = json_parse(text, strlen(text));
    const struct interpolate_scope scope = {.input = input, .user_id = "u"};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char error[200] = "";
        _cleanup_json_ json_t *test = json_parse(cases[i].test, strlen(cases[i].test));
        int r = condition_test(test, &scope, error, sizeof error);
        if (r != cases[i].result)
            fail_msg("%s gave %d: %s", cases[i].test, r, error);
        assert_int_equal(error[0] != '\0', r < 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_test_is_true_false_or_an_error)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
