/* SPDX-License-Identifier: MIT */
/* One outgoing HTTP request, done whole: for flow steps, embeddings and probes. Blocking; call from worker
 * threads. Every wait has a limit and ends soon (100 ms) after `cancel` is raised. */
#ifndef NET_FETCH_H
#define NET_FETCH_H

#include "base/buf.h"
#include "base/cancel.h"

struct fetch_field {
    const char *name, *value; /* ended by one without a name */
};

/* multipart/form-data: fields, then one part "file", which is read from its descriptor as it is sent. */
struct fetch_form {
    const struct fetch_field *fields;
    const char *name, *type; /* of the file; no control characters */
    int fd;                  /* read from its beginning with pread */
    int64_t bytes;
};

struct fetch_request {
    const char *method; /* NULL = GET */
    const char *url;
    const char *const *headers; /* "Name: value" strings, ended by NULL; may be NULL */
    const char *body;           /* may be NULL; name its Content-Type in headers */
    size_t body_len;
    const struct fetch_form *form; /* instead of a body; may be NULL */
    int64_t connect_timeout_ms;    /* 0 = 5 s */
    int64_t timeout_ms;            /* of the whole; 0 = 30 s */
    size_t max_body;               /* bytes of the answer; 0 = 1 MiB; more is -EMSGSIZE */
    int64_t idle_ms;               /* in which nothing comes; whole seconds; 0 = the whole's limit alone */
    /* Takes the answer's body as it comes, instead of response->body: 0, or a negative errno that ends it.
     * Whatever its status is; NULL = none. */
    int (*sink)(void *ctx, const char *data, size_t len);
    void *sink_ctx;
    int max_redirects;     /* 0 = none are followed */
    bool public_only;      /* the guard applies, to each redirect too */
    struct cancel *cancel; /* may be NULL */
};

struct fetch_response {
    int status;
    char content_type[128]; /* "" if none */
    struct buf body;        /* owned; freed by fetch_response_free */
    char error[160];        /* a sentence without secrets, when fetch() fails */
};

void fetch_response_free(struct fetch_response *response);

/* 0 whatever the HTTP status; what the sink returned; -ECANCELED, -ETIMEDOUT, -EACCES (the guard refused),
 * -EMSGSIZE, -EINVAL (bad URL), -ECONNREFUSED, -ENOMEM or -EIO (everything else). response may be freed in
 * every case. The process must ignore SIGPIPE. */
int fetch(const struct fetch_request *request, struct fetch_response *response);

#endif
