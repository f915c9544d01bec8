/* SPDX-License-Identifier: MIT */
/* Answers. A handler ends with `return reply_…(rq, …)`; the wire is written in one place (reply.c), and only
 * what is returned last counts. Handler's thread. */
#ifndef HTTP_REPLY_H
#define HTTP_REPLY_H

#include "http/request.h"

#define REPLY_JSON_TYPE "application/json; charset=utf-8"

struct reader;

/* What a handler returns; made only by the functions below. */
typedef struct {
    int status;
} reply;

/* A JSON object by jansson's pack format: reply_json(rq, 200, "{s:b, s:I}", "ok", 1, "n", n). */
reply reply_json(struct request *rq, int status, const char *fmt, ...);

/* A JSON value; takes the reference over. NULL (no memory) becomes a 500. */
reply reply_value(struct request *rq, int status, json_t *value);

/* Bytes that live as long as the request (its arena) or for ever. type: Content-Type. */
reply reply_bytes(struct request *rq, int status, const char *type, const char *data, size_t len);

/* `size` bytes of an open regular file from `at` on, which the server reads and sends by itself as fast as
 * the client takes them: no worker waits, and no more of it is in memory than is on its way. Takes fd over
 * (>= 0), whatever happens. */
reply reply_file(struct request *rq, int status, const char *type, int fd, int64_t at, int64_t size);

/* Without a body (204). */
reply reply_empty(struct request *rq, int status);

/* An error of the table, in the shape that the path's clients expect. sentence NULL = the table's own; field
 * NULL = no single field is to blame. */
reply reply_error(struct request *rq, enum error_id error, const char *sentence);
reply reply_field_error(struct request *rq, enum error_id error, const char *field, const char *sentence);

/* The error for a store's negative errno: -ETIMEDOUT, -ENOSPC, -EIO … → 503 store_unavailable; -EEXIST
 * → 409; -ECANCELED (of idempotency_settle_unit) → 409 idempotency_in_progress. */
reply reply_store_error(struct request *rq, int r);

/* From a FAST_FIRST handler that may not wait (rq->may_wait) and would have to: nothing is answered, and the
 * handler runs again on a worker, where it may. */
reply reply_later(struct request *rq);

/* Adds a header to the answer; the texts are copied. Before the reply is returned. */
void reply_header(struct request *rq, const char *name, const char *value);

/* The same, though there may be one of that name already (several Link, Set-Cookie …). */
void reply_header_more(struct request *rq, const char *name, const char *value);

/* What the reader gives (http/reader.h); takes its reference over. length -1: unknown. To HEAD nothing of it
 * is sent; it is not for 204 and 304. For server-sent events see http/events.h. */
reply reply_stream(struct request *rq, int status, struct reader *reader, int64_t length);

#endif
