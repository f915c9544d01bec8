/* SPDX-License-Identifier: MIT */
/* Reads one HTTP/1.1 answer piece by piece, with a length or in chunks, and hands on what it carries. */
#ifndef BENCH_ANSWER_H
#define BENCH_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ANSWER_LINE_MAX 512

enum answer_part {
    ANSWER_STATUS,
    ANSWER_HEADERS,
    ANSWER_BODY,
    ANSWER_CHUNK_SIZE,
    ANSWER_CHUNK,
    ANSWER_CHUNK_END,
    ANSWER_TRAILERS,
    ANSWER_DONE
};

/* All zero is the beginning of an answer. */
struct answer {
    enum answer_part part;
    int status;
    bool chunked, closes; /* closes: the server ends the connection after it */
    uint64_t left, carried;
    size_t line_len;
    char line[ANSWER_LINE_MAX];
};

/* Takes bytes; carried bytes go to `carry`. 1 when the answer is whole, 0 when it goes on, -1 when it is
 * malformed, which includes bytes behind its end. */
int answer_take(struct answer *a, const char *data, size_t len,
                void (*carry)(void *ctx, const char *data, size_t len), void *ctx);

#endif
