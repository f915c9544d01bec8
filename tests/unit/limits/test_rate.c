/* SPDX-License-Identifier: MIT */
/* Rate limits through real servers on a real store. */
#include "place.h"

#define HOST "Host: test\r\n"
#define LIMIT 10
#define WINDOW_S 900

static const struct rate_limit rate = {"test", LIMIT, WINDOW_S};
static const struct rate_limit other_rate = {"other", 1, WINDOW_S};

struct text_body {
    const char *text;
};

static const struct field text_fields[] = {
    FIELD_STR(text_body, text, "text", REQUIRED, MAX_LEN(100000)),
    FIELD_END,
};

static reply serve(struct request *rq)
{
    const struct text_body *in = rq->body;
    atomic_fetch_add(&rq->app->served, 1);
    return reply_json(rq, 200, "{s:b, s:s}", "ok", 1, "text", in->text);
}

static const struct route table[] = {
    {HTTP_POST, "/limited", AUTH_NONE, WRITES, FAST, serve, BODY(text_body, text_fields), "", .rate = &rate},
    {HTTP_POST, "/mine", AUTH_USER, WRITES, BLOCKING, serve, BODY(text_body, text_fields), "",
     .rate = &other_rate},
    ROUTES_END,
};
static const struct route *const tables[] = {table, NULL};

#define POST(path, headers, length, body) \
    "POST " path " HTTP/1.1\r\n" HOST headers "Content-Length: " length "\r\n\r\n" body
#define GOOD(headers) POST("/limited", headers, "12", "{\"text\":\"x\"}")
#define FROM(ip) "X-Forwarded-For: " ip "\r\n"

static int set_up(void **state)
{
    return place_open(state, tables);
}

static void expect(const struct place *p, const char *request, int status)
{
    struct answer a;
    ask(place_port(p, 0), request, &a);
    if (a.status != status)
        fail_msg("%d instead of %d: %s\n%s", a.status, status, request, a.body);
    answer_free(&a);
}

static void see_headers(const struct answer *a)
{
    int64_t remaining = header_number(a, "RateLimit-Remaining"), reset = header_number(a, "RateLimit-Reset");
    assert_int_equal(header_number(a, "RateLimit-Limit"), LIMIT);
    assert_true(reset >= 1 && reset <= WINDOW_S);
    assert_true(remaining < LIMIT);
    if (a->status != 429)
        return;
    assert_int_equal(remaining, 0);
    assert_int_equal(header_number(a, "Retry-After"), reset);
    _cleanup_json_ json_t *body = answer_json(a);
    assert_string_equal(json_str(body, "code", ""), "rate_limited");
}

/* Two servers, 64 at once: as many as the limit says. */
static void exactly_the_limit_passes(void **state)
{
    struct place *p = *state;
    place_add(p, tables, "first-secret");
    struct crowd k = {.ports = {place_port(p, 0), place_port(p, 1)}, .port_count = 2};
    crowd_run(&k, GOOD(""), 64);
    assert_int_equal(crowd_count(&k, 200), LIMIT);
    assert_int_equal(crowd_count(&k, 429), 64 - LIMIT);
    for (int i = 0; i < k.n; i++)
        see_headers(&k.answers[i]);
    crowd_free(&k);
    assert_int_equal(atomic_load(&p->app.served), LIMIT);
    expect(p, GOOD(""), 429);
}

static void failures_count(void **state)
{
    struct place *p = *state;
    for (int i = 0; i < LIMIT; i++)
        expect(p,
               i % 3 == 0   ? POST("/limited", "", "1", "{")
               : i % 3 == 1 ? POST("/limited", "Content-Type: image/png\r\n", "12", "{\"text\":\"x\"}")
                            : POST("/limited", "", "99999999999", ""),
               i % 3 == 0   ? 400
               : i % 3 == 1 ? 415
                            : 413);
    expect(p, GOOD(""), 429);
    assert_int_equal(atomic_load(&p->app.served), 0);
    /* a route of its own is counted by itself, and before the token is looked at */
    expect(p, POST("/mine", "Authorization: Bearer nobody\r\n", "2", "{}"), 401);
    expect(p, POST("/mine", "Authorization: Bearer ann\r\n", "12", "{\"text\":\"x\"}"), 429);
}

