/* SPDX-License-Identifier: MIT */
/* Error shapes differ by client family, so the path's prefix chooses one of three writers; everything else is
 * common. */
#include "http/reply.h"

#include "base/config.h"
#include "base/log.h"
#include "base/text.h"
#include "http/exchange.h"
#include "http/reader.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

static reply set(struct request *rq, int status, const char *type, const char *data, size_t len)
{
    struct http_exchange *x = rq->exchange;
    if (x->stream) {
        reader_drop(x->stream);
        reader_unref(x->stream);
        x->stream = NULL;
    }
    if (x->file >= 0)
        (void)close(TAKE_FD(x->file));
    x->status = status;
    x->data = data;
    x->len = len;
    if (type)
        reply_header(rq, "Content-Type", type);
    return (reply){status};
}

reply reply_bytes(struct request *rq, int status, const char *type, const char *data, size_t len)
{
    return set(rq, status, type, data, len);
}

reply reply_file(struct request *rq, int status, const char *type, int fd, int64_t at, int64_t size)
{
    reply r = set(rq, status, type, "", size > 0 ? (size_t)size : 0);
    if (size > 0) {
        rq->exchange->file = fd;
        rq->exchange->file_at = at;
    } else {
        (void)close(fd);
    }
    return r;
}

reply reply_empty(struct request *rq, int status)
{
    return set(rq, status, NULL, "", 0);
}

reply reply_later(struct request *rq)
{
    rq->exchange->later = true;
    return (reply){0};
}

reply reply_stream(struct request *rq, int status, struct reader *reader, int64_t length)
{
    (void)set(rq, status, NULL, "", 0);
    rq->exchange->stream = reader;
    rq->exchange->stream_length = length;
    return (reply){status};
}

/* For when there is no memory to say anything better. */
static reply bare_error(struct request *rq)
{
    static const char text[] =
        "{\"ok\":false,\"error\":\"Something went wrong on our side\",\"code\":\"internal_error\"}";
    return set(rq, 500, REPLY_JSON_TYPE, text, sizeof text - 1);
}

reply reply_value(struct request *rq, int status, json_t *value)
{
    _cleanup_json_ json_t *owned = value;
    const char *text = owned ? json_text(&rq->arena, owned) : NULL;
    if (!text)
        return bare_error(rq);
    return set(rq, status, REPLY_JSON_TYPE, text, strlen(text));
}

reply reply_json(struct request *rq, int status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    json_t *value = json_vpack_ex(NULL, 0, fmt, ap);
    va_end(ap);
    return reply_value(rq, status, value);
}

void reply_header(struct request *rq, const char *name, const char *value)
{
    struct http_exchange *x = rq->exchange;
    struct reply_header_line *line = x->headers;
    while (line && !str_equal_nocase(line->name, name))
        line = line->next;
    if (line && !str_equal_nocase(name, "Set-Cookie")) {
        line->value = arena_strdup(&rq->arena, value);
        return;
    }
    reply_header_more(rq, name, value);
}

void reply_header_more(struct request *rq, const char *name, const char *value)
{
    struct http_exchange *x = rq->exchange;
    struct reply_header_line *line = arena_alloc(&rq->arena, sizeof *line);
    if (!line)
        return;
    *line = (struct reply_header_line){arena_strdup(&rq->arena, name), arena_strdup(&rq->arena, value),
                                       x->headers};
    if (line->name && line->value)
        x->headers = line;
}

/* Directus 11's words for our errors: a client of /api/directus sees what Directus itself would say. */
static const struct {
    enum error_id error;
    int status;
    const char *code;
} directus_errors[] = {
    {ERR_BAD_REQUEST, 400, "INVALID_PAYLOAD"},
    {ERR_MALFORMED_JSON, 400, "INVALID_PAYLOAD"},
    {ERR_MALFORMED_UPLOAD, 400, "INVALID_PAYLOAD"},
    {ERR_MISSING_FIELD, 400, "INVALID_PAYLOAD"},
    {ERR_INVALID_FIELD, 400, "INVALID_PAYLOAD"},
    {ERR_INVALID_QUERY, 400, "INVALID_QUERY"},
    {ERR_FIELD_NOT_ALLOWED, 403, "FORBIDDEN"},
    {ERR_UNAUTHORIZED, 401, "INVALID_CREDENTIALS"},
    {ERR_TOKEN_EXPIRED, 401, "TOKEN_EXPIRED"},
    {ERR_SUSPENDED, 401, "USER_SUSPENDED"},
    {ERR_FORBIDDEN, 403, "FORBIDDEN"},
    {ERR_READ_ONLY, 403, "FORBIDDEN"},
    {ERR_TIER_LIMIT, 403, "LIMIT_EXCEEDED"},
    {ERR_NOT_FOUND, 404, "ROUTE_NOT_FOUND"},
    {ERR_METHOD_NOT_ALLOWED, 405, "METHOD_NOT_ALLOWED"},
    {ERR_CONFLICT, 400, "RECORD_NOT_UNIQUE"},
    {ERR_INVALID_IDEMPOTENCY_KEY, 400, "INVALID_IDEMPOTENCY_KEY"},
    {ERR_IDEMPOTENCY_IN_PROGRESS, 409, "IDEMPOTENCY_IN_PROGRESS"},
    {ERR_IDEMPOTENCY_NOT_KEPT, 409, "IDEMPOTENCY_NOT_KEPT"},
    {ERR_IDEMPOTENCY_MISMATCH, 422, "IDEMPOTENCY_MISMATCH"},
    {ERR_TOO_LARGE, 413, "CONTENT_TOO_LARGE"},
    {ERR_STORAGE_LIMIT, 413, "STORAGE_LIMIT_REACHED"},
    {ERR_RANGE_NOT_SATISFIABLE, 416, "RANGE_NOT_SATISFIABLE"},
    {ERR_UNSUPPORTED_TYPE, 415, "UNSUPPORTED_MEDIA_TYPE"},
    {ERR_RATE_LIMITED, 429, "REQUESTS_EXCEEDED"},
    {ERR_STORE_UNAVAILABLE, 503, "SERVICE_UNAVAILABLE"},
    {ERR_STORAGE_FULL, 503, "SERVICE_UNAVAILABLE"},
    {ERR_OVERLOADED, 503, "SERVICE_UNAVAILABLE"},
};

