/* SPDX-License-Identifier: MIT */
/* Sixteen tables by the digest's first bits, each under its own mutex that is held for one look-up. Within a
 * table entries stand in the order in which they were loaded (uthash keeps it), so the first is the one to
 * give up. */
#include "auth/identity_cache.h"

#include "base/text.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1 /* else uthash ends the process */
#include <uthash.h>

#define SHARDS 16

struct entry {
    UT_hash_handle hh;
    uint8_t digest[IDENTITY_DIGEST_BYTES];
    struct identity *who;
    int64_t expires_s, loaded_ms, data_version;
};

struct shard {
    pthread_mutex_t lock;
    struct entry *entries;
};

struct identity_cache {
    size_t max_each;
    atomic_uint_fast64_t epoch; /* moves on with every forgetting */
    struct shard shards[SHARDS];
};

struct identity_cache *identity_cache_new(size_t max)
{
    struct identity_cache *cache = calloc(1, sizeof *cache);
    if (!cache)
        return NULL;
    cache->max_each = (max + SHARDS - 1) / SHARDS;
    for (int i = 0; i < SHARDS; i++)
        pthread_mutex_init(&cache->shards[i].lock, NULL);
    return cache;
}

static struct shard *shard_of(struct identity_cache *cache, const uint8_t *digest)
{
    return &cache->shards[digest[0] % SHARDS];
}

static void release(struct entry *e)
{
    identity_unref(e->who);
    free(e);
}

static void drop(struct shard *s, struct entry *e)
{
    HASH_DEL(s->entries, e);
    release(e);
}

static struct entry *find(struct shard *s, const uint8_t *digest)
{
    struct entry *e;
    HASH_FIND(hh, s->entries, digest, IDENTITY_DIGEST_BYTES, e);
    return e;
}

int identity_cache_get(struct identity_cache *cache, const uint8_t *digest, const struct identity_now *now,
                       struct identity **ret)
{
    struct shard *s = shard_of(cache, digest);
    int r = -ENOENT;
    pthread_mutex_lock(&s->lock);
    struct entry *e = find(s, digest);
    if (e && e->expires_s <= now->wall_s) {
        r = -EKEYEXPIRED;
    } else if (e && e->data_version == now->data_version &&
               now->monotonic_ms - e->loaded_ms < IDENTITY_CACHE_MS) {
        *ret = identity_ref(e->who);
        r = 0;
    }
    pthread_mutex_unlock(&s->lock);
    return r;
}

uint64_t identity_cache_epoch(struct identity_cache *cache)
{
    return atomic_load(&cache->epoch);
}

static void add(struct shard *s, struct entry *e, size_t max)
{
    struct entry *old = find(s, e->digest);
    if (old)
        drop(s, old);
    else if (HASH_COUNT(s->entries) >= max)
        drop(s, s->entries);
    HASH_ADD(hh, s->entries, digest, IDENTITY_DIGEST_BYTES, e);
    if (!e->hh.tbl)
        release(e);
}

void identity_cache_put(struct identity_cache *cache, const uint8_t *digest, struct identity *who,
                        int64_t expires_s, const struct identity_now *loaded, uint64_t epoch)
{
    struct entry *e = calloc(1, sizeof *e);
    if (!e)
        return;
    memcpy(e->digest, digest, sizeof e->digest);
    e->who = identity_ref(who);
    e->expires_s = expires_s;
    e->loaded_ms = loaded->monotonic_ms;
    e->data_version = loaded->data_version;
    struct shard *s = shard_of(cache, digest);
    pthread_mutex_lock(&s->lock);
    /* under the lock: a forgetting that begins now waits for it and then finds the entry */
    bool current = atomic_load(&cache->epoch) == epoch;
    if (current)
        add(s, e, cache->max_each);
    pthread_mutex_unlock(&s->lock);
    if (!current)
        release(e);
}

static void forget_in(struct shard *s, const char *user_id)
{
    struct entry *e, *next;
    pthread_mutex_lock(&s->lock);
    HASH_ITER (hh, s->entries, e, next)
        if (!user_id || str_equal(e->who->user_id, user_id) || str_equal(e->who->impersonated_by, user_id))
            drop(s, e);
    pthread_mutex_unlock(&s->lock);
}

void identity_cache_forget(struct identity_cache *cache, const char *user_id)
{
    atomic_fetch_add(&cache->epoch, 1);
    for (int i = 0; i < SHARDS; i++)
        forget_in(&cache->shards[i], user_id);
}

void identity_cache_free(struct identity_cache *cache)
{
    if (!cache)
        return;
    for (int i = 0; i < SHARDS; i++) {
        forget_in(&cache->shards[i], NULL);
        pthread_mutex_destroy(&cache->shards[i].lock);
    }
    free(cache);
}
