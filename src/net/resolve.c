/* SPDX-License-Identifier: MIT */
/* getaddrinfo() can neither be cancelled nor given a limit, so it runs on a thread of its own, and whoever
 * waits may leave: the last of the two frees the look-up. */
#include "net/resolve.h"

#include "net/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <string.h>

#define SLICE_MS 50

struct resolve_lookup {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    int holders;
    bool done;
    int result;
    int wake; /* -1 = none */
    resolve_fn how;
    void *ctx;
    struct resolve_answer answer; /* the thread's until it is done */
    char host[RESOLVE_HOST_MAX + 1];
};

void resolve_drop(struct resolve_lookup *l)
{
    (void)pthread_mutex_lock(&l->lock);
    bool last = --l->holders == 0;
    (void)pthread_mutex_unlock(&l->lock);
    if (!last)
        return;
    closeP(&l->wake);
    (void)pthread_cond_destroy(&l->ended);
    (void)pthread_mutex_destroy(&l->lock);
    free(l);
}

static int add_address(struct resolve_answer *answer, const struct addrinfo *found)
{
    if (answer->n == RESOLVE_MOST)
        return -E2BIG;
    struct resolve_address *a = &answer->addresses[answer->n];
    if (found->ai_addrlen > sizeof a->v6)
        return 0; /* neither IPv4 nor IPv6 */
    memcpy(&a->any, found->ai_addr, found->ai_addrlen);
    a->len = found->ai_addrlen;
    answer->n++;
    return 0;
}

static int ask_system(void *ctx, const char *host, struct resolve_answer *ret)
{
    struct addrinfo *list = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    (void)ctx;
    if (getaddrinfo(host, NULL, &hints, &list) != 0)
        return -ENOENT;
    int r = 0;
    for (const struct addrinfo *at = list; at && r == 0; at = at->ai_next)
        r = add_address(ret, at);
    freeaddrinfo(list);
    return r;
}

bool resolve_is_public(const struct resolve_answer *answer)
{
    for (size_t i = 0; i < answer->n; i++)
        if (!guard_address_is_public(&answer->addresses[i].any))
            return false;
    return true;
}

static void *look_up(void *arg)
{
    const uint64_t one = 1;
    _cleanup_(resolve_dropP) struct resolve_lookup *l = arg;
    int r = l->how(l->ctx, l->host, &l->answer);
    if (r == 0 && l->answer.n == 0)
        r = -ENOENT;
    (void)pthread_mutex_lock(&l->lock);
    l->result = r;
    l->done = true;
    (void)pthread_cond_signal(&l->ended);
    if (l->wake >= 0 && write(l->wake, &one, sizeof one) < 0)
        l->result = -errno; /* an eventfd of ours refuses nothing but overflow */
    (void)pthread_mutex_unlock(&l->lock);
    return NULL;
}

static int start(struct resolve_lookup *l)
{
    pthread_t thread;
    l->holders++;
    if (pthread_create(&thread, NULL, look_up, l) != 0) {
        l->holders--;
        return -ENOMEM;
    }
    (void)pthread_detach(thread);
    return 0;
}

int resolve_begin(const char *host, resolve_fn how, void *ctx, int wake, struct resolve_lookup **ret)
{
    if (strlen(host) > RESOLVE_HOST_MAX)
        return -ENOENT;
    _cleanup_(resolve_dropP) struct resolve_lookup *l = calloc(1, sizeof *l);
    if (!l)
        return -ENOMEM;
    (void)pthread_mutex_init(&l->lock, NULL);
    cond_init(&l->ended);
    l->holders = 1;
    l->how = how ? how : ask_system;
    l->ctx = ctx;
    memcpy(l->host, host, strlen(host) + 1);
    l->wake = wake >= 0 ? fcntl(wake, F_DUPFD_CLOEXEC, 0) : -1;
    int r = wake >= 0 && l->wake < 0 ? -errno : start(l);
    if (r == 0)
        *ret = TAKE_PTR(l);
    return r;
}

int resolve_result(struct resolve_lookup *l, struct resolve_answer *ret)
{
    (void)pthread_mutex_lock(&l->lock);
    int r = l->done ? l->result : -EAGAIN;
    if (r == 0)
        *ret = l->answer;
    (void)pthread_mutex_unlock(&l->lock);
    return r;
}

static int wait_for(struct resolve_lookup *l, struct cancel *cancel)
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

int resolve_all_public(const char *host, struct cancel *cancel)
{
    struct resolve_answer answer;
    _cleanup_(resolve_dropP) struct resolve_lookup *l = NULL;
    int r = resolve_begin(host, NULL, NULL, -1, &l);
    if (r == 0)
        r = wait_for(l, cancel);
    if (r == 0)
        r = resolve_result(l, &answer);
    if (r == -E2BIG)
        return -EACCES;
    return r == 0 && !resolve_is_public(&answer) ? -EACCES : r;
}
