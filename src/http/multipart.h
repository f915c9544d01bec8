/* SPDX-License-Identifier: MIT */
/* multipart/form-data (RFC 7578), read as it arrives: bytes are pushed in pieces of any size, parts come out
 * as events. Pure: it keeps only the part's header lines; content goes through as it comes. Not thread-safe.
 *
 *   struct multipart m;
 *   if (multipart_init(&m, content_type, &events, ctx) < 0) …
 *   while (bytes) multipart_push(&m, data, len);
 *   multipart_end(&m); multipart_free(&m); */
#ifndef HTTP_MULTIPART_H
#define HTTP_MULTIPART_H

#include "base/buf.h"

#define MULTIPART_BOUNDARY_MAX 70 /* RFC 2046 */
#define MULTIPART_HEADERS_MAX 4096
#define MULTIPART_PARTS_MAX 100

/* A part's headers. Texts are valid during the event; bytes as sent, without NUL, not necessarily UTF-8. */
struct multipart_part {
    const char *name;
    const char *filename; /* NULL: a field; else as sent, or decoded from filename* */
    const char *type;     /* its Content-Type, NULL if none */
};

/* Each returns 0, or a negative errno that ends the reading. */
struct multipart_events {
    int (*begin)(void *ctx, const struct multipart_part *part);
    int (*data)(void *ctx, const char *data, size_t len); /* len > 0 */
    int (*end)(void *ctx);
};

enum multipart_state {
    MULTIPART_PREAMBLE,
    MULTIPART_AFTER_DELIMITER,
    MULTIPART_CLOSING, /* one "-" was read */
    MULTIPART_LINE_END,
    MULTIPART_HEADERS,
    MULTIPART_CONTENT,
    MULTIPART_EPILOGUE,
};

struct multipart {
    const struct multipart_events *events;
    void *ctx;
    enum multipart_state state;
    char delimiter[4 + MULTIPART_BOUNDARY_MAX]; /* CR LF -- boundary */
    size_t delimiter_len, matched;              /* bytes of it that were just seen */
    struct buf headers;
    int parts;
    int failed;
};

/* content_type: the request's, with its boundary. 0, or -EINVAL where it has no usable one. events must
 * outlive m. */
int multipart_init(struct multipart *m, const char *content_type, const struct multipart_events *events,
                   void *ctx);

/* 0; -EINVAL malformed; -E2BIG too many parts or too long headers; -ENOMEM; or what an event returned. After
 * a failure every call returns it again. */
int multipart_push(struct multipart *m, const char *data, size_t len);

/* 0 if the last part was closed properly, else -EINVAL or the failure. */
int multipart_end(struct multipart *m);

void multipart_free(struct multipart *m);

#endif
