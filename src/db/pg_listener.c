/* SPDX-License-Identifier: MIT */
#include "db/pg_listener.h"

#include "base/clock.h"
#include "base/log.h"
#include "db/topics.h"

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
    pthread_mutex_t calling;
    db_user_change_fn user_change; /* guarded by `calling`, which is held during a call */
    void *ctx;
    pthread_t thread;
    _Atomic bool started, stopping;
    int wake_fd;
    _Atomic int64_t versions[DB_TOPICS + 1]; /* the last is of anything */
    struct pg_conn *conn;                    /* of the thread alone */
};

struct pg_listener *pg_listener_make(struct pg_pool *pool, const char *node)
{
    struct pg_listener *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->pool = pool;
    l->node = node;
    l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->wake_fd < 0) {
        free(l);
        return NULL;
    }
    pthread_mutex_init(&l->lock, NULL);
    pthread_mutex_init(&l->calling, NULL);
    return l;
}

static void changed(struct pg_listener *l, unsigned topics)
{
    for (int i = 0; i < DB_TOPICS; i++)
        if (topics & (1U << i))
            atomic_fetch_add(&l->versions[i], 1);
    atomic_fetch_add(&l->versions[DB_TOPICS], 1);
}

/* Has what is kept by user dropped for one user; the topics for which that wasn't enough. */
static unsigned tell_user_change(struct pg_listener *l, const struct change *change)
{
    unsigned topics = change->topics & TOPICS_BY_USER;
    if (!topics || !change->user_id[0])
        return change->topics;
    pthread_mutex_lock(&l->calling);
    bool told = l->user_change != NULL;
    if (told)
        l->user_change(l->ctx, topics, change->user_id);
    pthread_mutex_unlock(&l->calling);
    return told ? change->topics & ~topics : change->topics;
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
    changed(l, TOPICS_ALL);
    if (!l->conn)
        (void)wait_for_news(l, RETRY_MS);
}

static void take_notifications(struct pg_listener *l)
{
    PGnotify *n;
    while ((n = PQnotifies(l->conn->handle))) {
        struct change change;
        change_read(n->extra, &change);
        if (strcmp(change.node, l->node) != 0)
            changed(l, tell_user_change(l, &change));
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
    changed(l, TOPICS_ALL);
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

int64_t pg_listener_version(struct pg_listener *l, enum db_topic topic)
{
    if (!atomic_load(&l->started))
        start(l);
    if (!atomic_load(&l->started))
        changed(l, TOPICS_ALL); /* nothing is heard without a thread, so everything counts as changed */
    return atomic_load(&l->versions[topic]);
}

void pg_listener_on_user_change(struct pg_listener *l, db_user_change_fn fn, void *ctx)
{
    pthread_mutex_lock(&l->calling);
    l->user_change = fn;
    l->ctx = ctx;
    pthread_mutex_unlock(&l->calling);
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
    pthread_mutex_destroy(&l->calling);
    free(l);
}
