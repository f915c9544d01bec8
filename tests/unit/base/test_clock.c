/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include "base/cleanup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void iso_texts_that_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        {"1970-01-01", 0},
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01T00:00:00.001Z", 1},
        {"1970-01-01T00:00:00.1Z", 100},
        {"1970-01-01T00:00:00.123456789Z", 123},
        {"1970-01-01T00:00:00.9999Z", 999},
        {"1970-01-01 00:00", 0},
        {"1970-01-01t00:00:01z", 1000},
        {"1970-01-01T01:00:00+01:00", 0},
        {"1970-01-01T01:30:00+0130", 0},
        {"1970-01-01T00:00:00-05:00", 18000000},
        {"2026-03-13T10:22:00Z", INT64_C(1773397320000)},
        {"2026-03-13T10:22", INT64_C(1773397320000)},
        {"2026-03-13T12:22:00.250+02:00", INT64_C(1773397320250)},
        {"2000-02-29", INT64_C(951782400000)},
        {"2024-02-29T23:59:59Z", INT64_C(1709251199000)},
        {"2026-12-31T23:30:00-01:00", INT64_C(1798763400000)}, /* next year in UTC */
        {"9999-12-31T23:59:59.999Z", INT64_C(253402300799999)},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t ms = -1;
        if (clock_parse_iso(cases[i].text, &ms) != 0 || ms != cases[i].ms)
            fail_msg("%s gives %lld", cases[i].text, (long long)ms);
    }
}

static void iso_texts_that_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "x",
        "1970",
        "1970-01",
        "1970-1-1",
        "70-01-01",
        "1969-12-31",
        "10000-01-01",
        "-970-01-01",
        "2026-00-10",
        "2026-13-10",
        "2026-01-00",
        "2026-01-32",
        "2026-02-29",
        "2100-02-29",
        "1900-02-29",
        "2026-02-30",
        "2026-04-31",
        "2026-06-31",
        "2026-01-01T",
        "2026-01-01T10",
        "2026-01-01T24:00:00Z",
        "2026-01-01T10:60:00Z",
        "2026-01-01T10:10:60Z",
        "2026-01-01T10:10:10.Z",
        "2026-01-01T10:10:10.1234567890Z",
        "2026-01-01T10:10.5Z",
        "2026-01-01T10:10:10ZZ",
        "2026-01-01T10:10:10Z ",
        " 2026-01-01",
        "2026-01-01Z",
        "2026-01-01+01:00",
        "2026-01-01T10:10:10+",
        "2026-01-01T10:10:10+1",
        "2026-01-01T10:10:10+01:",
        "2026-01-01T10:10:10+01:6",
        "2026-01-01T10:10:10+24:00",
        "2026-01-01T10:10:10+01:60",
        "2026-01-01T10:10:10 +01:00",
        "2026/01/01",
        "2026-01-01T10.10.10Z",
        "2026-01-01X10:10:10Z",
        "+026-01-01",
        "2026- 1-01",
        "0x7e-01-01",
        "1970-01-01T00:00:00+00:01", /* 1969 in UTC */
        "9999-12-31T23:59:59-00:01", /* year 10000 in UTC */
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        int64_t ms = 4711;
        if (clock_parse_iso(bad[i], &ms) != -EINVAL)
            fail_msg("accepted \"%s\"", bad[i]);
        assert_int_equal(ms, 4711);
    }
}

static void every_day_of_four_centuries_survives_a_round_trip(void **state)
{
    char text[ISO_TIME_LEN], before[ISO_TIME_LEN] = "";
    (void)state;
    for (int64_t day = 0; day < 146097; day++) {
        int64_t ms = day * 86400000 + day % 86400000, back = -1;
        clock_format_iso(ms, text);
        assert_int_equal(clock_parse_iso(text, &back), 0);
        assert_int_equal(back, ms);
        assert_true(strcmp(before, text) < 0); /* text sorts as time does */
        memcpy(before, text, sizeof text);
    }
}

static void instants_as_text(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {INT64_C(951868799999), "2000-02-29T23:59:59.999Z"},
        {INT64_C(4107542400000), "2100-03-01T00:00:00.000Z"},
        {INT64_C(253402300799999), "9999-12-31T23:59:59.999Z"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[ISO_TIME_LEN];
        clock_format_iso(cases[i].ms, text);
        assert_string_equal(text, cases[i].text);
    }
    char text[ISO_TIME_LEN];
    clock_format_iso(INT64_MAX, text); /* beyond what the form can say: something well-formed, no overflow */
    assert_int_equal(strlen(text), ISO_TIME_LEN - 1);
    clock_format_iso(INT64_MIN, text);
    assert_int_equal(strlen(text), ISO_TIME_LEN - 1);
}

static void clocks_agree_and_never_run_back(void **state)
{
    (void)state;
    int64_t ms = clock_monotonic_ms(), us = clock_monotonic_us();
    assert_true(us / 1000 >= ms);
    assert_true(clock_monotonic_us() >= us);
    assert_true(clock_now_ms() > INT64_C(1700000000000));
    struct timespec t = clock_deadline(1999);
    assert_true(t.tv_nsec >= 0 && t.tv_nsec < 1000000000);
    assert_true((int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000 >= ms + 1998);
}

static void a_wait_on_a_condition_ends_at_its_deadline(void **state)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t never;
    (void)state;
    cond_init(&never);
    int64_t until = clock_monotonic_ms() + 20;
    struct timespec deadline = clock_deadline(20);
    pthread_mutex_lock(&lock);
    int r = 0;
    while (r == 0)
        r = pthread_cond_timedwait(&never, &lock, &deadline);
    pthread_mutex_unlock(&lock);
    assert_int_equal(r, ETIMEDOUT);
    assert_true(clock_monotonic_ms() >= until);
    pthread_cond_destroy(&never);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(iso_texts_that_are_read),
        cmocka_unit_test(iso_texts_that_are_refused),
        cmocka_unit_test(every_day_of_four_centuries_survives_a_round_trip),
        cmocka_unit_test(instants_as_text),
        cmocka_unit_test(clocks_agree_and_never_run_back),
        cmocka_unit_test(a_wait_on_a_condition_ends_at_its_deadline),
    };
    return cmocka_run_group_tests_name("base/clock", tests, NULL, NULL);
}
