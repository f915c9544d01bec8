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
#define COMPARE_EVERY_MS (INT64_C(60) * 1000)
#define EVENTS_A_READ 200
#define STREAM_ID_SIZE 48

struct reader {
    struct bullmq *b;
    struct redis_conn *conn;
    char at[QUEUES][STREAM_ID_SIZE];
};

struct event {
    const char *id, *name, *job, *value;
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

static bool id_fits(const char *id)
{
    return id && strlen(id) < STREAM_ID_SIZE && str_only(id, "0123456789-");
}

/* Where a queue's stream ends now. */
static int read_end(struct reader *r, enum queue_name queue)
{
    _cleanup_reply_ redisReply *reply = NULL;
    char key[BULL_KEY_SIZE];
    struct redis_args args = {0};
    bull_key(queue, "events", key);
    redis_arg(&args, "XREVRANGE");
    redis_arg(&args, key);
    redis_arg(&args, "+");
    redis_arg(&args, "-");
    redis_arg(&args, "COUNT");
    redis_arg(&args, "1");
    int result = redis_conn_call(r->conn, REDIS_COMMAND_MS, &args, &reply);
    if (result < 0)
        return result;
    const char *id = reply->type == REDIS_REPLY_ARRAY && reply->elements > 0
                         ? bull_text(reply->element[0], 0, NULL)
                         : NULL;
    (void)snprintf(r->at[queue], STREAM_ID_SIZE, "%s", id_fits(id) ? id : "0-0");
    return 0;
}

static int connect_reader(struct reader *r)
{
    return r->conn ? 0 : redis_connect(r->b->redis, &r->conn);
}

static void drop_reader(struct reader *r)
{
    if (r->conn)
        redis_disconnect(r->conn);
    r->conn = NULL;
}

/* Waits at most block_ms for events of any queue, after those at r->at. */
static int read_events(struct reader *r, int block_ms, redisReply **ret)
{
    char keys[QUEUES][BULL_KEY_SIZE];
    struct redis_args args = {0};
    redis_arg(&args, "XREAD");
    redis_arg(&args, "COUNT");
    redis_arg_int(&args, EVENTS_A_READ);
    redis_arg(&args, "BLOCK");
    redis_arg_int(&args, block_ms);
    redis_arg(&args, "STREAMS");
    for (int i = 0; i < QUEUES; i++) {
        bull_key((enum queue_name)i, "events", keys[i]);
        redis_arg(&args, keys[i]);
    }
    for (int i = 0; i < QUEUES; i++)
        redis_arg(&args, r->at[i]);
    return redis_conn_call(r->conn, block_ms + REDIS_COMMAND_MS, &args, ret);
}

/* The queue of a stream's key, or -1. */
static int queue_of(const char *key)
{
    char known[BULL_KEY_SIZE];
    for (int i = 0; i < QUEUES; i++) {
        bull_key((enum queue_name)i, "events", known);
        if (str_equal(known, key))
            return i;
    }
    return -1;
}

static struct event event_of(const redisReply *entry)
{
    struct event e = {.id = bull_text(entry, 0, NULL)};
    const redisReply *fields =
        entry->type == REDIS_REPLY_ARRAY && entry->elements > 1 ? entry->element[1] : NULL;
    for (size_t i = 0; fields && fields->type == REDIS_REPLY_ARRAY && i + 1 < fields->elements; i += 2) {
        const char *name = bull_text(fields, i, NULL), *value = bull_text(fields, i + 1, NULL);
        if (str_equal(name, "event"))
            e.name = value;
        else if (str_equal(name, "jobId"))
            e.job = value;
        else if (str_equal(name, "returnvalue") || str_equal(name, "failedReason"))
            e.value = value;
    }
    return e;
}

typedef int (*stream_fn)(void *ctx, enum queue_name queue, const redisReply *entries);

/* Calls fn for each queue of which there are events. */
static int for_streams(const redisReply *reply, stream_fn fn, void *ctx)
{
    int r = 0;
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements && r == 0; i++) {
        const redisReply *stream = reply->element[i];
        const char *key = bull_text(stream, 0, NULL);
        int queue = key ? queue_of(key) : -1;
        if (queue >= 0 && stream->elements > 1 && stream->element[1]->type == REDIS_REPLY_ARRAY)
            r = fn(ctx, (enum queue_name)queue, stream->element[1]);
    }
    return r;
}

