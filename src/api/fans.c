/* SPDX-License-Identifier: MIT */
/* /api/fans: one's own fans. Rows and rights are the items engine's: which fields a plan shows, and may be
 * sorted by, is its table's affair. */
#include "api/app.h"
#include "api/items_reply.h"
#include "api/routes.h"
#include "base/text.h"
#include "items/access.h"

#include <errno.h>

#define FANS "fan_profiles"
#define LIMIT_MAX 500
#define LIMIT_DEFAULT 50
#define PARTS_MAX 100 /* of each list that belongs to one fan; the newest */

struct fans_query {
    int64_t limit, offset;
    const json_t *sort;
    const char *search, *platform, *status;
};

/* clang-format off */
static const struct field query_fields[] = {
    FIELD_INT(fans_query, limit, "limit", RANGE(1, LIMIT_MAX), DEFAULT(LIMIT_DEFAULT)),
    FIELD_INT(fans_query, offset, "offset", RANGE(0, INT64_MAX)),
    FIELD_ARRAY(fans_query, sort, "sort", MAX_LEN(8)),
    FIELD_STR(fans_query, search, "search", MAX_LEN(255)),
    FIELD_STR(fans_query, platform, "platform", CHOICES(PLATFORMS)),
    FIELD_STR(fans_query, status, "status", CHOICES("active|churned|win-back|trial")),
    FIELD_END
};

#define FAN_FIELDS \
    HAS_UUID("id"), \
    HAS_STR("display_name", MAY_BE_NULL), \
    HAS_STR("username", MAY_BE_NULL), \
    HAS_STR("platform"), \
    HAS_STR("status"), \
    HAS_TIME("subscribed_at", MAY_BE_NULL), \
    HAS_TIME("last_seen_at", MAY_BE_NULL), \
    HAS_NUM("total_spend"), \
    HAS_STR("currency"), \
    HAS_LIST("tags", NULL), \
    HAS_INT("message_count", MAY_BE_ABSENT), \
    HAS_INT("purchase_count", MAY_BE_ABSENT), \
    HAS_NUM("tip_total", MAY_BE_ABSENT), \
    HAS_NUM("ppv_total", MAY_BE_ABSENT), \
    HAS_NUM("avg_order_value", MAY_BE_ABSENT, MAY_BE_NULL), \
    HAS_STR("sentiment", MAY_BE_ABSENT, MAY_BE_NULL), \
    HAS_NUM("churn_risk", MAY_BE_ABSENT, MAY_BE_NULL), \
    HAS_INT("lifetime_days", MAY_BE_ABSENT, MAY_BE_NULL), \
    HAS_STR("notes", MAY_BE_ABSENT, MAY_BE_NULL), \
    HAS_ANY("preferences", MAY_BE_ABSENT), \
    HAS_ANY("custom", MAY_BE_ABSENT), \
    HAS_TIME("date_created"), \
    HAS_TIME("date_updated")
/* clang-format on */

static const struct field fan[] = {FAN_FIELDS, FIELD_END};
static const struct field meta[] = {HAS_INT("total_count"), HAS_INT("filter_count"), FIELD_END};
static const struct field list_answer[] = {HAS_BOOL("ok"), HAS_LIST("data", fan), HAS_OBJECT("meta", meta),
                                           FIELD_END};
static const struct field account[] = {HAS_UUID("id"), HAS_STR("platform"), HAS_STR("platform_fan_id"),
                                       HAS_STR("username", MAY_BE_NULL), FIELD_END};
static const struct field subscription[] = {
    HAS_UUID("id"),
    HAS_STR("platform"),
    HAS_STR("plan", MAY_BE_NULL),
    HAS_STR("status"),
    HAS_NUM("price", MAY_BE_NULL),
    HAS_STR("currency", MAY_BE_NULL),
    HAS_TIME("started_at", MAY_BE_NULL),
    HAS_TIME("expires_at", MAY_BE_NULL),
    FIELD_END,
};
static const struct field memory[] = {HAS_UUID("id"), HAS_STR("memory_type", MAY_BE_NULL), HAS_STR("content"),
                                      HAS_TIME("date_created"), FIELD_END};
