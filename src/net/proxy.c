/* SPDX-License-Identifier: MIT */
/* One thread, one epoll. After each turn every link is looked at: they are few, and so no timer and no
 * message from a look-up needs a place of its own. A link that is over is freed only then, since the turn's
 * events may still name it. */
#include "net/proxy.h"

#include "base/arena.h"
#include "base/text.h"
#include "base/uuid.h"
#include "net/proxy_link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#define LINKS 32
#define LINKS_IN_ALL 20000
#define EVENTS 64
#define BACKLOG 64
#define LOOK_MS 1000
#define PAUSE_MS 50
#define SECRET_BYTES 32
#define NAME "genie"

/* ---- the thread */

static void accept_one(struct proxy *p, int fd)
{
    int most = p->options.max_links_in_all ? p->options.max_links_in_all : LINKS_IN_ALL;
    (void)pthread_mutex_lock(&p->lock);
    bool spent = p->report.links >= most;
    if (spent)
        p->report.spent = true;
    else
        p->report.links++;
    (void)pthread_mutex_unlock(&p->lock);
    if (spent && p->options.ended)
        cancel_raise(p->options.ended);
    struct proxy_link *l = NULL;
    if (spent)
        (void)close(fd);
    else
        l = link_open(p, fd);
    if (!l)
        return;
    LIST_INSERT_HEAD(&p->links, l, place);
    p->n_links++;
}

static bool has_room(const struct proxy *p)
{
    return p->n_links < (p->options.max_links ? p->options.max_links : LINKS);
}

static void accept_all(struct proxy *p)
{
    while (has_room(p)) {
        int fd = accept4(p->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno != EAGAIN)
                (void)poll(NULL, 0, PAUSE_MS); /* no descriptors: it would be told of the same again */
            return;
        }
        accept_one(p, fd);
    }
}

static int listen_while_room(struct proxy *p)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &p->listener};
    if (p->listening == has_room(p))
        return 0;
    if (epoll_ctl(p->epoll, p->listening ? EPOLL_CTL_DEL : EPOLL_CTL_ADD, p->listener, &event) < 0)
        return -errno;
    p->listening = !p->listening;
    return 0;
}

static void look_at_all(struct proxy *p)
{
    int64_t now = clock_monotonic_ms();
    struct proxy_link *l = LIST_FIRST(&p->links), *next;
    for (; l; l = next) {
        next = LIST_NEXT(l, place);
        link_look(l, now);
        if (l->stage != LINK_OVER)
            link_watch(l);
        if (l->stage != LINK_OVER)
            continue;
        LIST_REMOVE(l, place);
        link_free(l);
        p->n_links--;
    }
}

static void turn(struct proxy *p)
{
    uint64_t woken;
    struct epoll_event events[EVENTS];
    int n = epoll_wait(p->epoll, events, EVENTS, LOOK_MS);
    for (int i = 0; i < n; i++) {
        if (events[i].data.ptr == &p->listener)
            accept_all(p);
        else if (events[i].data.ptr == &p->wake)
            (void)!read(p->wake, &woken, sizeof woken);
        else
            link_event(events[i].data.ptr, events[i].events);
    }
    look_at_all(p);
}

static bool is_stopping(struct proxy *p)
{
    (void)pthread_mutex_lock(&p->lock);
    bool stopping = p->stopping;
    (void)pthread_mutex_unlock(&p->lock);
    return stopping;
}

static void *run(void *arg)
{
    struct proxy *p = arg;
    while (!is_stopping(p)) {
        if (listen_while_room(p) < 0)
            break;
        turn(p);
    }
    return NULL;
}

/* ---- its owner's */

static int make_listener(struct proxy *p, int *ret_port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (p->listener < 0 || bind(p->listener, (struct sockaddr *)&at, sizeof at) < 0 ||
        listen(p->listener, BACKLOG) < 0 || getsockname(p->listener, (struct sockaddr *)&at, &size) < 0)
        return -errno;
    *ret_port = ntohs(at.sin_port);
    return 0;
}

static int make_secret(struct proxy *p, int port)
{
    uint8_t bytes[SECRET_BYTES];
    char secret[2 * SECRET_BYTES + 1], pair[sizeof NAME + sizeof secret];
    struct arena a;
    arena_init(&a, 4096);
    random_bytes(bytes, sizeof bytes);
    hex_encode(bytes, sizeof bytes, secret);
    int len = snprintf(pair, sizeof pair, NAME ":%s", secret);
    const char *encoded = base64_encode(&a, (const uint8_t *)pair, (size_t)len);
    (void)snprintf(p->expected, sizeof p->expected, "%s", encoded ? encoded : "");
    (void)snprintf(p->url, sizeof p->url, "http://%s@127.0.0.1:%d", pair, port);
    arena_wipe(&a);
    wipe(bytes, sizeof bytes);
    wipe(secret, sizeof secret);
    wipe(pair, sizeof pair);
    return p->expected[0] ? 0 : -ENOMEM;
}

static int make_epoll(struct proxy *p)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &p->wake};
    p->epoll = epoll_create1(EPOLL_CLOEXEC);
    p->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (p->epoll < 0 || p->wake < 0 || epoll_ctl(p->epoll, EPOLL_CTL_ADD, p->wake, &event) < 0)
        return -errno;
    return 0;
}

static int start_thread(struct proxy *p)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(&p->thread, NULL, run, p);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r != 0)
        return -r;
    (void)pthread_setname_np(p->thread, "genie-proxy");
    return 0;
}

static void release(struct proxy *p)
{
    struct proxy_link *l;
    while ((l = LIST_FIRST(&p->links))) {
        LIST_REMOVE(l, place);
        link_free(l);
    }
    closeP(&p->listener);
    closeP(&p->wake);
    closeP(&p->epoll);
    (void)pthread_mutex_destroy(&p->lock);
    wipe(p, sizeof *p);
    free(p);
}

int proxy_open(const struct proxy_options *options, struct proxy **ret)
{
    int port = 0;
    struct proxy *p = calloc(1, sizeof *p);
    if (!p)
        return -ENOMEM;
    *p = (struct proxy){.options = *options, .epoll = -1, .listener = -1, .wake = -1};
    LIST_INIT(&p->links);
    (void)pthread_mutex_init(&p->lock, NULL);
    int r = make_listener(p, &port);
    if (r == 0)
        r = make_secret(p, port);
    if (r == 0)
        r = make_epoll(p);
    if (r == 0)
        r = start_thread(p);
    if (r < 0)
        release(p);
    else
        *ret = p;
    return r;
}

const char *proxy_url(const struct proxy *p)
{
    return p->url;
}

void proxy_report(struct proxy *p, struct proxy_report *ret)
{
    (void)pthread_mutex_lock(&p->lock);
    *ret = p->report;
    (void)pthread_mutex_unlock(&p->lock);
}

void proxy_close(struct proxy *p)
{
    const uint64_t one = 1;
    if (!p)
        return;
    (void)pthread_mutex_lock(&p->lock);
    p->stopping = true;
    (void)pthread_mutex_unlock(&p->lock);
    (void)!write(p->wake, &one, sizeof one);
    (void)pthread_join(p->thread, NULL);
    release(p);
}
