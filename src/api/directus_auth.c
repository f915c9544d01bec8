/* SPDX-License-Identifier: MIT */
/* Log-in, refresh, log-out. Three modes, as in Directus: `json` gives both tokens in the answer; `cookie`
 * keeps the refresh token in a cookie; `session` keeps one session-bound access token in a cookie, and
 * nothing in the answer.
 *
 * Against cross-site requests: cookies are SameSite=Lax and HttpOnly, are sent to /api/directus alone, and
 * count only on a request whose content type is JSON, which no form can send and a script of another origin
 * only after a preflight that allows no credentials. */
#include "api/directus.h"
#include "auth/logins.h"
#include "base/text.h"
#include "http/session_cookie.h"

#include <string.h>

#define REFRESH_COOKIE "directus_refresh_token"
#define COOKIE_MAX_BYTES (16 * 1024)

const struct field directus_login_fields[] = {
    FIELD_STR(login_body, email, "email", REQUIRED, MAX_LEN(1024)),
    FIELD_STR(login_body, password, "password", REQUIRED, MAX_LEN(4096)),
    FIELD_STR(login_body, mode, "mode", CHOICES("json|cookie|session")),
    FIELD_END,
};

const struct field directus_session_fields[] = {
    FIELD_STR(session_body, refresh_token, "refresh_token", MAX_LEN(1024)),
    FIELD_STR(session_body, mode, "mode", CHOICES("json|cookie|session")),
    FIELD_END,
};

static const struct {
    int status;
    const char *code, *message;
} refusals[] = {
    [LOGIN_BAD_CREDENTIALS] = {401, "INVALID_CREDENTIALS", "Invalid user credentials."},
    [LOGIN_SUSPENDED] = {401, "USER_SUSPENDED", "User suspended."},
    [LOGIN_NEEDS_OTP] = {401, "INVALID_OTP", "This account has a second factor; log in through Directus."},
    [LOGIN_OTHER_PROVIDER] = {403, "INVALID_PROVIDER", "This account belongs to another log-in provider."},
    [LOGIN_WAIT] = {429, "REQUESTS_EXCEEDED", "Too many attempts, try again later."},
    [LOGIN_BUSY] = {503, "SERVICE_UNAVAILABLE", "Too many log-ins at once, try again shortly."},
    [LOGIN_STORE_FAILED] = {503, "SERVICE_UNAVAILABLE", "The data store is unavailable, try again shortly."},
};

static reply refuse(struct request *rq, const struct login_grant *grant)
{
    int status = refusals[grant->refusal].status;
    if (status == 429 || status == 503) {
        int64_t seconds = grant->refusal == LOGIN_WAIT ? (grant->wait_ms + 999) / 1000 : 1;
        const char *text = arena_printf(&rq->arena, "%lld", (long long)seconds);
        reply_header(rq, "Retry-After", text ? text : "1");
    }
    return directus_refuse(rq, status, refusals[grant->refusal].code, refusals[grant->refusal].message, NULL);
}

static struct login_client client_of(const struct request *rq)
{
    return (struct login_client){.ip = rq->client_ip,
                                 .user_agent = request_header(rq, "User-Agent"),
                                 .origin = request_header(rq, "Origin")};
}

/* max_age_s 0 deletes it. */
static void set_cookie(struct request *rq, const char *name, const char *value, int64_t max_age_s)
{
    const char *text = arena_printf(
        &rq->arena, "%s=%s; Path=" SESSION_COOKIE_PATH "; HttpOnly; SameSite=Lax; Max-Age=%lld%s", name,
        value, (long long)max_age_s, request_is_tls(rq) ? "; Secure" : "");
    if (text && strlen(text) <= COOKIE_MAX_BYTES)
        reply_header(rq, "Set-Cookie", text);
}

static bool is_mode(const char *mode, const char *wanted)
{
    return strcmp(mode ? mode : "json", wanted) == 0;
}

