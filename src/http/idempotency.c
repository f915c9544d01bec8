/* SPDX-License-Identifier: MIT */
/* Idempotency keys. A request is known by who sent it, its route and its key; that it is the same request is
 * seen by a digest of path, query and the body's bytes as received (of a form: of what it holds). The key is
 * claimed after everything that could still refuse the request, right before the handler, and settled right
 * behind it. A store that can't be asked means that nothing runs. */
#include "http/exchange.h"

#include "base/log.h"
#include "base/text.h"
#include "http/upload.h"

#include <openssl/evp.h>
#include <string.h>

#define KEY_HEADER "Idempotency-Key"
#define KEY_MAX 128
#define ANSWER_MAX ((size_t)1024 * 1024)

/* A client that lost its stream sends its request again, key and all: it asks for the rest of what runs
 * already, and begins nothing. */
static bool resumes_stream(struct http_exchange *x)
{
    const char *last = x->rq.route->answer.events ? request_header(&x->rq, "Last-Event-ID") : NULL;
    return last && last[0];
}

bool idempotency_read_key(struct http_exchange *x)
{
    const char *key = x->rq.route->idempotent ? request_header(&x->rq, KEY_HEADER) : NULL;
    if (!key || resumes_stream(x))
        return true;
    size_t len = 0;
    while (key[len] > ' ' && key[len] <= '~')
        len++;
    if (len == 0 || len > KEY_MAX || key[len]) {
        (void)dispatch_refuse(x, ERR_INVALID_IDEMPOTENCY_KEY, NULL);
        return false;
    }
    x->idempotency_key = key;
    return true;
}

static void digest_parameter(void *ctx, const char *name, const char *value)
{
    (void)EVP_DigestUpdate(ctx, name, strlen(name) + 1);
    (void)EVP_DigestUpdate(ctx, value, strlen(value) + 1);
}

/* The body's bytes as received; of a form what it says, since its boundary is another one at each try: the
 * fields in their order, then the file's name and the digest of its bytes. */
static bool digest_body(const struct http_exchange *x, EVP_MD_CTX *ctx)
{
    const struct upload *u = x->rq.upload;
    if (!u)
        return EVP_DigestUpdate(ctx, x->body.data, x->body.len) == 1;
    for (size_t i = 0; i < u->n_fields; i++)
        digest_parameter(ctx, u->fields[i].name, u->fields[i].value);
    digest_parameter(ctx, u->part ? u->part : "", u->name ? u->name : "");
    return EVP_DigestUpdate(ctx, u->digest, IDEMPOTENCY_DIGEST_SIZE) == 1;
}

/* Each part ends in a NUL, which none of them holds, so two requests can't look alike by where they are cut;
 * a form is told from JSON by its first byte.
 */
bool idempotency_digest(struct http_exchange *x)
{
    if (!x->idempotency_key)
        return true;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool done = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) &&
                EVP_DigestUpdate(ctx, x->rq.path, strlen(x->rq.path) + 1);
    if (done)
        request_each_query(&x->rq, digest_parameter, ctx);
    done = done && EVP_DigestUpdate(ctx, x->rq.upload ? "\1" : "", 1) && digest_body(x, ctx) &&
           EVP_DigestFinal_ex(ctx, x->digest, NULL);
    EVP_MD_CTX_free(ctx);
    if (!done)
        (void)dispatch_refuse(x, ERR_OVERLOADED, NULL);
    return done;
}

/* Whose key it is. */
static const char *scope(struct http_exchange *x)
{
    const char *user = NULL, *impersonator = NULL;
    if (!x->rq.who)
        return x->rq.by_secret ? "service" : arena_printf(&x->rq.arena, "address %s", x->rq.client_ip);
    x->server->auth.describe(x->rq.who, &user, &impersonator);
    return arena_printf(&x->rq.arena, "user %s", user);
}

static void replay(struct http_exchange *x, const struct idempotency_found *found)
{
    if (found->body[0])
        (void)reply_bytes(&x->rq, found->status, REPLY_JSON_TYPE, found->body, strlen(found->body));
    else
        (void)reply_empty(&x->rq, found->status);
    reply_header(&x->rq, "Idempotent-Replayed", "true");
    x->refused = true;
}

bool idempotency_claim(struct http_exchange *x)
{
    const struct route *route = x->rq.route;
    const struct http_limits *limits = &x->server->limits;
    struct idempotency_found found = {0};
    if (!x->idempotency_key)
        return true;
    struct idempotent_request in = {
        scope(x),
        arena_printf(&x->rq.arena, "%s %s", http_method_name(route->method), route->path),
        x->idempotency_key,
        {0}};
    memcpy(in.digest, x->digest, sizeof in.digest);
    if (!in.scope || !in.route)
        (void)dispatch_refuse(x, ERR_OVERLOADED, NULL);
    else if (limits->claim(limits->ctx, &in, &x->rq.arena, &found) < 0)
        (void)dispatch_refuse(x, ERR_STORE_UNAVAILABLE, NULL);
    else if (found.outcome == IDEMPOTENCY_REPLAY)
        replay(x, &found);
    else if (found.outcome == IDEMPOTENCY_IN_PROGRESS)
        (void)dispatch_refuse(x, ERR_IDEMPOTENCY_IN_PROGRESS, NULL);
    else if (found.outcome == IDEMPOTENCY_MISMATCH)
        (void)dispatch_refuse(x, ERR_IDEMPOTENCY_MISMATCH, NULL);
    else if (found.outcome == IDEMPOTENCY_NOT_KEPT)
        (void)dispatch_refuse(x, ERR_IDEMPOTENCY_NOT_KEPT, NULL);
    x->rq.claim = found.claim;
    return !x->refused;
}

/* A quota refusal is an answer for good; one that says that the quota could not be read isn't. */
static bool is_quota_refusal(const struct http_exchange *x)
{
    _cleanup_json_ json_t *body = x->status == 403 ? json_parse_own(x->data, x->len) : NULL;
    return strcmp(json_str(body, "code", ""), "tier_limit_reached") == 0 &&
           strcmp(json_str(body, "reason", ""), "quota_check_failed") != 0;
}

static bool is_kept(const struct http_exchange *x)
{
    bool whole = !x->stream && x->file < 0;
    return (x->status >= 200 && x->status < 300) || (whole && is_quota_refusal(x));
}

/* The answer's text, or NULL where it can't be kept: a stream's effect is there all the same. */
static const char *kept_text(struct http_exchange *x)
{
    if (x->stream || x->file >= 0)
        return NULL;
    if (x->len == 0)
        return "";
    for (struct reply_header_line *h = x->headers; h; h = h->next)
        if (str_equal_nocase(h->name, "Content-Type") && strcmp(h->value, REPLY_JSON_TYPE) != 0)
            return NULL;
    return x->len <= ANSWER_MAX ? arena_strndup(&x->rq.arena, x->data, x->len) : NULL;
}

void idempotency_settle(struct http_exchange *x)
{
    const struct http_limits *limits = &x->server->limits;
    if (!x->rq.claim)
        return;
    int r = is_kept(x) ? limits->settle(limits->ctx, x->rq.claim, x->status, kept_text(x))
                       : limits->release(limits->ctx, x->rq.claim);
    x->rq.claim = NULL;
    if (r < 0)
        (void)log_error(r, "an idempotency key stays claimed until its lease ends");
}
