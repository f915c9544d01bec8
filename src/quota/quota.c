/* SPDX-License-Identifier: MIT */
/* The engine's front: the tiers in force, whole units around the functions of counters.c and holds.c, and
 * what is remembered for the event threads. */
#include "quota/quota.h"

#include "base/log.h"
#include "quota/internal.h"

#include <errno.h>

#define USERS_REMEMBERED 4096

int quota_open(const struct config *cfg, struct db *db, struct quota **ret)
{
    char source[TIERS_ERROR_MAX], error[TIERS_ERROR_MAX];
    struct quota *q = calloc(1, sizeof *q);
    if (!q)
        return -ENOMEM;
    *q = (struct quota){.cfg = cfg, .db = db};
    pthread_mutex_init(&q->lock, NULL);
    q->cache = usage_cache_new(USERS_REMEMBERED);
    int r = q->cache ? tiers_load(cfg, &q->tiers, source, error) : -ENOMEM;
    if (r == 0) {
        log_event(LOG_INFO, "tiers in force", LOG_S("from", source));
        *ret = q;
        return 0;
    }
    if (q->cache)
        log_event(LOG_ERROR, "the tiers can't be used", LOG_S("error", error));
    quota_close(q);
    return r;
}

void quota_close(struct quota *q)
{
    if (!q)
        return;
    usage_cache_free(q->cache);
    tiers_unref(q->tiers);
    pthread_mutex_destroy(&q->lock);
    free(q);
}

struct tiers *quota_tiers(struct quota *q)
{
    pthread_mutex_lock(&q->lock);
    struct tiers *tiers = tiers_ref(q->tiers);
    pthread_mutex_unlock(&q->lock);
    return tiers;
}

int quota_reload(struct quota *q)
{
    char source[TIERS_ERROR_MAX], error[TIERS_ERROR_MAX];
    struct tiers *fresh;
    int r = tiers_load(q->cfg, &fresh, source, error);
    if (r < 0) {
        log_event(LOG_ERROR, "the tiers file is refused, the tiers in force stay", LOG_S("error", error));
        return r;
    }
    pthread_mutex_lock(&q->lock);
    struct tiers *old = q->tiers;
    q->tiers = fresh;
    pthread_mutex_unlock(&q->lock);
    tiers_unref(old);
    quota_forget(q, NULL);
    log_event(LOG_INFO, "tiers in force", LOG_S("from", source));
    return 0;
}

bool quota_counts(struct quota *q, enum feature feature)
{
    _cleanup_(tiers_unrefP) struct tiers *tiers = quota_tiers(q);
    return tiers_count_anywhere(tiers, feature);
}

int quota_resolve(struct quota *q, const char *name, enum feature *ret)
{
    _cleanup_(tiers_unrefP) struct tiers *tiers = quota_tiers(q);
    return tiers_resolve(tiers, name, ret);
}

const char *quota_reason_name(enum quota_reason reason)
{
    static const char *const names[] = {[QUOTA_ALLOWED] = NULL,
                                        [QUOTA_LIMIT_REACHED] = "limit_reached",
                                        [QUOTA_NOT_IN_TIER] = "not_in_tier",
                                        [QUOTA_CHECK_FAILED] = "quota_check_failed"};
    return names[reason];
}

void quota_sentence(const struct quota_outcome *outcome, char ret[QUOTA_SENTENCE_SIZE])
{
    const char *before = "You have reached your plan limit for ", *label = outcome->label, *after = ".";
    if (outcome->reason == QUOTA_NOT_IN_TIER)
        before = "Your plan doesn't include ";
    else if (outcome->reason != QUOTA_LIMIT_REACHED)
        before = "Your plan's limits could not be checked, so nothing was done. Try again shortly",
        label = "";
    (void)snprintf(ret, QUOTA_SENTENCE_SIZE, "%s%s%s", before, label, after);
}

void quota_forget(struct quota *q, const char *user_id)
{
    usage_cache_forget(q->cache, user_id);
}

/* ---- whole units */

struct reserving {
    struct quota *q;
    const struct quota_ask *ask;
    const char *hold_id;
    int64_t lease_ms;
    struct quota_outcome *outcome;
};

static int reserve_unit(struct db_conn *c, void *arg)
{
    struct reserving *a = arg;
    return quota_reserve_in(a->q, c, a->ask, a->hold_id, a->lease_ms, a->outcome);
}

/* Mistakes of the caller are told; whatever else went wrong is a refusal. */
int quota_reserve(struct quota *q, const struct quota_ask *ask, const char *hold_id, int64_t lease_ms,
                  struct quota_outcome *ret)
{
    struct reserving a = {.q = q, .ask = ask, .hold_id = hold_id, .lease_ms = lease_ms, .outcome = ret};
    int r = db_write(q->db, reserve_unit, &a);
    quota_forget(q, ask->user_id);
    if (r < 0)
        quota_fail(q, ask->feature, ret);
    return r == -ENOENT || r == -EINVAL || r == -EEXIST ? r : 0;
}

struct settling {
    const char *hold_id;
    int64_t kept;
};

static int settle_unit(struct db_conn *c, void *arg)
{
    const struct settling *s = arg;
    return quota_settle_in(c, s->hold_id, s->kept);
}

int quota_settle(struct quota *q, const char *user_id, const char *hold_id, int64_t kept)
{
    struct settling s = {hold_id, kept};
    int r = db_write(q->db, settle_unit, &s);
    quota_forget(q, user_id);
    return r;
}
