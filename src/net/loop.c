/* SPDX-License-Identifier: MIT */
#include "net/loop.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#define EVENTS 128

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
    (void)easy;
    struct loop *l = arg;
    struct epoll_event event = {.data.fd = fd};
    if (what == CURL_POLL_REMOVE) {
        (void)epoll_ctl(l->epoll, EPOLL_CTL_DEL, fd, &event);
        return 0;
    }
    event.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
    int r = epoll_ctl(l->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
    if (r == 0 && !known)
        (void)curl_multi_assign(l->multi, fd, l);
    return r == 0 ? 0 : -1;
}

static int on_timer(CURLM *multi, long ms, void *arg)
{
    (void)multi;
    struct loop *l = arg;
    l->curl_due = ms < 0 ? -1 : clock_monotonic_ms() + ms;
    return 0;
}

static int open_multi(struct loop *l, long connections)
{
    l->multi = curl_multi_init();
    if (!l->multi)
        return -ENOMEM;
    (void)curl_multi_setopt(l->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    (void)curl_multi_setopt(l->multi, CURLMOPT_SOCKETDATA, l);
    (void)curl_multi_setopt(l->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    (void)curl_multi_setopt(l->multi, CURLMOPT_TIMERDATA, l);
    (void)curl_multi_setopt(l->multi, CURLMOPT_MAXCONNECTS, connections);
    return 0;
}

static int open_epoll(struct loop *l)
{
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->wake = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK); /* set: the first turn doesn't wait */
    if (l->epoll < 0 || l->wake < 0)
        return -errno;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = l->wake};
    return epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->wake, &event) < 0 ? -errno : 0;
}

int loop_open(struct loop *l, long connections)
{
    *l = (struct loop){.epoll = -1, .wake = -1, .curl_due = -1, .now_ms = clock_monotonic_ms()};
    int r = open_epoll(l);
    return r == 0 ? open_multi(l, connections) : r;
}

void loop_close(struct loop *l)
{
    if (l->multi)
        (void)curl_multi_cleanup(l->multi);
    closeP(&l->wake);
    closeP(&l->epoll);
    l->multi = NULL;
    l->wake = l->epoll = -1;
}

/* Signals are the main thread's business; SIGPIPE of a TLS connection is nobody's. */
int loop_start(struct loop *l, void *(*run)(void *), void *arg, const char *name)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(&l->thread, NULL, run, arg);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r == 0)
        (void)pthread_setname_np(l->thread, name);
    return -r;
}

void loop_wake(struct loop *l)
{
    if (!pthread_equal(pthread_self(), l->thread))
        (void)eventfd_write(l->wake, 1);
}

static void drive(struct loop *l, curl_socket_t fd, int mask, void (*after)(void *ctx), void *ctx)
{
    int running;
    (void)curl_multi_socket_action(l->multi, fd, mask, &running);
    after(ctx);
}

static int milliseconds_until(int64_t due)
{
    if (due < 0)
        return -1;
    int64_t ms = due - clock_monotonic_ms();
    return ms < 0 ? 0 : ms > INT_MAX ? INT_MAX : (int)ms;
}

static void take_event(struct loop *l, const struct epoll_event *event, void (*after)(void *ctx), void *ctx)
{
    if (event->data.fd == l->wake) {
        eventfd_t count;
        (void)eventfd_read(l->wake, &count);
        return;
    }
    int mask =
        (event->events & ~(unsigned)EPOLLOUT ? CURL_CSELECT_IN : 0) | /* an error is found by reading */
        (event->events & EPOLLOUT ? CURL_CSELECT_OUT : 0);
    drive(l, event->data.fd, mask, after, ctx);
}

void loop_turn(struct loop *l, int64_t due, void (*after)(void *ctx), void *ctx)
{
    struct epoll_event events[EVENTS];
    if (l->curl_due >= 0 && (due < 0 || l->curl_due < due))
        due = l->curl_due;
    int n = epoll_wait(l->epoll, events, EVENTS, milliseconds_until(due));
    l->now_ms = clock_monotonic_ms();
    for (int i = 0; i < n; i++)
        take_event(l, &events[i], after, ctx);
}

void loop_clock(struct loop *l, void (*after)(void *ctx), void *ctx)
{
    if (l->curl_due < 0 || l->curl_due > l->now_ms)
        return;
    l->curl_due = -1;
    drive(l, CURL_SOCKET_TIMEOUT, 0, after, ctx);
}

void loop_reap(struct loop *l, void (*ended)(void *ctx, CURL *easy, CURLcode result), void *ctx)
{
    int left;
    const CURLMsg *message;
    while ((message = curl_multi_info_read(l->multi, &left)))
        ended(ctx, message->easy_handle, message->data.result);
}

void loop_set_common(CURL *easy)
{
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_QUICK_EXIT,
                           1L); /* a cancel doesn't wait for the resolver's thread */
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    (void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
}
