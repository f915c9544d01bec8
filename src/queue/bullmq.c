/* SPDX-License-Identifier: MIT */
/* The table of the engine's functions, and those that look, count, pause and cancel. */
#include "queue/bullmq.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "queue/embedded.h"

#include <errno.h>
#include <string.h>

#define ADDRESS_MAX 8192
#define LINE_MOST 1000

/* --- opening -------------------------------------------------------------------------------------------- */

static int open_redis(const char *url, struct redis **ret)
{
    struct redis_address address;
    struct arena a;
    const char *why = "can't be read";
    arena_init(&a, ADDRESS_MAX);
    int r = redis_address_parse(url, &a, &address, &why);
    if (r == -EINVAL)
        log_event(LOG_ERROR, "REDIS_URL can't be used", LOG_S("why", why));
    if (r == 0)
        r = redis_open(&address, ret);
    arena_wipe(&a);
    return r;
}

static int open_bullmq(struct queue *q)
{
    struct bullmq *b = calloc(1, sizeof *b);
    if (!b)
        return -ENOMEM;
    b->q = q;
    int r = open_redis(q->cfg->redis_url, &b->redis);
    if (r == 0)
        r = bull_scripts_init(b);
    if (r < 0) {
        redis_close(b->redis);
        free(b);
        return r;
    }
    pthread_mutex_init(&b->lock, NULL);
    q->state = b;
    return 0;
}

static void close_bullmq(struct queue *q)
{
    struct bullmq *b = bullmq_of(q);
    if (!b)
        return;
    bull_stop(q);
    bull_send_rest(b);
    for (size_t i = 0; i < b->n_unsent; i++)
        bull_end_free(&b->unsent[i]);
    redis_close(b->redis);
    pthread_mutex_destroy(&b->lock);
    free(b);
    q->state = NULL;
}

static int ready(struct queue *q)
{
    return redis_is_up(bullmq_of(q)->redis) ? 0 : -ECONNREFUSED;
}

static int64_t version(struct queue *q)
{
    return atomic_load(&bullmq_of(q)->version);
}

/* --- looking -------------------------------------------------------------------------------------------- */

/* Has the record follow first, so that what a BullMQ worker did just now is seen; without Redis it is as it
 * was last known. */
static int look(struct queue *q, const char *id, struct arena *a, struct queue_info *ret)
{
    int r = embedded_look(q, id, a, ret);
    if (r < 0 || ret->state == JOB_COMPLETED || ret->state == JOB_FAILED)
        return r;
    struct bull_hint hint = {.id = bull_redis_id(ret->queue, id)};
    r = bull_sync(bullmq_of(q), ret->queue, &hint, 1);
    if (r < 0 && r != -ECONNREFUSED)
        log_event(LOG_INFO, "a job's record is shown as last known", LOG_S("error", strerror(-r)));
    return embedded_look(q, id, a, ret);
}

static int read_lines(const redisReply *reply, const char *at, struct arena *a, struct queue_line **ret,
                      size_t *ret_n)
{
    size_t n = reply->type == REDIS_REPLY_ARRAY ? reply->elements : 0, kept = 0;
    struct queue_line *lines = arena_alloc(a, (n + 1) * sizeof *lines);
    if (!lines)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        size_t len;
        const char *text = bull_text(reply, i, &len);
        len = text ? utf8_floor(text, len, LINE_MOST) : 0;
        if (!text || !utf8_valid(text, len))
            continue;
        lines[kept].at = at;
        lines[kept].text = arena_strndup(a, text, len);
        if (!lines[kept++].text)
            return -ENOMEM;
    }
    *ret = lines;
    *ret_n = kept;
    return 0;
}

/* BullMQ's lines have no times: they get that of the job's beginning. */
static int lines_there(struct queue *q, const struct queue_info *info, struct arena *a, size_t limit,
                       struct queue_line **ret, size_t *ret_n)
{
    _cleanup_reply_ redisReply *reply = NULL;
    struct redis_args args = {0};
    redis_arg(&args, bull_redis_id(info->queue, info->id));
    redis_arg_int(&args, (int64_t)limit);
    redis_arg_int(&args, LINE_MOST + 4); /* a character isn't cut in two by Redis, but by us */
    int r = bull_eval(bullmq_of(q), BULL_LINES, info->queue, &args, &reply);
    return r < 0 ? r
                 : read_lines(reply, info->started_at ? info->started_at : info->created_at, a, ret, ret_n);
}

static int lines(struct queue *q, const char *id, struct arena *a, size_t limit, struct queue_line **ret,
                 size_t *ret_n)
{
    struct queue_info info;
    int r = embedded_lines(q, id, a, limit, ret, ret_n);
    if (r < 0 || *ret_n > 0 || limit == 0)
        return r;
    r = embedded_look(q, id, a, &info);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    r = lines_there(q, &info, a, limit, ret, ret_n);
    if (r < 0 && r != -ECONNREFUSED)
        log_event(LOG_INFO, "a job's lines are shown as last known", LOG_S("error", strerror(-r)));
    return r == -ENOMEM ? r : 0;
}

