/* SPDX-License-Identifier: MIT */
/* POST /api/register: an invite becomes an account. Everything it makes is one unit, which begins by using
 * the invite up; so of any number of requests with one invite one gets an account, and a failure leaves
 * nothing. The invite is looked at before the costly password hash, and before the address: who has no good
 * invite learns nothing about whether an account exists, by the answer or by its time. */
#include "api/app.h"
#include "api/routes.h"
#include "auth/accounts.h"
#include "auth/invites.h"
#include "auth/logins.h"
#include "auth/passwords.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"
#include "limits/idempotency.h"

#include <errno.h>
#include <string.h>

#define PASSWORD_MOST 128 /* characters */
#define BYTES_OF(characters) ((characters)*4)

struct register_body {
    const char *email, *password, *invite_code, *first_name;
};

/* clang-format off */
static const struct field register_fields[] = {
    FIELD_STR(register_body, email, "email", REQUIRED, MAX_LEN(ACCOUNT_EMAIL_MAX)),
    FIELD_STR(register_body, password, "password", REQUIRED, MIN_LEN(ACCOUNT_PASSWORD_LEAST),
              MAX_LEN(BYTES_OF(PASSWORD_MOST))),
    FIELD_STR(register_body, invite_code, "inviteCode", REQUIRED, ALIAS("invite_code"), MAX_LEN(128)),
    FIELD_STR(register_body, first_name, "firstName", ALIAS("first_name"),
              MAX_LEN(BYTES_OF(ACCOUNT_FIRST_NAME_MOST))),
    FIELD_END
};
/* clang-format on */

/* One registration. */
struct registering {
    const char *invite_code;
    const struct idempotency_claim *claim;
    struct account_spec spec;
    struct account account; /* out */
};

/* ---- fields */

/* What the descriptors can't say; true where all is well, else with *ret_reply made. */
static bool check_fields(struct request *rq, struct registering *in, reply *ret_reply)
{
    const struct register_body *body = rq->body;
    const char *first = body->first_name && !str_is_blank(body->first_name) ? body->first_name : NULL;
    const char *field = NULL, *sentence = NULL;
    char *email = arena_alloc(&rq->arena, ACCOUNT_EMAIL_MAX + 1);
    if (!email) {
        *ret_reply = reply_error(rq, ERR_OVERLOADED, NULL);
        return false;
    }
    if (account_email(body->email, email) < 0) {
        field = "email";
        sentence = "email is not an e-mail address";
    } else if (utf8_count(body->password, strlen(body->password)) > PASSWORD_MOST) {
        field = "password";
        sentence = "password is longer than 128 characters";
    } else if (first &&
               (utf8_count(first, strlen(first)) > ACCOUNT_FIRST_NAME_MOST || !text_is_printable(first))) {
        field = "firstName";
        sentence = "firstName must have at most 50 characters and no line breaks or control characters";
    }
    if (field) {
        *ret_reply = reply_field_error(rq, ERR_INVALID_FIELD, field, sentence);
        return false;
    }
    *in = (struct registering){
        .invite_code = body->invite_code, .claim = rq->claim, .spec = {.email = email, .first_name = first}};
    return true;
}

/* ---- the store */

/* A cheap look before the hash. */
static int look_unit(struct db_conn *c, void *arg)
{
    const struct registering *in = arg;
    int r = invite_is_good(c, in->invite_code);
    if (r <= 0)
        return r < 0 ? r : -EKEYREJECTED;
    r = account_email_taken(c, in->spec.email);
    return r > 0 ? -EEXIST : r;
}

static int settle(struct db_conn *c, const struct registering *in)
{
    _cleanup_json_ json_t *answer = json_pack("{s:b, s:s}", "ok", 1, "userId", in->account.user_id);
    return answer ? idempotency_settle_unit(c, in->claim, 200, answer) : -ENOMEM;
}

static int register_unit(struct db_conn *c, void *arg)
{
    struct registering *in = arg;
    int r = invite_claim(c, in->invite_code);
    if (r <= 0)
        return r < 0 ? r : -EKEYREJECTED;
    r = account_create(c, &in->spec, &in->account);
    if (r == 0)
        r = invite_claimed_by(c, in->invite_code, in->account.anythingllm_user_id);
    return r < 0 ? r : settle(c, in);
}

/* ---- answers */

static reply refuse(struct request *rq, int r)
{
    if (r == -EKEYREJECTED)
        return reply_field_error(rq, ERR_INVALID_INVITE, "inviteCode", NULL);
    if (r == -EEXIST)
        return reply_field_error(rq, ERR_EMAIL_EXISTS, "email", NULL);
    if (r == -ENOENT) {
        (void)log_error(r, "registration needs the role Creator");
        return reply_error(rq, ERR_MISCONFIGURED, NULL);
    }
    return reply_store_error(rq, r);
}

static reply refuse_hash(struct request *rq, int r)
{
    if (r == -EINVAL)
        return reply_field_error(rq, ERR_INVALID_FIELD, "password", NULL);
    reply_header(rq, "Retry-After", "1");
    return reply_error(rq, ERR_OVERLOADED, NULL);
}

static reply register_account(struct request *rq)
{
    const struct register_body *body = rq->body;
    struct registering in;
    char hash[PASSWORD_HASH_SIZE];
    reply refused;
    if (!check_fields(rq, &in, &refused))
        return refused;
    int r = db_read(rq->app->db, look_unit, &in);
    if (r < 0)
        return refuse(rq, r);
    r = login_hash_password(rq->app->logins, body->password, hash);
    if (r < 0)
        return refuse_hash(rq, r);
    in.spec.password_hash = hash;
    r = db_write(rq->app->db, register_unit, &in);
    if (r < 0)
        return refuse(rq, r);
    metric_add(METRIC_REGISTRATIONS, 1);
    log_event(LOG_INFO, "registered", LOG_S("user", in.account.user_id));
    return reply_json(rq, 200, "{s:b, s:s}", "ok", 1, "userId", in.account.user_id);
}

static const struct field register_answer[] = {HAS_BOOL("ok"), HAS_UUID("userId"), FIELD_END};

static const struct rate_limit register_rate = {"register", 10, 15 * 60};

/* clang-format off */
const struct route register_routes[] = {
    { HTTP_POST, "/api/register", AUTH_NONE, WRITES, BLOCKING, register_account,
      BODY_SECRET_IN(register_body, register_fields), "Make an account with an invite",
      .answer = ANSWER(register_answer), .rate = &register_rate, .idempotent = true },
    ROUTES_END
};
/* clang-format on */
