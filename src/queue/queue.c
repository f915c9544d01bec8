/* SPDX-License-Identifier: MIT */
/* What both engines have in common: names, rules of a job, hooks, and who is woken by what.
 *
 * `lock` is taken before a watch's callback and by nobody who holds another lock of this folder but the
 * worker's own, never the other way round. */
#include "queue/queue.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"
#include "queue/engine.h"
#include "queue/worker.h"

#include <errno.h>
#include <string.h>
#include <utlist.h>

#define OPERATION_MAX 64
#define WATCH_TICK_MS 250

struct queue_watch {
    char id[QUEUE_ID_MAX + 1];
    void (*changed)(void *ctx);
    void *ctx;
    struct queue_watch *prev, *next;
};

/* ---- names */

static const char *const queue_names[QUEUES] = {
    [QUEUE_MEDIA] = "media-jobs",
    [QUEUE_SCRAPE] = "scrape-jobs",
    [QUEUE_ONBOARDING] = "onboarding-jobs",
};

static const char *const state_names[JOB_STATES] = {
    [JOB_WAITING] = "waiting", [JOB_PRIORITIZED] = "prioritized", [JOB_DELAYED] = "delayed",
    [JOB_ACTIVE] = "active",   [JOB_COMPLETED] = "completed",     [JOB_FAILED] = "failed",
};

static int find_name(const char *const *names, int n, const char *text)
{
    for (int i = 0; i < n; i++)
        if (str_equal(names[i], text))
            return i;
    return -ENOENT;
}

const char *queue_name_text(enum queue_name queue)
{
    return queue_names[queue];
}

int queue_name_parse(const char *text, enum queue_name *ret)
{
    int i = find_name(queue_names, QUEUES, text);
    if (i < 0)
        return i;
    *ret = (enum queue_name)i;
    return 0;
}

const char *job_state_text(enum job_state state)
{
    return state_names[state];
}

int job_state_parse(const char *text, enum job_state *ret)
{
    int i = find_name(state_names, JOB_STATES, text);
    if (i < 0)
        return i;
    *ret = (enum job_state)i;
    return 0;
}

/* ---- opening and closing */

int queue_open(const struct config *cfg, struct db *db, struct queue **ret)
{
    struct queue *q = calloc(1, sizeof *q);
    if (!q)
        return log_error(-ENOMEM, "open the queues");
    q->cfg = cfg, q->db = db;
    q->engine = cfg->redis_url ? &queue_bullmq : &queue_embedded;
    uuid_make(q->owner);
    pthread_mutex_init(&q->lock, NULL);
    pthread_mutex_init(&q->worker_lock, NULL);
    cond_init(&q->change);
    int r = q->engine->open(q);
    if (r < 0) {
        q->engine = NULL;
        queue_close(q);
        return log_error(r, "open the queues");
    }
    *ret = q;
    return 0;
}

void queue_close(struct queue *q)
{
    if (!q)
        return;
    pthread_mutex_lock(&q->lock);
    q->closing = true;
    pthread_cond_broadcast(&q->change);
    pthread_mutex_unlock(&q->lock);
    if (q->watching)
        pthread_join(q->watcher, NULL);
    if (q->engine)
        q->engine->close(q);
    pthread_cond_destroy(&q->change);
    pthread_mutex_destroy(&q->worker_lock);
    pthread_mutex_destroy(&q->lock);
    free(q);
}

void queue_set_handlers(struct queue *q, const struct queue_handler *handlers)
{
    q->handlers = handlers;
}

int queue_start(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    int r = q->started || !q->engine->start ? 0 : q->engine->start(q);
    q->started = r == 0;
    pthread_mutex_unlock(&q->lock);
    return r;
}

void queue_stop(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    bool started = q->started;
    q->started = false;
    pthread_mutex_unlock(&q->lock);
    if (started && q->engine->stop)
        q->engine->stop(q); /* without the lock, which its threads take */
}

/* ---- handlers */

