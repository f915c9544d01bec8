/* SPDX-License-Identifier: MIT */
/* Cycles against a reference that walks the calendar day by day, and knows of months only how many days they
 * have. */
#include "quota/cycle.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define DAY_MS INT64_C(86400000)
#define FIRST_YEAR 1970
#define YEARS 140 /* 2000 is a leap year, 2100 is none */

struct day {
    int year, month, day;
};

static struct day calendar[YEARS * 366 + 1];
static int days;

static int month_length(int year, int month)
{
    if (month == 2)
        return year % 400 == 0 || (year % 4 == 0 && year % 100 != 0) ? 29 : 28;
    return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

static int make_calendar(void **state)
{
    (void)state;
    for (int y = FIRST_YEAR; y < FIRST_YEAR + YEARS; y++)
        for (int m = 1; m <= 12; m++)
            for (int d = 1; d <= month_length(y, m); d++)
                calendar[days++] = (struct day){y, m, d};
    return 0;
}

/* Whether a cycle of that anchor begins on a day. */
static bool begins_on(const struct day *today, struct day anchor, bool yearly)
{
    int length = month_length(today->year, today->month);
    if (yearly && today->month != anchor.month)
        return false;
    return today->day == (anchor.day < length ? anchor.day : length);
}

static void assert_cycle(int anchor, bool yearly, int today, int start, int end)
{
    static const int64_t moments[] = {0, 1, DAY_MS / 2, DAY_MS - 1};
    int64_t anchor_ms = anchor < 0 ? CYCLE_NO_ANCHOR : anchor * DAY_MS + 12345678;
    for (size_t i = 0; i < sizeof moments / sizeof *moments; i++) {
        struct cycle c = cycle_at(anchor_ms, yearly, today * DAY_MS + moments[i]);
        if (c.start_ms != start * DAY_MS || c.end_ms != end * DAY_MS)
            fail_msg("anchor %d yearly %d day %d: %lld to %lld, not %d to %d", anchor, yearly, today,
                     (long long)(c.start_ms / DAY_MS), (long long)(c.end_ms / DAY_MS), start, end);
    }
}

/* Every day of the calendar, for one anchor; those before the first beginning and after the last are left
 * out. */
static void check_anchor(int anchor, bool yearly)
{
    struct day first = {.month = 1, .day = 1};
    int start = -1;
    for (int i = 0; i < days; i++) {
        if (!begins_on(&calendar[i], anchor < 0 ? first : calendar[anchor], yearly))
            continue;
        for (int today = start; start >= 0 && today < i; today += yearly ? 7 : 1)
            assert_cycle(anchor, yearly, today, start, i);
        if (start >= 0)
            assert_cycle(anchor, yearly, i - 1, start, i);
        start = i;
    }
}

static void agrees_with_the_calendar_for_each_day_of_a_month(void **state)
{
    (void)state;
    check_anchor(-1, false);
    for (int day = 0; day < 31; day++)
        check_anchor(day, false); /* January 1970 */
}

static void agrees_with_the_calendar_for_each_day_of_a_leap_year(void **state)
{
    (void)state;
    check_anchor(-1, true);
    for (int i = 0; i < days; i++)
        if (calendar[i].year == 2024)
            check_anchor(i, true);
}

static int64_t at(const char *iso)
{
    int64_t ms;
    assert_int_equal(clock_parse_iso(iso, &ms), 0);
    return ms;
}

static void the_cases_that_people_ask_about(void **state)
{
    static const struct {
        const char *anchor;
        bool yearly;
        const char *now, *start, *end;
    } cases[] = {
        {"2026-01-31T10:00:00Z", false, "2026-02-27T23:59:59.999Z", "2026-01-31", "2026-02-28"},
        {"2026-01-31T10:00:00Z", false, "2026-02-28T00:00:00Z", "2026-02-28", "2026-03-31"},
        {"2026-01-31T10:00:00Z", false, "2028-02-29T00:00:00Z", "2028-02-29", "2028-03-31"},
        {"2026-01-31T10:00:00Z", false, "2026-04-30T12:00:00Z", "2026-04-30", "2026-05-31"},
        {"2025-12-15T23:59:59Z", false, "2026-01-14T23:59:59Z", "2025-12-15", "2026-01-15"},
        {"2024-02-29T08:00:00Z", true, "2025-02-27T12:00:00Z", "2024-02-29", "2025-02-28"},
        {"2024-02-29T08:00:00Z", true, "2025-02-28T00:00:00Z", "2025-02-28", "2026-02-28"},
        {"2024-02-29T08:00:00Z", true, "2028-02-28T23:59:59Z", "2027-02-28", "2028-02-29"},
        /* the day is UTC's, whatever the time of the day */
        {"2026-03-13T23:30:00-02:00", false, "2026-03-20T00:00:00Z", "2026-03-14", "2026-04-14"},
        /* a subscription that begins next week */
        {"2026-03-20T00:00:00Z", false, "2026-03-13T00:00:00Z", "2026-02-20", "2026-03-20"},
        {"2026-03-20T00:00:00Z", true, "2026-03-13T00:00:00Z", "2025-03-20", "2026-03-20"},
        {NULL, false, "2026-03-13T00:00:00Z", "2026-03-01", "2026-04-01"},
        {NULL, true, "2026-03-13T00:00:00Z", "2026-01-01", "2027-01-01"},
        {"2026-12-31T00:00:00Z", false, "9999-11-30T00:00:00Z", "9999-11-30", "9999-12-31"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t anchor = cases[i].anchor ? at(cases[i].anchor) : CYCLE_NO_ANCHOR;
        struct cycle c = cycle_at(anchor, cases[i].yearly, at(cases[i].now));
        if (c.start_ms != at(cases[i].start) || c.end_ms != at(cases[i].end))
            fail_msg("case %zu: %lld to %lld", i, (long long)c.start_ms, (long long)c.end_ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_calendar_for_each_day_of_a_month),
        cmocka_unit_test(agrees_with_the_calendar_for_each_day_of_a_leap_year),
        cmocka_unit_test(the_cases_that_people_ask_about),
    };
    return cmocka_run_group_tests(tests, make_calendar, NULL);
}
