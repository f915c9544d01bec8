/* SPDX-License-Identifier: MIT */
#include "answer.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool starts(const char *line, const char *prefix)
{
    return strncasecmp(line, prefix, strlen(prefix)) == 0;
}

static int take_status(struct answer *a)
{
    if (!starts(a->line, "HTTP/1.1 "))
        return -1;
    a->status = atoi(a->line + 9);
    a->part = ANSWER_HEADERS;
    return 0;
}

static int take_header(struct answer *a)
{
    if (starts(a->line, "content-length:"))
        a->left = strtoull(a->line + 15, NULL, 10);
    else if (starts(a->line, "transfer-encoding: chunked"))
        a->chunked = true;
    else if (starts(a->line, "connection: close"))
        a->closes = true;
    else if (a->line[0] == '\0')
        a->part = a->chunked ? ANSWER_CHUNK_SIZE : a->left > 0 ? ANSWER_BODY : ANSWER_DONE;
    return 0;
}

static int take_chunk_size(struct answer *a)
{
    char *end;
    a->left = strtoull(a->line, &end, 16);
    if (end == a->line)
        return -1;
    a->part = a->left > 0 ? ANSWER_CHUNK : ANSWER_TRAILERS;
    return 0;
}

static int take_line(struct answer *a)
{
    switch (a->part) {
    case ANSWER_STATUS:
        return take_status(a);
    case ANSWER_HEADERS:
        return take_header(a);
    case ANSWER_CHUNK_SIZE:
        return take_chunk_size(a);
    case ANSWER_CHUNK_END:
        a->part = ANSWER_CHUNK_SIZE;
        return a->line[0] ? -1 : 0;
    default:
        if (a->line[0] == '\0')
            a->part = ANSWER_DONE;
        return 0;
    }
}

/* Adds to the line that is being read; a longer line loses its end, which nobody looks at. */
static size_t add_to_line(struct answer *a, const char *data, size_t len, bool *ret_whole)
{
    const char *newline = memchr(data, '\n', len);
    size_t n = newline ? (size_t)(newline - data) : len, room = ANSWER_LINE_MAX - 1 - a->line_len;
    memcpy(a->line + a->line_len, data, n < room ? n : room);
    a->line_len += n < room ? n : room;
    *ret_whole = newline != NULL;
    return newline ? n + 1 : n;
}

static void end_line(struct answer *a)
{
    if (a->line_len > 0 && a->line[a->line_len - 1] == '\r')
        a->line_len--;
    a->line[a->line_len] = '\0';
    a->line_len = 0;
}

int answer_take(struct answer *a, const char *data, size_t len,
                void (*carry)(void *ctx, const char *data, size_t len), void *ctx)
{
    while (len > 0 && a->part != ANSWER_DONE) {
        bool whole = false;
        size_t n;
        if (a->part == ANSWER_BODY || a->part == ANSWER_CHUNK) {
            n = len < a->left ? len : (size_t)a->left;
            carry(ctx, data, n);
            a->carried += n;
            a->left -= n;
            if (a->left == 0)
                a->part = a->part == ANSWER_BODY ? ANSWER_DONE : ANSWER_CHUNK_END;
        } else {
            n = add_to_line(a, data, len, &whole);
        }
        data += n;
        len -= n;
        if (!whole)
            continue;
        end_line(a);
        if (take_line(a) < 0)
            return -1;
    }
    if (len > 0)
        return -1;
    return a->part == ANSWER_DONE;
}
