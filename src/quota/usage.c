/* SPDX-License-Identifier: MIT */
/* What a user sees. Reading fails open: a plan without counters is still shown. */
#include "base/log.h"
#include "base/text.h"
#include "quota/internal.h"

#include <errno.h>

struct reading {
    const char *user_id;
    struct tiers *tiers;
    int64_t now_ms;
    struct quota_usage *usage;
};

static int read_counters(struct db_conn *c, const char *user_id, const char *cycle_start, int64_t *ret)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c,
                     "SELECT feature_key, count FROM user_usage_counts"
                     " WHERE user_id = ?1 AND billing_cycle_start = ?2",
                     DB_ARGS(DB_TEXT(user_id), DB_TEXT(cycle_start)), &rows);
    while (r == 0 && (r = db_next(rows)) > 0) {
        for (int f = 0; f < FEATURES; f++)
            if (!features[f].level && str_equal(features[f].key, db_text(rows, 0)))
                ret[f] = db_int(rows, 1);
        r = 0;
    }
    return r;
}

/* What was found before a failure stays found. */
static int read_unit(struct db_conn *c, void *arg)
{
    struct reading *reading = arg;
    struct quota_usage *usage = reading->usage;
    struct plan plan;
    *usage = (struct quota_usage){0};
    int r = plan_load(c, reading->tiers, reading->user_id, reading->now_ms, &plan);
    if (r < 0)
        return r;
    usage->tier = plan.tier;
    usage->cycle = plan.cycle;
    usage->plan_known = true;
    r = read_counters(c, reading->user_id, plan.cycle_start, usage->used);
    usage->counters_known = r == 0;
    return r;
}

static struct usage_now usage_now(struct quota *q)
{
    return (struct usage_now){.monotonic_ms = clock_monotonic_ms(),
                              .wall_ms = clock_now_ms(),
                              .data_version = db_data_version(q->db)};
}

int quota_usage_cached(struct quota *q, const char *user_id, struct quota_usage *ret)
{
    struct usage_now now = usage_now(q);
    return usage_cache_get(q->cache, user_id, &now, ret);
}

void quota_usage_read(struct quota *q, const char *user_id, struct quota_usage *ret)
{
    uint64_t epoch = usage_cache_epoch(q->cache);
    struct usage_now now = usage_now(q);
    _cleanup_(tiers_unrefP) struct tiers *tiers = quota_tiers(q);
    struct reading reading = {user_id, tiers, now.wall_ms, ret};
    *ret = (struct quota_usage){0};
    int r = db_read(q->db, read_unit, &reading);
    if (r == 0) {
        usage_cache_put(q->cache, user_id, ret, &now, epoch);
        return;
    }
    log_event(LOG_WARN, "usage is shown without what can't be read", LOG_S("user", user_id));
    for (int f = 0; f < FEATURES; f++)
        ret->used[f] = 0;
}
