/* SPDX-License-Identifier: MIT */
/* Private to src/http. How a connection sleeps (suspended) while there is nothing to do for it, and is woken
 * by whoever has something. The race to get right: the waker comes between the last look and the suspension.
 * `woken` is cleared before each look, and the suspension happens only if it is still clear under the lock
 * that sleeper_wake takes.
 *
 * It is the first member of what sleeps (a reader, a sink), reference-counted, and thread-safe. */
#ifndef HTTP_SLEEPER_H
#define HTTP_SLEEPER_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct sleeper {
    struct MHD_Connection *connection; /* set before the first sleep */
    void (*release)(struct sleeper *s);
    pthread_mutex_t lock;
    atomic_int refs;
    bool woken, waiting, gone;
};

/* With one reference; release frees what it is part of when the last has gone. */
void sleeper_init(struct sleeper *s, void (*release)(struct sleeper *s));
struct sleeper *sleeper_ref(struct sleeper *s);
void sleeper_unref(struct sleeper *s);

/* There is something to do. May be called with the waker's locks held. */
void sleeper_wake(struct sleeper *s);

/* The client has left: it is woken for good. */
void sleeper_gone(struct sleeper *s);

/* Before a look at what there is to do: false when the client has left. Event thread. */
bool sleeper_look(struct sleeper *s);

/* Nothing was found: true if the connection sleeps now, false if somebody woke it since the look. Event
 * thread. */
bool sleeper_sleep(struct sleeper *s);

/* Whether it sleeps and nobody has woken it. */
bool sleeper_sleeps(struct sleeper *s);

/* The connection won't sleep any more, and is not touched again. */
void sleeper_end(struct sleeper *s);

#endif
