/* SPDX-License-Identifier: MIT */
/* Whether the server lives, what it serves, and how it is doing. */
#include "api/app.h"
#include "api/assets.h"
#include "api/routes.h"
#include "base/metrics.h"
#include "base/text.h"
#include "db/db.h"
#include "http/openapi.h"
#include "llm/llm.h"

#include <string.h>

#define METRICS_MAX (256 * 1024)
#define BEARER "Bearer "

static reply ping(struct request *rq)
{
    return reply_json(rq, 200, "{s:b}", "online", 1);
}

static reply healthz(struct request *rq)
{
    return reply_json(rq, 200, "{s:b}", "ok", 1);
}

/* Operators only: by token, or from this machine; there a browser sends Origin on behalf of any page it
 * shows. */
static bool may_see_inside(const struct request *rq)
{
    const char *header = request_header(rq, "Authorization"), *token = rq->app->cfg->metrics_token;
    if (token && header && str_has_prefix(header, BEARER))
        return secret_equal(header + strlen(BEARER), token);
    return request_is_local(rq) && !request_header(rq, "Origin");
}

/* Only the store is needed to serve; without a model, `extractive` answers. */
static reply readyz(struct request *rq)
{
    bool store = db_ping(rq->app->db) == 0;
    int status = store ? 200 : 503;
    if (!may_see_inside(rq))
        return reply_json(rq, status, "{s:b}", "ok", store);
    return reply_json(rq, status, "{s:b, s:{s:s, s:s}}", "ok", store, "dependencies", "store",
                      store ? "up" : "down", "model", llm_ready(rq->app->llm) ? "up" : "down");
}

static reply metrics(struct request *rq)
{
    if (!may_see_inside(rq))
        return reply_error(rq, ERR_UNAUTHORIZED, NULL);
    _cleanup_buf_ struct buf b = BUF_INIT(METRICS_MAX);
    int r = metrics_write(&b);
    const char *text = r == 0 ? arena_strndup(&rq->arena, b.data, b.len) : NULL;
    if (!text)
        return reply_error(rq, ERR_OVERLOADED, NULL);
    return reply_bytes(rq, 200, "text/plain; version=0.0.4; charset=utf-8", text, b.len);
}

static reply openapi(struct request *rq)
{
    return reply_value(rq, 200, openapi_document(request_routes(rq)));
}

static reply docs(struct request *rq)
{
    reply_header(
        rq, "Content-Security-Policy",
        "default-src 'none'; connect-src 'self'; script-src 'unsafe-inline'; style-src 'unsafe-inline'");
    return reply_bytes(rq, 200, "text/html; charset=utf-8", docs_page, docs_page_len);
}

static const struct field ping_answer[] = {HAS_BOOL("online"), FIELD_END};
static const struct field healthz_answer[] = {HAS_BOOL("ok"), FIELD_END};
static const struct field dependencies[] = {HAS_STR("store", CHOICES("up|down")),
                                            HAS_STR("model", CHOICES("up|down")), FIELD_END};
static const struct field readyz_answer[] = {
    HAS_BOOL("ok"), HAS_OBJECT("dependencies", dependencies, MAY_BE_ABSENT), FIELD_END};

/* clang-format off */
const struct route system_routes[] = {
    { HTTP_GET, "/api/ping",         AUTH_NONE, READS, FAST,     ping,    NO_BODY, "Whether the server answers",
      .answer = ANSWER(ping_answer) },
    { HTTP_GET, "/healthz",          AUTH_NONE, READS, FAST,     healthz, NO_BODY, "Whether the process lives",
      .answer = ANSWER(healthz_answer) },
    { HTTP_GET, "/readyz",           AUTH_NONE, READS, BLOCKING, readyz,  NO_BODY, "Whether what it needs is up",
      .answer = ANSWER_TWO(200, 503, readyz_answer) },
    { HTTP_GET, "/metrics",          AUTH_NONE, READS, FAST,     metrics, NO_BODY, "Counters for Prometheus",
      .answer = ANSWER_OF_TYPE("text/plain") },
    { HTTP_GET, "/api/openapi.json", AUTH_NONE, READS, FAST,     openapi, NO_BODY, "This description",
      .answer = ANSWER(NULL) },
    { HTTP_GET, "/api/docs",         AUTH_NONE, READS, FAST,     docs,    NO_BODY, "A page that shows it",
      .answer = ANSWER_OF_TYPE("text/html") },
    ROUTES_END
};
/* clang-format on */
