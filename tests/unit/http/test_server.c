/* SPDX-License-Identifier: MIT */
/* The server on a real socket, with a route table and identities of our own. */
#include "gate.h"
#include "support.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"
#include "base/uuid.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define HOST "Host: test\r\n"
#define LARGE ((size_t)48 * 1024 * 1024)

struct app {
    struct gate gate;
    atomic_int served, resolved;
    char *large;
};

struct identity {
    const char *name;
    bool admin, read_only;
    atomic_int refs;
};

static struct identity people[] = {
    {.name = "user"}, {.name = "admin", .admin = true}, {.name = "reader", .read_only = true}};

static int give(const char *token, struct identity **ret)
{
    for (size_t i = 0; token && i < ARRAY_LEN(people); i++)
        if (strcmp(token, people[i].name) == 0) {
            atomic_fetch_add(&people[i].refs, 1);
            *ret = &people[i];
            return 0;
        }
    return -EACCES;
}

static int lookup(void *ctx, const char *token, struct identity **ret, enum error_id *ret_error)
{
    (void)ctx;
    if (token && str_has_prefix(token, "stored-"))
        return -EAGAIN;
    *ret_error = str_equal(token, "suspended") ? ERR_SUSPENDED : ERR_UNAUTHORIZED;
    return give(token, ret);
}

static int resolve(void *ctx, const char *token, const char *client_ip, struct identity **ret,
                   enum error_id *ret_error)
{
    struct app *app = ctx;
    assert_string_equal(client_ip, "127.0.0.1");
    atomic_fetch_add(&app->resolved, 1);
    *ret_error = str_equal(token, "stored-down") ? ERR_STORE_UNAVAILABLE : ERR_UNAUTHORIZED;
    return give(token + strlen("stored-"), ret);
}

static bool is_admin(const struct identity *who)
{
    return who->admin;
}

static bool is_read_only(const struct identity *who)
{
    return who->read_only;
}

static void describe(const struct identity *who, const char **ret_user, const char **ret_impersonator)
{
    *ret_user = who->name;
    *ret_impersonator = NULL;
}

static void unref(struct identity *who)
{
    atomic_fetch_sub(&who->refs, 1);
}

/* --- handlers ------------------------------------------------------------------------------------------ */

static reply who_am_i(struct request *rq)
{
    atomic_fetch_add(&rq->app->served, 1);
    return reply_json(rq, 200, "{s:b, s:s, s:s, s:s?, s:b, s:b, s:b}", "ok", 1, "ip", rq->client_ip, "id",
                      rq->id, "name", rq->who ? rq->who->name : NULL, "local", request_is_local(rq), "tls",
                      request_is_tls(rq), "by_secret", rq->by_secret);
}

static reply see_path(struct request *rq)
{
    return reply_json(rq, 200, "{s:s, s:s, s:s, s:s?, s:s?}", "path", rq->path, "a", rq->params[0], "b",
                      rq->params[1], "q", request_query(rq, "q"), "cookie", request_cookie(rq, "sid"));
}

static reply see_limit(struct request *rq)
{
    int64_t limit;
    if (request_query_int(rq, "limit", 10, 1, 50, &limit) < 0)
        return reply_field_error(rq, ERR_INVALID_QUERY, "limit", NULL);
    return reply_json(rq, 200, "{s:I}", "limit", limit);
}

struct search_query {
    const char *kind, *id;
    int64_t limit;
    bool deep;
    const json_t *tags;
};

static const struct field search_fields[] = {
    FIELD_STR(search_query, kind, "kind", CHOICES("a|b"), ALIAS("type")),
    FIELD_UUID(search_query, id, "id"),
    FIELD_INT(search_query, limit, "limit", RANGE(1, 50), DEFAULT(10)),
    FIELD_BOOL(search_query, deep, "deep"),
    FIELD_ARRAY(search_query, tags, "tags", MAX_LEN(3)),
    FIELD_END,
};

static reply search(struct request *rq)
{
    const struct search_query *q = rq->query;
    return reply_json(rq, 200, "{s:s?, s:s?, s:I, s:b, s:I}", "kind", q->kind, "id", q->id, "limit", q->limit,
                      "deep", q->deep, "tags", (json_int_t)json_array_size(q->tags));
}

struct echo_body {
    const char *text;
    int64_t times;
};

static const struct field echo_fields[] = {
    FIELD_STR(echo_body, text, "text", REQUIRED, MAX_LEN(1000000)),
    FIELD_INT(echo_body, times, "times", RANGE(1, 3), DEFAULT(1)),
    FIELD_END,
};

static reply echo(struct request *rq)
{
    const struct echo_body *in = rq->body;
    atomic_fetch_add(&rq->app->served, 1);
    return reply_json(rq, 200, "{s:s, s:I}", "text", in->text, "times", in->times);
}

static reply any_json(struct request *rq)
{
    return reply_value(rq, 200, rq->json ? json_incref(rq->json) : json_null());
}

static reply nothing(struct request *rq)
{
    reply_header(rq, "Set-Cookie", "a=1");
    reply_header(rq, "Set-Cookie", "b=2");
    reply_header(rq, "X-Once", "first");
    reply_header(rq, "x-once", "second");
    return reply_empty(rq, 204);
}

static reply wait_for_gate(struct request *rq)
{
    gate_pass(&rq->app->gate);
    return reply_json(rq, 200, "{s:b}", "ok", 1);
}

static reply large(struct request *rq)
{
    atomic_fetch_add(&rq->app->served, 1);
    return reply_bytes(rq, 200, "application/octet-stream", rq->app->large, LARGE);
}

static reply store_fails(struct request *rq)
{
    return reply_store_error(rq, -ETIMEDOUT);
}

static reply no_value(struct request *rq)
{
    return reply_value(rq, 200, NULL);
}

/* What is known is answered at once; for the rest the handler must be run again. */
static reply fast_first(struct request *rq)
{
    const struct echo_body *in = rq->body;
    atomic_fetch_add(&rq->app->served, 1);
    if (!rq->may_wait && !str_equal(in->text, "known"))
        return reply_later(rq);
    return reply_json(rq, 200, "{s:s, s:b, s:s?}", "text", in->text, "waited", rq->may_wait, "name",
                      rq->who ? rq->who->name : NULL);
}

#define ECHO BODY(echo_body, echo_fields)
#define SMALL BODY_MAX(echo_body, echo_fields, 100)

