/* SPDX-License-Identifier: MIT */
/* Two threads, both on connections of their own that wait for Redis' events.
 *
 * The listener of each process hears what happens now: its worker looks for jobs, and who watches one looks
 * at it. It takes nothing away, so BullMQ's workers find their markers as they left them.
 *
 * The follower works while it leads (a lease in the store). It reads the events on from where the last leader
 * came to (queue_streams), has the records of the jobs that they name follow, carries what was left in the
 * outbox, and compares all that hasn't ended when it begins, and once a minute: whatever events were missed,
 * trimmed or lost with Redis' memory. */
#include "queue/bullmq.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "schedule/leader.h"

#include <errno.h>
#include <string.h>

#define LEASE_NAME "queue-events"
#define BLOCK_MS 1000
#define PAUSE_MS 500
#define CATCH_UP_ROUNDS 100
#define ALL_QUEUES ((1U << QUEUES) - 1)
#define COMPARE_EVERY_MS (INT64_C(60) * 1000)

struct reader {
    struct bullmq *b;
    struct redis_conn *conn;
    char at[QUEUES][BULL_STREAM_ID_SIZE];
};

/* --- reading events ------------------------------------------------------------------------------------- */

static void pause_for(struct bullmq *b, int64_t ms)
{
    int64_t until = clock_monotonic_ms() + ms;
    while (!cancel_raised(&b->closing) && clock_monotonic_ms() < until) {
        struct timespec t = {.tv_nsec = 50 * 1000000L};
        (void)nanosleep(&t, NULL);
    }
}

static void drop_reader(struct reader *r)
{
    if (r->conn)
        redis_disconnect(r->conn);
    r->conn = NULL;
}

/* --- the listener --------------------------------------------------------------------------------------- */

static bool may_bring_work(const char *name)
{
    static const char *const names[] = {"waiting", "delayed", "resumed", "completed", "failed"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_equal(names[i], name))
            return true;
    return false;
}

static int hear(struct reader *r, enum queue_name queue)
{
    struct bull_events events;
    bool work = false;
    int result = bull_events_read(r->b, queue, r->at[queue], 0, &events);
    for (size_t i = 0; result == 0 && i < events.n; i++)
        work |= may_bring_work(bull_event_at(&events, i).name);
    if (result == 0)
        memcpy(r->at[queue], events.at, sizeof r->at[queue]);
    bull_events_free(&events);
    if (result == 0)
        atomic_fetch_add(&r->b->version, 1);
    if (work)
        queue_wake(r->b->q, 1U << queue);
    return result;
}

/* From now on; whatever happened while nobody listened may have been anything. */
static int begin_listening(struct reader *r)
{
    int result = redis_connect(r->b->redis, &r->conn);
    for (int i = 0; result == 0 && i < QUEUES; i++) {
        struct bull_events events;
        result = bull_events_read(r->b, (enum queue_name)i, "$", 0, &events);
        if (result == 0)
            memcpy(r->at[i], events.at, sizeof r->at[i]);
        bull_events_free(&events);
    }
    if (result == 0) {
        atomic_fetch_add(&r->b->version, 1);
        queue_wake(r->b->q, ALL_QUEUES);
    }
    return result;
}

static int listen_once(struct reader *r)
{
    unsigned queues = 0;
    int result = r->conn ? 0 : begin_listening(r);
    if (result == 0)
        result = bull_events_wait(r->conn, r->at, BLOCK_MS, &queues);
    for (int i = 0; result == 0 && i < QUEUES; i++)
        if (queues & 1U << i)
            result = hear(r, (enum queue_name)i);
    return result == 0 && redis_conn_lost(r->conn) ? -EIO : result;
}

static void *listen_on(void *arg)
{
    struct bullmq *b = arg;
    struct reader r = {.b = b};
    while (!cancel_raised(&b->closing)) {
        if (listen_once(&r) == 0)
            continue;
        drop_reader(&r);
        pause_for(b, PAUSE_MS);
    }
    drop_reader(&r);
    return NULL;
}

/* --- the follower --------------------------------------------------------------------------------------- */

struct follow {
    struct reader reader;
    struct leader leader;
    int64_t compared_ms;
    bool missing; /* the comparison found that jobs are missing */
    bool failing; /* and the log says so */
};

