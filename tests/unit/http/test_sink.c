/* SPDX-License-Identifier: MIT */
/* Bodies that are read as they arrive, by a sink that the test holds up, lets go, and makes fail. */
#include "support.h"

#include "base/text.h"
#include "http/sink.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#define HOST "Host: test\r\n"
#define MAX_BYTES ((size_t)4 * 1024 * 1024)
#define PIECE_MAX 20480

struct identity {
    bool read_only;
};

static struct identity writer, reader = {true};

/* What the test wants of the one sink, and what it has seen. */
struct app {
    pthread_mutex_t lock;
    struct sink *sink; /* a reference of the test's, while it waits */
    size_t room;       /* bytes until it is full; SIZE_MAX: never */
    bool settles_late;
    int fail_take, fail_end;
    bool refuse_open;
    size_t largest;
    atomic_int taken, opened, closed, handled, waiting, settled;
};

static void wait_for_wake(struct app *app)
{
    pthread_mutex_lock(&app->lock);
    if (app->sink)
        atomic_fetch_add(&app->waiting, 1);
    pthread_mutex_unlock(&app->lock);
}

static int take(void *ctx, const char *data, size_t len)
{
    struct app *app = ctx;
    for (size_t i = 0; i < len; i++)
        if (data[i] != (char)('a' + (atomic_load(&app->taken) + (int)i) % 23))
            return -EILSEQ;
    atomic_fetch_add(&app->taken, (int)len);
    app->largest = len > app->largest ? len : app->largest;
    if (app->fail_take)
        return app->fail_take;
    if (app->room == SIZE_MAX)
        return SINK_MORE;
    app->room = app->room > len ? app->room - len : 0;
    if (app->room > 0)
        return SINK_MORE;
    wait_for_wake(app);
    return SINK_FULL;
}

static int end(void *ctx)
{
    struct app *app = ctx;
    if (app->settles_late && !atomic_load(&app->settled)) {
        wait_for_wake(app);
        return SINK_FULL;
    }
    return app->fail_end;
}

static reply refuse(void *ctx, struct request *rq, int r)
{
    (void)ctx;
    return reply_error(rq, r == -ENOSPC ? ERR_STORE_UNAVAILABLE : ERR_CONFLICT, NULL);
}

static void close_sink(void *ctx)
{
    struct app *app = ctx;
    atomic_fetch_add(&app->closed, 1);
}

static const struct sink_ops ops = {take, end, refuse, close_sink, false},
                             watching = {take, end, refuse, close_sink, true};

static struct sink *open_with(struct request *rq, const struct sink_ops *with)
{
    struct app *app = rq->app;
    atomic_fetch_add(&app->opened, 1);
    if (app->refuse_open) {
        (void)reply_error(rq, ERR_CONFLICT, NULL);
        return NULL;
    }
    struct sink *s = sink_new(rq, with, app);
    assert_non_null(s);
    pthread_mutex_lock(&app->lock);
    app->sink = sink_ref(s);
    pthread_mutex_unlock(&app->lock);
    rq->body = app;
    return s;
}

static struct sink *open_plain(struct request *rq)
{
    return open_with(rq, &ops);
}

static struct sink *open_watching(struct request *rq)
{
    return open_with(rq, &watching);
}

static reply handle(struct request *rq)
{
    struct app *app = rq->body;
    atomic_fetch_add(&app->handled, 1);
    return reply_json(rq, 200, "{s:i}", "taken", atomic_load(&app->taken));
}

static const struct route table[] = {
    {HTTP_POST, "/slow", AUTH_USER, WRITES, BLOCKING, handle, STREAM(open_plain, MAX_BYTES), ""},
    {HTTP_POST, "/fast", AUTH_NONE, READS, FAST, handle, STREAM(open_watching, MAX_BYTES), ""},
    ROUTES_END,
};
static const struct route *const tables[] = {table, NULL};

