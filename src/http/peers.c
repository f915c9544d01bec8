/* SPDX-License-Identifier: MIT */
/* Sockets are watched in an epoll of our own, by a number that is looked up under the lock, so an event that
 * was already fetched when its connection closed finds nothing. The socket itself is registered (no dup):
 * closing it ends the watch. */
#include "http/peers.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "http/sleeper.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uthash.h>
#include <utlist.h>

#define TICK_MS 500
#define EVENTS_AT_ONCE 64
#define BODY_BYTES_PER_SECOND (16 * 1024) /* the least rate at which a large body may come */

struct peer {
    struct peers *peers;
    uint64_t id;
    int fd;
    int64_t waiting_since_ms, deadline_ms; /* 0 = none */
    int64_t paused_ms;                     /* since when its time stands still; 0 = it runs */
    int64_t received;
    bool watched, left;      /* left: the client has closed its side */
    struct sleeper *sleeper; /* to be told; may be NULL */
    char *target;            /* the event thread's, as is the next */
    bool target_cut;
    UT_hash_handle hh;
    struct peer *prev, *next;
};

struct peers {
    pthread_mutex_t lock;
    pthread_t thread;
    int epoll, wakeup;
    bool stopping;
    int64_t timeout_ms;
    uint64_t last_id;
    int count;
    struct peer *by_id, *list;
};

/* libmicrohttpd 0.9.75 takes a short read for all there is and waits for an edge that came with the data
 * before: so it may overlook that the client closed. This makes another edge, and changes nothing else. */
static void show_end(const struct peer *p)
{
    (void)shutdown(p->fd, SHUT_RD);
}

static void cut_overdue(struct peers *ps)
{
    int64_t now = clock_monotonic_ms();
    struct peer *p;
    pthread_mutex_lock(&ps->lock);
    DL_FOREACH (ps->list, p) {
        if (p->deadline_ms && now > p->deadline_ms) {
            (void)shutdown(p->fd, SHUT_RDWR);
            p->deadline_ms = 0;
        }
        if (p->left)
            show_end(p);
    }
    pthread_mutex_unlock(&ps->lock);
}

static void tell_gone(struct peers *ps, uint64_t id)
{
    struct peer *p;
    struct sleeper *sleeper = NULL;
    pthread_mutex_lock(&ps->lock);
    HASH_FIND(hh, ps->by_id, &id, sizeof id, p);
    if (p && p->watched) {
        p->left = true;
        show_end(p);
        sleeper = p->sleeper ? sleeper_ref(p->sleeper) : NULL;
    }
    pthread_mutex_unlock(&ps->lock);
    if (!sleeper)
        return;
    sleeper_gone(sleeper);
    sleeper_unref(sleeper);
}

static void *mind(void *arg)
{
    struct peers *ps = arg;
    struct epoll_event events[EVENTS_AT_ONCE];
    int64_t next_tick = clock_monotonic_ms() + TICK_MS;
    for (;;) {
        int n = epoll_wait(ps->epoll, events, EVENTS_AT_ONCE, TICK_MS);
        for (int i = 0; i < n; i++)
            if (events[i].data.u64 != 0)
                tell_gone(ps, events[i].data.u64);
        pthread_mutex_lock(&ps->lock);
        bool stop = ps->stopping;
        pthread_mutex_unlock(&ps->lock);
        if (stop)
            return NULL;
        if (clock_monotonic_ms() >= next_tick) {
            cut_overdue(ps);
            next_tick = clock_monotonic_ms() + TICK_MS;
        }
    }
}

static void free_peers(struct peers *ps)
{
    if (ps->epoll >= 0)
        (void)close(ps->epoll);
    if (ps->wakeup >= 0)
        (void)close(ps->wakeup);
    pthread_mutex_destroy(&ps->lock);
    free(ps);
}

int peers_start(int64_t request_timeout_ms, struct peers **ret)
{
    struct peers *ps = calloc(1, sizeof *ps);
    if (!ps)
        return -ENOMEM;
    pthread_mutex_init(&ps->lock, NULL);
    ps->timeout_ms = request_timeout_ms;
    ps->epoll = epoll_create1(EPOLL_CLOEXEC);
    ps->wakeup = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int r = ps->epoll < 0 || ps->wakeup < 0 ? -errno : 0;
    struct epoll_event ev = {.events = EPOLLIN | EPOLLET};
    if (r == 0 && epoll_ctl(ps->epoll, EPOLL_CTL_ADD, ps->wakeup, &ev) < 0)
        r = -errno;
    if (r == 0)
        r = -pthread_create(&ps->thread, NULL, mind, ps);
    if (r < 0) {
        free_peers(ps);
        return r;
    }
    (void)pthread_setname_np(ps->thread, "genie-peers");
    *ret = ps;
    return 0;
}

