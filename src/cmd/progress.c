/* SPDX-License-Identifier: MIT */
#include "cmd/progress.h"

#include "base/clock.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WIDTH 30
#define PAUSE_MS 100
#define CLEAR "\r\033[K"

static int64_t drawn_ms; /* 0: there is no bar */

void progress_show(const char *what, int64_t done, int64_t total)
{
    static const char full[] = "##############################";
    int64_t now = clock_monotonic_ms();
    bool last = total > 0 && done >= total;
    if (!isatty(STDERR_FILENO) || (!last && now - drawn_ms < PAUSE_MS))
        return;
    drawn_ms = now;
    int filled = total > 0 ? (int)(WIDTH * (done < total ? done : total) / total) : 0;
    if (total > 0)
        (void)fprintf(stderr, CLEAR "[%.*s%*s] %lld/%lld %s", filled, full, WIDTH - filled, "",
                      (long long)done, (long long)total, what);
    else
        (void)fprintf(stderr, CLEAR "%lld %s", (long long)done, what);
    (void)fflush(stderr);
}

void progress_end(void)
{
    if (drawn_ms != 0)
        (void)fputs(CLEAR, stderr);
    drawn_ms = 0;
}
