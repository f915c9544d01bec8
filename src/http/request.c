/* SPDX-License-Identifier: MIT */
#include "http/client_address.h"
#include "http/exchange.h"
#include "http/peers.h"
#include "http/session_cookie.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#define BEARER "Bearer "

const char *request_header(const struct request *rq, const char *name)
{
    return MHD_lookup_connection_value(rq->exchange->connection, MHD_HEADER_KIND, name);
}

const char *request_query(const struct request *rq, const char *name)
{
    return MHD_lookup_connection_value(rq->exchange->connection, MHD_GET_ARGUMENT_KIND, name);
}

struct visit {
    void (*fn)(void *ctx, const char *name, const char *value);
    void *ctx;
};

static enum MHD_Result visit_one(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct visit *v = cls;
    (void)kind;
    v->fn(v->ctx, name, value ? value : "");
    return MHD_YES;
}

void request_each_query(const struct request *rq,
                        void (*visit)(void *ctx, const char *name, const char *value), void *ctx)
{
    (void)MHD_get_connection_values(rq->exchange->connection, MHD_GET_ARGUMENT_KIND, visit_one,
                                    &(struct visit){visit, ctx});
}

void request_each_header(const struct request *rq,
                         void (*visit)(void *ctx, const char *name, const char *value), void *ctx)
{
    (void)MHD_get_connection_values(rq->exchange->connection, MHD_HEADER_KIND, visit_one,
                                    &(struct visit){visit, ctx});
}

const char *request_method(const struct request *rq)
{
    return rq->exchange->method_name;
}

const char *request_target(const struct request *rq)
{
    return peer_target(rq->exchange->peer);
}

const char *request_peer(const struct request *rq)
{
    return rq->exchange->peer_ip;
}

bool request_peer_is_trusted(const struct request *rq)
{
    return address_is_trusted(rq->exchange->server->config->trusted_proxies, rq->exchange->peer_ip);
}

int request_query_int(const struct request *rq, const char *name, int64_t fallback, int64_t min, int64_t max,
                      int64_t *ret)
{
    const char *value = request_query(rq, name);
    if (!value) {
        *ret = fallback;
        return 0;
    }
    return parse_int(value, min, max, ret) < 0 ? -EINVAL : 0;
}

const char *request_token(struct request *rq)
{
    const char *header = request_header(rq, "Authorization");
    if (!header)
        return session_cookie(rq);
    if (strncasecmp(header, BEARER, sizeof BEARER - 1) != 0)
        return NULL;
    const char *token = header + sizeof BEARER - 1;
    token += strspn(token, " ");
    return *token && strcmp(token, "null") != 0 ? token : NULL;
}

static enum MHD_Result add_forwarded(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct buf *lines = cls;
    (void)kind;
    if (value && str_equal_nocase(name, "X-Forwarded-For"))
        (void)buf_addf(lines, "%s%s", lines->len ? "," : "", value);
    return MHD_YES;
}

/* A proxy may add a line of its own below the one that the client made up, so all of them count, in order. */
const char *request_forwarded_for(struct request *rq)
{
    _cleanup_buf_ struct buf lines = BUF_INIT(64 * 1024);
    (void)MHD_get_connection_values(rq->exchange->connection, MHD_HEADER_KIND, add_forwarded, &lines);
    return lines.len && !lines.failed ? arena_strdup(&rq->arena, lines.data) : NULL;
}

const char *request_cookie(struct request *rq, const char *name)
{
    const char *header = request_header(rq, "Cookie");
    size_t name_len = strlen(name);
    while (header && *header) {
        header += strspn(header, "; ");
        size_t len = strcspn(header, ";");
        if (len > name_len && strncmp(header, name, name_len) == 0 && header[name_len] == '=')
            return arena_strndup(&rq->arena, header + name_len + 1, len - name_len - 1);
        header += len;
    }
    return NULL;
}

bool request_is_local(const struct request *rq)
{
    static const char *const forwarding[] = {"Forwarded", "X-Forwarded-For", "X-Forwarded-Proto",
                                             "X-Forwarded-Host", "X-Real-IP"};
    for (size_t i = 0; i < ARRAY_LEN(forwarding); i++)
        if (request_header(rq, forwarding[i]))
            return false;
    return str_has_prefix(rq->client_ip, "127.") || str_equal(rq->client_ip, "::1");
}

bool request_is_tls(const struct request *rq)
{
    return request_peer_is_trusted(rq) && str_equal_nocase(request_header(rq, "X-Forwarded-Proto"), "https");
}

const struct config *request_config(const struct request *rq)
{
    return rq->exchange->server->config;
}

struct pool *request_workers(const struct request *rq)
{
    return rq->exchange->server->workers;
}

const struct route_set *request_routes(const struct request *rq)
{
    return rq->exchange->server->routes;
}
