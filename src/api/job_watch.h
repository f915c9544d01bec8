/* SPDX-License-Identifier: MIT */
/* Jobs as streams of events: the job itself whenever it has changed, until it has ended. One thread reads
 * what has changed and tells; a client that reads slowly misses states in between, never the last one.
 * Thread-safe. */
#ifndef API_JOB_WATCH_H
#define API_JOB_WATCH_H

#include "api/app.h"
#include "http/events.h"
#include "queue/queue.h"

#define JOB_WATCHES_MAX 2048
#define JOB_WATCHES_EACH 64 /* of one user; one whose client has left counts until it is given up */

struct job_watches;

/* app must outlive it, with its db, queue and events set. 0 or negative errno. */
int job_watches_start(const struct app *app, struct job_watches **ret);

/* Ends all streams, and the thread. */
void job_watches_stop(struct job_watches *watches);

/* When the event hub is stopped: nothing calls it any more. */
void job_watches_free(struct job_watches *watches);

/* A stream for that user of a job that was found (job_find): *ret is a reference. 0, -EBUSY (the user has
 * JOB_WATCHES_EACH), -EAGAIN (there are JOB_WATCHES_MAX), or negative errno. Workers only. */
int job_watch(struct job_watches *watches, const char *user_id, const struct queue_info *info,
              struct event_stream **ret);

#endif
