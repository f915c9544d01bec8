/* SPDX-License-Identifier: MIT */
#include "cmd/progress.h"

#include <stdio.h>
#include <unistd.h>

#define WIDTH 30

void progress_begin(struct progress *p, int64_t total, const char *label)
{
    *p = (struct progress){
        .label = label, .total = total, .shown = -1, .terminal = isatty(STDERR_FILENO) == 1};
    progress_step(p, 0, total);
}

void progress_step(struct progress *p, int64_t done, int64_t total)
{
    static const char bar[] = "##############################";
    p->done = done;
    p->total = total;
    int permille = total > 0 ? (int)(done >= total ? 1000 : done * 1000 / total) : 0;
    if (!p->terminal || permille == p->shown)
        return;
    p->shown = permille;
    int full = permille * WIDTH / 1000;
    (void)fprintf(stderr, "\r%s [%.*s%*s] %lld/%lld", p->label, full, bar, WIDTH - full, "", (long long)done,
                  (long long)total);
    (void)fflush(stderr);
}

void progress_end(struct progress *p)
{
    if (p->terminal)
        (void)fputs("\r\033[K", stderr);
    p->terminal = false;
}