#define COUNT "SELECT coalesce((SELECT count FROM rate_limits WHERE bucket = 'test 127.0.0.1'), 0)"

static void a_request_is_counted_before_its_body_comes(void **state)
{
    struct place *p = *state;
    struct client c;
    struct answer a;
    client_open(&c, place_port(p, 0));
    client_send(&c, POST("/limited", "", "12", ""));
    for (int i = 0; i < 500 && store_int(p->store->db, COUNT) == 0; i++)
        sleep_ms(10);
    assert_int_equal(store_int(p->store->db, COUNT), 1);
    client_send(&c, "{\"text\":");
    client_send(&c, "\"x\"}");
    assert_true(client_answer(&c, false, &a));
    assert_int_equal(a.status, 200);
    assert_int_equal(header_number(&a, "RateLimit-Remaining"), LIMIT - 1);
    answer_free(&a);
    /* the connection lives on, and chunks and 100-continue work as elsewhere */
    client_send(&c, "POST /limited HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                    "c\r\n{\"text\":\"y\"}\r\n0\r\n\r\n");
    assert_true(client_answer(&c, false, &a));
    assert_int_equal(a.status, 200);
    answer_free(&a);
    client_send(&c, POST("/limited", "Expect: 100-continue\r\n", "12", ""));
    assert_true(client_await(&c, "HTTP/1.1 100 Continue\r\n\r\n"));
    buf_reset(&c.in);
    client_send(&c, "{\"text\":\"z\"}");
    assert_true(client_answer(&c, false, &a));
    assert_int_equal(a.status, 200);
    answer_free(&a);
    client_send(&c, GOOD("") GOOD(""));
    for (int i = 0; i < 2; i++) {
        assert_true(client_answer(&c, false, &a));
        assert_int_equal(header_number(&a, "RateLimit-Remaining"), LIMIT - 4 - i);
        answer_free(&a);
    }
    client_close(&c);
}

/* Whoever asks before it sends is told at once, and sends nothing. */
static void a_client_that_waits_is_refused_before_it_sends(void **state)
{
    struct place *p = *state;
    struct client c;
    struct answer a;
    for (int i = 0; i < LIMIT; i++)
        expect(p, GOOD(""), 200);
    for (int i = 0; i < 2; i++) {
        client_open(&c, place_port(p, 0));
        client_send(&c, i ? POST("/limited", "", "9999999", "")
                          : POST("/limited", "Expect: 100-continue\r\n", "12", ""));
        assert_true(client_answer(&c, false, &a));
        assert_int_equal(a.status, 429);
        answer_free(&a);
        client_await_end(&c);
        client_close(&c);
    }
}

static void a_large_body(void **state)
{
    struct place *p = *state;
    _cleanup_buf_ struct buf b = BUF_INIT(200000);
    struct client c;
    struct answer a;
    assert_int_equal(buf_adds(&b, POST("/limited", "", "90011", "{\"text\":\"")), 0);
    for (int i = 0; i < 90000; i++)
        assert_int_equal(buf_add(&b, "x", 1), 0);
    assert_int_equal(buf_adds(&b, "\"}"), 0);
    for (int i = 0; i <= LIMIT; i++) {
        client_open(&c, place_port(p, 0));
        client_send_bytes(&c, b.data, b.len);
        assert_true(client_answer(&c, false, &a));
        assert_int_equal(a.status, i < LIMIT ? 200 : 429);
        answer_free(&a);
        client_close(&c);
    }
}

static void a_window_ends(void **state)
{
    struct place *p = *state;
    struct answer a;
    static const char *const moved[] = {
        "UPDATE rate_limits SET window_start = '2020-01-01T00:00:00.000Z', count = 11",
        /* written by a clock that was far ahead */
        "UPDATE rate_limits SET window_start = '2999-01-01T00:00:00.000Z', count = 11",
    };
    for (int i = 0; i < 3; i++)
        expect(p, GOOD(""), 200);
    for (size_t i = 0; i < ARRAY_LEN(moved); i++) {
        assert_int_equal(store_exec(p->store->db, moved[i]), 0);
        ask(place_port(p, 0), GOOD(""), &a);
        assert_int_equal(a.status, 200);
        assert_int_equal(header_number(&a, "RateLimit-Remaining"), LIMIT - 1);
        assert_int_equal(header_number(&a, "RateLimit-Reset"), WINDOW_S);
        answer_free(&a);
    }
}

static void use_up(const struct place *p, const char *request)
{
    for (int i = 0; i < LIMIT; i++)
        expect(p, request, 200);
    expect(p, request, 429);
}

static void each_address_is_counted_by_itself(void **state)
{
    struct place *p = *state;
    use_up(p, GOOD(FROM("1.2.3.4")));
    expect(p, GOOD(FROM("1.2.3.5")), 200);
    expect(p, GOOD(FROM("9.9.9.9, 1.2.3.4")), 429); /* what a client adds in front is not believed */
    use_up(p, GOOD(FROM("2001:db8:1:2::1")));
    expect(p, GOOD(FROM("2001:db8:1:2:ffff::9")), 429); /* the same /64 */
    expect(p, GOOD(FROM("2001:db8:1:3::1")), 200);
}

/* Without a trusted proxy the header is a stranger's word. */
static void nobody_forges_an_address(void **state)
{
    struct place *p = *state;
    place_stop(&p->servers[--p->n]);
    struct server *s = &p->servers[p->n];
    place_add(p, tables, "first-secret");
    site_stop(&s->site, PATIENCE_MS);
    s->site.config.trusted_proxies = "none";
    site_start(&s->site, tables, &p->app);
    for (int i = 0; i < LIMIT; i++) {
        char request[256];
        (void)snprintf(request, sizeof request,
                       "POST /limited HTTP/1.1\r\n" HOST
                       "X-Forwarded-For: 1.2.3.%d\r\nX-Real-IP: 1.2.3.%d\r\n"
                       "Content-Length: 12\r\n\r\n{\"text\":\"x\"}",
                       i, i);
        expect(p, request, 200);
    }
    expect(p, GOOD(FROM("1.2.3.99")), 429);
}

static void what_cannot_be_counted_is_refused(void **state)
{
    struct place *p = *state;
    struct answer a;
    assert_int_equal(store_exec(p->store->db, "ALTER TABLE rate_limits RENAME TO gone"), 0);
    ask(place_port(p, 0), GOOD(""), &a);
    assert_int_equal(a.status, 503);
    _cleanup_json_ json_t *body = answer_json(&a);
    assert_string_equal(json_str(body, "code", ""), "store_unavailable");
    assert_int_equal(header_number(&a, "Retry-After"), 1);
    assert_int_equal(header_number(&a, "RateLimit-Limit"), LIMIT);
    answer_free(&a);
    assert_int_equal(atomic_load(&p->app.served), 0);
    assert_int_equal(store_exec(p->store->db, "ALTER TABLE gone RENAME TO rate_limits"), 0);
    expect(p, GOOD(""), 200);
}

/* A flood doesn't reach the store. */
static void who_was_refused_is_remembered(void **state)
{
    struct place *p = *state;
    struct answer a;
    use_up(p, GOOD(""));
    assert_int_equal(store_exec(p->store->db, "ALTER TABLE rate_limits RENAME TO gone"), 0);
    ask(place_port(p, 0), GOOD(""), &a);
    assert_int_equal(a.status, 429);
    see_headers(&a);
    answer_free(&a);
    expect(p, GOOD(FROM("1.2.3.4")), 503);
}

static void old_rows_go(void **state)
{
    struct place *p = *state;
    static const char left[] = "SELECT (SELECT count(*) FROM rate_limits WHERE bucket = 'old') + "
                               "(SELECT count(*) FROM idempotency_keys)";
    assert_int_equal(store_exec(p->store->db, "INSERT INTO rate_limits (bucket, window_start, count) VALUES "
                                              "('old', '2020-01-01T00:00:00.000Z', 1)"),
                     0);
    assert_int_equal(store_exec(p->store->db,
                                "INSERT INTO idempotency_keys (scope, route, key, body_hash, expires_at) "
                                "VALUES ('user x', 'r', 'k', '', '2020-01-01T00:00:00.000Z')"),
                     0);
    expect(p, GOOD(""), 200);
    for (int i = 0; i < 500 && store_int(p->store->db, left) > 0; i++)
        sleep_ms(10);
    assert_int_equal(store_int(p->store->db, left), 0);
    assert_int_equal(store_int(p->store->db, COUNT), 1);
}

static void *stop_server(void *arg)
{
    place_stop(arg);
    return NULL;
}

/* Clients that leave, and a server that stops, while requests sleep to be counted. */
static void leaving_while_being_counted(void **state)
{
    struct place *p = *state;
    struct client clients[20];
    struct gate g = GATE_INIT;
    pthread_t stopper;
    gate_close(&g, p->servers[0].db);
    for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
        client_open(&clients[i], place_port(p, 0));
        client_send(&clients[i], GOOD(""));
    }
    sleep_ms(50);
    for (size_t i = 0; i < ARRAY_LEN(clients); i++)
        if (i % 2)
            client_close(&clients[i]);
    assert_int_equal(pthread_create(&stopper, NULL, stop_server, &p->servers[0]), 0);
    sleep_ms(20);
    gate_open(&g);
    for (size_t i = 0; i < ARRAY_LEN(clients); i += 2) {
        client_await_end(&clients[i]);
        client_close(&clients[i]);
    }
    pthread_join(stopper, NULL);
    p->n = 0;
}