static int count(struct queue *q, struct queue_counts ret[QUEUES])
{
    static const enum job_state order[] = {JOB_WAITING, JOB_PRIORITIZED, JOB_ACTIVE,
                                           JOB_DELAYED, JOB_COMPLETED,   JOB_FAILED};
    struct queue_counts counts[QUEUES] = {0};
    for (int i = 0; i < QUEUES; i++) {
        _cleanup_reply_ redisReply *reply = NULL;
        struct redis_args none = {0};
        int r = bull_eval(bullmq_of(q), BULL_COUNTS, (enum queue_name)i, &none, &reply);
        if (r < 0) /* whatever it is: they can't be had now */
            return -ECONNREFUSED;
        for (size_t k = 0; k < ARRAY_LEN(order); k++)
            counts[i].state[order[k]] = bull_int(reply, k, 0);
        counts[i].paused = bull_int(reply, 7, 0) == 1;
    }
    memcpy(ret, counts, sizeof counts);
    return 0;
}

static int pause_queue(struct queue *q, enum queue_name queue, bool paused)
{
    struct redis_args args = {0};
    int64_t changed;
    redis_arg_int(&args, paused);
    return bull_eval_int(bullmq_of(q), BULL_PAUSE, queue, &args, &changed);
}

/* --- cancelling ----------------------------------------------------------------------------------------- */

int bull_cancel_there(struct bullmq *b, enum queue_name queue, const char *id, const char *why, int64_t *ret)
{
    struct redis_args args = {0};
    redis_arg(&args, bull_redis_id(queue, id));
    redis_arg_int(&args, clock_now_ms());
    redis_arg(&args, why);
    redis_arg_int(&args, QUEUE_KEEP_FAILED);
    redis_arg_int(&args, QUEUE_KEEP_FAILED_MS / 1000);
    return bull_eval_int(b, BULL_CANCEL, queue, &args, ret);
}

struct asking {
    const char *id;
    enum queue_name queue;
};

/* That it is to end is written first, so that it isn't forgotten, whatever Redis does. 1, or 0: it has ended.
 */
static int ask_unit(struct db_conn *c, void *arg)
{
    struct asking *k = arg;
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    char now[ISO_TIME_LEN];
    int r = db_now_text(c, 0, now);
    if (r == 0)
        r = db_query(c, "SELECT queue, state FROM queue_jobs WHERE id = ?1", DB_ARGS(DB_TEXT(k->id)), &rows);
    if (r == 0)
        r = db_next(rows);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    const char *state = db_text(rows, 1);
    if (str_equal(state, "completed") || str_equal(state, "failed"))
        return 0;
    r = queue_name_parse(db_text(rows, 0), &k->queue);
    if (r < 0)
        return r;
    r = db_exec(c, "UPDATE queue_jobs SET cancelled_at = coalesce(cancelled_at, ?2) WHERE id = ?1",
                DB_ARGS(DB_TEXT(k->id), DB_TEXT(now)), NULL);
    return r < 0 ? r : 1;
}

/* The job that isn't in Redis yet ends in the store, with its row of the outbox. */
static int end_there(struct bullmq *b, const struct asking *k, int64_t answer)
{
    const char *id = bull_redis_id(k->queue, k->id);
    struct bull_hint hint = {.id = id, .end = answer == -1 ? "failed" : NULL, .value = QUEUE_ERROR_CANCELLED};
    return bull_sync(b, k->queue, &hint, 1);
}

static int cancel(struct queue *q, const char *id, enum queue_cancelled *ret)
{
    struct bullmq *b = bullmq_of(q);
    struct asking k = {.id = id};
    int64_t answer = 2;
    int r = db_write(q->db, ask_unit, &k);
    if (r <= 0) {
        *ret = QUEUE_CANCEL_OVER;
        return r;
    }
    r = bull_cancel_there(b, k.queue, id, QUEUE_ERROR_CANCELLED, &answer);
    if (r == 0 && answer != 2)
        r = end_there(b, &k, answer);
    *ret = r < 0 || answer == 2 ? QUEUE_CANCEL_ASKED : answer == 0 ? QUEUE_CANCEL_OVER : QUEUE_CANCEL_DONE;
    if (*ret == QUEUE_CANCEL_ASKED) {
        queue_cancel_here(q, id);
        queue_changed(q, id);
    }
    return 0;
}

/* Where Redis can't hear of it, who takes the job next finds that its record has ended. */
static void ended(struct queue *q, enum queue_name queue, const char *id, const char *why)
{
    int64_t answer;
    int r = bull_cancel_there(bullmq_of(q), queue, id, why, &answer);
    if (r < 0)
        log_event(LOG_INFO, "a job ends in redis at its next step", LOG_S("job", id),
                  LOG_S("error", strerror(-r)));
}

static int forget(struct queue *q, enum queue_name queue, const char *id)
{
    struct redis_args args = {0};
    int64_t answer;
    redis_arg(&args, bull_redis_id(queue, id));
    return bull_eval_int(bullmq_of(q), BULL_FORGET, queue, &args, &answer);
}

const struct queue_engine queue_bullmq = {
    .name = "bullmq",
    .open = open_bullmq,
    .close = close_bullmq,
    .start = bull_start,
    .stop = bull_stop,
    .ready = ready,
    .add_in = bull_add_in,
    .confirm = bull_confirm,
    .cancel = cancel,
    .ended = ended,
    .forget = forget,
    .look = look,
    .lines = lines,
    .list = embedded_list,
    .count = count,
    .pause = pause_queue,
    .step = bull_step,
    .notes = bull_notes,
    .upkeep = bull_upkeep,
    .version = version,
};
