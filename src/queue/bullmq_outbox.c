/* SPDX-License-Identifier: MIT */
/* Adding a job: its record and a row of queue_outbox in the unit that promises it, then the job in Redis,
 * then the row is gone. Whoever dies in between leaves the row, which the leader carries on; adding twice is
 * adding once, since Redis leaves a job as it is whose id was there. */
#include "queue/bullmq.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"
#include "queue/embedded.h"

#include <errno.h>
#include <string.h>

#define CONFIRM_MS 5000
#define CONFIRM_PAUSE_MS 50
#define CARRY_LEAST_MS 250 /* that Redis is given, however late it is */
#define REFUSALS_MOST 2    /* of Redis itself; what it says twice seldom passes within seconds */
#define RELAY_BATCH 100
#define RELAY_AFTER_MS 1000 /* the one who wrote the row has that long to carry it itself */
#define OPTS_SIZE 512

int bull_outbox_in(struct db_conn *c, const char *id)
{
    return db_exec(c,
                   "INSERT INTO queue_outbox (job_id, queue, operation, data, priority)"
                   " SELECT id, queue, operation, data, priority FROM queue_jobs WHERE id = ?1"
                   " ON CONFLICT (job_id) DO NOTHING",
                   DB_ARGS(DB_TEXT(id)), NULL);
}

int bull_add_in(struct queue *q, struct db_conn *c, const struct queue_add *job)
{
    int r = embedded_add_in(q, c, job);
    return r < 0 ? r : bull_outbox_in(c, job->id);
}

/* --- one row ------------------------------------------------------------------------------------------- */

struct outgoing {
    const char *id, *operation, *data;
    enum queue_name queue;
    int priority, max_attempts;
    int64_t run_at_ms; /* 0: at once */
};

#define OUTGOING \
    "SELECT o.job_id, o.queue, o.operation, o.data, o.priority, j.max_attempts, j.run_at FROM queue_outbox " \
    "o" \
    " JOIN queue_jobs j ON j.id = o.job_id"

static int read_outgoing(struct db_rows *rows, struct arena *a, struct outgoing *ret)
{
    *ret = (struct outgoing){.id = db_text_dup(rows, 0, a),
                             .operation = db_text_dup(rows, 2, a),
                             .data = db_text_dup(rows, 3, a),
                             .priority = (int)db_int(rows, 4),
                             .max_attempts = (int)db_int(rows, 5)};
    if (!ret->id || !ret->operation || !ret->data)
        return -ENOMEM;
    if (!db_is_null(rows, 6) && clock_parse_iso(db_text(rows, 6), &ret->run_at_ms) < 0)
        return -EIO;
    return queue_name_parse(db_text(rows, 1), &ret->queue);
}

/* What a BullMQ worker should know of the job: how often, how far apart, and what is kept of it. */
static const char *opts_of(const struct outgoing *job, int64_t delay_ms, char ret[OPTS_SIZE])
{
    (void)snprintf(ret, OPTS_SIZE,
                   "{\"jobId\":\"%s\",\"attempts\":%d,\"priority\":%d,\"delay\":%lld,"
                   "\"backoff\":{\"type\":\"exponential\",\"delay\":1000,\"jitter\":0.5},\"kl\":%d,"
                   "\"removeOnComplete\":{\"count\":%d,\"age\":%lld},"
                   "\"removeOnFail\":{\"count\":%d,\"age\":%lld}}",
                   job->id, job->max_attempts, job->priority, (long long)delay_ms, QUEUE_LOG_LINES,
                   QUEUE_KEEP_COMPLETED, (long long)(QUEUE_KEEP_COMPLETED_MS / 1000), QUEUE_KEEP_FAILED,
                   (long long)(QUEUE_KEEP_FAILED_MS / 1000));
    return ret;
}

static int carry(struct bullmq *b, const struct outgoing *job, int limit_ms)
{
    char opts[OPTS_SIZE];
    struct redis_args args = {0};
    int64_t now_ms = clock_now_ms(), added;
    int64_t delay_ms = job->run_at_ms > now_ms ? job->run_at_ms - now_ms : 0;
    redis_arg(&args, job->id);
    redis_arg(&args, job->operation);
    redis_arg(&args, job->data);
    redis_arg(&args, opts_of(job, delay_ms, opts));
    redis_arg_int(&args, now_ms);
    redis_arg_int(&args, delay_ms);
    redis_arg_int(&args, job->priority);
    return bull_eval_int_within(b, limit_ms, BULL_ADD, job->queue, &args, &added);
}

static int carried_unit(struct db_conn *c, void *arg)
{
    return db_exec(c, "DELETE FROM queue_outbox WHERE job_id = ?1", DB_ARGS(DB_TEXT(arg)), NULL);
}

