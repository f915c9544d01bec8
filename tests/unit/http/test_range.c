/* SPDX-License-Identifier: MIT */
#include "http/range.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define HUGE "99999999999999999999999999999999999999"

static const struct {
    const char *header;
    int64_t size;
    enum range range;
    int64_t first, last;
} cases[] = {
    {NULL, 100, RANGE_WHOLE, 0, 0},
    {"", 100, RANGE_WHOLE, 0, 0},
    {"bytes=0-", 100, RANGE_PART, 0, 99},
    {"bytes=0-0", 100, RANGE_PART, 0, 0},
    {"bytes=99-99", 100, RANGE_PART, 99, 99},
    {"bytes=10-1000", 100, RANGE_PART, 10, 99},
    {"bytes=10-" HUGE, 100, RANGE_PART, 10, 99},
    {"bytes=-1", 100, RANGE_PART, 99, 99},
    {"bytes=-" HUGE, 100, RANGE_PART, 0, 99},
    {"Bytes= 7-8\t", 100, RANGE_PART, 7, 8},
    {"bytes=100-", 100, RANGE_UNSATISFIABLE, 0, 0},
    {"bytes=" HUGE "-", 100, RANGE_UNSATISFIABLE, 0, 0},
    {"bytes=-0", 100, RANGE_UNSATISFIABLE, 0, 0},
    {"bytes=0-", 0, RANGE_UNSATISFIABLE, 0, 0},
    {"bytes=-1", 0, RANGE_UNSATISFIABLE, 0, 0},
    {"bytes=8-7", 100, RANGE_WHOLE, 0, 0},
    {"bytes=-", 100, RANGE_WHOLE, 0, 0},
    {"bytes=5", 100, RANGE_WHOLE, 0, 0},
    {"bytes=+5-6", 100, RANGE_WHOLE, 0, 0},
    {"bytes=5-6x", 100, RANGE_WHOLE, 0, 0},
    {"bytes=5 -6", 100, RANGE_WHOLE, 0, 0},
    {"bytes=0-1,3-4", 100, RANGE_WHOLE, 0, 0},
    {"items=0-1", 100, RANGE_WHOLE, 0, 0},
    {"bytes", 100, RANGE_WHOLE, 0, 0},
};

static void one_range_is_understood(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t first = 0, last = 0;
        assert_int_equal(range_parse(cases[i].header, cases[i].size, &first, &last), cases[i].range);
        assert_int_equal(first, cases[i].first);
        assert_int_equal(last, cases[i].last);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_range_is_understood)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
