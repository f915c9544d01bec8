/* SPDX-License-Identifier: MIT */
/* The Redis that holds the queues: whether it lets us in, is new enough, and keeps what it is told. */
#include "ops/checks.h"

#include "base/text.h"
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

static int ask_info(const char *url, redisReply **ret)
{
    _cleanup_(redis_closeP) struct redis *redis = NULL;
    struct redis_address address;
    struct redis_args args = {0};
    struct arena a;
    const char *why;
    arena_init(&a, ADDRESS_MAX);
    int r = redis_address_parse(url, &a, &address, &why);
    if (r == 0)
        r = redis_open(&address, &redis);
    arena_wipe(&a);
    redis_arg(&args, "INFO");
    if (r == 0)
        r = redis_call(redis, CHECK_ANSWER_MS, &args, ret);
    return r;
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
