/* SPDX-License-Identifier: MIT */
/* The part of Directus's own REST API that clients of this product use, served from the embedded store: so
 * the official SDK works unchanged where no Directus is installed. Answers, statuses and error codes are
 * those of Directus 11. */
#include "api/directus.h"

#include "api/quota_reply.h"
#include "api/routes.h"

#include <errno.h>

#define FORBIDDEN_MESSAGE "You don't have permission to access this."

reply directus_refuse(struct request *rq, int status, const char *code, const char *message,
                      json_t *extensions)
{
    json_t *more = extensions ? extensions : json_object();
    if (!more || json_object_set_new(more, "code", json_string(code)) < 0) {
        json_decref(more);
        return reply_error(rq, ERR_OVERLOADED, NULL);
    }
    return reply_json(rq, status, "{s:[{s:s, s:o}]}", "errors", "message", message, "extensions", more);
}

static reply refuse_value(struct request *rq, const struct items_error *error)
{
    json_t *field = error->field[0] ? json_pack("{s:s}", "field", error->field) : NULL;
    return directus_refuse(rq, 400, field ? "FAILED_VALIDATION" : "INVALID_PAYLOAD", error->sentence, field);
}

reply directus_refuse_items(struct request *rq, int r, const struct items_error *error, bool writing)
{
    const char *sentence = error->sentence[0] ? error->sentence : FORBIDDEN_MESSAGE;
    if (error->quota.label[0])
        return reply_quota_refused(rq, &error->quota);
    if (r == -EACCES || r == -EALREADY)
        return directus_refuse(rq, 403, "FORBIDDEN", sentence, NULL);
    if (r == -ENOENT && error->field[0])
        return directus_refuse(rq, 400, "INVALID_FOREIGN_KEY", sentence,
                               json_pack("{s:s}", "field", error->field));
    if (r == -ENOENT)
        return directus_refuse(rq, 403, "FORBIDDEN", FORBIDDEN_MESSAGE, NULL);
    if (r == -EINVAL && writing)
        return refuse_value(rq, error);
    if (r == -EINVAL)
        return directus_refuse(rq, 400, "INVALID_QUERY", sentence, NULL);
    if (r == -EBUSY) {
        reply_header(rq, "Retry-After", "1");
        return directus_refuse(rq, 429, "REQUESTS_EXCEEDED", sentence, NULL);
    }
    if (r == -EEXIST)
        return directus_refuse(rq, 400, "RECORD_NOT_UNIQUE", sentence, NULL);
    return reply_store_error(rq, r);
}

static reply server_ping(struct request *rq)
{
    return reply_bytes(rq, 200, "text/plain; charset=utf-8", "pong", 4);
}

static reply server_health(struct request *rq)
{
    int r = db_ping(rq->app->db);
    return r < 0 ? reply_store_error(rq, r) : reply_json(rq, 200, "{s:s}", "status", "ok");
}

/* The parameters that the handlers read by themselves (items/params.h); filters come also in brackets. */
static const struct field fields_query[] = {{.name = "fields", .type = FIELD_TYPE_ARRAY}, FIELD_END};
static const struct field list_query[] = {
    {.name = "fields", .type = FIELD_TYPE_ARRAY},
    {.name = "filter", .type = FIELD_TYPE_ANY},
    {.name = "sort", .type = FIELD_TYPE_ARRAY},
    {.name = "search", .type = FIELD_TYPE_STR},
    {.name = "limit", .type = FIELD_TYPE_INT, .min = -1, .max = 1000},
    {.name = "offset", .type = FIELD_TYPE_INT},
    {.name = "page", .type = FIELD_TYPE_INT},
    {.name = "meta", .type = FIELD_TYPE_ARRAY},
    FIELD_END,
};

static const struct field asset_query[] = {{.name = "download", .type = FIELD_TYPE_STR}, FIELD_END};

static const struct field health_answer[] = {HAS_STR("status", CHOICES("ok")), FIELD_END};
static const struct field tokens[] = {HAS_INT("expires"), HAS_STR("access_token", MAY_BE_ABSENT),
                                      HAS_STR("refresh_token", MAY_BE_ABSENT), FIELD_END};