static const struct route table[] = {
    {HTTP_GET, "/fast", AUTH_NONE, READS, FAST, who_am_i, NO_BODY, ""},
    {HTTP_GET, "/slow", AUTH_NONE, READS, BLOCKING, who_am_i, NO_BODY, ""},
    {HTTP_GET, "/user", AUTH_USER, READS, FAST, who_am_i, NO_BODY, ""},
    {HTTP_POST, "/user", AUTH_USER, WRITES, FAST, who_am_i, NO_BODY, ""},
    {HTTP_GET, "/admin", AUTH_ADMIN, READS, BLOCKING, who_am_i, NO_BODY, ""},
    {HTTP_GET, "/secret", AUTH_SECRET, READS, FAST, who_am_i, NO_BODY, ""},
    {HTTP_POST, "/secret", AUTH_SECRET, WRITES, FAST, who_am_i, NO_BODY, ""},
    {HTTP_POST, "/user-or-secret", AUTH_USER_OR_SECRET, WRITES, FAST, who_am_i, NO_BODY, ""},
    {HTTP_POST, "/admin-or-secret", AUTH_ADMIN_OR_SECRET, WRITES, FAST, who_am_i, NO_BODY, ""},
    {HTTP_POST, "/user-or-service", AUTH_USER_OR_SERVICE, WRITES, FAST, who_am_i, NO_BODY, ""},
    {HTTP_GET, "/see/:a/:b", AUTH_NONE, READS, FAST, see_path, NO_BODY, ""},
    {HTTP_GET, "/limit", AUTH_NONE, READS, FAST, see_limit, NO_BODY, ""},
    {HTTP_GET, "/search", AUTH_NONE, READS, FAST, search, NO_BODY, "",
     .query = QUERY(search_query, search_fields)},
    {HTTP_POST, "/echo", AUTH_NONE, READS, BLOCKING, echo, ECHO, ""},
    {HTTP_PUT, "/echo", AUTH_NONE, READS, FAST, echo, ECHO, ""},
    {HTTP_POST, "/small", AUTH_NONE, READS, FAST, echo, SMALL, ""},
    {HTTP_POST, "/mine", AUTH_USER, READS, FAST, echo, ECHO, ""},
    {HTTP_POST, "/first", AUTH_USER, READS, FAST_FIRST, fast_first, ECHO, ""},
    {HTTP_POST, "/any", AUTH_NONE, READS, FAST, any_json, ANY_JSON, ""},
    {HTTP_POST, "/nothing", AUTH_NONE, READS, FAST, nothing, NO_BODY, ""},
    {HTTP_GET, "/gate", AUTH_NONE, READS, BLOCKING, wait_for_gate, NO_BODY, ""},
    {HTTP_GET, "/large", AUTH_NONE, READS, FAST, large, NO_BODY, ""},
    {HTTP_GET, "/store", AUTH_NONE, READS, FAST, store_fails, NO_BODY, ""},
    {HTTP_GET, "/no-value", AUTH_NONE, READS, FAST, no_value, NO_BODY, ""},
    {HTTP_GET, "/api/directus/x", AUTH_USER, READS, FAST, who_am_i, NO_BODY, ""},
    {HTTP_GET, "/api/skills/x", AUTH_USER, READS, FAST, who_am_i, NO_BODY, ""},
    ROUTES_END,
};
static const struct route *const tables[] = {table, NULL};

struct place {
    struct site site;
    struct app app;
};

static void prepare(struct place *p)
{
    *p = (struct place){0};
    site_init(&p->site);
    gate_init(&p->app.gate);
    p->site.auth = (struct http_auth){&p->app, lookup, resolve, is_admin, is_read_only, describe, unref};
    p->app.large = calloc(1, LARGE);
    assert_non_null(p->app.large);
}

static void leave(struct place *p)
{
    gate_open(&p->app.gate);
    site_stop(&p->site, PATIENCE_MS);
    free(p->app.large);
    for (size_t i = 0; i < ARRAY_LEN(people); i++)
        assert_int_equal(atomic_load(&people[i].refs), 0);
}

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    prepare(p);
    site_start(&p->site, tables, &p->app);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    leave(p);
    free(p);
    return 0;
}

/* Asks, and compares status and error code; NULL: no error. */
static void expect(struct place *p, const char *request, int status, const char *code)
{
    struct answer a;
    ask(p->site.port, request, &a);
    if (a.status != status)
        fail_msg("%d instead of %d: %.200s\n%s", a.status, status, request, a.body);
    if (code) {
        _cleanup_json_ json_t *body = answer_json(&a);
        assert_string_equal(json_str(body, "code", ""), code);
        assert_false(json_bool(body, "ok", true));
        assert_true(json_str(body, "error", "")[0] != '\0');
    }
    answer_free(&a);
}

static void expect_header(const struct answer *a, const char *name, const char *value)
{
    char got[512];
    if (!str_equal(answer_header(a, name, got, sizeof got), value))
        fail_msg("%s is not %s:\n%s", name, value, a->head);
}

static json_t *ask_json(struct place *p, const char *request)
{
    struct answer a;
    ask(p->site.port, request, &a);
    if (a.status != 200)
        fail_msg("%d: %s", a.status, a.body);
    json_t *body = answer_json(&a);
    answer_free(&a);
    return body;
}

/* --- what is refused ----------------------------------------------------------------------------------- */

static void paths_and_methods(void **state)
{
    struct place *p = *state;
    struct answer a;
    expect(p, "GET /none HTTP/1.1\r\n" HOST "\r\n", 404, "not_found");
    expect(p, "GET /fast/ HTTP/1.1\r\n" HOST "\r\n", 404, "not_found");
    expect(p, "FOO /none HTTP/1.1\r\n" HOST "\r\n", 404, "not_found");
    expect(p, "GET /see/%FF/b HTTP/1.1\r\n" HOST "\r\n", 404, "not_found");
    expect(p, "GET /see/a/b?q=%C3 HTTP/1.1\r\n" HOST "\r\n", 400, "invalid_query");
    expect(p, "GET /see/a/b?%FF=1 HTTP/1.1\r\n" HOST "\r\n", 400, "invalid_query");
    ask(p->site.port, "POST /fast HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n{}", &a);
    assert_int_equal(a.status, 405);
    expect_header(&a, "Allow", "GET, HEAD");
    answer_free(&a);
    ask(p->site.port, "DELETE /echo HTTP/1.1\r\n" HOST "\r\n", &a);
    assert_int_equal(a.status, 405);
    expect_header(&a, "Allow", "POST, PUT");
    answer_free(&a);
    ask(p->site.port, "BREW /user HTTP/1.1\r\n" HOST "\r\n", &a);
    assert_int_equal(a.status, 405);
    expect_header(&a, "Allow", "GET, HEAD, POST");
    answer_free(&a);
}

static void rights(void **state)
{
    struct place *p = *state;
#define AS(who) HOST "Authorization: Bearer " who "\r\n\r\n"
    expect(p, "GET /user HTTP/1.1\r\n" HOST "\r\n", 401, "unauthorized");
    expect(p, "GET /user HTTP/1.1\r\n" AS("nobody"), 401, "unauthorized");
    expect(p, "GET /user HTTP/1.1\r\n" AS("null"), 401, "unauthorized");
    expect(p, "GET /user HTTP/1.1\r\n" AS("suspended"), 403, "suspended");
    expect(p, "GET /user HTTP/1.1\r\n" HOST "Authorization: Basic user\r\n\r\n", 401, "unauthorized");
    expect(p, "GET /user HTTP/1.1\r\n" AS("user"), 200, NULL);
    expect(p, "GET /user HTTP/1.1\r\n" HOST "authorization: bearer   user\r\n\r\n", 200, NULL);
    expect(p, "GET /user HTTP/1.1\r\n" AS("reader"), 200, NULL);
    expect(p, "POST /user HTTP/1.1\r\n" AS("reader"), 403, "read_only");
    expect(p, "POST /user HTTP/1.1\r\n" AS("user"), 200, NULL);
    expect(p, "GET /admin HTTP/1.1\r\n" AS("user"), 403, "forbidden");
    expect(p, "GET /admin HTTP/1.1\r\n" AS("admin"), 200, NULL);
    assert_int_equal(atomic_load(&p->app.resolved), 0);
    expect(p, "GET /user HTTP/1.1\r\n" AS("stored-user"), 200, NULL);
    expect(p, "GET /user HTTP/1.1\r\n" AS("stored-nobody"), 401, "unauthorized");
    expect(p, "GET /user HTTP/1.1\r\n" AS("stored-down"), 503, "store_unavailable");
    expect(p, "GET /admin HTTP/1.1\r\n" AS("stored-user"), 403, "forbidden");
    assert_int_equal(atomic_load(&p->app.resolved), 4);
}

