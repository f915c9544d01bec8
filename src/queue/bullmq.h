/* SPDX-License-Identifier: MIT */
/* The engine on Redis, in BullMQ's key layout; private to src/queue. docs/redis.md tells how the store and
 * Redis are kept together. In short: a job of ours has a record (queue_jobs) and, until Redis has it, a row
 * of queue_outbox; a claim is a lock in Redis and then its token in the record; an end is written to the
 * record, under the lock and that token, and then to Redis; what others did to a job is learnt from Redis'
 * events.
 *
 *   bullmq.c           the table of functions, counts, pauses, cancels, looks
 *   bullmq_scripts.c   our Lua, and calls of it
 *   bullmq_job.c       options and data of a job, parsed
 *   bullmq_outbox.c    adding: from the unit to Redis
 *   bullmq_claim.c     claiming
 *   bullmq_settle.c    ends of claims
 *   bullmq_notes.c     renewal, progress, log lines, stalled jobs
 *   bullmq_sync.c      records that follow what happened in Redis
 *   bullmq_events.c    the streams of events
 *   bullmq_threads.c   who listens, and who leads */
#ifndef QUEUE_BULLMQ_H
#define QUEUE_BULLMQ_H

#include "queue/bullmq_job.h"
#include "queue/engine.h"
#include "redis/redis.h"

#include <errno.h>

#define BULL_STALLED_CHECK_MS 5000
#define BULL_VALUE_MOST ((size_t)1024 * 1024) /* of a job, and of what it yields */
#define BULL_ID_MOST QUEUE_ID_MAX             /* of a job that others added, with its queue's name */
#define BULL_LOOK_MOST 20                     /* jobs a look */
#define BULL_UNSENT_MOST 1024
#define BULL_TIME_MOST_MS INT64_C(253402300799999) /* the end of 9999 */

enum bull_script {
    BULL_ADD,
    BULL_CLAIM,
    BULL_RENEW,
    BULL_PROGRESS,
    BULL_LOG,
    BULL_FINISH,
    BULL_LATER,
    BULL_STALLED,
    BULL_DUE,
    BULL_CANCEL,
    BULL_PAUSE,
    BULL_COUNTS,
    BULL_LOOK,
    BULL_LINES,
    BULL_EVENTS,
    BULL_FORGET,
    BULL_SCRIPTS
};

/* An end of a claim that the store has and Redis hasn't. */
struct bull_end {
    enum queue_name queue;
    char *id, *token, *value; /* owned; value: the result as JSON, or the reason */
    enum queue_move move;
    struct bull_opts opts;
    int64_t delay_ms, since_ms;
};

struct bullmq {
    struct queue *q;
    struct redis *redis;
    struct redis_script scripts[BULL_SCRIPTS];
    _Atomic int64_t version;

    pthread_mutex_t lock; /* of what follows */
    struct bull_end unsent[BULL_UNSENT_MOST];
    size_t n_unsent;

    pthread_t listener, follower;
    bool listening, following;
    struct cancel closing;
};

static inline struct bullmq *bullmq_of(const struct queue *q)
{
    return q->state;
}

/* --- bullmq_scripts.c */

int bull_scripts_init(struct bullmq *b);

/* Runs one for a queue; args: ARGV. */
int bull_eval(struct bullmq *b, enum bull_script script, enum queue_name queue, const struct redis_args *args,
              redisReply **ret);

/* The same for one that answers with a number; -EPROTO where it doesn't. */
int bull_eval_int(struct bullmq *b, enum bull_script script, enum queue_name queue,
                  const struct redis_args *args, int64_t *ret);

/* The same, within so long instead of REDIS_COMMAND_MS. */
int bull_eval_int_within(struct bullmq *b, int limit_ms, enum bull_script script, enum queue_name queue,
                         const struct redis_args *args, int64_t *ret);

/* "bull:media-jobs:<name>". */
#define BULL_KEY_SIZE 320
void bull_key(enum queue_name queue, const char *name, char ret[BULL_KEY_SIZE]);

/* Items of an array reply: NULL where there is none of that kind. */
const char *bull_text(const redisReply *array, size_t i, size_t *ret_len);
int64_t bull_int(const redisReply *array, size_t i, int64_t fallback);

/* --- ids: what others added is in the store under its queue's name, since their ids are numbers */

/* A record's id in Redis. */
const char *bull_redis_id(enum queue_name queue, const char *id);

/* The id in the store of what others added: 0, or -EINVAL where it is too long or no text. */
int bull_foreign_id(enum queue_name queue, const char *redis_id, size_t len, char ret[BULL_ID_MOST + 1]);

/* --- bullmq_outbox.c */

