/* SPDX-License-Identifier: MIT */
/* A stream is a log of bytes: `log` holds what is kept, `base` is the stream offset of its first byte. The
 * producer appends, the present reading is a position in it. An event number is found again by its "id:"
 * line, which can't occur inside data (JSON has no raw line ends), so no index has to be kept per event.
 *
 * Locks: the hub's (table, list of ended streams), then a stream's. Callbacks and reader_wake run without the
 * hub's lock; ops callbacks run without any. */
#include "http/events.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/text.h"
#include "base/uuid.h"
#include "http/answer.h"
#include "http/exchange.h"
#include "http/reader.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#define LOG_MAX (8 * 1024 * 1024) /* with what is not read yet: the text, and what eight flows may bring */
#define REPLAY_MAX (1024 * 1024)  /* of what was read */
#define REPLAY_SLACK (256 * 1024) /* trimmed in steps of this size */
#define HIGH_WATER (256 * 1024)
#define LOW_WATER (64 * 1024)
#define ENDED_BYTES_MAX (64 * 1024 * 1024) /* of all streams kept for a replay */
#define ENDED_COUNT_MAX 20000
#define FIRST_READER_MS 5000
#define TICK_MS 250
#define PING ": ping\n" /* no blank line: to some clients that ends an event, an empty one */
#define ID_LINE_SIZE 80

/* One connection's position in a stream. */
struct reading {
    struct event_stream *stream; /* a reference */
    struct reader *reader;       /* borrowed: it outlives the reading */
    uint64_t at;                 /* offset of the next byte */
    int64_t last_sent_ms;
    bool superseded, ping;
};

struct event_stream {
    char id[UUID_SIZE], owner[UUID_SIZE];
    atomic_int refs;
    struct event_hub *hub;
    const struct event_ops *ops;
    void *ctx;
    pthread_mutex_t lock;
    struct buf log;
    uint64_t base;
    int64_t last_number;
    struct reading *reading; /* the present one, or NULL */
    uint64_t sent;           /* where the last reading stands or stood */
    int64_t alone_since_ms;  /* while there is no reading */
    int64_t ended_ms;        /* 0 = running */
    bool was_read, abandoned;
    bool paused;        /* whether the producer should pause now */
    bool told, telling; /* what it was told last; whether a thread is telling it */
    size_t ended_bytes; /* counted in the hub */
    UT_hash_handle hh;
    struct event_stream *prev, *next; /* in the hub's list of ended streams */
};

struct event_hub {
    struct event_hub_options options;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    bool stopping;
    struct event_stream *by_id;
    struct event_stream *ended; /* oldest first */
    size_t ended_bytes, ended_count;
};

/* --- streams ------------------------------------------------------------------------------------------- */

struct event_stream *event_stream_ref(struct event_stream *s)
{
    atomic_fetch_add(&s->refs, 1);
    return s;
}

