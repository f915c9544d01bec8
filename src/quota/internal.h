/* SPDX-License-Identifier: MIT */
/* Private to src/quota: what its files share. */
#ifndef QUOTA_INTERNAL_H
#define QUOTA_INTERNAL_H

#include "base/clock.h"
#include "base/uuid.h"
#include "quota/quota.h"
#include "quota/usage_cache.h"

#include <pthread.h>

struct quota {
    const struct config *cfg;
    struct db *db;
    pthread_mutex_t lock; /* the pointer `tiers`, for the length of taking a reference */
    struct tiers *tiers;
    struct usage_cache *cache;
};

/* What a user's row says, as of one moment. */
struct plan {
    enum tier tier;
    struct cycle cycle;
    char cycle_start[ISO_TIME_LEN]; /* as it is stored */
};

/* 0; -ENOENT no such user; -EINVAL the start of the subscription can't be read; or the store's errors. */
int plan_load(struct db_conn *c, const struct tiers *tiers, const char *user_id, int64_t now_ms,
              struct plan *ret);

/* The counter of a feature in a cycle, 0 where there is none yet. */
int counter_read(struct db_conn *c, const char *user_id, enum feature feature, const char *cycle_start,
                 int64_t *ret);

/* Takes back from a counter, never below 0; one that is gone stays gone. */
int counter_lower(struct db_conn *c, const char *user_id, const char *feature_key, const char *cycle_start,
                  int64_t amount);

/* Rows that a level counts. */
int level_read(struct db_conn *c, const char *user_id, enum feature feature, int64_t *ret);

/* quota_take_in, which also says where it was counted; *ret_counted false: nowhere. */
int take_counted(struct quota *q, struct db_conn *c, const struct quota_ask *ask, struct plan *ret_plan,
                 bool *ret_counted, struct quota_outcome *ret);

/* Gives back holds whose lease ended before now, of one user or (NULL) of all: at most HOLDS_AT_ONCE.
 * Returns how many, or negative errno. */
#define HOLDS_AT_ONCE 100
int holds_expire(struct db_conn *c, const char *user_id, int64_t now_ms);

#endif