static const struct field tokens_answer[] = {HAS_OBJECT("data", tokens), FIELD_END};
static const struct field row_answer[] = {HAS_OBJECT("data", NULL), FIELD_END};
static const struct field created_answer[] = {HAS_ANY("data"), FIELD_END};
static const struct field meta[] = {HAS_INT("total_count", MAY_BE_ABSENT),
                                    HAS_INT("filter_count", MAY_BE_ABSENT), FIELD_END};
static const struct field list_answer[] = {HAS_LIST("data", NULL), HAS_OBJECT("meta", meta, MAY_BE_ABSENT),
                                           FIELD_END};
static const struct field me[] = {
    HAS_UUID("id", MAY_BE_ABSENT),
    HAS_STR("email", MAY_BE_ABSENT, MAY_BE_NULL),
    HAS_STR("first_name", MAY_BE_ABSENT, MAY_BE_NULL),
    HAS_STR("last_name", MAY_BE_ABSENT, MAY_BE_NULL),
    HAS_STR("avatar", MAY_BE_ABSENT, MAY_BE_NULL),
    HAS_STR("title", MAY_BE_ABSENT, MAY_BE_NULL),
    HAS_STR("description", MAY_BE_ABSENT, MAY_BE_NULL),
    HAS_STR("location", MAY_BE_ABSENT, MAY_BE_NULL),
    HAS_STR("language", MAY_BE_ABSENT, MAY_BE_NULL),
    HAS_ANY("tags", MAY_BE_ABSENT),
    HAS_STR("subscription_tier", MAY_BE_ABSENT, MAY_BE_NULL),
    HAS_STR("onboarding_state", MAY_BE_ABSENT, MAY_BE_NULL),
    HAS_STR("role", MAY_BE_ABSENT, MAY_BE_NULL),
    FIELD_END,
};
static const struct field me_answer[] = {HAS_OBJECT("data", me), FIELD_END};

#define LOGIN_BODY BODY_SECRET(login_body, directus_login_fields, 0, NULL)
#define SESSION_BODY BODY_SECRET(session_body, directus_session_fields, 0, NULL)
#define ITEMS "/api/directus/items/:collection"
#define ITEM ITEMS "/:id"
#define ME "/api/directus/users/me"
#define FILES "/api/directus/files"
#define A_FILE FILES "/:id"
#define ASSET "/api/directus/assets/:id"

