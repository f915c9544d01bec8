/* SPDX-License-Identifier: MIT */
#include "fake_server.h"

#include "../support/tcp_server.h"
#include "base/buf.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUESTS_MAX (4 * 1024 * 1024)

struct fake_server {
    struct tcp_server *tcp;
    fake_answer answer;
    void *ctx;
    pthread_mutex_t lock;
    struct buf lines, requests;
};

static void record(struct fake_server *f, const struct tcp_peer *peer)
{
    pthread_mutex_lock(&f->lock);
    (void)buf_addf(&f->lines, "%.*s\n",
                   (int)strcspn(strchr(peer->head, ' ') + 1, " ") + (int)strcspn(peer->head, " ") + 1,
                   peer->head);
    (void)buf_addf(&f->requests, "%s%s\n", peer->head, peer->body);
    pthread_mutex_unlock(&f->lock);
}

static void serve(struct tcp_peer *peer, void *ctx)
{
    struct fake_server *f = ctx;
    char path[1024] = "";
    if (!peer_read_request(peer) || sscanf(peer->head, "%*s %1023s", path) != 1)
        return;
    record(f, peer);
    struct fake_request rq = {.ctx = f->ctx, .path = path, .body = peer->body, .peer = peer};
    f->answer(&rq);
}

struct fake_server *fake_start(fake_answer answer, void *ctx)
{
    struct fake_server *f = calloc(1, sizeof *f);
    *f = (struct fake_server){
        .answer = answer, .ctx = ctx, .lines = BUF_INIT(REQUESTS_MAX), .requests = BUF_INIT(REQUESTS_MAX)};
    pthread_mutex_init(&f->lock, NULL);
    f->tcp = tcp_server_start(serve, f);
    return f;
}

void fake_stop(struct fake_server *f)
{
    tcp_server_stop(f->tcp);
    buf_free(&f->lines);
    buf_free(&f->requests);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

int fake_port(const struct fake_server *f)
{
    return tcp_server_port(f->tcp);
}

void fake_reply(struct fake_request *rq, int status, const char *headers, const char *body)
{
    char head[1024];
    (void)snprintf(head, sizeof head, "HTTP/1.1 %d X\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n",
                   status, strlen(body), headers);
    if (peer_puts(rq->peer, head))
        (void)peer_puts(rq->peer, body);
}

void fake_json(struct fake_request *rq, int status, const char *body)
{
    fake_reply(rq, status, "Content-Type: application/json\r\n", body);
}

void fake_stall(struct fake_request *rq)
{
    (void)peer_wait_closed(rq->peer);
}

char *fake_seen(struct fake_server *f)
{
    pthread_mutex_lock(&f->lock);
    char *copy = strdup(f->lines.len ? f->lines.data : "");
    pthread_mutex_unlock(&f->lock);
    return copy;
}

bool fake_was_sent(struct fake_server *f, const char *text)
{
    pthread_mutex_lock(&f->lock);
    bool found = f->requests.len && strstr(f->requests.data, text);
    pthread_mutex_unlock(&f->lock);
    return found;
}

void fake_forget(struct fake_server *f)
{
    pthread_mutex_lock(&f->lock);
    buf_reset(&f->lines);
    buf_reset(&f->requests);
    pthread_mutex_unlock(&f->lock);
}
