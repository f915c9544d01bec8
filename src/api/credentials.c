/* SPDX-License-Identifier: MIT */
/* /api/credentials: what a creator logs in to a platform with, sealed at rest. Every call of somebody known
 * is noted in credential_audits. Bodies and answers hold secrets, so each route says BODY_SECRET, and the
 * text in between lives in a buffer that is wiped. */
#include "api/app.h"
#include "api/routes.h"
#include "auth/identity.h"
#include "base/log.h"
#include "base/text.h"
#include "vault/credentials.h"

#include <errno.h>
#include <string.h>

#define BODY_BYTES_MAX ((size_t)128 * 1024) /* 16 KiB of which every byte is written as an escape */
#define CREDENTIALS_MAX_BYTES ((size_t)16 * 1024)
#define USERNAME_MAX 255
#define ACTOR_MAX 128
#define PLATFORMS "onlyfans|fansly|instagram|tiktok|x|reddit|youtube|snapchat|facebook"

struct store_body {
    const char *id;
    const json_t *credentials;
};

struct reveal_body {
    const char *id;
};

struct create_body {
    const char *platform, *username;
    const json_t *credentials;
};

struct update_body {
    const char *id, *username;
    const json_t *credentials;
};

/* clang-format off */
static const struct field store_fields[] = {
    FIELD_UUID(store_body, id, "creatorProfileId", REQUIRED),
    FIELD_OBJECT(store_body, credentials, "credentials", REQUIRED),
    FIELD_END
};

static const struct field reveal_fields[] = {
    FIELD_UUID(reveal_body, id, "creatorProfileId", REQUIRED),
    FIELD_END
};

static const struct field create_fields[] = {
    FIELD_STR(create_body, platform, "platform", REQUIRED, CHOICES(PLATFORMS)),
    FIELD_STR(create_body, username, "platform_username", MAX_LEN(USERNAME_MAX)),
    FIELD_OBJECT(create_body, credentials, "credentials", REQUIRED),
    FIELD_END
};

static const struct field update_fields[] = {
    FIELD_UUID(update_body, id, "id", REQUIRED, ALIAS("creatorProfileId")),
    FIELD_STR(update_body, username, "platform_username", MAX_LEN(USERNAME_MAX)),
    FIELD_OBJECT(update_body, credentials, "credentials", REQUIRED),
    FIELD_END
};
/* clang-format on */

/* ---- who calls */

static const char *actor_of(struct request *rq)
{
    if (!rq->who)
        return "service";
    if (!rq->who->impersonated_by)
        return rq->who->user_id;
    return arena_printf(&rq->arena, "%s as %s", rq->who->impersonated_by, rq->who->user_id);
}

static struct credentials_caller caller_of(struct request *rq)
{
    return (struct credentials_caller){
        .db = rq->app->db,
        .vault = rq->app->vault,
        .actor = actor_of(rq),
        .user_id = rq->who ? rq->who->user_id : NULL,
        .any_record = !rq->who || rq->who->admin,
        .may_reveal = !rq->who || !rq->who->impersonated_by,
        .ip = rq->client_ip,
        .request_id = rq->id,
    };
}

/* ---- answers */

static const struct {
    enum error_id error;
    const char *sentence; /* NULL = the table's */
} refusals[] = {
    [CREDENTIALS_NOT_FOUND] = {ERR_NOT_FOUND, "There is no such connection"},
    [CREDENTIALS_NONE_STORED] = {ERR_NOT_FOUND, "No credentials are stored for this connection"},
    [CREDENTIALS_DECRYPT_FAILED] = {ERR_DECRYPT_FAILED, NULL},
    [CREDENTIALS_FORBIDDEN] = {ERR_FORBIDDEN, "An impersonation token can't reveal credentials"},
    [CREDENTIALS_READ_ONLY] = {ERR_READ_ONLY, NULL},
    [CREDENTIALS_CONFLICT] = {ERR_CONFLICT, "Another connection has this platform and username"},
    [CREDENTIALS_NO_KEY] = {ERR_MISCONFIGURED, NULL},
    [CREDENTIALS_FAILED] = {ERR_INTERNAL, NULL},
};

