/* SPDX-License-Identifier: MIT */
/* Where a body goes that is read as it arrives. A route whose row says STREAM(open, …) opens a sink when the
 * request is permitted, before the client is told to go on (100-continue); bytes go to it in pieces of at
 * most 20 KiB; when it has enough, the connection sleeps until it asks for more. The route's handler runs
 * when the body is whole and the sink has settled.
 *
 * take, end, refuse and close are called on the connection's event thread and must not wait. None is called
 * while the connection sleeps, so what a worker does for the sink in that time needs no lock. */
#ifndef HTTP_SINK_H
#define HTTP_SINK_H

#include "http/reply.h"

#include <stddef.h>

struct sink; /* reference-counted */

enum { SINK_MORE = 0, SINK_FULL = 1 };

struct sink_ops {
    /* Takes all of it. SINK_MORE; SINK_FULL: no more until sink_wake; or a negative errno. */
    int (*take)(void *ctx, const char *data, size_t len);
    /* No byte follows. 0: settled; SINK_FULL: not yet, ask again after sink_wake; or a negative errno. */
    int (*end)(void *ctx);
    /* Answers for what take or end has failed with. */
    reply (*refuse)(void *ctx, struct request *rq, int r);
    /* Exactly once on every way out: after the answer, when the client goes, when the request is refused. */
    void (*close)(void *ctx);
    /* Wakes the connection, and closes it, when the client leaves: for sinks that wait for somebody else. */
    bool watches_client;
};

/* For a route's open; NULL without memory (then close is not called). */
struct sink *sink_new(struct request *rq, const struct sink_ops *ops, void *ctx);
struct sink *sink_ref(struct sink *s);
void sink_unref(struct sink *s);

/* Takes back what open has made and won't return: close is not called. */
void sink_abandon(struct request *rq, struct sink *s);

/* The sink has room again, or has settled. Any thread, with locks held or not. Only after that has become
 * true: take is called next, whether there is room or not. */
void sink_wake(struct sink *s);

#endif