void event_stream_unref(struct event_stream *s)
{
    if (atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    s->ops->release(s->ctx);
    buf_free(&s->log);
    pthread_mutex_destroy(&s->lock);
    free(s);
    metric_add(METRIC_STREAMS_OPEN, -1);
}

int event_stream_new(struct event_hub *hub, const char *id, const char *owner, const struct event_ops *ops,
                     void *ctx, struct event_stream **ret)
{
    struct event_stream *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    (void)snprintf(s->id, sizeof s->id, "%s", id);
    (void)snprintf(s->owner, sizeof s->owner, "%s", owner);
    s->refs = 2; /* the producer's and the hub's */
    s->hub = hub;
    s->ops = ops;
    s->ctx = ctx;
    s->log = BUF_INIT(LOG_MAX);
    s->alone_since_ms = clock_monotonic_ms();
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_lock(&hub->lock);
    HASH_ADD_STR(hub->by_id, id, s);
    pthread_mutex_unlock(&hub->lock);
    metric_add(METRIC_STREAMS_OPEN, 1);
    *ret = s;
    return 0;
}

/* Drops what was read long ago, up to the border of an event. */
static void trim(struct event_stream *s)
{
    size_t read = (size_t)(s->sent - s->base);
    if (read < REPLAY_MAX + REPLAY_SLACK)
        return;
    const char *end = memmem(s->log.data + read - REPLAY_MAX, REPLAY_MAX, "\n\ndata: ", 8);
    size_t cut = end ? (size_t)(end + 2 - s->log.data) : 0;
    buf_drop(&s->log, cut);
    s->base += cut;
}

/* The end of event n, which occurs nowhere else: JSON has no raw line ends. */
static int id_line(const struct event_stream *s, int64_t n, char *ret)
{
    return snprintf(ret, ID_LINE_SIZE, "\nid: %s:%lld\n\n", s->id, (long long)n);
}

static int append(struct event_stream *s, const char *json, size_t len)
{
    char tail[ID_LINE_SIZE];
    size_t before = s->log.len;
    int n = id_line(s, s->last_number + 1, tail);
    int r = buf_adds(&s->log, "data: ");
    if (r == 0)
        r = buf_add(&s->log, json, len);
    if (r == 0)
        r = buf_add(&s->log, tail, (size_t)n);
    if (r < 0)
        s->log.len = before;
    else
        s->last_number++;
    return r;
}

/* Tells the producer whether to pause. The thread that pushes and the one that sends may both have news at a
 * time: one of them tells until it has told the last, so that no word overtakes another. */
static void tell_pace(struct event_stream *s)
{
    pthread_mutex_lock(&s->lock);
    while (!s->telling && s->told != s->paused) {
        bool paused = s->told = s->paused;
        s->telling = true;
        pthread_mutex_unlock(&s->lock);
        s->ops->pause(s->ctx, paused);
        pthread_mutex_lock(&s->lock);
        s->telling = false;
    }
    pthread_mutex_unlock(&s->lock);
}

int event_stream_push(struct event_stream *s, const char *json, size_t len)
{
    pthread_mutex_lock(&s->lock);
    int r = s->ended_ms ? -EPIPE : append(s, json, len);
    bool pause = r == 0 && !s->paused && s->base + s->log.len - s->sent > HIGH_WATER;
    if (pause)
        s->paused = true;
    if (r == 0 && s->reading)
        reader_wake(s->reading->reader);
    pthread_mutex_unlock(&s->lock);
    if (pause)
        tell_pace(s);
    return r;
}

/* Takes a stream out of the hub; the hub's reference becomes the caller's. Hub locked. */
static void forget(struct event_hub *hub, struct event_stream *s)
{
    HASH_DEL(hub->by_id, s);
    if (s->ended_bytes) {
        DL_DELETE(hub->ended, s);
        hub->ended_bytes -= s->ended_bytes;
        hub->ended_count--;
    }
}

/* Makes room among the streams that are only kept for a replay, oldest first. Returns a list to unref. */
static struct event_stream *evict(struct event_hub *hub)
{
    struct event_stream *out = NULL;
    while (hub->ended_bytes > ENDED_BYTES_MAX || hub->ended_count > ENDED_COUNT_MAX) {
        struct event_stream *s = hub->ended;
        forget(hub, s);
        LL_PREPEND(out, s);
    }
    return out;
}

void event_stream_end(struct event_stream *s)
{
    struct event_hub *hub = s->hub;
    pthread_mutex_lock(&hub->lock);
    pthread_mutex_lock(&s->lock);
    s->ended_ms = clock_monotonic_ms();
    char *fitted = s->log.len ? realloc(s->log.data, s->log.len + 1) : NULL;
    if (fitted) {
        s->log.data = fitted;
        s->log.cap = s->log.len + 1;
    }
    s->ended_bytes = s->log.cap + sizeof *s;
    DL_APPEND(hub->ended, s);
    hub->ended_bytes += s->ended_bytes;
    hub->ended_count++;
    if (s->reading)
        reader_wake(s->reading->reader);
    pthread_mutex_unlock(&s->lock);
    struct event_stream *old = evict(hub), *next;
    pthread_mutex_unlock(&hub->lock);
    for (; old; old = next) {
        next = old->next;
        event_stream_unref(old);
    }
}

struct event_stream *event_stream_find(struct event_hub *hub, const char *kind, const char *id,
                                       const char *owner)
{
    struct event_stream *s;
    pthread_mutex_lock(&hub->lock);
    HASH_FIND_STR(hub->by_id, id, s);
    if (s)
        s = strcmp(s->owner, owner) == 0 && strcmp(s->ops->kind, kind) == 0 ? event_stream_ref(s) : NULL;
    pthread_mutex_unlock(&hub->lock);
    return s;
}

void *event_stream_ctx(struct event_stream *s)
{
    return s->ctx;
}

bool event_stream_ended(struct event_stream *s)
{
    pthread_mutex_lock(&s->lock);
    bool ended = s->ended_ms != 0;
    pthread_mutex_unlock(&s->lock);
    return ended;
}

int event_id_parse(const char *text, char *ret_id, int64_t *ret_n)
{
    const char *colon = strrchr(text, ':');
    char id[UUID_SIZE] = "";
    if (colon) {
        if (colon - text != UUID_LEN)
            return -EINVAL;
        memcpy(id, text, UUID_LEN);
        id[UUID_LEN] = '\0';
        if (!uuid_valid(id))
            return -EINVAL;
        text = colon + 1;
    }
    if (parse_int(text, 0, INT64_MAX, ret_n) < 0)
        return -EINVAL;
    if (ret_id)
        memcpy(ret_id, id, sizeof id);
    return 0;
}

/* --- readings ------------------------------------------------------------------------------------------ */

static ssize_t copy_log(struct reading *g, char *to, size_t max)
{
    struct event_stream *s = g->stream;
    size_t from = (size_t)(g->at - s->base), n = s->log.len - from;
    if (n > max)
        n = max;
    memcpy(to, s->log.data + from, n);
    g->at += n;
    s->sent = g->at;
    g->last_sent_ms = clock_monotonic_ms();
    g->ping = false;
    trim(s);
    return (ssize_t)n;
}

static ssize_t next_bytes(struct reading *g, char *to, size_t max)
{
    struct event_stream *s = g->stream;
    if (g->superseded)
        return -1;
    if (g->at < s->base + s->log.len)
        return copy_log(g, to, max);
    if (s->ended_ms)
        return -1;
    if (!g->ping || max < sizeof PING)
        return 0;
    g->ping = false;
    g->last_sent_ms = clock_monotonic_ms();
    memcpy(to, PING, sizeof PING - 1);
    return sizeof PING - 1;
}

static ssize_t reading_next(void *ctx, char *to, size_t max)
{
    struct reading *g = ctx;
    struct event_stream *s = g->stream;
    pthread_mutex_lock(&s->lock);
    ssize_t n = next_bytes(g, to, max);
    bool go_on = s->paused && s->base + s->log.len - s->sent < LOW_WATER;
    if (go_on)
        s->paused = false;
    pthread_mutex_unlock(&s->lock);
    if (go_on)
        tell_pace(s);
    return n;
}

/* Since when nobody reads; 0 = somebody does. A reader that holds up the producer and has taken nothing for
 * as long as a heartbeat is nobody: else a model would wait for it for ever. Stream locked. */
static int64_t unread_since(const struct event_stream *s)
{
    if (s->reading)
        return s->paused ? s->reading->last_sent_ms + s->hub->options.heartbeat_ms : 0;
    return s->alone_since_ms;
}

/* Whether the stream has now been without a reader for too long; true once. The first reader may take its
 * time also where there is no grace: it comes with the answer of the handler that made the stream. Stream
 * locked. */
static bool abandon(struct event_stream *s)
{
    int64_t grace = s->hub->options.grace_ms, since = unread_since(s);
    if (s->ended_ms || s->abandoned || !since)
        return false;
    if (!s->was_read && grace < FIRST_READER_MS)
        grace = FIRST_READER_MS;
    s->abandoned = clock_monotonic_ms() - since >= grace;
    return s->abandoned;
}

static void reading_stop(void *ctx)
{
    struct reading *g = ctx;
    struct event_stream *s = g->stream;
    bool over = false;
    pthread_mutex_lock(&s->lock);
    if (s->reading == g) {
        s->reading = NULL;
        s->alone_since_ms = clock_monotonic_ms();
        over = s->hub->options.grace_ms == 0 && abandon(s);
    }
    pthread_mutex_unlock(&s->lock);
    if (over)
        s->ops->abandoned(s->ctx);
    event_stream_unref(s);
    free(g);
}

static const struct reader_ops reading_ops = {reading_next, reading_stop};

/* The offset behind event number `after`, or -1 if what follows is no longer (or never was) there. Stream
 * locked. */
static int64_t offset_after(struct event_stream *s, int64_t after)
{
    char line[ID_LINE_SIZE];
    if (after > s->last_number)
        return -1;
    if (after == s->last_number)
        return (int64_t)(s->base + s->log.len);
    if (after == 0)
        return s->base == 0 ? 0 : -1;
    int n = id_line(s, after, line);
    const char *at = memmem(s->log.data, s->log.len, line, (size_t)n);
    return at ? (int64_t)(s->base + (uint64_t)(at - s->log.data)) + n : -1;
}

/* Makes g the stream's reading; the one before is ended. False if the position is gone. */
static bool attach(struct event_stream *s, struct reading *g, int64_t after)
{
    pthread_mutex_lock(&s->lock);
    int64_t at = offset_after(s, after);
    if (at >= 0) {
        g->at = s->sent = (uint64_t)at;
        if (s->reading) {
            s->reading->superseded = true;
            reader_wake(s->reading->reader);
        }
        s->reading = g;
        s->was_read = true;
    }
    pthread_mutex_unlock(&s->lock);
    return at >= 0;
}

bool request_wants_events(const struct request *rq)
{
    const char *accept = request_header(rq, "Accept");
    return accept && strcasestr(accept, EVENTS_TYPE) != NULL;
}

reply reply_events(struct request *rq, struct event_stream *s, int64_t after)
{
    struct reading *g = calloc(1, sizeof *g);
    struct reader *reader = g ? reader_new(&reading_ops, g) : NULL;
    if (!reader) {
        free(g);
        return reply_error(rq, ERR_OVERLOADED, NULL);
    }
    *g = (struct reading){
        .stream = event_stream_ref(s), .reader = reader, .last_sent_ms = clock_monotonic_ms()};
    if (!attach(s, g, after)) {
        reader_drop(reader);
        reader_unref(reader);
        return reply_error(rq, ERR_NOT_FOUND, "There is no such stream to resume");
    }
    reply_header(rq, "Content-Type", EVENTS_TYPE);
    reply_header(rq, "Cache-Control", "no-cache");
    reply_header(rq, "X-Accel-Buffering", "no");
    return reply_stream(rq, 200, reader, -1);
}

/* --- the hub ------------------------------------------------------------------------------------------- */

/* What one stream needs at this tick. Hub locked; returns true if it was abandoned (with a reference
 * taken). */
static bool tick_stream(struct event_hub *hub, struct event_stream *s, int64_t now)
{
    pthread_mutex_lock(&s->lock);
    struct reading *g = s->reading;
    if (g && !g->ping && now - g->last_sent_ms >= hub->options.heartbeat_ms) {
        g->ping = true;
        reader_wake(g->reader);
    }
    bool over = abandon(s);
    if (over)
        (void)event_stream_ref(s);
    pthread_mutex_unlock(&s->lock);
    return over;
}

static bool expired(struct event_hub *hub, struct event_stream *s, int64_t now)
{
    pthread_mutex_lock(&s->lock);
    bool old = !s->reading && s->ended_ms && now - s->ended_ms >= hub->options.keep_ms;
    pthread_mutex_unlock(&s->lock);
    return old;
}

#define AT_ONCE 64

/* Collects at most AT_ONCE streams to act on outside the lock; true if there may be more. */
static bool tick(struct event_hub *hub)
{
    struct event_stream *s, *tmp, *gone[AT_ONCE], *old[AT_ONCE];
    size_t n_gone = 0, n_old = 0;
    int64_t now = clock_monotonic_ms();
    pthread_mutex_lock(&hub->lock);
    HASH_ITER (hh, hub->by_id, s, tmp) {
        if (n_gone == AT_ONCE || n_old == AT_ONCE)
            break;
        if (tick_stream(hub, s, now))
            gone[n_gone++] = s;
        if (expired(hub, s, now)) {
            forget(hub, s);
            old[n_old++] = s;
        }
    }
    pthread_mutex_unlock(&hub->lock);
    for (size_t i = 0; i < n_gone; i++) {
        gone[i]->ops->abandoned(gone[i]->ctx);
        event_stream_unref(gone[i]);
    }
    for (size_t i = 0; i < n_old; i++)
        event_stream_unref(old[i]);
    return n_gone == AT_ONCE || n_old == AT_ONCE;
}

static void *mind(void *arg)
{
    struct event_hub *hub = arg;
    pthread_mutex_lock(&hub->lock);
    while (!hub->stopping) {
        struct timespec until = clock_deadline(TICK_MS);
        (void)pthread_cond_timedwait(&hub->changed, &hub->lock, &until);
        pthread_mutex_unlock(&hub->lock);
        while (tick(hub))
            ;
        pthread_mutex_lock(&hub->lock);
    }
    pthread_mutex_unlock(&hub->lock);
    return NULL;
}

static void free_hub(struct event_hub *hub)
{
    pthread_cond_destroy(&hub->changed);
    pthread_mutex_destroy(&hub->lock);
    free(hub);
}

int event_hub_start(const struct event_hub_options *options, struct event_hub **ret)
{
    struct event_hub *hub = calloc(1, sizeof *hub);
    if (!hub)
        return -ENOMEM;
    hub->options = *options;
    pthread_mutex_init(&hub->lock, NULL);
    cond_init(&hub->changed);
    int r = pthread_create(&hub->thread, NULL, mind, hub);
    if (r != 0) {
        free_hub(hub);
        return -r;
    }
    (void)pthread_setname_np(hub->thread, "genie-events");
    *ret = hub;
    return 0;
}

void event_hub_stop(struct event_hub *hub)
{
    struct event_stream *s, *tmp;
    pthread_mutex_lock(&hub->lock);
    hub->stopping = true;
    pthread_cond_signal(&hub->changed);
    pthread_mutex_unlock(&hub->lock);
    pthread_join(hub->thread, NULL);
    HASH_ITER (hh, hub->by_id, s, tmp) {
        forget(hub, s);
        event_stream_unref(s);
    }
    free_hub(hub);
}