void peers_stop(struct peers *ps)
{
    pthread_mutex_lock(&ps->lock);
    ps->stopping = true;
    pthread_mutex_unlock(&ps->lock);
    (void)eventfd_write(ps->wakeup, 1);
    pthread_join(ps->thread, NULL);
    free_peers(ps);
}

struct peer *peer_add(struct peers *ps, int fd)
{
    struct peer *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->peers = ps;
    p->fd = fd;
    p->waiting_since_ms = clock_monotonic_ms();
    p->deadline_ms = p->waiting_since_ms + ps->timeout_ms;
    pthread_mutex_lock(&ps->lock);
    p->id = ++ps->last_id;
    HASH_ADD(hh, ps->by_id, id, sizeof p->id, p);
    DL_APPEND(ps->list, p);
    ps->count++;
    pthread_mutex_unlock(&ps->lock);
    metric_add(METRIC_HTTP_CONNECTIONS, 1);
    return p;
}

void peer_remove(struct peer *p)
{
    struct peers *ps = p->peers;
    peer_unwatch(p);
    pthread_mutex_lock(&ps->lock);
    HASH_DEL(ps->by_id, p);
    DL_DELETE(ps->list, p);
    ps->count--;
    pthread_mutex_unlock(&ps->lock);
    metric_add(METRIC_HTTP_CONNECTIONS, -1);
    free(p->target);
    free(p);
}

void peer_take_target(struct peer *p, const char *target, bool keep)
{
    free(p->target);
    p->target = keep ? strdup(target) : NULL;
    p->target_cut = strstr(target, "%00") != NULL;
}

const char *peer_target(const struct peer *p)
{
    return p->target;
}

bool peer_target_is_cut(const struct peer *p)
{
    return p->target_cut;
}

static void set_deadline(struct peer *p)
{
    p->deadline_ms = p->waiting_since_ms + p->peers->timeout_ms + p->received * 1000 / BODY_BYTES_PER_SECOND;
}

/* Its time runs on from where it stood. */
static void run_on(struct peer *p)
{
    if (p->paused_ms)
        p->waiting_since_ms += clock_monotonic_ms() - p->paused_ms;
    p->paused_ms = 0;
}

void peer_progress(struct peer *p, int64_t received)
{
    pthread_mutex_lock(&p->peers->lock);
    run_on(p);
    p->received = received;
    set_deadline(p);
    pthread_mutex_unlock(&p->peers->lock);
}

void peer_pause(struct peer *p)
{
    pthread_mutex_lock(&p->peers->lock);
    if (!p->paused_ms)
        p->paused_ms = clock_monotonic_ms();
    p->deadline_ms = 0;
    pthread_mutex_unlock(&p->peers->lock);
}

void peer_go_on(struct peer *p)
{
    pthread_mutex_lock(&p->peers->lock);
    run_on(p);
    set_deadline(p);
    pthread_mutex_unlock(&p->peers->lock);
}

void peer_serving(struct peer *p)
{
    pthread_mutex_lock(&p->peers->lock);
    p->deadline_ms = 0;
    pthread_mutex_unlock(&p->peers->lock);
}

void peer_waiting(struct peer *p)
{
    pthread_mutex_lock(&p->peers->lock);
    p->waiting_since_ms = clock_monotonic_ms();
    p->paused_ms = 0;
    p->received = 0;
    set_deadline(p);
    pthread_mutex_unlock(&p->peers->lock);
}

void peer_watch(struct peer *p, struct sleeper *sleeper)
{
    struct epoll_event ev = {.events = EPOLLRDHUP | EPOLLHUP | EPOLLONESHOT, .data.u64 = p->id};
    pthread_mutex_lock(&p->peers->lock);
    p->watched = true;
    p->sleeper = sleeper ? sleeper_ref(sleeper) : NULL;
    pthread_mutex_unlock(&p->peers->lock);
    (void)epoll_ctl(p->peers->epoll, EPOLL_CTL_ADD, p->fd, &ev);
}

void peer_unwatch(struct peer *p)
{
    pthread_mutex_lock(&p->peers->lock);
    struct sleeper *sleeper = p->sleeper;
    bool watched = p->watched;
    p->sleeper = NULL;
    p->watched = p->left = false;
    pthread_mutex_unlock(&p->peers->lock);
    if (watched)
        (void)epoll_ctl(p->peers->epoll, EPOLL_CTL_DEL, p->fd, NULL);
    if (sleeper)
        sleeper_unref(sleeper);
}

void peers_shutdown_all(struct peers *ps)
{
    struct peer *p;
    pthread_mutex_lock(&ps->lock);
    DL_FOREACH (ps->list, p) {
        (void)shutdown(p->fd, SHUT_RDWR);
        if (p->sleeper)
            sleeper_gone(p->sleeper);
    }
    pthread_mutex_unlock(&ps->lock);
}

int peers_count(struct peers *ps)
{
    pthread_mutex_lock(&ps->lock);
    int n = ps->count;
    pthread_mutex_unlock(&ps->lock);
    return n;
}
