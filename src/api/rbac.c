/* SPDX-License-Identifier: MIT */
/* /api/rbac-sync: a Directus tells that users of it have changed, by a Flow, a webhook or a service of one's
 * own. Nothing is believed but whom to look at; what they are is read from the store. One bad id among good
 * ones is told of and doesn't keep the others back. */
#include "api/app.h"
#include "api/routes.h"
#include "auth/sync.h"
#include "base/log.h"
#include "base/text.h"
#include "quota/quota.h"

#include <string.h>

#define USERS "directus_users"
#define EVENT_MAX 128
#define KEYS_MAX 500

struct sync_body {
    const char *user_id, *event, *collection;
    const json_t *role, *keys, *key, *payload;
};

/* clang-format off */
static const struct field sync_fields[] = {
    FIELD_UUID(sync_body, user_id, "userId", ALIAS("user_id")),
    FIELD_ANY(sync_body, role, "role"),
    FIELD_STR(sync_body, event, "event", MAX_LEN(EVENT_MAX)),
    FIELD_STR(sync_body, collection, "collection", MAX_LEN(EVENT_MAX)),
    FIELD_ARRAY(sync_body, keys, "keys", MAX_LEN(KEYS_MAX)),
    FIELD_ANY(sync_body, key, "key"),
    FIELD_ANY(sync_body, payload, "payload"),
    FIELD_END
};
/* clang-format on */

static const struct field synced_user[] = {HAS_UUID("directusUserId"), HAS_INT("anythingllmUserId"),
                                           HAS_STR("role", CHOICES("admin|default")), HAS_BOOL("readOnly"),
                                           FIELD_END};
static const struct field skipped_user[] = {
    HAS_ANY("directusUserId"), HAS_STR("reason", CHOICES("invalid_id|no_such_user|no_anythingllm_user")),
    FIELD_END};
static const struct field sync_answer[] = {HAS_BOOL("ok"), HAS_INT("synced"), HAS_LIST("users", synced_user),
                                           HAS_LIST("skipped", skipped_user), FIELD_END};

/* ---- whom to look at */

/* Ids as they came, beside what they are as users. */
struct ids {
    const json_t **given;
    struct sync_ask ask;
};

static bool is_known(const struct ids *ids, const char *user_id)
{
    for (size_t i = 0; i < ids->ask.n; i++)
        if (strcmp(ids->ask.users[i].user_id, user_id) == 0)
            return true;
    return false;
}

/* text: NULL where it isn't even one. */
static void add_id(struct ids *ids, const char *text, const json_t *given)
{
    struct sync_user *u = &ids->ask.users[ids->ask.n];
    bool valid = text && uuid_valid(text);
    char id[UUID_SIZE] = "";
    if (valid) {
        memcpy(id, text, UUID_SIZE);
        str_lower(id);
        if (is_known(ids, id))
            return;
    }
    *u = (struct sync_user){.outcome = valid ? SYNC_DONE : SYNC_INVALID_ID};
    memcpy(u->user_id, id, UUID_SIZE);
    ids->given[ids->ask.n++] = given;
}

/* Directus names several rows in `keys`, a new one in `key`; a service of one's own says `userId`. */
static bool gather(struct request *rq, const struct sync_body *in, struct ids *ids)
{
    size_t n = json_array_size(in->keys) + 2;
    ids->ask.users = arena_alloc(&rq->arena, n * sizeof *ids->ask.users);
    ids->given = arena_alloc(&rq->arena, n * sizeof *ids->given);
    if (!ids->ask.users || !ids->given)
        return false;
    for (size_t i = 0; i < json_array_size(in->keys); i++) {
        const json_t *key = json_array_get(in->keys, i);
        add_id(ids, json_string_value(key), key);
    }
    if (in->key && !json_is_null(in->key))
        add_id(ids, json_string_value(in->key), in->key);
    if (in->user_id)
        add_id(ids, in->user_id, NULL);
    ids->ask.status = json_object_get(in->payload, "status") != NULL;
    return true;
}

/* ---- the answer */

static json_t *describe_synced(const struct sync_user *u)
{
    return json_pack("{s:s, s:I, s:s, s:b}", "directusUserId", u->user_id, "anythingllmUserId",
                     (json_int_t)u->anythingllm_user_id, "role", u->role, "readOnly", u->read_only);
}

static json_t *describe_skipped(const struct sync_user *u, const json_t *given)
{
    static const char *const reasons[] = {[SYNC_INVALID_ID] = "invalid_id",
                                          [SYNC_NO_SUCH_USER] = "no_such_user",
                                          [SYNC_NO_ANYTHINGLLM_USER] = "no_anythingllm_user"};
    json_t *id = u->outcome == SYNC_INVALID_ID ? json_deep_copy(given) : json_string(u->user_id);
    return json_pack("{s:o, s:s}", "directusUserId", id, "reason", reasons[u->outcome]);
}

static reply answer(struct request *rq, const struct ids *ids)
{
    json_t *users = json_array(), *skipped = json_array();
    int r = 0;
    for (size_t i = 0; i < ids->ask.n; i++) {
        const struct sync_user *u = &ids->ask.users[i];
        if (u->outcome == SYNC_DONE)
            r |= json_array_append_new(users, describe_synced(u));
        else
            r |= json_array_append_new(skipped, describe_skipped(u, ids->given[i]));
    }
    size_t synced = json_array_size(users);
    json_t *whole = json_pack("{s:b, s:I, s:o, s:o}", "ok", 1, "synced", (json_int_t)synced, "users", users,
                              "skipped", skipped);
    if (r == 0)
        return reply_value(rq, 200, whole);
    json_decref(whole);
    return reply_error(rq, ERR_OVERLOADED, NULL);
}

/* ---- the handler */

static reply sync_roles(struct request *rq)
{
    const struct sync_body *in = rq->body;
    struct ids ids = {0};
    if (in->collection && !str_equal(in->collection, USERS))
        return reply_field_error(rq, ERR_INVALID_FIELD, "collection", "collection must be " USERS);
    if (!gather(rq, in, &ids))
        return reply_error(rq, ERR_OVERLOADED, NULL);
    if (ids.ask.n == 0 && !in->keys)
        return reply_field_error(rq, ERR_MISSING_FIELD, "userId", "Say whom to sync: userId, key or keys");
    int r = ids.ask.n ? sync_users(rq->app->auth, rq->app->db, &ids.ask) : 0;
    if (r < 0)
        return reply_store_error(rq, r);
    for (size_t i = 0; i < ids.ask.n; i++)
        quota_forget(rq->app->quota, ids.ask.users[i].user_id); /* its plan may have changed as well */
    log_event(LOG_INFO, "roles synced", LOG_S("event", in->event), LOG_N("users", ids.ask.n));
    return answer(rq, &ids);
}

/* clang-format off */
const struct route rbac_routes[] = {
    { HTTP_POST, "/api/rbac-sync", AUTH_SECRET, WRITES, BLOCKING, sync_roles, BODY(sync_body, sync_fields),
      "Take over what a Directus has changed of users: roles, rights, suspension", .answer = ANSWER(sync_answer) },
    ROUTES_END
};
/* clang-format on */
