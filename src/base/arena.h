/* SPDX-License-Identifier: MIT */
/* A region that lives as long as one piece of work (a request, a flow run): many small allocations, one free.
 * It grows in chunks up to a maximum fixed at init, so hostile input ends as -ENOMEM and not as memory use.
 * Not thread-safe: one owner at a time. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks; /* newest first */
    size_t used;                /* bytes handed out by the newest chunk */
    size_t total;               /* bytes of all chunks */
    size_t max;
};

/* An empty arena; allocates nothing yet. max: bytes of all chunks together. */
void arena_init(struct arena *a, size_t max);

/* Frees everything allocated from it; the arena is empty and usable again. */
void arena_free(struct arena *a);

/* The same for an arena that held secrets: its memory is overwritten first. */
void arena_wipe(struct arena *a);

/* Zeroed memory aligned for any type; NULL when the maximum or the system's memory is exhausted. */
void *arena_alloc(struct arena *a, size_t size);

/* Copies into the arena; NULL on exhaustion, and arena_strdup(a, NULL) is NULL. */
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t len);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(struct arena *a, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

#endif
