/* SPDX-License-Identifier: MIT */
/* Loaded identities by the digest of their token, for the event threads: bounded, sharded, and honest about
 * age. It takes the time from its caller. Thread-safe. */
#ifndef AUTH_IDENTITY_CACHE_H
#define AUTH_IDENTITY_CACHE_H

#include "auth/identity.h"

#define IDENTITY_DIGEST_BYTES 32

struct identity_cache;

/* max: most identities kept; the oldest make room. NULL without memory. */
struct identity_cache *identity_cache_new(size_t max);
void identity_cache_free(struct identity_cache *cache);

/* The moment a look-up or a load belongs to. */
struct identity_now {
    int64_t monotonic_ms;
    int64_t wall_s;
    int64_t data_version; /* of the store */
};

/* 0 and a reference in *ret; -ENOENT when nothing fresh is there; -EKEYEXPIRED when the token's own time is
 * over. */
int identity_cache_get(struct identity_cache *cache, const uint8_t *digest, const struct identity_now *now,
                       struct identity **ret);

/* To be read before the store is: what was loaded while somebody was forgotten isn't kept. */
uint64_t identity_cache_epoch(struct identity_cache *cache);

/* Keeps `who` (its own reference) until the token expires, IDENTITY_CACHE_MS have passed since `loaded`, or
 * the store's version moves on. Without memory it simply isn't kept. */
void identity_cache_put(struct identity_cache *cache, const uint8_t *digest, struct identity *who,
                        int64_t expires_s, const struct identity_now *loaded, uint64_t epoch);

/* user_id NULL = everybody. Also forgets who acts for that user or in whose name it acts. */
void identity_cache_forget(struct identity_cache *cache, const char *user_id);

#endif