static const struct field profile[] = {
    FAN_FIELDS,
    HAS_LIST("platform_accounts", account),
    HAS_LIST("subscriptions", subscription),
    HAS_LIST("memories", memory),
    FIELD_END,
};
static const struct field counts[] = {HAS_INT("platform_accounts"), HAS_INT("subscriptions"),
                                      HAS_INT("memories"), FIELD_END};
static const struct field profile_answer[] = {HAS_BOOL("ok"), HAS_OBJECT("data", profile),
                                              HAS_OBJECT("meta", counts), FIELD_END};

/* What belongs to a fan, and what it is called there. */
static const struct {
    const char *name, *collection;
} parts[] = {
    {"platform_accounts", "fan_platform_accounts"},
    {"subscriptions", "fan_subscriptions"},
    {"memories", "fan_memories"},
};

/* Conditions for what is given: a new reference, NULL without memory. */
static json_t *filter_of(const struct fans_query *q)
{
    json_t *filter = json_object();
    bool made = filter != NULL;
    if (made && q->platform)
        made = json_object_set_new(filter, "platform", json_pack("{s:s}", "_eq", q->platform)) == 0;
    if (made && q->status)
        made = json_object_set_new(filter, "status", json_pack("{s:s}", "_eq", q->status)) == 0;
    if (made)
        return filter;
    json_decref(filter);
    return NULL;
}

static reply list(struct request *rq)
{
    const struct fans_query *in = rq->query;
    struct identity owner = items_as_owner(rq);
    struct items_error error = {0};
    json_t *rows, *found;
    _cleanup_json_ json_t *filter = filter_of(in), *newest = json_pack("[s]", "-last_seen_at");
    struct items_query q = {.filter = filter,
                            .sort = json_array_size(in->sort) ? in->sort : newest,
                            .search = in->search,
                            .search_in = "display_name|username",
                            .limit = in->limit,
                            .offset = in->offset,
                            .total_count = true,
                            .filter_count = true};
    int r = filter && newest ? items_read(rq->app->db, &owner, FANS, &q, &rows, &found, &error) : -ENOMEM;
    if (r < 0)
        return reply_query_error(rq, r, &error);
    return reply_json(rq, 200, "{s:b, s:o, s:o}", "ok", 1, "data", rows, "meta", found);
}

/* Adds one list to the profile, and how long the whole of it is to the counts. */
static int add_part(struct request *rq, const struct identity *owner, const char *name,
                    const char *collection, json_t *data, json_t *lengths)
{
    struct items_error error;
    json_t *rows, *found = NULL;
    _cleanup_json_ json_t *filter =
                              json_pack("{s:{s:O}}", "fan_profile_id", "_eq", json_object_get(data, "id")),
                          *sort = json_pack("[s]", "-date_created");
    struct items_query q = {.filter = filter, .sort = sort, .limit = PARTS_MAX, .filter_count = true};
    int r = filter && sort ? items_read(rq->app->db, owner, collection, &q, &rows, &found, &error) : -ENOMEM;
    if (r < 0)
        return r;
    r = json_object_set_new(data, name, rows);
    if (json_object_set(lengths, name, json_object_get(found, "filter_count")) < 0)
        r = -1;
    json_decref(found);
    return r < 0 ? -ENOMEM : 0;
}

static reply show(struct request *rq)
{
    struct identity owner = items_as_owner(rq);
    struct items_error error = {0};
    _cleanup_json_ json_t *data = NULL, *lengths = json_object();
    int r = items_read_one(rq->app->db, &owner, FANS, rq->params[0], NULL, &data, &error);
    for (size_t i = 0; i < ARRAY_LEN(parts) && r == 0; i++)
        r = add_part(rq, &owner, parts[i].name, parts[i].collection, data, lengths);
    if (r < 0)
        return reply_items_error(rq, r, &error);
    return reply_json(rq, 200, "{s:b, s:O, s:O}", "ok", 1, "data", data, "meta", lengths);
}

/* clang-format off */
const struct route fans_routes[] = {
    { HTTP_GET, "/api/fans",     AUTH_USER, READS, BLOCKING, list, NO_BODY, "One's fans, those seen last first",
      .query = QUERY(fans_query, query_fields), .answer = ANSWER(list_answer) },
    { HTTP_GET, "/api/fans/:id", AUTH_USER, READS, BLOCKING, show, NO_BODY,
      "A fan, with platform accounts, subscriptions and memories", .answer = ANSWER(profile_answer) },
    ROUTES_END
};
/* clang-format on */
