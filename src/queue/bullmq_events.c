/* SPDX-License-Identifier: MIT */
/* BullMQ's streams of events. A command that waits says in which of them there is something new; a script
 * then reads it, within bounds: events hold what jobs gave back, which may be of any size. */
#include "queue/bullmq.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

#define BYTES_A_READ ((int64_t)8 * 1024 * 1024)
#define ALL ((1U << QUEUES) - 1)

static bool id_fits(const char *id)
{
    return id && strlen(id) < BULL_STREAM_ID_SIZE && str_only(id, "0123456789-");
}

void bull_stream_id(const char *id, char ret[BULL_STREAM_ID_SIZE])
{
    (void)snprintf(ret, BULL_STREAM_ID_SIZE, "%s", id_fits(id) ? id : "0-0");
}

/* ---- waiting */

static unsigned streams_in(const redisReply *reply)
{
    unsigned queues = 0;
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++) {
        const char *key = bull_text(reply->element[i], 0, NULL);
        char known[BULL_KEY_SIZE];
        for (int k = 0; k < QUEUES; k++) {
            bull_key((enum queue_name)k, "events", known);
            queues |= str_equal(known, key) ? 1U << k : 0;
        }
    }
    return queues;
}

int bull_events_wait(struct redis_conn *conn, char at[QUEUES][BULL_STREAM_ID_SIZE], int block_ms,
                     unsigned *ret_queues)
{
    _cleanup_reply_ redisReply *reply = NULL;
    char keys[QUEUES][BULL_KEY_SIZE];
    struct redis_args args = {0};
    redis_arg(&args, "XREAD");
    redis_arg(&args, "COUNT");
    redis_arg(&args, "1");
    redis_arg(&args, "BLOCK");
    redis_arg_int(&args, block_ms);
    redis_arg(&args, "STREAMS");
    for (int i = 0; i < QUEUES; i++) {
        bull_key((enum queue_name)i, "events", keys[i]);
        redis_arg(&args, keys[i]);
    }
    for (int i = 0; i < QUEUES; i++)
        redis_arg(&args, at[i]);
    int r = redis_conn_call(conn, block_ms + REDIS_COMMAND_MS, &args, &reply);
    /* An event that is too large for us is one. */
    *ret_queues = r == -EMSGSIZE ? ALL : r == 0 ? streams_in(reply) : 0;
    return r == -EMSGSIZE ? 0 : r;
}

/* ---- reading */

int bull_events_parse(const redisReply *reply, struct bull_events *ret)
{
    const char *at = bull_text(reply, 0, NULL);
    if (!id_fits(at))
        return -EPROTO;
    bull_stream_id(at, ret->at);
    ret->all = bull_int(reply, 1, 0) == 1;
    ret->n = reply->elements > 2 ? reply->elements - 2 : 0;
    return 0;
}

int bull_events_read(struct bullmq *b, enum queue_name queue, const char *at, size_t value_most,
                     struct bull_events *ret)
{
    struct redis_args args = {0};
    *ret = (struct bull_events){0};
    redis_arg(&args, at);
    redis_arg_int(&args, BULL_EVENTS_A_READ);
    redis_arg_int(&args, (int64_t)value_most);
    redis_arg_int(&args, BYTES_A_READ);
    int r = bull_eval(b, BULL_EVENTS, queue, &args, &ret->reply);
    return r < 0 ? r : bull_events_parse(ret->reply, ret);
}

void bull_events_free(struct bull_events *events)
{
    if (events->reply)
        freeReplyObject(events->reply);
    events->reply = NULL;
}

struct bull_event bull_event_at(const struct bull_events *events, size_t i)
{
    const redisReply *told = events->reply->element[i + 2];
    const char *job = bull_text(told, 1, NULL);
    return (struct bull_event){.name = bull_text(told, 0, NULL),
                               .job = job && job[0] ? job : NULL,
                               .value = bull_text(told, 2, NULL)};
}
