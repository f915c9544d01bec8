/* SPDX-License-Identifier: MIT */
/* What time brings to the queues' rows: delayed jobs become due, leases end, finished jobs have been kept
 * long enough. Any worker does it for all. */
#include "queue/embedded.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

#include <errno.h>
#include <string.h>

#define DUE_BATCH 500
#define TRIM_BATCH 1000
#define STALLED_BATCH 64
#define LOOK_AGAIN_MS 5000 /* at the latest */
#define LOOK_SOON_MS 50    /* at the soonest */

struct keeping {
    struct queue *q;
    struct queue_upkeep *u;
    int64_t now_ms;
    char now[ISO_TIME_LEN];
    int64_t changed;

    /* of the peek */
    char due[ISO_TIME_LEN], lease[ISO_TIME_LEN]; /* the next; "" = none */
    unsigned fresh;

    /* of a stalled job */
    int64_t after_seq, seq;
    char id[QUEUE_ID_MAX + 1];
    enum queue_move move;

    /* of trimming */
    enum queue_name queue;
    bool failed;
};

static int read_now(struct db_conn *c, struct keeping *k)
{
    int r = db_now(c, &k->now_ms);
    if (r == 0)
        clock_format_iso(k->now_ms, k->now);
    return r;
}

/* ---- a look at what there is */

#define WAITS(queue) \
    "(SELECT count(*) FROM (SELECT 1 FROM queue_jobs WHERE state = 'waiting' AND queue = '" queue \
    "' LIMIT 1) AS w)"

static int peek_unit(struct db_conn *c, void *arg)
{
    struct keeping *k = arg;
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = read_now(c, k);
    if (r == 0)
        r = db_query(c,
                     "SELECT (SELECT min(run_at) FROM queue_jobs WHERE state = 'delayed'),"
                     " (SELECT min(lease_until) FROM queue_jobs WHERE state = 'active')," WAITS(
                         "media-jobs") ", " WAITS("scrape-jobs") ", " WAITS("onboarding-jobs"),
                     DB_NO_ARGS, &rows);
    if (r == 0)
        r = db_next(rows);
    if (r <= 0)
        return r < 0 ? r : -EIO;
    const char *due = db_text(rows, 0), *lease = db_text(rows, 1);
    (void)snprintf(k->due, sizeof k->due, "%s", due ? due : "");
    (void)snprintf(k->lease, sizeof k->lease, "%s", lease ? lease : "");
    k->fresh = 0;
    for (int i = 0; i < QUEUES; i++)
        k->fresh |= db_int(rows, 2 + i) > 0 ? 1U << i : 0;
    return 0;
}

static int64_t ms_until(const struct keeping *k, const char *at)
{
    int64_t ms;
    return at[0] && clock_parse_iso(at, &ms) == 0 ? ms - k->now_ms : LOOK_AGAIN_MS;
}

/* ---- delayed jobs */

#define DUE(pick_before, pick_after) \
    "UPDATE queue_jobs SET state = 'waiting', run_at = NULL WHERE seq " pick_before \
    "SELECT seq FROM queue_jobs WHERE state = 'delayed' AND run_at <= ?1 ORDER BY run_at LIMIT " \
    "?2" pick_after

static int due_unit(struct db_conn *c, void *arg)
{
    struct keeping *k = arg;
    int r = read_now(c, k);
    if (r < 0)
        return r;
    return db_exec(c, db_sql(c, DUE("IN (", ")"), DUE("= ANY (ARRAY(", " FOR UPDATE SKIP LOCKED))")),
                   DB_ARGS(DB_TEXT(k->now), DB_INT(DUE_BATCH)), &k->changed);
}

static int make_due(struct keeping *k)
{
    int r;
    do {
        k->changed = 0;
        r = db_write(k->q->db, due_unit, k);
        if (r >= 0 && k->changed > 0) {
            k->u->fresh |= k->u->queues;
            queue_changed(k->q, NULL); /* they wait now, some perhaps for long */
        }
    } while (r >= 0 && k->changed == DUE_BATCH);
    return r < 0 ? r : 0;
}

/* ---- leases that ended */

#define STALLED \
    "SELECT " EMBEDDED_JOB ", seq, stalled_count, CASE WHEN cancelled_at IS NULL THEN 0 ELSE 1 END" \
    " FROM queue_jobs WHERE state = 'active' AND lease_until <= ?1 AND seq > ?2 ORDER BY seq LIMIT 1"

/* 1 with the job, 0 where there is none. */
static int find_stalled(struct db_conn *c, struct keeping *k, struct arena *a, struct queue_job *job)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c, db_sql(c, STALLED, STALLED " FOR UPDATE SKIP LOCKED"),
                     DB_ARGS(DB_TEXT(k->now), DB_INT(k->after_seq)), &rows);
    if (r == 0)
        r = db_next(rows);
    if (r <= 0)
        return r;
    r = embedded_read_job(rows, a, job);
    k->seq = db_int(rows, EMBEDDED_JOB_COLUMNS);
    bool too_often = db_int(rows, EMBEDDED_JOB_COLUMNS + 1) >= QUEUE_STALLED_MAX;
    bool cancelled = db_int(rows, EMBEDDED_JOB_COLUMNS + 2) != 0;
    k->move = cancelled ? QUEUE_CANCELLED : too_often ? QUEUE_FAILED : QUEUE_RETURNED;
    (void)snprintf(k->id, sizeof k->id, "%s", job->id);
    return r < 0 ? r : 1;
}

