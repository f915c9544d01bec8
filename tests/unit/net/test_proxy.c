/* SPDX-License-Identifier: MIT */
/* The proxy for programs, between real sockets. Where a test must reach a server, private addresses are
 * allowed, since all servers here are on loopback. */
#include "net/proxy.h"

#include "../support/tcp_server.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MANY_BYTES ((int64_t)1 << 40)
#define WAIT_MS 20000
#define PIECE 4096
#define FLOOD_MOST ((size_t)64 * 1024 * 1024)
#define SOME_MOST ((size_t)4 * 1024 * 1024)
#define FLOOD_HEAD "HTTP/1.1 200 OK\r\n\r\n"
#define ANSWER_MAX ((size_t)16 * 1024 * 1024)

static struct gate arrived, go_on, left;
static atomic_size_t flooded; /* what the server has sent */
static struct tcp_server *server;

/* ---- a server */

static void echo_head(struct tcp_peer *p)
{
    char answer[16384];
    (void)snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s%s",
                   strlen(p->head) + strlen(p->body), p->head, p->body);
    (void)peer_puts(p, answer);
}

static void script(struct tcp_peer *p, void *ctx)
{
    char piece[PIECE + 1] = {0};
    (void)ctx;
    memset(piece, 'x', PIECE);
    while (peer_read_request(p)) {
        if (peer_path_is(p, "/flood")) {
            (void)peer_puts(p, FLOOD_HEAD);
            atomic_store(&flooded, peer_flood(p, piece, FLOOD_MOST));
            gate_set(&go_on);
            return;
        }
        if (peer_path_is(p, "/endless")) {
            (void)peer_puts(p, FLOOD_HEAD);
            peer_pour(p, FLOOD_MOST);
            return;
        }
        if (peer_path_is(p, "/some")) {
            (void)peer_puts(p, FLOOD_HEAD);
            atomic_store(&flooded, peer_flood(p, piece, SOME_MOST));
            gate_set(&go_on);
            return;
        }
        if (peer_path_is(p, "/stall")) {
            gate_set(&arrived);
            (void)peer_wait_closed(p);
            gate_set(&go_on);
            return;
        }
        echo_head(p);
    }
}

