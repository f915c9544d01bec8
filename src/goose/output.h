/* SPDX-License-Identifier: MIT */
/* What a program prints, kept within a maximum: its beginning and its end, with a line between them that says
 * how much is missing. Not thread-safe. */
#ifndef GOOSE_OUTPUT_H
#define GOOSE_OUTPUT_H

#include "base/buf.h"

#include <stdint.h>

#define OUTPUT_HEAD_MAX ((size_t)512 * 1024)
#define OUTPUT_TAIL_MAX ((size_t)512 * 1024)
#define OUTPUT_TEXT_MAX (OUTPUT_HEAD_MAX + OUTPUT_TAIL_MAX + 128)

struct output {
    struct buf head, tail;
    int64_t total; /* bytes added */
};

void output_init(struct output *o);
void output_free(struct output *o);

/* Adds well-formed UTF-8 in whole characters. Without memory what can't be kept is missing. */
void output_add(struct output *o, const char *s, size_t len);

/* Appends what is kept, well-formed (ret has room for OUTPUT_TEXT_MAX): 0 or -ENOMEM. */
int output_text(const struct output *o, struct buf *ret);

#endif
