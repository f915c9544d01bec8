/* SPDX-License-Identifier: MIT */
/* An attempt at a job while this process holds it, and what the worker's threads share; private to
 * src/queue. Fields of works, lanes and the worker are the worker's lock's, but where it says otherwise. */
#ifndef QUEUE_WORK_H
#define QUEUE_WORK_H

#include "queue/engine.h"
#include "queue/worker.h"

#define WORK_LINES_PENDING 256 /* log lines kept until they are stored */
#define WORK_RESULT_MAX ((size_t)1024 * 1024)

enum work_place { WORK_BUFFERED, WORK_RUNNING, WORK_ENDED, WORK_SETTLING };

/* Why the cancel of a run was raised. */
enum { WHY_ASKED = 1, WHY_LOST = 2, WHY_STOPPED = 4 };

/* Progress and log lines on their way to the store. */
struct work_notes {
    int percent; /* -1 = no news */
    char **lines;
    size_t n_lines;
};

struct work {
    struct queue_work shown; /* first: handlers get a pointer to it */
    struct queue_claim *claim;
    const struct queue_handler *handler; /* NULL: there is none */
    struct cancel cancel;
    int refs;
    enum work_place place;
    int64_t placed_ms;     /* when it came there */
    int64_t good_until_ms; /* of its lease */
    int64_t renew_at_ms, note_at_ms, settle_at_ms;
    uint64_t seen_in_round;
    bool noting; /* the lease thread carries notes of it: it isn't settled before */
    bool ran;
    _Atomic unsigned why; /* needs no lock */
    struct queue_settle settle;
    struct work_notes last; /* what goes with the settlement */
    char *result_text;
    struct work *prev, *next; /* among those in the same place */
    struct work *all_prev, *all_next;

    pthread_mutex_t notes_lock; /* of what follows */
    struct work_notes notes;
    int stored_percent;
    size_t lines_left_out;
};

struct lane {
    struct queue_worker *worker;
    enum queue_name queue;
    int concurrency, threads, running;
    pthread_t *thread;
    pthread_cond_t wake;
    struct work *buffer, *ended; /* claimed; to be settled */
    int buffered;
    int64_t average_us; /* of a run, lately; -1 = not known */
    int64_t retry_at_ms;
    bool fresh;   /* there may be jobs to claim */
    bool failing; /* the last step failed, and the log says so */
};

struct queue_worker {
    struct queue *q;
    pthread_mutex_t lock;
    pthread_cond_t moves, leases, quiet; /* for the thread of moves, that of leases, who waits for the end */
    pthread_t move_thread, lease_thread;
    bool has_move_thread;
    struct lease_round *leases_of; /* NULL: that thread isn't there */
    struct lane lanes[QUEUES];
    struct work *works; /* all */
    bool look;          /* something may have changed: the lease thread is to look */
    bool quiesced, hastened, closing, leases_closing;
    int64_t finished;     /* jobs that ended here since finished ones were trimmed */
    int64_t unsettled_ms; /* how long an end that can't be stored is tried again */
};

/* A work for a claim, which it owns from then on: one reference. NULL without memory. */
struct work *work_new(struct queue *q, struct queue_claim *claim);
struct work *work_ref(struct work *w); /* with the worker's lock */
void work_unref(struct work *w);       /* with it; calls no handler */

/* Runs the handler, or says why it can't run. On a runner's thread, without the lock. */
void work_run(struct work *w);

/* Says in w->settle what becomes of the job after work_run. With the worker's lock. */
void work_conclude(struct work *w);

/* The same once its handler has refused the end: there is no room for what it yields, so it fails with the
 * sentence that run() left. Whether it was done, and so could fail. On the thread of moves, which has it. */
bool work_refuse(struct work *w);

/* The same for a claim that goes back as it came. */
void work_give_back(struct work *w);

/* Raises the cancel of a run, for a reason. */
void work_stop(struct work *w, unsigned why);

bool work_has_notes(struct work *w);
void work_take_notes(struct work *w, struct work_notes *ret);
/* Frees them once they are stored; else they go back to the work. */
void work_end_notes(struct work *w, struct work_notes *notes, bool stored);

/* The lease thread: renews, carries notes, hears of cancels, keeps the queues up. 0 or negative errno. */
int leases_start(struct queue_worker *worker);
void leases_stop(struct queue_worker *worker);

#endif