static reply answer(struct request *rq, const char *mode, const struct login_grant *grant)
{
    json_int_t expires = grant->lifetime_s * 1000;
    if (grant->refusal != LOGIN_OK)
        return refuse(rq, grant);
    if (is_mode(mode, "session")) {
        set_cookie(rq, SESSION_COOKIE, grant->access_token, LOGIN_SESSION_TTL_S);
        return reply_json(rq, 200, "{s:{s:I}}", "data", "expires", expires);
    }
    if (is_mode(mode, "cookie")) {
        set_cookie(rq, REFRESH_COOKIE, grant->refresh_token, LOGIN_REFRESH_TTL_S);
        return reply_json(rq, 200, "{s:{s:I, s:s}}", "data", "expires", expires, "access_token",
                          grant->access_token);
    }
    return reply_json(rq, 200, "{s:{s:I, s:s, s:s}}", "data", "expires", expires, "refresh_token",
                      grant->refresh_token, "access_token", grant->access_token);
}

/* Nobody may set a cookie of ours from a page of another origin: neither log a visitor in as somebody else,
 * nor out. */
static bool may_set_cookie(const struct request *rq, const char *mode)
{
    return is_mode(mode, "json") || session_cookies_count(rq);
}

static reply refuse_type(struct request *rq)
{
    return directus_refuse(rq, 415, "UNSUPPORTED_MEDIA_TYPE",
                           "In this mode the content type must be application/json.", NULL);
}

reply directus_login(struct request *rq)
{
    const struct login_body *in = rq->body;
    if (!may_set_cookie(rq, in->mode))
        return refuse_type(rq);
    struct login_client client = client_of(rq);
    struct login_grant grant;
    login(rq->app->logins, &rq->arena, in->email, in->password, is_mode(in->mode, "session"), &client,
          &grant);
    return answer(rq, in->mode, &grant);
}

/* The refresh token that the request means, by its mode; NULL if it names none. */
static const char *refresh_token(struct request *rq, const struct session_body *in)
{
    if (is_mode(in->mode, "session")) {
        const char *token = session_cookie(rq);
        char *session = token ? arena_alloc(&rq->arena, TOKEN_SESSION_MAX + 1) : NULL;
        if (!session)
            return NULL;
        login_session_of(rq->app->logins, token, session);
        return session[0] ? session : NULL;
    }
    if (in->refresh_token && in->refresh_token[0])
        return in->refresh_token;
    return session_cookies_count(rq) ? request_cookie(rq, REFRESH_COOKIE) : NULL;
}

static reply refuse_missing(struct request *rq)
{
    return directus_refuse(rq, 400, "INVALID_PAYLOAD",
                           "The refresh token is required in either the payload or cookie.", NULL);
}

reply directus_refresh(struct request *rq)
{
    const struct session_body *in = rq->body;
    struct login_client client = client_of(rq);
    struct login_grant grant;
    if (!may_set_cookie(rq, in->mode))
        return refuse_type(rq);
    const char *token = refresh_token(rq, in);
    if (!token)
        return refuse_missing(rq);
    login_refresh(rq->app->logins, &rq->arena, token, is_mode(in->mode, "session"), &client, &grant);
    return answer(rq, in->mode, &grant);
}

reply directus_logout(struct request *rq)
{
    const struct session_body *in = rq->body;
    if (!may_set_cookie(rq, in->mode))
        return refuse_type(rq);
    const char *token = refresh_token(rq, in);
    if (!token)
        return refuse_missing(rq);
    int r = login_end(rq->app->logins, token);
    if (r < 0)
        return reply_store_error(rq, r);
    if (session_cookies_count(rq)) /* a form's text may name a token, but not take a visitor's cookie away */
        set_cookie(rq, is_mode(in->mode, "session") ? SESSION_COOKIE : REFRESH_COOKIE, "", 0);
    return reply_empty(rq, 204);
}