static void move_on(struct reader *r, enum queue_name queue, const struct event *e)
{
    if (id_fits(e->id))
        (void)snprintf(r->at[queue], STREAM_ID_SIZE, "%s", e->id);
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

static int hear(void *ctx, enum queue_name queue, const redisReply *entries)
{
    struct reader *r = ctx;
    bool work = false;
    for (size_t i = 0; i < entries->elements; i++) {
        struct event e = event_of(entries->element[i]);
        move_on(r, queue, &e);
        work |= may_bring_work(e.name);
    }
    atomic_fetch_add(&r->b->version, 1);
    if (work)
        queue_wake(r->b->q, 1U << queue);
    return 0;
}

static int listen_once(struct reader *r)
{
    _cleanup_reply_ redisReply *reply = NULL;
    bool fresh = !r->conn;
    int result = connect_reader(r);
    for (int i = 0; fresh && result == 0 && i < QUEUES; i++)
        result = read_end(r, (enum queue_name)i);
    if (fresh && result == 0) { /* whatever happened while nobody listened */
        atomic_fetch_add(&r->b->version, 1);
        queue_wake(r->b->q, (1U << QUEUES) - 1);
    }
    if (result == 0)
        result = read_events(r, BLOCK_MS, &reply);
    return result == 0 ? for_streams(reply, hear, r) : result;
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
    bool missing; /* the comparison found that jobs are missing, and events haven't been read to the end since
                   */
};

static int load_unit(struct db_conn *c, void *arg)
{
    struct follow *f = arg;
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c, "SELECT queue, last_id FROM queue_streams", DB_NO_ARGS, &rows);
    for (int i = 0; i < QUEUES; i++)
        (void)snprintf(f->reader.at[i], STREAM_ID_SIZE, "0-0");
    while (r == 0 && (r = db_next(rows)) > 0) {
        enum queue_name queue;
        const char *id = db_text(rows, 1);
        r = 0;
        if (queue_name_parse(db_text(rows, 0), &queue) == 0 && id_fits(id))
            (void)snprintf(f->reader.at[queue], STREAM_ID_SIZE, "%s", id);
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
static void take_hint(struct bull_hint *hints, size_t *n, const struct event *e)
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

/* A change that its handler refuses is tried again by the comparison; Redis or the store not answering isn't.
 */
static bool must_wait(int r)
{
    return r == -ECONNREFUSED || r == -EIO || r == -ETIMEDOUT || r == -EAGAIN || r == -ENOSPC;
}

static int follow_stream(void *ctx, enum queue_name queue, const redisReply *entries)
{
    struct follow *f = ctx;
    struct bull_hint hints[BULL_LOOK_MOST];
    size_t n = 0;
    struct event e = {0};
    for (size_t i = 0; i < entries->elements; i++) {
        e = event_of(entries->element[i]);
        if (e.job && e.name)
            take_hint(hints, &n, &e);
        if (n < BULL_LOOK_MOST && i + 1 < entries->elements)
            continue;
        int r = bull_sync(f->reader.b, queue, hints, n);
        if (must_wait(r))
            return r;
        n = 0;
        move_on(&f->reader, queue, &e);
    }
    return 0;
}

static int compare_when_due(struct follow *f)
{
    int64_t now_ms = clock_monotonic_ms();
    if (f->compared_ms && now_ms - f->compared_ms < COMPARE_EVERY_MS)
        return 0;
    int r = bull_sync_all(f->reader.b, &f->missing);
    if (must_wait(r))
        return r;
    f->compared_ms = now_ms;
    return bull_sweep_outbox(f->reader.b);
}

static size_t events_in(const redisReply *reply)
{
    size_t n = 0;
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++) {
        const redisReply *stream = reply->element[i];
        if (stream->type == REDIS_REPLY_ARRAY && stream->elements > 1)
            n += stream->element[1]->elements;
    }
    return n;
}

/* After events were read: whoever was removed by somebody has ended by now, if these were all there are. */
static int restore_when_sure(struct follow *f, size_t events)
{
    if (!f->missing || events >= EVENTS_A_READ)
        return 0;
    int r = bull_restore_missing(f->reader.b);
    f->missing = must_wait(r);
    return f->missing ? r : 0;
}

static int follow_once(struct follow *f)
{
    _cleanup_reply_ redisReply *reply = NULL;
    struct bullmq *b = f->reader.b;
    bool fresh = !f->reader.conn;
    int r = connect_reader(&f->reader);
    if (r == 0 && fresh) {
        f->compared_ms = 0;
        r = db_read(b->q->db, load_unit, f);
    }
    if (r == 0)
        r = bull_relay(b);
    if (r >= 0)
        r = compare_when_due(f);
    if (r == 0)
        r = read_events(&f->reader, BLOCK_MS, &reply);
    if (r == 0 && reply->type != REDIS_REPLY_NIL) {
        r = for_streams(reply, follow_stream, f);
        int saved = db_write(b->q->db, save_unit, f);
        r = r < 0 ? r : saved;
    }
    return r < 0 ? r : restore_when_sure(f, events_in(reply));
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
        if (leads && follow_once(&f) >= 0)
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
