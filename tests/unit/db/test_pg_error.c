/* SPDX-License-Identifier: MIT */
/* What each of PostgreSQL's errors means for a unit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "db/pg_error.h"

#include <errno.h>

static void each_code_has_its_meaning(void **state)
{
    (void)state;
    static const struct {
        const char *code;
        struct pg_error error;
    } cases[] = {
        {"23505", {-EEXIST, false, true, false}}, /* unique */
        {"23503", {-EDOM, false, false, false}},  /* foreign key */
        {"23514", {-EDOM, false, false, false}},  /* check */
        {"22P02", {-EDOM, false, false, false}},  /* not a value of this type */
        {"40001", {-ETIMEDOUT, true, false, false}},  {"40P01", {-ETIMEDOUT, true, false, false}},
        {"53100", {-ENOSPC, false, false, false}},    {"53200", {-ENOMEM, false, false, false}},
        {"57014", {-ETIMEDOUT, false, false, false}}, {"55P03", {-ETIMEDOUT, false, false, false}},
        {"57P01", {-EIO, false, false, true}}, /* the server stops */
        {"08006", {-EIO, false, false, true}},        {"42601", {-EIO, false, false, false}}, /* syntax */
        {"25006", {-EIO, false, false, false}},                                               /* read only */
        {NULL, {-EIO, false, false, true}},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct pg_error e = pg_error_of(cases[i].code);
        assert_int_equal(e.r, cases[i].error.r);
        assert_int_equal(e.again, cases[i].error.again);
        assert_int_equal(e.duplicate, cases[i].error.duplicate);
        assert_int_equal(e.lost, cases[i].error.lost);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_code_has_its_meaning)};
    return cmocka_run_group_tests_name("db/pg_error", tests, NULL, NULL);
}
