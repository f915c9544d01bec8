/* SPDX-License-Identifier: MIT */
/* One request as a handler sees it. It lives from its headers to the end of its answer; everything in its
 * arena dies with it. Only one thread holds it at a time. */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include "base/arena.h"
#include "base/error.h"
#include "base/json.h"

#include <stdbool.h>
#include <stddef.h>

#define REQUEST_MAX_PARAMS 4

struct config;
struct pool;
struct app;      /* the services handlers use; defined by the layer that owns the handlers */
struct identity; /* who asks; defined by auth */
struct route;
struct route_set;
struct idempotency_claim;
struct http_exchange; /* the server's side of it */
struct upload;

struct request {
    const struct route *route;
    struct app *app;
    struct arena arena;
    const char *id;                         /* X-Request-Id */
    const char *path;                       /* decoded path */
    const char *client_ip;                  /* the socket's, or the one a trusted proxy named */
    const char *params[REQUEST_MAX_PARAMS]; /* path parameters in order of the route's path */
    struct identity *who; /* NULL on public routes, and by_secret without a token; owned by the request */
    bool by_secret;       /* let in by a shared secret, as a service (http/secret.h) */
    bool may_wait;        /* runs on a worker; else the handler may not wait for anything */
    void *body;           /* the bound struct of the route's descriptors */
    const struct upload *upload; /* what came as multipart/form-data (http/upload.h), else NULL */
    void *query;                 /* the bound struct of the route's query descriptors */
    json_t *json; /* the whole body as parsed, NULL where there was none; owned by the request */
    /* Not NULL where the client sent an Idempotency-Key: a handler that writes in one unit settles it there
     * (limits/idempotency.h), so that the effect and the kept answer are never apart. */
    const struct idempotency_claim *claim;
    struct http_exchange *exchange;
};

/* A request header or query parameter (decoded), NULL if absent; lives as long as the request. */
const char *request_header(const struct request *rq, const char *name);
const char *request_query(const struct request *rq, const char *name);

/* Calls visit(ctx, name, value) for each query parameter, in order; value is "" where there is none. */
void request_each_query(const struct request *rq,
                        void (*visit)(void *ctx, const char *name, const char *value), void *ctx);

/* Calls visit(ctx, name, value) for each header line, in order. */
void request_each_header(const struct request *rq,
                         void (*visit)(void *ctx, const char *name, const char *value), void *ctx);

/* The method and the target (path and query) as the client sent them, byte for byte. The target is kept only
 * where a route has a tail; else NULL. */
const char *request_method(const struct request *rq);
const char *request_target(const struct request *rq);

/* The address of the socket, whoever may have named another one; and whether it is a trusted proxy's. */
const char *request_peer(const struct request *rq);
bool request_peer_is_trusted(const struct request *rq);

/* A whole number from the query within [min, max]: 0 (the default where absent) or -EINVAL. */
int request_query_int(const struct request *rq, const char *name, int64_t fallback, int64_t min, int64_t max,
                      int64_t *ret);

/* The token that says who asks: that of the Authorization header, else the session cookie's where that
 * counts (http/session_cookie.h). NULL for none, for "null" (a logged-out client) and for other schemes. */
const char *request_token(struct request *rq);

/* The value of a cookie in the arena, or NULL. */
const char *request_cookie(struct request *rq, const char *name);

/* Whether the peer is this machine and nothing says that it forwards for somebody else. */
bool request_is_local(const struct request *rq);

/* Whether the client's side of the connection is TLS (a trusted proxy says X-Forwarded-Proto: https). */
bool request_is_tls(const struct request *rq);

/* The settings, and the workers for what waits. */
const struct config *request_config(const struct request *rq);
struct pool *request_workers(const struct request *rq);

/* The routes that are served. */
const struct route_set *request_routes(const struct request *rq);

#endif
