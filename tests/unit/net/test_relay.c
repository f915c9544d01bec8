/* SPDX-License-Identifier: MIT */
/* Requests passed on to a server that answers by a script, and their owner, who may be slow, or leave. */
#include "net/relay.h"

#include "../support/tcp_server.h"
#include "base/buf.h"
#include "base/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define PATIENCE_MS 10000
#define LARGE ((size_t)8 * 1024 * 1024)
#define OK_HEAD "HTTP/1.1 200 OK\r\nX-Other: a  b\r\n"

static struct gate arrived, left;

static void script(struct tcp_peer *p, void *ctx)
{
    size_t *flooded = ctx;
    while (peer_read_request(p)) {
        if (peer_path_is(p, "/echo")) {
            char text[16384];
            (void)snprintf(text, sizeof text,
                           "HTTP/1.1 100 Continue\r\nX-Interim: 1\r\n\r\n" OK_HEAD
                           "Content-Length: %zu\r\n\r\n%s%s",
                           strlen(p->head) + strlen(p->body), p->head, p->body);
            peer_puts(p, text);
        } else if (peer_path_is(p, "/flood")) {
            peer_puts(p, OK_HEAD "\r\n");
            *flooded = peer_flood(p, "0123456789abcdef", LARGE);
            gate_set(&left);
            return;
        } else if (peer_path_is(p, "/break")) {
            peer_puts(p, OK_HEAD "Content-Length: 100\r\n\r\nabc");
            return;
        } else if (peer_path_is(p, "/garbage")) {
            peer_puts(p, "this is not HTTP at all\r\n\r\n");
            return;
        } else if (peer_path_is(p, "/deaf")) {
            (void)gate_wait(&left);
            return;
        } else { /* /stall */
            gate_set(&arrived);
            if (peer_wait_closed(p))
                gate_set(&left);
            return;
        }
    }
}

struct site {
    struct tcp_server *server;
    struct relay *relay;
    char url[64];
    size_t flooded;
    atomic_int news[RELAY_OVER + 1];
};

static void hear(void *ctx, enum relay_news news)
{
    struct site *site = ctx;
    atomic_fetch_add(&site->news[news], 1);
}

static int set_up(void **state)
{
    static struct site site;
    struct relay_options options = {2000, 700, 2};
    memset(&site, 0, sizeof site);
    gate_open(&arrived);
    gate_open(&left);
    site.server = tcp_server_start(script, &site.flooded);
    (void)snprintf(site.url, sizeof site.url, "http://127.0.0.1:%d", tcp_server_port(site.server));
    assert_int_equal(relay_start(&options, &site.relay), 0);
    *state = &site;
    return 0;
}

static int tear_down(void **state)
{
    struct site *site = *state;
    if (site->relay)
        relay_stop(site->relay);
    tcp_server_stop(site->server);
    gate_close(&arrived);
    gate_close(&left);
    return 0;
}

static int begin(struct site *site, const char *method, const char *target, int64_t body,
                 struct relay_call **ret)
{
    static const char *const headers[] = {"X-One: 1", "X-Empty;", NULL};
    struct relay_request request = {method, site->url, target, headers, body};
    return relay_begin(site->relay, &request, (struct relay_waker){hear, site}, ret);
}

static struct relay_call *started(struct site *site, const char *method, const char *target, int64_t body)
{
    struct relay_call *c = NULL;
    assert_int_equal(begin(site, method, target, body, &c), 0);
    return c;
}

static void pause_ms(int ms)
{
    (void)nanosleep(&(struct timespec){0, ms * 1000000L}, NULL);
}

static enum relay_state settled(struct relay_call *c)
{
    int64_t until = clock_monotonic_ms() + PATIENCE_MS;
    while (relay_state(c) == RELAY_WAITING && clock_monotonic_ms() < until)
        pause_ms(2);
    return relay_state(c);
}

/* Reads it to its end: 0, or what broke it off. */
static int read_all(struct relay_call *c, struct buf *to)
{
    char piece[5000];
    int64_t until = clock_monotonic_ms() + PATIENCE_MS;
    while (clock_monotonic_ms() < until) {
        ssize_t n = relay_read(c, piece, sizeof piece);
        if (n < 0)
            return n == -ENODATA ? 0 : (int)n;
        if (n == 0)
            pause_ms(2);
        else
            assert_int_equal(buf_add(to, piece, (size_t)n), 0);
    }
    return -ETIMEDOUT;
}

static void done(struct relay_call *c)
{
    relay_end(c);
    relay_unref(c);
}

