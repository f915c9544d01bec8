/* SPDX-License-Identifier: MIT */
/* What the lease thread does: locks are renewed in Redis first, then the records' leases, progress and lines
 * in the store, then BullMQ's listeners hear of the latter two. */
#include "queue/bullmq.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "queue/embedded.h"

#include <errno.h>
#include <string.h>

#define LOOK_AGAIN_MS 5000 /* at the latest */

/* --- notes ---------------------------------------------------------------------------------------------- */

/* Renews the locks of one queue's claims among the notes. */
static int renew_of(struct bullmq *b, enum queue_name queue, struct queue_note *notes, size_t n)
{
    _cleanup_reply_ redisReply *reply = NULL;
    char tokens[QUEUE_BATCH][QUEUE_TOKEN_SIZE + 8];
    struct queue_note *asked[QUEUE_BATCH];
    size_t n_asked = 0;
    struct redis_args args = {0};
    redis_arg_int(&args, QUEUE_LEASE_MS);
    for (size_t i = 0; i < n && n_asked < QUEUE_BATCH; i++) {
        if (notes[i].claim->job.queue != queue)
            continue;
        bull_token(notes[i].claim, tokens[n_asked]);
        redis_arg(&args, bull_redis_id(queue, notes[i].claim->job.id));
        redis_arg(&args, tokens[n_asked]);
        asked[n_asked++] = &notes[i];
    }
    int r = n_asked > 0 ? bull_eval(b, BULL_RENEW, queue, &args, &reply) : 0;
    for (size_t i = 0; r == 0 && i < n_asked; i++) {
        asked[i]->lost = bull_int(reply, i, 0) == 0;
        asked[i]->cancelled = bull_int(reply, i, 0) == 2;
    }
    return r;
}

static void tell_progress(struct bullmq *b, const struct queue_claim *claim, int percent)
{
    char token[QUEUE_TOKEN_SIZE + 8];
    struct redis_args args = {0};
    int64_t answer;
    bull_token(claim, token);
    redis_arg(&args, bull_redis_id(claim->job.queue, claim->job.id));
    redis_arg(&args, token);
    redis_arg_int(&args, percent);
    (void)bull_eval_int(b, BULL_PROGRESS, claim->job.queue, &args, &answer); /* the record has it */
}

void bull_tell_notes(struct bullmq *b, const struct queue_claim *claim, int percent, const char *const *lines,
                     size_t n)
{
    if (percent >= 0)
        tell_progress(b, claim, percent);
    for (size_t i = 0; i < n; i++) {
        struct redis_args args = {0};
        int64_t answer;
        redis_arg(&args, bull_redis_id(claim->job.queue, claim->job.id));
        redis_arg(&args, lines[i]);
        redis_arg_int(&args, bull_opts_of(claim)->keep_logs);
        if (bull_eval_int(b, BULL_LOG, claim->job.queue, &args, &answer) < 0)
            return; /* the store has them */
    }
}

/* Whether the store has to hear of it; a cancel is heard of from Redis. */
static bool says_something(const struct queue_note *n)
{
    return !n->lost && (n->renew || n->percent >= 0 || n->n_lines > 0);
}

/* The notes whose locks hold go to the store, with what they say; the answers come back to where they were.
 */
static int note_held(struct queue *q, struct queue_note *notes, size_t n)
{
    struct queue_note held[QUEUE_BATCH];
    size_t n_held = 0;
    for (size_t i = 0; i < n; i++)
        if (says_something(&notes[i]))
            held[n_held++] = notes[i];
    int r = n_held > 0 ? embedded_notes(q, held, n_held) : 0;
    n_held = 0;
    for (size_t i = 0; r >= 0 && i < n; i++) {
        if (!says_something(&notes[i]))
            continue;
        notes[i].lost = held[n_held].lost;
        notes[i].cancelled |= held[n_held++].cancelled;
    }
    return r;
}

static int note_some(struct queue *q, struct queue_note *notes, size_t n)
{
    struct bullmq *b = bullmq_of(q);
    int64_t asked_ms = clock_monotonic_ms();
    int r = 0;
    for (int queue = 0; queue < QUEUES && r == 0; queue++)
        r = renew_of(b, (enum queue_name)queue, notes, n);
    if (r == 0)
        r = note_held(q, notes, n);
    for (size_t i = 0; i < n && r >= 0; i++) {
        if (notes[i].lost)
            continue;
        if (notes[i].renew)
            notes[i].good_until_ms = asked_ms + QUEUE_LEASE_MS;
        bull_tell_notes(b, notes[i].claim, notes[i].percent, notes[i].lines, notes[i].n_lines);
    }
    return r < 0 ? r : 0;
}

int bull_notes(struct queue *q, struct queue_note *notes, size_t n)
{
    int r = 0;
    for (size_t at = 0; at < n && r == 0; at += QUEUE_BATCH)
        r = note_some(q, notes + at, n - at < QUEUE_BATCH ? n - at : QUEUE_BATCH);
    return r;
}

/* --- upkeep --------------------------------------------------------------------------------------------- */

/* The records of jobs that went back to their queue follow. */
static int take_back_stalled(struct bullmq *b, enum queue_name queue)
{
    _cleanup_reply_ redisReply *moved = NULL;
    struct redis_args args = {0};
    int r;
    redis_arg_int(&args, clock_now_ms());
    redis_arg_int(&args, BULL_STALLED_CHECK_MS);
    redis_arg_int(&args, QUEUE_STALLED_MAX);
    r = bull_eval(b, BULL_STALLED, queue, &args, &moved);
    for (size_t i = 0; r == 0 && moved->type == REDIS_REPLY_ARRAY && i < moved->elements; i++) {
        const char *id = bull_text(moved, i, NULL);
        if (!id)
            continue;
        metric_add(METRIC_JOBS_STALLED, 1);
        log_event(LOG_WARN, "a job whose worker is gone goes back to its queue", LOG_S("job", id));
        r = bull_sync(b, queue, &(struct bull_hint){.id = id}, 1);
        r = bull_must_wait(r) ? r : 0; /* whoever takes the job next looks at its record */
    }
    return r;
}

static int look_at(struct bullmq *b, struct queue_upkeep *u, enum queue_name queue)
{
    _cleanup_reply_ redisReply *reply = NULL;
    struct redis_args args = {0};
    int r = take_back_stalled(b, queue);
    if (r < 0)
        return r;
    redis_arg_int(&args, clock_now_ms());
    r = bull_eval(b, BULL_DUE, queue, &args, &reply);
    if (r < 0)
        return r;
    int64_t next_ms = bull_int(reply, 1, -1);
    if (bull_int(reply, 0, 0) == 1)
        u->fresh |= 1U << queue;
    if (next_ms >= 0 && next_ms < u->next_ms)
        u->next_ms = next_ms;
    return 0;
}

int bull_upkeep(struct queue *q, struct queue_upkeep *u)
{
    struct bullmq *b = bullmq_of(q);
    int r = 0, first = 0;
    u->fresh = 0;
    u->next_ms = LOOK_AGAIN_MS;
    bull_send_rest(b);
    for (int queue = 0; queue < QUEUES && !bull_must_wait(r); queue++) {
        r = u->queues & 1U << queue ? look_at(b, u, (enum queue_name)queue) : 0;
        first = first ? first : r; /* one queue's trouble is not another's */
    }
    return first == 0 && u->trim ? embedded_trim(q) : first;
}
