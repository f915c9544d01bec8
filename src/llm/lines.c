/* SPDX-License-Identifier: MIT */
#include "llm/lines.h"

#include <errno.h>
#include <string.h>

void lines_init(struct lines *l)
{
    l->partial = BUF_INIT(LINE_MAX_BYTES);
}

void lines_free(struct lines *l)
{
    buf_free(&l->partial);
}

static int keep(struct lines *l, const char *data, size_t len)
{
    int r = buf_add(&l->partial, data, len);
    return r == -ENOBUFS ? -EMSGSIZE : r;
}

static int hand_out(const char *s, size_t len, line_fn line, void *ctx)
{
    if (len > LINE_MAX_BYTES)
        return -EMSGSIZE;
    if (len > 0 && s[len - 1] == '\r')
        len--;
    return line(ctx, s, len);
}

/* The end of the line that earlier pieces began. */
static int complete(struct lines *l, const char *data, size_t len, line_fn line, void *ctx)
{
    int r = keep(l, data, len);
    return r < 0 ? r : lines_finish(l, line, ctx);
}

int lines_feed(struct lines *l, const char *data, size_t len, line_fn line, void *ctx)
{
    const char *end = data + len;
    const char *newline;
    while (data < end && (newline = memchr(data, '\n', (size_t)(end - data)))) {
        size_t part = (size_t)(newline - data);
        int r = l->partial.len > 0 ? complete(l, data, part, line, ctx) : hand_out(data, part, line, ctx);
        if (r != 0)
            return r;
        data = newline + 1;
    }
    return data < end ? keep(l, data, (size_t)(end - data)) : 0;
}

int lines_finish(struct lines *l, line_fn line, void *ctx)
{
    if (l->partial.len == 0)
        return 0;
    int r = hand_out(l->partial.data, l->partial.len, line, ctx);
    buf_free(&l->partial);
    return r;
}
