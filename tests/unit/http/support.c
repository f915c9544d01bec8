/* SPDX-License-Identifier: MIT */
#include "gate.h"
#include "support.h"

#include "base/clock.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <cmocka.h>

#define LONG_PATIENCE_MS (6 * PATIENCE_MS)
#define ANSWER_MAX ((size_t)128 * 1024 * 1024)

static int lookup_nobody(void *ctx, const char *token, struct identity **ret, enum error_id *ret_error)
{
    (void)ctx, (void)token, (void)ret;
    *ret_error = ERR_UNAUTHORIZED;
    return -EACCES;
}

void site_init(struct site *site)
{
    *site = (struct site){
        .config = {.bind_address = "127.0.0.1",
                   .trusted_proxies = "127.0.0.1,::1",
                   .cors_origins = "*",
                   .http_threads = 1,
                   .max_connections = 500,
                   .request_timeout_s = 30,
                   .data_dir = "/tmp",
                   .max_upload_mb = 2},
        .workers = 2,
        .waiting = 16,
        .auth = {.lookup = lookup_nobody},
    };
}

void site_start(struct site *site, const struct route *const *tables, struct app *app)
{
    assert_int_equal(pool_start("test", site->workers, site->waiting, &site->pool), 0);
    struct http_options options = {&site->config, tables, site->auth, site->pool, app, site->limits};
    assert_int_equal(http_start(&options, &site->server), 0);
    site->port = http_port(site->server);
    assert_true(site->port > 0);
}

void site_stop(struct site *site, int64_t limit_ms)
{
    http_stop(site->server, limit_ms);
    pool_stop(site->pool);
}

void client_open(struct client *c, int port)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    *c = (struct client){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .in = BUF_INIT(ANSWER_MAX)};
    assert_true(c->fd >= 0);
    assert_int_equal(connect(c->fd, (struct sockaddr *)&to, sizeof to), 0);
}

void client_close(struct client *c)
{
    closeP(&c->fd);
    c->fd = -1;
    buf_free(&c->in);
}

void client_send_bytes(struct client *c, const void *data, size_t len)
{
    for (const char *p = data; len > 0;) {
        struct pollfd room = {.fd = c->fd, .events = POLLOUT};
        assert_true(poll(&room, 1, PATIENCE_MS) > 0);
        ssize_t n = send(c->fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0)
            return; /* the server has closed; what it said is read by the test */
        p += n;
        len -= (size_t)n;
    }
}

void client_send(struct client *c, const char *text)
{
    client_send_bytes(c, text, strlen(text));
}

/* Reads once; false at the end of the connection. */
static bool read_some(struct client *c)
{
    static _Thread_local char piece[65536];
    struct pollfd ready = {.fd = c->fd, .events = POLLIN};
    assert_true(poll(&ready, 1, PATIENCE_MS) > 0);
    ssize_t n = recv(c->fd, piece, sizeof piece, 0);
    if (n <= 0)
        return false;
    assert_int_equal(buf_add(&c->in, piece, (size_t)n), 0);
    return true;
}

bool client_await(struct client *c, const char *text)
{
    int64_t until = clock_monotonic_ms() + LONG_PATIENCE_MS;
    while (!c->in.data || !memmem(c->in.data, c->in.len, text, strlen(text))) {
        if (!read_some(c))
            return false;
        assert_true(clock_monotonic_ms() < until); /* something else comes, again and again */
    }
    return true;
}

void client_await_end(struct client *c)
{
    while (read_some(c))
        ;
}

const char *answer_header(const struct answer *a, const char *name, char *ret, size_t size)
{
    size_t len = strlen(name);
    for (const char *line = strstr(a->head, "\r\n"); line && line[2]; line = strstr(line + 2, "\r\n")) {
        const char *at = line + 2;
        if (strncasecmp(at, name, len) != 0 || at[len] != ':')
            continue;
        at += len + 1 + strspn(at + len + 1, " ");
        (void)snprintf(ret, size, "%.*s", (int)strcspn(at, "\r"), at);
        return ret;
    }
    return NULL;
}

