/* SPDX-License-Identifier: MIT */
/* /api/directus passed on to a Directus of its own, both ways as it comes. Directus decides who may do what;
 * here only a token of an impersonation is refused, since its revocation is known to this process alone.
 *
 * The target goes on byte for byte, so it is refused where it could mean another path to Directus than to us.
 * CORS is answered here for the whole server, and Directus's answers to it are dropped. See docs/proxy.md. */
#include "api/directus_proxy.h"

#include "agent/catalog.h"
#include "api/directus.h"
#include "api/routes.h"
#include "auth/identity.h"
#include "auth/token.h"
#include "base/text.h"
#include "http/reader.h"
#include "http/sink.h"
#include "net/relay.h"
#include "retrieval/retrieval.h"
#include "skills/skills.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <strings.h>

#define PREFIX "/api/directus"
#define HEADERS_MAX 160
#define UNAVAILABLE "SERVICE_UNAVAILABLE"

struct transit {
    struct relay_call *call; /* a reference */
    struct sink *sink;
    atomic_bool sent; /* the body; from now on its answer is what the connection waits for */
    bool ended;
};

/* --- what is passed on ---------------------------------------------------------------------------------- */

/* Headers of a connection, not of a message; and those that are made anew. */
static bool stays_here(const char *name)
{
    static const char *const names[] = {"Connection",
                                        "Keep-Alive",
                                        "Proxy-Connection",
                                        "Proxy-Authenticate",
                                        "Proxy-Authorization",
                                        "TE",
                                        "Trailer",
                                        "Transfer-Encoding",
                                        "Upgrade",
                                        "Content-Length",
                                        "X-Request-Id"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_equal_nocase(name, names[i]))
            return true;
    return false;
}

static bool is_made_anew(const char *name)
{
    static const char *const names[] = {"Host",
                                        "Expect",
                                        "Forwarded",
                                        "X-Forwarded-For",
                                        "X-Forwarded-Proto",
                                        "X-Forwarded-Host",
                                        "X-Forwarded-Port",
                                        "X-Real-IP"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_equal_nocase(name, names[i]))
            return true;
    return false;
}

/* Whether the Connection header names it as one of this connection only. */
static bool is_named(const char *connection, const char *name)
{
    const char *item;
    size_t len;
    while (connection && list_next(&connection, &item, &len))
        if (strlen(name) == len && strncasecmp(item, name, len) == 0)
            return true;
    return false;
}

struct header_list {
    struct arena *arena;
    const char *connection;
    const char *lines[HEADERS_MAX + 1];
    size_t count;
    bool failed;
};

static void add_line(struct header_list *list, const char *name, const char *value)
{
    const char *line =
        value[0] ? arena_printf(list->arena, "%s: %s", name, value) : arena_printf(list->arena, "%s;", name);
    list->failed = list->failed || !line || list->count == HEADERS_MAX;
    if (!list->failed)
        list->lines[list->count++] = line;
}

static void add_header(void *ctx, const char *name, const char *value)
{
    struct header_list *list = ctx;
    if (!stays_here(name) && !is_made_anew(name) && !is_named(list->connection, name))
        add_line(list, name, value);
}

/* Whom Directus shall take for the client: the address that counts here, and the trusted proxy it came by.
 * Directus believes the first, so nothing that an untrusted client says may stand before it. */
static void add_forwarded(struct request *rq, struct header_list *list)
{
    bool trusted = request_peer_is_trusted(rq);
    const char *host = trusted ? request_header(rq, "X-Forwarded-Host") : NULL;
    const char *peer = request_peer(rq);
    const char *chain =
        str_equal(peer, rq->client_ip) ? peer : arena_printf(&rq->arena, "%s, %s", rq->client_ip, peer);
    if (!host)
        host = request_header(rq, "Host");
    add_line(list, "X-Forwarded-For", chain ? chain : "");
    add_line(list, "X-Real-IP", rq->client_ip);
    add_line(list, "X-Forwarded-Proto", request_is_tls(rq) ? "https" : "http");
    if (host)
        add_line(list, "X-Forwarded-Host", host);
    add_line(list, "X-Request-Id", rq->id);
}

/* --- what is refused --- */

/* One level of percent-encoding undone into `to` (of strlen(text) + 1 bytes): its length, -1 where it is
 * malformed or hides a control character. */