/* Who a request is served as: a name, "secret", "secret+NAME", or the status of its refusal. */
static void expect_entry(struct place *p, const char *line, const char *token, const char *secret,
                         const char *served_as)
{
    char request[512], got[64];
    struct answer a;
    (void)snprintf(request, sizeof request, "%s HTTP/1.1\r\n" HOST "%s%s%s%s%s%s\r\n", line,
                   token ? "Authorization: Bearer " : "", token ? token : "", token ? "\r\n" : "",
                   secret ? "X-RBAC-SYNC-SECRET: " : "", secret ? secret : "", secret ? "\r\n" : "");
    ask(p->site.port, request, &a);
    _cleanup_json_ json_t *body = answer_json(&a);
    const char *name = json_str(body, "name", "");
    if (a.status != 200)
        (void)snprintf(got, sizeof got, "%d", a.status);
    else
        (void)snprintf(got, sizeof got, "%s%s%s", json_bool(body, "by_secret", false) ? "secret" : "",
                       json_bool(body, "by_secret", false) && name[0] ? "+" : "", name);
    answer_free(&a);
    if (strcmp(got, served_as) != 0)
        fail_msg("%s instead of %s:\n%s", got, served_as, request);
}

static const struct {
    const char *line, *token, *secret, *served_as;
} entries[] = {
    {"GET /secret", NULL, NULL, "401"},
    {"GET /secret", NULL, "right", "secret"},
    {"GET /secret", NULL, "wrong", "401"},
    {"GET /secret", NULL, "", "401"},
    {"GET /secret", NULL, "righ", "401"},
    {"GET /secret", NULL, "rightt", "401"},
    {"GET /secret", "admin", NULL, "401"},
    {"GET /secret", "admin", "wrong", "401"},
    {"GET /secret", "admin", "right", "secret+admin"},
    {"GET /secret", "stored-user", "right", "secret+user"},
    {"GET /secret", "nobody", "right", "401"},
    {"GET /secret", "stored-nobody", "right", "401"},
    {"GET /secret", "suspended", "right", "403"},
    {"GET /secret", "null", "right", "secret"},
    {"GET /secret", "reader", "right", "secret+reader"},
    {"POST /secret", NULL, "right", "secret"},
    {"POST /secret", "reader", "right", "403"},
    {"POST /user-or-secret", NULL, NULL, "401"},
    {"POST /user-or-secret", "user", NULL, "user"},
    {"POST /user-or-secret", NULL, "right", "secret"},
    {"POST /user-or-secret", NULL, "wrong", "401"},
    {"POST /user-or-secret", "user", "right", "user"},
    {"POST /user-or-secret", "user", "wrong", "401"},
    {"POST /user-or-secret", "nobody", "right", "401"},
    {"POST /user-or-secret", "reader", "right", "403"},
    {"POST /admin-or-secret", "admin", NULL, "admin"},
    {"POST /admin-or-secret", "user", NULL, "403"},
    {"POST /admin-or-secret", "user", "right", "403"},
    {"POST /admin-or-secret", NULL, "right", "secret"},
    {"POST /admin-or-secret", NULL, "wrong", "401"},
    {"POST /user-or-service", NULL, "service", "secret"},
    {"POST /user-or-service", NULL, "right", "401"},
    {"POST /user-or-service", "user", NULL, "user"},
    {"POST /user", "user", "wrong", "user"}, /* takes no secret */
    {"POST /user", NULL, "right", "401"},
    {"POST /user", NULL, "service", "401"},
};

static void shared_secrets(void **state)
{
    (void)state;
    struct place p;
    prepare(&p);
    p.site.config.rbac_sync_webhook_secret = "right";
    p.site.config.credentials_service_secret = "service";
    site_start(&p.site, tables, &p.app);
    for (size_t i = 0; i < ARRAY_LEN(entries); i++)
        expect_entry(&p, entries[i].line, entries[i].token, entries[i].secret, entries[i].served_as);
    expect(&p, "GET /secret HTTP/1.1\r\n" HOST "X-RBAC-SYNC-SECRET: right\r\nX-RBAC-SYNC-SECRET: x\r\n\r\n",
           400, "bad_request");
    leave(&p);
}

static void a_secret_that_is_not_set_matches_nothing(void **state)
{
    struct place *p = *state;
    static const char *const guesses[] = {NULL, "", "null", "right"};
    for (size_t i = 0; i < ARRAY_LEN(guesses); i++) {
        expect_entry(p, "GET /secret", NULL, guesses[i], "401");
        expect_entry(p, "GET /secret", "admin", guesses[i], "401");
        expect_entry(p, "POST /user-or-secret", NULL, guesses[i], "401");
        expect_entry(p, "POST /user-or-service", NULL, guesses[i], "401");
    }
}

/* Without a secret of its own, the credentials service uses that of all. */
static void the_service_secret_falls_back(void **state)
{
    (void)state;
    struct place p;
    prepare(&p);
    p.site.config.rbac_sync_webhook_secret = "right";
    site_start(&p.site, tables, &p.app);
    expect_entry(&p, "POST /user-or-service", NULL, "right", "secret");
    expect_entry(&p, "POST /user-or-service", NULL, "service", "401");
    leave(&p);
}

static void bodies_that_are_refused(void **state)
{
    struct place *p = *state;
#define BODY_OF(path, type, length, text) \
    "POST " path " HTTP/1.1\r\n" HOST type "Content-Length: " length "\r\n\r\n" text
#define JSON "Content-Type: application/json\r\n"
#define TEN "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN "012345678x"
    expect(p, BODY_OF("/echo", JSON, "1", "{"), 400, "malformed_json");
    expect(p, BODY_OF("/echo", JSON, "2", "[]"), 400, "malformed_json");
    expect(p, BODY_OF("/echo", JSON, "2", "{}"), 400, "missing_field");
    expect(p, BODY_OF("/echo", JSON, "0", ""), 400, "missing_field");
    expect(p, BODY_OF("/echo", JSON, "22", "{\"text\":\"x\",\"times\":4}"), 400, "invalid_field");
    expect(p, BODY_OF("/echo", "Content-Type: text/html\r\n", "12", "{\"text\":\"x\"}"), 415,
           "unsupported_media_type");
    expect(p, BODY_OF("/echo", "Content-Type: application/jsonx\r\n", "12", "{\"text\":\"x\"}"), 415,
           "unsupported_media_type");
    expect(p, BODY_OF("/echo", "Content-Type: multipart/form-data; boundary=x\r\n", "0", ""), 415,
           "unsupported_media_type");
    expect(p, BODY_OF("/small", JSON, "101", HUNDRED "x"), 413, "body_too_large");
    expect(p, BODY_OF("/small", JSON, "100", HUNDRED), 400, "malformed_json");
    expect(p, BODY_OF("/echo", JSON, "9999999999", ""), 413, "body_too_large"); /* not even waited for */
    assert_int_equal(atomic_load(&p->app.served), 0);
}

