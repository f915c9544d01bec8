/* SPDX-License-Identifier: MIT */
#include "net/fetch.h"

#include "../support/tcp_server.h"
#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/plain; x=y\r\n"

static struct gate arrived;

/* One script for all tests: the path says what happens. */
static void script(struct tcp_peer *p, void *ctx)
{
    (void)ctx;
    while (peer_read_request(p)) {
        if (peer_path_is(p, "/echo")) {
            char head[16384];
            (void)snprintf(head, sizeof head, OK_HEAD "Content-Length: %zu\r\n\r\n%s%s",
                           strlen(p->head) + strlen(p->body), p->head, p->body);
            peer_puts(p, head);
        } else if (peer_path_is(p, "/missing")) {
            peer_puts(p, "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope");
        } else if (peer_path_is(p, "/large")) {
            peer_puts(p, OK_HEAD "\r\n");
            peer_pour(p, (size_t)64 * 1024 * 1024);
            return;
        } else if (peer_path_is(p, "/hop")) {
            peer_puts(p, "HTTP/1.1 302 Found\r\nLocation: /echo\r\nContent-Length: 0\r\n\r\n");
        } else if (peer_path_is(p, "/loop")) {
            peer_puts(p, "HTTP/1.1 302 Found\r\nLocation: /loop\r\nContent-Length: 0\r\n\r\n");
        } else if (peer_path_is(p, "/file")) {
            peer_puts(p, "HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n");
        } else if (peer_path_is(p, "/garbage")) {
            peer_puts(p, "this is not HTTP at all\r\n\r\n");
            return;
        } else { /* /stall */
            gate_set(&arrived);
            (void)peer_wait_closed(p);
            return;
        }
    }
}

struct site {
    struct tcp_server *server;
    char url[128];
};

static int set_up(void **state)
{
    static struct site site;
    gate_open(&arrived);
    site.server = tcp_server_start(script, NULL);
    *state = &site;
    return 0;
}

static int tear_down(void **state)
{
    struct site *site = *state;
    tcp_server_stop(site->server);
    gate_close(&arrived);
    return 0;
}

static const char *at(struct site *site, const char *host, const char *path)
{
    (void)snprintf(site->url, sizeof site->url, "http://%s:%d%s", host, tcp_server_port(site->server), path);
    return site->url;
}

static void a_request_carries_what_was_asked(void **state)
{
    const char *headers[] = {"X-Key: abc", "Content-Type: text/weird", NULL};
    struct fetch_request request = {.method = "PUT",
                                    .url = at(*state, "127.0.0.1", "/echo"),
                                    .headers = headers,
                                    .body = "hello",
                                    .body_len = 5};
    struct fetch_response response;
    assert_int_equal(fetch(&request, &response), 0);
    assert_int_equal(response.status, 200);
    assert_string_equal(response.content_type, "text/plain; x=y");
    const char *echo = buf_str(&response.body);
    assert_ptr_equal(strstr(echo, "PUT /echo HTTP/1.1\r\n"), echo);
    assert_non_null(strstr(echo, "X-Key: abc\r\n"));
    assert_non_null(strstr(echo, "Content-Type: text/weird\r\n"));
    assert_null(strcasestr(echo, "expect:"));
    assert_non_null(strstr(echo, "\r\n\r\nhello"));
    fetch_response_free(&response);
}

static void methods_without_body(void **state)
{
    static const char *const methods[] = {NULL, "GET", "DELETE", "POST", "PATCH"};
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        struct fetch_request request = {.method = methods[i], .url = at(*state, "127.0.0.1", "/echo")};
        struct fetch_response response;
        assert_int_equal(fetch(&request, &response), 0);
        const char *wanted = methods[i] ? methods[i] : "GET";
        assert_memory_equal(buf_str(&response.body), wanted, strlen(wanted));
        fetch_response_free(&response);
    }
}

static int outcome(const struct fetch_request *request)
{
    struct fetch_response response;
    int r = fetch(request, &response);
    if (r < 0)
        assert_true(response.error[0] != '\0');
    assert_null(strstr(response.error, "127.0.0.1"));
    fetch_response_free(&response);
    return r;
}

