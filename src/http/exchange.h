/* SPDX-License-Identifier: MIT */
/* Private to src/http: the server's side of one request, shared by server.c (libmicrohttpd), dispatch.c (what
 * happens to it), request.c (what handlers ask of it) and reply.c (what goes on the wire). */
#ifndef HTTP_EXCHANGE_H
#define HTTP_EXCHANGE_H

#include "base/buf.h"
#include "base/uuid.h"
#include "http/request.h"
#include "http/route.h"
#include "http/server.h"

#include <microhttpd.h>
#include <netinet/in.h>
#include <stdatomic.h>

struct peer;
struct reader;
struct sink;

struct http_server {
    const struct config *config;
    struct http_auth auth;
    struct http_limits limits;
    struct pool *workers, *model_workers;
    struct app *app;
    struct route_set *routes;
    bool keeps_targets; /* as sent: a route with a tail wants them */
    struct MHD_Daemon *daemon;
    struct peers *peers;
    atomic_size_t held_bodies; /* bytes of all bodies that wait to be read */
    atomic_int exchanges;      /* requests in work */
    atomic_bool stopping;      /* no request is begun any more */
};

struct reply_header_line {
    const char *name, *value; /* in the request's arena, or static */
    struct reply_header_line *next;
};

enum exchange_phase {
    PHASE_BODY,    /* the body is arriving (or there is none) */
    PHASE_COUNTED, /* its headers were counted on a worker, while it slept */
    PHASE_OPENING, /* suspended; a worker decides at the headers whether the body may come */
    PHASE_OPENED,  /* it has decided */
    PHASE_WORKING, /* suspended; a worker has it */
    PHASE_ANSWER,  /* the reply is made and must be queued */
    PHASE_SENT,    /* queued */
};

struct http_exchange {
    struct request rq;
    struct http_server *server;
    struct MHD_Connection *connection;
    struct peer *peer;
    const char *peer_ip; /* the socket's own address, as text */
    enum exchange_phase phase;
    enum http_method method;
    const char *method_name; /* as sent */
    bool http_1_0;           /* knows no chunks: a stream goes out as it is */
    bool refused;            /* the reply stands already; what still arrives of the body is thrown away */
    bool hang_up;            /* close the connection behind the reply, which is sent without reading on */
    bool needs_store;        /* the identity has to be resolved on a worker */
    bool later;              /* the handler wants to be run again where it may wait */
    struct sink *(*open)(struct request *rq); /* NULL where the body is collected in `body` */
    struct sink *sink;                        /* a reference, until the end or the refusal */
    struct buf body;                          /* its maximum goes for bodies that a sink takes, too */
    size_t held;                              /* bytes of the body, as counted by the server */
    size_t received;
    int64_t started_us;
    const char *idempotency_key; /* NULL: none, or the route takes none */
    uint8_t digest[IDEMPOTENCY_DIGEST_SIZE];
    json_t *query; /* what rq.query's texts live in */

    /* the reply */
    int status;
    const char *data;
    size_t len;
    struct reply_header_line *headers;
    struct reader *stream; /* instead of data; a reference */
    int64_t stream_length; /* -1 = unknown */
    int file;              /* instead of data: `len` bytes of it, from file_at; owned. -1: none */
    int64_t file_at;

    /* texts that outlive the arena where the answer is a stream */
    char made_id[UUID_SIZE], peer_text[INET6_ADDRSTRLEN], client_text[INET6_ADDRSTRLEN];
};

/* What dispatch decides at the headers: whether to go on reading, or the reply stands (x->refused). False if
 * the connection sleeps until a worker has counted it, and x must not be touched; then comes
 * dispatch_counted(). */
bool dispatch_headers(struct http_exchange *x, const char *method, const char *url);
void dispatch_counted(struct http_exchange *x);

/* The headers are good and the body goes to a sink: true if it was opened or refused; false if the connection
 * sleeps until a worker has done so, and x must not be touched. */
bool dispatch_open(struct http_exchange *x);

/* The request is whole: true if the reply stands now; false if the connection sleeps until a worker has made
 * it, and x must not be touched. */
bool dispatch_run(struct http_exchange *x);

/* query.c: binds the query by the row's descriptors; false where the reply stands. */
bool query_bind(struct http_exchange *x);

enum error_shape { ERROR_PLAIN, ERROR_WITH_SUCCESS, ERROR_OF_DIRECTUS };

/* In which shape the clients of a path expect errors. */
enum error_shape error_shape(const char *path);

/* Makes the reply that stands instead of the handler's. */
reply dispatch_refuse(struct http_exchange *x, enum error_id error, const char *sentence);

/* rate.c: the connection sleeps until a worker has counted the request, or refused it. */
void rate_count(struct http_exchange *x);

/* idempotency.c, in this order: false where the reply stands. Settling comes when the handler has replied. */
bool idempotency_read_key(struct http_exchange *x);
bool idempotency_digest(struct http_exchange *x);
bool idempotency_claim(struct http_exchange *x);
void idempotency_settle(struct http_exchange *x);

/* The X-Forwarded-For lines of a request as one list, in its arena; NULL if there is none. */
const char *request_forwarded_for(struct request *rq);

/* Whether so many bytes more may be kept for this request; exchange_drop_body gives them back. */
bool exchange_hold(struct http_exchange *x, size_t size);

/* Frees the body and gives its bytes back to the others. */
void exchange_drop_body(struct http_exchange *x);

/* Adds the headers that every answer has. */
void reply_common_headers(struct http_exchange *x);

#endif
