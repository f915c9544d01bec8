/* SPDX-License-Identifier: MIT */
#include "queue/bullmq.h"
#include "queue/scripts.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

/* The texts are put together when the program is built: what each needs, and then itself. */
int bull_scripts_init(struct bullmq *b)
{
    const struct redis_script scripts[BULL_SCRIPTS] = {
        [BULL_ADD] = {.name = "add", .text = script_add, .len = script_add_len},
        [BULL_CLAIM] = {.name = "claim", .text = script_claim, .len = script_claim_len},
        [BULL_RENEW] = {.name = "renew", .text = script_renew, .len = script_renew_len},
        [BULL_PROGRESS] = {.name = "progress", .text = script_progress, .len = script_progress_len},
        [BULL_LOG] = {.name = "log", .text = script_log, .len = script_log_len},
        [BULL_FINISH] = {.name = "finish", .text = script_finish, .len = script_finish_len},
        [BULL_LATER] = {.name = "later", .text = script_later, .len = script_later_len},
        [BULL_STALLED] = {.name = "stalled", .text = script_stalled, .len = script_stalled_len},
        [BULL_DUE] = {.name = "due", .text = script_due, .len = script_due_len},
        [BULL_CANCEL] = {.name = "cancel", .text = script_cancel, .len = script_cancel_len},
        [BULL_PAUSE] = {.name = "pause", .text = script_pause, .len = script_pause_len},
        [BULL_COUNTS] = {.name = "counts", .text = script_counts, .len = script_counts_len},
        [BULL_LOOK] = {.name = "look", .text = script_look, .len = script_look_len},
        [BULL_LINES] = {.name = "lines", .text = script_lines, .len = script_lines_len},
        [BULL_EVENTS] = {.name = "events", .text = script_events, .len = script_events_len},
        [BULL_FORGET] = {.name = "forget", .text = script_forget, .len = script_forget_len},
    };
    int r = 0;
    memcpy(b->scripts, scripts, sizeof scripts);
    for (int i = 0; i < BULL_SCRIPTS && r == 0; i++)
        r = redis_script_init(&b->scripts[i]);
    return r;
}

void bull_key(enum queue_name queue, const char *name, char ret[BULL_KEY_SIZE])
{
    (void)snprintf(ret, BULL_KEY_SIZE, "bull:%s:%s", queue_name_text(queue), name);
}

static int eval_within(struct bullmq *b, int limit_ms, enum bull_script script, enum queue_name queue,
                       const struct redis_args *args, redisReply **ret)
{
    char prefix[BULL_KEY_SIZE];
    bull_key(queue, "", prefix);
    return redis_eval(b->redis, limit_ms, &b->scripts[script], prefix, args, ret);
}

int bull_eval(struct bullmq *b, enum bull_script script, enum queue_name queue, const struct redis_args *args,
              redisReply **ret)
{
    return eval_within(b, REDIS_COMMAND_MS, script, queue, args, ret);
}

int bull_eval_int(struct bullmq *b, enum bull_script script, enum queue_name queue,
                  const struct redis_args *args, int64_t *ret)
{
    return bull_eval_int_within(b, REDIS_COMMAND_MS, script, queue, args, ret);
}

int bull_eval_int_within(struct bullmq *b, int limit_ms, enum bull_script script, enum queue_name queue,
                         const struct redis_args *args, int64_t *ret)
{
    _cleanup_reply_ redisReply *reply = NULL;
    int r = eval_within(b, limit_ms, script, queue, args, &reply);
    if (r < 0)
        return r;
    if (reply->type != REDIS_REPLY_INTEGER)
        return -EPROTO;
    *ret = reply->integer;
    return 0;
}

const char *bull_text(const redisReply *array, size_t i, size_t *ret_len)
{
    if (array->type != REDIS_REPLY_ARRAY || i >= array->elements ||
        array->element[i]->type != REDIS_REPLY_STRING)
        return NULL;
    if (ret_len)
        *ret_len = array->element[i]->len;
    return array->element[i]->str;
}

int64_t bull_int(const redisReply *array, size_t i, int64_t fallback)
{
    if (array->type != REDIS_REPLY_ARRAY || i >= array->elements ||
        array->element[i]->type != REDIS_REPLY_INTEGER)
        return fallback;
    return array->element[i]->integer;
}

const char *bull_redis_id(enum queue_name queue, const char *id)
{
    const char *name = queue_name_text(queue);
    size_t len = strlen(name);
    return strncmp(id, name, len) == 0 && id[len] == ':' ? id + len + 1 : id;
}

int bull_foreign_id(enum queue_name queue, const char *redis_id, size_t len, char ret[BULL_ID_MOST + 1])
{
    if (strlen(redis_id) != len || !utf8_valid(redis_id, len))
        return -EINVAL;
    int n = snprintf(ret, BULL_ID_MOST + 1, "%s:%s", queue_name_text(queue), redis_id);
    return n > 0 && n <= BULL_ID_MOST ? 0 : -EINVAL;
}
