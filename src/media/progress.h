/* SPDX-License-Identifier: MIT */
/* What FFmpeg writes with -progress: lines "key=value". Private to src/media. Pure. */
#ifndef MEDIA_PROGRESS_H
#define MEDIA_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

#define PROGRESS_LINE_MAX 64

struct media_progress_lines {
    char line[PROGRESS_LINE_MAX];
    size_t len;
    bool skipping;  /* the line is too long to be one that matters */
    double seconds; /* written so far; never less than before */
};

/* Takes the next bytes, cut anywhere. */
void media_progress_feed(struct media_progress_lines *p, const char *data, size_t len);

#endif
