/* SPDX-License-Identifier: MIT */
/* /api/impersonate: an admin acts as a creator. A token of an impersonation never has admin rights
 * (auth/identity_load.c), so none can begin another. Ending one is no write: a read-only session must be able
 * to leave. */
#include "api/app.h"
#include "api/routes.h"
#include "auth/impersonate.h"
#include "base/log.h"
#include "base/text.h"

#include <string.h>

#define REASON_MAX 500 /* characters */
#define BODY_BYTES_MAX ((size_t)16 * 1024)

struct begin_body {
    const char *user_id, *reason;
};

struct end_body {
    const char *user_id;
};

/* clang-format off */
static const struct field begin_fields[] = {
    FIELD_UUID(begin_body, user_id, "userId", REQUIRED, ALIAS("user_id")),
    FIELD_STR(begin_body, reason, "reason", MAX_LEN(4 * REASON_MAX)),
    FIELD_END
};

static const struct field end_fields[] = {
    FIELD_UUID(end_body, user_id, "userId", ALIAS("user_id")),
    FIELD_END
};
/* clang-format on */

static const struct field user_answer[] = {HAS_UUID("id"), HAS_STR("email", MAY_BE_NULL),
                                           HAS_STR("role", MAY_BE_NULL), FIELD_END};
static const struct field admin_answer[] = {HAS_UUID("id"), FIELD_END};
static const struct field begin_answer[] = {HAS_BOOL("ok"),
                                            HAS_STR("token"),
                                            HAS_INT("expires"),
                                            HAS_OBJECT("user", user_answer),
                                            HAS_OBJECT("impersonator", admin_answer),
                                            FIELD_END};
static const struct field end_answer[] = {HAS_BOOL("ok"), HAS_INT("ended"), FIELD_END};

static const struct {
    enum error_id error;
    const char *sentence;
} refusals[] = {
    [IMPERSONATION_NO_SUCH_USER] = {ERR_NOT_FOUND, "There is no such user"},
    [IMPERSONATION_OF_ADMIN] = {ERR_FORBIDDEN, "An administrator can't be impersonated"},
    [IMPERSONATION_OF_INACTIVE] = {ERR_FORBIDDEN, "Only an active user can be impersonated"},
};

static reply begin(struct request *rq)
{
    const struct begin_body *in = rq->body;
    struct impersonation i = {.admin = rq->who,
                              .reason = in->reason && !str_is_blank(in->reason) ? in->reason : NULL,
                              .ip = rq->client_ip,
                              .request_id = rq->id,
                              .arena = &rq->arena};
    if (in->reason && utf8_count(in->reason, strlen(in->reason)) > REASON_MAX)
        return reply_field_error(rq, ERR_INVALID_FIELD, "reason", "reason is longer than 500 characters");
    memcpy(i.user_id, in->user_id, UUID_SIZE);
    str_lower(i.user_id);
    int r = impersonation_begin(rq->app->db, rq->app->cfg, &i);
    if (r < 0)
        return reply_store_error(rq, r);
    if (i.outcome != IMPERSONATION_OK)
        return reply_field_error(rq, refusals[i.outcome].error, "userId", refusals[i.outcome].sentence);
    log_event(LOG_INFO, "impersonation begun", LOG_S("impersonation", i.id), LOG_S("user", i.user_id),
              LOG_S("impersonated_by", rq->who->user_id));
    return reply_json(rq, 200, "{s:b, s:s, s:i, s:{s:s, s:s?, s:s?}, s:{s:s}}", "ok", 1, "token", i.token,
                      "expires", IMPERSONATION_TTL_S * 1000, "user", "id", i.user_id, "email", i.email,
                      "role", i.role, "impersonator", "id", rq->who->user_id);
}

/* Somebody impersonated ends that session, whatever the body says; an admin in his own name those of a user.
 */
static reply end(struct request *rq)
{
    const struct end_body *in = rq->body;
    const char *id = rq->who->impersonation;
    char user_id[UUID_SIZE];
    int64_t ended;
    if (!id && !rq->who->admin)
        return reply_error(rq, ERR_FORBIDDEN, "This is no impersonated session");
    if (!id && !in->user_id)
        return reply_field_error(rq, ERR_MISSING_FIELD, "userId", NULL);
    memcpy(user_id, id ? rq->who->user_id : in->user_id, UUID_SIZE);
    str_lower(user_id);
    int r = impersonation_end(rq->app->auth, rq->app->db, id, user_id, &ended);
    if (r < 0)
        return reply_store_error(rq, r);
    log_event(LOG_INFO, "impersonation ended", LOG_S("impersonation", id), LOG_S("user", user_id),
              LOG_S("by", id ? rq->who->impersonated_by : rq->who->user_id), LOG_N("ended", ended));
    return reply_json(rq, 200, "{s:b, s:I}", "ok", 1, "ended", (json_int_t)ended);
}

/* clang-format off */
const struct route impersonate_routes[] = {
    { HTTP_POST,   "/api/impersonate", AUTH_ADMIN, WRITES, BLOCKING, begin,
      BODY_SECRET(begin_body, begin_fields, BODY_BYTES_MAX, NULL),
      "Act as a user for 15 minutes", .answer = ANSWER(begin_answer) },
    { HTTP_DELETE, "/api/impersonate", AUTH_USER,  READS,  BLOCKING, end,
      BODY_SECRET(end_body, end_fields, BODY_BYTES_MAX, NULL),
      "End the impersonation that this token belongs to; as an admin, those of a user",
      .answer = ANSWER(end_answer) },
    ROUTES_END
};
/* clang-format on */
