/* SPDX-License-Identifier: MIT */
/* Long text in pieces of about CHUNK_CHARS characters that end, if they can, with a paragraph, else with a
 * sentence, else with a word, and overlap by CHUNK_OVERLAP characters. */
#ifndef RETRIEVAL_CHUNK_H
#define RETRIEVAL_CHUNK_H

#include <stdbool.h>
#include <stddef.h>

#define CHUNK_CHARS 1000
#define CHUNK_OVERLAP 20
#define CHUNK_WHOLE 1200 /* a rest of at most this many characters is not cut any more */

struct chunker {
    const char *text; /* borrowed */
    size_t len, at;
    bool done;
};

/* The next piece as a range of the text; false at the end. An empty text is one empty piece. Starts as
 * {.text = …, .len = …}. */
bool chunk_next(struct chunker *c, size_t *ret_begin, size_t *ret_len);

/* Bytes of the first n characters of s, or of all of it. Malformed bytes count as they fall. */
size_t chars_to_bytes(const char *s, size_t len, size_t n);

#endif
