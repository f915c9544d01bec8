/* SPDX-License-Identifier: MIT */
/* /api/posts: one's own posts. The rules are those of the collection (posts/posts.h), which the items engine
 * asks; here is only their form over HTTP. */
#include "posts/posts.h"

#include "api/app.h"
#include "api/items_reply.h"
#include "api/routes.h"
#include "base/clock.h"
#include "base/text.h"
#include "items/access.h"
#include "posts/platforms.h"

#include <errno.h>

#define STATUSES "draft|scheduled|publishing|posted|failed"
#define TEXT_MAX_BYTES ((size_t)4 * POST_TEXT_MAX)
#define LIMIT_MAX 500
#define LIMIT_DEFAULT 50

struct post_body {
    const char *platform, *content_text, *scheduled_time, *status, *media_id;
    const json_t *platform_meta;
};

struct posts_query {
    const char *from, *to, *status, *platform;
    int64_t limit, offset;
};

/* clang-format off */
#define POST_FIELDS(...) \
    FIELD_STR(post_body, platform, "platform", CHOICES(PLATFORMS), ##__VA_ARGS__), \
    FIELD_STR(post_body, content_text, "content_text", ALIAS("caption"), MAX_LEN(TEXT_MAX_BYTES)), \
    FIELD_STR(post_body, scheduled_time, "scheduled_time", MAX_LEN(64)), \
    FIELD_STR(post_body, status, "status", CHOICES("draft|scheduled")), \
    FIELD_UUID(post_body, media_id, "media_id"), \
    FIELD_OBJECT(post_body, platform_meta, "platform_meta"), \
    FIELD_END

static const struct field schedule_fields[] = {POST_FIELDS(REQUIRED)};
static const struct field change_fields[] = {POST_FIELDS()};

static const struct field query_fields[] = {
    FIELD_STR(posts_query, from, "from", MAX_LEN(64)),
    FIELD_STR(posts_query, to, "to", MAX_LEN(64)),
    FIELD_STR(posts_query, status, "status", CHOICES(STATUSES)),
    FIELD_STR(posts_query, platform, "platform", CHOICES(PLATFORMS)),
    FIELD_INT(posts_query, limit, "limit", RANGE(1, LIMIT_MAX), DEFAULT(LIMIT_DEFAULT)),
    FIELD_INT(posts_query, offset, "offset", RANGE(0, INT64_MAX)),
    FIELD_END
};
/* clang-format on */

static const struct field post[] = {
    HAS_UUID("id"),
    HAS_STR("platform"),
    HAS_STR("status"),
    HAS_STR("content_text", MAY_BE_NULL),
    HAS_TIME("scheduled_time", MAY_BE_NULL),
    HAS_UUID("media_id", MAY_BE_NULL),
    HAS_OBJECT("platform_meta", NULL, MAY_BE_NULL),
    HAS_TIME("posted_at", MAY_BE_NULL),
    HAS_STR("error_message", MAY_BE_NULL),
    HAS_TIME("date_created"),
    HAS_TIME("date_updated"),
    FIELD_END,
};
static const struct field meta[] = {HAS_INT("total_count"), HAS_INT("filter_count"), FIELD_END};
static const struct field list_answer[] = {HAS_BOOL("ok"), HAS_LIST("data", post), HAS_OBJECT("meta", meta),
                                           FIELD_END};
static const struct field post_answer[] = {HAS_BOOL("ok"), HAS_OBJECT("post", post), FIELD_END};
static const struct field deleted_answer[] = {HAS_BOOL("ok"), HAS_BOOL("deleted"), FIELD_END};

static json_t *answer_of(const json_t *row)
{
    return json_pack("{s:b, s:O}", "ok", 1, "post", row);
}

static reply schedule(struct request *rq)
{
    struct identity owner = items_as_owner(rq);
    struct items_error error = {0};
    _cleanup_json_ json_t *values = items_values(schedule_fields, rq->json, false), *row = NULL;
    int r = values ? items_create_once(rq->app->db, &owner, POSTS, values, rq->claim, answer_of, &row, &error)
                   : -ENOMEM;
    return r < 0 ? reply_items_error(rq, r, &error) : reply_value(rq, 200, answer_of(row));
}

static reply show(struct request *rq)
{
    struct identity owner = items_as_owner(rq);
    struct items_error error = {0};
    _cleanup_json_ json_t *row = NULL;
    int r = items_read_one(rq->app->db, &owner, POSTS, rq->params[0], NULL, &row, &error);
    return r < 0 ? reply_items_error(rq, r, &error) : reply_value(rq, 200, answer_of(row));
}

static reply change(struct request *rq)
{
    struct identity owner = items_as_owner(rq);
    struct items_error error = {0};
    _cleanup_json_ json_t *values = items_values(change_fields, rq->json, true);
    int r = values ? items_update(rq->app->db, &owner, POSTS, &rq->params[0], 1, values, &error) : -ENOMEM;
    return r < 0 ? reply_items_error(rq, r, &error) : show(rq);
}

static reply delete (struct request *rq)
{
    struct identity owner = items_as_owner(rq);
    struct items_error error = {0};
    int r = items_delete(rq->app->db, &owner, POSTS, &rq->params[0], 1, &error);
    return r < 0 ? reply_items_error(rq, r, &error)
                 : reply_json(rq, 200, "{s:b, s:b}", "ok", 1, "deleted", 1);
}

static int add_condition(json_t *list, const char *field, const char *operator, const char * value)
{
    return value ? json_array_append_new(list, json_pack("{s:{s:s}}", field, operator, value)) : 0;
}

/* {"_and": […]}: a new reference, NULL without memory. */
static json_t *filter_of(const struct posts_query *q)
{
    json_t *list = json_array();
    if (!list || add_condition(list, "scheduled_time", "_gte", q->from) < 0 ||
        add_condition(list, "scheduled_time", "_lt", q->to) < 0 ||
        add_condition(list, "status", "_eq", q->status) < 0 ||
        add_condition(list, "platform", "_eq", q->platform) < 0) {
        json_decref(list);
        return NULL;
    }
    return json_pack("{s:o}", "_and", list);
}

static reply refuse_time(struct request *rq, const char *name)
{
    const char *why = arena_printf(&rq->arena, "%s must be a time in ISO 8601", name);
    return reply_field_error(rq, ERR_INVALID_QUERY, name, why);
}

static bool is_time(const char *text)
{
    int64_t ms;
    return !text || clock_parse_iso(text, &ms) == 0;
}

static reply list(struct request *rq)
{
    const struct posts_query *in = rq->query;
    struct identity owner = items_as_owner(rq);
    struct items_error error = {0};
    json_t *rows, *counts;
    if (!is_time(in->from) || !is_time(in->to))
        return refuse_time(rq, is_time(in->from) ? "to" : "from");
    _cleanup_json_ json_t *filter = filter_of(in),
                          *sort = json_pack("[s, s]", "scheduled_time", "date_created");
    struct items_query q = {.filter = filter,
                            .sort = sort,
                            .limit = in->limit,
                            .offset = in->offset,
                            .total_count = true,
                            .filter_count = true};
    int r = filter && sort ? items_read(rq->app->db, &owner, POSTS, &q, &rows, &counts, &error) : -ENOMEM;
    if (r < 0)
        return reply_query_error(rq, r, &error);
    return reply_json(rq, 200, "{s:b, s:o, s:o}", "ok", 1, "data", rows, "meta", counts);
}

/* clang-format off */
const struct route posts_routes[] = {
    { HTTP_POST,   "/api/posts/schedule", AUTH_USER, WRITES, BLOCKING, schedule, BODY(post_body, schedule_fields),
      "Schedule a post, or keep a draft", .answer = ANSWER(post_answer), .idempotent = true },
    { HTTP_GET,    "/api/posts",          AUTH_USER, READS,  BLOCKING, list,     NO_BODY,
      "One's posts, those that come first at the top",
      .query = QUERY(posts_query, query_fields), .answer = ANSWER(list_answer) },
    { HTTP_GET,    "/api/posts/:id",      AUTH_USER, READS,  BLOCKING, show,     NO_BODY,
      "One post", .answer = ANSWER(post_answer) },
    { HTTP_PATCH,  "/api/posts/:id",      AUTH_USER, WRITES, BLOCKING, change,   BODY(post_body, change_fields),
      "Change a post that is not yet being published", .answer = ANSWER(post_answer) },
    { HTTP_DELETE, "/api/posts/:id",      AUTH_USER, WRITES, BLOCKING, delete,   NO_BODY,
      "Delete a post that is not yet being published", .answer = ANSWER(deleted_answer) },
    ROUTES_END
};
/* clang-format on */
