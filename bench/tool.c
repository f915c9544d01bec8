/* SPDX-License-Identifier: MIT */
#include "tool.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

void tool_die(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vfprintf(stderr, fmt, ap);
    va_end(ap);
    (void)fputc('\n', stderr);
    exit(1);
}

int64_t tool_now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void tool_prepare(unsigned seconds_most)
{
    struct rlimit limit;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)prctl(PR_SET_TIMERSLACK, 1UL);
    (void)alarm(seconds_most);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int64_t tool_number(const char *name, const char *text, int64_t min, int64_t max)
{
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end || n < min || n > max)
        tool_die("%s must be a whole number from %lld to %lld", name, (long long)min, (long long)max);
    return n;
}

int tool_wait(int epoll, struct epoll_event *events, int most, int64_t wait_us)
{
    struct timespec t = {.tv_sec = wait_us / 1000000, .tv_nsec = wait_us % 1000000 * 1000};
    int n = epoll_pwait2(epoll, events, most, wait_us < 0 ? NULL : &t, NULL);
    if (n < 0 && errno != EINTR)
        tool_die("epoll: errno %d", errno);
    return n < 0 ? 0 : n;
}