static int make_file(const char *text)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_int_equal(fputs(text, file) >= 0, 1);
    assert_int_equal(fflush(file), 0);
    int fd = dup(fileno(file));
    (void)fclose(file);
    return fd;
}

static void a_form_has_its_fields_before_its_file(void **state)
{
    const struct fetch_field fields[] = {{"id", "7"}, {"title", "\xc3\x84"}, {.name = NULL}};
    struct fetch_form form = {.fields = fields, .name = "a\"b.png", .type = "image/png", .bytes = 5};
    struct fetch_request request = {.method = "POST", .url = at(*state, "127.0.0.1", "/echo"), .form = &form};
    struct fetch_response response;
    form.fd = make_file("bytes and more");
    assert_int_equal(fetch(&request, &response), 0);
    const char *echo = buf_str(&response.body);
    const char *title = strstr(echo, "name=\"title\"\r\n\r\n\xc3\x84\r\n"),
               *file = strstr(echo, "name=\"file\"");
    assert_non_null(strstr(echo, "name=\"id\"\r\n\r\n7\r\n"));
    assert_non_null(title);
    assert_non_null(file);
    assert_true(title < file);
    assert_non_null(strstr(file, "filename=\"a%22b.png\"\r\nContent-Type: image/png\r\n\r\nbytes\r\n--"));
    assert_null(strcasestr(echo, "expect:"));
    fetch_response_free(&response);
    (void)close(form.fd);
}

static void a_form_that_cannot_be_read_is_no_request(void **state)
{
    struct fetch_form form = {.name = "a", .type = "image/png", .bytes = 50};
    struct fetch_request request = {
        .method = "POST", .url = at(*state, "127.0.0.1", "/echo"), .form = &form, .timeout_ms = 10000};
    form.fd = make_file("shorter");
    assert_true(outcome(&request) < 0);
    form.name = "a\r\nX: y";
    assert_int_equal(outcome(&request), -EINVAL);
    (void)close(form.fd);
}

static void any_status_is_an_answer(void **state)
{
    struct fetch_request request = {.url = at(*state, "127.0.0.1", "/missing")};
    struct fetch_response response;
    assert_int_equal(fetch(&request, &response), 0);
    assert_int_equal(response.status, 404);
    assert_string_equal(buf_str(&response.body), "nope");
    fetch_response_free(&response);
}

static void failures_have_their_errno(void **state)
{
    struct fetch_request request = {.url = at(*state, "127.0.0.1", "/large"), .max_body = 100000};
    assert_int_equal(outcome(&request), -EMSGSIZE);
    request = (struct fetch_request){.url = at(*state, "127.0.0.1", "/stall"), .timeout_ms = 150};
    assert_int_equal(outcome(&request), -ETIMEDOUT);
    request = (struct fetch_request){.url = at(*state, "127.0.0.1", "/garbage")};
    assert_int_equal(outcome(&request), -EIO);
    request = (struct fetch_request){.url = "http://127.0.0.1:1/"};
    assert_int_equal(outcome(&request), -ECONNREFUSED);
    request = (struct fetch_request){.url = "ftp://127.0.0.1/"};
    assert_int_equal(outcome(&request), -EINVAL);
    request = (struct fetch_request){.url = "http://u:p@127.0.0.1/"};
    assert_int_equal(outcome(&request), -EINVAL);
}

static void line_breaks_make_no_second_request(void **state)
{
    const char *headers[] = {"X: a\r\nY: b", NULL};
    struct fetch_request request = {.url = at(*state, "127.0.0.1", "/echo"), .headers = headers};
    assert_int_equal(outcome(&request), -EINVAL);
    request =
        (struct fetch_request){.url = at(*state, "127.0.0.1", "/echo"), .method = "GET /x HTTP/1.1\r\n"};
    assert_int_equal(outcome(&request), -EINVAL);
}

