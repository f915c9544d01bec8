/* SPDX-License-Identifier: MIT */
/* One table under one mutex, held for a look-up and a copy. Its entries stand in the order in which they were
 * read (uthash keeps it), so the first is the one to give up. */
#include "quota/usage_cache.h"

#include "base/uuid.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1 /* else uthash ends the process */
#include <uthash.h>

struct entry {
    UT_hash_handle hh;
    char user_id[UUID_SIZE];
    struct quota_usage usage;
    int64_t read_ms, data_version;
};

struct usage_cache {
    pthread_mutex_t lock;
    struct entry *entries;
    size_t max;
    uint64_t epoch; /* moves on with every forgetting */
};

struct usage_cache *usage_cache_new(size_t max)
{
    struct usage_cache *cache = calloc(1, sizeof *cache);
    if (!cache)
        return NULL;
    pthread_mutex_init(&cache->lock, NULL);
    cache->max = max;
    return cache;
}

static struct entry *find(struct usage_cache *cache, const char *user_id)
{
    struct entry *e;
    HASH_FIND_STR(cache->entries, user_id, e);
    return e;
}

static void drop(struct usage_cache *cache, struct entry *e)
{
    HASH_DEL(cache->entries, e);
    free(e);
}

static void drop_all(struct usage_cache *cache)
{
    struct entry *e, *next;
    HASH_ITER (hh, cache->entries, e, next)
        drop(cache, e);
}

static bool fresh(const struct entry *e, const struct usage_now *now)
{
    return e->data_version == now->data_version && now->monotonic_ms - e->read_ms < QUOTA_CACHE_MS &&
           now->wall_ms >= e->usage.cycle.start_ms && now->wall_ms < e->usage.cycle.end_ms;
}

int usage_cache_get(struct usage_cache *cache, const char *user_id, const struct usage_now *now,
                    struct quota_usage *ret)
{
    pthread_mutex_lock(&cache->lock);
    struct entry *e = find(cache, user_id);
    bool found = e && fresh(e, now);
    if (found)
        *ret = e->usage;
    pthread_mutex_unlock(&cache->lock);
    return found ? 0 : -EAGAIN;
}

uint64_t usage_cache_epoch(struct usage_cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    uint64_t epoch = cache->epoch;
    pthread_mutex_unlock(&cache->lock);
    return epoch;
}

static void add(struct usage_cache *cache, struct entry *e)
{
    struct entry *old = find(cache, e->user_id);
    if (old)
        drop(cache, old);
    else if (HASH_COUNT(cache->entries) >= cache->max)
        drop(cache, cache->entries);
    HASH_ADD_STR(cache->entries, user_id, e);
    if (!e->hh.tbl)
        free(e);
}

void usage_cache_put(struct usage_cache *cache, const char *user_id, const struct quota_usage *usage,
                     const struct usage_now *read, uint64_t epoch)
{
    struct entry *e = strlen(user_id) == UUID_LEN ? calloc(1, sizeof *e) : NULL;
    if (!e)
        return;
    memcpy(e->user_id, user_id, UUID_SIZE);
    e->usage = *usage;
    e->read_ms = read->monotonic_ms;
    e->data_version = read->data_version;
    pthread_mutex_lock(&cache->lock);
    /* under the lock: a forgetting that begins now waits for it and then finds the entry */
    bool current = cache->epoch == epoch;
    if (current)
        add(cache, e);
    pthread_mutex_unlock(&cache->lock);
    if (!current)
        free(e);
}

void usage_cache_forget(struct usage_cache *cache, const char *user_id)
{
    pthread_mutex_lock(&cache->lock);
    cache->epoch++;
    struct entry *e = user_id ? find(cache, user_id) : NULL;
    if (e)
        drop(cache, e);
    if (!user_id)
        drop_all(cache);
    pthread_mutex_unlock(&cache->lock);
}

void usage_cache_free(struct usage_cache *cache)
{
    if (!cache)
        return;
    drop_all(cache);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}
