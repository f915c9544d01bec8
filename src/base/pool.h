/* SPDX-License-Identifier: MIT */
/* A fixed set of threads that run short blocking work in order of arrival, behind a bounded queue. Work is
 * never dropped once accepted: stopping waits for what is queued. Thread-safe. */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include "base/cleanup.h"

struct pool;

typedef void (*pool_fn)(void *arg);

/* Starts `threads` (1..256) threads named `name`. capacity: most works waiting. 0 or negative errno. */
int pool_start(const char *name, int threads, int capacity, struct pool **ret);

/* Queues fn(arg): 0, or -EAGAIN when the queue is full or the pool is stopping. */
int pool_submit(struct pool *p, pool_fn fn, void *arg);

/* Runs what is queued to its end, joins the threads and frees the pool. */
void pool_stop(struct pool *p);

/* Work waiting or running now. */
int pool_load(struct pool *p);

DEFINE_CLEANUP(struct pool *, pool_stop);

#endif
