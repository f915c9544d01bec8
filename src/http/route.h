/* SPDX-License-Identifier: MIT */
/* The route table. A row is all there is to know about an endpoint before its handler runs; dispatch, OpenAPI
 * and the access tests read the same rows. */
#ifndef HTTP_ROUTE_H
#define HTTP_ROUTE_H

#include "http/body.h"
#include "http/reply.h"

enum http_method { HTTP_GET, HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE, HTTP_METHODS };

enum route_auth {
    AUTH_NONE,            /* public */
    AUTH_USER,            /* any active user */
    AUTH_ADMIN,           /* admin rights from the database */
    AUTH_SECRET,          /* the shared secret; nobody's token replaces it */
    AUTH_USER_OR_SECRET,  /* any active user; without a token, the shared secret */
    AUTH_ADMIN_OR_SECRET, /* admin rights; without a token, the shared secret */
    AUTH_USER_OR_SERVICE, /* as AUTH_USER_OR_SECRET, by the secret of the credentials service where one is set
                           */
};

enum route_access {
    READS,  /* read-only users may */
    WRITES, /* read-only users get 403 */
};

enum route_kind {
    FAST,     /* memory and indexed reads only: runs on the event thread */
    BLOCKING, /* plain sequential code: runs on the worker pool */
};

enum body_kind { BODY_NONE, BODY_FIELDS, BODY_JSON };

struct body_spec {
    enum body_kind kind;
    const struct field *fields;
    size_t size;      /* of the bound struct */
    size_t max_bytes; /* 0 = 1 MiB */
    bool secret;      /* it or its answer holds secrets: our copies are wiped, nothing may be cached */
    /* Told of a known caller who may not send it, before the refusal is sent; may be NULL. */
    void (*refused)(struct request *rq, enum error_id why);
};

/* clang-format off */
#define NO_BODY {.kind = BODY_NONE}
/* A JSON object bound by descriptors. */
#define BODY(strct, table) {.kind = BODY_FIELDS, .fields = (table), .size = sizeof(struct strct)}
#define BODY_MAX(strct, table, bytes) \
    {.kind = BODY_FIELDS, .fields = (table), .size = sizeof(struct strct), .max_bytes = (bytes)}
#define BODY_SECRET(strct, table, bytes, hook) \
    {.kind = BODY_FIELDS, \
     .fields = (table), \
     .size = sizeof(struct strct), \
     .max_bytes = (bytes), \
     .secret = true, \
     .refused = (hook)}
/* Any JSON value (or none), in rq->json. */
#define ANY_JSON {.kind = BODY_JSON}
/* clang-format on */

struct route {
    enum http_method method;
    const char *path; /* "/api/items/:collection/:id": a ":name" segment is a parameter */
    enum route_auth auth;
    enum route_access access;
    enum route_kind kind;
    reply (*handler)(struct request *rq);
    struct body_spec body;
    const char *summary;
};

/* clang-format off */
#define ROUTES_END {.path = NULL}
/* clang-format on */

struct route_set; /* the tables compiled for look-up; immutable, thread-safe */

/* Compiles tables (ended by NULL) of rows (ended by ROUTES_END). 0, -EEXIST for two equal rows,
 * -EINVAL for one with too many parameters or segments, or -ENOMEM. */
int routes_compile(const struct route *const *tables, struct route_set **ret);
void routes_free(struct route_set *set);

/* Finds the row for a method and path; parameters point into `path_copy`, which is cut up. Returns NULL if
 * there is none: then *ret_allowed is a bit set of the methods that the path has (0 = no such path). */
const struct route *routes_find(const struct route_set *set, enum http_method method, char *path_copy,
                                const char *params[REQUEST_MAX_PARAMS], unsigned *ret_allowed);

/* Calls visit for every row, in the order of the tables. */
void routes_each(const struct route_set *set, void (*visit)(void *ctx, const struct route *route), void *ctx);

const char *http_method_name(enum http_method method);

#endif
