/* SPDX-License-Identifier: MIT */
/* One byte of room is always kept for the terminating NUL, so that the content can be used as a string. */
#include "base/buf.h"

#include "base/text.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#define FIRST_CAP 256

static void forget(struct buf *b)
{
    if (b->secret && b->data)
        wipe(b->data, b->cap);
}

void buf_free(struct buf *b)
{
    forget(b);
    free(b->data);
    b->data = NULL;
    b->len = b->cap = 0;
    b->failed = false;
}

void buf_reset(struct buf *b)
{
    forget(b);
    b->len = 0;
    b->failed = false;
    if (b->data)
        b->data[0] = '\0';
}

static int fail(struct buf *b, int err)
{
    b->failed = true;
    return err;
}

/* realloc would leave the old memory as it is. */
static char *grow(struct buf *b, size_t cap)
{
    if (!b->secret)
        return realloc(b->data, cap);
    char *data = malloc(cap);
    if (!data)
        return NULL;
    if (b->data)
        memcpy(data, b->data, b->len);
    forget(b);
    free(b->data);
    return data;
}

static int reserve(struct buf *b, size_t more)
{
    if (more > b->max - b->len)
        return fail(b, -ENOBUFS);
    size_t need = b->len + more + 1;
    if (need <= b->cap)
        return 0;
    size_t cap = b->cap ? b->cap : FIRST_CAP;
    while (cap < need)
        cap *= 2;
    char *data = grow(b, cap);
    if (!data)
        return fail(b, -ENOMEM);
    b->data = data;
    b->cap = cap;
    return 0;
}

int buf_add(struct buf *b, const void *data, size_t len)
{
    int r = reserve(b, len);
    if (r < 0)
        return r;
    if (len)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = '\0';
    return 0;
}

int buf_adds(struct buf *b, const char *s)
{
    return buf_add(b, s, strlen(s));
}

/* Writes a text that there is room for: 0, its length where there isn't, or -EINVAL. */
__attribute__((format(printf, 2, 0))) static int format(struct buf *b, const char *fmt, va_list ap)
{
    size_t held = b->cap - b->len - 1, allowed = b->max - b->len, room = held < allowed ? held : allowed;
    int len = vsnprintf(b->data + b->len, room + 1, fmt, ap);
    bool whole = len >= 0 && (size_t)len <= room;
    b->len += whole ? (size_t)len : 0;
    b->data[b->len] = '\0';
    return whole ? 0 : len < 0 ? -EINVAL : len;
}

/* Nearly always there is room, and formatting twice costs twice. */
int buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list ap, again;
    int r = reserve(b, 0);
    if (r < 0)
        return r;
    va_start(ap, fmt);
    va_copy(again, ap);
    r = format(b, fmt, ap);
    if (r > 0 && (r = reserve(b, (size_t)r)) == 0)
        r = format(b, fmt, again);
    va_end(again);
    va_end(ap);
    return r == 0 || (r < 0 && b->failed) ? r : fail(b, -EINVAL);
}

void buf_drop(struct buf *b, size_t n)
{
    if (n == 0)
        return;
    memmove(b->data, b->data + n, b->len - n);
    b->len -= n;
    b->data[b->len] = '\0';
}

const char *buf_str(struct buf *b)
{
    if (!b->data && buf_add(b, "", 0) < 0)
        return NULL;
    return b->data;
}

char *buf_take(struct buf *b, size_t *ret_len)
{
    if (!buf_str(b))
        return NULL;
    if (ret_len)
        *ret_len = b->len;
    char *data = b->data;
    *b = (struct buf){.max = b->max, .secret = b->secret};
    return data;
}
