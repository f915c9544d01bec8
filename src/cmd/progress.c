/* SPDX-License-Identifier: MIT */
#include "cmd/progress.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define WIDTH 40
#define REDRAW_MS 100
#define WIPE_LINE "\r\033[K"

void progress_begin(struct progress *p, const char *what)
{
    *p = (struct progress){.what = what, .shown = isatty(STDERR_FILENO) == 1};
}

static int share_of(int64_t done, int64_t total, int whole)
{
    if (total <= 0 || done <= 0)
        return 0;
    return done >= total ? whole : (int)((double)done / (double)total * whole);
}

void progress_show(void *ctx, int64_t done, int64_t total)
{
    struct progress *p = ctx;
    int64_t now = p->shown ? clock_monotonic_ms() : 0;
    if (!p->shown || (p->drawn && now - p->drawn_ms < REDRAW_MS))
        return;
    p->drawn = true;
    p->drawn_ms = now;
    char bar[WIDTH + 1];
    int full = share_of(done, total, WIDTH);
    for (int i = 0; i < WIDTH; i++)
        bar[i] = i < full ? '#' : '.';
    bar[WIDTH] = '\0';
    (void)fprintf(stderr, WIPE_LINE "%s [%s] %3d %%", p->what, bar, share_of(done, total, 100));
    (void)fflush(stderr);
}

void progress_end(struct progress *p)
{
    if (!p->drawn)
        return;
    (void)fputs(WIPE_LINE, stderr);
    (void)fflush(stderr);
    p->drawn = false;
}

void progress_bytes(int64_t bytes, char *ret)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes / 1024;
    size_t unit = 0;
    if (bytes < 1024) {
        (void)snprintf(ret, 32, "%" PRId64 " B", bytes);
        return;
    }
    while (value >= 1024 && unit + 1 < ARRAY_LEN(units)) {
        value /= 1024;
        unit++;
    }
    (void)snprintf(ret, 32, "%.1f %s", value, units[unit]);
}
