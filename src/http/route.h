/* SPDX-License-Identifier: MIT */
/* The route table. A row is all there is to know about an endpoint before its handler runs; dispatch, OpenAPI
 * and the access tests read the same rows. */
#ifndef HTTP_ROUTE_H
#define HTTP_ROUTE_H

#include "http/body.h"
#include "http/reply.h"

struct sink;

enum http_method { HTTP_GET, HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE, HTTP_SEARCH, HTTP_METHODS };

enum route_auth {
    AUTH_NONE,  /* public */
    AUTH_USER,  /* any active user */
    AUTH_ADMIN, /* admin rights from the database */
};

enum route_access {
    READS,  /* read-only users may */
    WRITES, /* read-only users get 403 */
};

enum route_kind {
    FAST,     /* memory and indexed reads only: runs on the event thread */
    BLOCKING, /* plain sequential code: runs on the worker pool */
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
};

/* clang-format off */
#define NO_BODY {.kind = BODY_NONE}
/* A JSON object bound by descriptors. */
#define BODY(strct, table) {.kind = BODY_FIELDS, .fields = (table), .size = sizeof(struct strct)}
#define BODY_MAX(strct, table, bytes) \
    {.kind = BODY_FIELDS, .fields = (table), .size = sizeof(struct strct), .max_bytes = (bytes)}
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

/* Whether a row has a tail. */
bool routes_have_tail(const struct route_set *set);

const char *http_method_name(enum http_method method);

#endif