static void bodies_that_are_read(void **state)
{
    static const char *const types[] = {"",
                                        JSON,
                                        "Content-Type: application/json;charset=utf-8\r\n",
                                        "Content-Type: APPLICATION/JSON\r\n",
                                        "Content-Type: text/plain\r\n",
                                        "Content-Type: \r\n",
                                        "Content-Type: application/x-www-form-urlencoded\r\n"};
    struct place *p = *state;
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        char request[300];
        (void)snprintf(request, sizeof request,
                       "POST /echo HTTP/1.1\r\n" HOST "%sContent-Length: 14\r\n\r\n{\"text\":\"a\\n\"}",
                       types[i]);
        _cleanup_json_ json_t *body = ask_json(p, request);
        assert_string_equal(json_str(body, "text", ""), "a\n");
        assert_int_equal(json_int(body, "times", 0), 1);
    }
    _cleanup_json_ json_t *list = ask_json(p, BODY_OF("/any", JSON, "5", "[1,2]"));
    assert_int_equal(json_array_size(list), 2);
    _cleanup_json_ json_t *none = ask_json(p, BODY_OF("/any", JSON, "0", ""));
    assert_true(json_is_null(none));
    expect(p, BODY_OF("/nothing", "Content-Type: image/png\r\n", "3", "\x89PN"), 204, NULL);
}

/* A chat message may be a hundred times larger than a packet. */
static void a_body_of_just_the_limit(void **state)
{
    struct place *p = *state;
    _cleanup_buf_ struct buf b = BUF_INIT((size_t)2 * 1024 * 1024);
    for (size_t size = 1024 * 1024 - 1; size <= 1024 * 1024 + 1; size++) {
        struct client c;
        struct answer a;
        buf_reset(&b);
        assert_int_equal(buf_addf(&b, "POST /any HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n\"", size),
                         0);
        for (size_t i = 2; i < size; i++)
            assert_int_equal(buf_add(&b, "x", 1), 0);
        assert_int_equal(buf_add(&b, "\"", 1), 0);
        client_open(&c, p->site.port);
        client_send_bytes(&c, b.data, b.len);
        assert_true(client_answer(&c, false, &a));
        assert_int_equal(a.status, size <= 1024 * 1024 ? 200 : 413);
        assert_true(a.status != 200 || a.len == size);
        answer_free(&a);
        client_close(&c);
    }
}

static void send_chunks(struct client *c, size_t total)
{
    static char chunk[10000];
    memset(chunk, 'x', sizeof chunk);
    client_send(c, "POST /small HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    for (size_t sent = 0; sent < total; sent += sizeof chunk) {
        client_send(c, "2710\r\n");
        client_send_bytes(c, chunk, sizeof chunk);
        client_send(c, "\r\n");
    }
    client_send(c, "0\r\n\r\n");
}

static void chunked_bodies(void **state)
{
    struct place *p = *state;
    struct client c;
    struct answer a;
    _cleanup_json_ json_t *body =
        ask_json(p, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                    "1\r\n{\r\n3;x=y\r\n\"te\r\n9\r\nxt\":\"ab\"}\r\n0\r\nTrailer: 1\r\n\r\n");
    assert_string_equal(json_str(body, "text", ""), "ab");
    client_open(&c, p->site.port);
    send_chunks(&c, 100000); /* drained, so that the refusal arrives and the connection lives on */
    assert_true(client_answer(&c, false, &a));
    assert_int_equal(a.status, 413);
    answer_free(&a);
    client_send(&c, "GET /fast HTTP/1.1\r\n" HOST "\r\n");
    assert_true(client_answer(&c, false, &a));
    assert_int_equal(a.status, 200);
    answer_free(&a);
    send_chunks(&c, (size_t)20 * 1024 * 1024); /* beyond what is drained: cut off */
    client_await_end(&c);
    client_close(&c);
    expect(p, "GET /fast HTTP/1.1\r\n" HOST "\r\n", 200, NULL);
}

/* --- headers ------------------------------------------------------------------------------------------- */

static void a_client_that_asks_before_it_sends(void **state)
{
    struct place *p = *state;
    struct client c;
    struct answer a;
    client_open(&c, p->site.port);
    client_send(&c, "POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 12\r\n\r\n");
    assert_true(client_await(&c, "HTTP/1.1 100 Continue\r\n\r\n"));
    buf_reset(&c.in);
    client_send(&c, "{\"text\":\"x\"}");
    assert_true(client_answer(&c, false, &a));
    assert_int_equal(a.status, 200);
    answer_free(&a);
    /* refused before it has sent anything */
    client_send(&c, "POST /mine HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 1000\r\n\r\n");
    assert_true(client_answer(&c, false, &a));
    assert_int_equal(a.status, 401);
    answer_free(&a);
    client_await_end(&c);
    client_close(&c);
}

/* A name with a blank, an encoding nobody knows, control characters: what others may read otherwise. */
static void headers_that_can_be_read_in_two_ways(void **state)
{
    struct place *p = *state;
    static const char *const lines[] = {"Content-Length : 5",
                                        "Transfer-Encoding: xchunked",
                                        "Transfer-Encoding: chunked, identity",
                                        "X-A: b\x01",
                                        "X-\xC3\xA9: b",
                                        "Host: other",
                                        "Authorization: a\r\nAuthorization: b"};
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        char request[200];
        (void)snprintf(request, sizeof request, "GET /fast HTTP/1.1\r\n" HOST "%s\r\n\r\n", lines[i]);
        expect(p, request, 400, "bad_request");
    }
}

static void request_ids(void **state)
{
    struct place *p = *state;
    struct answer a;
    char id[100];
    ask(p->site.port, "GET /fast HTTP/1.1\r\n" HOST "X-Request-Id: my.id_1-A\r\n\r\n", &a);
    expect_header(&a, "X-Request-Id", "my.id_1-A");
    _cleanup_json_ json_t *body = answer_json(&a);
    assert_string_equal(json_str(body, "id", ""), "my.id_1-A");
    answer_free(&a);
    static const char *const insane[] = {
        "", "X-Request-Id: a b\r\n", "X-Request-Id: \xC3\xA9\r\n", "X-Request-Id: <x>\r\n",
        "X-Request-Id: 12345678901234567890123456789012345678901234567890123456789012345\r\n"};
    for (size_t i = 0; i < ARRAY_LEN(insane); i++) {
        char request[200];
        (void)snprintf(request, sizeof request, "GET /none HTTP/1.1\r\n" HOST "%s\r\n", insane[i]);
        ask(p->site.port, request, &a);
        assert_non_null(answer_header(&a, "X-Request-Id", id, sizeof id));
        assert_true(uuid_valid(id));
        answer_free(&a);
    }
}

