/* SPDX-License-Identifier: MIT */
/* A watch is in the list until its job has ended or its client is gone; then the thread takes it out, and it
 * is freed with the last reference to its stream. The queue's and the stream's callbacks only mark it, under
 * the lock, which is held for a few instructions. Whoever was served goes to the end of the list, so all have
 * their turn, however often some change; one that can't be read now waits by itself. */
#include "api/job_watch.h"

#include "api/job_view.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "base/uuid.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <utlist.h>

#define LOOK_ARENA_MAX ((size_t)16 * 1024 * 1024)
#define EVENT_MAX ((size_t)4 * 1024 * 1024) /* a result, and lines of the log */
#define RETRY_MS 1000                       /* where the store could not be read */

struct watch {
    struct job_watches *all;
    struct event_stream *stream; /* a reference, the producer's */
    struct queue_watch *queue;
    char id[QUEUE_ID_MAX + 1];
    char user_id[UUID_SIZE]; /* who watches; an administrator may watch everybody's */
    char *last;              /* what was told last */
    int64_t again_at_ms;     /* of one that couldn't be read; 0 = could */
    bool changed, paused, gone;
    struct watch *prev, *next;
};

struct job_watches {
    const struct app *app;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t change;
    struct watch *list;
    size_t n;
    bool stopping;
};

/* ---- marks, from any thread */

static void mark(struct watch *w, bool *flag, bool value)
{
    pthread_mutex_lock(&w->all->lock);
    *flag = value;
    pthread_cond_signal(&w->all->change);
    pthread_mutex_unlock(&w->all->lock);
}

static void on_change(void *ctx)
{
    struct watch *w = ctx;
    mark(w, &w->changed, true);
}

static void on_pause(void *ctx, bool paused)
{
    struct watch *w = ctx;
    mark(w, &w->paused, paused);
}

static void on_abandoned(void *ctx)
{
    struct watch *w = ctx;
    mark(w, &w->gone, true);
}

static void on_release(void *ctx)
{
    struct watch *w = ctx;
    free(w->last);
    free(w);
}

static const struct event_ops ops = {"job", on_pause, on_abandoned, on_release};

/* ---- the thread */

static int push(struct watch *w, const json_t *job)
{
    _cleanup_buf_ struct buf text = BUF_INIT(EVENT_MAX);
    int r = json_write(&text, job);
    if (r < 0 || (w->last && str_equal(w->last, buf_str(&text))))
        return r;
    r = event_stream_push(w->stream, text.data, text.len);
    if (r == 0) {
        free(w->last);
        w->last = buf_take(&text, NULL);
    }
    return r;
}

/* Tells how the job is now: 1 where that was the last time, 0, or negative errno. */
static int tell(struct watch *w, struct arena *a)
{
    struct queue_info info;
    struct media_whose whose = {.any = true, .id = w->id};
    _cleanup_json_ json_t *job = NULL;
    int r = job_find(w->all->app, &whose, a, &info);
    if (r < 0)
        return r == -ENOENT ? 1 : r;
    r = job_show(w->all->app, &info, a, &job);
    if (r == 0)
        r = push(w, job);
    return r < 0 ? r : job_is_over(&info);
}

/* Takes it out, with its end told; w is not touched any more. */
static void end(struct watch *w)
{
    struct job_watches *all = w->all;
    free(w->last); /* the stream stays for a while, and may be one of many */
    w->last = NULL;
    if (w->queue)
        queue_unwatch(all->app->queue, w->queue);
    pthread_mutex_lock(&all->lock);
    DL_DELETE(all->list, w);
    all->n--;
    pthread_mutex_unlock(&all->lock);
    event_stream_end(w->stream);
    event_stream_unref(w->stream);
}

/* One with news, whose marks are taken; NULL: none, until *ret_until_ms at least (0: until a mark). Lock
 * held.
 */
static struct watch *next_changed(struct job_watches *all, bool *ret_gone, int64_t *ret_until_ms)
{
    struct watch *w;
    int64_t now_ms = clock_monotonic_ms();
    *ret_until_ms = 0;
    DL_FOREACH (all->list, w) {
        bool over = w->gone || all->stopping, late = w->again_at_ms > now_ms;
        if (!over && w->changed && !w->paused && late &&
            (*ret_until_ms == 0 || w->again_at_ms < *ret_until_ms))
            *ret_until_ms = w->again_at_ms;
        if (!over && (!w->changed || w->paused || late))
            continue;
        *ret_gone = over;
        w->changed = false;
        DL_DELETE(all->list, w);
        DL_APPEND(all->list, w);
        return w;
    }
    return NULL;
}

/* Until somebody is marked, or that time. Lock held. */
static void await_news(struct job_watches *all, int64_t until_ms)
{
    int64_t wait_ms = until_ms - clock_monotonic_ms();
    struct timespec until = clock_deadline(wait_ms > 0 ? wait_ms : 0);
    if (until_ms == 0)
        (void)pthread_cond_wait(&all->change, &all->lock);
    else
        (void)pthread_cond_timedwait(&all->change, &all->lock, &until);
}

