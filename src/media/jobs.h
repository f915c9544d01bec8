/* SPDX-License-Identifier: MIT */
/* The rules of media jobs: rows of media_jobs, and their runs in the queue. One place for whoever enqueues
 * (the API, a flow's step), so that all are asked the same in the same order:
 *
 *   1. the row, and every file and profile that is named, exist and are the user's (404);
 *   2. the row has no run that is queued, processing or completed (409);
 *   3. the params are what the operation takes (400), and so is an address (400);
 *   4. the plan has a unit left (403);
 *   5. the unit is counted, the row set to `queued` and the run added to the queue: one unit of the store.
 *
 * A run's id is `<media_jobs id>-<run>`; its unit of the quota is held under it, and settled when the run
 * ends (media/settle.h).
 *
 * Functions return 0 with *ret filled, of which `error` is ERR_NONE or why not; or the store's negative
 * errno, and nothing was done. Blocking; workers only. Thread-safe. */
#ifndef MEDIA_JOBS_H
#define MEDIA_JOBS_H

#include "base/config.h"
#include "base/error.h"
#include "base/json.h"
#include "base/uuid.h"
#include "db/db.h"
#include "quota/quota.h"

struct queue;

#define MEDIA_RUN_ID_SIZE (UUID_SIZE + 12)
#define MEDIA_PRIORITY_DEFAULT 10
#define MEDIA_PRIORITY_RETRY 5
#define MEDIA_PRIORITY_MAX 2097151

/* What the functions work with; all of it outlives them. */
struct media_jobs {
    const struct config *cfg;
    struct db *db;
    struct queue *queue;
    struct quota *quota;
};

struct media_answer {
    enum error_id error;
    char field[64];             /* to blame; "" = none */
    char sentence[160];         /* "" = the error's own */
    struct quota_outcome quota; /* of ERR_TIER_LIMIT */
    char job_id[UUID_SIZE];
    char run_id[MEDIA_RUN_ID_SIZE]; /* the queue's job; bull_job_id in the row */
};

/* Runs at the end of the unit that enqueues, with the ids of *answer set: 0, or negative errno, which undoes
 * all of it and is passed on. */
typedef int (*media_also_fn)(struct db_conn *c, const struct media_answer *answer, void *arg);

struct media_ask {
    const char *user_id;
    const char *job_id; /* of the row, in either case; NULL: a new row is made */
    const char *operation;
    /* NULL: the row's own. Its params count only where the operation stays the same. */
    const char *input_file_id, *input_url, *creator_profile_id;
    const json_t *params; /* an object */
    int64_t priority;     /* 0 … MEDIA_PRIORITY_MAX */
    media_also_fn also;   /* may be NULL */
    void *arg;
};

/* Enqueues a row's next run. Errors beside those above: ERR_QUEUE_UNAVAILABLE (nothing was written),
 * ERR_QUEUE_UNCONFIRMED (the run stands in the store, and is carried to the queue as soon as that can be
 * reached; asked again, this gives the same run and no error). */
int media_enqueue(const struct media_jobs *m, const struct media_ask *ask, struct arena *a,
                  struct media_answer *ret);

/* Who asks for a job by its row's id, or by its run's. */
struct media_whose {
    const char *user_id;
    bool any;       /* an administrator: others' jobs too */
    const char *id; /* of the row or of a run */
};

/* Enqueues a failed row's next run, with all its row says, for its owner: ERR_NOT_FOUND, ERR_JOB_NOT_FAILED,
 * and all of media_enqueue. */
int media_retry(const struct media_jobs *m, const struct media_whose *whose, media_also_fn also, void *arg,
                struct arena *a, struct media_answer *ret);

/* A row of media_jobs; texts in the arena, NULL for null. */
struct media_row {
    char id[UUID_SIZE], user_id[UUID_SIZE];
    const char *status, *operation, *run_id;
    const char *input_file_id, *input_url, *creator_profile_id, *params; /* params: JSON */
    const char *result, *error;                                          /* result: JSON */
    int64_t progress, retry_count;
    const char *created_at, *started_at, *completed_at;
};

/* Finds it inside a unit: 1, 0 where there is none that `whose` may see, or the store's error. */
int media_row_find(struct db_conn *c, const struct media_whose *whose, struct arena *a,
                   struct media_row *ret);

/* The same in a unit of its own. */
int media_row_load(struct db *db, const struct media_whose *whose, struct arena *a, struct media_row *ret);

#endif
