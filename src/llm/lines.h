/* SPDX-License-Identifier: MIT */
/* Cuts a byte stream into lines, however its pieces were cut. A line that lies whole within one piece is
 * handed out without a copy; only the end of a piece is kept, and freed as soon as its line is complete. Not
 * thread-safe. */
#ifndef LLM_LINES_H
#define LLM_LINES_H

#include "base/buf.h"

#define LINE_MAX_BYTES ((size_t)1024 * 1024)

struct lines {
    struct buf partial;
};

/* One line without its line end (LF or CRLF). Anything but 0 ends the feeding. */
typedef int (*line_fn)(void *ctx, const char *line, size_t len);

void lines_init(struct lines *l);
void lines_free(struct lines *l);

/* 0, what line() returned, -EMSGSIZE for a line longer than LINE_MAX_BYTES, or -ENOMEM. */
int lines_feed(struct lines *l, const char *data, size_t len, line_fn line, void *ctx);

/* Hands out a last line that had no line end. */
int lines_finish(struct lines *l, line_fn line, void *ctx);

#endif
