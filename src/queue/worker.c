/* SPDX-License-Identifier: MIT */
/* Runners take claimed jobs from their lane's buffer and put them to those that ended; the thread of moves
 * settles those, and claims more, in one step of the engine. So the ends that gather during a commit are
 * settled by the next.
 *
 * As long as jobs take milliseconds, a lane claims some ahead of its runners; one that isn't begun in time
 * (a long one came in between) is handed back, so that others may have it. A step that fails is done again in
 * parts: each settlement alone, and those that fail again later without claims, so that one whose handler
 * refuses doesn't hold up the others.
 *
 * Locks: queue->worker_lock, then worker->lock; none is held while the engine or a handler is asked. */
#include "queue/worker.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "queue/work.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define AHEAD_US 20000     /* how long what is claimed ahead should take */
#define AHEAD_STALE_MS 200 /* how long it waits at most */
#define SLOW_US 1000000    /* a lane whose jobs turned out to be long */
#define AGAIN_MS 500       /* after a step that failed */
#define IDLE_MS 1000
#define UNSETTLED_MS 60000      /* what can't be settled for so long is given up */
#define SETTLE_PATIENCE_MS 5000 /* of a worker that stops, once its handlers have returned */

static const char *const lane_names[QUEUES] = {
    [QUEUE_MEDIA] = "genie-media",
    [QUEUE_SCRAPE] = "genie-scrape",
    [QUEUE_ONBOARDING] = "genie-onboard",
};

/* ---- runners */

static void place(struct work *w, enum work_place where)
{
    w->place = where;
    w->placed_ms = clock_monotonic_ms();
}

static struct work *take_buffered(struct lane *lane)
{
    struct work *w = lane->buffer;
    if (!w)
        return NULL;
    DL_DELETE(lane->buffer, w);
    lane->buffered--;
    return w;
}

static void put_ended(struct lane *lane, struct work *w)
{
    place(w, WORK_ENDED);
    w->settle_at_ms = 0;
    DL_APPEND(lane->ended, w);
    pthread_cond_signal(&lane->worker->moves);
}

static void learn_duration(struct lane *lane, int64_t us)
{
    lane->average_us = lane->average_us < 0 ? us : (lane->average_us * 7 + us) / 8;
}

/* The next job of the lane; NULL at the end. What is here when the worker stops goes back. With the lock. */
static struct work *await_job(struct lane *lane)
{
    struct work *w = NULL;
    while (!lane->worker->closing && (lane->worker->quiesced || !(w = take_buffered(lane))))
        pthread_cond_wait(&lane->wake, &lane->worker->lock);
    if (w) {
        place(w, WORK_RUNNING);
        lane->running++;
        metric_add(METRIC_JOBS_RUNNING, 1);
    }
    return w;
}

static void end_job(struct lane *lane, struct work *w, int64_t us)
{
    learn_duration(lane, us);
    lane->running--;
    metric_add(METRIC_JOBS_RUNNING, -1);
    work_conclude(w);
    put_ended(lane, w);
    pthread_cond_broadcast(&lane->worker->quiet);
}

static void *run_loop(void *arg)
{
    struct lane *lane = arg;
    struct queue_worker *worker = lane->worker;
    struct work *w;
    pthread_mutex_lock(&worker->lock);
    while ((w = await_job(lane))) {
        pthread_mutex_unlock(&worker->lock);
        int64_t begun = clock_monotonic_us();
        work_run(w);
        int64_t us = clock_monotonic_us() - begun;
        pthread_mutex_lock(&worker->lock);
        end_job(lane, w, us);
    }
    pthread_mutex_unlock(&worker->lock);
    return NULL;
}

/* ---- what a step of a lane is to do; with the lock */

static int claims_ahead(const struct lane *lane)
{
    if (lane->average_us < 0 || lane->average_us > AHEAD_US)
        return 0;
    int64_t ahead = lane->concurrency * (int64_t)AHEAD_US / (lane->average_us + 1);
    return ahead < QUEUE_BATCH ? (int)ahead : QUEUE_BATCH;
}

static size_t claims_wanted(const struct lane *lane, int64_t now_ms)
{
    if (!lane->fresh || lane->worker->quiesced || now_ms < lane->retry_at_ms || lane->concurrency == 0)
        return 0;
    int want = lane->concurrency + claims_ahead(lane) - lane->running - lane->buffered;
    return want <= 0 ? 0 : want < QUEUE_BATCH ? (size_t)want : QUEUE_BATCH;
}

