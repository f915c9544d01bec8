/* SPDX-License-Identifier: MIT */
/* Work that is done later, by this process or another: for who adds jobs and looks at them. Who does them
 * reads handler.h, who runs those reads worker.h.
 *
 * Three queues, one interface, two engines (engine.h): rows of the store, or BullMQ's layout in Redis. Both
 * promise the same. A job that was acknowledged isn't lost. It runs at least once: whoever dies with it loses
 * its lease (30 s), and it is taken by another. So what a job does is idempotent by its id, and what it did
 * counts only if it is settled under a lease that still holds. Lower priorities run sooner, equal ones in the
 * order in which they came.
 *
 *   in the unit that promises the job:  queue_add_in(q, c, &job)
 *   when that unit is done:             queue_confirm(q, job.id), before anybody is told
 *
 * Times are milliseconds since the epoch by the store's clock. All functions are thread-safe, and wait for
 * the store (or Redis) unless they say otherwise: no event thread. */
#ifndef QUEUE_QUEUE_H
#define QUEUE_QUEUE_H

#include "base/config.h"
#include "db/db.h"

struct queue;
struct queue_handler; /* handler.h */

enum queue_name { QUEUE_MEDIA, QUEUE_SCRAPE, QUEUE_ONBOARDING, QUEUES };

/* "media-jobs", "scrape-jobs", "onboarding-jobs". */
const char *queue_name_text(enum queue_name queue);

/* The queue of that name: 0 or -ENOENT. */
int queue_name_parse(const char *text, enum queue_name *ret);

/* What it gets must outlive it. 0, or negative errno with a log line. No thread is started. */
int queue_open(const struct config *cfg, struct db *db, struct queue **ret);

/* Its worker must have been stopped, its watches ended. NULL is nothing. */
void queue_close(struct queue *q);
DEFINE_CLEANUP(struct queue *, queue_close);

/* Who does the jobs, and hears of their moves also in a process that runs none (a job that is cancelled while
 * it waits). Once, before anything else; ended by QUEUE_HANDLERS_END. The table must outlive the queue. */
void queue_set_handlers(struct queue *q, const struct queue_handler *handlers);

/* What servers and workers do for the queues besides running jobs: with Redis, following what others do to
 * jobs, and carrying there what was left behind; embedded, nothing. They are begun after queue_set_handlers
 * (a worker and a watch begin them too), and ended before the handlers end. Each may be called twice. 0 or
 * negative errno. */
int queue_start(struct queue *q);
void queue_stop(struct queue *q);

/* ---- adding */

#define QUEUE_ID_MAX 128
#define QUEUE_DATA_MAX ((size_t)256 * 1024)
#define QUEUE_PRIORITY_MAX 2097151
#define QUEUE_PRIORITY_DEFAULT 10
#define QUEUE_PRIORITY_RETRY 5
#define QUEUE_ATTEMPTS_DEFAULT 3

struct queue_add {
    const char *id; /* never used before: "<media_jobs id>-<run>", "onboard-job-<uuid>"; at most QUEUE_ID_MAX
                       bytes of letters, digits, - _ and ., not an integer */
    enum queue_name queue;
    const char *operation, *user_id;
    const char *media_job_id; /* may be NULL */
    const char *data;         /* the text of a JSON object; NULL = {} */
    int priority;             /* 0 … QUEUE_PRIORITY_MAX */
    int64_t delay_ms;         /* from now; 0 = at once */
    int max_attempts;         /* 0 = QUEUE_ATTEMPTS_DEFAULT */
};

/* Whether jobs can be added now, as far as is known without asking: 0, or -ECONNREFUSED (Redis is down):
 * queue_unavailable, with nothing written. Never waits. */
int queue_ready(struct queue *q);

/* Adds the job inside a unit of the caller's, which promises it: 0; -EEXIST where the id was used, -EINVAL
 * where the job breaks a rule above, or the store's error. */
int queue_add_in(struct queue *q, struct db_conn *c, const struct queue_add *job);

/* After that unit: has a runner begin. 0, or -ETIMEDOUT: it isn't known (within 5 s) whether Redis has it, or
 * Redis says that it can't take it now; it will have it once it can: queue_unconfirmed. Embedded, it never
 * waits. */
int queue_confirm(struct queue *q, const char *id);

/* After a unit that added jobs of which nobody waits for a word: they begin soon. With Redis they are carried
 * there by themselves, within seconds. Never waits. */
void queue_stir(struct queue *q);

/* ---- cancelling */

