/* SPDX-License-Identifier: MIT */
/* Ends of claims. Redis says whether the lock is still ours, and renews it; then the store's unit makes the
 * move, if the record still has our token; then Redis is told. What can't be told now is told later, and if
 * we die before, whoever takes the job next finds that its record has ended. */
#include "queue/bullmq.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "queue/embedded.h"

#include <errno.h>
#include <string.h>

#define UNSENT_MOST_MS (INT64_C(600) * 1000) /* the lock is long gone by then, and the job with another */

void bull_token(const struct queue_claim *claim, char ret[QUEUE_TOKEN_SIZE + 8])
{
    (void)snprintf(ret, QUEUE_TOKEN_SIZE + 8, "genie:%s", claim->token);
}

/* --- telling Redis -------------------------------------------------------------------------------------- */

static int tell_finished(struct bullmq *b, const struct bull_end *e, int64_t *ret)
{
    bool done = e->move == QUEUE_COMPLETED;
    const struct bull_keep *keep = done ? &e->opts.completed : &e->opts.failed;
    struct redis_args args = {0};
    redis_arg(&args, e->id);
    redis_arg(&args, e->token);
    redis_arg(&args, done ? "completed" : "failed");
    redis_arg(&args, e->value ? e->value : done ? "null" : "failed");
    redis_arg_int(&args, clock_now_ms());
    redis_arg_int(&args, keep->count);
    redis_arg_int(&args, keep->age_s);
    redis_arg_int(&args, e->opts.traces);
    redis_arg_int(&args, e->opts.attempts);
    return bull_eval_int(b, BULL_FINISH, e->queue, &args, ret);
}

static int tell_later(struct bullmq *b, const struct bull_end *e, int64_t *ret)
{
    bool counts = e->move == QUEUE_RETRIED;
    struct redis_args args = {0};
    redis_arg(&args, e->id);
    redis_arg(&args, e->token);
    redis_arg_int(&args, clock_now_ms());
    redis_arg_int(&args, e->delay_ms);
    redis_arg_int(&args, counts);
    redis_arg(&args, counts ? e->value : "");
    redis_arg_int(&args, e->opts.traces);
    return bull_eval_int(b, BULL_LATER, e->queue, &args, ret);
}

static int tell(struct bullmq *b, const struct bull_end *e)
{
    int64_t answer = 1;
    bool again = e->move == QUEUE_RETRIED || e->move == QUEUE_RETURNED;
    int r = again ? tell_later(b, e, &answer) : tell_finished(b, e, &answer);
    if (r == 0 && answer != 1)
        log_event(LOG_INFO, "a job's end isn't ours to tell redis any more", LOG_S("job", e->id),
                  LOG_N("answer", answer));
    return r;
}

void bull_end_free(struct bull_end *e)
{
    free(e->id);
    free(e->token);
    free(e->value);
    *e = (struct bull_end){0};
}

static int copy_end(const struct bull_end *from, struct bull_end *ret)
{
    *ret = *from;
    ret->id = strdup(from->id);
    ret->token = strdup(from->token);
    ret->value = from->value ? strdup(from->value) : NULL;
    ret->since_ms = from->since_ms ? from->since_ms : clock_monotonic_ms();
    if (ret->id && ret->token && (ret->value || !from->value))
        return 0;
    bull_end_free(ret);
    return -ENOMEM;
}

static void keep_end(struct bullmq *b, const struct bull_end *e)
{
    pthread_mutex_lock(&b->lock);
    bool kept = b->n_unsent < BULL_UNSENT_MOST && copy_end(e, &b->unsent[b->n_unsent]) == 0;
    b->n_unsent += kept;
    pthread_mutex_unlock(&b->lock);
    if (!kept)
        log_event(LOG_WARN, "a job's end is told to redis by whoever takes it next", LOG_S("job", e->id));
}

void bull_send(struct bullmq *b, const struct bull_end *e)
{
    int r = tell(b, e);
    if (r < 0 && r != -EPROTO)
        keep_end(b, e);
}

static bool take_end(struct bullmq *b, struct bull_end *ret)
{
    pthread_mutex_lock(&b->lock);
    bool any = b->n_unsent > 0;
    if (any)
        *ret = b->unsent[--b->n_unsent];
    pthread_mutex_unlock(&b->lock);
    return any;
}

void bull_send_rest(struct bullmq *b)
{
    struct bull_end e;
    while (take_end(b, &e)) {
        bool old = clock_monotonic_ms() - e.since_ms > UNSENT_MOST_MS;
        int r = old ? 0 : tell(b, &e);
        bool again = r < 0 && r != -EPROTO;
        if (again)
            keep_end(b, &e);
        bull_end_free(&e);
        if (again)
            return;
    }
}