static void what_a_handler_sees_of_a_request(void **state)
{
    struct place *p = *state;
    _cleanup_json_ json_t *seen = ask_json(p, "GET /see/a%20b/%C3%A9?q=x+y%26z&q=2 HTTP/1.1\r\n" HOST
                                              "Cookie: xsid=no; sid=a=b; sid=c\r\n\r\n");
    assert_string_equal(json_str(seen, "path", ""), "/see/a b/é");
    assert_string_equal(json_str(seen, "a", ""), "a b");
    assert_string_equal(json_str(seen, "b", ""), "é");
    assert_string_equal(json_str(seen, "q", ""), "x y&z");
    assert_string_equal(json_str(seen, "cookie", ""), "a=b");
    static const struct {
        const char *query;
        int status, limit;
    } cases[] = {{"", 200, 10},        {"?limit=50", 200, 50}, {"?limit=51", 400, 0},
                 {"?limit=x", 400, 0}, {"?limit=", 400, 0},    {"?limit", 200, 10}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char request[100];
        struct answer a;
        (void)snprintf(request, sizeof request, "GET /limit%s HTTP/1.1\r\n" HOST "\r\n", cases[i].query);
        ask(p->site.port, request, &a);
        assert_int_equal(a.status, cases[i].status);
        _cleanup_json_ json_t *body = answer_json(&a);
        assert_int_equal(json_int(body, "limit", 0), cases[i].limit);
        answer_free(&a);
    }
}

#define AN_ID "11111111-1111-4111-8111-111111111111"

static void queries_are_bound_by_descriptors(void **state)
{
    struct place *p = *state;
    static const struct {
        const char *query, *body; /* or the parameter to blame */
    } cases[] = {
        {"", "{\"kind\":null,\"id\":null,\"limit\":10,\"deep\":false,\"tags\":0}"},
        {"?unknown=1&limit", "{\"kind\":null,\"id\":null,\"limit\":10,\"deep\":false,\"tags\":0}"},
        {"?kind=a&limit=50&deep=true&tags=x,%20y,&id=" AN_ID,
         "{\"kind\":\"a\",\"id\":\"" AN_ID "\",\"limit\":50,\"deep\":true,\"tags\":2}"},
        {"?type=b&limit=1&limit=x", "{\"kind\":\"b\",\"id\":null,\"limit\":1,\"deep\":false,\"tags\":0}"},
        {"?limit=51", "limit"},
        {"?limit=0", "limit"},
        {"?limit=", "limit"},
        {"?limit=1.5", "limit"},
        {"?limit=true", "limit"},
        {"?limit=99999999999999999999", "limit"},
        {"?kind=c", "kind"},
        {"?kind=", "kind"},
        {"?id=1", "id"},
        {"?deep=1", "deep"},
        {"?deep=%7B", "deep"},
        {"?tags=a,b,c,d", "tags"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char request[200];
        struct answer a;
        (void)snprintf(request, sizeof request, "GET /search%s HTTP/1.1\r\n" HOST "\r\n", cases[i].query);
        ask(p->site.port, request, &a);
        if (cases[i].body[0] == '{') {
            assert_string_equal(a.body, cases[i].body);
        } else {
            _cleanup_json_ json_t *body = answer_json(&a);
            assert_int_equal(a.status, 400);
            assert_string_equal(json_str(body, "code", ""), "invalid_query");
            assert_string_equal(json_str(body, "field", ""), cases[i].body);
            assert_true(str_has_prefix(json_str(body, "error", ""), cases[i].body));
        }
        answer_free(&a);
    }
}

static void addresses_behind_a_proxy(void **state)
{
    struct place *p = *state;
    static const struct {
        const char *headers, *ip;
        bool local, tls;
    } cases[] = {
        {"", "127.0.0.1", true, false},
        {"X-Forwarded-For: 1.2.3.4\r\n", "1.2.3.4", false, false},
        {"X-Forwarded-For: 6.6.6.6, 1.2.3.4\r\nX-Forwarded-Proto: https\r\n", "1.2.3.4", false, true},
        /* a proxy's own line below the client's: the last one counts */
        {"X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 1.2.3.4\r\n", "1.2.3.4", false, false},
        {"X-Forwarded-For: 1.2.3.4\r\nx-forwarded-for: 127.0.0.1\r\n", "1.2.3.4", false, false},
        {"X-Real-IP: 127.0.0.1\r\n", "127.0.0.1", false, false},
        {"Forwarded: for=1.2.3.4\r\n", "127.0.0.1", false, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char request[300];
        (void)snprintf(request, sizeof request, "GET /fast HTTP/1.1\r\n" HOST "%s\r\n", cases[i].headers);
        _cleanup_json_ json_t *seen = ask_json(p, request);
        assert_string_equal(json_str(seen, "ip", ""), cases[i].ip);
        assert_int_equal(json_bool(seen, "local", false), cases[i].local);
        assert_int_equal(json_bool(seen, "tls", false), cases[i].tls);
    }
}

static void cross_origin_calls(void **state)
{
    struct place *p = *state;
    struct answer a;
    ask(p->site.port,
        "OPTIONS /user HTTP/1.1\r\n" HOST "Origin: https://a.test\r\nAccess-Control-Request-Method: POST\r\n"
        "Access-Control-Request-Headers: X-Mine, Authorization\r\n\r\n",
        &a);
    assert_int_equal(a.status, 204);
    expect_header(&a, "Access-Control-Allow-Origin", "https://a.test");
    expect_header(&a, "Access-Control-Allow-Headers", "X-Mine, Authorization");
    expect_header(&a, "Access-Control-Allow-Methods", "GET,HEAD,PUT,PATCH,POST,DELETE,SEARCH");
    expect_header(&a, "Access-Control-Allow-Credentials", NULL);
    answer_free(&a);
    ask(p->site.port, "GET /user HTTP/1.1\r\n" HOST "Origin: https://a.test\r\n\r\n", &a);
    assert_int_equal(a.status, 401); /* an error can be read by the page too */
    expect_header(&a, "Access-Control-Allow-Origin", "https://a.test");
    answer_free(&a);
    ask(p->site.port, "GET /fast HTTP/1.1\r\n" HOST "\r\n", &a);
    expect_header(&a, "Access-Control-Allow-Origin", NULL);
    expect_header(&a, "X-Content-Type-Options", "nosniff");
    answer_free(&a);
}

static void only_listed_origins_may_call(void **state)
{
    struct place p;
    struct answer a;
    (void)state;
    prepare(&p);
    p.site.config.cors_origins = "https://a.test, https://b.test";
    site_start(&p.site, tables, &p.app);
    ask(p.site.port, "GET /fast HTTP/1.1\r\n" HOST "Origin: https://b.test\r\n\r\n", &a);
    expect_header(&a, "Access-Control-Allow-Origin", "https://b.test");
    answer_free(&a);
    ask(p.site.port, "GET /fast HTTP/1.1\r\n" HOST "Origin: https://c.test\r\n\r\n", &a);
    assert_int_equal(a.status, 200);
    expect_header(&a, "Access-Control-Allow-Origin", NULL);
    answer_free(&a);
    leave(&p);
}

static void headers_of_an_answer(void **state)
{
    struct place *p = *state;
    struct answer a;
    ask(p->site.port, "POST /nothing HTTP/1.1\r\n" HOST "\r\n", &a);
    assert_int_equal(a.status, 204);
    assert_non_null(strstr(a.head, "Set-Cookie: a=1\r\n"));
    assert_non_null(strstr(a.head, "Set-Cookie: b=2\r\n"));
    expect_header(&a, "X-Once", "second");
    assert_null(strstr(a.head, "first"));
    answer_free(&a);
}

static void errors_in_the_shape_of_each_family(void **state)
{
    struct place *p = *state;
    struct answer a;
    ask(p->site.port, "GET /api/directus/x HTTP/1.1\r\n" HOST "\r\n", &a);
    assert_int_equal(a.status, 403);
    _cleanup_json_ json_t *directus = answer_json(&a);
    const json_t *first = json_array_get(json_object_get(directus, "errors"), 0);
    assert_string_equal(json_str(json_object_get(first, "extensions"), "code", ""), "FORBIDDEN");
    answer_free(&a);
    ask(p->site.port, "GET /api/skills/x HTTP/1.1\r\n" HOST "\r\n", &a);
    _cleanup_json_ json_t *skills = answer_json(&a);
    assert_false(json_bool(skills, "success", true));
    answer_free(&a);
    ask(p->site.port, "GET /store HTTP/1.1\r\n" HOST "\r\n", &a);
    assert_int_equal(a.status, 503);
    expect_header(&a, "Retry-After", "1");
    answer_free(&a);
    expect(p, "GET /no-value HTTP/1.1\r\n" HOST "\r\n", 500, "internal_error");
}

static void long_and_many_headers(void **state)
{
    struct place *p = *state;
    _cleanup_buf_ struct buf b = BUF_INIT((size_t)256 * 1024);
    struct client c;
    struct answer a;
    /* a token of 15 KiB is read and refused as one */
    assert_int_equal(
        buf_addf(&b, "GET /user HTTP/1.1\r\n" HOST "Authorization: Bearer %0*d\r\n\r\n", 15 * 1024, 1), 0);
    expect(p, b.data, 401, "unauthorized");
    for (int many = 10; many <= 10000; many *= 10) {
        buf_reset(&b);
        assert_int_equal(buf_adds(&b, "GET /fast HTTP/1.1\r\n" HOST), 0);
        for (int i = 0; i < many; i++)
            assert_int_equal(buf_addf(&b, "X-%d: %d\r\n", i, i), 0);
        assert_int_equal(buf_adds(&b, "\r\n"), 0);
        client_open(&c, p->site.port);
        client_send_bytes(&c, b.data, b.len);
        if (client_answer(&c, false, &a)) /* or closed without a word */
            assert_int_equal(a.status, many <= 100 ? 200 : 431);
        else
            assert_true(many > 100);
        answer_free(&a);
        client_close(&c);
    }
    expect(p, "GET /fast HTTP/1.1\r\n" HOST "\r\n", 200, NULL);
}

/* --- connections --------------------------------------------------------------------------------------- */

static void fast_and_blocking_handlers_answer_alike(void **state)
{
    static const char *const paths[] = {"/fast", "/slow"};
    struct place *p = *state;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        char request[100];
        struct answer a, head;
        (void)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\n" HOST "X-Request-Id: same\r\n\r\n",
                       paths[i]);
        ask(p->site.port, request, &a);
        assert_int_equal(a.status, 200);
        expect_header(&a, "Content-Type", "application/json; charset=utf-8");
        (void)snprintf(request, sizeof request, "HEAD %s HTTP/1.1\r\n" HOST "X-Request-Id: same\r\n\r\n",
                       paths[i]);
        ask(p->site.port, request, &head);
        assert_int_equal(head.status, 200);
        char length[20];
        (void)snprintf(length, sizeof length, "%zu", a.len);
        expect_header(&head, "Content-Length", length);
        answer_free(&head);
        answer_free(&a);
    }
}

