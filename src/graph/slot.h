/* SPDX-License-Identifier: MIT */
/* A slot that holds the newest of something immutable which many threads read while it is replaced, such as a
 * graph and what goes with it. A reader takes a reference and reads without locks for as long as it likes;
 * the old one goes with its last reader. What is put is whole, so nobody ever sees a half-loaded one.
 *
 * The object begins with a struct shared. Thread-safe; the slot's lock is held for a few instructions. */
#ifndef GRAPH_SLOT_H
#define GRAPH_SLOT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

/* The head of an object that is shared by counted references. */
struct shared {
    atomic_uint_least32_t refs;
    void (*free)(struct shared *self); /* called once, by whoever drops the last reference */
};

/* The maker holds the first reference. */
void shared_init(struct shared *s, void (*free)(struct shared *self));

/* One more reference; the caller has one. */
void shared_ref(struct shared *s);

/* Gives a reference up; NULL is fine. */
void shared_unref(struct shared *s);

struct slot {
    pthread_mutex_t lock;
    struct shared *now; /* NULL before the first put */
};

#define SLOT_INIT \
    { \
        .lock = PTHREAD_MUTEX_INITIALIZER \
    }

/* A reference to what is in the slot, to be given up with shared_unref; NULL before the first put. */
struct shared *slot_take(struct slot *s);

/* Puts an object in, whose reference the slot takes over; gives up the one before. NULL empties the slot. */
void slot_put(struct slot *s, struct shared *next);

#endif
