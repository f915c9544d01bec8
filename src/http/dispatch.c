/* SPDX-License-Identifier: MIT */
/* A request's way, on one page. At the headers: match, preflight, count where the row has a rate limit,
 * authenticate from memory, body size and type. With the body: authenticate from the store if need be,
 * rights, read and bind the body, claim the idempotency key if there is one, handler. For a body that goes to
 * a sink, store and rights come before it. What waits runs on a worker; the rest on the event thread. */
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"
#include "base/uuid.h"
#include "http/exchange.h"
#include "http/framing.h"
#include "http/peers.h"
#include "http/secret.h"
#include "http/sink.h"
#include "http/upload.h"

#include <errno.h>
#include <string.h>

#define DEFAULT_MAX_BODY (1024 * 1024)
#define REQUEST_ID_MAX 64

reply dispatch_refuse(struct http_exchange *x, enum error_id error, const char *sentence)
{
    x->refused = true;
    return reply_error(&x->rq, error, sentence);
}

static const char *request_id(struct http_exchange *x)
{
    const char *given = request_header(&x->rq, "X-Request-Id");
    size_t len = given ? strlen(given) : 0;
    if (len > 0 && len <= REQUEST_ID_MAX &&
        str_only(given, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"))
        return given;
    uuid_make(x->made_id);
    return x->made_id;
}

static bool parse_method(const char *name, enum http_method *ret)
{
    if (strcmp(name, "HEAD") == 0)
        name = "GET"; /* libmicrohttpd leaves the body out by itself */
    for (int m = 0; m < HTTP_METHODS; m++)
        if (strcmp(name, http_method_name((enum http_method)m)) == 0) {
            *ret = (enum http_method)m;
            return true;
        }
    return false;
}

static void preflight(struct http_exchange *x)
{
    const char *asked = request_header(&x->rq, "Access-Control-Request-Headers");
    (void)reply_empty(&x->rq, 204);
    reply_header(&x->rq, "Access-Control-Allow-Methods", "GET,HEAD,PUT,PATCH,POST,DELETE,SEARCH");
    reply_header(&x->rq, "Access-Control-Allow-Headers",
                 asked ? asked : "Authorization, Content-Type, Idempotency-Key, Last-Event-ID");
    reply_header(&x->rq, "Access-Control-Max-Age", "86400");
    x->refused = true;
}

static void allow_header(struct http_exchange *x, unsigned allowed)
{
    _cleanup_buf_ struct buf b = BUF_INIT(128);
    for (int m = 0; m < HTTP_METHODS; m++)
        if (allowed & 1u << m)
            (void)buf_addf(&b, "%s%s%s", b.len ? ", " : "", http_method_name((enum http_method)m),
                           m == HTTP_GET ? ", HEAD" : "");
    reply_header(&x->rq, "Allow", buf_str(&b));
}

/* Finds the row; otherwise the reply stands. */
static bool match(struct http_exchange *x, const char *method, const char *url)
{
    char *copy = arena_strdup(&x->rq.arena, url);
    unsigned allowed = 0;
    bool known = parse_method(method, &x->method);
    if (!copy || !utf8_valid(url, strlen(url))) {
        (void)dispatch_refuse(x, copy ? ERR_NOT_FOUND : ERR_OVERLOADED, NULL);
        return false;
    }
    x->rq.route = routes_find(x->server->routes, x->method, copy, x->rq.params, &allowed);
    if (x->rq.route && known)
        return true;
    if (strcmp(method, "OPTIONS") == 0) {
        preflight(x);
    } else if (allowed) {
        allow_header(x, allowed);
        (void)dispatch_refuse(x, ERR_METHOD_NOT_ALLOWED, NULL);
    } else {
        (void)dispatch_refuse(x, ERR_NOT_FOUND, NULL);
    }
    return false;
}

static void check_query_text(void *ctx, const char *name, const char *value)
{
    bool *valid = ctx;
    *valid = *valid && utf8_valid(name, strlen(name)) && utf8_valid(value, strlen(value));
}

/* Handlers may take every text that they are given for UTF-8. */
static bool check_query(struct http_exchange *x)
{
    bool valid = true;
    request_each_query(&x->rq, check_query_text, &valid);
    if (!valid)
        (void)dispatch_refuse(x, ERR_INVALID_QUERY, "The query is not UTF-8");
    return valid;
}

/* The half of verifying a token that needs no store. */
static bool authenticate_token(struct http_exchange *x)
{
    const struct http_auth *auth = &x->server->auth;
    enum error_id error = ERR_UNAUTHORIZED;
    int r = auth->lookup(auth->ctx, request_token(&x->rq), &x->rq.who, &error);
    x->needs_store = r == -EAGAIN;
    if (r == 0 || r == -EAGAIN)
        return true;
    (void)dispatch_refuse(x, error, NULL);
    return false;
}

static bool authenticate(struct http_exchange *x)
{
    enum route_auth auth = x->rq.route->auth;
    if (auth == AUTH_NONE)
        return true;
    enum secret_outcome secret = secret_check(x->server->config, auth, request_header(&x->rq, SECRET_HEADER));
    if (secret == SECRET_WRONG || (auth == AUTH_SECRET && secret != SECRET_RIGHT)) {
        (void)dispatch_refuse(x, ERR_UNAUTHORIZED, NULL);
        return false;
    }
    bool has_token = request_token(&x->rq) != NULL;
    if (auth == AUTH_USER_OR_PUBLIC && !has_token && x->server->config->skills_public_read)
        return true;
    x->rq.by_secret = secret == SECRET_RIGHT && (auth == AUTH_SECRET || !has_token);
    return (x->rq.by_secret && !has_token) || authenticate_token(x);
}

static bool type_is(const struct http_exchange *x, const char *name)
{
    const char *type = request_header(&x->rq, "Content-Type");
    size_t len = type ? strcspn(type, "; ") : 0;
    return strlen(name) == len && strncasecmp(type, name, len) == 0;
}

/* Whether the body goes to a sink, and how large it may be. */
static void choose_reading(struct http_exchange *x)
{
    const struct body_spec *spec = &x->rq.route->body;
    size_t max = spec->max_bytes ? spec->max_bytes : DEFAULT_MAX_BODY; /* `{}` is sent with anything */
    if (spec->kind == BODY_STREAM) {
        x->open = spec->open;
        max = spec->max_bytes ? spec->max_bytes : upload_limit(x->server->config, 0);
    } else if (spec->upload && type_is(x, "multipart/form-data")) {
        x->open = upload_open;
        max = upload_limit(x->server->config, spec->max_file) + UPLOAD_FRAMING_MAX;
    }
    x->body = BUF_INIT(max);
    x->body.secret = spec->secret;
}

static void check_length(struct http_exchange *x)
{
    const char *length = request_header(&x->rq, "Content-Length");
    int64_t n = 0;
    if (length && (parse_int(length, 0, INT64_MAX, &n) < 0 || (uint64_t)n > x->body.max))
        (void)dispatch_refuse(x, ERR_TOO_LARGE, NULL);
}

/* JSON comes as application/json, as text/plain, without a type, or (`curl -d`) under a form's. */
static void check_type(struct http_exchange *x)
{
    static const char *const readable[] = {"application/json", "text/plain",
                                           "application/x-www-form-urlencoded"};
    const struct body_spec *spec = &x->rq.route->body;
    const char *type = request_header(&x->rq, "Content-Type");
    if (x->refused || x->open || spec->kind == BODY_NONE)
        return;
    bool json = spec->kind != BODY_UPLOAD && (!type || str_is_blank(type));
    for (size_t i = 0; i < ARRAY_LEN(readable) && spec->kind != BODY_UPLOAD; i++)
        json = json || type_is(x, readable[i]);
    if (json)
        return;
    const char *both = spec->upload ? "The body must be JSON or multipart/form-data" : NULL;
    (void)dispatch_refuse(x, ERR_UNSUPPORTED_TYPE,
                          spec->kind == BODY_UPLOAD ? "The body must be multipart/form-data" : both);
}

/* What is decided at the headers once they are counted. */
static void admit(struct http_exchange *x)
{
    if (!authenticate(x) || !check_query(x) || !idempotency_read_key(x))
        return;
    choose_reading(x);
    check_length(x);
    check_type(x);
}

void dispatch_counted(struct http_exchange *x)
{
    x->phase = PHASE_BODY;
    if (!x->refused)
        admit(x);
}

bool dispatch_headers(struct http_exchange *x, const char *method, const char *url)
{
    x->rq.path = url;
    x->method_name = method;
    x->rq.id = request_id(x);
    enum error_id framing = framing_check(x->connection);
    if (framing != ERR_NONE) {
        x->hang_up = true;
        (void)dispatch_refuse(x, framing, NULL);
        return true;
    }
    if (peer_target_is_cut(x->peer)) {
        (void)dispatch_refuse(x, ERR_BAD_REQUEST, "The path or the query holds a NUL (%00)");
        return true;
    }
    if (!match(x, method, url))
        return true;
    if (x->rq.route->rate) {
        rate_count(x);
        return false;
    }
    admit(x);
    return true;
}

static bool resolve(struct http_exchange *x)
{
    const struct http_auth *auth = &x->server->auth;
    enum error_id error = ERR_UNAUTHORIZED;
    if (!x->needs_store ||
        auth->resolve(auth->ctx, request_token(&x->rq), x->rq.client_ip, &x->rq.who, &error) == 0) {
        x->needs_store = false;
        return true;
    }
    (void)dispatch_refuse(x, error, NULL);
    return false;
}

/* Of somebody who is known to us. */
static reply refuse_known(struct http_exchange *x, enum error_id error)
{
    if (x->rq.route->body.refused)
        x->rq.route->body.refused(&x->rq, error);
    return dispatch_refuse(x, error, NULL);
}

static bool permit(struct http_exchange *x)
{
    const struct http_auth *auth = &x->server->auth;
    const struct route *route = x->rq.route;
    bool admins = route->auth == AUTH_ADMIN || route->auth == AUTH_ADMIN_OR_SECRET;
    if (admins && !x->rq.by_secret && !auth->is_admin(x->rq.who))
        (void)refuse_known(x, ERR_FORBIDDEN);
    else if (route->access == WRITES && x->rq.who && auth->is_read_only(x->rq.who))
        (void)refuse_known(x, ERR_READ_ONLY);
    return !x->refused;
}

static bool parse_body(struct http_exchange *x)
{
    const struct body_spec *spec = &x->rq.route->body;
    if (spec->kind == BODY_NONE || x->sink)
        return true;
    if (x->body.len > 0)
        x->rq.json = json_parse(x->body.data, x->body.len);
    if (x->body.len > 0 && !x->rq.json)
        (void)dispatch_refuse(x, ERR_MALFORMED_JSON, NULL);
    exchange_drop_body(x);
    return !x->refused;
}

static bool bind_body(struct http_exchange *x)
{
    const struct body_spec *spec = &x->rq.route->body;
    struct body_error error = {0};
    if (spec->kind != BODY_FIELDS || x->sink)
        return true;
    _cleanup_json_ json_t *empty = x->rq.json ? NULL : json_object();
    x->rq.body = arena_alloc(&x->rq.arena, spec->size);
    if (!x->rq.body)
        (void)dispatch_refuse(x, ERR_OVERLOADED, NULL);
    else if (body_bind(spec->fields, x->rq.json ? x->rq.json : empty, x->rq.body, &error) < 0) {
        x->refused = true;
        (void)reply_field_error(&x->rq, error.error, error.field, error.sentence);
    }
    return !x->refused;
}

/* A stream may stay open for long; nothing needs the body any more. */
static void forget_input(struct http_exchange *x)
{
    json_decref(x->query);
    x->query = NULL;
    x->rq.query = NULL;
    json_decref(x->rq.json);
    x->rq.json = NULL;
    x->rq.body = NULL;
}

static void open_sink(struct http_exchange *x)
{
    log_set_request(x->rq.id);
    if (resolve(x) && permit(x)) {
        x->sink = x->open(&x->rq);
        x->refused = !x->sink;
        if (!x->sink && !x->status)
            (void)reply_error(&x->rq, ERR_OVERLOADED, NULL);
    }
    log_set_request(NULL);
}

static void open_on_worker(void *arg)
{
    struct http_exchange *x = arg;
    open_sink(x);
    x->phase = PHASE_OPENED;
    MHD_resume_connection(x->connection);
}

bool dispatch_open(struct http_exchange *x)
{
    if (x->rq.route->kind == FAST && !x->needs_store) {
        open_sink(x);
        return true;
    }
    /* from here on a worker may have the exchange at any moment */
    x->phase = PHASE_OPENING;
    peer_pause(x->peer);
    MHD_suspend_connection(x->connection);
    if (pool_submit(x->server->workers, open_on_worker, x) < 0) {
        (void)dispatch_refuse(x, ERR_OVERLOADED, NULL);
        x->phase = PHASE_OPENED;
        MHD_resume_connection(x->connection);
    }
    return false;
}

static void serve(struct http_exchange *x)
{
    log_set_request(x->rq.id);
    if (resolve(x) && permit(x) && query_bind(x) && idempotency_digest(x) && parse_body(x) && bind_body(x) &&
        idempotency_claim(x)) {
        (void)x->rq.route->handler(&x->rq);
        idempotency_settle(x);
    }
    if (x->stream)
        forget_input(x);
    log_set_request(NULL);
}

static void serve_on_worker(void *arg)
{
    struct http_exchange *x = arg;
    x->rq.may_wait = true;
    serve(x);
    x->phase = PHASE_ANSWER;
    MHD_resume_connection(x->connection);
}

bool dispatch_run(struct http_exchange *x)
{
    if (x->refused)
        return true;
    bool model = x->rq.route->kind == MODEL;
    if (x->rq.route->kind != BLOCKING && !model && !x->needs_store) {
        serve(x);
        if (!x->later)
            return true;
    }
    /* from here on a worker may have the exchange at any moment */
    x->phase = PHASE_WORKING;
    MHD_suspend_connection(x->connection);
    if (pool_submit(model ? x->server->model_workers : x->server->workers, serve_on_worker, x) < 0) {
        (void)dispatch_refuse(x, model ? ERR_MODEL_BUSY : ERR_OVERLOADED, NULL);
        x->phase = PHASE_ANSWER;
        MHD_resume_connection(x->connection);
    }
    return false;
}
