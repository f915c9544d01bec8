/* SPDX-License-Identifier: MIT */
/* A tiny HTTP server on a loopback port: one thread, one connection after the other, answers by the test's
 * function, and what was asked is kept as "METHOD /path" lines with the last headers and body. */
#ifndef TESTS_UNIT_AGENT_FAKE_SERVER_H
#define TESTS_UNIT_AGENT_FAKE_SERVER_H

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#define FAKE_REQUEST_MAX (1024 * 1024)

struct fake_server;

/* Called on the server's thread with path and body; answers with fake_reply() or fake_stall(). */
typedef void (*fake_answer)(struct fake_server *f, const char *path, const char *body);

struct fake_server {
    int listener, client;
    int port;
    fake_answer answer;
    void *ctx;
    pthread_t thread;
    pthread_mutex_t lock;
    struct buf seen;    /* a line for each request */
    struct buf request; /* the last one, whole */
};

static inline void fake_reply(struct fake_server *f, int status, const char *headers, const char *body)
{
    struct buf out = BUF_INIT(4 * FAKE_REQUEST_MAX);
    (void)buf_addf(&out, "HTTP/1.1 %d X\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n%s", status,
                   strlen(body), headers, body);
    size_t sent = 0;
    while (sent < out.len) {
        ssize_t n = send(f->client, out.data + sent, out.len - sent, MSG_NOSIGNAL);
        if (n <= 0)
            break;
        sent += (size_t)n;
    }
    buf_free(&out);
}

static inline void fake_json(struct fake_server *f, int status, const char *body)
{
    fake_reply(f, status, "Content-Type: application/json\r\n", body);
}

/* Says nothing until the client leaves. */
static inline void fake_stall(struct fake_server *f)
{
    struct pollfd watch = {.fd = f->client, .events = POLLRDHUP};
    (void)poll(&watch, 1, 60000);
}

/* Whether the request is whole; *ret_body is where its body begins. */
static inline bool fake_is_whole(struct buf *b, char **ret_body)
{
    char *end = b->data ? strstr(b->data, "\r\n\r\n") : NULL;
    if (!end)
        return false;
    const char *length = strcasestr(b->data, "\r\ncontent-length:");
    size_t want = length && length < end ? strtoul(length + 17, NULL, 10) : 0;
    *ret_body = end + 4;
    return b->len - (size_t)(*ret_body - b->data) >= want;
}

static inline void fake_serve(struct fake_server *f)
{
    char piece[4096], path[1024] = "", method[16] = "", *body = NULL;
    struct buf request = BUF_INIT(FAKE_REQUEST_MAX);
    while (!fake_is_whole(&request, &body)) {
        ssize_t n = recv(f->client, piece, sizeof piece, 0);
        if (n <= 0 || buf_add(&request, piece, (size_t)n) < 0) {
            buf_free(&request);
            return;
        }
    }
    (void)sscanf(request.data, "%15s %1023s", method, path);
    pthread_mutex_lock(&f->lock);
    (void)buf_addf(&f->seen, "%s %s\n", method, path);
    buf_reset(&f->request);
    (void)buf_add(&f->request, request.data, request.len);
    pthread_mutex_unlock(&f->lock);
    f->answer(f, path, body);
    buf_free(&request);
}

static inline void *fake_run(void *arg)
{
    struct fake_server *f = arg;
    while ((f->client = accept(f->listener, NULL, NULL)) >= 0) {
        fake_serve(f);
        close(f->client);
    }
    return NULL;
}

static inline void fake_start(struct fake_server *f, fake_answer answer, void *ctx)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    *f = (struct fake_server){
        .answer = answer, .ctx = ctx, .seen = BUF_INIT(65536), .request = BUF_INIT(FAKE_REQUEST_MAX)};
    pthread_mutex_init(&f->lock, NULL);
    f->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(f->listener >= 0);
    assert_int_equal(bind(f->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(f->listener, 16), 0);
    assert_int_equal(getsockname(f->listener, (struct sockaddr *)&address, &len), 0);
    f->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&f->thread, NULL, fake_run, f), 0);
}

static inline void fake_stop(struct fake_server *f)
{
    shutdown(f->listener, SHUT_RDWR);
    pthread_join(f->thread, NULL);
    close(f->listener);
    buf_free(&f->seen);
    buf_free(&f->request);
    pthread_mutex_destroy(&f->lock);
}

/* A copy of what was asked so far, or of the last request; freed by the caller. */
static inline char *fake_copy(struct fake_server *f, struct buf *which)
{
    pthread_mutex_lock(&f->lock);
    char *copy = strdup(which->data ? which->data : "");
    pthread_mutex_unlock(&f->lock);
    assert_non_null(copy);
    return copy;
}

static inline void assert_seen(struct fake_server *f, const char *lines)
{
    char *seen = fake_copy(f, &f->seen);
    assert_string_equal(seen, lines);
    free(seen);
}

static inline bool fake_was_sent(struct fake_server *f, const char *text)
{
    char *request = fake_copy(f, &f->request);
    bool found = strstr(request, text);
    free(request);
    return found;
}

#endif
