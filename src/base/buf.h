/* SPDX-License-Identifier: MIT */
/* A growing byte buffer with a maximum. A failed add leaves the buffer as it was and marks it `failed`, so a
 * writer may add many pieces and look once at the end. Not thread-safe. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/cleanup.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct buf {
    char *data; /* NUL-terminated whenever len > 0 or after buf_str(); owned */
    size_t len;
    size_t cap;
    size_t max;  /* len never passes it */
    bool failed; /* an add was refused: maximum or memory */
    bool secret; /* memory is overwritten before it is given back */
};

#define BUF_INIT(maximum) ((struct buf){.max = (maximum)})
#define BUF_INIT_SECRET(maximum) ((struct buf){.max = (maximum), .secret = true})

void buf_free(struct buf *b);

/* Forgets the content and the failure, keeps the memory. */
void buf_reset(struct buf *b);

/* 0, or -ENOBUFS past the maximum, or -ENOMEM; buf_addf also -EINVAL where the text can't be formatted. */
int buf_add(struct buf *b, const void *data, size_t len);
int buf_adds(struct buf *b, const char *s);
int buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Removes the first n bytes (n <= len). */
void buf_drop(struct buf *b, size_t n);

/* The content as a string, "" when empty; valid until the next change. NULL only without memory. */
const char *buf_str(struct buf *b);

/* Hands the content over to the caller, who frees it; the buffer is empty after. NULL without memory. */
char *buf_take(struct buf *b, size_t *ret_len);

#define _cleanup_buf_ _cleanup_(buf_free)

#endif
