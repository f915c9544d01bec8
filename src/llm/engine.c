/* SPDX-License-Identifier: MIT */
/* The thread: an epoll that watches the sockets of curl's multi handle and one eventfd by which other threads
 * wake it. curl's callbacks only take bytes in; sinks are called after curl has returned, so that a sink may
 * start, pause or cancel calls. All that one read brought leaves as one piece of text. */
#include "llm/engine.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#define EVENTS 128
#define READ_BUFFER 1024L    /* tokens are small, and every open transfer has one */
#define UPLOAD_BUFFER 16384L /* the least that curl allows */
#define KEPT_CONNECTIONS \
    32768L /* beyond, curl searches all of them for the oldest with every answer that ends */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
    (void)easy;
    struct llm *llm = arg;
    struct epoll_event event = {.data.fd = fd};
    if (what == CURL_POLL_REMOVE) {
        (void)epoll_ctl(llm->epoll, EPOLL_CTL_DEL, fd, &event);
        return 0;
    }
    event.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
    int r = epoll_ctl(llm->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
    if (r == 0 && !known)
        (void)curl_multi_assign(llm->multi, fd, llm);
    return r == 0 ? 0 : -1;
}

static int on_timer(CURLM *multi, long ms, void *arg)
{
    (void)multi;
    struct llm *llm = arg;
    llm->curl_due = ms < 0 ? -1 : clock_monotonic_ms() + ms;
    return 0;
}

static void set_common(CURL *easy, const struct config *cfg)
{
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_QUICK_EXIT,
                           1L); /* a cancel doesn't wait for the resolver's thread */
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    (void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                           (long)CURL_HTTP_VERSION_1_1); /* a cancel closes a connection */
    (void)curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, READ_BUFFER);
    (void)curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BUFFER);
    (void)curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)cfg->llm_connect_timeout_s * 1000);
}

int transfer_start(struct llm *llm, struct transfer *t, const char *url, struct curl_slist *headers)
{
    set_common(t->easy, llm->cfg);
    (void)curl_easy_setopt(t->easy, CURLOPT_URL, url);
    (void)curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
    return curl_multi_add_handle(llm->multi, t->easy) == CURLM_OK ? 0 : -ENOMEM;
}

void transfer_body(struct transfer *t, const struct buf *body)
{
    (void)curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->len);
    (void)curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, body->data);
}

void transfer_stop(struct llm *llm, struct transfer *t)
{
    if (!t->easy)
        return;
    (void)curl_multi_remove_handle(llm->multi, t->easy);
    curl_easy_cleanup(t->easy);
    t->easy = NULL;
}

void engine_wake(struct llm *llm)
{
    if (!pthread_equal(pthread_self(), llm->thread))
        (void)eventfd_write(llm->wake, 1);
}

/* Tells the owners of the transfers that are over. */
static void reap(struct llm *llm)
{
    int left;
    const CURLMsg *message;
    while ((message = curl_multi_info_read(llm->multi, &left))) {
        char *owner = NULL;
        CURLcode result = message->data.result;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &owner);
        struct transfer *t = (struct transfer *)(void *)owner;
        t->ended(llm, t, result);
    }
}

static void drive(struct llm *llm, curl_socket_t fd, int mask)
{
    int running;
    (void)curl_multi_socket_action(llm->multi, fd, mask, &running);
    calls_flush(llm);
}

static void drive_timer(struct llm *llm)
{
    if (llm->curl_due < 0 || llm->curl_due > llm->now_ms)
        return;
    llm->curl_due = -1;
    drive(llm, CURL_SOCKET_TIMEOUT, 0);
}

static int milliseconds_to_wait(const struct llm *llm)
{
    if (calls_have_work(llm))
        return 0;
    int64_t due = calls_next_due(llm);
    if (llm->curl_due >= 0 && (due < 0 || llm->curl_due < due))
        due = llm->curl_due;
    if (due < 0)
        return -1;
    int64_t ms = due - clock_monotonic_ms();
    return ms < 0 ? 0 : ms > INT_MAX ? INT_MAX : (int)ms;
}

static void take_event(struct llm *llm, const struct epoll_event *event)
{
    if (event->data.fd == llm->wake) {
        eventfd_t count;
        (void)eventfd_read(llm->wake, &count);
        return;
    }
    int mask =
        (event->events & ~(unsigned)EPOLLOUT ? CURL_CSELECT_IN : 0) | /* an error is found by reading */
        (event->events & EPOLLOUT ? CURL_CSELECT_OUT : 0);
    drive(llm, event->data.fd, mask);
}

/* Returns false when the engine shall stop. */
static bool round_trip(struct llm *llm)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(llm->epoll, events, EVENTS, milliseconds_to_wait(llm));
    llm->now_ms = clock_monotonic_ms();
    for (int i = 0; i < n; i++)
        take_event(llm, &events[i]);
    pthread_mutex_lock(&llm->lock);
    bool stopping = llm->stopping;
    pthread_mutex_unlock(&llm->lock);
    if (stopping)
        return false;
    reap(llm);
    calls_take_inbox(llm);
    calls_expire(llm);
    calls_admit(llm);
    probe_run(llm);
    drive_timer(llm);
    reap(llm);
    calls_talk(llm);
    return true;
}

static void *engine_loop(void *arg)
{
    struct llm *llm = arg;
    while (round_trip(llm))
        ;
    calls_end_all(llm);
    transfer_stop(llm, &llm->probe.transfer);
    return NULL;
}

static int open_multi(struct llm *llm)
{
    llm->multi = curl_multi_init();
    if (!llm->multi)
        return -ENOMEM;
    (void)curl_multi_setopt(llm->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    (void)curl_multi_setopt(llm->multi, CURLMOPT_SOCKETDATA, llm);
    (void)curl_multi_setopt(llm->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    (void)curl_multi_setopt(llm->multi, CURLMOPT_TIMERDATA, llm);
    (void)curl_multi_setopt(llm->multi, CURLMOPT_MAXCONNECTS, KEPT_CONNECTIONS);
    return 0;
}

static int open_epoll(struct llm *llm)
{
    llm->epoll = epoll_create1(EPOLL_CLOEXEC);
    llm->wake = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK); /* set: the first round probes */
    if (llm->epoll < 0 || llm->wake < 0)
        return -errno;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = llm->wake};
    return epoll_ctl(llm->epoll, EPOLL_CTL_ADD, llm->wake, &event) < 0 ? -errno : 0;
}

static void close_all(struct llm *llm)
{
    if (llm->multi)
        (void)curl_multi_cleanup(llm->multi);
    closeP(&llm->wake);
    closeP(&llm->epoll);
}

/* Signals are the main thread's business; SIGPIPE of a TLS connection is nobody's. */
static int start_thread(struct llm *llm)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(&llm->thread, NULL, engine_loop, llm);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r == 0)
        (void)pthread_setname_np(llm->thread, "llm");
    return -r;
}

int engine_start(struct llm *llm)
{
    llm->epoll = llm->wake = -1;
    llm->curl_due = -1;
    llm->now_ms = clock_monotonic_ms();
    calls_init(llm);
    int r = open_epoll(llm);
    if (r == 0)
        r = open_multi(llm);
    if (r == 0)
        r = start_thread(llm);
    if (r < 0)
        close_all(llm);
    return r;
}

void engine_stop(struct llm *llm)
{
    pthread_mutex_lock(&llm->lock);
    llm->stopping = true;
    pthread_mutex_unlock(&llm->lock);
    engine_wake(llm);
    (void)pthread_join(llm->thread, NULL);
    close_all(llm);
}
