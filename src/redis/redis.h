/* SPDX-License-Identifier: MIT */
/* A client of one Redis, on hiredis: a few connections that are made when first needed and lent for one
 * command each, and connections of one's own for commands that wait.
 *
 * Every wait has a limit, to the last byte of an answer: 5 s to connect and be let in (besides the system's
 * resolver), a command as long as its caller says, with the way there. An answer is of 64 MiB and 65,536
 * items at most. After a failure to connect, nobody tries again for a moment (50 ms, doubling up to 1 s); who
 * comes meanwhile hears -ECONNREFUSED at once. An idle connection that was closed on the other side is
 * replaced before it is lent.
 *
 * Errors: -ECONNREFUSED can't be reached (known or just found), -EIO the connection was lost while a command
 * was with Redis, which may have done it, -ETIMEDOUT the same by silence, -EAGAIN Redis says that it can't
 * now (LOADING, BUSY, READONLY, OOM, MISCONF …), -EACCES it doesn't let us in, -EPROTO any other refusal
 * (logged). -EMSGSIZE its answer is too large; the command was done. -ENOENT: a script that it doesn't know
 * (redis_eval sees to that). The process must ignore
 * SIGPIPE. Thread-safe but for what is said of connections. */
#ifndef REDIS_REDIS_H
#define REDIS_REDIS_H

#include "base/cleanup.h"
#include "redis/address.h"

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdint.h>

#define REDIS_COMMAND_MS 5000
#define REDIS_REPLY_MOST ((size_t)64 * 1024 * 1024)
#define REDIS_ITEMS_MOST ((size_t)65536)
#define REDIS_CONNECT_MS 5000

struct redis;
struct redis_conn; /* one connection; one thread at a time */

/* The address is copied. Doesn't connect. 0 or -ENOMEM. */
int redis_open(const struct redis_address *address, struct redis **ret);

/* Nothing may use it any more. NULL is fine. */
void redis_close(struct redis *r);

DEFINE_CLEANUP(struct redis *, redis_close);

static inline void redis_replyP(redisReply **p)
{
    if (*p)
        freeReplyObject(*p);
}
#define _cleanup_reply_ _cleanup_(redis_replyP)

/* The parts of a command: binary-safe, at most REDIS_ARGS_MOST. */
#define REDIS_ARGS_MOST 320

struct redis_args {
    const char *at[REDIS_ARGS_MOST];
    size_t len[REDIS_ARGS_MOST];
    char numbers[REDIS_ARGS_MOST][24]; /* texts of those added by redis_arg_int */
    int n;
    bool failed; /* more than fit */
};

void redis_arg(struct redis_args *args, const char *s);                   /* NULL: "" */
void redis_arg_bytes(struct redis_args *args, const char *p, size_t len); /* lives until the call returns */
void redis_arg_int(struct redis_args *args, int64_t n);

/* Sends a command on a lent connection, which is made if need be, and waits for its answer: limit_ms at most
 * in all. The reply is the caller's and is no error; ret may be NULL. */
int redis_call(struct redis *r, int limit_ms, const struct redis_args *args, redisReply **ret);

/* A Lua script. Its digest is made at the first use of redis_script_init. */
struct redis_script {
    const char *name; /* for the log */
    const char *text;
    size_t len;
    char sha[41];
};

/* Fills in the digest. 0 or -ENOMEM. */
int redis_script_init(struct redis_script *s);

/* Runs a script by its digest, and by its text where Redis doesn't know it (after a restart), within
 * limit_ms. `key`: KEYS[1]; args: ARGV. */
int redis_eval(struct redis *r, int limit_ms, const struct redis_script *s, const char *key,
               const struct redis_args *args, redisReply **ret);

/* Whether it could be reached when last tried; no access to it. */
bool redis_is_up(struct redis *r);

/* A connection of one's own, for commands that wait. */
int redis_connect(struct redis *r, struct redis_conn **ret);

/* One on a socket that is connected already and becomes its own, also on failure. 0 or -ENOMEM. */
int redis_adopt(int fd, struct redis_conn **ret);

void redis_disconnect(struct redis_conn *c);

/* redis_call on it. After an error but -EAGAIN and -EPROTO it is of no use any more (redis_conn_lost). */
int redis_conn_call(struct redis_conn *c, int limit_ms, const struct redis_args *args, redisReply **ret);
bool redis_conn_lost(const struct redis_conn *c);

#endif
