/* SPDX-License-Identifier: MIT */
/* The route table. A row is all there is to know about an endpoint before its handler runs; dispatch, OpenAPI
 * and the access tests read the same rows. */
#ifndef HTTP_ROUTE_H
#define HTTP_ROUTE_H

#include "http/answer.h"
#include "http/body.h"
#include "http/reply.h"

struct sink;

/* SEARCH is a GET whose query comes as a body (Directus); the OpenAPI document has no place for it. */
enum http_method { HTTP_GET, HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE, HTTP_SEARCH, HTTP_METHODS };

enum route_auth {
    AUTH_NONE,            /* public */
    AUTH_USER,            /* any active user */
    AUTH_ADMIN,           /* admin rights from the database */
    AUTH_SECRET,          /* the shared secret; nobody's token replaces it */
    AUTH_USER_OR_SECRET,  /* any active user; without a token, the shared secret */
    AUTH_ADMIN_OR_SECRET, /* admin rights; without a token, the shared secret */
    AUTH_USER_OR_PUBLIC,  /* any active user; where SKILLS_PUBLIC_READ is on, everybody (who is NULL then) */
    AUTH_USER_OR_SERVICE, /* as AUTH_USER_OR_SECRET, by the secret of the credentials service where one is set
                           */
};

enum route_access {
    READS,  /* read-only users may */
    WRITES, /* read-only users get 403 */
};

enum route_kind {
    FAST,       /* memory and indexed reads only: runs on the event thread */
    FAST_FIRST, /* the same; where memory doesn't know, reply_later() and once more on the worker pool */
    BLOCKING,   /* plain sequential code: runs on the worker pool */
    MODEL,      /* the same, but waits for a language model: runs on a pool of its own, so that slow models
                   don't hold what all others need. Where its queue is full: 503 model_busy */
};

enum body_kind {
    BODY_NONE,
    BODY_FIELDS,
    BODY_JSON,
    BODY_UPLOAD, /* multipart/form-data alone */
    BODY_STREAM, /* goes to a sink of the route's own as it arrives, whatever its type */
};

struct body_spec {
    enum body_kind kind;
    const struct field *fields;
    size_t size;                              /* of the bound struct */
    size_t max_bytes;                         /* 0 = 1 MiB; of a stream: 0 = MAX_UPLOAD_MB */
    bool upload;                              /* multipart/form-data with one file is taken, too */
    size_t max_file;                          /* bytes of that file; 0 = MAX_UPLOAD_MB */
    struct sink *(*open)(struct request *rq); /* of a stream: see http/sink.h. NULL: the reply stands */
    bool secret;        /* it or its answer holds secrets: our copies are wiped, nothing may be cached */
    bool secret_answer; /* the answer does: it isn't kept for an Idempotency-Key either */
    /* Told of a known caller who may not send it, before the refusal is sent; may be NULL. */
    void (*refused)(struct request *rq, enum error_id why);
};

/* Query parameters by descriptors: bound into rq->query, or (QUERY_SEEN) read by the handler itself and only
 * described here. A list is a text with commas. */
struct query_spec {
    const struct field *fields;
    size_t size; /* of the bound struct; 0: none */
};

/* clang-format off */
#define QUERY(strct, table) {.fields = (table), .size = sizeof(struct strct)}
#define QUERY_SEEN(table) {.fields = (table)}
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
     .secret_answer = true, \
     .refused = (hook)}
/* The answer holds no secret: the row may be idempotent. */
#define BODY_SECRET_IN(strct, table) \
    {.kind = BODY_FIELDS, .fields = (table), .size = sizeof(struct strct), .secret = true}
/* Any JSON value (or none), in rq->json. */
#define ANY_JSON {.kind = BODY_JSON}
/* A form with a file, in rq->upload (http/upload.h); its rows are BLOCKING. */
#define UPLOAD(file_bytes) {.kind = BODY_UPLOAD, .upload = true, .max_file = (file_bytes)}
/* JSON or such a form, by its Content-Type: rq->upload is NULL for JSON. */
#define BODY_OR_UPLOAD(strct, table, file_bytes) \
    {.kind = BODY_FIELDS, .fields = (table), .size = sizeof(struct strct), .upload = true, \
     .max_file = (file_bytes)}
#define ANY_JSON_OR_UPLOAD(file_bytes) {.kind = BODY_JSON, .upload = true, .max_file = (file_bytes)}
/* Bytes for the sink that open makes; rq->body is open's to set. */
#define STREAM(open_sink, bytes) {.kind = BODY_STREAM, .open = (open_sink), .max_bytes = (bytes)}
/* clang-format on */

/* How often one client (IPv6: one /64) may ask, failures too. It is counted at the headers, before anything
 * else, by all servers on one store together; so its name must not change. */
struct rate_limit {
    const char *name;
    int64_t limit, window_s;
};

#define RATE_WINDOW_MAX_S 86400

/* The columns behind the summary are named where a row needs them: {…, "Summary", .idempotent = true}. */
struct route {
    enum http_method method;
    const char *path; /* "/api/items/:collection/:id": a ":name" segment is a parameter; a last segment "*"
                       * stands for one or more of any kind */
    enum route_auth auth;
    enum route_access access;
    enum route_kind kind;
    reply (*handler)(struct request *rq);
    struct body_spec body;
    const char *summary;
    struct query_spec query;
    struct answer_spec answer;
    const struct rate_limit *rate; /* NULL: none */
    bool idempotent; /* creates or bills: takes Idempotency-Key. BLOCKING or MODEL; its answers hold no
                        secrets */
};

/* clang-format off */
#define ROUTES_END {.path = NULL}
/* clang-format on */

struct route_set; /* the tables compiled for look-up; immutable, thread-safe */

/* Compiles tables (ended by NULL) of rows (ended by ROUTES_END). 0, -EEXIST for two equal rows, -EINVAL for
 * one with too many parameters or segments or columns that don't go together, or -ENOMEM. */
int routes_compile(const struct route *const *tables, struct route_set **ret);
void routes_free(struct route_set *set);

/* Finds the row for a method and path; parameters point into `path_copy`, which is cut up. Returns NULL if
 * there is none: then *ret_allowed is a bit set of the methods that the path has (0 = no such path). */
const struct route *routes_find(const struct route_set *set, enum http_method method, char *path_copy,
                                const char *params[REQUEST_MAX_PARAMS], unsigned *ret_allowed);

/* Calls visit for every row, in the order of the tables. */
void routes_each(const struct route_set *set, void (*visit)(void *ctx, const struct route *route), void *ctx);

/* Whether a row has a tail. */
bool routes_have_tail(const struct route_set *set);

const char *http_method_name(enum http_method method);

#endif
