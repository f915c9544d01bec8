/* SPDX-License-Identifier: MIT */
#include "pg_proxy.h"

#include "base/cleanup.h"

#include <assert.h>
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define PAIRS 64
#define PIECE 65536

struct pair {
    int client, server; /* -1: free */
    bool doomed;        /* its next answer is lost */
};

struct pg_proxy {
    struct sockaddr_un to;
    int listener, port;
    pthread_t thread;
    pthread_mutex_t lock; /* of what the thread does between two polls */
    enum pg_way way;
    const char *text;
    bool after;
    _Atomic int cuts;
    _Atomic bool stopping;
    struct pair pairs[PAIRS];
};

static void cut(struct pair *pair)
{
    if (pair->client < 0)
        return;
    (void)close(pair->client);
    (void)close(pair->server);
    *pair = (struct pair){-1, -1, false};
}

static void take_in(struct pg_proxy *p)
{
    int client = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);
    int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool up = p->way != WAY_CLOSED && connect(server, (struct sockaddr *)&p->to, sizeof p->to) == 0;
    for (size_t i = 0; up && i < PAIRS; i++)
        if (p->pairs[i].client < 0) {
            p->pairs[i] = (struct pair){client, server, false};
            return;
        }
    (void)close(client);
    (void)close(server);
}

static bool send_all(int fd, const char *data, ssize_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, data, (size_t)len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        data += n;
        len -= n;
    }
    return true;
}

static void from_client(struct pg_proxy *p, struct pair *pair)
{
    char data[PIECE];
    ssize_t n = recv(pair->client, data, sizeof data, 0);
    bool marked = n > 0 && p->text && memmem(data, (size_t)n, p->text, strlen(p->text));
    if (marked) {
        p->text = NULL;
        p->cuts++;
        pair->doomed = p->after;
    }
    if (n <= 0 || (marked && !pair->doomed) || !send_all(pair->server, data, n))
        cut(pair);
}

static void from_server(struct pair *pair)
{
    char data[PIECE];
    ssize_t n = recv(pair->server, data, sizeof data, 0);
    if (n <= 0 || pair->doomed || !send_all(pair->client, data, n))
        cut(pair);
}

static void pass(struct pg_proxy *p, const struct pollfd *fds)
{
    pthread_mutex_lock(&p->lock);
    if (fds[0].revents)
        take_in(p);
    for (size_t i = 0; i < PAIRS; i++) {
        struct pair *pair = &p->pairs[i];
        if (p->way == WAY_FROZEN)
            continue;
        if (fds[1 + 2 * i].revents && fds[1 + 2 * i].fd == pair->client)
            from_client(p, pair);
        if (fds[2 + 2 * i].revents && fds[2 + 2 * i].fd == pair->server)
            from_server(pair);
    }
    pthread_mutex_unlock(&p->lock);
}

static void *work(void *arg)
{
    struct pg_proxy *p = arg;
    struct pollfd fds[1 + 2 * PAIRS];
    while (!p->stopping) {
        pthread_mutex_lock(&p->lock);
        short events = p->way == WAY_FROZEN ? 0 : POLLIN;
        fds[0] = (struct pollfd){.fd = p->listener, .events = POLLIN};
        for (size_t i = 0; i < PAIRS; i++) {
            fds[1 + 2 * i] = (struct pollfd){.fd = p->pairs[i].client, .events = events};
            fds[2 + 2 * i] = (struct pollfd){.fd = p->pairs[i].server, .events = events};
        }
        pthread_mutex_unlock(&p->lock);
        if (poll(fds, 1 + 2 * PAIRS, 20) > 0)
            pass(p, fds);
    }
    return NULL;
}

struct pg_proxy *pg_proxy_start(const char *socket_path)
{
    struct pg_proxy *p = calloc(1, sizeof *p);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    assert(p);
    for (size_t i = 0; i < PAIRS; i++)
        p->pairs[i] = (struct pair){-1, -1, false};
    p->to.sun_family = AF_UNIX;
    (void)snprintf(p->to.sun_path, sizeof p->to.sun_path, "%s", socket_path);
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int r = bind(p->listener, (struct sockaddr *)&at, sizeof at) | listen(p->listener, 64) |
            getsockname(p->listener, (struct sockaddr *)&at, &len);
    assert(r == 0);
    p->port = ntohs(at.sin_port);
    pthread_mutex_init(&p->lock, NULL);
    r = pthread_create(&p->thread, NULL, work, p);
    assert(r == 0);
    (void)r;
    return p;
}

void pg_proxy_stop(struct pg_proxy *p)
{
    p->stopping = true;
    pthread_join(p->thread, NULL);
    for (size_t i = 0; i < PAIRS; i++)
        cut(&p->pairs[i]);
    (void)close(p->listener);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

int pg_proxy_port(const struct pg_proxy *p)
{
    return p->port;
}

void pg_proxy_set(struct pg_proxy *p, enum pg_way way)
{
    pthread_mutex_lock(&p->lock);
    p->way = way;
    for (size_t i = 0; i < PAIRS && way == WAY_CLOSED; i++)
        cut(&p->pairs[i]);
    pthread_mutex_unlock(&p->lock);
}

void pg_proxy_cut_at(struct pg_proxy *p, const char *text, int after)
{
    pthread_mutex_lock(&p->lock);
    p->text = text;
    p->after = after;
    pthread_mutex_unlock(&p->lock);
}

int pg_proxy_cuts(const struct pg_proxy *p)
{
    return p->cuts;
}
