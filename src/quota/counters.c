/* SPDX-License-Identifier: MIT */
/* Reading a plan, deciding, counting: what happens inside a unit. Looking and then writing is safe on both
 * engines, since who decides also writes the row that was looked at: SQLite has one writer, and PostgreSQL
 * undoes the later of two units and runs it again. */
#include "quota/internal.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

static int read_anchor(struct db_rows *rows, int64_t *ret)
{
    const char *start = db_text(rows, 1);
    *ret = CYCLE_NO_ANCHOR;
    return start ? clock_parse_iso(start, ret) : 0;
}

int plan_load(struct db_conn *c, const struct tiers *tiers, const char *user_id, int64_t now_ms,
              struct plan *ret)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int64_t anchor;
    int r = db_query(c,
                     "SELECT subscription_tier, subscription_start, subscription_period FROM directus_users"
                     " WHERE id = ?1",
                     DB_ARGS(DB_TEXT(user_id)), &rows);
    if (r == 0)
        r = db_next(rows);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    r = read_anchor(rows, &anchor);
    if (r < 0)
        return r;
    ret->tier = tiers_find(tiers, db_text(rows, 0));
    ret->cycle = cycle_at(anchor, str_equal(db_text(rows, 2), "yearly"), now_ms);
    clock_format_iso(ret->cycle.start_ms, ret->cycle_start);
    return 0;
}

int counter_read(struct db_conn *c, const char *user_id, enum feature feature, const char *cycle_start,
                 int64_t *ret)
{
    *ret = 0;
    int r =
        db_query_int(c,
                     "SELECT count FROM user_usage_counts"
                     " WHERE user_id = ?1 AND feature_key = ?2 AND billing_cycle_start = ?3",
                     DB_ARGS(DB_TEXT(user_id), DB_TEXT(features[feature].key), DB_TEXT(cycle_start)), ret);
    return r < 0 ? r : 0;
}

static int counter_raise(struct db_conn *c, const char *user_id, enum feature feature,
                         const char *cycle_start, int64_t amount)
{
    char id[UUID_SIZE], now[ISO_TIME_LEN];
    uuid_make(id);
    clock_format_iso(clock_now_ms(), now);
    return db_exec(c,
                   "INSERT INTO user_usage_counts"
                   " (id, user_id, feature_key, billing_cycle_start, count, date_created, date_updated)"
                   " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)"
                   " ON CONFLICT (user_id, feature_key, billing_cycle_start) DO UPDATE"
                   " SET count = user_usage_counts.count + excluded.count,"
                   " date_updated = excluded.date_updated",
                   DB_ARGS(DB_TEXT(id), DB_TEXT(user_id), DB_TEXT(features[feature].key),
                           DB_TEXT(cycle_start), DB_INT(amount), DB_TEXT(now)),
                   NULL);
}

int counter_lower(struct db_conn *c, const char *user_id, const char *feature_key, const char *cycle_start,
                  int64_t amount)
{
    char now[ISO_TIME_LEN];
    clock_format_iso(clock_now_ms(), now);
    return db_exec(
        c,
        "UPDATE user_usage_counts"
        " SET count = CASE WHEN count > ?4 THEN count - ?4 ELSE 0 END, date_updated = ?5"
        " WHERE user_id = ?1 AND feature_key = ?2 AND billing_cycle_start = ?3",
        DB_ARGS(DB_TEXT(user_id), DB_TEXT(feature_key), DB_TEXT(cycle_start), DB_INT(amount), DB_TEXT(now)),
        NULL);
}

int level_read(struct db_conn *c, const char *user_id, enum feature feature, int64_t *ret)
{
    if (feature != FEATURE_SCHEDULED_POSTS)
        return -EINVAL;
    int r =
        db_query_int(c, "SELECT count(*) FROM scheduled_posts WHERE user_id = ?1 AND status = 'scheduled'",
                     DB_ARGS(DB_TEXT(user_id)), ret);
    return r < 0 ? r : 0;
}

/* Whether `amount` more fit, given what is used; *ret then shows what was used before. */
static void decide(int64_t limit, int64_t used, int64_t amount, struct quota_outcome *ret)
{
    ret->limit = limit;
    ret->used = used;
    ret->remaining = limit < 0 ? TIERS_UNLIMITED : used < limit ? limit - used : 0;
    ret->reason = limit == 0                             ? QUOTA_NOT_IN_TIER
                  : limit > 0 && amount > ret->remaining ? QUOTA_LIMIT_REACHED
                                                         : QUOTA_ALLOWED;
    ret->allowed = ret->reason == QUOTA_ALLOWED;
}

static void begin_outcome(const struct tiers *tiers, enum feature feature, struct quota_outcome *ret)
{
    *ret = (struct quota_outcome){
        .reason = QUOTA_CHECK_FAILED, .feature = feature, .limit = TIERS_UNLIMITED, .remaining = 0};
    if (feature != FEATURE_FREE)
        (void)snprintf(ret->label, sizeof ret->label, "%s", tiers_label(tiers, feature));
}

static void allow_uncounted(struct quota_outcome *ret)
{
    ret->allowed = true;
    ret->reason = QUOTA_ALLOWED;
    ret->remaining = TIERS_UNLIMITED;
}

void quota_fail(struct quota *q, enum feature feature, struct quota_outcome *ret)
{
    _cleanup_(tiers_unrefP) struct tiers *tiers = quota_tiers(q);
    begin_outcome(tiers, feature, ret);
}

static int64_t moment(const struct quota_ask *ask)
{
    return ask->now_ms ? ask->now_ms : clock_now_ms();
}