static void the_guard_looks_at_the_socket(void **state)
{
    static const char *const hosts[] = {"127.0.0.1",  "localhost",       "2130706433", "0x7f000001",
                                        "0177.0.0.1", "127.1",           "0",          "[::ffff:127.0.0.1]",
                                        "[::1]",      "%31%32%37.0.0.1", "127.0.0.2",  "127.0.0.1."};
    struct site *site = *state;
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        struct fetch_request request = {.url = at(site, hosts[i], "/echo"), .public_only = true};
        int r = outcome(&request);
        if (r != -EACCES &&
            !(r == -EIO && strcmp(hosts[i], "127.0.0.1.") == 0)) /* that one may not resolve */
            fail_msg("%s gave %d", hosts[i], r);
    }
    assert_int_equal(tcp_server_connections(site->server), 0);
}

static void redirects_are_followed_only_so_far(void **state)
{
    struct fetch_request request = {.url = at(*state, "127.0.0.1", "/hop")};
    struct fetch_response response;
    assert_int_equal(fetch(&request, &response), 0);
    assert_int_equal(response.status, 302);
    fetch_response_free(&response);
    request.max_redirects = 2;
    assert_int_equal(fetch(&request, &response), 0);
    assert_int_equal(response.status, 200);
    fetch_response_free(&response);
    request.url = at(*state, "127.0.0.1", "/loop");
    assert_int_equal(outcome(&request), -EIO);
    request.url = at(*state, "127.0.0.1", "/file");
    assert_int_equal(outcome(&request), -EACCES);
}

static void proxies_of_the_environment_are_ignored(void **state)
{
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    struct fetch_request request = {.url = at(*state, "127.0.0.1", "/missing")};
    assert_int_equal(outcome(&request), 0);
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
}

struct taken {
    size_t bytes, most;
};

static int take(void *ctx, const char *data, size_t len)
{
    struct taken *t = ctx;
    (void)data;
    t->bytes += len;
    return t->bytes > t->most ? -ENOSPC : 0;
}

static void a_sink_takes_the_body_as_it_comes(void **state)
{
    struct taken all = {.most = SIZE_MAX}, some = {.most = 100000}, limited = {.most = SIZE_MAX};
    struct fetch_response response;
    struct fetch_request request = {
        .url = at(*state, "127.0.0.1", "/hop"), .max_redirects = 1, .sink = take, .sink_ctx = &all};
    assert_int_equal(fetch(&request, &response), 0);
    assert_int_equal(response.status, 200);
    assert_int_equal(response.body.len, 0);
    assert_true(all.bytes > 20);
    fetch_response_free(&response);
    request = (struct fetch_request){
        .url = at(*state, "127.0.0.1", "/large"), .sink = take, .sink_ctx = &some, .max_body = SIZE_MAX};
    assert_int_equal(outcome(&request), -ENOSPC);
    request.sink_ctx = &limited;
    request.max_body = 100000;
    assert_int_equal(outcome(&request), -EMSGSIZE);
    assert_true(limited.bytes <= 100000);
}

static void silence_has_a_limit(void **state)
{
    struct fetch_request request = {.url = at(*state, "127.0.0.1", "/stall"), .idle_ms = 1000};
    assert_int_equal(outcome(&request), -ETIMEDOUT);
}

static void *raise_when_stalled(void *cancel)
{
    (void)gate_wait(&arrived);
    cancel_raise(cancel);
    return NULL;
}

static void a_cancel_ends_the_wait(void **state)
{
    struct cancel cancel = {0};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, raise_when_stalled, &cancel), 0);
    struct fetch_request request = {.url = at(*state, "127.0.0.1", "/stall"), .cancel = &cancel};
    assert_int_equal(outcome(&request), -ECANCELED);
    pthread_join(thread, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_carries_what_was_asked),
        TEST(methods_without_body),
        TEST(a_form_has_its_fields_before_its_file),
        TEST(a_form_that_cannot_be_read_is_no_request),
        TEST(any_status_is_an_answer),
        TEST(failures_have_their_errno),
        TEST(line_breaks_make_no_second_request),
        TEST(the_guard_looks_at_the_socket),
        TEST(redirects_are_followed_only_so_far),
        TEST(proxies_of_the_environment_are_ignored),
        TEST(a_sink_takes_the_body_as_it_comes),
        TEST(silence_has_a_limit),
        TEST(a_cancel_ends_the_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