static int set_up(void **state)
{
    (void)state;
    gate_open(&arrived);
    gate_open(&go_on);
    gate_open(&left);
    server = tcp_server_start(script, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tcp_server_stop(server);
    gate_close(&arrived);
    gate_close(&go_on);
    gate_close(&left);
    return 0;
}

/* ---- a resolver */

static const struct {
    const char *name, *addresses[4];
} names[] = {
    {"site.example", {"127.0.0.1"}},
    {"second.example", {"127.0.0.9", "127.0.0.1"}}, /* nothing listens at the first */
    {"dead.example", {"127.0.0.9"}},
    {"mixed.example", {"93.184.216.34", "10.0.0.7"}},
    {"metadata.example", {"169.254.169.254"}},
    {"mapped.example", {"::ffff:127.0.0.1"}},
    {"ula.example", {"2606:2800:220::1", "fd00::5"}},
};

static atomic_int look_ups;
static atomic_bool hold_look_ups;

static void add(struct resolve_answer *answer, const char *text)
{
    struct resolve_address *a = &answer->addresses[answer->n++];
    *a = (struct resolve_address){0};
    if (inet_pton(AF_INET, text, &a->v4.sin_addr) == 1) {
        a->v4.sin_family = AF_INET;
        a->len = sizeof a->v4;
    } else {
        (void)inet_pton(AF_INET6, text, &a->v6.sin6_addr);
        a->v6.sin6_family = AF_INET6;
        a->len = sizeof a->v6;
    }
}

static int resolve(void *ctx, const char *host, struct resolve_answer *ret)
{
    (void)ctx;
    atomic_fetch_add(&look_ups, 1);
    if (atomic_load(&hold_look_ups)) {
        gate_set(&arrived);
        (void)gate_wait(&go_on);
        gate_set(&left);
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        for (size_t k = 0; str_equal(names[i].name, host) && k < 4 && names[i].addresses[k]; k++)
            add(ret, names[i].addresses[k]);
    if (str_equal(host, "crowd.example"))
        return -E2BIG;
    return ret->n ? 0 : -ENOENT;
}

/* ---- a client */

static struct proxy *open_with(struct proxy_options options)
{
    struct proxy *p = NULL;
    options.max_bytes = options.max_bytes ? options.max_bytes : MANY_BYTES;
    assert_int_equal(proxy_open(&options, &p), 0);
    return p;
}

static struct proxy *open_free(void)
{
    return open_with((struct proxy_options){.allow_private = true, .resolve = resolve});
}

static int reach(struct proxy *p)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    at.sin_port = htons((uint16_t)atoi(strrchr(proxy_url(p), ':') + 1));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    size_t len = strlen(text);
    assert_int_equal(send(fd, text, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* Reads until `until` has come ("" = the end). */
static void hear(int fd, const char *until, struct buf *ret)
{
    char piece[16384];
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    for (;;) {
        const char *text = buf_str(ret);
        if (until[0] && strstr(text, until))
            return;
        assert_int_equal(poll(&ready, 1, WAIT_MS), 1);
        ssize_t n = recv(fd, piece, sizeof piece, 0);
        if (n <= 0) {
            assert_true(until[0] == '\0');
            return;
        }
        assert_int_equal(buf_add(ret, piece, (size_t)n), 0);
    }
}

/* The header with the proxy's password. */
static const char *password(struct proxy *p)
{
    static char header[256];
    struct arena a;
    char text[128];
    arena_init(&a, 4096);
    const char *from = proxy_url(p) + strlen("http://");
    (void)snprintf(text, sizeof text, "%.*s", (int)strcspn(from, "@"), from);
    (void)snprintf(header, sizeof header, "Proxy-Authorization: Basic %s\r\n",
                   base64_encode(&a, (const uint8_t *)text, strlen(text)));
    arena_free(&a);
    return header;
}

static int ask(struct proxy *p, const char *method, const char *target, const char *more)
{
    char head[4096];
    int fd = reach(p);
    (void)snprintf(head, sizeof head, "%s %s HTTP/1.1\r\n%s%s\r\n", method, target, password(p), more);
    say(fd, head);
    return fd;
}

/* The status that a request is answered with. */
static int status_of(struct proxy *p, const char *method, const char *target)
{
    _cleanup_buf_ struct buf got = BUF_INIT(ANSWER_MAX);
    _cleanup_close_ int fd = ask(p, method, target, "");
    hear(fd, "\r\n\r\n", &got);
    return atoi(got.data + strlen("HTTP/1.1 "));
}

static const char *target(const char *host)
{
    static char text[300];
    (void)snprintf(text, sizeof text, "%s:%d", host, tcp_server_port(server));
    return text;
}

static const char *url(const char *host, const char *path)
{
    static char text[300];
    (void)snprintf(text, sizeof text, "http://%s:%d%s", host, tcp_server_port(server), path);
    return text;
}

static struct proxy_report report_of(struct proxy *p)
{
    struct proxy_report report;
    proxy_report(p, &report);
    return report;
}

/* ---- passing */

static void a_tunnel_passes_bytes_both_ways(void **state)
{
    (void)state;
    _cleanup_(proxy_closeP) struct proxy *p = open_free();
    _cleanup_buf_ struct buf got = BUF_INIT(ANSWER_MAX);
    _cleanup_close_ int fd = ask(p, "CONNECT", target("site.example"), "");
    hear(fd, "\r\n\r\n", &got);
    assert_ptr_equal(strstr(got.data, "HTTP/1.1 200 "), got.data);
    buf_reset(&got);
    say(fd, "GET /one HTTP/1.1\r\n\r\n");
    hear(fd, "GET /one HTTP/1.1\r\n\r\n", &got);
    buf_reset(&got);
    say(fd, "POST /two HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello");
    hear(fd, "hello", &got);
    assert_true(report_of(p).bytes > 100);
    assert_int_equal(report_of(p).links, 1);
}

static void what_follows_a_tunnels_head_at_once_is_passed_too(void **state)
{
    (void)state;
    _cleanup_(proxy_closeP) struct proxy *p = open_free();
    _cleanup_buf_ struct buf got = BUF_INIT(ANSWER_MAX);
    _cleanup_close_ int fd = ask(p, "CONNECT", target("site.example"), "\r\nGET /early HTTP/1.1\r\n");
    hear(fd, "GET /early HTTP/1.1", &got);
}

static void a_client_that_has_said_all_still_hears_the_answer(void **state)
{
    (void)state;
    _cleanup_(proxy_closeP) struct proxy *p = open_free();
    _cleanup_buf_ struct buf got = BUF_INIT(ANSWER_MAX);
    _cleanup_close_ int fd = ask(p, "CONNECT", target("site.example"), "");
    hear(fd, "\r\n\r\n", &got);
    buf_reset(&got);
    say(fd, "GET /some HTTP/1.1\r\n\r\n");
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    hear(fd, "", &got);
    assert_true(gate_wait(&go_on));
    assert_int_equal(got.len, strlen(FLOOD_HEAD) + atomic_load(&flooded));
}

static void a_plain_request_is_made_anew(void **state)
{
    (void)state;
    char host[64];
    _cleanup_(proxy_closeP) struct proxy *p = open_free();
    _cleanup_buf_ struct buf got = BUF_INIT(ANSWER_MAX);
    _cleanup_close_ int fd = ask(p, "POST", url("SITE.example", "/a?b"),
                                 "Host: other.example\r\nX-Mine: 1\r\nProxy-Connection: keep-alive\r\n"
                                 "Connection: keep-alive\r\nContent-Length: 6\r\n\r\nbody");
    hear(fd, "body\r\n", &got);
    (void)snprintf(host, sizeof host, "\r\nHost: site.example:%d\r\n", tcp_server_port(server));
    assert_non_null(strstr(got.data, "\r\n\r\nPOST /a?b HTTP/1.1\r\n"));
    assert_non_null(strstr(got.data, host));
    assert_non_null(strstr(got.data, "\r\nX-Mine: 1\r\n"));
    assert_non_null(strstr(got.data, "\r\nConnection: close\r\n"));
    assert_null(strcasestr(got.data, "proxy-"));
    assert_null(strstr(got.data, "other.example"));
    assert_null(strstr(got.data, "keep-alive"));
}

static void a_connection_takes_one_plain_request(void **state)
{
    (void)state;
    _cleanup_(proxy_closeP) struct proxy *p = open_free();
    _cleanup_buf_ struct buf got = BUF_INIT(ANSWER_MAX);
    _cleanup_close_ int fd = ask(p, "GET", url("site.example", "/stall"), "");
    assert_true(gate_wait(&arrived));
    say(fd, "GET http://10.0.0.7/secret HTTP/1.1\r\n\r\n");
    hear(fd, "", &got); /* cut, and so is the server's end */
    assert_int_equal(got.len, 0);
    assert_true(gate_wait(&go_on));
    assert_int_equal(tcp_server_connections(server), 1);
}

static void a_second_request_in_the_first_ones_piece_is_refused(void **state)
{
    (void)state;
    _cleanup_(proxy_closeP) struct proxy *p = open_free();
    _cleanup_buf_ struct buf got = BUF_INIT(ANSWER_MAX);
    _cleanup_close_ int fd = ask(p, "GET", url("site.example", "/one"), "\r\nGET /two HTTP/1.1\r\n");
    hear(fd, "", &got);
    assert_ptr_equal(strstr(got.data, "HTTP/1.1 400 "), got.data);
}

static void the_next_address_is_tried(void **state)
{
    (void)state;
    _cleanup_(proxy_closeP) struct proxy *p = open_free();
    assert_int_equal(status_of(p, "CONNECT", target("second.example")), 200);
    assert_int_equal(status_of(p, "CONNECT", target("dead.example")), 502);
    assert_true(report_of(p).unreachable);
}

static void a_slow_client_holds_the_server_back_and_loses_nothing(void **state)
{
    (void)state;
    _cleanup_(proxy_closeP) struct proxy *p = open_free();
    _cleanup_buf_ struct buf got = BUF_INIT((size_t)128 * 1024 * 1024);
    _cleanup_close_ int fd = ask(p, "GET", url("site.example", "/flood"), "");
    assert_true(gate_wait(&go_on)); /* the server has seen that nobody takes any more */
    assert_true(atomic_load(&flooded) < FLOOD_MOST);
    hear(fd, "", &got);
    assert_int_equal(got.len, strlen(FLOOD_HEAD) + atomic_load(&flooded));
}

/* ---- refusing */

static const char *const private_targets[] = {
    "127.0.0.1:80",
    "[::1]:80",
    "169.254.169.254:80",
    "10.1.2.3:443",
    "192.168.0.1:80",
    "172.20.0.1:80",
    "100.100.100.200:80",
    "[fd00::1]:443",
    "[fe80::1]:443",
    "[::ffff:127.0.0.1]:80",
    "[::ffff:7f00:1]:80",
    "[64:ff9b::7f00:1]:80",
    "[::]:80",
    "0.0.0.0:80",
    "2130706433:80", /* other ways of writing 127.0.0.1 */
    "0x7f000001:80",
    "0x7f.0.0.1:80",
    "0177.0.0.1:80",
    "127.1:80",
    "localhost:80",
    "LOCALHOST:80",
};

static void private_addresses_are_refused_however_they_are_written(void **state)
{
    (void)state;
    char http[128];
    _cleanup_(proxy_closeP) struct proxy *p = open_with((struct proxy_options){0});
    for (size_t i = 0; i < ARRAY_LEN(private_targets); i++) {
        (void)snprintf(http, sizeof http, "http://%s/latest", private_targets[i]);
        assert_int_equal(status_of(p, "CONNECT", private_targets[i]), 403);
        assert_int_equal(status_of(p, "GET", http), 403);
    }
    assert_true(report_of(p).not_public);
}

static void names_that_lead_to_private_addresses_are_refused(void **state)
{
    static const char *const hosts[] = {"site.example",   "mixed.example", "metadata.example",
                                        "mapped.example", "ula.example",   "crowd.example"};
    (void)state;
    _cleanup_(proxy_closeP) struct proxy *p = open_with((struct proxy_options){.resolve = resolve});
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++)
        assert_int_equal(status_of(p, "CONNECT", target(hosts[i])), 403);
    assert_int_equal(tcp_server_connections(server), 0);
    assert_true(report_of(p).not_public);
    assert_false(report_of(p).unknown_host);
    assert_int_equal(status_of(p, "CONNECT", target("nowhere.example")), 502);
    assert_true(report_of(p).unknown_host);
}

static void a_name_is_looked_up_once_for_each_connection(void **state)
{
    (void)state;
    _cleanup_(proxy_closeP) struct proxy *p = open_free();
    int before = atomic_load(&look_ups);
    assert_int_equal(status_of(p, "CONNECT", target("site.example")), 200);
    assert_int_equal(atomic_load(&look_ups), before + 1);
}

static void without_the_password_nothing_is_looked_up(void **state)
{
    (void)state;
    char head[512];
    _cleanup_(proxy_closeP) struct proxy *p = open_free();
    const char *const headers[] = {"", "Proxy-Authorization: Basic Z2VuaWU6\r\n",
                                   "Authorization: Basic Z2VuaWU6\r\n"};
    int before = atomic_load(&look_ups);
    for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
        _cleanup_buf_ struct buf got = BUF_INIT(ANSWER_MAX);
        _cleanup_close_ int fd = reach(p);
        (void)snprintf(head, sizeof head, "CONNECT %s HTTP/1.1\r\n%s\r\n", target("site.example"),
                       headers[i]);
        say(fd, head);
        hear(fd, "", &got);
        assert_ptr_equal(strstr(got.data, "HTTP/1.1 407 "), got.data);
        assert_non_null(strstr(got.data, "\r\nProxy-Authenticate: Basic "));
    }
    assert_int_equal(atomic_load(&look_ups), before);
    assert_int_equal(tcp_server_connections(server), 0);
}

static void another_proxys_password_is_wrong(void **state)
{
    (void)state;
    char head[512];
    _cleanup_(proxy_closeP) struct proxy *p = open_free();
    _cleanup_(proxy_closeP) struct proxy *other = open_free();
    _cleanup_buf_ struct buf got = BUF_INIT(ANSWER_MAX);
    _cleanup_close_ int fd = reach(p);
    (void)snprintf(head, sizeof head, "CONNECT %s HTTP/1.1\r\n%s\r\n", target("site.example"),
                   password(other));
    say(fd, head);
    hear(fd, "", &got);
    assert_ptr_equal(strstr(got.data, "HTTP/1.1 407 "), got.data);
}

static void odd_requests_are_refused(void **state)
{
    static const struct {
        const char *method, *target;
        int status;
    } cases[] = {
        {"CONNECT", "site.example:22", 403},
        {"CONNECT", "site.example:25", 403},
        {"GET", "http://site.example:6/", 403},
        {"CONNECT", "site.example", 400},
        {"CONNECT", "site.example:0", 400},
        {"CONNECT", "site.example:65536", 400},
        {"CONNECT", "[fe80::1%eth0]:443", 400},
        {"GET", "http://user:password@site.example/", 400},
        {"GET", "http://site.example@127.0.0.1/", 400},
        {"GET", "http://site.example/#x", 400},
        {"GET", "/", 400},
        {"GET", "ftp://site.example/", 501},
        {"GET", "file:///etc/passwd", 501},
        {"GET", "https://site.example/", 501},
        {"DELETE", "http://site.example/", 501},
    };
    (void)state;
    _cleanup_(proxy_closeP) struct proxy *p = open_free();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(status_of(p, cases[i].method, cases[i].target), cases[i].status);
    assert_true(report_of(p).bad_port);
    assert_int_equal(tcp_server_connections(server), 0);
}

/* ---- limits */

static void a_flood_of_headers_ends(void **state)
{
    (void)state;
    _cleanup_(proxy_closeP) struct proxy *p = open_free();
    _cleanup_buf_ struct buf got = BUF_INIT(ANSWER_MAX);
    _cleanup_close_ int fd = reach(p);
    say(fd, "CONNECT site.example:443 HTTP/1.1\r\n");
    for (int i = 0; i < 4000 && send(fd, "X-A: b\r\n", 8, MSG_NOSIGNAL) == 8; i++)
        ;
    hear(fd, "", &got);
    assert_true(got.len == 0 || strstr(got.data, "HTTP/1.1 431 ") == got.data);
    assert_int_equal(status_of(p, "CONNECT", target("site.example")), 200);
}

static void a_head_that_never_ends_is_cut(void **state)
{
    (void)state;
    _cleanup_(proxy_closeP) struct proxy *p =
        open_with((struct proxy_options){.allow_private = true, .resolve = resolve, .head_ms = 50});
    _cleanup_buf_ struct buf got = BUF_INIT(ANSWER_MAX);
    _cleanup_close_ int fd = reach(p);
    say(fd, "CONNECT site.example:443 HTTP/1.1\r\nX-");
    hear(fd, "", &got);
    assert_int_equal(got.len, 0);
}

static void a_silent_connection_is_cut(void **state)
{
    (void)state;
    _cleanup_(proxy_closeP) struct proxy *p =
        open_with((struct proxy_options){.allow_private = true, .resolve = resolve, .idle_ms = 50});
    _cleanup_buf_ struct buf got = BUF_INIT(ANSWER_MAX);
    _cleanup_close_ int fd = ask(p, "GET", url("site.example", "/stall"), "");
    hear(fd, "", &got);
    assert_int_equal(got.len, 0);
    assert_true(gate_wait(&arrived));
    assert_true(gate_wait(&go_on)); /* the server's end too */
}

static void more_bytes_than_allowed_end_it(void **state)
{
    (void)state;
    struct cancel ended = {0};
    _cleanup_(proxy_closeP) struct proxy *p = open_with((struct proxy_options){
        .allow_private = true, .resolve = resolve, .max_bytes = (int64_t)1024 * 1024, .ended = &ended});
    _cleanup_buf_ struct buf got = BUF_INIT(ANSWER_MAX);
    _cleanup_close_ int fd = ask(p, "GET", url("site.example", "/endless"), "");
    hear(fd, "", &got);
    assert_true(got.len <= (size_t)1024 * 1024);
    assert_true(report_of(p).spent);
    assert_true(cancel_raised(&ended));
}

static void more_connections_than_allowed_end_it(void **state)
{
    (void)state;
    struct cancel ended = {0};
    _cleanup_(proxy_closeP) struct proxy *p = open_with((struct proxy_options){
        .allow_private = true, .resolve = resolve, .max_links_in_all = 2, .ended = &ended});
    assert_int_equal(status_of(p, "CONNECT", target("site.example")), 200);
    assert_int_equal(status_of(p, "CONNECT", target("site.example")), 200);
    assert_false(cancel_raised(&ended));
    _cleanup_buf_ struct buf got = BUF_INIT(ANSWER_MAX);
    _cleanup_close_ int fd = reach(p);
    hear(fd, "", &got);
    assert_int_equal(got.len, 0);
    assert_true(report_of(p).spent);
    assert_true(cancel_raised(&ended));
}

static void connections_past_the_limit_wait_for_their_turn(void **state)
{
    (void)state;
    _cleanup_(proxy_closeP) struct proxy *p =
        open_with((struct proxy_options){.allow_private = true, .resolve = resolve, .max_links = 1});
    _cleanup_buf_ struct buf got = BUF_INIT(ANSWER_MAX);
    int first = ask(p, "GET", url("site.example", "/stall"), "");
    assert_true(gate_wait(&arrived));
    _cleanup_close_ int second = ask(p, "GET", url("site.example", "/one"), "");
    struct pollfd ready = {.fd = second, .events = POLLIN};
    assert_int_equal(poll(&ready, 1, 100), 0);
    (void)close(first);
    hear(second, "GET /one", &got);
}

/* ---- ending */

static void closing_cuts_what_passes(void **state)
{
    (void)state;
    struct proxy *p = open_free();
    _cleanup_buf_ struct buf got = BUF_INIT(ANSWER_MAX);
    _cleanup_close_ int fd = ask(p, "GET", url("site.example", "/stall"), "");
    assert_true(gate_wait(&arrived));
    proxy_close(p);
    hear(fd, "", &got);
    assert_int_equal(got.len, 0);
    assert_true(gate_wait(&go_on));
}

static void closing_does_not_wait_for_a_look_up(void **state)
{
    (void)state;
    struct proxy *p = open_free();
    _cleanup_buf_ struct buf got = BUF_INIT(ANSWER_MAX);
    atomic_store(&hold_look_ups, true);
    _cleanup_close_ int fd = ask(p, "CONNECT", target("site.example"), "");
    assert_true(gate_wait(&arrived));
    proxy_close(p); /* the resolver is held until after this */
    atomic_store(&hold_look_ups, false);
    gate_set(&go_on);
    assert_true(gate_wait(&left));
    hear(fd, "", &got);
    assert_int_equal(got.len, 0);
    assert_int_equal(tcp_server_connections(server), 0);
}

static void clients_that_leave_at_any_time_leave_nothing(void **state)
{
    (void)state;
    _cleanup_(proxy_closeP) struct proxy *p =
        open_with((struct proxy_options){.allow_private = true, .resolve = resolve, .max_links = 2});
    for (int i = 0; i < 20; i++) {
        int fd = i % 2 ? reach(p) : ask(p, "GET", url("site.example", i % 4 ? "/flood" : "/one"), "");
        (void)close(fd);
    }
    assert_int_equal(status_of(p, "CONNECT", target("site.example")), 200);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_tunnel_passes_bytes_both_ways),
        TEST(what_follows_a_tunnels_head_at_once_is_passed_too),
        TEST(a_client_that_has_said_all_still_hears_the_answer),
        TEST(a_plain_request_is_made_anew),
        TEST(a_connection_takes_one_plain_request),
        TEST(a_second_request_in_the_first_ones_piece_is_refused),
        TEST(the_next_address_is_tried),
        TEST(a_slow_client_holds_the_server_back_and_loses_nothing),
        TEST(private_addresses_are_refused_however_they_are_written),
        TEST(names_that_lead_to_private_addresses_are_refused),
        TEST(a_name_is_looked_up_once_for_each_connection),
        TEST(without_the_password_nothing_is_looked_up),
        TEST(another_proxys_password_is_wrong),
        TEST(odd_requests_are_refused),
        TEST(a_flood_of_headers_ends),
        TEST(a_head_that_never_ends_is_cut),
        TEST(a_silent_connection_is_cut),
        TEST(more_bytes_than_allowed_end_it),
        TEST(more_connections_than_allowed_end_it),
        TEST(connections_past_the_limit_wait_for_their_turn),
        TEST(closing_cuts_what_passes),
        TEST(closing_does_not_wait_for_a_look_up),
        TEST(clients_that_leave_at_any_time_leave_nothing),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
