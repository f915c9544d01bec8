/* SPDX-License-Identifier: MIT */
/* What an engine of the queues provides; private to src/queue. The engine keeps jobs and their states; which
 * runner does what when is the worker's affair (worker.c), and is the same for all engines.
 *
 * A claim is named by its job's id and a token that no other claim ever has: whoever settles, renews or
 * writes progress says both, and nothing is done where the job is no longer held under that token, or its
 * lease has ended. Engines call the handlers' hooks (queue_moved) in the unit in which they make a move, and
 * queue_changed() once it is made. */
#ifndef QUEUE_ENGINE_H
#define QUEUE_ENGINE_H

#include "base/uuid.h"
#include "queue/handler.h"
#include "queue/queue.h"

#include <pthread.h>
#include <stdatomic.h>

#define QUEUE_LEASE_MS 30000
#define QUEUE_RENEW_MS 15000
#define QUEUE_STALLED_MAX 3 /* times that others take it over; then it fails */
#define QUEUE_BATCH 128     /* most jobs that one step settles, and that it claims */

/* Retention: how many finished jobs a queue keeps, and for how long. */
#define QUEUE_KEEP_COMPLETED 1000
#define QUEUE_KEEP_COMPLETED_MS (INT64_C(7) * 24 * 3600 * 1000)
#define QUEUE_KEEP_FAILED 5000
#define QUEUE_KEEP_FAILED_MS (INT64_C(30) * 24 * 3600 * 1000)

#define QUEUE_TOKEN_SIZE 64

/* A job that was claimed; made by the engine, freed by the worker with queue_claim_free. */
struct queue_claim {
    struct queue_job job; /* in the arena; data is a reference */
    struct arena arena;
    char token[QUEUE_TOKEN_SIZE];
    int64_t good_until_ms; /* by clock_monotonic_ms(), as claimed: the lease counts as lost from then on */
    const void *details;   /* the engine's own, in the arena; may be NULL */
    const char *unfit;     /* why it can't run (its data are no object), for its owner; else NULL */
};

struct queue_claim *queue_claim_new(void); /* NULL without memory */
void queue_claim_free(struct queue_claim *claim);
DEFINE_CLEANUP(struct queue_claim *, queue_claim_free);

/* How a claim ends. QUEUE_RETURNED with delay_ms = 0 goes back to where it was. */
struct queue_settle {
    struct queue_claim *claim;
    enum queue_move move;
    int64_t delay_ms;        /* of QUEUE_RETRIED and QUEUE_RETURNED */
    const json_t *result;    /* may be NULL */
    const char *result_text; /* the same as text */
    const char *error;       /* may be NULL */
    void *finish;
    int percent;              /* its last progress, -1 = as stored */
    const char *const *lines; /* log lines not yet stored */
    size_t n_lines;

    /* What came of it. A move but QUEUE_COMPLETED becomes QUEUE_CANCELLED where the job was asked to end;
     * `made` says which it was. lost: the claim no longer held, nothing was written and no hook called. */
    enum queue_move made;
    bool lost;
};

/* One step for one queue: settles, then claims. Either all of the settlements are done, or none. */
struct queue_step {
    enum queue_name queue;
    struct queue_settle *const *settle;
    size_t n_settle; /* at most QUEUE_BATCH */
    size_t want;     /* claims, at most QUEUE_BATCH */

    struct queue_claim *claimed[QUEUE_BATCH]; /* in the order in which they are to run */
    size_t n_claimed;                         /* fewer than want: there were no more */
};

/* What a round of the lease thread says and hears of a claim. */
struct queue_note {
    struct queue_claim *claim;
    bool renew;  /* else only notes and news */
    int percent; /* -1 = as stored */
    const char *const *lines;
    size_t n_lines;

    int64_t good_until_ms; /* what was heard: of the renewed lease, as in a claim; */
    bool lost, cancelled;  /* the claim no longer holds; the job was asked to end */
};

/* A look at what time will bring: of a worker's queues (bits 1 << queue). */
struct queue_upkeep {
    unsigned queues;
    bool trim; /* retention is due as well */

