/* SPDX-License-Identifier: MIT */
/* Ownership made visible: a local declared with _cleanup_(f) is released by f when its scope ends, on every
 * way out; TAKE_PTR() hands it over to someone else. gcc and clang both have the attribute. */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

/* Returns the pointer and sets the variable to NULL, so that its cleanup does nothing. */
#define TAKE_PTR(p) \
    ({ \
        __typeof__(p) *_take_from = &(p); \
        __typeof__(p) _taken = *_take_from; \
        *_take_from = NULL; \
        _taken; \
    })

#define TAKE_FD(fd) \
    ({ \
        int *_take_from = &(fd); \
        int _taken = *_take_from; \
        *_take_from = -1; \
        _taken; \
    })

/* Makes fooP(T *p) out of foo(T p), to be named in _cleanup_(). */
#define DEFINE_CLEANUP(type, func) \
    static inline void func##P(type *p) \
    { \
        if (*p) \
            func(*p); \
    } \
    struct cleanup_needs_semicolon

static inline void freeP(void *p)
{
    free(*(void **)p);
}

static inline void closeP(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

DEFINE_CLEANUP(FILE *, fclose);

#define _cleanup_free_ _cleanup_(freeP)
#define _cleanup_close_ _cleanup_(closeP)

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
