/* SPDX-License-Identifier: MIT */
/* Open addressing, linear probing, at most half full. */
#include "retrieval/lexicon.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_SLOTS 256
#define BYTES_MAX ((size_t)1 << 31)

void lexicon_free(struct lexicon *l)
{
    free(l->slots);
    free(l->ends);
    free(l->bytes);
    *l = (struct lexicon){0};
}

/* FNV-1a. */
static uint32_t hash(const char *s, size_t len)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)s[i]) * 16777619u;
    return h ^ h >> 15;
}

static const char *term_of(const struct lexicon *l, uint32_t id, size_t *ret_len)
{
    uint32_t begin = id ? l->ends[id - 1] : 0;
    *ret_len = l->ends[id] - begin;
    return l->bytes + begin;
}

/* The slot that holds the term, or the free one where it belongs. */
static uint32_t probe(const struct lexicon *l, const char *term, size_t len)
{
    uint32_t at = hash(term, len) & (l->n_slots - 1);
    for (; l->slots[at] != 0; at = (at + 1) & (l->n_slots - 1)) {
        size_t n;
        const char *there = term_of(l, l->slots[at] - 1, &n);
        if (n == len && memcmp(there, term, len) == 0)
            break;
    }
    return at;
}

uint32_t lexicon_find(const struct lexicon *l, const char *term, size_t len)
{
    if (l->n_slots == 0)
        return LEXICON_NONE;
    uint32_t held = l->slots[probe(l, term, len)];
    return held ? held - 1 : LEXICON_NONE;
}

static int grow_slots(struct lexicon *l)
{
    struct lexicon grown = *l;
    grown.n_slots = l->n_slots ? l->n_slots * 2 : FIRST_SLOTS;
    grown.slots = calloc(grown.n_slots, sizeof *grown.slots);
    if (!grown.slots)
        return -1;
    for (uint32_t id = 0; id < l->n; id++) {
        size_t len;
        const char *term = term_of(l, id, &len);
        grown.slots[probe(&grown, term, len)] = id + 1;
    }
    free(l->slots);
    *l = grown;
    return 0;
}

/* Room for one more term of that length. */
static int make_room(struct lexicon *l, size_t len)
{
    size_t used = l->n ? l->ends[l->n - 1] : 0;
    if (used + len > BYTES_MAX)
        return -1;
    if (l->n == l->cap) {
        uint32_t cap = l->cap ? l->cap * 2 : FIRST_SLOTS / 2;
        uint32_t *ends = realloc(l->ends, cap * sizeof *ends);
        if (!ends)
            return -1;
        l->ends = ends;
        l->cap = cap;
    }
    if (used + len > l->bytes_cap) {
        size_t cap = 2 * (used + len) + 64;
        char *bytes = realloc(l->bytes, cap);
        if (!bytes)
            return -1;
        l->bytes = bytes;
        l->bytes_cap = cap;
    }
    return l->n * 2 >= l->n_slots ? grow_slots(l) : 0;
}

uint32_t lexicon_add(struct lexicon *l, const char *term, size_t len)
{
    uint32_t known = lexicon_find(l, term, len);
    if (known != LEXICON_NONE)
        return known;
    if (make_room(l, len) < 0)
        return LEXICON_NONE;
    uint32_t begin = l->n ? l->ends[l->n - 1] : 0;
    memcpy(l->bytes + begin, term, len);
    l->ends[l->n++] = begin + (uint32_t)len;
    l->slots[probe(l, term, len)] = l->n;
    return l->n - 1;
}

size_t lexicon_bytes(const struct lexicon *l)
{
    return l->n_slots * sizeof *l->slots + l->cap * sizeof *l->ends + l->bytes_cap;
}