    unsigned fresh;  /* bits of those that have jobs to claim, perhaps */
    int64_t next_ms; /* from now: when to look again at the latest */
};

struct queue_engine {
    const char *name; /* for logs and genie doctor */

    int (*open)(struct queue *q); /* sets q->state */
    void (*close)(struct queue *q);
    /* Threads that only a process with a server or worker needs, and their end: they call hooks. May be NULL.
     */
    int (*start)(struct queue *q);
    void (*stop)(struct queue *q);

    /* Those of queue.h. */
    int (*ready)(struct queue *q);
    int (*add_in)(struct queue *q, struct db_conn *c, const struct queue_add *job);
    int (*confirm)(struct queue *q, const char *id);
    int (*cancel)(struct queue *q, const char *id, enum queue_cancelled *ret);
    void (*ended)(struct queue *q, enum queue_name queue, const char *id, const char *why);
    int (*forget)(struct queue *q, enum queue_name queue, const char *id);
    int (*look)(struct queue *q, const char *id, struct arena *a, struct queue_info *ret);
    int (*lines)(struct queue *q, const char *id, struct arena *a, size_t limit, struct queue_line **ret,
                 size_t *ret_n);
    int (*list)(struct queue *q, const struct queue_filter *filter, struct arena *a, struct queue_info **ret,
                size_t *ret_n);
    int (*count)(struct queue *q, struct queue_counts ret[QUEUES]);
    int (*pause)(struct queue *q, enum queue_name queue, bool paused);

    /* Of a worker's move thread. 0, or negative errno: nothing of the step was done (settlements are tried
     * again while their leases last). */
    int (*step)(struct queue *q, struct queue_step *step);

    /* Of a worker's lease thread. 0 or negative errno: nothing was written. */
    int (*notes)(struct queue *q, struct queue_note *notes, size_t n);

    /* Of the same thread, when something may have changed, or time has come: makes due jobs claimable, takes
     * back jobs whose leases have ended, trims. 0 or negative errno. */
    int (*upkeep)(struct queue *q, struct queue_upkeep *u);

    /* A number that changes when another process may have changed something. Cheap, never waits. */
    int64_t (*version)(struct queue *q);
};

extern const struct queue_engine queue_embedded, queue_bullmq;

struct queue {
    const struct queue_engine *engine;
    void *state; /* the engine's */
    const struct config *cfg;
    struct db *db;
    const struct queue_handler *handlers; /* may be NULL: no hooks, nothing can run */
    char owner[UUID_SIZE];                /* of this process's claims */
    _Atomic uint64_t tokens;

    pthread_mutex_t lock; /* of what follows; held while a watch's callback runs */
    pthread_cond_t change;
    struct queue_watch *watches;
    pthread_t watcher; /* begun with the first watch */
    int64_t seen;      /* the engine's version that those who watch know of */
    bool watching, closing, started;

    pthread_mutex_t worker_lock;
    struct queue_worker *worker; /* of this process, or NULL */
};

/* The handler of an operation, or NULL. */
const struct queue_handler *queue_handler_of(const struct queue *q, enum queue_name queue,
                                             const char *operation);

/* Calls the hook of the job's handler; 0 where there is none. */
int queue_moved(const struct queue *q, struct db_conn *c, const struct queue_job *job, enum queue_move move,
                const json_t *result, const char *error, void *finish);
int queue_progressed(const struct queue *q, struct db_conn *c, const struct queue_job *job, int percent);

/* A token for a claim: "<owner>-<n>". */
void queue_token(struct queue *q, char ret[QUEUE_TOKEN_SIZE]);

/* Counts a move that was made (metrics), and wakes those who watch the job. */
void queue_made(struct queue *q, const char *id, enum queue_move move);

/* Wakes those who watch the job; NULL = any. */
void queue_changed(struct queue *q, const char *id);

/* There may be work in these queues (bits): this process's worker looks at once. */
void queue_wake(struct queue *q, unsigned queues);

/* The job is to end: raises the cancel of its run, if that is in this process. */
void queue_cancel_here(struct queue *q, const char *id);

#endif
