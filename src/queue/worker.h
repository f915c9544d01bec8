/* SPDX-License-Identifier: MIT */
/* Runs jobs by their handlers: as many at a time as each queue's concurrency says, on threads of their own.
 * `genie serve` has one inside, `genie worker` is one alone; any number of both may share the queues.
 *
 * One thread makes the jobs' moves: it settles what has ended and claims what is next in one step of the
 * engine. Another renews the leases, every 15 s, carries progress and log lines, hears of cancels, and brings
 * back what others left behind. */
#ifndef QUEUE_WORKER_H
#define QUEUE_WORKER_H

#include "queue/queue.h"

#define QUEUE_CONCURRENCY_MAX 64
#define QUEUE_STOP_MS 30000 /* of a clean end, at most */

struct queue_worker;

struct queue_worker_options {
    struct queue *queue;     /* with its handlers set */
    int concurrency[QUEUES]; /* 0 = none of that queue; at most QUEUE_CONCURRENCY_MAX */
};

/* One a queue handle at a time. 0, or negative errno with a log line. */
int queue_worker_start(const struct queue_worker_options *options, struct queue_worker **ret);

/* Claims no more, and hands back what waits here for a runner. Returns at once. */
void queue_worker_quiesce(struct queue_worker *w);

/* Cancels what runs: it is handed back as its handlers return. Returns at once; async-signal-unsafe. */
void queue_worker_hasten(struct queue_worker *w);

/* Both, in turn: lets what runs go on for patience_ms (less after queue_worker_hasten), then cancels it.
 * Settles and hands back, and ends the threads: 0, and the worker is gone. -ETIMEDOUT where a handler didn't
 * return within limit_ms: the worker is left as it is, and the process should end; the job's lease will. */
int queue_worker_stop(struct queue_worker *w, int64_t patience_ms, int64_t limit_ms);

/* Jobs that run here now. */
int queue_worker_running(struct queue_worker *w);

#endif
