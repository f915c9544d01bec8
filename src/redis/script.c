/* SPDX-License-Identifier: MIT */
#include "redis/redis.h"

#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <openssl/evp.h>

int redis_script_init(struct redis_script *s)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (EVP_Digest(s->text, s->len, digest, &len, EVP_sha1(), NULL) != 1 || len * 2 + 1 > sizeof s->sha)
        return -ENOMEM;
    hex_encode(digest, len, s->sha);
    return 0;
}

static int run(struct redis *r, int limit_ms, const struct redis_script *s, bool by_text, const char *key,
               const struct redis_args *args, redisReply **ret)
{
    struct redis_args all = {0};
    redis_arg(&all, by_text ? "EVAL" : "EVALSHA");
    if (by_text)
        redis_arg_bytes(&all, s->text, s->len);
    else
        redis_arg(&all, s->sha);
    redis_arg(&all, "1");
    redis_arg(&all, key);
    for (int i = 0; i < args->n; i++)
        redis_arg_bytes(&all, args->at[i], args->len[i]);
    all.failed |= args->failed;
    return redis_call(r, limit_ms, &all, ret);
}

int redis_eval(struct redis *r, int limit_ms, const struct redis_script *s, const char *key,
               const struct redis_args *args, redisReply **ret)
{
    int64_t until_ms = clock_monotonic_ms() + limit_ms;
    int result = run(r, limit_ms, s, false, key, args, ret);
    if (result != -ENOENT)
        return result;
    int64_t left_ms = until_ms - clock_monotonic_ms();
    return run(r, left_ms > 0 ? (int)left_ms : 0, s, true, key, args, ret);
}