/* A hundred requests in one go, of both kinds; the answers come in order. */
static void pipelined_requests_are_answered_in_order(void **state)
{
    struct place *p = *state;
    _cleanup_buf_ struct buf b = BUF_INIT(65536);
    struct client c;
    for (int i = 0; i < 100; i++)
        assert_int_equal(buf_addf(&b, "GET %s HTTP/1.1\r\n" HOST "X-Request-Id: n%d\r\n\r\n",
                                  i % 3 ? "/fast" : "/slow", i),
                         0);
    client_open(&c, p->site.port);
    client_send_bytes(&c, b.data, b.len);
    for (int i = 0; i < 100; i++) {
        struct answer a;
        char id[20];
        assert_true(client_answer(&c, false, &a));
        (void)snprintf(id, sizeof id, "n%d", i);
        expect_header(&a, "X-Request-Id", id);
        answer_free(&a);
    }
    client_close(&c);
}

static void keep_alive_by_version(void **state)
{
    struct place *p = *state;
    static const struct {
        const char *request;
        bool stays;
    } cases[] = {
        {"GET /fast HTTP/1.1\r\n" HOST "\r\n", true},
        {"GET /fast HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", false},
        {"GET /fast HTTP/1.0\r\n\r\n", false},
        {"GET /fast HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct client c;
        struct answer a;
        client_open(&c, p->site.port);
        client_send(&c, cases[i].request);
        assert_true(client_answer(&c, false, &a));
        assert_int_equal(a.status, 200);
        answer_free(&a);
        if (cases[i].stays) {
            client_send(&c, "GET /fast HTTP/1.1\r\n" HOST "\r\n");
            assert_true(client_answer(&c, false, &a));
            answer_free(&a);
        } else {
            client_await_end(&c);
        }
        client_close(&c);
    }
}

static void a_full_pool_is_503_and_fast_handlers_go_on(void **state)
{
    struct place p;
    struct client busy[3];
    struct answer a;
    (void)state;
    prepare(&p);
    p.site.workers = 1;
    p.site.waiting = 2;
    site_start(&p.site, tables, &p.app);
    for (int i = 0; i < 3; i++) {
        client_open(&busy[i], p.site.port);
        client_send(&busy[i], "GET /gate HTTP/1.1\r\n" HOST "\r\n");
        if (i == 0)
            gate_await(&p.app.gate, 1); /* the worker has it; the others wait in the queue */
    }
    while (pool_load(p.site.pool) < 3)
        sleep_ms(1);
    ask(p.site.port, "GET /slow HTTP/1.1\r\n" HOST "\r\n", &a);
    assert_int_equal(a.status, 503);
    expect_header(&a, "Retry-After", "1");
    assert_non_null(strstr(a.body, "\"overloaded\""));
    answer_free(&a);
    expect(&p, "GET /fast HTTP/1.1\r\n" HOST "\r\n", 200, NULL);
    expect(&p, "GET /user HTTP/1.1\r\n" AS("stored-user"), 503, "overloaded");
    gate_open(&p.app.gate);
    for (int i = 0; i < 3; i++) {
        assert_true(client_answer(&busy[i], false, &a));
        assert_int_equal(a.status, 200);
        answer_free(&a);
        client_close(&busy[i]);
    }
    leave(&p);
}

static void what_memory_doesn_t_know_is_asked_again_on_a_worker(void **state)
{
    static const struct {
        const char *request, *text;
        bool waited;
        int runs;
    } cases[] = {
        {"POST /first HTTP/1.1\r\nAuthorization: Bearer user\r\n" HOST "Content-Length: 16\r\n\r\n"
         "{\"text\":\"known\"}",
         "known", false, 1},
        {"POST /first HTTP/1.1\r\nAuthorization: Bearer user\r\n" HOST "Content-Length: 14\r\n\r\n"
         "{\"text\":\"new\"}",
         "new", true, 2},
        /* whose identity had to be asked for is on a worker anyway */
        {"POST /first HTTP/1.1\r\nAuthorization: Bearer stored-user\r\n" HOST "Content-Length: 14\r\n\r\n"
         "{\"text\":\"new\"}",
         "new", true, 1},
    };
    struct place *p = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int before = atomic_load(&p->app.served);
        _cleanup_json_ json_t *body = ask_json(p, cases[i].request);
        assert_string_equal(json_str(body, "text", ""), cases[i].text);
        assert_string_equal(json_str(body, "name", ""), "user");
        assert_int_equal(json_bool(body, "waited", !cases[i].waited), cases[i].waited);
        assert_int_equal(atomic_load(&p->app.served) - before, cases[i].runs);
    }
}