/* Who says nothing is, to Directus, the public, which may do nothing here; a broken JWT is not a wrong
 * password. */
static void directus_nobody(struct request *rq, int *status, const char **code, const char **sentence)
{
    const char *token = request_token(rq);
    if (token && !str_has_prefix(token, "eyJ"))
        return;
    *status = 403;
    *code = token ? "INVALID_TOKEN" : "FORBIDDEN";
    *sentence = token ? "Invalid token" : error_info(ERR_FORBIDDEN)->sentence;
}

static reply directus_error(struct request *rq, enum error_id error, const char *sentence)
{
    int status = 500;
    const char *code = "INTERNAL_SERVER_ERROR";
    for (size_t i = 0; i < ARRAY_LEN(directus_errors); i++)
        if (directus_errors[i].error == error) {
            status = directus_errors[i].status;
            code = directus_errors[i].code;
        }
    if (error == ERR_UNAUTHORIZED)
        directus_nobody(rq, &status, &code, &sentence);
    return reply_json(rq, status, "{s:[{s:s, s:{s:s}}]}", "errors", "message", sentence, "extensions", "code",
                      code);
}

enum error_shape error_shape(const char *path)
{
    if (str_has_prefix(path, "/api/directus"))
        return ERROR_OF_DIRECTUS;
    bool says_success = str_has_prefix(path, "/api/skills") || str_has_prefix(path, "/api/credentials");
    return says_success ? ERROR_WITH_SUCCESS : ERROR_PLAIN;
}

reply reply_field_error(struct request *rq, enum error_id error, const char *field, const char *sentence)
{
    const struct error_info *info = error_info(error);
    if (!sentence || !utf8_valid(sentence, strlen(sentence)))
        sentence = info->sentence;
    if (info->status == 503 || error == ERR_IDEMPOTENCY_IN_PROGRESS)
        reply_header(rq, "Retry-After", "1");
    enum error_shape shape = error_shape(rq->path);
    if (shape == ERROR_OF_DIRECTUS)
        return directus_error(rq, error, sentence);
    json_t *body = json_pack("{s:b, s:s, s:s}", "ok", 0, "error", sentence, "code", info->code);
    if (body && field)
        (void)json_object_set_new(body, "field", json_string(field));
    if (body && shape == ERROR_WITH_SUCCESS)
        (void)json_object_set_new(body, "success", json_false());
    return reply_value(rq, info->status, body);
}

reply reply_error(struct request *rq, enum error_id error, const char *sentence)
{
    return reply_field_error(rq, error, NULL, sentence);
}

reply reply_store_error(struct request *rq, int r)
{
    if (r == -EEXIST)
        return reply_error(rq, ERR_CONFLICT, NULL);
    if (r == -ECANCELED)
        return reply_error(rq, ERR_IDEMPOTENCY_IN_PROGRESS, NULL);
    if (r == -ENOMEM)
        return reply_error(rq, ERR_OVERLOADED, NULL);
    return reply_error(rq, ERR_STORE_UNAVAILABLE, NULL);
}

void reply_common_headers(struct http_exchange *x)
{
    const char *origin = request_header(&x->rq, "Origin");
    const char *allowed = x->server->config->cors_origins;
    reply_header(&x->rq, "X-Request-Id", x->rq.id);
    reply_header(&x->rq, "X-Content-Type-Options", "nosniff");
    if (x->rq.route && x->rq.route->body.secret)
        reply_header(&x->rq, "Cache-Control", "no-store");
    if (!origin || !(str_equal(allowed, "*") || config_list_has(allowed, origin)))
        return;
    reply_header(&x->rq, "Access-Control-Allow-Origin", origin);
    reply_header(&x->rq, "Access-Control-Expose-Headers",
                 "X-Request-Id, Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, "
                 "Idempotent-Replayed, Content-Disposition, Content-Range, ETag");
    reply_header_more(&x->rq, "Vary", "Origin");
}
