/* SPDX-License-Identifier: MIT */
/* For who does jobs. A handler has two halves.
 *
 * run() does the work, on a runner's thread, outside any unit: it may wait, and looks at work->cancel between
 * its waits. It writes nothing that a second run couldn't write again, and returns within a few seconds of a
 * cancel.
 *
 * moved() writes what the job's move means for other rows, in the very unit in which the job makes the move:
 * what the work yielded becomes true there, or not at all. It is called in whichever process the move
 * happens, also for jobs that never ran here. With the embedded engine it is called once a move that is kept
 * (a unit that is undone may be run again); with Redis it has a unit of its own, may come twice for a move,
 * and must do nothing then. */
#ifndef QUEUE_HANDLER_H
#define QUEUE_HANDLER_H

#include "base/arena.h"
#include "base/cancel.h"
#include "base/json.h"
#include "queue/queue.h"

struct queue_job {
    const char *id;
    enum queue_name queue;
    const char *operation;
    const char *user_id, *media_job_id; /* may be NULL */
    const json_t *data;                 /* an object */
    int attempt;                        /* from 1; of a job that never ran: 0 */
    int max_attempts;
};

enum queue_move {
    QUEUE_STARTED,   /* an attempt begins */
    QUEUE_RETRIED,   /* it failed, and there will be another, later */
    QUEUE_RETURNED,  /* it goes back to the queue, and doesn't count: WORK_LATER, a worker that stops, or one
                        that died */
    QUEUE_COMPLETED, /* ended well */
    QUEUE_FAILED,    /* ended for good: `error` says why; attempts are used up, or it stalled too often */
    QUEUE_CANCELLED, /* ended because somebody asked for it */
};

enum queue_verdict {
    WORK_FAILED, /* for good; what run() leaves if it says nothing */
    WORK_DONE,
    WORK_RETRY, /* it may pass: again after 1 s × 2^n (± jitter, at most 5 min), while attempts are left */
    WORK_LATER, /* again after delay_ms, not an attempt: it waits for a person, a rate … */
};

#define WORK_ERROR_SIZE 512

/* An attempt. run() fills the second half. */
struct queue_work {
    struct queue_job job;
    struct arena *arena;   /* lives until the move has been made */
    struct cancel *cancel; /* raised when somebody asked for it, the lease is lost, or the worker stops */

    enum queue_verdict verdict;
    json_t *result;              /* of WORK_DONE; may be NULL; the queue's from now on */
    char error[WORK_ERROR_SIZE]; /* a sentence for the owner, of the other verdicts; of WORK_DONE, where
                                    moved() may answer -EDQUOT */
    int64_t delay_ms;            /* of WORK_LATER */
    void *finish;                /* for moved(), of the end of this attempt */
};

#define WORK_ARENA_MAX ((size_t)16 * 1024 * 1024)

struct queue_handler {
    enum queue_name queue;
    const char *operation; /* NULL: every one of the queue that has no row of its own */
    void *ctx;

    void (*run)(void *ctx, struct queue_work *work);

    /* In a unit, perhaps on the store's own thread: it doesn't wait for anything else. result: of
     * QUEUE_COMPLETED, may be NULL. error: of RETRIED, FAILED and CANCELLED, perhaps of RETURNED. finish:
     * what run() left, NULL where it didn't run here. 0, or negative errno: the unit is undone, and tried
     * again later; but -EDQUOT of QUEUE_COMPLETED (its owner has no room for what it yields) makes it fail,
     * with work->error. May be NULL. */
    int (*moved)(struct db_conn *c, void *ctx, const struct queue_job *job, enum queue_move move,
                 const json_t *result, const char *error, void *finish);

    /* The same for progress, in the unit that stores it. May be NULL. */
    int (*progressed)(struct db_conn *c, void *ctx, const struct queue_job *job, int percent);

    /* The attempt is over, its move made or given up: frees work->finish. On the worker's thread, once for
     * each run(). May be NULL. */
    void (*done)(void *ctx, struct queue_work *work);
};

#define QUEUE_HANDLERS_END ((struct queue_handler){.queue = QUEUES})

/* How far the work is, 0 to 100. Cheap: it is stored a few times a second at most, and by itself. Any thread,
 * while run() runs. */
void queue_progress(struct queue_work *w, int percent);

/* A line of the job's log (at most 1,000 bytes; line breaks become spaces), kept like its progress; at most
 * QUEUE_LOG_LINES a job. Any thread, while run() runs. No secrets: the owner reads it. */
void queue_log(struct queue_work *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Whether the cancel was raised because the owner asked for it. */
bool queue_work_cancelled(struct queue_work *w);

#endif
