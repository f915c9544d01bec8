/* SPDX-License-Identifier: MIT */
/* Requests that are passed on to another HTTP server, both ways as they come: a thread of its own drives all
 * of them over connections that are reused. What either side sends waits in a window of 64 KiB; when that is
 * full, its sender is not read from until there is room. Nothing is decoded, followed or retried that could
 * have been seen by the server.
 *
 *   relay_begin → relay_write … relay_write_end → (woken) relay_state → relay_head → relay_read … → relay_end
 *
 * All functions are thread-safe; none waits. */
#ifndef NET_RELAY_H
#define NET_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define RELAY_WINDOW ((size_t)64 * 1024)
#define RELAY_HEADERS_MAX 128
#define RELAY_HEADER_BYTES_MAX ((size_t)64 * 1024)

struct relay;
struct relay_call; /* reference-counted */

struct relay_options {
    int64_t connect_timeout_ms; /* name and connection */
    int64_t
        silence_timeout_ms; /* how long the server may neither send nor take anything when it is its turn */
    int most_calls;         /* at a time */
};

int relay_start(const struct relay_options *options, struct relay **ret);

/* Ends what is left of the calls and stops the thread. Their owners still end them. */
void relay_stop(struct relay *r);

#define RELAY_BODY_NONE (-1)
#define RELAY_BODY_CHUNKED (-2)

struct relay_request {
    const char *method;
    const char *url;            /* scheme and authority */
    const char *target;         /* path and query, sent byte for byte */
    const char *const *headers; /* "Name: value" (or "Name;" for an empty one), ended by NULL */
    int64_t body;               /* its length, RELAY_BODY_NONE or RELAY_BODY_CHUNKED */
};

enum relay_news {
    RELAY_ROOM,   /* relay_write was full and isn't any more */
    RELAY_ANSWER, /* its head has come, or more of its body */
    RELAY_OVER,   /* the server does nothing more, in whatever way it ended */
};

/* Whom to tell; called with a lock of the call held. */
struct relay_waker {
    void (*wake)(void *ctx, enum relay_news news);
    void *ctx;
};

/* Copies the request. 0 and *ret, -EBUSY when there are too many, or -ENOMEM. */
int relay_begin(struct relay *r, const struct relay_request *request, struct relay_waker waker,
                struct relay_call **ret);

/* Tells somebody else from now on; nobody where wake is NULL. */
void relay_tell(struct relay_call *c, struct relay_waker waker);

/* Takes all of it. 0; 1: the window is full, wait for the wake; -EPIPE: the server wants no more of it, as
 * its answer shows; -ENOMEM. */
int relay_write(struct relay_call *c, const char *data, size_t len);
void relay_write_end(struct relay_call *c);

enum relay_state {
    RELAY_WAITING,
    RELAY_ANSWERED,    /* the head is there */
    RELAY_UNREACHABLE, /* no connection */
    RELAY_BROKEN,      /* no proper answer */
    RELAY_TIMED_OUT,
};

enum relay_state relay_state(struct relay_call *c);

struct relay_header {
    const char *name, *value;
};

/* Of an answer; lives as long as the call. */
struct relay_head {
    int status;
    int64_t length; /* its Content-Length; -1 = not said */
    size_t n_headers;
    struct relay_header headers[RELAY_HEADERS_MAX];
};

const struct relay_head *relay_head(const struct relay_call *c);

/* The next bytes of the answer's body: their number, 0 = none yet, -ENODATA its end, -EIO it broke off. */
ssize_t relay_read(struct relay_call *c, char *to, size_t max);

struct relay_call *relay_ref(struct relay_call *c);
void relay_unref(struct relay_call *c);

/* Whatever was left of it is ended, by closing its connection. Nobody is woken any more. Idempotent; the
 * reference remains. */
void relay_end(struct relay_call *c);

#endif