int bull_add_in(struct queue *q, struct db_conn *c, const struct queue_add *job);
int bull_confirm(struct queue *q, const char *id);

/* Carries what was left behind to Redis, oldest first: how many, or negative errno. */
int bull_relay(struct bullmq *b);

/* Deletes rows whose records have gone with their owner. 0 or negative errno. */
int bull_sweep_outbox(struct bullmq *b);

/* In a unit: the record's job is to be added to Redis (again). */
int bull_outbox_in(struct db_conn *c, const char *id);

/* --- bullmq_claim.c, bullmq_settle.c */

int bull_step(struct queue *q, struct queue_step *step);
int bull_settle(struct bullmq *b, struct queue_step *step);
int bull_claim(struct bullmq *b, struct queue_step *step);

/* The claim's token in Redis, by which our locks are known. */
void bull_token(const struct queue_claim *claim, char ret[QUEUE_TOKEN_SIZE + 8]);

/* The options of a claim's job. */
const struct bull_opts *bull_opts_of(const struct queue_claim *claim);

/* Tells Redis what the store has; what can't be told now is kept and told later (bull_send_rest). */
void bull_send(struct bullmq *b, const struct bull_end *end); /* end's texts stay the caller's */
void bull_send_rest(struct bullmq *b);
void bull_end_free(struct bull_end *end);

/* --- bullmq_notes.c */

int bull_notes(struct queue *q, struct queue_note *notes, size_t n);
int bull_upkeep(struct queue *q, struct queue_upkeep *u);

/* Progress (-1: none) and log lines that the store has, for those who look at Redis. */
void bull_tell_notes(struct bullmq *b, const struct queue_claim *claim, int percent, const char *const *lines,
                     size_t n);

/* --- bullmq.c */

/* Cancels a job in Redis: what cancel.lua gives. id: of its record. */
int bull_cancel_there(struct bullmq *b, enum queue_name queue, const char *id, const char *why, int64_t *ret);

/* --- bullmq_sync.c */

/* What an event told of a job's end, for jobs that are gone when they are looked at. */
struct bull_hint {
    const char *id;  /* in Redis */
    const char *end; /* completed, failed, removed, or NULL */
    const char *value;
};

/* Has the records of these jobs (at most BULL_LOOK_MOST) follow what is in Redis; those that aren't there are
 * left as they are. 0, -EBADMSG where a record alone can't follow (a handler refuses; it is logged, and tried
 * again by the next comparison), or negative errno of Redis or the store. */
int bull_sync(struct bullmq *b, enum queue_name queue, const struct bull_hint *hints, size_t n);

/* Whether Redis or the store has to be waited for after such an error, before anything goes on. */
static inline bool bull_must_wait(int r)
{
    return r < 0 && r != -EBADMSG && r != -EPROTO;
}

/* All that haven't ended. ret_missing (may be NULL): whether some aren't there, who must be. */
int bull_sync_all(struct bullmq *b, bool *ret_missing);

/* The same; those that are missing are added again. An event may tell that somebody removed such a job, also
 * one that came only now: catch_up follows all there are, after it was seen that jobs are missing and before
 * they are added. It gives 0 or negative errno. */
int bull_restore_missing(struct bullmq *b, int (*catch_up)(void *ctx), void *ctx);

/* --- bullmq_events.c */

#define BULL_STREAM_ID_SIZE 48
#define BULL_EVENTS_A_READ 200

/* Waits at most block_ms for events of any queue after those at `at`: bits of the queues that have some. */
int bull_events_wait(struct redis_conn *conn, char at[QUEUES][BULL_STREAM_ID_SIZE], int block_ms,
                     unsigned *ret_queues);

struct bull_event {
    const char *name, *job, *value; /* may be NULL; value: of an end */
};

struct bull_events {
    redisReply *reply;
    char at[BULL_STREAM_ID_SIZE]; /* the last one's id */
    bool all;                     /* there were no more */
    size_t n;
};

/* Those of a queue after `at` ("$": none, only where they end), a few hundred at most; values of more than
 * value_most bytes are left out. *ret is freed by bull_events_free, also after an error. */
int bull_events_read(struct bullmq *b, enum queue_name queue, const char *at, size_t value_most,
                     struct bull_events *ret);
void bull_events_free(struct bull_events *events);
struct bull_event bull_event_at(const struct bull_events *events, size_t i);

/* What the script's answer says; `reply` is left to who calls. 0 or -EPROTO. */
int bull_events_parse(const redisReply *reply, struct bull_events *ret);

/* An id of an event, or "0-0" where it is none. */
void bull_stream_id(const char *id, char ret[BULL_STREAM_ID_SIZE]);

/* --- bullmq_threads.c */

int bull_start(struct queue *q);
void bull_stop(struct queue *q);

#endif
