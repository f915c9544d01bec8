/* SPDX-License-Identifier: MIT */
/* A streaming answer is a generator {next, stop}: the connection pulls what there is,
 * sleeps (suspended) while there is nothing, and is woken by the producer. stop is called exactly once on
 * every way out. Reference-counted; thread-safe. */
#ifndef HTTP_READER_H
#define HTTP_READER_H

#include "base/cleanup.h"
#include "http/sleeper.h"

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct reader;

struct reader_ops {
    /* Writes at most max bytes: their number, 0 = nothing at present (wake later), -1 = the end, -2 = it
     * broke off: the connection is closed, so that the client can tell. */
    ssize_t (*next)(void *ctx, char *to, size_t max);
    /* The connection is done with it; ctx may be freed. */
    void (*stop)(void *ctx);
};

/* NULL without memory (then stop is not called). */
struct reader *reader_new(const struct reader_ops *ops, void *ctx);
struct reader *reader_ref(struct reader *r);
void reader_unref(struct reader *r);
DEFINE_CLEANUP(struct reader *, reader_unref);

/* The producer has something. May be called with the producer's locks held. */
void reader_wake(struct reader *r);

/* How it sleeps. When that says that the client has left, the connection is closed at the next pull, which
 * comes at once. */
struct sleeper *reader_sleeper(struct reader *r);

/* Makes libmicrohttpd's answer of it; the answer takes a reference over. length: of all of it, or
 * MHD_SIZE_UNKNOWN. plain: for a client that knows no chunks (HTTP/1.0). NULL without memory. */
struct MHD_Response *reader_response(struct reader *r, struct MHD_Connection *connection, uint64_t length,
                                     bool plain);

/* Ends it where no answer was made. */
void reader_drop(struct reader *r);

#endif