/* One second a request: whoever has not sent a whole one by then is cut, wherever it stands. */
static void slow_requests_are_cut(void **state)
{
    static const char *const beginnings[] = {
        "",
        "G",
        "GET /fast HTTP/1.1\r\nHost: x\r\n",
        "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n{",
        "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n5\r\n{",
        "POST /mine HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n{", /* refused, its body still awaited */
        "GET /fast HTTP/1.1\r\n" HOST "\r\nGET /fa",                 /* the second of two */
    };
    struct place p;
    struct client clients[ARRAY_LEN(beginnings)], drip;
    (void)state;
    prepare(&p);
    p.site.config.request_timeout_s = 1;
    site_start(&p.site, tables, &p.app);
    for (size_t i = 0; i < ARRAY_LEN(beginnings); i++) {
        client_open(&clients[i], p.site.port);
        client_send(&clients[i], beginnings[i]);
    }
    /* a byte now and then is no progress */
    client_open(&drip, p.site.port);
    client_send(&drip, "GET /fast HTTP/1.1\r\nX: ");
    char byte;
    int64_t until = clock_monotonic_ms() + PATIENCE_MS;
    ssize_t n = -1;
    while (n != 0 && clock_monotonic_ms() < until) {
        client_send(&drip, "x");
        sleep_ms(50);
        n = recv(drip.fd, &byte, 1, MSG_DONTWAIT);
        if (n < 0 && errno == ECONNRESET)
            n = 0;
    }
    assert_int_equal(n, 0);
    client_close(&drip);
    for (size_t i = 0; i < ARRAY_LEN(beginnings); i++) {
        client_await_end(&clients[i]);
        client_close(&clients[i]);
    }
    assert_int_equal(atomic_load(&p.app.served), 1);
    leave(&p);
}

/* The handler's time is not the client's: a connection whose request is in work is not cut. */
static void a_request_in_work_is_not_cut(void **state)
{
    struct place p;
    struct client c, other;
    struct answer a;
    (void)state;
    prepare(&p);
    p.site.config.request_timeout_s = 1;
    site_start(&p.site, tables, &p.app);
    client_open(&c, p.site.port);
    client_send(&c, "GET /gate HTTP/1.1\r\n" HOST "\r\n");
    gate_await(&p.app.gate, 1);
    for (int i = 0; i < 2; i++) { /* two that are cut show that the time is over */
        client_open(&other, p.site.port);
        client_await_end(&other);
        client_close(&other);
    }
    gate_open(&p.app.gate);
    assert_true(client_answer(&c, false, &a));
    assert_int_equal(a.status, 200);
    answer_free(&a);
    client_close(&c);
    leave(&p);
}

static void await_no_connections(void)
{
    int64_t until = clock_monotonic_ms() + PATIENCE_MS;
    while (metric_get(METRIC_HTTP_CONNECTIONS) > 0 && clock_monotonic_ms() < until)
        sleep_ms(5);
    assert_int_equal(metric_get(METRIC_HTTP_CONNECTIONS), 0);
}

/* A client that takes nothing of its answer must not hold a connection for ever. */
static void a_client_that_reads_nothing_is_cut(void **state)
{
    struct place p;
    struct client c;
    (void)state;
    prepare(&p);
    p.site.config.request_timeout_s = 1;
    site_start(&p.site, tables, &p.app);
    client_open(&c, p.site.port);
    client_send(&c, "GET /large HTTP/1.1\r\n" HOST "\r\n");
    assert_true(await_count(&p.app.served, 1));
    await_no_connections();
    client_await_end(&c);
    assert_true(c.in.len < LARGE); /* what fitted into the sockets' buffers */
    client_close(&c);
    leave(&p);
}

static void a_large_answer_arrives_whole(void **state)
{
    struct place *p = *state;
    struct answer a;
    ask(p->site.port, "GET /large HTTP/1.1\r\n" HOST "\r\n", &a);
    assert_int_equal(a.status, 200);
    assert_int_equal(a.len, LARGE);
    answer_free(&a);
}

