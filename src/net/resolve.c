/* SPDX-License-Identifier: MIT */
/* getaddrinfo() can neither be cancelled nor given a limit, so it runs on a thread of its own, and whoever
 * waits may leave: the last of the two frees the look-up. */
#include "net/resolve.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "net/guard.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <string.h>

#define SLICE_MS 50
#define HOST_MAX 255

struct lookup {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    int holders;
    bool done;
    int result;
    char host[HOST_MAX + 1];
};

static void release(struct lookup *l)
{
    (void)pthread_mutex_lock(&l->lock);
    bool last = --l->holders == 0;
    (void)pthread_mutex_unlock(&l->lock);
    if (!last)
        return;
    (void)pthread_cond_destroy(&l->ended);
    (void)pthread_mutex_destroy(&l->lock);
    free(l);
}
DEFINE_CLEANUP(struct lookup *, release);

static int check_all(const char *host)
{
    struct addrinfo *list = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    if (getaddrinfo(host, NULL, &hints, &list) != 0 || !list)
        return -ENOENT;
    int r = 0;
    for (const struct addrinfo *at = list; at && r == 0; at = at->ai_next)
        r = guard_address_is_public(at->ai_addr) ? 0 : -EACCES;
    freeaddrinfo(list);
    return r;
}

static void *look_up(void *arg)
{
    _cleanup_(releaseP) struct lookup *l = arg;
    int r = check_all(l->host);
    (void)pthread_mutex_lock(&l->lock);
    l->result = r;
    l->done = true;
    (void)pthread_cond_signal(&l->ended);
    (void)pthread_mutex_unlock(&l->lock);
    return NULL;
}

static int wait_for(struct lookup *l, struct cancel *cancel)
{
    int64_t end = clock_monotonic_ms() + RESOLVE_TIMEOUT_MS;
    int r = 0;
    (void)pthread_mutex_lock(&l->lock);
    while (!l->done && r == 0) {
        struct timespec slice = clock_deadline(SLICE_MS);
        (void)pthread_cond_timedwait(&l->ended, &l->lock, &slice);
        if (cancel_raised(cancel))
            r = -ECANCELED;
        else if (clock_monotonic_ms() >= end)
            r = -ETIMEDOUT;
    }
    if (l->done)
        r = l->result;
    (void)pthread_mutex_unlock(&l->lock);
    return r;
}

static int start(struct lookup *l)
{
    pthread_t thread;
    l->holders++;
    if (pthread_create(&thread, NULL, look_up, l) != 0) {
        release(l);
        return -ENOMEM;
    }
    (void)pthread_detach(thread);
    return 0;
}

int resolve_all_public(const char *host, struct cancel *cancel)
{
    if (strlen(host) > HOST_MAX)
        return -ENOENT;
    _cleanup_(releaseP) struct lookup *l = calloc(1, sizeof *l);
    if (!l)
        return -ENOMEM;
    (void)pthread_mutex_init(&l->lock, NULL);
    cond_init(&l->ended);
    l->holders = 1;
    memcpy(l->host, host, strlen(host) + 1);
    int r = start(l);
    return r < 0 ? r : wait_for(l, cancel);
}
