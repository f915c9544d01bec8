/* SPDX-License-Identifier: MIT */
/* Chunks are a linked list; each new one doubles, so a request of any size needs few malloc calls, while an
 * idle one holds a kilobyte. */
#include "base/arena.h"

#include "base/text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CHUNK 1024
#define LARGEST_STEP (64 * 1024)
#define ALIGNMENT _Alignof(max_align_t)

struct arena_chunk {
    struct arena_chunk *next;
    size_t size;
    _Alignas(max_align_t) char data[];
};

void arena_init(struct arena *a, size_t max)
{
    *a = (struct arena){.max = max};
}

void arena_free(struct arena *a)
{
    struct arena_chunk *c = a->chunks;
    while (c) {
        struct arena_chunk *next = c->next;
        free(c);
        c = next;
    }
    arena_init(a, a->max);
}

void arena_wipe(struct arena *a)
{
    for (struct arena_chunk *c = a->chunks; c; c = c->next)
        wipe(c->data, c->size);
    arena_free(a);
}

static size_t next_chunk_size(const struct arena *a, size_t need)
{
    size_t size = a->chunks ? a->chunks->size * 2 : FIRST_CHUNK;
    if (size > LARGEST_STEP)
        size = LARGEST_STEP;
    if (size < need)
        size = need;
    if (size > a->max - a->total)
        size = a->max - a->total;
    return size;
}

static int add_chunk(struct arena *a, size_t need)
{
    size_t size = next_chunk_size(a, need);
    if (size < need)
        return -1;
    struct arena_chunk *c = malloc(sizeof *c + size);
    if (!c)
        return -1;
    c->size = size;
    c->next = a->chunks;
    a->chunks = c;
    a->used = 0;
    a->total += size;
    return 0;
}

void *arena_alloc(struct arena *a, size_t size)
{
    if (size > SIZE_MAX - ALIGNMENT)
        return NULL;
    size = (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    if (!a->chunks || a->chunks->size - a->used < size)
        if (add_chunk(a, size) < 0)
            return NULL;
    void *p = a->chunks->data + a->used;
    a->used += size;
    return memset(p, 0, size);
}

char *arena_strndup(struct arena *a, const char *s, size_t len)
{
    char *p = len < SIZE_MAX ? arena_alloc(a, len + 1) : NULL;
    if (p)
        memcpy(p, s, len);
    return p;
}

char *arena_strdup(struct arena *a, const char *s)
{
    return s ? arena_strndup(a, s, strlen(s)) : NULL;
}

char *arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int len = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    char *p = len >= 0 ? arena_alloc(a, (size_t)len + 1) : NULL;
    if (p)
        (void)vsnprintf(p, (size_t)len + 1, fmt, ap);
    return p;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *p = arena_vprintf(a, fmt, ap);
    va_end(ap);
    return p;
}