/* What waits for a runner too long, or would wait for ever, goes back. */
static void return_stale(struct lane *lane, int64_t now_ms)
{
    struct work *w, *next;
    DL_FOREACH_SAFE (lane->buffer, w, next) {
        bool stale = lane->running == lane->concurrency && now_ms - w->placed_ms > AHEAD_STALE_MS;
        if (!stale && !lane->worker->quiesced)
            break; /* those behind it came later */
        DL_DELETE(lane->buffer, w);
        lane->buffered--;
        work_give_back(w);
        put_ended(lane, w);
        if (stale)
            lane->average_us = SLOW_US;
    }
}

/* What has ended: what is new, or (again) what was put off and is due. */
static size_t take_ended(struct lane *lane, int64_t now_ms, bool again, struct work *ret[QUEUE_BATCH])
{
    size_t n = 0;
    struct work *w, *next;
    DL_FOREACH_SAFE (lane->ended, w, next) {
        if (n == QUEUE_BATCH)
            break;
        if (w->noting || now_ms < w->settle_at_ms || (w->settle_at_ms > 0) != again)
            continue;
        DL_DELETE(lane->ended, w);
        w->place = WORK_SETTLING; /* placed_ms goes on to say when it ended */
        ret[n++] = w;
    }
    return n;
}

/* ---- what came of it */

/* The work is over: its handler may free what it left. Without the lock. */
static void dismiss(struct queue_worker *worker, struct work *w)
{
    if (w->settle.lost) {
        metric_add(METRIC_JOBS_LOST, 1);
        log_event(LOG_WARN, "the lease of a job was lost: what it did here doesn't count",
                  LOG_S("job", w->shown.job.id));
    }
    if (w->ran && w->handler->done)
        w->handler->done(w->handler->ctx, &w->shown);
    pthread_mutex_lock(&worker->lock);
    DL_DELETE2(worker->works, w, all_prev, all_next);
    worker->finished++;
    worker->look |= w->settle.delay_ms > 0;
    work_unref(w);
    pthread_cond_broadcast(&worker->quiet);
    pthread_mutex_unlock(&worker->lock);
}

/* It couldn't be settled: again later, while the lease lasts, which is renewed for a while. */
static void put_off(struct queue_worker *worker, struct lane *lane, struct work *w)
{
    pthread_mutex_lock(&worker->lock);
    int64_t now_ms = clock_monotonic_ms(), since_ms = w->placed_ms;
    bool over = now_ms >= w->good_until_ms || now_ms - since_ms >= worker->unsettled_ms;
    w->settle.lost = over;
    if (!over) {
        put_ended(lane, w);
        w->placed_ms = since_ms;
        w->settle_at_ms = now_ms + AGAIN_MS;
    }
    pthread_mutex_unlock(&worker->lock);
    if (over)
        dismiss(worker, w);
}

static void buffer_claims(struct lane *lane, const struct queue_step *step)
{
    struct queue_worker *worker = lane->worker;
    pthread_mutex_lock(&worker->lock);
    for (size_t i = 0; i < step->n_claimed; i++) {
        struct work *w = work_new(worker->q, step->claimed[i]);
        if (!w) { /* its lease will end */
            queue_claim_free(step->claimed[i]);
            continue;
        }
        DL_APPEND2(worker->works, w, all_prev, all_next);
        place(w, WORK_BUFFERED);
        DL_APPEND(lane->buffer, w);
        lane->buffered++;
        pthread_cond_signal(&lane->wake);
    }
    if (step->want > 0 && step->n_claimed == step->want)
        lane->fresh = true;
    pthread_mutex_unlock(&worker->lock);
}

static int do_step(struct lane *lane, struct work *const *works, size_t n, size_t want)
{
    struct queue *q = lane->worker->q;
    struct queue_settle *settle[QUEUE_BATCH];
    struct queue_step step = {.queue = lane->queue, .settle = settle, .n_settle = n, .want = want};
    for (size_t i = 0; i < n; i++)
        settle[i] = &works[i]->settle;
    int r = q->engine->step(q, &step);
    if (r < 0)
        return r;
    buffer_claims(lane, &step);
    for (size_t i = 0; i < n; i++)
        dismiss(lane->worker, works[i]);
    return 0;
}

