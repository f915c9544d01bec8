/* SPDX-License-Identifier: MIT */
/* A flag that one thread raises and blocking work on another looks at between its waits. */
#ifndef BASE_CANCEL_H
#define BASE_CANCEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct cancel {
    atomic_bool raised;
};

static inline void cancel_raise(struct cancel *c)
{
    atomic_store(&c->raised, true);
}

/* NULL is never cancelled. */
static inline bool cancel_raised(struct cancel *c)
{
    return c && atomic_load(&c->raised);
}

#endif
