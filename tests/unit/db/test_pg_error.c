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
        {"23505", {.r = -EEXIST, .duplicate = true}},
        {"23503", {.r = -EDOM}}, /* foreign key */
        {"23514", {.r = -EDOM}}, /* check */
        {"22P02", {.r = -EDOM}}, /* not a value of this type */
        {"40001", {.r = -ETIMEDOUT, .again = true}},
        {"40P01", {.r = -ETIMEDOUT, .again = true, .deadlock = true}},
        {"53100", {.r = -ENOSPC}},
        {"53200", {.r = -ENOMEM}},
        {"57014", {.r = -ETIMEDOUT}},
        {"55P03", {.r = -ETIMEDOUT}},
        {"57P01", {.r = -EIO, .lost = true}}, /* the server stops */
        {"08006", {.r = -EIO, .lost = true}},
        {"42601", {.r = -EIO}}, /* syntax */
        {"25006", {.r = -EIO}}, /* read only */
        {NULL, {.r = -EIO, .lost = true}},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct pg_error e = pg_error_of(cases[i].code);
        assert_int_equal(e.r, cases[i].error.r);
        assert_int_equal(e.again, cases[i].error.again);
        assert_int_equal(e.deadlock, cases[i].error.deadlock);
        assert_int_equal(e.duplicate, cases[i].error.duplicate);
        assert_int_equal(e.lost, cases[i].error.lost);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_code_has_its_meaning)};
    return cmocka_run_group_tests_name("db/pg_error", tests, NULL, NULL);
}
