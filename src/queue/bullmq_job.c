/* SPDX-License-Identifier: MIT */
#include "queue/bullmq_job.h"

#include "base/text.h"
#include "queue/queue.h"

#include <string.h>

#define OPTS_MAX ((size_t)64 * 1024)

static int64_t within(int64_t n, int64_t least, int64_t most)
{
    return n < least ? least : n > most ? most : n;
}

/* A number that may be a fraction; what isn't one counts as -1. */
static int64_t whole(const json_t *n)
{
    double d = json_is_number(n) ? json_number_value(n) : -1;
    return d >= 0 && d < 1e15 ? (int64_t)d : -1;
}

/* removeOnComplete, removeOnFail: true, false, a number of jobs, or {count, age, limit}. */
static struct bull_keep parse_keep(const json_t *v)
{
    struct bull_keep keep = {.count = -1, .age_s = -1};
    if (json_is_true(v))
        keep.count = 0;
    else if (json_is_number(v))
        keep.count = whole(v);
    else if (json_is_object(v))
        keep = (struct bull_keep){.count = whole(json_object_get(v, "count")),
                                  .age_s = whole(json_object_get(v, "age"))};
    return keep;
}

/* backoff: a number of ms, or {type, delay, jitter}. Strategies of other names live in Node, so their delay
 * is used as it is. */
static void parse_backoff(const json_t *v, struct bull_opts *ret)
{
    const json_t *delay = json_is_object(v) ? json_object_get(v, "delay") : v;
    ret->backoff_ms = within(whole(delay), 0, BULL_DELAY_MOST_MS);
    ret->exponential = str_equal(json_str(v, "type", NULL), "exponential");
    double jitter = json_num(v, "jitter", 0);
    ret->jitter = jitter >= 0 && jitter <= 1 ? jitter : 0;
}

void bull_opts_parse(const char *text, size_t len, struct bull_opts *ret)
{
    _cleanup_json_ json_t *v = len <= OPTS_MAX ? json_parse(text, len) : NULL;
    const json_t *logs = json_object_get(v, "kl"), *traces = json_object_get(v, "stackTraceLimit");
    if (!logs)
        logs = json_object_get(v, "keepLogs");
    *ret = (struct bull_opts){0};
    ret->attempts = (int)within(whole(json_object_get(v, "attempts")), 1, BULL_ATTEMPTS_MOST);
    parse_backoff(json_object_get(v, "backoff"), ret);
    ret->completed = parse_keep(json_object_get(v, "removeOnComplete"));
    ret->failed = parse_keep(json_object_get(v, "removeOnFail"));
    ret->keep_logs = json_is_number(logs) ? within(whole(logs), 0, BULL_LOGS_MOST) : BULL_LOGS_MOST;
    ret->traces = json_is_number(traces) ? within(whole(traces), 0, BULL_TRACES_MOST) : BULL_TRACES_MOST;
}

int64_t bull_backoff_ms(const struct bull_opts *opts, int made, double chance)
{
    int64_t delay = opts->backoff_ms;
    for (int i = 1; opts->exponential && i < made && delay < BULL_DELAY_MOST_MS; i++)
        delay *= 2;
    delay = within(delay, 0, BULL_DELAY_MOST_MS);
    return delay - (int64_t)((double)delay * opts->jitter * chance);
}

json_t *bull_data_parse(const char *text, size_t len)
{
    json_t *v = len <= QUEUE_DATA_MAX ? json_parse(text, len) : NULL;
    if (json_is_object(v))
        return v;
    json_decref(v);
    return NULL;
}

bool bull_id_is_ours(const char *id, size_t len)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    return len > 0 && len <= QUEUE_ID_MAX && strlen(id) == len && str_only(id, allowed) &&
           !str_only(id, "0123456789-");
}
