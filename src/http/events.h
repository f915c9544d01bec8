/* SPDX-License-Identifier: MIT */
/* Server-sent events with memory. An event stream is produced by one side and read by at most one connection
 * at a time; what was sent is kept (up to a maximum) so that a client that lost its connection can go on
 * where it was.
 *
 *   producer: event_stream_new → event_stream_push … → event_stream_end → event_stream_unref
 *   handler:  return reply_events(rq, stream, last_id)    (first connection and resumes; the newest wins)
 *
 * Backpressure: when more than the high-water mark is unread, `pause(true)` is called; under the low mark,
 * `pause(false)`. A stream that lost its reader and is without one for grace_ms is abandoned: `abandoned` is
 * called once, and the producer is expected to end it. So is one whose producer is paused and whose reader
 * has taken nothing for heartbeat_ms and then grace_ms. After its end it can be replayed for keep_ms. All
 * functions are thread-safe; callbacks come from any thread, without locks held, and must be short; those of
 * `pause` one after the other, in order. */
#ifndef HTTP_EVENTS_H
#define HTTP_EVENTS_H

#include "http/reply.h"

#include <stdint.h>

struct event_hub;    /* all streams of the server, and the thread that minds their time */
struct event_stream; /* reference-counted */

struct event_hub_options {
    int64_t grace_ms, keep_ms, heartbeat_ms;
};

int event_hub_start(const struct event_hub_options *options, struct event_hub **ret);

/* Stops the thread and forgets every stream. Producers must have ended, and the server stopped, before. */
void event_hub_stop(struct event_hub *hub);

struct event_ops {
    const char
        *kind; /* what it streams: who looks for one kind finds no other, whose ctx is something else */
    void (*pause)(void *ctx, bool paused);
    void (*abandoned)(void *ctx);
    void (*release)(void *ctx); /* the last reference is gone */
};

/* A stream named `id` (a UUID), owned by `owner` (a user id). *ret is the producer's reference. 0 or
 * -ENOMEM. */
int event_stream_new(struct event_hub *hub, const char *id, const char *owner, const struct event_ops *ops,
                     void *ctx, struct event_stream **ret);

/* Appends one event whose data is a single line of JSON: "data: <json>\nid: <id>:<n>\n\n". The id
 * comes last, since clients take note of it at once: of an event that reached them in part they must not.
 * 0; -EPIPE after the end; -ENOBUFS where too much is unread; -ENOMEM. */
int event_stream_push(struct event_stream *s, const char *json, size_t len);

/* No event follows; readers get what is left and then the end. Once. */
void event_stream_end(struct event_stream *s);

struct event_stream *event_stream_ref(struct event_stream *s);
void event_stream_unref(struct event_stream *s);
DEFINE_CLEANUP(struct event_stream *, event_stream_unref);

/* The stream of that kind and id if it is still kept and `owner` began it: a reference, or NULL. */
struct event_stream *event_stream_find(struct event_hub *hub, const char *kind, const char *id,
                                       const char *owner);

void *event_stream_ctx(struct event_stream *s);
bool event_stream_ended(struct event_stream *s);

/* Reads "<uuid>:<n>" (ret_id, UUID_SIZE bytes, may be NULL) or "<n>" (ret_id becomes ""): 0 or -EINVAL. */
int event_id_parse(const char *text, char *ret_id, int64_t *ret_n);

/* Whether the client accepts an event stream. */
bool request_wants_events(const struct request *rq);

/* Answers with the stream from the event after number `after` (0 = from its beginning); an earlier reader is
 * ended. 404 if what should come next is no longer kept. */
reply reply_events(struct request *rq, struct event_stream *s, int64_t after);

#endif
