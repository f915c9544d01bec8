/* SPDX-License-Identifier: MIT */
/* The terms of one index, numbered from 0 in the order they were first seen. Three flat blocks of memory
 * instead of an object a term: an index of 10,000 notes has some 20,000 terms, and many indexes are kept.
 * Reading is thread-safe. */
#ifndef RETRIEVAL_LEXICON_H
#define RETRIEVAL_LEXICON_H

#include <stddef.h>
#include <stdint.h>

#define LEXICON_NONE UINT32_MAX

struct lexicon {
    uint32_t *slots; /* hash table of term numbers + 1; 0 = free */
    uint32_t n_slots;
    uint32_t *ends; /* where each term ends in `bytes` */
    uint32_t n, cap;
    char *bytes;
    size_t bytes_cap;
};

void lexicon_free(struct lexicon *l);

/* The number of a term, given one if it is new; LEXICON_NONE without memory. */
uint32_t lexicon_add(struct lexicon *l, const char *term, size_t len);

/* The number of a term, or LEXICON_NONE. */
uint32_t lexicon_find(const struct lexicon *l, const char *term, size_t len);

size_t lexicon_bytes(const struct lexicon *l);

#endif
