/* SPDX-License-Identifier: MIT */
/* One thread's loop over curl's transfers: an epoll that watches the sockets of a multi handle, and an
 * eventfd by which other threads wake it. curl's callbacks should only take bytes in and hand bytes out; what
 * follows from them is done between turns. All but loop_wake are called by the thread that owns it. */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include <curl/curl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct loop {
    CURLM *multi;
    int epoll, wake;
    int64_t curl_due; /* when curl wants to be called; -1 = never */
    int64_t now_ms;   /* monotonic, at the beginning of this turn */
    pthread_t thread;
};

/* connections: how many may be kept open unused. 0 or negative errno; loop_close is right after either. */
int loop_open(struct loop *l, long connections);
void loop_close(struct loop *l);

/* Starts the thread that owns it, with all signals blocked: 0 or negative errno. */
int loop_start(struct loop *l, void *(*run)(void *), void *arg, const char *name);

/* Ends the wait. Any thread; nothing to do for the loop's own. */
void loop_wake(struct loop *l);

/* Waits until `due` (-1 = for ever) at most and lets curl work on the sockets that are ready; `after` is
 * called after each. */
void loop_turn(struct loop *l, int64_t due, void (*after)(void *ctx), void *ctx);

/* Lets curl do what its own clock asks for, if that is due; then calls `after`. */
void loop_clock(struct loop *l, void (*after)(void *ctx), void *ctx);

/* Calls ended(ctx, easy, result) for each transfer that is over; it must take it out. */
void loop_reap(struct loop *l, void (*ended)(void *ctx, CURL *easy, CURLcode result), void *ctx);

/* What holds for every transfer of this program: no signals, no proxies, no .netrc, HTTP/1.1 alone (a cancel
 * closes a connection, which every server understands at once). */
void loop_set_common(CURL *easy);

#endif