static int lookup(void *ctx, const char *token, struct identity **ret, enum error_id *ret_error)
{
    (void)ctx, (void)ret;
    *ret_error = ERR_UNAUTHORIZED;
    return str_equal(token, "stored") || str_equal(token, "reader") || str_equal(token, "unknown") ? -EAGAIN
                                                                                                   : -EACCES;
}

static int resolve(void *ctx, const char *token, const char *client_ip, struct identity **ret,
                   enum error_id *ret_error)
{
    (void)ctx, (void)client_ip;
    *ret_error = ERR_UNAUTHORIZED;
    *ret = str_equal(token, "reader") ? &reader : &writer;
    return str_equal(token, "unknown") ? -EACCES : 0;
}

static bool is_admin(const struct identity *who)
{
    (void)who;
    return false;
}

static bool is_read_only(const struct identity *who)
{
    return who->read_only;
}

static void describe(const struct identity *who, const char **ret_user, const char **ret_impersonator)
{
    (void)who;
    *ret_user = "user";
    *ret_impersonator = NULL;
}

static void unref(struct identity *who)
{
    (void)who;
}

struct place {
    struct site site;
    struct app app;
};

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    site_init(&p->site);
    pthread_mutex_init(&p->app.lock, NULL);
    p->app.room = SIZE_MAX;
    p->site.config.request_timeout_s = 2;
    p->site.auth = (struct http_auth){&p->app, lookup, resolve, is_admin, is_read_only, describe, unref};
    site_start(&p->site, tables, &p->app);
    *state = p;
    return 0;
}

static void let_go(struct app *app)
{
    pthread_mutex_lock(&app->lock);
    struct sink *s = app->sink;
    app->sink = NULL;
    pthread_mutex_unlock(&app->lock);
    if (!s)
        return;
    app->room = SIZE_MAX;
    sink_wake(s);
    sink_unref(s);
}

static int tear_down(void **state)
{
    struct place *p = *state;
    let_go(&p->app);
    site_stop(&p->site, PATIENCE_MS);
    assert_int_equal(atomic_load(&p->app.closed), atomic_load(&p->app.opened) - p->app.refuse_open);
    pthread_mutex_destroy(&p->app.lock);
    free(p);
    return 0;
}

static void send_from(struct client *c, size_t at, size_t len)
{
    char piece[8192];
    while (len > 0) {
        size_t n = len < sizeof piece ? len : sizeof piece;
        for (size_t i = 0; i < n; i++)
            piece[i] = (char)('a' + (at + i) % 23);
        client_send_bytes(c, piece, n);
        at += n;
        len -= n;
    }
}

static void begin(struct client *c, struct place *p, const char *path, size_t len)
{
    char head[300];
    (void)snprintf(head, sizeof head,
                   "POST %s HTTP/1.1\r\n" HOST "Authorization: Bearer stored\r\nContent-Length: %zu\r\n\r\n",
                   path, len);
    client_open(c, p->site.port);
    client_send(c, head);
}

static void expect_answer(struct client *c, int status)
{
    struct answer a;
    assert_true(client_answer(c, false, &a));
    assert_int_equal(a.status, status);
    answer_free(&a);
}

static void it_comes_in_pieces(void **state)
{
    struct place *p = *state;
    static const char *const paths[] = {"/slow", "/fast"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct client c;
        atomic_store(&p->app.taken, 0);
        begin(&c, p, paths[i], MAX_BYTES);
        send_from(&c, 0, MAX_BYTES);
        expect_answer(&c, 200);
        assert_int_equal(atomic_load(&p->app.taken), MAX_BYTES);
        assert_true(p->app.largest <= PIECE_MAX);
        let_go(&p->app);
        client_close(&c);
        assert_true(await_count(&p->app.closed, (int)i + 1));
    }
    assert_int_equal(atomic_load(&p->app.handled), 2);
}

static void an_empty_body(void **state)
{
    struct place *p = *state;
    struct client c;
    begin(&c, p, "/slow", 0);
    expect_answer(&c, 200);
    client_send(&c, "POST /fast HTTP/1.1\r\n" HOST "\r\n"); /* the connection lives on */
    let_go(&p->app);
    expect_answer(&c, 200);
    client_close(&c);
}