static int load_unit(struct db_conn *c, void *arg)
{
    struct follow *f = arg;
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c, "SELECT queue, last_id FROM queue_streams", DB_NO_ARGS, &rows);
    for (int i = 0; i < QUEUES; i++)
        bull_stream_id("0-0", f->reader.at[i]);
    while (r == 0 && (r = db_next(rows)) > 0) {
        enum queue_name queue;
        r = 0;
        if (queue_name_parse(db_text(rows, 0), &queue) == 0)
            bull_stream_id(db_text(rows, 1), f->reader.at[queue]);
    }
    return r < 0 ? r : 0;
}

static int save_unit(struct db_conn *c, void *arg)
{
    const struct follow *f = arg;
    int64_t now_ms;
    int r = leader_confirm(c, &f->leader, &now_ms);
    if (r <= 0)
        return r;
    for (int i = 0; i < QUEUES && r >= 0; i++)
        r = db_exec(c,
                    "INSERT INTO queue_streams (queue, last_id) VALUES (?1, ?2)"
                    " ON CONFLICT (queue) DO UPDATE SET last_id = excluded.last_id",
                    DB_ARGS(DB_TEXT(queue_name_text((enum queue_name)i)), DB_TEXT(f->reader.at[i])), NULL);
    return r < 0 ? r : 0;
}

static const char *end_of(const char *name)
{
    static const char *const names[] = {"completed", "failed", "removed"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_equal(names[i], name))
            return names[i];
    return NULL;
}

/* A job's latest event tells how it ended. */
static void take_hint(struct bull_hint *hints, size_t *n, const struct bull_event *e)
{
    size_t at = 0;
    while (at < *n && !str_equal(hints[at].id, e->job))
        at++;
    if (at == *n)
        hints[(*n)++] = (struct bull_hint){.id = e->job};
    const char *end = end_of(e->name);
    /* What was removed after its end did end. */
    if (end && !(str_equal(end, "removed") && hints[at].end))
        hints[at].end = end, hints[at].value = e->value;
}

/* In portions that one look can take. */
static int follow_events(struct follow *f, enum queue_name queue, const struct bull_events *events)
{
    struct bull_hint hints[BULL_LOOK_MOST];
    size_t n = 0;
    for (size_t i = 0; i < events->n; i++) {
        struct bull_event e = bull_event_at(events, i);
        if (e.job && e.name)
            take_hint(hints, &n, &e);
        if (n < BULL_LOOK_MOST && i + 1 < events->n)
            continue;
        int r = bull_sync(f->reader.b, queue, hints, n);
        if (bull_must_wait(r))
            return r;
        n = 0;
    }
    return 0;
}

/* What was followed in part is followed once more, which changes nothing. */
static int follow_queue(struct follow *f, enum queue_name queue, bool *ret_all)
{
    struct bull_events events;
    int r = bull_events_read(f->reader.b, queue, f->reader.at[queue], BULL_VALUE_MOST, &events);
    if (r == 0)
        r = follow_events(f, queue, &events);
    if (r == 0)
        memcpy(f->reader.at[queue], events.at, sizeof events.at);
    *ret_all &= r == 0 && events.all;
    bull_events_free(&events);
    return r;
}

/* *ret_all: there are no more. */
static int follow_queues(struct follow *f, unsigned queues, bool *ret_all)
{
    int r = 0;
    *ret_all = true;
    for (int i = 0; r == 0 && i < QUEUES; i++)
        if (queues & 1U << i)
            r = follow_queue(f, (enum queue_name)i, ret_all);
    int saved = queues ? db_write(f->reader.b->q->db, save_unit, f) : 0;
    return r < 0 ? r : saved < 0 ? saved : 0;
}

static int compare_when_due(struct follow *f)
{
    int64_t now_ms = clock_monotonic_ms();
    if (f->compared_ms && now_ms - f->compared_ms < COMPARE_EVERY_MS)
        return 0;
    int r = bull_sync_all(f->reader.b, &f->missing);
    if (bull_must_wait(r))
        return r;
    f->compared_ms = now_ms;
    return bull_sweep_outbox(f->reader.b);
}

