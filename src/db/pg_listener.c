/* SPDX-License-Identifier: MIT */
#include "db/pg_listener.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>

/* A connection that died in silence is noticed within two of these, well inside the 5 s that a change may
 * take to be seen. */
#define BEAT_MS 1500
#define RETRY_MS 500

struct pg_listener {
    struct pg_pool *pool;
    const char *node;
    pthread_mutex_t lock; /* of starting */
    pthread_t thread;
    _Atomic bool started, stopping;
    int wake_fd;
    _Atomic int64_t version;
    struct pg_conn *conn; /* of the thread alone */
};

struct pg_listener *pg_listener_make(struct pg_pool *pool, const char *node)
{
    struct pg_listener *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->pool = pool;
    l->node = node;
    l->version = 1;
    l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->wake_fd < 0) {
        free(l);
        return NULL;
    }
    pthread_mutex_init(&l->lock, NULL);
    return l;
}

/* Waits until there is something to read, at most `ms`; whether there is. */
static bool wait_for_news(struct pg_listener *l, int ms)
{
    struct pollfd fds[2] = {{.fd = l->wake_fd, .events = POLLIN},
                            {.fd = l->conn ? PQsocket(l->conn->handle) : -1, .events = POLLIN}};
    return poll(fds, 2, ms) > 0 && fds[1].revents;
}

static void hang_up(struct pg_listener *l)
{
    pg_conn_close(l->conn);
    l->conn = NULL;
}

static void listen_anew(struct pg_listener *l)
{
    int64_t until = clock_monotonic_ms() + BEAT_MS;
    if (pg_pool_open_own(l->pool, until, &l->conn) == 0 &&
        pg_conn_command(l->conn, "LISTEN " PG_CHANNEL, until) < 0)
        hang_up(l);
    atomic_fetch_add(&l->version, 1);
    if (!l->conn)
        (void)wait_for_news(l, RETRY_MS);
}

static void take_notifications(struct pg_listener *l)
{
    PGnotify *n;
    while ((n = PQnotifies(l->conn->handle))) {
        if (strcmp(n->extra, l->node) != 0)
            atomic_fetch_add(&l->version, 1);
        PQfreemem(n);
    }
}

static void hear(struct pg_listener *l)
{
    bool well = wait_for_news(l, BEAT_MS)
                    ? PQconsumeInput(l->conn->handle)
                    : pg_conn_command(l->conn, "SELECT 1", clock_monotonic_ms() + BEAT_MS) == 0;
    take_notifications(l);
    if (well)
        return;
    hang_up(l);
    atomic_fetch_add(&l->version, 1);
}

static void *work(void *arg)
{
    struct pg_listener *l = arg;
    while (!atomic_load(&l->stopping)) {
        if (l->conn)
            hear(l);
        else
            listen_anew(l);
    }
    pg_conn_closeP(&l->conn);
    return NULL;
}

static void start(struct pg_listener *l)
{
    pthread_mutex_lock(&l->lock);
    if (!atomic_load(&l->started)) {
        int r = pthread_create(&l->thread, NULL, work, l);
        if (r == 0)
            (void)pthread_setname_np(l->thread, "store-listener");
        else
            (void)log_error(-r, "store: listen for changes");
        atomic_store(&l->started, r == 0);
    }
    pthread_mutex_unlock(&l->lock);
}

int64_t pg_listener_version(struct pg_listener *l)
{
    if (!atomic_load(&l->started))
        start(l);
    /* nothing is heard without a thread, so everything counts as changed */
    return atomic_load(&l->started) ? atomic_load(&l->version) : atomic_fetch_add(&l->version, 1);
}

void pg_listener_free(struct pg_listener *l)
{
    atomic_store(&l->stopping, true);
    if (atomic_load(&l->started)) {
        (void)eventfd_write(l->wake_fd, 1);
        pthread_join(l->thread, NULL);
    }
    (void)close(l->wake_fd);
    pthread_mutex_destroy(&l->lock);
    free(l);
}
