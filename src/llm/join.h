/* SPDX-License-Identifier: MIT */
/* Joins pieces of text into well-formed UTF-8. A character may be cut between two pieces, as bytes or as the
 * two halves of a surrogate pair in JSON escapes: models emit tokens, not characters. What can't be completed
 * becomes U+FFFD, one for each byte or half; so does NUL. The outcome is the same however the text was cut.
 * The text is appended to `out`, whose `failed` tells of a refused add. Not thread-safe. */
#ifndef LLM_JOIN_H
#define LLM_JOIN_H

#include "base/buf.h"

#include <stdint.h>

struct joiner {
    char tail[4]; /* bytes of a character whose rest is awaited */
    uint8_t n_tail;
    uint16_t high; /* first half of a surrogate pair that awaits its second; 0 = none */
};

/* Appends bytes. */
void join_bytes(struct joiner *j, struct buf *out, const char *s, size_t len);

/* Appends the inside of a JSON string, with its escapes (which must be well-formed, see pick.h). */
void join_json(struct joiner *j, struct buf *out, const char *s, size_t len);

/* The text is over: what still waits becomes U+FFFD. */
void join_finish(struct joiner *j, struct buf *out);

#endif
