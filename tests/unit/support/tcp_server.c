/* SPDX-License-Identifier: MIT */
#include "tcp_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define WAIT_MS 10000
#define PEERS_MAX 1024

struct thread {
    pthread_t id;
    struct tcp_peer peer;
};

struct tcp_server {
    tcp_script script;
    void *ctx;
    int fd, port;
    pthread_t acceptor;
    pthread_mutex_t lock;
    struct thread *threads[PEERS_MAX];
    int n;
    bool stopping;
};

static void *run_script(void *arg)
{
    struct thread *t = arg;
    t->peer.server->script(&t->peer, t->peer.server->ctx);
    (void)shutdown(t->peer.fd, SHUT_RDWR);
    return NULL;
}

static void *accept_loop(void *arg)
{
    struct tcp_server *s = arg;
    for (;;) {
        int fd = accept(s->fd, NULL, NULL);
        if (fd < 0)
            return NULL;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        struct thread *t = calloc(1, sizeof *t);
        t->peer = (struct tcp_peer){.server = s, .fd = fd};
        pthread_mutex_lock(&s->lock);
        bool keep = !s->stopping && s->n < PEERS_MAX;
        if (keep && pthread_create(&t->id, NULL, run_script, t) == 0)
            s->threads[s->n++] = t;
        pthread_mutex_unlock(&s->lock);
        if (!keep) {
            close(fd);
            free(t);
        }
    }
}

struct tcp_server *tcp_server_start(tcp_script script, void *ctx)
{
    struct tcp_server *s = calloc(1, sizeof *s);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    s->script = script;
    s->ctx = ctx;
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pthread_mutex_init(&s->lock, NULL);
    if (bind(s->fd, (struct sockaddr *)&at, len) < 0 || listen(s->fd, 512) < 0 ||
        getsockname(s->fd, (struct sockaddr *)&at, &len) < 0 ||
        pthread_create(&s->acceptor, NULL, accept_loop, s) != 0) {
        perror("tcp_server");
        exit(2);
    }
    s->port = ntohs(at.sin_port);
    return s;
}

void tcp_server_stop(struct tcp_server *s)
{
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    for (int i = 0; i < s->n; i++)
        (void)shutdown(s->threads[i]->peer.fd, SHUT_RDWR);
    pthread_mutex_unlock(&s->lock);
    (void)shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->acceptor, NULL);
    for (int i = 0; i < s->n; i++) {
        pthread_join(s->threads[i]->id, NULL);
        close(s->threads[i]->peer.fd);
        free(s->threads[i]->peer.body);
        free(s->threads[i]);
    }
    close(s->fd);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

int tcp_server_port(const struct tcp_server *s)
{
    return s->port;
}

int tcp_server_connections(struct tcp_server *s)
{
    pthread_mutex_lock(&s->lock);
    int n = s->n;
    pthread_mutex_unlock(&s->lock);
    return n;
}

static bool wait_for(int fd, short events, int ms)
{
    struct pollfd p = {.fd = fd, .events = events};
    return poll(&p, 1, ms) == 1;
}

static bool fill(struct tcp_peer *p)
{
    if (p->len == sizeof p->in || !wait_for(p->fd, POLLIN, WAIT_MS))
        return false;
    ssize_t n = recv(p->fd, p->in + p->len, sizeof p->in - p->len, 0);
    if (n <= 0)
        return false;
    p->len += (size_t)n;
    return true;
}

static void use(struct tcp_peer *p, void *to, size_t n)
{
    memcpy(to, p->in, n);
    memmove(p->in, p->in + n, p->len - n);
    p->len -= n;
}

static bool read_body(struct tcp_peer *p, size_t len)
{
    free(p->body);
    p->body = calloc(1, len + 1);
    for (size_t at = 0; at < len;) {
        if (p->len == 0 && !fill(p))
            return false;
        size_t n = p->len < len - at ? p->len : len - at;
        use(p, p->body + at, n);
        at += n;
    }
    return true;
}

bool peer_read_request(struct tcp_peer *p)
{
    char *end;
    while (!(end = memmem(p->in, p->len, "\r\n\r\n", 4)))
        if (!fill(p))
            return false;
    size_t len = (size_t)(end + 4 - p->in);
    if (len >= sizeof p->head)
        return false;
    use(p, p->head, len);
    p->head[len] = '\0';
    const char *length = strcasestr(p->head, "content-length:");
    return read_body(p, length ? strtoul(length + 15, NULL, 10) : 0);
}

bool peer_path_is(const struct tcp_peer *p, const char *path)
{
    const char *at = strchr(p->head, ' ');
    size_t len = strlen(path);
    return at && strncmp(at + 1, path, len) == 0 && at[1 + len] == ' ';
}

bool peer_send(struct tcp_peer *p, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = send(p->fd, data, len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        data += n;
        len -= (size_t)n;
    }
    return true;
}

bool peer_puts(struct tcp_peer *p, const char *text)
{
    return peer_send(p, text, strlen(text));
}

bool peer_wait_closed(struct tcp_peer *p)
{
    char byte;
    while (wait_for(p->fd, POLLIN, WAIT_MS))
        if (recv(p->fd, &byte, 1, 0) <= 0)
            return true;
    return false;
}

void peer_pour(struct tcp_peer *p, size_t most)
{
    static const char piece[16384];
    for (size_t sent = 0; sent < most && peer_send(p, piece, sizeof piece);)
        sent += sizeof piece;
}

size_t peer_flood(struct tcp_peer *p, const char *piece, size_t most)
{
    size_t sent = 0, len = strlen(piece), at = 0;
    while (sent < most && wait_for(p->fd, POLLOUT, 400)) {
        ssize_t n = send(p->fd, piece + at, len - at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN)
            break;
        sent += n > 0 ? (size_t)n : 0;
        at = (at + (n > 0 ? (size_t)n : 0)) % len;
    }
    return sent;
}

void gate_open(struct gate *g)
{
    if (pipe(g->fds) < 0) {
        perror("pipe");
        exit(2);
    }
}

void gate_set(struct gate *g)
{
    if (write(g->fds[1], "!", 1) != 1)
        perror("gate");
}

bool gate_wait(struct gate *g)
{
    char byte;
    return wait_for(g->fds[0], POLLIN, WAIT_MS) && read(g->fds[0], &byte, 1) == 1;
}

void gate_close(struct gate *g)
{
    close(g->fds[0]);
    close(g->fds[1]);
}