/* --- settling ------------------------------------------------------------------------------------------- */

/* Which locks are still ours; those are good for another QUEUE_LEASE_MS. */
static int check_locks(struct bullmq *b, const struct queue_step *step)
{
    _cleanup_reply_ redisReply *reply = NULL;
    char tokens[QUEUE_BATCH][QUEUE_TOKEN_SIZE + 8];
    struct redis_args args = {0};
    redis_arg_int(&args, QUEUE_LEASE_MS);
    for (size_t i = 0; i < step->n_settle; i++) {
        const struct queue_claim *claim = step->settle[i]->claim;
        bull_token(claim, tokens[i]);
        redis_arg(&args, bull_redis_id(step->queue, claim->job.id));
        redis_arg(&args, tokens[i]);
    }
    int r = bull_eval(b, BULL_RENEW, step->queue, &args, &reply);
    for (size_t i = 0; r == 0 && i < step->n_settle; i++)
        step->settle[i]->lost = bull_int(reply, i, 0) == 0;
    return r;
}

/* A job that others added says itself how far its attempts are apart. */
static void use_own_backoff(struct queue_settle *e)
{
    uint8_t chance;
    if (e->move != QUEUE_RETRIED || !strchr(e->claim->job.id, ':'))
        return;
    random_bytes(&chance, 1);
    e->delay_ms = bull_backoff_ms(bull_opts_of(e->claim), e->claim->job.attempt, chance / 255.0);
}

struct settling {
    struct queue *q;
    struct queue_step *step;
    bool lost[QUEUE_BATCH]; /* as Redis says */
};

static int settle_unit(struct db_conn *c, void *arg)
{
    const struct settling *s = arg;
    struct embedded_times t;
    int r = embedded_read_times(c, &t);
    db_limit(c, QUEUE_LEASE_MS / 2); /* while the locks hold for sure */
    for (size_t i = 0; r >= 0 && i < s->step->n_settle; i++) {
        s->step->settle[i]->lost = true;
        if (!s->lost[i])
            r = embedded_settle(s->q, c, &t, s->step->settle[i]);
    }
    return r < 0 ? r : 0;
}

/* The lock is ours, but the record isn't: it was ended, or deleted, by somebody else. Who takes the job next
 * finds out what became of it. */
static void send_back(struct bullmq *b, enum queue_name queue, const struct queue_settle *e)
{
    char token[QUEUE_TOKEN_SIZE + 8];
    bull_token(e->claim, token);
    bull_send(b, &(struct bull_end){.queue = queue,
                                    .id = (char *)(uintptr_t)bull_redis_id(queue, e->claim->job.id),
                                    .token = token,
                                    .move = QUEUE_RETURNED,
                                    .opts = *bull_opts_of(e->claim)});
}

static void send_settled(struct bullmq *b, enum queue_name queue, const struct queue_settle *e)
{
    char token[QUEUE_TOKEN_SIZE + 8];
    bull_token(e->claim, token);
    bull_tell_notes(b, e->claim, e->percent, e->lines, e->n_lines);
    const char *error = e->made == QUEUE_CANCELLED ? QUEUE_ERROR_CANCELLED : e->error;
    bull_send(b, &(struct bull_end){
                     .queue = queue,
                     .id = (char *)(uintptr_t)bull_redis_id(queue, e->claim->job.id),
                     .token = token,
                     .value = (char *)(uintptr_t)(e->made == QUEUE_COMPLETED ? e->result_text : error),
                     .move = e->made,
                     .opts = *bull_opts_of(e->claim),
                     .delay_ms = e->delay_ms,
                 });
}

int bull_settle(struct bullmq *b, struct queue_step *step)
{
    struct settling s = {.q = b->q, .step = step};
    if (step->n_settle == 0)
        return 0;
    int r = check_locks(b, step);
    if (r < 0)
        return r;
    for (size_t i = 0; i < step->n_settle; i++) {
        s.lost[i] = step->settle[i]->lost;
        use_own_backoff(step->settle[i]);
    }
    r = db_write(b->q->db, settle_unit, &s);
    if (r < 0)
        return r;
    for (size_t i = 0; i < step->n_settle; i++) {
        const struct queue_settle *e = step->settle[i];
        if (e->lost && !s.lost[i])
            send_back(b, step->queue, e);
        if (e->lost)
            continue;
        send_settled(b, step->queue, e);
        queue_made(b->q, e->claim->job.id, e->made);
    }
    return 0;
}

int bull_step(struct queue *q, struct queue_step *step)
{
    struct bullmq *b = bullmq_of(q);
    bull_send_rest(b);
    int r = bull_settle(b, step);
    if (r < 0)
        return r;
    r = bull_claim(b, step);
    return step->n_settle > 0 ? 0 : r; /* what was settled is settled */
}
