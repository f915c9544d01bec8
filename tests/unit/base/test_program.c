/* SPDX-License-Identifier: MIT */
#include "base/program.h"

#include "base/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define LIMIT_MS 20000
#define RUN(out, limit, ...) program_output((const char *const[]){__VA_ARGS__, NULL}, limit, out)

static void output_and_status(void **state)
{
    (void)state;
    _cleanup_buf_ struct buf out = BUF_INIT(1024);
    assert_int_equal(RUN(&out, LIMIT_MS, "echo", "$HOME; ls", "*"), 0);
    assert_string_equal(buf_str(&out), "$HOME; ls *\n"); /* no shell saw it */
    assert_int_equal(RUN(&out, LIMIT_MS, "false"), 1);
    assert_int_equal(RUN(&out, LIMIT_MS, "sh", "-c", "kill -9 $$"), 128 + 9);
    assert_int_equal(RUN(&out, LIMIT_MS, "there-is-no-such-program"), -ENOENT);
    buf_reset(&out);
    assert_int_equal(RUN(&out, LIMIT_MS, "cat"), 0); /* its input is empty, not ours */
    assert_int_equal(out.len, 0);
}

static void more_output_than_room_is_dropped(void **state)
{
    (void)state;
    _cleanup_buf_ struct buf out = BUF_INIT(1024);
    assert_int_equal(RUN(&out, LIMIT_MS, "head", "-c", "1000000", "/dev/zero"), 0);
    assert_true(out.len <= 1024);
}

/* The children too: they hold the pipe, and would be waited for. */
static void late_ones_are_killed_with_their_children(void **state)
{
    (void)state;
    _cleanup_buf_ struct buf out = BUF_INIT(1024);
    int64_t before = clock_monotonic_ms();
    assert_int_equal(RUN(&out, 100, "sh", "-c", "sleep 600 & sleep 600"), -ETIMEDOUT);
    assert_int_equal(RUN(&out, 100, "sh", "-c", "exec >&-; sleep 600"), -ETIMEDOUT);
    assert_true(clock_monotonic_ms() - before < 300000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_and_status),
        cmocka_unit_test(more_output_than_room_is_dropped),
        cmocka_unit_test(late_ones_are_killed_with_their_children),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
