/* SPDX-License-Identifier: MIT */
/* A flag that one thread raises and blocking work on another looks at between its waits. It may also carry a
 * deadline and a parent, so that a part of the work ends with its own time or with the whole. */
#ifndef BASE_CANCEL_H
#define BASE_CANCEL_H

#include "base/clock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct cancel {
    atomic_bool raised;
    int64_t deadline_ms;   /* clock_monotonic_ms() from which it counts as raised; 0 = none */
    struct cancel *parent; /* whatever raises it raises this one; may be NULL */
};

static inline void cancel_raise(struct cancel *c)
{
    atomic_store(&c->raised, true);
}

/* NULL is never cancelled. */
static inline bool cancel_raised(struct cancel *c)
{
    for (; c; c = c->parent)
        if (atomic_load(&c->raised) || (c->deadline_ms && clock_monotonic_ms() >= c->deadline_ms))
            return true;
    return false;
}

#endif
