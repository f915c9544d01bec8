/* SPDX-License-Identifier: MIT */
/* What must go on while jobs run, whatever their handlers do: leases are renewed, progress and log lines are
 * carried, cancels are heard of, and the queues are kept up. Each round takes what it needs of the works
 * under the lock, asks the engine without it, and tells the works under it again. */
#include "queue/work.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

#include <errno.h>
#include <string.h>
#include <utlist.h>

#define TICK_MS 250       /* between rounds: how late another process's news may be */
#define NOTE_EVERY_MS 500 /* a job's notes */
#define AGAIN_MS 1000     /* after a failure */
#define TRIM_EVERY_MS 60000
#define TRIM_AFTER 500 /* or after so many ends */
#define GAUGES_EVERY_MS 10000

struct lease_round {
    struct queue_worker *worker;
    uint64_t number;
    int64_t now_ms, version, upkeep_at_ms, trim_at_ms, gauges_at_ms;
    bool news; /* another process may have changed something */
    struct work *works[QUEUE_BATCH];
    struct queue_note notes[QUEUE_BATCH];
    struct work_notes carried[QUEUE_BATCH];
    size_t n;
};

/* ---- leases and cancels */

static void take_leases(struct lease_round *k)
{
    struct work *w;
    k->n = 0;
    pthread_mutex_lock(&k->worker->lock);
    DL_FOREACH2(k->worker->works, w, all_next)
    {
        bool renew = k->now_ms >= w->renew_at_ms, seen = w->seen_in_round == k->number;
        if (k->n == QUEUE_BATCH || seen || w->place == WORK_SETTLING || !(renew || k->news))
            continue;
        w->seen_in_round = k->number;
        k->works[k->n] = work_ref(w);
        k->notes[k->n++] = (struct queue_note){.claim = w->claim, .renew = renew, .percent = -1};
    }
    pthread_mutex_unlock(&k->worker->lock);
}

static void hear(struct lease_round *k, struct work *w, const struct queue_note *n)
{
    if (n->lost)
        work_stop(w, WHY_LOST);
    if (n->cancelled)
        work_stop(w, WHY_ASKED);
    if (n->renew && !n->lost) {
        w->good_until_ms = n->good_until_ms;
        w->renew_at_ms = k->now_ms + QUEUE_RENEW_MS;
    }
}

static void tell_leases(struct lease_round *k, int r)
{
    pthread_mutex_lock(&k->worker->lock);
    for (size_t i = 0; i < k->n; i++) {
        if (r == 0)
            hear(k, k->works[i], &k->notes[i]);
        else
            k->works[i]->renew_at_ms = k->now_ms + AGAIN_MS;
        work_unref(k->works[i]);
    }
    pthread_mutex_unlock(&k->worker->lock);
    k->n = 0;
}

/* Works whose lease has run out without the store are as lost as those that the store doesn't know. */
static void drop_late(struct lease_round *k)
{
    struct work *w;
    pthread_mutex_lock(&k->worker->lock);
    DL_FOREACH2(k->worker->works, w, all_next)
    if (clock_monotonic_ms() >= w->good_until_ms)
        work_stop(w, WHY_LOST);
    pthread_mutex_unlock(&k->worker->lock);
}

static void renew(struct lease_round *k)
{
    struct queue *q = k->worker->q;
    k->number++;
    for (take_leases(k); k->n > 0; take_leases(k))
        tell_leases(k, q->engine->notes(q, k->notes, k->n));
    drop_late(k);
}

/* ---- progress and log lines */

static void take_notes(struct lease_round *k)
{
    struct work *w;
    k->n = 0;
    pthread_mutex_lock(&k->worker->lock);
    DL_FOREACH2(k->worker->works, w, all_next)
    {
        if (k->n == QUEUE_BATCH || w->place != WORK_RUNNING || k->now_ms < w->note_at_ms ||
            !work_has_notes(w))
            continue;
        struct work_notes *carried = &k->carried[k->n];
        work_take_notes(w, carried);
        w->noting = true;
        w->note_at_ms = k->now_ms + NOTE_EVERY_MS;
        k->works[k->n] = work_ref(w);
        k->notes[k->n++] = (struct queue_note){.claim = w->claim,
                                               .percent = carried->percent,
                                               .lines = (const char *const *)carried->lines,
                                               .n_lines = carried->n_lines};
    }
    pthread_mutex_unlock(&k->worker->lock);
}

static void tell_note(struct lease_round *k, size_t i, int r)
{
    struct work *w = k->works[i];
    work_end_notes(w, &k->carried[i], r == 0);
    pthread_mutex_lock(&k->worker->lock);
    if (r == 0)
        hear(k, w, &k->notes[i]);
    w->noting = false;
    work_unref(w);
    pthread_cond_signal(&k->worker->moves);
    pthread_mutex_unlock(&k->worker->lock);
}