/* What is used now, against the limit. */
static int look(struct db_conn *c, const struct tiers *tiers, const struct quota_ask *ask,
                const struct plan *plan, struct quota_outcome *ret)
{
    int64_t used;
    enum feature f = ask->feature;
    int r = features[f].level ? level_read(c, ask->user_id, f, &used)
                              : counter_read(c, ask->user_id, f, plan->cycle_start, &used);
    if (r < 0)
        return r;
    decide(tiers_limit(tiers, plan->tier, f), used, ask->amount, ret);
    ret->resets_ms = features[f].level ? 0 : plan->cycle.end_ms;
    return 0;
}

/* The same; before it refuses, it gives back what crashed work has left behind. */
static int look_twice(struct db_conn *c, const struct tiers *tiers, const struct quota_ask *ask,
                      const struct plan *plan, struct quota_outcome *ret)
{
    int r = look(c, tiers, ask, plan, ret);
    if (r < 0 || ret->reason != QUOTA_LIMIT_REACHED)
        return r;
    r = holds_expire(c, ask->user_id, moment(ask));
    return r > 0 ? look(c, tiers, ask, plan, ret) : r;
}

static int count(struct db_conn *c, const struct quota_ask *ask, const struct plan *plan,
                 struct quota_outcome *ret)
{
    int r = counter_raise(c, ask->user_id, ask->feature, plan->cycle_start, ask->amount);
    if (r < 0)
        return r;
    ret->used += ask->amount;
    if (ret->limit >= 0)
        ret->remaining -= ask->amount;
    return 0;
}

int take_counted(struct quota *q, struct db_conn *c, const struct quota_ask *ask, struct plan *ret_plan,
                 bool *ret_counted, struct quota_outcome *ret)
{
    _cleanup_(tiers_unrefP) struct tiers *tiers = quota_tiers(q);
    *ret_counted = false;
    begin_outcome(tiers, ask->feature, ret);
    if (ask->amount < 1 || (ask->feature != FEATURE_FREE && features[ask->feature].level))
        return -EINVAL;
    int r = plan_load(c, tiers, ask->user_id, moment(ask), ret_plan);
    if (r < 0)
        return r == -EINVAL ? -EIO : r;
    if (ask->feature == FEATURE_FREE || !tiers_counts(tiers, ret_plan->tier, ask->feature)) {
        allow_uncounted(ret);
        return 0;
    }
    r = look_twice(c, tiers, ask, ret_plan, ret);
    if (r < 0 || !ret->allowed)
        return r < 0 ? r : 0;
    *ret_counted = true;
    return count(c, ask, ret_plan, ret);
}

int quota_take_in(struct quota *q, struct db_conn *c, const struct quota_ask *ask, struct quota_outcome *ret)
{
    struct plan plan;
    bool counted;
    return take_counted(q, c, ask, &plan, &counted, ret);
}

/* All who decide by a user's rows write this one, so that two of them meet. */
static int meet(struct db_conn *c, const char *user_id, enum feature feature)
{
    return db_exec(c,
                   "INSERT INTO quota_levels (user_id, feature_key, checks) VALUES (?1, ?2, 1)"
                   " ON CONFLICT (user_id, feature_key) DO UPDATE SET checks = quota_levels.checks + 1",
                   DB_ARGS(DB_TEXT(user_id), DB_TEXT(features[feature].key)), NULL);
}

int quota_level_in(struct quota *q, struct db_conn *c, const struct quota_ask *ask, struct quota_outcome *ret)
{
    _cleanup_(tiers_unrefP) struct tiers *tiers = quota_tiers(q);
    struct plan plan;
    begin_outcome(tiers, ask->feature, ret);
    if (ask->amount < 1 || ask->feature == FEATURE_FREE || !features[ask->feature].level)
        return -EINVAL;
    int r = plan_load(c, tiers, ask->user_id, moment(ask), &plan);
    if (r < 0)
        return r == -EINVAL ? -EIO : r;
    r = meet(c, ask->user_id, ask->feature);
    if (r == 0)
        r = look(c, tiers, ask, &plan, ret);
    if (r < 0 || !ret->allowed)
        return r;
    ret->used += ask->amount;
    if (ret->limit >= 0)
        ret->remaining -= ask->amount;
    return 0;
}

/* ---- without counting */

struct can {
    struct quota_ask ask;
    struct tiers *tiers;
    struct quota_outcome *outcome;
};

static int can_unit(struct db_conn *c, void *arg)
{
    struct can *can = arg;
    struct plan plan;
    int r = plan_load(c, can->tiers, can->ask.user_id, moment(&can->ask), &plan);
    if (r < 0)
        return r;
    if (can->ask.feature == FEATURE_FREE || !tiers_counts(can->tiers, plan.tier, can->ask.feature)) {
        allow_uncounted(can->outcome);
        return 0;
    }
    return look(c, can->tiers, &can->ask, &plan, can->outcome);
}

void quota_can_perform(struct quota *q, const char *user_id, const char *operation, struct quota_outcome *ret)
{
    _cleanup_(tiers_unrefP) struct tiers *tiers = quota_tiers(q);
    struct can can = {.ask = {.user_id = user_id, .amount = 1}, .tiers = tiers, .outcome = ret};
    begin_outcome(tiers, FEATURE_FREE, ret);
    if (tiers_resolve(tiers, operation, &can.ask.feature) < 0)
        return;
    begin_outcome(tiers, can.ask.feature, ret);
    if (db_read(q->db, can_unit, &can) < 0)
        begin_outcome(tiers, can.ask.feature, ret);
}
