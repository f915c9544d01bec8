/* SPDX-License-Identifier: MIT */
/* What the dispatcher needs the store for before and after a handler: counting requests, and keeping answers
 * under idempotency keys. The layer that has the store implements it; each function may wait, and runs on a
 * worker. */
#ifndef HTTP_LIMITS_H
#define HTTP_LIMITS_H

#include "http/route.h"

#define IDEMPOTENCY_DIGEST_SIZE 32

struct idempotency_claim; /* a key that is being worked for; defined by the layer that has the store */

struct rate_outcome {
    bool allowed;
    int64_t remaining, reset_s; /* seconds to the end of the window, at least 1 */
};

struct idempotent_request {
    const char *scope, *route, *key;         /* who asks; texts live as long as the request */
    uint8_t digest[IDEMPOTENCY_DIGEST_SIZE]; /* of path, query and body */
};

enum idempotency_outcome {
    IDEMPOTENCY_RUN,         /* nobody has done this: the claim is the caller's, to be settled or released */
    IDEMPOTENCY_REPLAY,      /* done, and here is the answer */
    IDEMPOTENCY_NOT_KEPT,    /* done, but the answer was too large to be kept */
    IDEMPOTENCY_IN_PROGRESS, /* somebody is at it */
    IDEMPOTENCY_MISMATCH,    /* the key belongs to another request */
};

struct idempotency_found {
    enum idempotency_outcome outcome;
    struct idempotency_claim *claim; /* of RUN, in the arena */
    int status;                      /* of REPLAY */
    const char *body;                /* of REPLAY, in the arena; "" = none */
};

struct http_limits {
    void *ctx;
    /* Counts one request: 0 and *ret, or a negative errno when it couldn't be counted. */
    int (*count)(void *ctx, const struct rate_limit *limit, const char *client_ip, struct rate_outcome *ret);
    /* 0 and *ret, or a negative errno: then nothing may run. */
    int (*claim)(void *ctx, const struct idempotent_request *in, struct arena *a,
                 struct idempotency_found *ret);
    /* Keeps an answer; body NULL = too large to be kept. */
    int (*settle)(void *ctx, const struct idempotency_claim *claim, int status, const char *body);
    /* Gives the key back, so that the request may be tried again; unless the handler's own unit settled it.
     */
    int (*release)(void *ctx, const struct idempotency_claim *claim);
};

#endif