/* Looks, and tells. true where it couldn't be read, and is to be looked at again. */
static bool serve(struct watch *w, bool gone)
{
    struct arena a;
    arena_init(&a, LOOK_ARENA_MAX);
    int r = gone ? 1 : tell(w, &a);
    arena_free(&a);
    if (r == -ENOBUFS)
        log_event(LOG_ERROR, "a job is too large to be told to who watches it", LOG_S("job", w->id));
    bool again = r < 0 && r != -ENOBUFS && r != -EPIPE;
    if (r != 0 && !again)
        end(w);
    return again;
}

static void *run(void *arg)
{
    struct job_watches *all = arg;
    int64_t until_ms;
    bool gone;
    pthread_mutex_lock(&all->lock);
    for (;;) {
        struct watch *w = next_changed(all, &gone, &until_ms);
        if (!w && all->stopping)
            break;
        if (!w) {
            await_news(all, until_ms);
            continue;
        }
        w->again_at_ms = 0;
        pthread_mutex_unlock(&all->lock);
        bool again = serve(w, gone);
        pthread_mutex_lock(&all->lock);
        if (again) {
            w->again_at_ms = clock_monotonic_ms() + RETRY_MS;
            w->changed = true;
        }
    }
    pthread_mutex_unlock(&all->lock);
    return NULL;
}

int job_watches_start(const struct app *app, struct job_watches **ret)
{
    struct job_watches *all = calloc(1, sizeof *all);
    if (!all)
        return -ENOMEM;
    all->app = app;
    pthread_mutex_init(&all->lock, NULL);
    cond_init(&all->change);
    int r = -pthread_create(&all->thread, NULL, run, all);
    if (r < 0) {
        free(all);
        return log_error(r, "can't start the thread that watches jobs");
    }
    (void)pthread_setname_np(all->thread, "genie-job-tell");
    *ret = all;
    return 0;
}

void job_watches_stop(struct job_watches *all)
{
    pthread_mutex_lock(&all->lock);
    all->stopping = true;
    pthread_cond_signal(&all->change);
    pthread_mutex_unlock(&all->lock);
    (void)pthread_join(all->thread, NULL);
}

void job_watches_free(struct job_watches *all)
{
    pthread_cond_destroy(&all->change);
    pthread_mutex_destroy(&all->lock);
    free(all);
}

/* ---- beginning */

/* Whether one more fits: 0, -EBUSY or -EAGAIN. Lock held. */
static int room_for(const struct job_watches *all, const char *user_id)
{
    const struct watch *w;
    int own = 0;
    DL_FOREACH (all->list, w)
        own += str_equal(w->user_id, user_id);
    if (own >= JOB_WATCHES_EACH)
        return -EBUSY;
    return all->n < JOB_WATCHES_MAX && !all->stopping ? 0 : -EAGAIN;
}

/* Asked first: a stream that is made in vain lies among the ended ones for a while. */
static int look_for_room(struct job_watches *all, const char *user_id)
{
    pthread_mutex_lock(&all->lock);
    int r = room_for(all, user_id);
    pthread_mutex_unlock(&all->lock);
    return r;
}

static int enlist(struct job_watches *all, struct watch *w)
{
    pthread_mutex_lock(&all->lock);
    int r = room_for(all, w->user_id);
    if (r == 0) {
        DL_APPEND(all->list, w);
        all->n++;
        w->changed = true;
        pthread_cond_signal(&all->change);
    }
    pthread_mutex_unlock(&all->lock);
    return r;
}

static struct watch *new_watch(struct job_watches *all, const char *user_id, const struct queue_info *info)
{
    struct watch *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->all = all;
    (void)snprintf(w->id, sizeof w->id, "%s", info->id);
    (void)snprintf(w->user_id, sizeof w->user_id, "%s", user_id);
    return w;
}

int job_watch(struct job_watches *all, const char *user_id, const struct queue_info *info,
              struct event_stream **ret)
{
    char id[UUID_SIZE];
    int r = look_for_room(all, user_id);
    if (r < 0)
        return r;
    struct watch *w = new_watch(all, user_id, info);
    uuid_make(id);
    r = w ? event_stream_new(all->app->events, id, user_id, &ops, w, &w->stream) : -ENOMEM;
    if (r < 0) {
        free(w);
        return r;
    }
    struct event_stream *stream = event_stream_ref(w->stream);
    r = queue_watch(all->app->queue, w->id, on_change, w, &w->queue);
    if (r == 0)
        r = enlist(all, w);
    if (r == 0) {
        *ret = stream;
        return 0;
    }
    if (w->queue)
        queue_unwatch(all->app->queue, w->queue);
    event_stream_end(w->stream);
    event_stream_unref(w->stream);
    event_stream_unref(stream);
    return r;
}
