/* SPDX-License-Identifier: MIT */
/* Private to src/quota. What was read of users' plans and counters, for the event threads: bounded, and
 * honest about age. It takes the time from its caller. Thread-safe; never waits for anything but a short
 * lock. */
#ifndef QUOTA_USAGE_CACHE_H
#define QUOTA_USAGE_CACHE_H

#include "quota/quota.h"

struct usage_cache;

/* The moment a look-up or a read belongs to. */
struct usage_now {
    int64_t monotonic_ms;
    int64_t wall_ms;      /* a cycle's end ends what was read in it */
    int64_t data_version; /* of the store */
};

/* max: most users kept; the oldest make room. NULL without memory. */
struct usage_cache *usage_cache_new(size_t max);
void usage_cache_free(struct usage_cache *cache);

/* 0 with a copy in *ret, or -EAGAIN where nothing fresh is there. */
int usage_cache_get(struct usage_cache *cache, const char *user_id, const struct usage_now *now,
                    struct quota_usage *ret);

/* To be read before the store is: what was read while somebody was forgotten isn't kept. */
uint64_t usage_cache_epoch(struct usage_cache *cache);
void usage_cache_put(struct usage_cache *cache, const char *user_id, const struct quota_usage *usage,
                     const struct usage_now *read, uint64_t epoch);

/* user_id NULL = everybody. */
void usage_cache_forget(struct usage_cache *cache, const char *user_id);

#endif
