/* SPDX-License-Identifier: MIT */
#include "media/progress.h"

#include "base/text.h"

#include <string.h>

#define KEY "out_time_us="
#define SECONDS_MOST ((int64_t)1000 * 3600)

/* N/A and negative times come too, at the beginning. */
static void end_line(struct media_progress_lines *p)
{
    int64_t us;
    p->line[p->len] = '\0';
    if (!p->skipping && str_has_prefix(p->line, KEY) &&
        parse_int(p->line + strlen(KEY), 0, SECONDS_MOST * 1000000, &us) == 0) {
        double seconds = (double)us / 1e6;
        p->seconds = seconds > p->seconds ? seconds : p->seconds;
    }
    p->len = 0;
    p->skipping = false;
}

void media_progress_feed(struct media_progress_lines *p, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (data[i] == '\n')
            end_line(p);
        else if (p->len + 1 < sizeof p->line)
            p->line[p->len++] = data[i];
        else
            p->skipping = true;
}