/* Redis has it: a row that stays is carried once more, which changes nothing. */
static void forget(struct bullmq *b, const char *id)
{
    int r = db_write(b->q->db, carried_unit, (void *)(uintptr_t)id);
    if (r < 0)
        (void)log_error(r, "forget a job that Redis has");
}

/* --- one job, by who added it --------------------------------------------------------------------------- */

struct finding {
    const char *id;
    struct arena a;
    struct outgoing job;
};

static int find_unit(struct db_conn *c, void *arg)
{
    struct finding *f = arg;
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c, OUTGOING " WHERE o.job_id = ?1", DB_ARGS(DB_TEXT(f->id)), &rows);
    if (r == 0)
        r = db_next(rows);
    if (r <= 0)
        return r;
    r = read_outgoing(rows, &f->a, &f->job);
    return r < 0 ? r : 1;
}

static void pause_for(int64_t ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&t, NULL);
}

/* Redis was reached, and says that it can't, or doesn't let us. */
static bool is_refusal(int r)
{
    return r == -EAGAIN || r == -EACCES;
}

static int confirm_until(struct bullmq *b, struct finding *f, int64_t deadline_ms)
{
    for (int refusals = 0;;) {
        arena_free(&f->a);
        int r = db_look(b->q->db, find_unit, f);
        if (r == 0)
            return 0; /* somebody carried it */
        int64_t left_ms = deadline_ms - clock_monotonic_ms();
        if (r > 0)
            r = carry(b, &f->job, left_ms > CARRY_LEAST_MS ? (int)left_ms : CARRY_LEAST_MS);
        refusals += is_refusal(r);
        if (r >= 0) {
            forget(b, f->id);
            return 0;
        }
        if (refusals >= REFUSALS_MOST || clock_monotonic_ms() + CONFIRM_PAUSE_MS >= deadline_ms)
            return -ETIMEDOUT;
        pause_for(CONFIRM_PAUSE_MS);
    }
}

int bull_confirm(struct queue *q, const char *id)
{
    struct finding f = {.id = id};
    arena_init(&f.a, WORK_ARENA_MAX);
    int r = confirm_until(bullmq_of(q), &f, clock_monotonic_ms() + CONFIRM_MS);
    arena_free(&f.a);
    if (r < 0)
        return r;
    metric_add(METRIC_JOBS_ADDED, 1);
    queue_wake(q, (1U << QUEUES) - 1);
    queue_changed(q, id);
    return 0;
}

/* --- what was left behind ------------------------------------------------------------------------------- */

struct gathering {
    struct arena a;
    struct outgoing jobs[RELAY_BATCH];
    size_t n;
};

static int gather_unit(struct db_conn *c, void *arg)
{
    struct gathering *g = arg;
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    char before[ISO_TIME_LEN];
    int r = db_now_text(c, -RELAY_AFTER_MS, before);
    if (r < 0)
        return r;
    r = db_query(c, OUTGOING " WHERE o.date_created < ?1 ORDER BY o.id LIMIT ?2",
                 DB_ARGS(DB_TEXT(before), DB_INT(RELAY_BATCH)), &rows);
    arena_free(&g->a);
    g->n = 0;
    while (r == 0 && g->n < RELAY_BATCH && (r = db_next(rows)) > 0) {
        r = read_outgoing(rows, &g->a, &g->jobs[g->n]);
        g->n += r == 0;
    }
    return r == -ENOMEM && g->n > 0 ? 0 : r < 0 ? r : 0; /* the rest next time */
}

static int carry_all(struct bullmq *b, const struct gathering *g)
{
    for (size_t i = 0; i < g->n; i++) {
        int r = carry(b, &g->jobs[i], REDIS_COMMAND_MS);
        if (r < 0)
            return r;
        forget(b, g->jobs[i].id);
        queue_wake(b->q, 1U << g->jobs[i].queue);
        queue_changed(b->q, g->jobs[i].id);
    }
    return (int)g->n;
}

int bull_relay(struct bullmq *b)
{
    struct gathering *g = calloc(1, sizeof *g);
    if (!g)
        return -ENOMEM;
    arena_init(&g->a, RELAY_BATCH * (QUEUE_DATA_MAX + 1024));
    int r = db_read(b->q->db, gather_unit, g);
    if (r == 0)
        r = carry_all(b, g);
    arena_free(&g->a);
    free(g);
    return r;
}

static int sweep_unit(struct db_conn *c, void *arg)
{
    (void)arg;
    return db_exec(c,
                   "DELETE FROM queue_outbox WHERE NOT EXISTS"
                   " (SELECT 1 FROM queue_jobs WHERE queue_jobs.id = queue_outbox.job_id)",
                   DB_NO_ARGS, NULL);
}

int bull_sweep_outbox(struct bullmq *b)
{
    int r = db_write(b->q->db, sweep_unit, NULL);
    return r < 0 ? r : 0;
}
