/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAST_MS INT64_C(253402300799999) /* 9999-12-31T23:59:59.999Z */

static int64_t read_clock_us(clockid_t id)
{
    struct timespec t;
    (void)clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_now_ms(void)
{
    return read_clock_us(CLOCK_REALTIME) / 1000;
}

int64_t clock_monotonic_ms(void)
{
    return read_clock_us(CLOCK_MONOTONIC) / 1000;
}

int64_t clock_monotonic_us(void)
{
    return read_clock_us(CLOCK_MONOTONIC);
}

struct timespec clock_deadline(int64_t ms)
{
    int64_t us = read_clock_us(CLOCK_MONOTONIC) + ms * 1000;
    return (struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
}

void cond_init(pthread_cond_t *c)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(c, &attr);
    pthread_condattr_destroy(&attr);
}

void clock_format_iso(int64_t ms, char *ret)
{
    int64_t s = ms / 1000, rest = ms % 1000;
    if (rest < 0) {
        s--;
        rest += 1000;
    }
    time_t t = (time_t)s;
    struct tm tm;
    char text[64];
    if (!gmtime_r(&t, &tm) || tm.tm_year + 1900 < 0 || tm.tm_year + 1900 > 9999)
        tm = (struct tm){.tm_year = 70, .tm_mday = 1};
    (void)snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1,
                   tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)rest);
    memcpy(ret, text, ISO_TIME_LEN - 1);
    ret[ISO_TIME_LEN - 1] = '\0';
}

/* Reads exactly n digits. */
static int digits(const char **s, int n, int *ret)
{
    int value = 0;
    for (int i = 0; i < n; i++, (*s)++) {
        if (!isdigit((unsigned char)**s))
            return -EINVAL;
        value = value * 10 + (**s - '0');
    }
    *ret = value;
    return 0;
}

static int literal(const char **s, char c)
{
    if (**s != c)
        return -EINVAL;
    (*s)++;
    return 0;
}

/* A fraction of a second, at most 9 digits, to milliseconds (the rest is cut). */
static int fraction(const char **s, int *ret_ms)
{
    int ms = 0, n = 0;
    for (; isdigit((unsigned char)**s); (*s)++, n++)
        if (n < 3)
            ms = ms * 10 + (**s - '0');
    for (int i = n; i < 3; i++)
        ms *= 10;
    *ret_ms = ms;
    return n > 0 && n <= 9 ? 0 : -EINVAL;
}

static int zone(const char **s, int *ret_minutes)
{
    *ret_minutes = 0;
    if (**s == '\0')
        return 0;
    if (**s == 'Z' || **s == 'z') {
        (*s)++;
        return 0;
    }
    int sign = **s == '-' ? -1 : 1, hours, minutes;
    if (**s != '+' && **s != '-')
        return -EINVAL;
    (*s)++;
    if (digits(s, 2, &hours) < 0 || (**s == ':' && literal(s, ':') < 0) || digits(s, 2, &minutes) < 0)
        return -EINVAL;
    if (hours > 23 || minutes > 59)
        return -EINVAL;
    *ret_minutes = sign * (hours * 60 + minutes);
    return 0;
}

static int time_of_day(const char **s, struct tm *tm, int *ret_ms, int *ret_zone)
{
    if (**s != 'T' && **s != 't' && **s != ' ')
        return -EINVAL;
    (*s)++;
    if (digits(s, 2, &tm->tm_hour) < 0 || literal(s, ':') < 0 || digits(s, 2, &tm->tm_min) < 0)
        return -EINVAL;
    if (**s != ':')
        return zone(s, ret_zone); /* no seconds, so no fraction of one */
    (*s)++;
    if (digits(s, 2, &tm->tm_sec) < 0 || (**s == '.' && (literal(s, '.') < 0 || fraction(s, ret_ms) < 0)))
        return -EINVAL;
    return zone(s, ret_zone);
}

int clock_parse_iso(const char *s, int64_t *ret_ms)
{
    struct tm tm = {0}, back;
    int year, month, ms = 0, offset = 0;
    if (digits(&s, 4, &year) < 0 || literal(&s, '-') < 0 || digits(&s, 2, &month) < 0 ||
        literal(&s, '-') < 0 || digits(&s, 2, &tm.tm_mday) < 0)
        return -EINVAL;
    if (*s != '\0' && time_of_day(&s, &tm, &ms, &offset) < 0)
        return -EINVAL;
    if (*s != '\0' || year < 1970 || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 59)
        return -EINVAL;
    tm.tm_year = year - 1900;
    tm.tm_mon = month - 1;
    struct tm asked = tm;
    time_t t = timegm(&tm);
    /* timegm normalises 31 February; a date that comes back changed was none */
    if (!gmtime_r(&t, &back) || back.tm_mon != asked.tm_mon || back.tm_mday != asked.tm_mday)
        return -EINVAL;
    int64_t found = (int64_t)t * 1000 + ms - (int64_t)offset * 60 * 1000;
    if (found < 0 || found > LAST_MS)
        return -EINVAL;
    *ret_ms = found;
    return 0;
}