static ssize_t decode(const char *text, char *to)
{
    size_t len = 0;
    for (const char *s = text; *s; s++) {
        uint8_t byte = (uint8_t)*s;
        if (*s == '%') {
            char digits[] = {s[1], s[1] ? s[2] : '\0', '\0'};
            if (hex_decode(digits, &byte, 1) < 0)
                return -1;
            s += 2;
        }
        if (byte < 0x20 || byte == 0x7f)
            return -1;
        to[len++] = (char)byte;
    }
    to[len] = '\0';
    return (ssize_t)len;
}

/* A segment that leads elsewhere, whatever is taken for a separator. */
static bool has_dots(const char *path)
{
    for (const char *s = path; *s;) {
        size_t len = strcspn(s, "/\\");
        if ((len == 1 && s[0] == '.') || (len == 2 && s[0] == '.' && s[1] == '.'))
            return true;
        s += len + (s[len] != '\0');
    }
    return false;
}

/* The target behind the prefix, or NULL where it isn't plainly one. */
static const char *target_of(struct request *rq)
{
    const char *target = request_target(rq);
    if (!target || !str_has_prefix(target, PREFIX "/"))
        return NULL;
    target += sizeof PREFIX - 1;
    for (const char *s = target; *s; s++)
        if ((unsigned char)*s <= 0x20 || *s == 0x7f || *s == '#')
            return NULL;
    char *path = arena_strndup(&rq->arena, target, strcspn(target, "?"));
    char *plain = path ? arena_alloc(&rq->arena, strlen(path) + 1) : NULL;
    if (!plain || decode(path, plain) < 0 || has_dots(plain) || has_dots(path))
        return NULL;
    return target;
}

struct search {
    struct request *rq;
    bool found;
};

/* Directus takes a token from the header, a cookie or the query; names can be written in many ways, tokens
 * can't. */
static void look_at_value(void *ctx, const char *name, const char *value)
{
    struct search *s = ctx;
    char *plain = arena_alloc(&s->rq->arena, strlen(value) + 1);
    (void)name;
    s->found = s->found || !plain || token_impersonates(value) ||
               (decode(value, plain) >= 0 && token_impersonates(plain));
}

static void look_at_cookies(struct search *s, const char *cookies)
{
    while (cookies && *cookies) {
        cookies += strspn(cookies, "; ");
        size_t len = strcspn(cookies, ";"), name = strcspn(cookies, "=;");
        char *value = arena_strndup(&s->rq->arena, cookies + name + (name < len), len - name - (name < len));
        if (!value)
            s->found = true;
        else {
            size_t quoted = value[0] == '"';
            value[strcspn(value + quoted, "\"") + quoted] = '\0';
            look_at_value(s, "", value + quoted);
        }
        cookies += len;
    }
}

static void look_at_header(void *ctx, const char *name, const char *value)
{
    struct search *s = ctx;
    if (str_equal_nocase(name, "Cookie"))
        look_at_cookies(s, value);
    if (!str_equal_nocase(name, "Authorization"))
        return;
    const char *token = strrchr(value, ' ');
    look_at_value(s, name, token ? token + 1 : value);
}

static bool impersonates(struct request *rq)
{
    struct search s = {rq, false};
    request_each_header(rq, look_at_header, &s);
    request_each_query(rq, look_at_value, &s);
    return s.found;
}

/* --- the way of the request --- */

/* A full window wakes only when there is room: the sink is then given more, whether it has room or not. */
static void wake_sink(void *ctx, enum relay_news news)
{
    struct transit *p = ctx;
    if (news != RELAY_ANSWER || atomic_load(&p->sent))
        sink_wake(p->sink);
}

static int take(void *ctx, const char *data, size_t len)
{
    struct transit *p = ctx;
    int r = relay_write(p->call, data, len);
    if (r == -EPIPE) /* it is read to its end, so that the client hears the answer */
        return SINK_MORE;
    return r == 1 ? SINK_FULL : r;
}

static int end(void *ctx)
{
    struct transit *p = ctx;
    if (!p->ended)
        relay_write_end(p->call);
    p->ended = true;
    atomic_store(&p->sent, true);
    return relay_state(p->call) == RELAY_WAITING ? SINK_FULL : 0;
}

static reply refuse(void *ctx, struct request *rq, int r)
{
    (void)ctx, (void)r; /* no memory is all that can be */
    return reply_error(rq, ERR_OVERLOADED, NULL);
}

static void close_transit(void *ctx)
{
    struct transit *p = ctx;
    relay_end(p->call);
    relay_unref(p->call);
    free(p);
}

