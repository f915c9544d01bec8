/* SPDX-License-Identifier: MIT */
#include "schedule/duty.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static int64_t at(const char *iso)
{
    int64_t ms;
    assert_int_equal(clock_parse_iso(iso, &ms), 0);
    return ms;
}

static void assert_slot(const struct duty *d, const char *now, const char *slot)
{
    char text[ISO_TIME_LEN];
    clock_format_iso(duty_slot(d, at(now)), text);
    assert_string_equal(text, slot);
}

static void daily(void **state)
{
    (void)state;
    static const struct duty d = {.name = "d", DAILY_AT(2, 30)};
    assert_slot(&d, "2026-03-01T02:29:59.999Z", "2026-02-28T02:30:00.000Z");
    assert_slot(&d, "2026-03-01T02:30:00.000Z", "2026-03-01T02:30:00.000Z");
    assert_slot(&d, "2026-03-01T23:59:59.999Z", "2026-03-01T02:30:00.000Z");
    assert_slot(&d, "2028-03-01T00:00:00Z", "2028-02-29T02:30:00.000Z");
    assert_int_equal(duty_slot(&d, 0), -DAY_MS + 2 * HOUR_MS + 30 * MINUTE_MS);
}

static void every(void **state)
{
    (void)state;
    static const struct duty hours = {.name = "h", EVERY_MS(6 * HOUR_MS)},
                             minute = {.name = "m", EVERY_MS(MINUTE_MS)};
    assert_slot(&hours, "2026-03-13T10:22:00Z", "2026-03-13T06:00:00.000Z");
    assert_slot(&hours, "2026-03-13T18:00:00Z", "2026-03-13T18:00:00.000Z");
    assert_slot(&hours, "2026-03-14T05:59:59.999Z", "2026-03-14T00:00:00.000Z");
    assert_slot(&minute, "2026-03-13T10:22:59.999Z", "2026-03-13T10:22:00.000Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(daily), cmocka_unit_test(every)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