/* All that has happened until now. */
static int catch_up(void *ctx)
{
    struct follow *f = ctx;
    bool all = false;
    int r = 0;
    for (int i = 0; i < CATCH_UP_ROUNDS && r == 0 && !all; i++)
        r = follow_queues(f, ALL_QUEUES, &all);
    return r == 0 && !all ? -EAGAIN : r;
}

static int restore(struct follow *f)
{
    if (!f->missing)
        return 0;
    int r = bull_restore_missing(f->reader.b, catch_up, f);
    f->missing = bull_must_wait(r);
    return f->missing ? r : 0;
}

static int begin_following(struct follow *f)
{
    f->compared_ms = 0;
    int r = redis_connect(f->reader.b->redis, &f->reader.conn);
    return r < 0 ? r : db_read(f->reader.b->q->db, load_unit, f);
}

/* At first what there is already is read: what is too large, or too slow, to come by the waiting command
 * isn't waited for twice. */
static int follow_once(struct follow *f)
{
    bool fresh = !f->reader.conn, all = false;
    unsigned queues = fresh ? ALL_QUEUES : 0;
    int r = fresh ? begin_following(f) : 0;
    if (r == 0)
        r = bull_relay(f->reader.b);
    if (r >= 0)
        r = compare_when_due(f);
    if (r == 0 && !fresh)
        r = bull_events_wait(f->reader.conn, f->reader.at, BLOCK_MS, &queues);
    if (r == 0)
        r = follow_queues(f, queues, &all);
    if (r == 0)
        r = restore(f);
    return r == 0 && redis_conn_lost(f->reader.conn) ? -EIO : r;
}

/* That Redis can't be reached is said by its client. */
static void note_following(struct follow *f, int r)
{
    if (r < 0 && !f->failing && r != -ECONNREFUSED)
        log_event(LOG_WARN, "the records of jobs can't follow redis now; trying again",
                  LOG_S("error", strerror(-r)));
    f->failing = r < 0;
}

/* Asks for the lease, renewing it in good time. */
static bool lead(struct follow *f, int64_t *asked_ms)
{
    int64_t now_ms = clock_monotonic_ms();
    if (*asked_ms && now_ms - *asked_ms < f->leader.lease_ms / 4)
        return leader_holds(&f->leader);
    *asked_ms = now_ms;
    int r = leader_holds(&f->leader) ? 1 : leader_free(&f->leader);
    if (r > 0)
        r = leader_take(&f->leader);
    return r > 0 || leader_holds(&f->leader);
}

static void *follow_on(void *arg)
{
    struct bullmq *b = arg;
    struct follow f = {.reader = {.b = b}};
    int64_t asked_ms = 0;
    leader_init(&f.leader, b->q->db, LEASE_NAME, b->q->cfg->leader_lease_s * 1000);
    while (!cancel_raised(&b->closing)) {
        bool leads = lead(&f, &asked_ms);
        int r = leads ? follow_once(&f) : 0;
        note_following(&f, r);
        if (leads && r >= 0)
            continue;
        drop_reader(&f.reader); /* what it knows of the streams is read anew */
        pause_for(b, PAUSE_MS);
    }
    drop_reader(&f.reader);
    (void)leader_release(&f.leader);
    return NULL;
}

/* --- */

static int start_thread(pthread_t *t, const char *name, void *(*fn)(void *), void *arg, bool *ret_started)
{
    int r = pthread_create(t, NULL, fn, arg);
    if (r != 0)
        return -r;
    (void)pthread_setname_np(*t, name);
    *ret_started = true;
    return 0;
}

int bull_start(struct queue *q)
{
    struct bullmq *b = bullmq_of(q);
    int r = b->listening ? 0 : start_thread(&b->listener, "genie-bull-hear", listen_on, b, &b->listening);
    if (r == 0 && !b->following)
        r = start_thread(&b->follower, "genie-bull-lead", follow_on, b, &b->following);
    return r;
}

void bull_stop(struct queue *q)
{
    struct bullmq *b = bullmq_of(q);
    cancel_raise(&b->closing);
    if (b->listening)
        pthread_join(b->listener, NULL);
    if (b->following)
        pthread_join(b->follower, NULL);
    b->listening = b->following = false;
    atomic_store(&b->closing.raised, false);
}