static void limits_need_a_keeper(void **state)
{
    static const struct rate_limit unsound[] = {{NULL, 1, 1}, {"x", 0, 1}, {"x", 1, 0}, {"x", 1, 86401}};
    struct site site;
    struct http_server *server = NULL;
    (void)state;
    site_init(&site);
    struct http_options options = {&site.config, tables, site.auth, NULL, NULL, {0}};
    assert_int_equal(http_start(&options, &server), -EINVAL);
    for (size_t i = 0; i < ARRAY_LEN(unsound); i++) {
        struct route rows[] = {
            {HTTP_GET, "/", AUTH_NONE, READS, FAST, serve, NO_BODY, "", .rate = &unsound[i]}, ROUTES_END};
        const struct route *const bad[] = {rows, NULL};
        struct route_set *set = NULL;
        assert_int_equal(routes_compile(bad, &set), -EINVAL);
    }
}

#define AT_PLACE(test) cmocka_unit_test_setup_teardown(test, set_up, place_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        AT_PLACE(exactly_the_limit_passes),
        AT_PLACE(failures_count),
        AT_PLACE(a_request_is_counted_before_its_body_comes),
        AT_PLACE(a_client_that_waits_is_refused_before_it_sends),
        AT_PLACE(a_large_body),
        AT_PLACE(a_window_ends),
        AT_PLACE(each_address_is_counted_by_itself),
        AT_PLACE(nobody_forges_an_address),
        AT_PLACE(what_cannot_be_counted_is_refused),
        AT_PLACE(who_was_refused_is_remembered),
        AT_PLACE(old_rows_go),
        AT_PLACE(leaving_while_being_counted),
        cmocka_unit_test(limits_need_a_keeper),
    };
    log_configure(LOG_ERROR, true);
    return cmocka_run_group_tests_name("limits/rate", tests, NULL, NULL);
}