static void settle_alone(struct lane *lane, struct work *w)
{
    int r = do_step(lane, &w, 1, 0);
    if (r == -EDQUOT && work_refuse(w))
        r = do_step(lane, &w, 1, 0);
    if (r == 0)
        return;
    log_event(LOG_WARN, "the end of a job can't be stored yet", LOG_S("job", w->shown.job.id),
              LOG_S("error", strerror(-r)));
    put_off(lane->worker, lane, w);
}

/* Claims are tried again later, and on the first failure of a row the log says why. */
static void note_failure(struct lane *lane, int r)
{
    pthread_mutex_lock(&lane->worker->lock);
    bool first = r < 0 && !lane->failing;
    lane->failing = r < 0;
    if (r < 0) {
        lane->fresh = true;
        lane->retry_at_ms = clock_monotonic_ms() + AGAIN_MS;
    }
    pthread_mutex_unlock(&lane->worker->lock);
    if (first)
        log_event(LOG_WARN, "jobs can't be moved now; trying again",
                  LOG_S("queue", queue_name_text(lane->queue)), LOG_S("error", strerror(-r)));
}

/* Those whose lease is lost aren't settled any more. */
static size_t drop_lost(struct lane *lane, struct work **works, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        works[i]->settle.lost = (atomic_load(&works[i]->why) & WHY_LOST) != 0;
        if (works[i]->settle.lost)
            dismiss(lane->worker, works[i]);
        else
            works[kept++] = works[i];
    }
    return kept;
}

static void take_last_notes(struct work *w)
{
    if (!w->last.lines)
        work_take_notes(w, &w->last);
    w->settle.percent = w->last.percent;
    w->settle.lines = (const char *const *)w->last.lines;
    w->settle.n_lines = w->last.n_lines;
}

static int compare_texts(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "");
}

static int by_owner(const void *a, const void *b)
{
    const struct queue_job *x = &(*(struct work *const *)a)->claim->job,
                           *y = &(*(struct work *const *)b)->claim->job;
    int order = compare_texts(x->user_id, y->user_id);
    if (order == 0)
        order = compare_texts(x->operation, y->operation);
    return order != 0 ? order : strcmp(x->id, y->id);
}

/* Those that are still ours, each with its last notes, in one order whoever settles: what the ends of jobs
 * write of their users (quotas, room for files) the ends of others write too, and docs/store.md says why. */
static size_t make_ready(struct lane *lane, struct work **works, size_t n)
{
    n = drop_lost(lane, works, n);
    for (size_t i = 0; i < n; i++)
        take_last_notes(works[i]);
    if (n > 1)
        qsort(works, n, sizeof *works, by_owner);
    return n;
}

/* New ends and claims, in one step. Each of these says whether there was anything to do. */
static bool settle_and_claim(struct lane *lane)
{
    struct queue_worker *worker = lane->worker;
    struct work *works[QUEUE_BATCH];
    pthread_mutex_lock(&worker->lock);
    int64_t now_ms = clock_monotonic_ms();
    return_stale(lane, now_ms);
    size_t n = take_ended(lane, now_ms, false, works), want = claims_wanted(lane, now_ms);
    if (want > 0)
        lane->fresh = false;
    pthread_mutex_unlock(&worker->lock);
    if (n == 0 && want == 0)
        return false;
    n = make_ready(lane, works, n);
    int r = n > 0 || want > 0 ? do_step(lane, works, n, want) : 0;
    note_failure(lane, r);
    for (size_t i = 0; r < 0 && i < n; i++)
        settle_alone(lane, works[i]);
    return true;
}

/* Ends that were put off: apart from the claims, which must not fail with them. */
static bool settle_again(struct lane *lane)
{
    struct work *works[QUEUE_BATCH];
    pthread_mutex_lock(&lane->worker->lock);
    size_t taken = take_ended(lane, clock_monotonic_ms(), true, works);
    pthread_mutex_unlock(&lane->worker->lock);
    size_t n = make_ready(lane, works, taken);
    int r = n > 1 ? do_step(lane, works, n, 0) : -EAGAIN;
    for (size_t i = 0; r < 0 && i < n; i++)
        settle_alone(lane, works[i]);
    return taken > 0;
}

static bool move_lane(struct lane *lane)
{
    bool moved = settle_and_claim(lane);
    return settle_again(lane) || moved;
}

/* ---- the thread of moves */