static int take_back(struct db_conn *c, struct keeping *k, const struct queue_job *job)
{
    const char *error = k->move == QUEUE_CANCELLED ? QUEUE_ERROR_CANCELLED : QUEUE_ERROR_STALLED;
    bool ends = k->move != QUEUE_RETURNED;
    int r =
        db_exec(c,
                "UPDATE queue_jobs SET state = ?2, error = ?3, finished_at = ?4, attempts = attempts - 1,"
                " stalled_count = stalled_count + 1, lease_owner = NULL, lease_until = NULL WHERE seq = ?1",
                DB_ARGS(DB_INT(k->seq), DB_TEXT(ends ? "failed" : "waiting"), DB_TEXT(error),
                        DB_TEXT(ends ? k->now : NULL)),
                NULL);
    return r < 0 ? r : queue_moved(k->q, c, job, k->move, NULL, error, NULL);
}

static int stalled_unit(struct db_conn *c, void *arg)
{
    struct keeping *k = arg;
    struct queue_job job = {0};
    struct arena a;
    k->id[0] = '\0';
    arena_init(&a, WORK_ARENA_MAX);
    int r = read_now(c, k);
    if (r == 0)
        r = find_stalled(c, k, &a, &job);
    if (r > 0) {
        int taken = take_back(c, k, &job);
        r = taken < 0 ? taken : 1;
    }
    json_decref((json_t *)(uintptr_t)job.data);
    arena_free(&a);
    return r;
}

static void tell_stalled(struct keeping *k)
{
    metric_add(METRIC_JOBS_STALLED, 1);
    log_event(LOG_WARN,
              k->move == QUEUE_RETURNED ? "a job whose worker is gone goes back to its queue"
                                        : "a job whose worker is gone has ended",
              LOG_S("job", k->id));
    queue_made(k->q, k->id, k->move);
    k->u->fresh |= k->u->queues;
}

/* Each in a unit of its own: one whose handler refuses the move stays, and doesn't hold up the others. */
static int take_back_stalled(struct keeping *k)
{
    int first = 0;
    k->after_seq = 0;
    for (int i = 0; i < STALLED_BATCH; i++) {
        k->id[0] = '\0'; /* a unit that doesn't begin blames nobody */
        int r = db_write(k->q->db, stalled_unit, k);
        if (r == 0 || (r < 0 && !k->id[0]))
            return r < 0 ? r : first;
        if (r > 0)
            tell_stalled(k);
        else
            first = first ? first
                          : (log_event(LOG_ERROR, "a job whose worker is gone can't be taken back",
                                       LOG_S("job", k->id), LOG_S("error", strerror(-r))),
                             r);
        k->after_seq = k->seq;
    }
    return first;
}

/* ---- retention */

#define TRIM(state) \
    "DELETE FROM queue_jobs WHERE state = '" state "' AND queue = ?1 AND seq IN (SELECT seq FROM queue_jobs" \
    " WHERE state = '" state "' AND queue = ?1 ORDER BY finished_at DESC, seq DESC LIMIT ?2 OFFSET ?3)"
#define TRIM_OLD(state) \
    "DELETE FROM queue_jobs WHERE state = '" state "' AND queue = ?1 AND seq IN (SELECT seq FROM queue_jobs" \
    " WHERE state = '" state "' AND queue = ?1 AND finished_at < ?2 ORDER BY finished_at LIMIT ?3)"

static int trim_unit(struct db_conn *c, void *arg)
{
    struct keeping *k = arg;
    const char *queue = queue_name_text(k->queue);
    char old[ISO_TIME_LEN];
    int64_t aged = 0;
    int r = read_now(c, k);
    if (r < 0)
        return r;
    clock_format_iso(k->now_ms - (k->failed ? QUEUE_KEEP_FAILED_MS : QUEUE_KEEP_COMPLETED_MS), old);
    r = db_exec(c, k->failed ? TRIM("failed") : TRIM("completed"),
                DB_ARGS(DB_TEXT(queue), DB_INT(TRIM_BATCH),
                        DB_INT(k->failed ? QUEUE_KEEP_FAILED : QUEUE_KEEP_COMPLETED)),
                &k->changed);
    if (r == 0)
        r = db_exec(c, k->failed ? TRIM_OLD("failed") : TRIM_OLD("completed"),
                    DB_ARGS(DB_TEXT(queue), DB_TEXT(old), DB_INT(TRIM_BATCH)), &aged);
    if (aged > k->changed)
        k->changed = aged;
    return r;
}

int embedded_trim(struct queue *q)
{
    struct keeping k = {.q = q};
    int r = 0;
    for (int i = 0; i < 2 * QUEUES && r >= 0; i++) {
        k.queue = (enum queue_name)(i / 2);
        k.failed = i % 2;
        do {
            k.changed = 0;
            r = db_write(q->db, trim_unit, &k);
        } while (r >= 0 && k.changed == TRIM_BATCH);
    }
    return r < 0 ? r : 0;
}

/* ---- */

int embedded_upkeep(struct queue *q, struct queue_upkeep *u)
{
    struct keeping k = {.q = q, .u = u};
    int r = db_read(q->db, peek_unit, &k);
    if (r < 0)
        return r;
    u->fresh = k.fresh & u->queues;
    int64_t due_ms = ms_until(&k, k.due), lease_ms = ms_until(&k, k.lease);
    u->next_ms = due_ms < lease_ms ? due_ms : lease_ms;
    if (due_ms <= 0)
        r = make_due(&k);
    if (r == 0 && lease_ms <= 0)
        r = take_back_stalled(&k);
    if (r == 0 && u->trim)
        r = embedded_trim(q);
    if (u->next_ms > LOOK_AGAIN_MS)
        u->next_ms = LOOK_AGAIN_MS;
    if (u->next_ms < LOOK_SOON_MS)
        u->next_ms = LOOK_SOON_MS;
    return r;
}