const struct queue_handler *queue_handler_of(const struct queue *q, enum queue_name queue,
                                             const char *operation)
{
    const struct queue_handler *any = NULL;
    for (const struct queue_handler *h = q->handlers; h && h->queue != QUEUES; h++) {
        if (h->queue != queue)
            continue;
        if (h->operation && str_equal(h->operation, operation))
            return h;
        if (!h->operation)
            any = h;
    }
    return any;
}

int queue_moved(const struct queue *q, struct db_conn *c, const struct queue_job *job, enum queue_move move,
                const json_t *result, const char *error, void *finish)
{
    const struct queue_handler *h = queue_handler_of(q, job->queue, job->operation);
    int r = h && h->moved ? h->moved(c, h->ctx, job, move, result, error, finish) : 0;
    return r < 0 ? r : 0;
}

int queue_progressed(const struct queue *q, struct db_conn *c, const struct queue_job *job, int percent)
{
    const struct queue_handler *h = queue_handler_of(q, job->queue, job->operation);
    int r = h && h->progressed ? h->progressed(c, h->ctx, job, percent) : 0;
    return r < 0 ? r : 0;
}

void queue_token(struct queue *q, char ret[QUEUE_TOKEN_SIZE])
{
    (void)snprintf(ret, QUEUE_TOKEN_SIZE, "%s-%llu", q->owner,
                   (unsigned long long)atomic_fetch_add(&q->tokens, 1));
}

struct queue_claim *queue_claim_new(void)
{
    struct queue_claim *claim = calloc(1, sizeof *claim);
    if (claim)
        arena_init(&claim->arena, WORK_ARENA_MAX);
    return claim;
}

void queue_claim_free(struct queue_claim *claim)
{
    json_decref((json_t *)(uintptr_t)claim->job.data);
    arena_free(&claim->arena);
    free(claim);
}

/* ---- adding, cancelling, looking */

/* BullMQ refuses those; that of a UUID may have no letter. */
static bool is_integer(const char *id)
{
    return str_only(id[0] == '-' ? id + 1 : id, "0123456789");
}

static bool id_fits(const char *id)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    size_t len = id ? strlen(id) : 0;
    return len > 0 && len <= QUEUE_ID_MAX && str_only(id, allowed) && !is_integer(id);
}

static bool job_fits(const struct queue_add *job)
{
    size_t operation = job->operation ? strlen(job->operation) : 0;
    return id_fits(job->id) && job->queue < QUEUES && operation > 0 && operation <= OPERATION_MAX &&
           job->priority >= 0 && job->priority <= QUEUE_PRIORITY_MAX && job->delay_ms >= 0 &&
           job->max_attempts >= 0 && (!job->data || strlen(job->data) <= QUEUE_DATA_MAX);
}

int queue_ready(struct queue *q)
{
    return q->engine->ready(q);
}

int queue_add_in(struct queue *q, struct db_conn *c, const struct queue_add *job)
{
    return job_fits(job) ? q->engine->add_in(q, c, job) : -EINVAL;
}

int queue_confirm(struct queue *q, const char *id)
{
    return q->engine->confirm(q, id);
}

void queue_stir(struct queue *q)
{
    queue_wake(q, (1U << QUEUES) - 1);
}

int queue_cancel(struct queue *q, const char *id, enum queue_cancelled *ret)
{
    return q->engine->cancel(q, id, ret);
}

void queue_ended(struct queue *q, enum queue_name queue, const char *id, const char *why)
{
    q->engine->ended(q, queue, id, why);
    queue_cancel_here(q, id);
    queue_changed(q, id);
}

int queue_forget(struct queue *q, enum queue_name queue, const char *id)
{
    return q->engine->forget(q, queue, id);
}

int queue_look(struct queue *q, const char *id, struct arena *a, struct queue_info *ret)
{
    return q->engine->look(q, id, a, ret);
}

int queue_log_lines(struct queue *q, const char *id, struct arena *a, size_t limit, struct queue_line **ret,
                    size_t *ret_n)
{
    return q->engine->lines(q, id, a, limit < QUEUE_LOG_LINES ? limit : QUEUE_LOG_LINES, ret, ret_n);
}

