/* SPDX-License-Identifier: MIT */
/* A Redis of a test's own, in a directory of its own, which it may kill and start again. It writes all that
 * it is told to the disk at once. It goes with the test, whatever happens to that. */
#ifndef TESTS_UNIT_REDIS_SERVER_H
#define TESTS_UNIT_REDIS_SERVER_H

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SERVER_PATIENCE_MS 60000
#define SERVER_ATTEMPTS 20

struct redis_server {
    char dir[64], url[96];
    int port;
    pid_t pid;
    redisContext *own; /* the test's own connection */
};

static inline int server_free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    (void)close(fd);
    return ntohs(at.sin_port);
}

static inline void server_exec(const struct redis_server *s)
{
    char port[16];
    (void)snprintf(port, sizeof port, "%d", s->port);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    int null = open("/dev/null", O_RDWR);
    (void)dup2(null, 0), (void)dup2(null, 1), (void)dup2(null, 2);
    execlp("redis-server", "redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", s->dir, "--save",
           "", "--appendonly", "yes", "--appendfsync", "always", "--daemonize", "no", (char *)NULL);
    _exit(127);
}

/* Whether it is this one that answers there, and not one that took the port first. */
static inline bool server_is_ours(const struct redis_server *s, redisContext *own)
{
    redisReply *reply = own && !own->err ? redisCommand(own, "CONFIG GET dir") : NULL;
    bool ours = reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
                strcmp(reply->element[1]->str, s->dir) == 0;
    if (reply)
        freeReplyObject(reply);
    return ours;
}

/* Whether it answers; false when it has ended (its port was taken). */
static inline bool server_comes_up(struct redis_server *s)
{
    int64_t until = clock_monotonic_ms() + SERVER_PATIENCE_MS;
    while (clock_monotonic_ms() < until) {
        redisContext *own = redisConnect("127.0.0.1", s->port);
        if (server_is_ours(s, own)) {
            s->own = own;
            return true;
        }
        if (own)
            redisFree(own);
        if (waitpid(s->pid, NULL, WNOHANG) != 0)
            return false;
        usleep(10000);
    }
    fail_msg("redis-server does not start");
    return false;
}

static inline bool server_resume(struct redis_server *s)
{
    s->pid = fork();
    assert_true(s->pid >= 0);
    if (s->pid == 0)
        server_exec(s);
    return server_comes_up(s);
}

static inline void server_start(struct redis_server *s)
{
    (void)signal(SIGPIPE, SIG_IGN);
    *s = (struct redis_server){0};
    (void)snprintf(s->dir, sizeof s->dir, "/tmp/genie-redis-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    for (int i = 0; i < SERVER_ATTEMPTS; i++) {
        s->port = server_free_port();
        if (server_resume(s)) {
            (void)snprintf(s->url, sizeof s->url, "redis://127.0.0.1:%d/0", s->port);
            return;
        }
    }
    fail_msg("redis-server finds no port");
}

/* SIGSTOP; it stands still when this returns. */
static inline void server_stop(const struct redis_server *s)
{
    int status = 0;
    assert_int_equal(kill(s->pid, SIGSTOP), 0);
    assert_int_equal(waitpid(s->pid, &status, WUNTRACED), s->pid);
    assert_true(WIFSTOPPED(status));
}

/* kill -9. */
static inline void server_kill(struct redis_server *s)
{
    if (s->own)
        redisFree(s->own);
    s->own = NULL;
    (void)kill(s->pid, SIGKILL);
    (void)waitpid(s->pid, NULL, 0);
}

static inline void server_remove(struct redis_server *s)
{
    char command[128];
    server_kill(s);
    (void)snprintf(command, sizeof command, "rm -rf %s", s->dir);
    assert_int_equal(system(command), 0);
}

/* A command of the test's own, as redisCommand takes it; the number or length it answers with. */
static inline int64_t server_number(struct redis_server *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    redisReply *reply = redisvCommand(s->own, fmt, ap);
    va_end(ap);
    assert_non_null(reply);
    int64_t n = reply->type == REDIS_REPLY_INTEGER ? reply->integer
                : reply->type == REDIS_REPLY_ARRAY ? (int64_t)reply->elements
                : reply->type == REDIS_REPLY_ERROR ? -1
                                                   : 0;
    freeReplyObject(reply);
    return n;
}

/* Whether a client waits in a command. */
static inline bool server_blocks_one(struct redis_server *s)
{
    redisReply *reply = redisCommand(s->own, "INFO clients");
    assert_non_null(reply);
    bool blocks = reply->str && strstr(reply->str, "blocked_clients:1");
    freeReplyObject(reply);
    return blocks;
}

/* server_number for a command that answers with a text, "" where there is none. */
static inline const char *server_text(struct redis_server *s, char ret[256], const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    redisReply *reply = redisvCommand(s->own, fmt, ap);
    va_end(ap);
    assert_non_null(reply);
    (void)snprintf(ret, 256, "%s", reply->str ? reply->str : "");
    freeReplyObject(reply);
    return ret;
}

#endif