static bool take(struct client *c, size_t len, struct buf *to)
{
    while (c->in.len < len)
        if (!read_some(c))
            return false;
    assert_int_equal(buf_add(to, c->in.data, len), 0);
    buf_drop(&c->in, len);
    return true;
}

static bool take_chunks(struct client *c, struct buf *to)
{
    for (;;) {
        if (!client_await(c, "\r\n"))
            return false;
        size_t line = (size_t)(strstr(c->in.data, "\r\n") - c->in.data) + 2;
        unsigned long size = strtoul(c->in.data, NULL, 16);
        buf_drop(&c->in, line);
        struct buf end = BUF_INIT(2);
        bool whole = take(c, size, to) && take(c, 2, &end);
        assert_true(!whole || memcmp(end.data, "\r\n", 2) == 0);
        buf_free(&end);
        if (!whole || size == 0)
            return whole;
    }
}

static bool take_body(struct client *c, const struct answer *a, struct buf *to)
{
    char value[64];
    if (a->status == 204)
        return true;
    if (answer_header(a, "Transfer-Encoding", value, sizeof value))
        return take_chunks(c, to);
    if (answer_header(a, "Content-Length", value, sizeof value))
        return take(c, strtoul(value, NULL, 10), to);
    client_await_end(c);
    return take(c, c->in.len, to);
}

bool client_answer(struct client *c, bool to_head, struct answer *ret)
{
    struct buf head = BUF_INIT(65536), body = BUF_INIT(ANSWER_MAX);
    *ret = (struct answer){0};
    if (!client_await(c, "\r\n\r\n"))
        return false;
    assert_true(take(c, (size_t)(strstr(c->in.data, "\r\n\r\n") - c->in.data) + 4, &head));
    assert_int_equal(sscanf(head.data, "HTTP/1.%*d %d ", &ret->status), 1);
    ret->head = buf_take(&head, NULL);
    bool whole = to_head || take_body(c, ret, &body);
    ret->body = buf_take(&body, &ret->len);
    return whole;
}

void answer_free(struct answer *a)
{
    free(a->head);
    free(a->body);
    *a = (struct answer){0};
}

json_t *answer_json(const struct answer *a)
{
    json_t *body = json_parse(a->body, a->len);
    if (!body)
        fail_msg("no JSON: %s%s", a->head, a->body);
    return body;
}

void ask(int port, const char *request, struct answer *ret)
{
    struct client c;
    client_open(&c, port);
    client_send(&c, request);
    assert_true(client_answer(&c, str_has_prefix(request, "HEAD "), ret));
    client_close(&c);
}

void sleep_ms(int ms)
{
    (void)nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
}

bool await_count(atomic_int *value, int wanted)
{
    int64_t until = clock_monotonic_ms() + PATIENCE_MS;
    while (atomic_load(value) != wanted && clock_monotonic_ms() < until)
        sleep_ms(2);
    return atomic_load(value) == wanted;
}

void gate_init(struct gate *g)
{
    *g = (struct gate){0};
    pthread_mutex_init(&g->lock, NULL);
    cond_init(&g->changed);
}

void gate_pass(struct gate *g)
{
    pthread_mutex_lock(&g->lock);
    g->arrived++;
    pthread_cond_broadcast(&g->changed);
    while (!g->open)
        pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

void gate_await(struct gate *g, int n)
{
    struct timespec until = clock_deadline(PATIENCE_MS);
    int r = 0;
    pthread_mutex_lock(&g->lock);
    while (g->arrived < n && r == 0)
        r = pthread_cond_timedwait(&g->changed, &g->lock, &until);
    pthread_mutex_unlock(&g->lock);
    assert_int_equal(r, 0);
}

void gate_open(struct gate *g)
{
    pthread_mutex_lock(&g->lock);
    g->open = true;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
}
