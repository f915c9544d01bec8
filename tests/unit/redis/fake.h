/* SPDX-License-Identifier: MIT */
/* A connection whose other side is the test's: it says what no Redis would. */
#ifndef TESTS_UNIT_REDIS_FAKE_H
#define TESTS_UNIT_REDIS_FAKE_H

#include "server.h"

#include "redis/redis.h"

#include <pthread.h>
#include <sys/socket.h>

struct fake {
    struct redis_conn *conn;
    int fd; /* the other side */
    pthread_t writer;
    const char *text; /* what it writes, each byte after a pause */
    size_t len;
    int pause_us;
};

static inline void fake_start(struct fake *f)
{
    int pair[2];
    (void)signal(SIGPIPE, SIG_IGN);
    *f = (struct fake){0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(redis_adopt(pair[0], &f->conn), 0);
    f->fd = pair[1];
}

/* Until the other side is closed, or there is no more. */
static inline void *fake_write(void *arg)
{
    struct fake *f = arg;
    for (size_t at = 0; at < f->len;) {
        size_t n = f->pause_us ? 1 : f->len - at;
        ssize_t written = send(f->fd, f->text + at, n, MSG_NOSIGNAL);
        if (written <= 0)
            break;
        at += (size_t)written;
        if (f->pause_us)
            (void)usleep((useconds_t)f->pause_us);
    }
    return NULL;
}

/* What a command hears when this is said to it. */
static inline int fake_call(struct fake *f, int limit_ms, const char *text, size_t len, int pause_us,
                            redisReply **ret)
{
    struct redis_args args = {0};
    redis_arg(&args, "PING");
    f->text = text, f->len = len, f->pause_us = pause_us;
    assert_int_equal(pthread_create(&f->writer, NULL, fake_write, f), 0);
    int r = redis_conn_call(f->conn, limit_ms, &args, ret);
    if (redis_conn_lost(f->conn))
        (void)shutdown(f->fd, SHUT_RDWR);
    assert_int_equal(pthread_join(f->writer, NULL), 0);
    return r;
}

static inline void fake_end(struct fake *f)
{
    redis_disconnect(f->conn);
    (void)close(f->fd);
}

#endif