static reply refuse(struct request *rq, int r)
{
    if (r < 0)
        return reply_store_error(rq, r);
    return reply_error(rq, refusals[r].error, refusals[r].sentence);
}

/* ---- the text in between */

/* The compact text of the body's object: 0, -EMSGSIZE, -ENODATA for an empty one, or -ENOMEM. Numbers keep
 * all their digits, unlike in answers of our own making. */
static int write_plain(const json_t *credentials, struct buf *to)
{
    if (json_object_size(credentials) == 0)
        return -ENODATA;
    size_t len = json_dumpb(credentials, NULL, 0, JSON_COMPACT);
    if (len > CREDENTIALS_MAX_BYTES)
        return -EMSGSIZE;
    char *text = len ? malloc(len) : NULL;
    if (!text)
        return -ENOMEM;
    (void)json_dumpb(credentials, text, len, JSON_COMPACT);
    int r = buf_add(to, text, len);
    wipe(text, len);
    free(text);
    return r;
}

static reply refuse_plain(struct request *rq, int r)
{
    if (r == -ENOMEM)
        return reply_error(rq, ERR_OVERLOADED, NULL);
    return reply_field_error(rq, ERR_INVALID_FIELD, "credentials",
                             r == -ENODATA ? "credentials must not be empty"
                                           : "credentials are larger than 16 KiB");
}

/* Does a writing call; the reply of a failure is *ret, and false comes back. */
static bool write_record(struct request *rq, enum credentials_action action, const json_t *credentials,
                         struct credentials_input *in, struct credentials_record *record, reply *ret)
{
    _cleanup_buf_ struct buf plain = BUF_INIT_SECRET(CREDENTIALS_MAX_BYTES);
    struct credentials_caller who = caller_of(rq);
    int r = write_plain(credentials, &plain);
    if (r < 0 || !who.actor) {
        *ret = refuse_plain(rq, r < 0 ? r : -ENOMEM);
        return false;
    }
    in->plain = plain.data;
    in->len = plain.len;
    if (in->username && str_is_blank(in->username))
        in->username = NULL;
    r = credentials_write(&who, action, in, record);
    if (r != CREDENTIALS_OK)
        *ret = refuse(rq, r);
    return r == CREDENTIALS_OK;
}

/* ---- handlers */

static reply store(struct request *rq)
{
    const struct store_body *body = rq->body;
    struct credentials_input in = {.record_id = body->id};
    struct credentials_record record;
    reply failure;
    if (!write_record(rq, CREDENTIALS_STORE, body->credentials, &in, &record, &failure))
        return failure;
    return reply_json(rq, 200, "{s:b, s:s, s:s, s:s, s:s}", "success", 1, "creatorProfileId", record.id, "id",
                      record.id, "credentials_version", vault_version(rq->app->vault),
                      "credentials_updated_at", record.updated_at);
}

static reply create_profile(struct request *rq)
{
    const struct create_body *body = rq->body;
    struct credentials_input in = {.platform = body->platform, .username = body->username};
    struct credentials_record record;
    reply failure;
    if (!write_record(rq, CREDENTIALS_CREATE, body->credentials, &in, &record, &failure))
        return failure;
    return reply_json(rq, 200, "{s:b, s:s, s:b}", "success", 1, "id", record.id, "updated", record.existed);
}

static reply update_profile(struct request *rq)
{
    const struct update_body *body = rq->body;
    struct credentials_input in = {.record_id = body->id, .username = body->username};
    struct credentials_record record;
    reply failure;
    if (!write_record(rq, CREDENTIALS_UPDATE, body->credentials, &in, &record, &failure))
        return failure;
    return reply_json(rq, 200, "{s:b, s:s, s:s, s:s}", "success", 1, "id", record.id, "credentials_version",
                      vault_version(rq->app->vault), "credentials_updated_at", record.updated_at);
}

/* The stored text goes into the answer as it is: no tree, no rounding, fewer copies. */
static reply answer_revealed(struct request *rq, const char *id, const struct buf *plain)
{
    static const char before[] = "{\"success\":true,\"creatorProfileId\":\"",
                      between[] = "\",\"credentials\":";
    size_t len = sizeof before - 1 + UUID_LEN + sizeof between - 1 + plain->len + 1;
    char *text = arena_alloc(&rq->arena, len + 1);
    if (!text)
        return reply_error(rq, ERR_OVERLOADED, NULL);
    (void)snprintf(text, len + 1, "%s%.*s%s%.*s}", before, UUID_LEN, id, between, (int)plain->len,
                   plain->data);
    return reply_bytes(rq, 200, "application/json; charset=utf-8", text, len);
}

