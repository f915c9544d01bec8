/* SPDX-License-Identifier: MIT */
/* The indexes in memory, one a user, least recently used out first. Who asks for an index that is not there
 * builds it; others who want the same one wait for that. A lease keeps an index alive while it is used, also
 * after it was forgotten; who asks after forgetting gets one built after it. Thread-safe. */
#ifndef RETRIEVAL_CACHE_H
#define RETRIEVAL_CACHE_H

#include "retrieval/search.h"

#define CACHE_USER_MAX 63 /* bytes of a user's id */

struct index_cache;
struct lease; /* an index in use */

/* Builds the index of a user: 0 or negative errno. Called without locks, by the thread that asked. */
typedef int (*index_build_fn)(void *ctx, const char *user_id, struct index **ret);

struct index_cache_options {
    size_t most_users, most_bytes; /* the newest index stays whatever its size */
    index_build_fn build;
    void *ctx;
};

int index_cache_new(const struct index_cache_options *options, struct index_cache **ret);

/* No lease may be out. */
void index_cache_free(struct index_cache *c);

/* The index of a user. version: of the store as a whole; when it is not the one of the last call, everything
 * is forgotten first. 0, the builder's error, -EINVAL for an impossible id, -ETIMEDOUT when another thread's
 * building takes more than 10 s, or -ENOMEM. */
int index_cache_take(struct index_cache *c, const char *user_id, int64_t version, struct lease **ret);
void index_cache_give_back(struct lease *l);
DEFINE_CLEANUP(struct lease *, index_cache_give_back);

/* NULL = of every user. Waits for nothing. */
void index_cache_forget(struct index_cache *c, const char *user_id);

const struct index *lease_index(const struct lease *l);

/* Working memory for a search in the leased index, to be returned before the lease. NULL without memory. */
struct search *lease_search(struct lease *l);
void lease_search_done(struct lease *l, struct search *s);

/* Users and bytes in the cache now. */
void index_cache_size(struct index_cache *c, size_t *ret_users, size_t *ret_bytes);

#endif
