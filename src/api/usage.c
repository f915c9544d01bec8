/* SPDX-License-Identifier: MIT */
/* /api/usage: what a user has left in this billing cycle, and counting a unit. Reading fails open, since a
 * dashboard must draw; counting fails closed. */
#include "api/app.h"
#include "api/quota_reply.h"
#include "api/routes.h"
#include "auth/identity.h"
#include "base/clock.h"
#include "base/text.h"
#include "limits/idempotency.h"

#include <errno.h>
#include <string.h>

#define AMOUNT_MOST 1000
#define ANSWER_MAX 8192 /* three names of every feature, each of their bytes escaped */

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

enum column { LIMITS, USAGE, REMAINING, COLUMNS };

static int64_t cell(enum column column, int64_t limit, int64_t used)
{
    if (column == LIMITS)
        return limit;
    if (column == USAGE)
        return used;
    return limit < 0 ? TIERS_UNLIMITED : limit > used ? limit - used : 0;
}

/* One object of the answer, by the names that people see. */
static void add_column(struct buf *b, const struct tiers *tiers, enum tier tier, const int64_t *used,
                       enum column column)
{
    static const char *const names[COLUMNS] = {"limits", "usage", "remaining"};
    const char *separator = "";
    (void)buf_addf(b, ",\"%s\":{", names[column]);
    for (int f = 0; f < FEATURES; f++) {
        const char *name = tiers_shown_as(tiers, f);
        if (!name || !tiers_counts(tiers, tier, f))
            continue;
        (void)buf_adds(b, separator);
        (void)json_write_str(b, name, strlen(name));
        (void)buf_addf(b, ":%lld", (long long)cell(column, tiers_limit(tiers, tier, f), used[f]));
        separator = ",";
    }
    (void)buf_adds(b, "}");
}

static void add_cycle(struct buf *b, const struct quota_usage *u)
{
    char start[ISO_TIME_LEN], end[ISO_TIME_LEN];
    clock_format_iso(u->cycle.start_ms, start);
    clock_format_iso(u->cycle.end_ms, end);
    if (u->plan_known)
        (void)buf_addf(b, ",\"cycle_start\":\"%s\",\"resets_at\":\"%s\"", start, end);
    else
        (void)buf_adds(b, ",\"cycle_start\":null,\"resets_at\":null");
}

/* Written as text, without a tree: dashboards ask this often. */
static reply show(struct request *rq, const struct quota_usage *u)
{
    _cleanup_(tiers_unrefP) struct tiers *tiers = quota_tiers(rq->app->quota);
    _cleanup_buf_ struct buf b = BUF_INIT(ANSWER_MAX);
    enum tier tier = u->plan_known ? u->tier : tiers_find(tiers, rq->who->tier);
    (void)buf_addf(&b, "{\"tier\":\"%s\"", tier_name(tier));
    for (int column = 0; column < COLUMNS; column++)
        add_column(&b, tiers, tier, u->used, column);
    add_cycle(&b, u);
    (void)buf_adds(&b, u->counters_known ? "}" : ",\"degraded\":true}");
    const char *text = b.failed ? NULL : arena_strndup(&rq->arena, b.data, b.len);
    if (!text)
        return reply_error(rq, ERR_OVERLOADED, NULL);
    return reply_bytes(rq, 200, "application/json; charset=utf-8", text, b.len);
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

/* Counting, and keeping the answer under the client's key, in one unit: a repeat never counts again. */
struct increment {
    struct quota *quota;
    const struct quota_ask *ask;
    const struct idempotency_claim *claim;
    struct quota_outcome out;
};

/* A new reference, or NULL without memory. */
static json_t *counted(const struct quota_outcome *out)
{
    return json_pack("{s:b, s:I, s:b}", "ok", 1, "newValue", (json_int_t)out->used, "limitReached",
                     out->limit >= 0 && out->used >= out->limit);
}

static int increment_unit(struct db_conn *c, void *arg)
{
    struct increment *i = arg;
    int r = quota_take_in(i->quota, c, i->ask, &i->out);
    if (r < 0 || !i->out.allowed || !i->claim)
        return r;
    _cleanup_json_ json_t *answer = counted(&i->out);
    return answer ? idempotency_settle_unit(c, i->claim, 200, answer) : -ENOMEM;
}

static int count_units(struct request *rq, const struct quota_ask *ask, struct quota_outcome *ret)
{
    struct increment i = {.quota = rq->app->quota, .ask = ask, .claim = rq->claim};
    int r = db_write(rq->app->db, increment_unit, &i);
    quota_forget(i.quota, ask->user_id);
    if (r < 0 && r != -ENOENT && r != -ECANCELED)
        quota_fail(i.quota, ask->feature, &i.out);
    *ret = i.out;
    return r == -ENOENT || r == -ECANCELED ? r : 0;
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
    int r = ask.user_id ? count_units(rq, &ask, &out) : -ENOENT;
    if (r < 0)
        return r == -ENOENT ? no_user(rq) : reply_store_error(rq, r);
    return out.allowed ? reply_value(rq, 200, counted(&out)) : reply_quota_refused(rq, &out);
}

/* By the names that people see, which the tiers file gives. */
static const struct field usage_answer[] = {HAS_STR("tier"),
                                            HAS_OBJECT("limits", NULL),
                                            HAS_OBJECT("usage", NULL),
                                            HAS_OBJECT("remaining", NULL),
                                            HAS_TIME("cycle_start", MAY_BE_NULL),
                                            HAS_TIME("resets_at", MAY_BE_NULL),
                                            HAS_BOOL("degraded", MAY_BE_ABSENT),
                                            FIELD_END};
static const struct field increment_answer[] = {HAS_BOOL("ok"), HAS_INT("newValue"), HAS_BOOL("limitReached"),
                                                FIELD_END};

/* clang-format off */
const struct route usage_routes[] = {
    { HTTP_GET,  "/api/usage",           AUTH_USER,           READS,  FAST_FIRST, usage_read, NO_BODY,
      "What is left of each quota in this billing cycle", .answer = ANSWER(usage_answer) },
    { HTTP_POST, "/api/usage/increment", AUTH_USER_OR_SECRET, WRITES, BLOCKING,   usage_increment,
      BODY(increment_body, increment_fields), "Count units of a billable action", .answer = ANSWER(increment_answer),
      .idempotent = true },
    ROUTES_END
};
/* clang-format on */
