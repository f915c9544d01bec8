/* SPDX-License-Identifier: MIT */
/* The race to get right: the producer adds something between our empty pull and the suspension. `woken` is
 * cleared before each pull, and the suspension happens only if it is still clear under the lock that
 * reader_wake takes. next() runs without that lock, so a producer may wake while holding its own. */
#include "http/reader.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>

#define PLAIN_BLOCK 2048
#define SMALL_PULL 2048

struct reader {
    const struct reader_ops *ops;
    void *ctx;
    struct MHD_Connection *connection;
    pthread_mutex_t lock;
    atomic_int refs;
    bool woken, waiting, gone, stopped;
    bool dirty; /* much of the connection's memory was written since it was given back; puller only */
};

struct reader *reader_new(const struct reader_ops *ops, void *ctx)
{
    struct reader *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->ops = ops;
    r->ctx = ctx;
    r->refs = 1;
    r->dirty = true;
    pthread_mutex_init(&r->lock, NULL);
    return r;
}

struct reader *reader_ref(struct reader *r)
{
    atomic_fetch_add(&r->refs, 1);
    return r;
}

void reader_unref(struct reader *r)
{
    if (atomic_fetch_sub(&r->refs, 1) != 1)
        return;
    pthread_mutex_destroy(&r->lock);
    free(r);
}

static void wake_locked(struct reader *r)
{
    r->woken = true;
    if (!r->waiting)
        return;
    r->waiting = false;
    MHD_resume_connection(r->connection);
}

void reader_wake(struct reader *r)
{
    pthread_mutex_lock(&r->lock);
    wake_locked(r);
    pthread_mutex_unlock(&r->lock);
}

void reader_gone(struct reader *r)
{
    pthread_mutex_lock(&r->lock);
    r->gone = true;
    wake_locked(r);
    pthread_mutex_unlock(&r->lock);
}

void reader_drop(struct reader *r)
{
    pthread_mutex_lock(&r->lock);
    bool stop = !r->stopped;
    r->stopped = true;
    r->waiting = false;
    pthread_mutex_unlock(&r->lock);
    if (stop)
        r->ops->stop(r->ctx);
}

/* True if the connection now sleeps; false if something came in between. */
static bool sleep_unless_woken(struct reader *r)
{
    pthread_mutex_lock(&r->lock);
    bool sleeps = !r->woken;
    if (sleeps) {
        r->waiting = true;
        MHD_suspend_connection(r->connection);
    }
    pthread_mutex_unlock(&r->lock);
    return sleeps;
}

static bool begin_pull(struct reader *r)
{
    pthread_mutex_lock(&r->lock);
    r->woken = false;
    bool gone = r->gone;
    pthread_mutex_unlock(&r->lock);
    return !gone;
}

/* libmicrohttpd lends a pull all that is left of the connection's memory, most of which it has cleared
 * itself. A stream that goes to sleep gives its whole pages back to the system: they read as zeros when next
 * used. */
static void give_back(struct reader *r, char *to, size_t max)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t first = ((uintptr_t)to + page - 1) / page * page, end = ((uintptr_t)to + max) / page * page;
    if (r->dirty && end > first)
        (void)madvise((void *)first, end - first, MADV_DONTNEED);
    r->dirty = false;
}

static ssize_t pull(void *cls, uint64_t pos, char *to, size_t max)
{
    struct reader *r = cls;
    (void)pos;
    for (;;) {
        if (!begin_pull(r))
            return MHD_CONTENT_READER_END_WITH_ERROR;
        ssize_t n = r->ops->next(r->ctx, to, max);
        r->dirty = r->dirty || n > SMALL_PULL;
        if (n > 0)
            return n;
        if (n < 0)
            return MHD_CONTENT_READER_END_OF_STREAM;
        give_back(r, to, max);
        if (sleep_unless_woken(r))
            return 0;
    }
}

static void release(void *cls)
{
    reader_drop(cls);
    reader_unref(cls);
}

struct MHD_Response *reader_response(struct reader *r, struct MHD_Connection *connection, bool plain)
{
    r->connection = connection;
    /* chunks are made in the connection's own memory, and only what goes out plain needs a block here */
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, plain ? PLAIN_BLOCK : 1, pull, r, release);
}
