/* SPDX-License-Identifier: MIT */
/* Inputs that a job names by a URL, from a server that answers by a script. */
#include "media/source.h"

#include "../support/tcp_server.h"
#include "base/cleanup.h"
#include "base/keep.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static struct gate arrived;

static void script(struct tcp_peer *p, void *ctx)
{
    (void)ctx;
    while (peer_read_request(p)) {
        if (peer_path_is(p, "/picture")) {
            (void)peer_puts(p, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\npicture");
        } else if (peer_path_is(p, "/moved")) {
            (void)peer_puts(p, "HTTP/1.1 302 Found\r\nLocation: /picture\r\nContent-Length: 4\r\n\r\nover");
        } else if (peer_path_is(p, "/to-file")) {
            (void)peer_puts(
                p, "HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n");
        } else if (peer_path_is(p, "/missing")) {
            (void)peer_puts(p, "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope");
        } else if (peer_path_is(p, "/broken")) {
            (void)peer_puts(p, "HTTP/1.1 503 Oh\r\nContent-Length: 4\r\n\r\nnope");
        } else if (peer_path_is(p, "/empty")) {
            (void)peer_puts(p, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        } else if (peer_path_is(p, "/large")) {
            (void)peer_puts(p, "HTTP/1.1 200 OK\r\n\r\n");
            peer_pour(p, (size_t)64 * 1024 * 1024);
            return;
        } else if (peer_path_is(p, "/cut")) {
            (void)peer_puts(p, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
            return;
        } else { /* /stall */
            (void)peer_puts(p, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
            gate_set(&arrived);
            (void)peer_wait_closed(p);
            return;
        }
    }
}

struct place {
    struct tcp_server *server;
    struct config cfg;
    struct cancel cancel;
    char dir[64], path[96], url[128];
    struct media_source source;
};

static int set_up(void **state)
{
    static struct place place;
    place = (struct place){.dir = "/tmp/genie-source-XXXXXX",
                           .cfg = {.max_upload_mb = 1, .allow_private_urls = true}};
    gate_open(&arrived);
    place.server = tcp_server_start(script, NULL);
    assert_non_null(mkdtemp(place.dir));
    (void)snprintf(place.path, sizeof place.path, "%s/input", place.dir);
    *state = &place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    tcp_server_stop(p->server);
    gate_close(&arrived);
    keep_remove_tree(p->dir);
    return 0;
}

static int fetch_url(struct place *p, const char *url)
{
    p->source = (struct media_source){.cfg = &p->cfg, .url = url, .path = p->path, .cancel = &p->cancel};
    int r = media_source_fetch(&p->source);
    assert_true((r < 0) == (p->source.error[0] != '\0'));
    assert_true((r == 0) == (access(p->path, F_OK) == 0));
    return r;
}

static int fetch_path(struct place *p, const char *path)
{
    (void)snprintf(p->url, sizeof p->url, "http://127.0.0.1:%d%s", tcp_server_port(p->server), path);
    return fetch_url(p, p->url);
}

static void a_file_is_fetched_whole(void **state)
{
    struct place *p = *state;
    struct stat st;
    assert_int_equal(fetch_path(p, "/moved"), 0);
    assert_int_equal(p->source.bytes, 7);
    assert_int_equal(stat(p->path, &st), 0);
    assert_int_equal(st.st_size, 7);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void failures_leave_nothing_and_say_why(void **state)
{
    static const struct {
        const char *path;
        int r;
        bool may_pass;
        const char *words;
    } cases[] = {
        {"/missing", -EINVAL, false, "answered 404"},     {"/broken", -EAGAIN, true, "answered 503"},
        {"/empty", -EINVAL, false, "is empty"},           {"/large", -EFBIG, false, "more than 1 MiB"},
        {"/to-file", -EACCES, false, "not a public one"}, {"/cut", -EIO, true, "The connection broke off"},
    };
    struct place *p = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(fetch_path(p, cases[i].path), cases[i].r);
        assert_int_equal(p->source.may_pass, cases[i].may_pass);
        assert_non_null(strstr(p->source.error, cases[i].words));
    }
}

static void what_is_there_is_never_overwritten(void **state)
{
    struct place *p = *state;
    assert_int_equal(fetch_path(p, "/picture"), 0);
    p->source.error[0] = '\0';
    assert_int_equal(media_source_fetch(&p->source), -EEXIST);
    assert_int_equal(access(p->path, F_OK), 0);
}

static void private_addresses_get_no_connection(void **state)
{
    static const char *const hosts[] = {"127.0.0.1",  "[::1]",  "localhost",
                                        "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"};
    struct place *p = *state;
    char url[128];
    p->cfg.allow_private_urls = false;
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        (void)snprintf(url, sizeof url, "http://%s:%d/picture", hosts[i], tcp_server_port(p->server));
        assert_int_equal(fetch_url(p, url), -EACCES);
        assert_string_equal(p->source.error, "input_url leads to an address that is not public");
    }
    assert_int_equal(fetch_url(p, "http://169.254.169.254/latest/"), -EACCES);
    assert_int_equal(fetch_url(p, "file:///etc/passwd"), -EINVAL);
    assert_int_equal(fetch_url(p, "/etc/passwd"), -EINVAL);
    assert_int_equal(tcp_server_connections(p->server), 0);
}

static void *raise_when_stalled(void *cancel)
{
    (void)gate_wait(&arrived);
    cancel_raise(cancel);
    return NULL;
}

static void a_cancel_ends_it(void **state)
{
    struct place *p = *state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, raise_when_stalled, &p->cancel), 0);
    assert_int_equal(fetch_path(p, "/stall"), -ECANCELED);
    (void)pthread_join(thread, NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_file_is_fetched_whole),
        TEST(failures_leave_nothing_and_say_why),
        TEST(what_is_there_is_never_overwritten),
        TEST(private_addresses_get_no_connection),
        TEST(a_cancel_ends_it),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