/* How long until there is something to do that nobody signals. With the lock. */
static int64_t pause_ms(const struct queue_worker *worker)
{
    int64_t pause = IDLE_MS;
    for (int i = 0; i < QUEUES; i++) {
        const struct lane *lane = &worker->lanes[i];
        if (lane->buffer && pause > AHEAD_STALE_MS)
            pause = AHEAD_STALE_MS;
        if ((lane->ended || lane->failing) && pause > AGAIN_MS)
            pause = AGAIN_MS;
    }
    return pause;
}

static bool has_moves(struct queue_worker *worker)
{
    int64_t now_ms = clock_monotonic_ms();
    for (int i = 0; i < QUEUES; i++) {
        const struct lane *lane = &worker->lanes[i];
        const struct work *w;
        if (claims_wanted(lane, now_ms) > 0 || (lane->buffer && worker->quiesced))
            return true;
        DL_FOREACH (lane->ended, w)
            if (!w->noting && now_ms >= w->settle_at_ms)
                return true;
    }
    return false;
}

static void *move_loop(void *arg)
{
    struct queue_worker *worker = arg;
    bool moved = true;
    for (;;) {
        pthread_mutex_lock(&worker->lock);
        struct timespec until = clock_deadline(pause_ms(worker));
        int late = moved ? ETIMEDOUT : 0;
        while (late == 0 && !worker->closing && !has_moves(worker))
            late = pthread_cond_timedwait(&worker->moves, &worker->lock, &until);
        bool closing = worker->closing;
        pthread_mutex_unlock(&worker->lock);
        if (closing)
            return NULL;
        moved = false;
        for (int i = 0; i < QUEUES; i++)
            moved |= move_lane(&worker->lanes[i]);
    }
}

/* ---- from outside */

void queue_wake(struct queue *q, unsigned queues)
{
    pthread_mutex_lock(&q->worker_lock);
    struct queue_worker *worker = q->worker;
    if (worker) {
        pthread_mutex_lock(&worker->lock);
        worker->look = true;
        for (int i = 0; i < QUEUES; i++)
            worker->lanes[i].fresh |= (queues & (1U << i)) != 0;
        pthread_cond_signal(&worker->moves);
        pthread_mutex_unlock(&worker->lock);
    }
    pthread_mutex_unlock(&q->worker_lock);
}

void queue_cancel_here(struct queue *q, const char *id)
{
    struct work *w;
    pthread_mutex_lock(&q->worker_lock);
    struct queue_worker *worker = q->worker;
    if (worker) {
        pthread_mutex_lock(&worker->lock);
        DL_FOREACH2(worker->works, w, all_next)
        if (strcmp(w->shown.job.id, id) == 0)
            work_stop(w, WHY_ASKED);
        pthread_mutex_unlock(&worker->lock);
    }
    pthread_mutex_unlock(&q->worker_lock);
}

int queue_worker_running(struct queue_worker *worker)
{
    int running = 0;
    pthread_mutex_lock(&worker->lock);
    for (int i = 0; i < QUEUES; i++)
        running += worker->lanes[i].running;
    pthread_mutex_unlock(&worker->lock);
    return running;
}

/* ---- beginning and end */

static void register_worker(struct queue *q, struct queue_worker *worker)
{
    pthread_mutex_lock(&q->worker_lock);
    q->worker = worker;
    pthread_mutex_unlock(&q->worker_lock);
}

/* Ends the threads; nothing runs any more. */
static void close_worker(struct queue_worker *worker)
{
    register_worker(worker->q, NULL);
    pthread_mutex_lock(&worker->lock);
    worker->closing = true;
    pthread_cond_broadcast(&worker->moves);
    for (int i = 0; i < QUEUES; i++)
        pthread_cond_broadcast(&worker->lanes[i].wake);
    pthread_mutex_unlock(&worker->lock);
    if (worker->has_move_thread)
        pthread_join(worker->move_thread, NULL);
    leases_stop(worker);
    for (int i = 0; i < QUEUES; i++) {
        struct lane *lane = &worker->lanes[i];
        for (int t = 0; t < lane->threads; t++)
            pthread_join(lane->thread[t], NULL);
        free(lane->thread);
        pthread_cond_destroy(&lane->wake);
    }
    while (worker->works) /* whose ends couldn't be stored */
        dismiss(worker, worker->works);
    pthread_cond_destroy(&worker->moves);
    pthread_cond_destroy(&worker->leases);
    pthread_cond_destroy(&worker->quiet);
    pthread_mutex_destroy(&worker->lock);
    free(worker);
}