/* A byte a chunk: many pieces lie in one read, and the connection sleeps in the midst of them. */
static void chunks_of_a_byte(void **state)
{
    struct place *p = *state;
    struct client c;
    p->app.room = 10;
    client_open(&c, p->site.port);
    client_send(&c, "POST /fast HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 3000; i++) {
        char chunk[] = "1\r\nx\r\n";
        chunk[3] = (char)('a' + i % 23);
        client_send(&c, chunk);
    }
    client_send(&c, "0\r\n\r\n");
    assert_true(await_count(&p->app.waiting, 1));
    assert_int_equal(atomic_load(&p->app.taken), 10);
    let_go(&p->app);
    expect_answer(&c, 200);
    assert_int_equal(atomic_load(&p->app.taken), 3000);
    client_close(&c);
}

/* While the sink is full nothing is read, and the time that takes is not the client's. */
static void a_full_sink_holds_the_client_up(void **state)
{
    struct place *p = *state;
    struct client c;
    p->app.room = 1;
    begin(&c, p, "/slow", MAX_BYTES / 2);
    send_from(&c, 0, 1000);
    assert_true(await_count(&p->app.waiting, 1));
    int taken = atomic_load(&p->app.taken);
    send_from(&c, 1000, 50000);
    sleep_ms(4500); /* more than twice REQUEST_TIMEOUT_S */
    assert_int_equal(atomic_load(&p->app.taken), taken);
    let_go(&p->app);
    send_from(&c, 51000, MAX_BYTES / 2 - 51000);
    expect_answer(&c, 200);
    client_close(&c);
}

static void a_sink_that_settles_late(void **state)
{
    struct place *p = *state;
    struct client c;
    p->app.settles_late = true;
    begin(&c, p, "/fast", 100);
    send_from(&c, 0, 100);
    assert_true(await_count(&p->app.waiting, 1));
    assert_int_equal(atomic_load(&p->app.handled), 0);
    atomic_store(&p->app.settled, 1);
    let_go(&p->app);
    expect_answer(&c, 200);
    client_close(&c);
}

static void bodies_that_are_too_large(void **state)
{
    struct place *p = *state;
    struct client c;
    begin(&c, p, "/slow", MAX_BYTES + 1); /* refused at the headers */
    expect_answer(&c, 413);
    client_close(&c);
    assert_int_equal(atomic_load(&p->app.opened), 0);
    client_open(&c, p->site.port);
    client_send(&c, "POST /fast HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n400001\r\n");
    send_from(&c, 0, MAX_BYTES + 1);
    client_send(&c, "\r\n0\r\n\r\n");
    expect_answer(&c, 413);
    assert_int_equal(atomic_load(&p->app.closed), 1);
    assert_true(atomic_load(&p->app.taken) <= (int)MAX_BYTES);
    client_close(&c);
    assert_int_equal(atomic_load(&p->app.handled), 0);
}

static void a_sink_that_fails(void **state)
{
    struct place *p = *state;
    struct client c;
    p->app.fail_take = -ENOSPC;
    begin(&c, p, "/slow", 100000);
    send_from(&c, 0, 100000);
    expect_answer(&c, 503);
    assert_int_equal(atomic_load(&p->app.closed), 1);
    let_go(&p->app);
    p->app.fail_take = 0;
    p->app.fail_end = -EINVAL;
    atomic_store(&p->app.taken, 0);
    client_send(&c, "POST /fast HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\na");
    expect_answer(&c, 409);
    client_close(&c);
    assert_int_equal(atomic_load(&p->app.closed), 2);
    assert_int_equal(atomic_load(&p->app.handled), 0);
}

#define EXPECTING(path, token) \
    "POST " path " HTTP/1.1\r\n" HOST "Authorization: Bearer " token "\r\nExpect: 100-continue\r\n" \
    "Content-Length: 5\r\n\r\n"

