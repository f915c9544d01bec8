/* SPDX-License-Identifier: MIT */
#include "graph/slot.h"

void shared_init(struct shared *s, void (*free)(struct shared *self))
{
    atomic_init(&s->refs, 1);
    s->free = free;
}

void shared_ref(struct shared *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
}

/* Release and acquire: what any holder read or wrote has happened before the object goes. */
void shared_unref(struct shared *s)
{
    if (s && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1)
        s->free(s);
}

struct shared *slot_take(struct slot *s)
{
    pthread_mutex_lock(&s->lock);
    struct shared *now = s->now;
    if (now)
        shared_ref(now);
    pthread_mutex_unlock(&s->lock);
    return now;
}

/* The old object may take long to free, so that happens after the lock. */
void slot_put(struct slot *s, struct shared *next)
{
    pthread_mutex_lock(&s->lock);
    struct shared *before = s->now;
    s->now = next;
    pthread_mutex_unlock(&s->lock);
    shared_unref(before);
}