static int start_lane(struct lane *lane)
{
    lane->thread = calloc((size_t)lane->concurrency + 1, sizeof *lane->thread);
    if (!lane->thread)
        return -ENOMEM;
    for (; lane->threads < lane->concurrency; lane->threads++) {
        int r = pthread_create(&lane->thread[lane->threads], NULL, run_loop, lane);
        if (r != 0)
            return -r;
        (void)pthread_setname_np(lane->thread[lane->threads], lane_names[lane->queue]);
    }
    return 0;
}

static int start_threads(struct queue_worker *worker)
{
    int r = 0;
    for (int i = 0; i < QUEUES && r == 0; i++)
        r = start_lane(&worker->lanes[i]);
    if (r == 0)
        r = leases_start(worker);
    if (r == 0)
        r = -pthread_create(&worker->move_thread, NULL, move_loop, worker);
    worker->has_move_thread = r == 0;
    if (r == 0)
        (void)pthread_setname_np(worker->move_thread, "genie-jobs");
    return r;
}

int queue_worker_start(const struct queue_worker_options *options, struct queue_worker **ret)
{
    struct queue_worker *worker = calloc(1, sizeof *worker);
    if (!worker)
        return log_error(-ENOMEM, "start the worker");
    worker->q = options->queue;
    worker->unsettled_ms = UNSETTLED_MS;
    pthread_mutex_init(&worker->lock, NULL);
    cond_init(&worker->moves);
    cond_init(&worker->leases);
    cond_init(&worker->quiet);
    for (int i = 0; i < QUEUES; i++) {
        worker->lanes[i] = (struct lane){.worker = worker,
                                         .queue = (enum queue_name)i,
                                         .concurrency = options->concurrency[i],
                                         .average_us = -1,
                                         .fresh = true};
        cond_init(&worker->lanes[i].wake);
    }
    register_worker(worker->q, worker);
    int r = queue_start(worker->q);
    if (r == 0)
        r = start_threads(worker);
    if (r < 0) {
        close_worker(worker);
        return log_error(r, "start the worker");
    }
    *ret = worker;
    return 0;
}

void queue_worker_quiesce(struct queue_worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    worker->quiesced = true;
    pthread_cond_signal(&worker->moves);
    pthread_mutex_unlock(&worker->lock);
}

void queue_worker_hasten(struct queue_worker *worker)
{
    struct work *w;
    pthread_mutex_lock(&worker->lock);
    worker->hastened = true;
    DL_FOREACH2(worker->works, w, all_next)
    if (w->place == WORK_RUNNING)
        work_stop(w, WHY_STOPPED);
    pthread_cond_broadcast(&worker->quiet);
    pthread_mutex_unlock(&worker->lock);
}

static bool runs_any(const struct queue_worker *worker)
{
    for (int i = 0; i < QUEUES; i++)
        if (worker->lanes[i].running > 0)
            return true;
    return false;
}

/* Until nothing runs here (any: nothing is held here), at most so long. hasty: or somebody is in haste. */
static bool await_quiet(struct queue_worker *worker, int64_t limit_ms, bool any, bool hasty)
{
    struct timespec until = clock_deadline(limit_ms);
    int late = 0;
    pthread_mutex_lock(&worker->lock);
    while (late == 0 && !(hasty && worker->hastened) && (any ? worker->works != NULL : runs_any(worker)))
        late = pthread_cond_timedwait(&worker->quiet, &worker->lock, &until);
    bool quiet = any ? worker->works == NULL : !runs_any(worker);
    pthread_mutex_unlock(&worker->lock);
    return quiet;
}

int queue_worker_stop(struct queue_worker *worker, int64_t patience_ms, int64_t limit_ms)
{
    int64_t begun_ms = clock_monotonic_ms();
    queue_worker_quiesce(worker);
    bool quiet = await_quiet(worker, patience_ms, true, true);
    if (!quiet)
        queue_worker_hasten(worker);
    int64_t left_ms = begun_ms + limit_ms - clock_monotonic_ms();
    if (!quiet && !await_quiet(worker, left_ms > 0 ? left_ms : 0, false, false)) {
        log_event(LOG_ERROR, "a job doesn't stop; it will be taken by another worker when its lease ends");
        return -ETIMEDOUT;
    }
    if (!quiet && !await_quiet(worker, SETTLE_PATIENCE_MS, true, false))
        log_event(LOG_WARN, "ends of jobs can't be stored; their leases will end");
    close_worker(worker);
    return 0;
}
