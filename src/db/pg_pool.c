/* SPDX-License-Identifier: MIT */
#include "db/pg_pool.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define CONNECT_MS 3000
#define BACKOFF_FIRST_MS 50
#define BACKOFF_MOST_MS 1000
#define LOG_EVERY_MS 10000

struct pg_pool {
    struct pg_target target;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct pg_conn *idle; /* most recently used first, so that those not needed stay cold */
    int open, max;        /* connections, lent ones and those being made included */
    int making;
    int backoff_ms; /* 0: the server was there when last asked */
    int64_t retry_at_ms;
    bool trying; /* during an outage: somebody is connecting */
    int64_t logged_ms;
};

int pg_pool_make(const char *url, int max, struct pg_pool **ret)
{
    struct pg_pool *p = calloc(1, sizeof *p);
    if (!p)
        return log_error(-ENOMEM, "store: open");
    int r = pg_target_parse(url, &p->target);
    if (r < 0) {
        free(p);
        return r;
    }
    p->max = max;
    pthread_mutex_init(&p->lock, NULL);
    cond_init(&p->changed);
    *ret = p;
    return 0;
}

static void close_all(struct pg_conn *list)
{
    while (list) {
        struct pg_conn *c = list;
        list = c->next;
        pg_conn_close(c);
    }
}

void pg_pool_free(struct pg_pool *p)
{
    close_all(p->idle);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    pg_target_free(&p->target);
    free(p);
}

/* Needs the lock. Whether there is a connection that somebody may give back: then a server that refuses
 * another one (it has a limit, too) is no outage. */
static bool has_any(const struct pg_pool *p)
{
    return p->open > p->making;
}

/* Needs the lock. One line for an outage, repeated now and then. */
static void log_outage(struct pg_pool *p, const char *why)
{
    int64_t now = clock_monotonic_ms();
    if (p->logged_ms && now - p->logged_ms < LOG_EVERY_MS)
        return;
    p->logged_ms = now;
    log_event(LOG_ERROR,
              has_any(p) ? "store: PostgreSQL takes no further connection"
                         : "store: PostgreSQL can't be reached",
              LOG_S("at", p->target.place), LOG_S("error", why));
}

/* Needs the lock. */
static void note_outage(struct pg_pool *p)
{
    int64_t next = p->backoff_ms ? 2 * p->backoff_ms : BACKOFF_FIRST_MS;
    p->backoff_ms = next > BACKOFF_MOST_MS ? BACKOFF_MOST_MS : (int)next;
    p->retry_at_ms = clock_monotonic_ms() + p->backoff_ms;
}

/* Needs the lock. */
static void note_connected(struct pg_pool *p)
{
    if (p->logged_ms)
        log_event(LOG_INFO, "store: PostgreSQL answers again", LOG_S("at", p->target.place));
    p->logged_ms = 0;
    p->backoff_ms = 0;
}

static int open_connection(struct pg_pool *p, int64_t until_ms, struct pg_conn **ret, char **ret_why)
{
    int64_t limit = clock_monotonic_ms() + CONNECT_MS;
    return pg_conn_open(&p->target, limit < until_ms ? limit : until_ms, ret, ret_why);
}

int pg_pool_open_own(struct pg_pool *p, int64_t until_ms, struct pg_conn **ret)
{
    _cleanup_free_ char *why = NULL;
    return open_connection(p, until_ms, ret, &why);
}

/* Connects for a caller who has been counted in `open` and `making`. -EAGAIN: another may come back. */
static int connect_counted(struct pg_pool *p, int64_t until_ms, struct pg_conn **ret)
{
    _cleanup_free_ char *why = NULL;
    int r = open_connection(p, until_ms, ret, &why);
    pthread_mutex_lock(&p->lock);
    p->trying = false;
    p->making--;
    if (r < 0) {
        p->open--;
        note_outage(p);
        log_outage(p, why);
        r = has_any(p) ? -EAGAIN : -EIO;
    } else {
        note_connected(p);
    }
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    return r;
}

enum offer { OFFER_IDLE, OFFER_CONNECT, OFFER_WAIT, OFFER_OUTAGE };

/* Needs the lock. What there is for a caller now; *ret_wait_ms: when it may be otherwise by itself. */
static enum offer look(struct pg_pool *p, struct pg_conn **ret, int64_t *ret_wait_ms)
{
    int64_t now = clock_monotonic_ms();
    *ret_wait_ms = INT64_MAX;
    if (p->idle) {
        *ret = p->idle;
        p->idle = p->idle->next;
        return OFFER_IDLE;
    }
    if (p->open >= p->max)
        return OFFER_WAIT;
    if (p->backoff_ms && (p->trying || now < p->retry_at_ms)) {
        *ret_wait_ms = p->trying ? INT64_MAX : p->retry_at_ms;
        return has_any(p) ? OFFER_WAIT : OFFER_OUTAGE;
    }
    p->trying = p->backoff_ms > 0;
    p->open++;
    p->making++;
    return OFFER_CONNECT;
}

/* Needs the lock. Waits for a change; false when it is too late for one. */
static bool wait_for_change(struct pg_pool *p, int64_t until_ms, int64_t wake_ms)
{
    int64_t now = clock_monotonic_ms(), to = wake_ms < until_ms ? wake_ms : until_ms;
    if (now >= until_ms)
        return false;
    struct timespec deadline = clock_deadline(to > now ? to - now : 0);
    (void)pthread_cond_timedwait(&p->changed, &p->lock, &deadline);
    return true;
}

static enum offer take(struct pg_pool *p, int64_t until_ms, bool patient, struct pg_conn **ret)
{
    int64_t wake_ms;
    enum offer offer;
    pthread_mutex_lock(&p->lock);
    do
        offer = look(p, ret, &wake_ms);
    while ((offer == OFFER_WAIT || (offer == OFFER_OUTAGE && patient)) &&
           wait_for_change(p, until_ms, wake_ms));
    pthread_mutex_unlock(&p->lock);
    return offer;
}

int pg_pool_lend(struct pg_pool *p, int64_t until_ms, bool patient, struct pg_conn **ret)
{
    for (;;) {
        struct pg_conn *c = NULL;
        int r;
        switch (take(p, until_ms, patient, &c)) {
        case OFFER_IDLE:
            if (pg_conn_alive(c)) {
                *ret = c;
                return 0;
            }
            c->lost = true;
            pg_pool_return(p, c);
            break;
        case OFFER_CONNECT:
            r = connect_counted(p, until_ms, ret);
            if (r == 0 || (r == -EIO && !patient))
                return r;
            break;
        case OFFER_WAIT:
            return -ETIMEDOUT;
        case OFFER_OUTAGE:
            return -EIO;
        }
    }
}

void pg_pool_return(struct pg_pool *p, struct pg_conn *c)
{
    struct pg_conn *dead = NULL;
    bool lost = c->lost; /* once it is in the list it is somebody else's */
    pthread_mutex_lock(&p->lock);
    if (lost) {
        dead = p->idle;
        p->idle = NULL;
        p->open--;
        for (const struct pg_conn *d = dead; d; d = d->next)
            p->open--;
    } else {
        c->next = p->idle;
        p->idle = c;
    }
    (void)(lost ? pthread_cond_broadcast(&p->changed) : pthread_cond_signal(&p->changed));
    pthread_mutex_unlock(&p->lock);
    if (lost) {
        close_all(dead);
        pg_conn_close(c);
    }
}