/* Together if that works; else each alone, so that one whose handler refuses doesn't hold up the others. */
static void carry_notes(struct lease_round *k)
{
    struct queue *q = k->worker->q;
    take_notes(k);
    int r = k->n > 0 ? q->engine->notes(q, k->notes, k->n) : 0;
    for (size_t i = 0; i < k->n; i++)
        tell_note(k, i, r < 0 && k->n > 1 ? q->engine->notes(q, &k->notes[i], 1) : r);
    k->n = 0;
}

/* ---- the queues */

static void set_gauge(enum metric m, int64_t value)
{
    metric_add(m, value - metric_get(m));
}

static void measure(struct queue *q)
{
    struct queue_counts counts[QUEUES];
    int64_t sum[JOB_STATES] = {0};
    if (q->engine->count(q, counts) < 0)
        return;
    for (int i = 0; i < QUEUES; i++)
        for (int s = 0; s < JOB_STATES; s++)
            sum[s] += counts[i].state[s];
    set_gauge(METRIC_JOBS_WAITING, sum[JOB_WAITING] + sum[JOB_PRIORITIZED]);
    set_gauge(METRIC_JOBS_DELAYED, sum[JOB_DELAYED]);
    set_gauge(METRIC_JOBS_ACTIVE, sum[JOB_ACTIVE]);
}

/* Notes which queues have work, and has the mover look at them. */
static void freshen(struct queue_worker *worker, unsigned fresh)
{
    pthread_mutex_lock(&worker->lock);
    for (int i = 0; i < QUEUES; i++)
        worker->lanes[i].fresh |= (fresh & (1U << i)) != 0;
    pthread_cond_signal(&worker->moves);
    pthread_mutex_unlock(&worker->lock);
}

static bool wants_trim(struct lease_round *k)
{
    struct queue_worker *worker = k->worker;
    pthread_mutex_lock(&worker->lock);
    bool due = worker->finished >= TRIM_AFTER || k->now_ms >= k->trim_at_ms;
    if (due)
        worker->finished = 0;
    pthread_mutex_unlock(&worker->lock);
    if (due)
        k->trim_at_ms = k->now_ms + TRIM_EVERY_MS;
    return due;
}

static void keep_up(struct lease_round *k, bool look)
{
    struct queue_worker *worker = k->worker;
    struct queue_upkeep u = {.next_ms = AGAIN_MS};
    u.trim = wants_trim(k);
    if (!look && !k->news && !u.trim && k->now_ms < k->upkeep_at_ms)
        return;
    for (int i = 0; i < QUEUES; i++)
        if (worker->lanes[i].concurrency > 0)
            u.queues |= 1U << i;
    int r = worker->q->engine->upkeep(worker->q, &u);
    k->upkeep_at_ms = clock_monotonic_ms() + (r < 0 ? AGAIN_MS : u.next_ms);
    if (u.fresh)
        freshen(worker, u.fresh);
}

/* ---- */

/* Waits for the next round; false at the end. *ret_look: somebody here changed something. */
static bool await_round(struct lease_round *k, bool *ret_look)
{
    struct queue_worker *worker = k->worker;
    pthread_mutex_lock(&worker->lock);
    int64_t wait_ms = k->upkeep_at_ms - clock_monotonic_ms();
    wait_ms = wait_ms < 1 ? 1 : wait_ms > TICK_MS ? TICK_MS : wait_ms;
    struct timespec until = clock_deadline(wait_ms);
    int late = 0;
    while (!worker->leases_closing && late == 0)
        late = pthread_cond_timedwait(&worker->leases, &worker->lock, &until);
    bool goes_on = !worker->leases_closing;
    *ret_look = worker->look;
    worker->look = false;
    pthread_mutex_unlock(&worker->lock);
    return goes_on;
}

static void *lease_loop(void *arg)
{
    struct lease_round *k = arg;
    struct queue *q = k->worker->q;
    bool look = true;
    do {
        int64_t version = q->engine->version(q);
        k->now_ms = clock_monotonic_ms();
        k->news = version != k->version;
        k->version = version;
        renew(k);
        carry_notes(k);
        keep_up(k, look);
        if (k->now_ms >= k->gauges_at_ms) {
            measure(q);
            k->gauges_at_ms = k->now_ms + GAUGES_EVERY_MS;
        }
    } while (await_round(k, &look));
    return NULL;
}

int leases_start(struct queue_worker *worker)
{
    struct lease_round *k = calloc(1, sizeof *k);
    if (!k)
        return -ENOMEM;
    k->worker = worker;
    k->version = worker->q->engine->version(worker->q);
    int r = pthread_create(&worker->lease_thread, NULL, lease_loop, k);
    if (r != 0) {
        free(k);
        return -r;
    }
    (void)pthread_setname_np(worker->lease_thread, "genie-job-lease");
    worker->leases_of = k;
    return 0;
}

void leases_stop(struct queue_worker *worker)
{
    if (!worker->leases_of)
        return;
    pthread_mutex_lock(&worker->lock);
    worker->leases_closing = true;
    pthread_cond_signal(&worker->leases);
    pthread_mutex_unlock(&worker->lock);
    pthread_join(worker->lease_thread, NULL);
    free(worker->leases_of);
}