static const struct sink_ops transit_ops = {take, end, refuse, close_transit, true};

static int64_t body_of(struct request *rq)
{
    const char *length = request_header(rq, "Content-Length");
    int64_t n = 0;
    if (request_header(rq, "Transfer-Encoding"))
        return RELAY_BODY_CHUNKED;
    return length && parse_int(length, 0, INT64_MAX, &n) == 0 ? n : RELAY_BODY_NONE;
}

/* 0 or a negative errno. The sink is made before the call, which wakes it. */
static int begin(struct request *rq, const char *target, struct transit *p)
{
    struct header_list list = {.arena = &rq->arena, .connection = request_header(rq, "Connection")};
    const struct directus_upstream *up = rq->app->upstream;
    request_each_header(rq, add_header, &list);
    add_forwarded(rq, &list);
    struct relay_request request = {
        .method = request_method(rq),
        .url = up->origin,
        .target = arena_printf(&rq->arena, "%s%s", up->base_path, target),
        .headers = list.lines,
        .body = body_of(rq),
    };
    if (list.failed || !request.target)
        return -E2BIG;
    return relay_begin(up->relay, &request, (struct relay_waker){wake_sink, p}, &p->call);
}

static struct sink *refuse_begin(struct request *rq, int r)
{
    if (r == -E2BIG)
        (void)reply_error(rq, ERR_HEADERS_TOO_LARGE, NULL);
    else
        (void)reply_error(rq, ERR_OVERLOADED, "Too many requests are with Directus, try again shortly");
    return NULL;
}

static struct sink *open_transit(struct request *rq)
{
    const char *target = target_of(rq);
    if (request_header(rq, "Upgrade") && is_named(request_header(rq, "Connection"), "Upgrade")) {
        (void)directus_refuse(rq, 501, "NOT_IMPLEMENTED",
                              "Websockets are not passed on; use Directus's own address", NULL);
        return NULL;
    }
    if (!target) {
        (void)reply_error(rq, ERR_NOT_FOUND, NULL);
        return NULL;
    }
    if (impersonates(rq)) {
        (void)directus_refuse(rq, 403, "FORBIDDEN",
                              "A token of an impersonation is not passed on to Directus", NULL);
        return NULL;
    }
    struct transit *p = calloc(1, sizeof *p);
    struct sink *s = p ? sink_new(rq, &transit_ops, p) : NULL;
    if (!s) {
        free(p);
        return refuse_begin(rq, -ENOMEM);
    }
    p->sink = s;
    int r = begin(rq, target, p);
    if (r < 0) {
        sink_abandon(rq, s);
        free(p);
        return refuse_begin(rq, r);
    }
    rq->body = p;
    return s;
}

/* --- the way of the answer --- */

struct answer {
    struct reader *reader;
    struct relay_call *call; /* a reference */
};

static void wake_reader(void *ctx, enum relay_news news)
{
    (void)news;
    struct answer *a = ctx;
    reader_wake(a->reader);
}

static ssize_t next(void *ctx, char *to, size_t max)
{
    struct answer *a = ctx;
    ssize_t n = relay_read(a->call, to, max);
    return n >= 0 ? n : n == -ENODATA ? -1 : -2;
}

static void stop(void *ctx)
{
    struct answer *a = ctx;
    relay_end(a->call);
    relay_unref(a->call);
    free(a);
}

static const struct reader_ops answer_ops = {next, stop};

static reply answer_stream(struct request *rq, struct relay_call *call, const struct relay_head *head)
{
    struct answer *a = calloc(1, sizeof *a);
    struct reader *reader = a ? reader_new(&answer_ops, a) : NULL;
    if (!reader) {
        free(a);
        return reply_error(rq, ERR_OVERLOADED, NULL);
    }
    *a = (struct answer){reader, relay_ref(call)};
    relay_tell(call, (struct relay_waker){wake_reader, a});
    return reply_stream(rq, head->status, reader, head->length);
}

/* A cookie for Directus's own paths, for ours. */
static const char *own_cookie(struct request *rq, const char *cookie)
{
    for (const char *s = strchr(cookie, ';'); s; s = strchr(s + 1, ';')) {
        const char *name = s + 1 + strspn(s + 1, " ");
        if (strncasecmp(name, "Path=/", 6) != 0)
            continue;
        const char *path = name + 5;
        size_t rest = strcspn(path, "; ") == 1 ? 1 : 0; /* "/" alone leaves nothing behind the prefix */
        return arena_printf(&rq->arena, "%.*s" PREFIX "%s", (int)(path - cookie), cookie, path + rest);
    }
    return cookie;
}