static void what_is_sent_and_heard(void **state)
{
    struct site *site = *state;
    _cleanup_buf_ struct buf body = BUF_INIT(LARGE);
    struct relay_call *c = started(site, "POST", "/echo", 5);
    assert_int_equal(relay_write(c, "he", 2), 0);
    pause_ms(50);
    assert_int_equal(relay_write(c, "llo", 3), 0);
    relay_write_end(c);
    assert_int_equal(settled(c), RELAY_ANSWERED);
    const struct relay_head *head = relay_head(c);
    assert_int_equal(head->status, 200);
    assert_int_equal(head->n_headers, 2);
    assert_string_equal(head->headers[0].name, "X-Other");
    assert_string_equal(head->headers[0].value, "a  b");
    assert_int_equal(read_all(c, &body), 0);
    assert_int_equal(head->length, body.len);
    assert_non_null(strstr(body.data, "POST /echo HTTP/1.1\r\n"));
    assert_non_null(strstr(body.data, "X-One: 1\r\n"));
    assert_non_null(strstr(body.data, "X-Empty:\r\n"));
    assert_null(strstr(body.data, "Accept"));
    assert_null(strstr(body.data, "Expect"));
    assert_string_equal(body.data + body.len - 5, "hello");
    done(c);
}

static void an_owner_that_reads_slowly(void **state)
{
    struct site *site = *state;
    struct relay_call *c = started(site, "GET", "/flood", RELAY_BODY_NONE);
    assert_int_equal(settled(c), RELAY_ANSWERED);
    assert_true(gate_wait(&left)); /* the server could send no more */
    assert_true(site->flooded < LARGE);
    assert_int_equal(relay_state(c), RELAY_ANSWERED); /* for longer than a server may be silent */
    done(c);
}

static void a_server_that_reads_nothing(void **state)
{
    struct site *site = *state;
    static char piece[16384];
    size_t sent = 0;
    int room = 0;
    bool full = false;
    struct relay_call *c = started(site, "POST", "/deaf", RELAY_BODY_CHUNKED);
    while (relay_state(c) == RELAY_WAITING && sent < 4 * LARGE) {
        if (full && site->news[RELAY_ROOM] == room) {
            pause_ms(5);
            continue;
        }
        room = site->news[RELAY_ROOM];
        int r = relay_write(c, piece, sizeof piece);
        sent += sizeof piece;
        full = r == 1;
    }
    assert_int_equal(settled(c), RELAY_TIMED_OUT);
    assert_int_equal(relay_write(c, piece, 1), -EPIPE);
    gate_set(&left);
    done(c);
}

static void servers_that_fail(void **state)
{
    struct site *site = *state;
    _cleanup_buf_ struct buf body = BUF_INIT(LARGE);
    struct relay_call *c = started(site, "GET", "/stall", RELAY_BODY_NONE);
    assert_int_equal(settled(c), RELAY_TIMED_OUT);
    done(c);
    c = started(site, "GET", "/garbage", RELAY_BODY_NONE);
    assert_int_equal(settled(c), RELAY_BROKEN);
    done(c);
    c = started(site, "GET", "/break", RELAY_BODY_NONE);
    assert_int_equal(settled(c), RELAY_ANSWERED);
    assert_int_equal(read_all(c, &body), -EIO);
    assert_string_equal(buf_str(&body), "abc");
    done(c);
    (void)snprintf(site->url, sizeof site->url, "http://127.0.0.1:1");
    c = started(site, "GET", "/", RELAY_BODY_NONE);
    assert_int_equal(settled(c), RELAY_UNREACHABLE);
    done(c);
}

/* Its connection is closed at once, and its place is free. */
static void an_owner_that_leaves(void **state)
{
    struct site *site = *state;
    struct relay_call *one = started(site, "GET", "/stall", RELAY_BODY_NONE), *more = NULL;
    struct relay_call *two = started(site, "POST", "/stall", 10);
    assert_true(gate_wait(&arrived));
    assert_int_equal(begin(site, "GET", "/stall", RELAY_BODY_NONE, &more), -EBUSY);
    relay_end(one);
    relay_end(one);
    done(one);
    assert_true(gate_wait(&left));
    int heard = site->news[RELAY_OVER];
    for (int i = 0; i < 1000 && begin(site, "GET", "/stall", RELAY_BODY_NONE, &more) < 0; i++)
        pause_ms(2);
    assert_non_null(more);
    assert_int_equal(heard, 0); /* who leaves isn't told */
    done(more);
    done(two);
}

static void the_engine_stops_under_way(void **state)
{
    struct site *site = *state;
    struct relay_call *one = started(site, "GET", "/stall", RELAY_BODY_NONE);
    struct relay_call *two = started(site, "POST", "/stall", RELAY_BODY_CHUNKED);
    assert_true(gate_wait(&arrived));
    relay_stop(site->relay);
    site->relay = NULL;
    assert_int_equal(relay_state(one), RELAY_BROKEN);
    assert_int_equal(relay_write(two, "x", 1), -EPIPE);
    relay_write_end(two);
    char byte;
    assert_int_equal(relay_read(two, &byte, 1), -EIO);
    done(one);
    done(two);
}

int main(void)
{
#define AT_A_SITE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        AT_A_SITE(what_is_sent_and_heard),      AT_A_SITE(an_owner_that_reads_slowly),
        AT_A_SITE(a_server_that_reads_nothing), AT_A_SITE(servers_that_fail),
        AT_A_SITE(an_owner_that_leaves),        AT_A_SITE(the_engine_stops_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