int queue_list(struct queue *q, const struct queue_filter *filter, struct arena *a, struct queue_info **ret,
               size_t *ret_n)
{
    struct queue_filter within = *filter;
    if (within.limit < 0 || within.limit > QUEUE_LIST_MAX)
        within.limit = QUEUE_LIST_MAX;
    if (within.offset < 0)
        within.offset = 0;
    return q->engine->list(q, &within, a, ret, ret_n);
}

int queue_count(struct queue *q, struct queue_counts ret[QUEUES])
{
    return q->engine->count(q, ret);
}

int queue_pause(struct queue *q, enum queue_name queue)
{
    return q->engine->pause(q, queue, true);
}

int queue_resume(struct queue *q, enum queue_name queue)
{
    int r = q->engine->pause(q, queue, false);
    if (r == 0)
        queue_wake(q, 1U << queue);
    return r;
}

/* ---- what happens, and who hears of it */

void queue_made(struct queue *q, const char *id, enum queue_move move)
{
    static const int counted[] = {
        [QUEUE_STARTED] = METRIC_JOBS_CLAIMED,   [QUEUE_RETRIED] = METRIC_JOBS_RETRIED,
        [QUEUE_RETURNED] = METRIC_JOBS_RETURNED, [QUEUE_COMPLETED] = METRIC_JOBS_COMPLETED,
        [QUEUE_FAILED] = METRIC_JOBS_FAILED,     [QUEUE_CANCELLED] = METRIC_JOBS_CANCELLED,
    };
    metric_add((enum metric)counted[move], 1);
    queue_changed(q, id);
}

void queue_changed(struct queue *q, const char *id)
{
    struct queue_watch *w;
    pthread_mutex_lock(&q->lock);
    DL_FOREACH (q->watches, w)
        if (!id || strcmp(w->id, id) == 0)
            w->changed(w->ctx);
    pthread_mutex_unlock(&q->lock);
}

/* What others did is heard of by looking at the engine's version, while somebody watches. */
static void *watch(void *arg)
{
    struct queue *q = arg;
    pthread_mutex_lock(&q->lock);
    while (!q->closing) {
        struct timespec until = clock_deadline(WATCH_TICK_MS);
        if (q->watches)
            (void)pthread_cond_timedwait(&q->change, &q->lock, &until);
        else
            (void)pthread_cond_wait(&q->change, &q->lock);
        int64_t version = q->engine->version(q);
        struct queue_watch *w;
        if (version != q->seen)
            DL_FOREACH (q->watches, w)
                w->changed(w->ctx);
        q->seen = version;
    }
    pthread_mutex_unlock(&q->lock);
    return NULL;
}

/* Needs the lock. */
static int start_watching(struct queue *q)
{
    if (q->watching)
        return 0;
    q->seen = q->engine->version(q); /* before the first watch looks */
    int r = pthread_create(&q->watcher, NULL, watch, q);
    if (r != 0)
        return -r;
    (void)pthread_setname_np(q->watcher, "genie-job-watch");
    q->watching = true;
    return 0;
}

int queue_watch(struct queue *q, const char *id, void (*changed)(void *ctx), void *ctx,
                struct queue_watch **ret)
{
    if (strlen(id) > QUEUE_ID_MAX)
        return -EINVAL;
    int r = queue_start(q);
    struct queue_watch *w = r == 0 ? calloc(1, sizeof *w) : NULL;
    if (!w)
        return r < 0 ? r : -ENOMEM;
    (void)snprintf(w->id, sizeof w->id, "%s", id);
    w->changed = changed, w->ctx = ctx;
    pthread_mutex_lock(&q->lock);
    r = start_watching(q);
    if (r == 0) {
        DL_APPEND(q->watches, w);
        pthread_cond_broadcast(&q->change);
    }
    pthread_mutex_unlock(&q->lock);
    if (r < 0)
        free(w);
    else
        *ret = w;
    return r;
}

void queue_unwatch(struct queue *q, struct queue_watch *w)
{
    pthread_mutex_lock(&q->lock);
    DL_DELETE(q->watches, w);
    pthread_mutex_unlock(&q->lock);
    free(w);
}
