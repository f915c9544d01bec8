/* SPDX-License-Identifier: MIT */
/* What a Redis may answer: a command ends with an answer or an error, and what is read of an answer stays
 * within it. */
#include "fuzz.h"

#include "base/log.h"
#include "queue/bullmq.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LIMIT_MS 20000

static size_t sum;

static void add(const char *text)
{
    sum += text ? strlen(text) : 0;
}

/* As deep as hiredis reads. */
static void walk(const redisReply *reply, int depth)
{
    size_t len = 0;
    if (depth > 9)
        abort();
    if (reply->type != REDIS_REPLY_ARRAY) {
        if (bull_text(reply, 0, &len) || bull_int(reply, 0, -7) != -7)
            abort();
        return;
    }
    for (size_t i = 0; i <= reply->elements; i++) {
        add(bull_text(reply, i, &len));
        sum += len + (size_t)bull_int(reply, i, 0);
    }
    for (size_t i = 0; i < reply->elements; i++)
        walk(reply->element[i], depth + 1);
}

static void read_events(redisReply *reply)
{
    struct bull_events events = {.reply = reply};
    if (bull_events_parse(reply, &events) < 0)
        return;
    for (size_t i = 0; i < events.n; i++) {
        struct bull_event e = bull_event_at(&events, i);
        add(e.name), add(e.job), add(e.value);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int pair[2];
    struct redis_conn *c;
    struct redis_args args = {0};
    redisReply *reply = NULL;
    (void)signal(SIGPIPE, SIG_IGN);
    log_configure(LOG_ERROR + 1, true);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 || redis_adopt(pair[0], &c) < 0)
        abort();
    (void)send(pair[1], data, size, MSG_DONTWAIT | MSG_NOSIGNAL); /* what doesn't fit is cut off */
    (void)shutdown(pair[1], SHUT_WR);
    redis_arg(&args, "PING");
    int r = redis_conn_call(c, LIMIT_MS, &args, &reply);
    if ((r == 0) != (reply != NULL) || r == -ETIMEDOUT)
        abort();
    if (reply) {
        walk(reply, 0);
        read_events(reply);
        freeReplyObject(reply);
    }
    redis_disconnect(c);
    (void)close(pair[1]);
    return 0;
}
