/* SPDX-License-Identifier: MIT */
#include "quota/cycle.h"

#define DAY_MS (24 * 60 * 60 * INT64_C(1000))

struct date {
    int64_t year;
    int month, day; /* from 1 */
};

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Days since the epoch. The year is taken to begin in March, so that the leap day is its last; 400 years are
 * 146,097 days. */
static int64_t to_days(struct date d)
{
    int64_t year = d.month <= 2 ? d.year - 1 : d.year;
    int64_t era = floor_div(year, 400), year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (d.month + (d.month > 2 ? -3 : 9)) + 2) / 5 + d.day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static struct date from_days(int64_t days)
{
    days += 719468;
    int64_t era = floor_div(days, 146097), day_of_era = days - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    struct date d = {.day = (int)(day_of_year - (153 * month + 2) / 5 + 1),
                     .month = (int)(month < 10 ? month + 3 : month - 9)};
    d.year = year_of_era + era * 400 + (d.month <= 2);
    return d;
}

static int days_in_month(int64_t year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

/* When the cycle begins that belongs to a month, which may lie outside 1 to 12. */
static int64_t begins(int64_t year, int month, int day)
{
    int64_t y = year + floor_div(month - 1, 12);
    int m = (int)(month - 1 - 12 * floor_div(month - 1, 12)) + 1;
    int last = days_in_month(y, m);
    return to_days((struct date){y, m, day < last ? day : last}) * DAY_MS;
}

struct cycle cycle_at(int64_t anchor_ms, bool yearly, int64_t now_ms)
{
    struct date anchor = {.month = 1, .day = 1}, now = from_days(floor_div(now_ms, DAY_MS));
    if (anchor_ms != CYCLE_NO_ANCHOR)
        anchor = from_days(floor_div(anchor_ms, DAY_MS));
    int step = yearly ? 12 : 1, month = yearly ? anchor.month : now.month;
    if (begins(now.year, month, anchor.day) > now_ms)
        month -= step;
    return (struct cycle){begins(now.year, month, anchor.day), begins(now.year, month + step, anchor.day)};
}