static reply reveal(struct request *rq)
{
    const struct reveal_body *body = rq->body;
    _cleanup_buf_ struct buf plain = BUF_INIT_SECRET(VAULT_PLAIN_MAX);
    struct credentials_caller who = caller_of(rq);
    if (!who.actor)
        return reply_error(rq, ERR_OVERLOADED, NULL);
    int r = credentials_reveal(&who, body->id, &plain);
    return r == CREDENTIALS_OK ? answer_revealed(rq, body->id, &plain) : refuse(rq, r);
}

/* ---- refused by the dispatcher */

static void note_refusal(struct request *rq, enum credentials_action action, enum error_id why)
{
    struct credentials_caller who = caller_of(rq);
    enum credentials_outcome outcome = why == ERR_READ_ONLY ? CREDENTIALS_READ_ONLY : CREDENTIALS_FORBIDDEN;
    int r = who.actor ? credentials_refused(&who, action, outcome) : -ENOMEM;
    if (r < 0)
        (void)log_error(r, "can't note a refused call");
}

static void store_refused(struct request *rq, enum error_id why)
{
    note_refusal(rq, CREDENTIALS_STORE, why);
}

static void reveal_refused(struct request *rq, enum error_id why)
{
    note_refusal(rq, CREDENTIALS_REVEAL, why);
}

static void create_refused(struct request *rq, enum error_id why)
{
    note_refusal(rq, CREDENTIALS_CREATE, why);
}

static void update_refused(struct request *rq, enum error_id why)
{
    note_refusal(rq, CREDENTIALS_UPDATE, why);
}

/* A read-only account can't reveal either: what is revealed lets one act on the platform. */
static const struct field store_answer[] = {HAS_BOOL("success"),
                                            HAS_UUID("creatorProfileId"),
                                            HAS_UUID("id"),
                                            HAS_STR("credentials_version"),
                                            HAS_TIME("credentials_updated_at"),
                                            FIELD_END};
static const struct field update_answer[] = {HAS_BOOL("success"), HAS_UUID("id"),
                                             HAS_STR("credentials_version"),
                                             HAS_TIME("credentials_updated_at"), FIELD_END};
static const struct field reveal_answer[] = {HAS_BOOL("success"), HAS_UUID("creatorProfileId"),
                                             HAS_OBJECT("credentials", NULL), FIELD_END};
static const struct field create_answer[] = {HAS_BOOL("success"), HAS_UUID("id"), HAS_BOOL("updated"),
                                             FIELD_END};

/* clang-format off */
const struct route credentials_routes[] = {
    { HTTP_POST, "/api/credentials/store",                AUTH_USER_OR_SERVICE, WRITES, BLOCKING, store,
      BODY_SECRET(store_body, store_fields, BODY_BYTES_MAX, store_refused),
      "Encrypt and keep the credentials of a connection", .answer = ANSWER(store_answer) },
    { HTTP_POST, "/api/credentials/reveal",               AUTH_USER_OR_SERVICE, WRITES, BLOCKING, reveal,
      BODY_SECRET(reveal_body, reveal_fields, BODY_BYTES_MAX, reveal_refused),
      "Decrypt the credentials of a connection", .answer = ANSWER(reveal_answer) },
    { HTTP_POST, "/api/credentials/create-profile",       AUTH_USER,            WRITES, BLOCKING, create_profile,
      BODY_SECRET(create_body, create_fields, BODY_BYTES_MAX, create_refused),
      "Connect a platform account, or replace the credentials of a connected one", .answer = ANSWER(create_answer) },
    { HTTP_POST, "/api/credentials/update-profile-creds", AUTH_USER_OR_SERVICE, WRITES, BLOCKING, update_profile,
      BODY_SECRET(update_body, update_fields, BODY_BYTES_MAX, update_refused),
      "Replace the credentials of a connection", .answer = ANSWER(update_answer) },
    ROUTES_END
};
/* clang-format on */
