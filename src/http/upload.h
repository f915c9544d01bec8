/* SPDX-License-Identifier: MIT */
/* A form with at most one file, sent as multipart/form-data: what a route with UPLOAD or …_OR_UPLOAD in its
 * row finds in rq->upload. The file was written as it arrived, by workers, into a file without a name in
 * MEDIA_TMP_DIR; nothing of it is left unless upload_keep gives it a name. All of it lives as long as the
 * request.
 *
 *   static reply files_create(struct request *rq)
 *   {
 *       const struct upload *in = rq->upload;
 *       if (!in || in->fd < 0)
 *           return reply_field_error(rq, ERR_MISSING_FIELD, "file", NULL);
 *       const char *title = upload_field(in, "title");
 *       …
 *       int r = upload_keep(in, path); */
#ifndef HTTP_UPLOAD_H
#define HTTP_UPLOAD_H

#include "base/config.h"
#include "http/request.h"
#include "http/sink.h"

#include <stddef.h>
#include <stdint.h>

#define UPLOAD_FIELDS_MAX 64
#define UPLOAD_FIELD_MAX ((size_t)64 * 1024)     /* bytes of one value */
#define UPLOAD_FRAMING_MAX ((size_t)1024 * 1024) /* of the body beside the file: fields and headers */
#define UPLOAD_NAME_MAX 255                      /* bytes of a file's name */

struct upload_field {
    const char *name, *value; /* UTF-8 */
};

struct upload {
    const struct upload_field *fields; /* in the order sent */
    size_t n_fields;
    int fd;               /* the file, to be read with pread; -1 = none was sent */
    int64_t size;         /* its bytes */
    const char *part;     /* the name of its part ("file") */
    const char *name;     /* its own: UTF-8 without directories, control characters or blanks around */
    const char *type;     /* the Content-Type it was sent with: a claim. NULL if none */
    size_t fields_before; /* fields that were sent before it (Directus heeds only those) */
    /* SHA-256 of its bytes (of none where none was sent), where the request has an Idempotency-Key and the
     * route takes one; else NULL */
    const uint8_t *digest;
};

/* The value of the first field of that name, or NULL. */
const char *upload_field(const struct upload *u, const char *name);

/* Puts the file at `path`, which must not exist, flushed to the disk with its directory entry; readable by
 * the owner alone. Blocking: worker threads. 0, -EEXIST, -ENOSPC or another negative errno; then nothing is
 * there. */
int upload_keep(const struct upload *u, const char *path);

/* Writes into `to` (of UPLOAD_NAME_MAX + 1 bytes) what is kept of a client's name for a file; never empty. */
void upload_clean_name(const char *sent, char *to);

/* The bytes a file may have: max, or MAX_UPLOAD_MB for 0. */
size_t upload_limit(const struct config *cfg, size_t max);

/* Private to src/http: the sink of such a body. */
struct sink *upload_open(struct request *rq);

#endif