const struct route directus_routes[] = {
    {HTTP_POST, "/api/directus/auth/login", AUTH_NONE, READS, BLOCKING, directus_login, LOGIN_BODY,
     "Log in with e-mail and password", .answer = ANSWER(tokens_answer)},
    {HTTP_POST, "/api/directus/auth/refresh", AUTH_NONE, READS, BLOCKING, directus_refresh, SESSION_BODY,
     "Trade a refresh token for a new one and an access token", .answer = ANSWER(tokens_answer)},
    {HTTP_POST, "/api/directus/auth/logout", AUTH_NONE, READS, BLOCKING, directus_logout, SESSION_BODY,
     "End a session", .answer = ANSWER_EMPTY},
    {HTTP_GET, ME, AUTH_USER, READS, BLOCKING, directus_me_read, NO_BODY, "One's own profile",
     .query = QUERY_SEEN(fields_query), .answer = ANSWER(me_answer)},
    {HTTP_PATCH, ME, AUTH_USER, WRITES, BLOCKING, directus_me_update, ANY_JSON, "Change one's own profile",
     .query = QUERY_SEEN(fields_query), .answer = ANSWER(me_answer)},
    {HTTP_GET, ITEMS, AUTH_USER, READS, BLOCKING, directus_items_list, NO_BODY, "Rows of a collection",
     .query = QUERY_SEEN(list_query), .answer = ANSWER(list_answer)},
    {HTTP_SEARCH, ITEMS, AUTH_USER, READS, BLOCKING, directus_items_list, ANY_JSON,
     "Rows of a collection, by a query in the body", .query = QUERY_SEEN(list_query),
     .answer = ANSWER(list_answer)},
    {HTTP_POST, ITEMS, AUTH_USER, WRITES, BLOCKING, directus_items_create, ANY_JSON,
     "Create a row, or several", .query = QUERY_SEEN(fields_query), .answer = ANSWER(created_answer),
     .idempotent = true},
    {HTTP_PATCH, ITEMS, AUTH_USER, WRITES, BLOCKING, directus_items_update, ANY_JSON, "Change several rows",
     .query = QUERY_SEEN(fields_query), .answer = ANSWER(list_answer)},
    {HTTP_DELETE, ITEMS, AUTH_USER, WRITES, BLOCKING, directus_items_delete, ANY_JSON, "Delete several rows",
     .answer = ANSWER_EMPTY},
    {HTTP_GET, ITEM, AUTH_USER, READS, BLOCKING, directus_item_read, NO_BODY, "One row",
     .query = QUERY_SEEN(fields_query), .answer = ANSWER(row_answer)},
    {HTTP_PATCH, ITEM, AUTH_USER, WRITES, BLOCKING, directus_item_update, ANY_JSON, "Change a row",
     .query = QUERY_SEEN(fields_query), .answer = ANSWER(row_answer)},
    {HTTP_DELETE, ITEM, AUTH_USER, WRITES, BLOCKING, directus_item_delete, NO_BODY, "Delete a row",
     .answer = ANSWER_EMPTY},
    {HTTP_GET, FILES, AUTH_USER, READS, BLOCKING, directus_files_list, NO_BODY, "One's files",
     .query = QUERY_SEEN(list_query), .answer = ANSWER(list_answer)},
    {HTTP_SEARCH, FILES, AUTH_USER, READS, BLOCKING, directus_files_list, ANY_JSON,
     "One's files, by a query in the body", .query = QUERY_SEEN(list_query), .answer = ANSWER(list_answer)},
    {HTTP_POST, FILES, AUTH_USER, WRITES, BLOCKING, directus_files_create, UPLOAD(0),
     "Upload a file: a form with title and tags, and the file", .query = QUERY_SEEN(fields_query),
     .answer = ANSWER(row_answer), .idempotent = true},
    {HTTP_PATCH, FILES, AUTH_USER, WRITES, BLOCKING, directus_files_update, ANY_JSON,
     "Change title and tags of several files", .query = QUERY_SEEN(fields_query),
     .answer = ANSWER(list_answer)},
    {HTTP_DELETE, FILES, AUTH_USER, WRITES, BLOCKING, directus_files_delete, ANY_JSON, "Delete several files",
     .answer = ANSWER_EMPTY},
    {HTTP_GET, A_FILE, AUTH_USER, READS, BLOCKING, directus_file_read, NO_BODY, "What is known of a file",
     .query = QUERY_SEEN(fields_query), .answer = ANSWER(row_answer)},
    {HTTP_PATCH, A_FILE, AUTH_USER, WRITES, BLOCKING, directus_file_update, ANY_JSON,
     "Change title and tags of a file", .query = QUERY_SEEN(fields_query), .answer = ANSWER(row_answer)},
    {HTTP_DELETE, A_FILE, AUTH_USER, WRITES, BLOCKING, directus_file_delete, NO_BODY, "Delete a file",
     .answer = ANSWER_EMPTY},
    {HTTP_GET, ASSET, AUTH_USER, READS, BLOCKING, directus_asset_read, NO_BODY,
     "A file's bytes, or a range of them", .query = QUERY_SEEN(asset_query), .answer = ANSWER_FILE},
    {HTTP_GET, ASSET "/:filename", AUTH_USER, READS, BLOCKING, directus_asset_read, NO_BODY,
     "The same; the name is for the reader alone", .query = QUERY_SEEN(asset_query), .answer = ANSWER_FILE},
    {HTTP_GET, "/api/directus/server/ping", AUTH_NONE, READS, FAST, server_ping, NO_BODY,
     "Whether it is there", .answer = ANSWER_OF_TYPE("text/plain")},
    {HTTP_GET, "/api/directus/server/health", AUTH_NONE, READS, BLOCKING, server_health, NO_BODY,
     "Whether it can work", .answer = ANSWER(health_answer)},
    ROUTES_END,
};