/* Who may not send it hears so before he sends it, also where only the store knows. */
static void refused_before_100_continue(void **state)
{
    struct place *p = *state;
    struct client c;
    static const struct {
        const char *request;
        int status;
    } cases[] = {{EXPECTING("/slow", "nobody"), 401},
                 {EXPECTING("/slow", "unknown"), 401},
                 {EXPECTING("/slow", "reader"), 403},
                 {EXPECTING("/fast", "x"), 409},
                 {EXPECTING("/slow", "stored"), 409}};
    p->app.refuse_open = true;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        client_open(&c, p->site.port);
        client_send(&c, cases[i].request);
        expect_answer(&c, cases[i].status);
        client_await_end(&c);
        client_close(&c);
    }
    assert_int_equal(atomic_load(&p->app.opened), 2);
    atomic_store(&p->app.opened, 0);
    p->app.refuse_open = false;
    client_open(&c, p->site.port);
    client_send(&c, EXPECTING("/slow", "stored"));
    assert_true(client_await(&c, "HTTP/1.1 100 Continue\r\n\r\n"));
    buf_reset(&c.in);
    send_from(&c, 0, 5);
    expect_answer(&c, 200);
    client_close(&c);
}

static void clients_that_leave(void **state)
{
    struct place *p = *state;
    struct client c;
    begin(&c, p, "/slow", 100000); /* in the midst of the body */
    send_from(&c, 0, 50000);
    assert_true(await_count(&p->app.taken, 50000));
    client_close(&c);
    assert_true(await_count(&p->app.closed, 1));
    let_go(&p->app);
    p->app.room = 1; /* while the sink is full, and somebody must notice */
    atomic_store(&p->app.taken, 0);
    begin(&c, p, "/fast", 100000);
    send_from(&c, 0, 50000);
    assert_true(await_count(&p->app.waiting, 1));
    client_close(&c);
    assert_true(await_count(&p->app.closed, 2));
    let_go(&p->app);
    p->app.settles_late = true; /* while it settles */
    p->app.room = SIZE_MAX;
    atomic_store(&p->app.taken, 0);
    begin(&c, p, "/fast", 5);
    send_from(&c, 0, 5);
    assert_true(await_count(&p->app.waiting, 2));
    client_close(&c);
    assert_true(await_count(&p->app.closed, 3));
    assert_int_equal(atomic_load(&p->app.handled), 0);
}

static void a_client_that_stops_sending_is_cut(void **state)
{
    struct place *p = *state;
    struct client c;
    begin(&c, p, "/slow", 100000);
    send_from(&c, 0, 10);
    client_await_end(&c);
    client_close(&c);
    assert_true(await_count(&p->app.closed, 1));
}

static void the_server_stops_in_the_midst(void **state)
{
    struct place *p = *state;
    struct client c;
    p->app.room = 1;
    begin(&c, p, "/fast", 100000);
    send_from(&c, 0, 50000);
    assert_true(await_count(&p->app.waiting, 1));
    site_stop(&p->site, 50);
    assert_int_equal(atomic_load(&p->app.closed), 1);
    client_close(&c);
    let_go(&p->app); /* a late wake touches no connection */
    p->app.room = SIZE_MAX;
    site_start(&p->site, tables, &p->app);
}

int main(void)
{
#define AT_A_SITE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        AT_A_SITE(it_comes_in_pieces),
        AT_A_SITE(an_empty_body),
        AT_A_SITE(chunks_of_a_byte),
        AT_A_SITE(a_full_sink_holds_the_client_up),
        AT_A_SITE(a_sink_that_settles_late),
        AT_A_SITE(bodies_that_are_too_large),
        AT_A_SITE(a_sink_that_fails),
        AT_A_SITE(refused_before_100_continue),
        AT_A_SITE(clients_that_leave),
        AT_A_SITE(a_client_that_stops_sending_is_cut),
        AT_A_SITE(the_server_stops_in_the_midst),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
