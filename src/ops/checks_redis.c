/* SPDX-License-Identifier: MIT */
/* The Redis that holds the queues: whether it lets us in, is new enough, and keeps what it is told. */
#include "ops/checks.h"

#include "base/text.h"
#include "db/look.h"
#include "queue/queue.h"
#include "redis/redis.h"

#include <errno.h>
#include <string.h>

#define ADDRESS_MAX 8192
#define VALUE_SIZE 64
#define LEAST_MAJOR 6
#define LEAST_MINOR 2

/* The value of a line "name:value" of INFO; "" where there is none. */
static const char *info_value(const char *info, const char *name, char ret[VALUE_SIZE])
{
    size_t len = strlen(name);
    ret[0] = '\0';
    for (const char *line = info; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        if (strncmp(line, name, len) != 0 || line[len] != ':')
            continue;
        size_t n = strcspn(line + len + 1, "\r\n");
        (void)snprintf(ret, VALUE_SIZE, "%.*s", n < VALUE_SIZE ? (int)n : VALUE_SIZE - 1, line + len + 1);
        break;
    }
    return ret;
}

static int ask(const char *url, const struct redis_args *args, redisReply **ret)
{
    _cleanup_(redis_closeP) struct redis *redis = NULL;
    struct redis_address address;
    struct arena a;
    const char *why;
    arena_init(&a, ADDRESS_MAX);
    int r = redis_address_parse(url, &a, &address, &why);
    if (r == 0)
        r = redis_open(&address, &redis);
    arena_wipe(&a);
    return r < 0 ? r : redis_call(redis, CHECK_ANSWER_MS, args, ret);
}

static int ask_info(const char *url, redisReply **ret)
{
    struct redis_args args = {0};
    redis_arg(&args, "INFO");
    return ask(url, &args, ret);
}

static bool is_old(const char *version)
{
    int major = 0, minor = 0;
    if (sscanf(version, "%9d.%9d", &major, &minor) != 2)
        return true;
    return major < LEAST_MAJOR || (major == LEAST_MAJOR && minor < LEAST_MINOR);
}

static bool judge(const char *info, struct finding *f)
{
    char version[VALUE_SIZE], aof[VALUE_SIZE], policy[VALUE_SIZE];
    (void)info_value(info, "redis_version", version);
    if (is_old(version)) {
        (void)found(f, CHECK_FAIL, "Redis %s is too old for the queues", version);
        return mend(f, "install Redis %d.%d or newer", LEAST_MAJOR, LEAST_MINOR);
    }
    if (!str_equal(info_value(info, "aof_enabled", aof), "1")) {
        (void)found(f, CHECK_WARN, "Redis %s answers, but forgets jobs when it stops", version);
        return mend(f, "set appendonly yes in its configuration");
    }
    (void)info_value(info, "maxmemory_policy", policy);
    if (policy[0] && !str_equal(policy, "noeviction")) {
        (void)found(f, CHECK_WARN, "Redis %s answers, but may drop jobs when its memory is full", version);
        return mend(f, "set maxmemory-policy noeviction in its configuration");
    }
    return found(f, CHECK_OK, "Redis %s answers, and keeps what it is told", version);
}

bool check_redis(const struct checkup *c, struct finding *f)
{
    _cleanup_reply_ redisReply *reply = NULL;
    if (!c->loaded || !c->cfg->redis_url)
        return false;
    int r = ask_info(c->cfg->redis_url, &reply);
    if (r == 0 && reply->type == REDIS_REPLY_STRING)
        return judge(reply->str, f);
    (void)found(f, CHECK_FAIL, "Redis can't be used: %s",
                r == -EACCES ? "it doesn't let us in"
                : r == 0     ? "its answer isn't Redis's"
                             : strerror(-r));
    return mend(f, "start it, or correct REDIS_URL");
}

/* ---- what is in it */

/* ARGV: the queues' prefixes. Gives how many jobs wait, run and have failed, and how many queues are paused.
 */
static const char queues_script[] =
    "local sum = {0, 0, 0, 0}\n"
    "for _, q in ipairs(ARGV) do\n"
    "  sum[1] = sum[1] + redis.call('LLEN', q .. 'wait') + redis.call('LLEN', q .. 'paused')\n"
    "    + redis.call('ZCARD', q .. 'prioritized')\n"
    "  sum[2] = sum[2] + redis.call('LLEN', q .. 'active')\n"
    "  sum[3] = sum[3] + redis.call('ZCARD', q .. 'failed')\n"
    "  sum[4] = sum[4] + redis.call('HEXISTS', q .. 'meta', 'paused')\n"
    "end\n"
    "return sum\n";

int redis_look_queues(const char *url, struct look_queues *ret)
{
    _cleanup_reply_ redisReply *reply = NULL;
    char prefixes[QUEUES][VALUE_SIZE];
    struct redis_args args = {0};
    redis_arg(&args, "EVAL");
    redis_arg(&args, queues_script);
    redis_arg(&args, "0");
    for (int i = 0; i < QUEUES; i++) {
        (void)snprintf(prefixes[i], VALUE_SIZE, "bull:%s:", queue_name_text((enum queue_name)i));
        redis_arg(&args, prefixes[i]);
    }
    int r = ask(url, &args, &reply);
    if (r < 0)
        return r;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 4)
        return -EPROTO;
    long long *const numbers[] = {&ret->waiting, &ret->active, &ret->failed, &ret->paused};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        *numbers[i] = reply->element[i]->integer;
    return 0;
}