/* A redirect within Directus, within our path. */
static const char *own_location(struct request *rq, const char *location)
{
    const struct directus_upstream *up = rq->app->upstream;
    const char *path = location;
    if (str_has_prefix(path, up->origin))
        path += strlen(up->origin);
    if (path[0] != '/' || path[1] == '/' || path[1] == '\\')
        return location;
    if (up->base_path[0] && str_has_prefix(path, up->base_path) && path[strlen(up->base_path)] == '/')
        path += strlen(up->base_path);
    return arena_printf(&rq->arena, PREFIX "%s", path);
}

static const char *connection_of(const struct relay_head *head)
{
    for (size_t i = 0; i < head->n_headers; i++)
        if (str_equal_nocase(head->headers[i].name, "Connection"))
            return head->headers[i].value;
    return NULL;
}

static void answer_header(struct request *rq, const char *name, const char *value)
{
    if (str_equal_nocase(name, "Set-Cookie"))
        value = own_cookie(rq, value);
    else if (str_equal_nocase(name, "Location"))
        value = own_location(rq, value);
    if (value)
        reply_header_more(rq, name, value);
}

static void answer_headers(struct request *rq, const struct relay_head *head)
{
    const char *connection = connection_of(head);
    for (size_t i = 0; i < head->n_headers; i++) {
        const struct relay_header *h = &head->headers[i];
        bool cors = strncasecmp(h->name, "Access-Control-", 15) == 0;
        if (!cors && !stays_here(h->name) && !is_named(connection, h->name))
            answer_header(rq, h->name, h->value);
    }
}

/* Directus finds its routes in any letter case. */
static bool begins_with(const char *path, const char *prefix)
{
    return strncasecmp(path, prefix, strlen(prefix)) == 0;
}

/* What a write through Directus makes stale here. */
static void forget(struct request *rq, const struct relay_head *head)
{
    static const char *const identities[] = {"/users", "/roles", "/policies", "/access", "/auth/logout"};
    struct app *app = rq->app;
    const char *path = rq->path + sizeof PREFIX - 1;
    bool reads = rq->route->method == HTTP_GET || rq->route->method == HTTP_SEARCH;
    if (reads || head->status < 200 || head->status > 299)
        return;
    for (size_t i = 0; i < ARRAY_LEN(identities); i++)
        if (begins_with(path, identities[i]))
            auth_forget(app->auth, NULL);
    if (begins_with(path, "/items/user_node"))
        retrieval_forget(app->retrieval, NULL);
    if (begins_with(path, "/items/agent_skills") || begins_with(path, "/items/skill_edges"))
        skills_forget(app->skills);
    if (begins_with(path, "/items/action_flows"))
        flow_catalog_forget(app->flows);
}

static reply answer_transit(struct request *rq)
{
    struct transit *p = rq->body;
    const struct relay_head *head = relay_head(p->call);
    enum relay_state state = relay_state(p->call);
    if (state == RELAY_TIMED_OUT)
        return directus_refuse(rq, 504, UNAVAILABLE, "Directus did not answer in time", NULL);
    if (state != RELAY_ANSWERED)
        return directus_refuse(rq, 502, UNAVAILABLE,
                               state == RELAY_UNREACHABLE ? "Directus can't be reached"
                                                          : "Directus gave no proper answer",
                               NULL);
    forget(rq, head);
    answer_headers(rq, head);
    if (head->status == 204 || head->status == 304)
        return reply_empty(rq, head->status);
    return answer_stream(rq, p->call, head);
}

/* --- routes --- */

#define PASS(method, summary) \
    { \
        method, PREFIX "/*", AUTH_NONE, READS, FAST, answer_transit, STREAM(open_transit, 0), summary, \
            .answer = ANSWER_OF_TYPE("*/*") \
    }

const struct route directus_proxy_routes[] = {
    PASS(HTTP_GET, "Passed on to Directus"),
    PASS(HTTP_POST, "Passed on to Directus"),
    PASS(HTTP_PUT, "Passed on to Directus"),
    PASS(HTTP_PATCH, "Passed on to Directus"),
    PASS(HTTP_DELETE, "Passed on to Directus"),
    PASS(HTTP_SEARCH, "Passed on to Directus"),
    ROUTES_END,
};
