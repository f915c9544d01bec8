/* SPDX-License-Identifier: MIT */
/* /api/usage: what a user has left in this billing cycle, and counting a unit. Reading fails open, since a
 * dashboard must draw; counting fails closed. */
#include "api/app.h"
#include "api/quota_reply.h"
#include "api/routes.h"
#include "auth/identity.h"
#include "base/clock.h"
#include "base/text.h"

#include <errno.h>

#define AMOUNT_MOST 1000

struct increment_body {
    const char *operation;
    int64_t amount;
    const char *user_id;
};

/* clang-format off */
static const struct field increment_fields[] = {
    FIELD_STR(increment_body, operation, "operation", REQUIRED, MAX_LEN(TIERS_NAME_MAX)),
    FIELD_INT(increment_body, amount, "amount", DEFAULT(1), RANGE(1, AMOUNT_MOST)),
    FIELD_UUID(increment_body, user_id, "userId", ALIAS("user_id")),
    FIELD_END
};
/* clang-format on */

/* {limits, usage, remaining} by the names that people see. */
static int fill(const struct tiers *tiers, enum tier tier, const int64_t *used, json_t *limits, json_t *usage,
                json_t *remaining)
{
    int r = 0;
    for (int f = 0; f < FEATURES; f++) {
        const char *name = tiers_shown_as(tiers, f);
        if (!name || !tiers_counts(tiers, tier, f))
            continue;
        int64_t limit = tiers_limit(tiers, tier, f), left = limit > used[f] ? limit - used[f] : 0;
        r |= json_object_set_new(limits, name, json_integer(limit));
        r |= json_object_set_new(usage, name, json_integer(used[f]));
        r |= json_object_set_new(remaining, name, json_integer(limit < 0 ? TIERS_UNLIMITED : left));
    }
    return r;
}

static reply show(struct request *rq, const struct quota_usage *u)
{
    char start[ISO_TIME_LEN], end[ISO_TIME_LEN];
    _cleanup_(tiers_unrefP) struct tiers *tiers = quota_tiers(rq->app->quota);
    enum tier tier = u->plan_known ? u->tier : tiers_find(tiers, rq->who->tier);
    json_t *limits = json_object(), *usage = json_object(), *remaining = json_object();
    int r = fill(tiers, tier, u->used, limits, usage, remaining);
    clock_format_iso(u->cycle.start_ms, start);
    clock_format_iso(u->cycle.end_ms, end);
    json_t *body = json_pack("{s:s, s:o, s:o, s:o, s:s?, s:s?}", "tier", tier_name(tier), "limits", limits,
                             "usage", usage, "remaining", remaining, "cycle_start",
                             u->plan_known ? start : NULL, "resets_at", u->plan_known ? end : NULL);
    if (body && !u->counters_known)
        r |= json_object_set_new(body, "degraded", json_true());
    if (r < 0) {
        json_decref(body);
        return reply_error(rq, ERR_OVERLOADED, NULL);
    }
    return reply_value(rq, 200, body);
}

static reply usage_read(struct request *rq)
{
    struct quota *quota = rq->app->quota;
    struct quota_usage usage;
    if (quota_usage_cached(quota, rq->who->user_id, &usage) == 0)
        return show(rq, &usage);
    if (!rq->may_wait)
        return reply_later(rq);
    quota_usage_read(quota, rq->who->user_id, &usage);
    return show(rq, &usage);
}

static reply no_user(struct request *rq)
{
    return reply_field_error(rq, ERR_NOT_FOUND, "userId", "There is no such user");
}

/* Whose unit it is, in lower case. A user counts for nobody else, and learns nothing about whether there is
 * such a user: NULL. */
static const char *subject(struct request *rq, const struct increment_body *in)
{
    char *given = in->user_id ? arena_strdup(&rq->arena, in->user_id) : NULL;
    if (given)
        str_lower(given);
    if (!rq->who)
        return given;
    return !in->user_id || str_equal(given, rq->who->user_id) ? rq->who->user_id : NULL;
}

static reply usage_increment(struct request *rq)
{
    const struct increment_body *in = rq->body;
    struct quota *quota = rq->app->quota;
    struct quota_outcome out;
    struct quota_ask ask = {.amount = in->amount};
    if (quota_resolve(quota, in->operation, &ask.feature) < 0 ||
        (ask.feature != FEATURE_FREE && features[ask.feature].level))
        return reply_field_error(rq, ERR_UNKNOWN_OPERATION, "operation", NULL);
    if (rq->by_secret && !in->user_id)
        return reply_field_error(rq, ERR_MISSING_FIELD, "userId", NULL);
    ask.user_id = subject(rq, in);
    if (!ask.user_id || quota_take(quota, &ask, &out) == -ENOENT)
        return no_user(rq);
    if (!out.allowed)
        return reply_quota_refused(rq, &out);
    return reply_json(rq, 200, "{s:b, s:I, s:b}", "ok", 1, "newValue", (json_int_t)out.used, "limitReached",
                      out.limit >= 0 && out.used >= out.limit);
}

/* clang-format off */
const struct route usage_routes[] = {
    { HTTP_GET,  "/api/usage",           AUTH_USER,           READS,  FAST_FIRST, usage_read, NO_BODY,
      "What is left of each quota in this billing cycle" },
    { HTTP_POST, "/api/usage/increment", AUTH_USER_OR_SECRET, WRITES, BLOCKING,   usage_increment,
      BODY(increment_body, increment_fields), "Count units of a billable action" },
    ROUTES_END
};
/* clang-format on */
