/* SPDX-License-Identifier: MIT */
#include "http/reader.h"

#include <stdint.h>
#include <sys/mman.h>

#define PLAIN_BLOCK 2048
#define SIZED_BLOCK 16384
#define SMALL_PULL 2048

struct reader {
    struct sleeper sleeper;
    const struct reader_ops *ops;
    void *ctx;
    bool stopped; /* under the sleeper's lock */
    bool dirty;   /* much of the connection's memory was written since it was given back; puller only */
};

static void free_reader(struct sleeper *s)
{
    free(s);
}

struct reader *reader_new(const struct reader_ops *ops, void *ctx)
{
    struct reader *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    sleeper_init(&r->sleeper, free_reader);
    r->ops = ops;
    r->ctx = ctx;
    r->dirty = true;
    return r;
}

struct reader *reader_ref(struct reader *r)
{
    (void)sleeper_ref(&r->sleeper);
    return r;
}

void reader_unref(struct reader *r)
{
    sleeper_unref(&r->sleeper);
}

void reader_wake(struct reader *r)
{
    sleeper_wake(&r->sleeper);
}

struct sleeper *reader_sleeper(struct reader *r)
{
    return &r->sleeper;
}

void reader_drop(struct reader *r)
{
    pthread_mutex_lock(&r->sleeper.lock);
    bool stop = !r->stopped;
    r->stopped = true;
    r->sleeper.waiting = false;
    pthread_mutex_unlock(&r->sleeper.lock);
    if (stop)
        r->ops->stop(r->ctx);
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
        if (!sleeper_look(&r->sleeper))
            return MHD_CONTENT_READER_END_WITH_ERROR;
        ssize_t n = r->ops->next(r->ctx, to, max);
        r->dirty = r->dirty || n > SMALL_PULL;
        if (n > 0)
            return n;
        if (n < 0)
            return n == -1 ? MHD_CONTENT_READER_END_OF_STREAM : MHD_CONTENT_READER_END_WITH_ERROR;
        give_back(r, to, max);
        if (sleeper_sleep(&r->sleeper))
            return 0;
    }
}

static void release(void *cls)
{
    reader_drop(cls);
    reader_unref(cls);
}

struct MHD_Response *reader_response(struct reader *r, struct MHD_Connection *connection, uint64_t length,
                                     bool plain)
{
    r->sleeper.connection = connection;
    /* chunks are made in the connection's own memory, and only what goes out as it is needs a block here */
    size_t block = length != MHD_SIZE_UNKNOWN ? SIZED_BLOCK : plain ? PLAIN_BLOCK : 1;
    return MHD_create_response_from_callback(length, block, pull, r, release);
}