static void clients_that_leave_at_any_point(void **state)
{
    static const char request[] = "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 12\r\n\r\n{\"text\":\"x\"}";
    struct place *p = *state;
    for (size_t cut = 0; cut <= sizeof request - 1; cut++) {
        struct client c;
        struct linger hard = {.l_onoff = 1, .l_linger = 0};
        client_open(&c, p->site.port);
        client_send_bytes(&c, request, cut);
        if (cut % 2) /* half of them with a reset */
            assert_int_equal(setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
        client_close(&c);
    }
    expect(p, "GET /slow HTTP/1.1\r\n" HOST "\r\n", 200, NULL);
}

static void a_client_that_leaves_while_its_request_is_in_work(void **state)
{
    struct place *p = *state;
    struct client c;
    client_open(&c, p->site.port);
    client_send(&c, "GET /gate HTTP/1.1\r\n" HOST "\r\n");
    gate_await(&p->app.gate, 1);
    client_close(&c);
    gate_open(&p->app.gate);
    expect(p, "GET /slow HTTP/1.1\r\n" HOST "\r\n", 200, NULL);
}

/* --- the end ------------------------------------------------------------------------------------------- */

struct stopper {
    struct place *place;
    int64_t limit_ms;
    atomic_int done;
};

static void *stop_in_thread(void *arg)
{
    struct stopper *s = arg;
    http_stop(s->place->site.server, s->limit_ms);
    atomic_store(&s->done, 1);
    return NULL;
}

static void await_refusal(int port)
{
    for (int i = 0; i < PATIENCE_MS; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_in to = {.sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int r = connect(fd, (struct sockaddr *)&to, sizeof to);
        (void)close(fd);
        if (r < 0)
            return;
        sleep_ms(1);
    }
    fail();
}

/* What is in work within the limit is answered; idle connections are closed. */
static void stopping_answers_what_is_in_work(void **state)
{
    struct place p;
    struct client working, idle, half;
    struct answer a;
    pthread_t thread;
    (void)state;
    prepare(&p);
    site_start(&p.site, tables, &p.app);
    client_open(&working, p.site.port);
    client_open(&idle, p.site.port);
    client_open(&half, p.site.port);
    client_send(&half, "GET /fast HTTP/1.1\r\n");
    client_send(&working, "GET /gate HTTP/1.1\r\n" HOST "\r\n");
    gate_await(&p.app.gate, 1);
    struct stopper s = {&p, PATIENCE_MS, 0};
    assert_int_equal(pthread_create(&thread, NULL, stop_in_thread, &s), 0);
    sleep_ms(50);
    assert_int_equal(atomic_load(&s.done), 0);
    gate_open(&p.app.gate);
    assert_true(client_answer(&working, false, &a));
    assert_int_equal(a.status, 200);
    answer_free(&a);
    pthread_join(thread, NULL);
    client_await_end(&idle);
    client_await_end(&half);
    client_await_end(&working);
    client_close(&idle);
    client_close(&half);
    client_close(&working);
    await_refusal(p.site.port);
    pool_stop(p.site.pool);
    free(p.app.large);
}

/* A handler past the limit is waited for, its client is not. */
static void stopping_waits_for_a_late_handler(void **state)
{
    struct place p;
    struct client c, large_one;
    pthread_t thread;
    (void)state;
    prepare(&p);
    site_start(&p.site, tables, &p.app);
    client_open(&c, p.site.port);
    client_open(&large_one, p.site.port);
    client_send(&large_one, "GET /large HTTP/1.1\r\n" HOST "\r\n"); /* and never reads */
    assert_true(await_count(&p.app.served, 1));
    client_send(&c, "GET /gate HTTP/1.1\r\n" HOST "\r\nGET /fast HTTP/1.1\r\n" HOST "\r\n");
    gate_await(&p.app.gate, 1);
    struct stopper s = {&p, 20, 0};
    assert_int_equal(pthread_create(&thread, NULL, stop_in_thread, &s), 0);
    client_await_end(&c); /* cut at the limit */
    assert_int_equal(atomic_load(&s.done), 0);
    gate_open(&p.app.gate);
    pthread_join(thread, NULL);
    client_close(&c);
    client_close(&large_one);
    pool_stop(p.site.pool);
    free(p.app.large);
}

struct asker {
    int port;
    atomic_int stop;
};

/* Asks without a pause until the server is gone. */
static void *ask_on(void *arg)
{
    struct asker *k = arg;
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)k->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    while (!atomic_load(&k->stop)) {
        char piece[4096];
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
            for (int i = 0; i < 50; i++) {
                static const char two[] =
                    "GET /slow HTTP/1.1\r\n" HOST "\r\nGET /fast HTTP/1.1\r\n" HOST "\r\n";
                if (send(fd, two, sizeof two - 1, MSG_NOSIGNAL) < 0 || recv(fd, piece, sizeof piece, 0) <= 0)
                    break;
            }
        (void)close(fd);
    }
    return NULL;
}

/* Clients that never stop asking can't keep the server from stopping, nor catch it at a bad moment. */
static void stopping_under_load(void **state)
{
    (void)state;
    for (int round = 0; round < 8; round++) {
        struct place p;
        pthread_t threads[4];
        prepare(&p);
        p.site.config.http_threads = 1 + round % 2;
        p.site.waiting = 1000;
        site_start(&p.site, tables, &p.app);
        struct asker k = {p.site.port, 0};
        for (size_t i = 0; i < ARRAY_LEN(threads); i++)
            assert_int_equal(pthread_create(&threads[i], NULL, ask_on, &k), 0);
        while (atomic_load(&p.app.served) < 200)
            sleep_ms(1);
        site_stop(&p.site, round % 4 ? 10 : 0);
        atomic_store(&k.stop, 1);
        for (size_t i = 0; i < ARRAY_LEN(threads); i++)
            pthread_join(threads[i], NULL);
        free(p.app.large);
    }
}

/* What libmicrohttpd does in two threads at once where a server stops under load. */
static void a_socket_may_be_taken_out_of_a_set_twice(void **state)
{
    (void)state;
    int set = epoll_create1(EPOLL_CLOEXEC), fd = eventfd(0, EFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    assert_int_equal(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event), 0);
    assert_int_equal(epoll_ctl(set, EPOLL_CTL_DEL, fd, NULL), 0);
    assert_int_equal(epoll_ctl(set, EPOLL_CTL_DEL, fd, NULL), 0);
    assert_int_equal(epoll_ctl(set, EPOLL_CTL_MOD, fd, &event), -1);
    assert_int_equal(errno, ENOENT);
    (void)close(fd);
    assert_int_equal(epoll_ctl(set, EPOLL_CTL_DEL, fd, NULL), -1);
    assert_int_equal(errno, EBADF);
    (void)close(set);
}

static void a_server_that_cannot_start_says_so(void **state)
{
    static const struct route twice[] = {{HTTP_GET, "/a", AUTH_NONE, READS, FAST, who_am_i, NO_BODY, ""},
                                         {HTTP_GET, "/a", AUTH_NONE, READS, FAST, who_am_i, NO_BODY, ""},
                                         ROUTES_END};
    static const struct route *const inconsistent[] = {twice, NULL};
    struct place *p = *state;
    struct http_server *server = NULL;
    struct config config = p->site.config;
    struct http_options options = {&config, inconsistent, p->site.auth, p->site.pool, &p->app, {0}};
    assert_int_equal(http_start(&options, &server), -EEXIST);
    options.tables = tables;
    config.bind_address = "localhost-by-name";
    assert_int_equal(http_start(&options, &server), -EINVAL);
    config.bind_address = "127.0.0.1";
    config.server_port = p->site.port;
    assert_int_equal(http_start(&options, &server), -EADDRINUSE);
    assert_null(server);
}

#define ON_SITE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_SITE(paths_and_methods),
        ON_SITE(rights),
        cmocka_unit_test(shared_secrets),
        ON_SITE(a_secret_that_is_not_set_matches_nothing),
        cmocka_unit_test(the_service_secret_falls_back),
        ON_SITE(bodies_that_are_refused),
        ON_SITE(bodies_that_are_read),
        ON_SITE(a_body_of_just_the_limit),
        ON_SITE(chunked_bodies),
        ON_SITE(a_client_that_asks_before_it_sends),
        ON_SITE(headers_that_can_be_read_in_two_ways),
        ON_SITE(request_ids),
        ON_SITE(what_a_handler_sees_of_a_request),
        ON_SITE(queries_are_bound_by_descriptors),
        ON_SITE(addresses_behind_a_proxy),
        ON_SITE(cross_origin_calls),
        cmocka_unit_test(only_listed_origins_may_call),
        ON_SITE(headers_of_an_answer),
        ON_SITE(errors_in_the_shape_of_each_family),
        ON_SITE(long_and_many_headers),
        ON_SITE(fast_and_blocking_handlers_answer_alike),
        ON_SITE(pipelined_requests_are_answered_in_order),
        ON_SITE(keep_alive_by_version),
        cmocka_unit_test(a_full_pool_is_503_and_fast_handlers_go_on),
        ON_SITE(what_memory_doesn_t_know_is_asked_again_on_a_worker),
        cmocka_unit_test(slow_requests_are_cut),
        cmocka_unit_test(a_request_in_work_is_not_cut),
        cmocka_unit_test(a_client_that_reads_nothing_is_cut),
        ON_SITE(a_large_answer_arrives_whole),
        ON_SITE(clients_that_leave_at_any_point),
        ON_SITE(a_client_that_leaves_while_its_request_is_in_work),
        cmocka_unit_test(stopping_answers_what_is_in_work),
        cmocka_unit_test(stopping_waits_for_a_late_handler),
        cmocka_unit_test(stopping_under_load),
        cmocka_unit_test(a_socket_may_be_taken_out_of_a_set_twice),
        ON_SITE(a_server_that_cannot_start_says_so),
    };
    log_configure(LOG_ERROR, true);
    return cmocka_run_group_tests_name("http/server", tests, NULL, NULL);
}