enum queue_cancelled {
    QUEUE_CANCEL_DONE,  /* it waited, and has ended */
    QUEUE_CANCEL_ASKED, /* it runs; its worker ends it, or completes it if it is that far */
    QUEUE_CANCEL_OVER,  /* it had ended before; nothing changed */
};

/* 0, -ENOENT, or negative errno. A job that runs hears of it at once in this process, within a second in
 * another. It ends as failed, with QUEUE_ERROR_CANCELLED. */
int queue_cancel(struct queue *q, const char *id, enum queue_cancelled *ret);

/* After a unit that itself ended a job's record, with the reason: whoever runs the job is told to stop, and
 * it ends in Redis too; where that can't be reached, at its next step. */
void queue_ended(struct queue *q, enum queue_name queue, const char *id, const char *why);

/* After a unit that deleted a job's record: nothing is left of it in Redis either, once it doesn't run. 0, or
 * negative errno: it may be there still. */
int queue_forget(struct queue *q, enum queue_name queue, const char *id);

#define QUEUE_ERROR_CANCELLED "cancelled"
#define QUEUE_ERROR_STALLED "job stalled"

/* ---- looking */

/* BullMQ's words. JOB_WAITING has priority 0, JOB_PRIORITIZED another. */
enum job_state {
    JOB_WAITING,
    JOB_PRIORITIZED,
    JOB_DELAYED,
    JOB_ACTIVE,
    JOB_COMPLETED,
    JOB_FAILED,
    JOB_STATES
};

const char *job_state_text(enum job_state state);
int job_state_parse(const char *text, enum job_state *ret); /* 0 or -ENOENT */

struct queue_info {
    const char *id, *operation;
    enum queue_name queue;
    enum job_state state;
    const char *user_id, *media_job_id; /* may be NULL */
    int priority, progress, attempts, max_attempts, stalled;
    bool cancelled;                      /* it was asked to end */
    bool result_omitted;                 /* of a list: it has a result, which is too large for one */
    const char *result, *error;          /* the first JSON text; may be NULL */
    const char *created_at, *started_at; /* ISO 8601; the latter NULL before its first attempt */
    const char *finished_at, *run_at;    /* NULL while it isn't finished; while it isn't delayed */
};

/* One job by its id, in the arena: 0, -ENOENT, or negative errno. */
int queue_look(struct queue *q, const char *id, struct arena *a, struct queue_info *ret);

#define QUEUE_LOG_LINES 1000 /* most of a job; later ones are left out, with a line that says so */

struct queue_line {
    const char *at, *text;
};

/* The lines of its log, oldest first, at most `limit` of the newest. *ret is an array in the arena; also of a
 * job that is not there (none). */
int queue_log_lines(struct queue *q, const char *id, struct arena *a, size_t limit, struct queue_line **ret,
                    size_t *ret_n);

struct queue_filter {
    const char *user_id; /* whose; NULL = everybody's */
    int queue;           /* enum queue_name, or -1 = any */
    int state;           /* enum job_state, or -1 = any */
    int64_t limit, offset;
};

#define QUEUE_LIST_MAX 1000
#define QUEUE_LIST_RESULT_MAX (64 * 1024) /* bytes of a result; larger ones are left out */

/* Jobs, newest first, at most QUEUE_LIST_MAX; an array in the arena. */
int queue_list(struct queue *q, const struct queue_filter *filter, struct arena *a, struct queue_info **ret,
               size_t *ret_n);

struct queue_counts {
    int64_t state[JOB_STATES];
    bool paused;
};

/* Of each queue. What the API calls waiting is the sum of JOB_WAITING and JOB_PRIORITIZED. 0, -ECONNREFUSED
 * where Redis doesn't say, or the store's error. */
int queue_count(struct queue *q, struct queue_counts ret[QUEUES]);

/* ---- stopping a queue for a while */

/* No more jobs of a paused queue are claimed, in any process; those that are go on. Idempotent. */
int queue_pause(struct queue *q, enum queue_name queue);
int queue_resume(struct queue *q, enum queue_name queue);

/* ---- watching a job */

struct queue_watch;

/* Has changed(ctx) called whenever the job may have changed: at once for what happens in this process, within
 * a second for another's. It comes on any thread, may come without a change, and must be short (wake
 * somebody, submit a look). 0 or negative errno. */
int queue_watch(struct queue *q, const char *id, void (*changed)(void *ctx), void *ctx,
                struct queue_watch **ret);

/* Ends it; when it returns no call is under way, and none will come. Not from within one. */
void queue_unwatch(struct queue *q, struct queue_watch *w);

#endif
