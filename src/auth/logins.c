/* SPDX-License-Identifier: MIT */
/* What an account is told before its password has been found right is always the same, after the same work:
 * that it exists, is suspended or has a second factor is for its owner to know.
 *
 * What strangers fail at doesn't make the account's owner wait, where the owner has logged in from there
 * before (auth/familiar.h).
 *
 * An attempt is counted as failed when it begins and taken back when it succeeds, so a burst of attempts at
 * once gains nothing over attempts one by one. */
#include "auth/logins.h"

#include "auth/accounts.h"
#include "auth/backoff.h"
#include "auth/familiar.h"
#include "auth/passwords.h"
#include "auth/rights.h"
#include "base/address.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

#define LONGEST_QUEUE 16
#define BACKOFF_KEYS 4096
#define CLIENT_TEXT_MAX 255 /* of what a client says about itself; Directus's columns */
#define SESSIONS_EACH 200   /* of one user; those that end soonest make room */
#define TEXTS_MAX (16 * 1024)
#define REFRESH_ALPHABET "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

struct logins {
    struct db *db;
    struct auth *auth;
    struct token_keys keys;
    struct passwords *passwords;
    struct backoff *by_account, *by_address;
    struct familiar *familiar;
};

/* The user that logs in, as the store has it. */
struct login_user {
    const char *id, *password, *status, *provider, *role_id;
    bool has_tfa, native_suspended;
    struct rights rights;
};

/* Log-ins wait on workers' threads, so their queue leaves at least half of the workers to everything else. */
static int queue_length(int64_t workers)
{
    int64_t most = workers / 2 - PASSWORD_HASHERS;
    return most < 1 ? 1 : most > LONGEST_QUEUE ? LONGEST_QUEUE : (int)most;
}

int logins_open(const struct config *cfg, struct db *db, struct auth *auth, struct logins **ret)
{
    static const struct backoff_options account = {BACKOFF_KEYS, 5, 1000, 60 * 1000};
    static const struct backoff_options address = {BACKOFF_KEYS, 20, 1000, BACKOFF_FORGET_MS};
    struct logins *logins = calloc(1, sizeof *logins);
    if (!logins)
        return -ENOMEM;
    *logins = (struct logins){.db = db, .auth = auth, .keys = {.directus = cfg->directus_secret}};
    logins->by_account = backoff_new(&account);
    logins->by_address = backoff_new(&address);
    logins->familiar = familiar_new(BACKOFF_KEYS);
    int r = logins->by_account && logins->by_address && logins->familiar ? 0 : -ENOMEM;
    if (r == 0)
        r = passwords_open(queue_length(cfg->worker_threads), &logins->passwords);
    if (r < 0) {
        logins_close(logins);
        return log_error(r, "open log-ins");
    }
    *ret = logins;
    return 0;
}

void logins_close(struct logins *logins)
{
    passwords_closeP(&logins->passwords);
    backoff_free(logins->by_account);
    backoff_free(logins->by_address);
    familiar_free(logins->familiar);
    free(logins);
}

/* ---- reading the user */

#define USER_COLUMNS \
    "u.id, u.password, u.status, u.provider, u.role, u.tfa_secret IS NOT NULL, coalesce(a.suspended, 0)"
#define USER_JOINS "directus_users u LEFT JOIN users a ON a.id = u.anythingllm_user_id"

static void read_user(struct db_rows *rows, struct arena *a, struct login_user *ret)
{
    const char **texts[] = {&ret->id, &ret->password, &ret->status, &ret->provider, &ret->role_id};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        *texts[i] = db_text_dup(rows, (int)i, a);
    ret->has_tfa = db_int(rows, 5) != 0;
    ret->native_suspended = db_int(rows, 6) != 0;
}

struct find_arg {
    const char *email, *ip;
    struct arena *a;
    struct login_user user; /* id NULL: nobody */
};

static int find_unit(struct db_conn *c, void *arg)
{
    struct find_arg *f = arg;
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c, "SELECT " USER_COLUMNS " FROM " USER_JOINS " WHERE lower(u.email) = lower(?1)",
                     DB_ARGS(DB_TEXT(f->email)), &rows);
    if (r == 0)
        r = db_next(rows);
    if (r <= 0)
        return r;
    read_user(rows, f->a, &f->user);
    return rights_load(c, f->user.id, f->user.role_id, f->ip, &f->user.rights);
}

/* What stands in the way of somebody who proved to be the account's owner. */
static enum login_refusal judge(const struct login_user *user)
{
    if (str_equal(user->status, "suspended") || str_equal(user->status, "archived") || user->native_suspended)
        return LOGIN_SUSPENDED;
    if (!str_equal(user->status, "active"))
        return LOGIN_BAD_CREDENTIALS;
    return LOGIN_OK;
}

static enum login_refusal judge_log_in(const struct login_user *user)
{
    enum login_refusal refusal = judge(user);
    if (refusal != LOGIN_OK)
        return refusal;
    if (!str_equal(user->provider, "default"))
        return LOGIN_OTHER_PROVIDER;
    return user->has_tfa ? LOGIN_NEEDS_OTP : LOGIN_OK;
}

/* ---- tokens and sessions */

static int64_t session_ttl_s(bool session)
{
    return session ? LOGIN_SESSION_TTL_S : LOGIN_REFRESH_TTL_S;
}

/* Signs what the client gets once its session is durable. */
static void grant(struct logins *logins, struct arena *a, const struct login_user *user, bool session,
                  int64_t now_ms, struct login_grant *ret)
{
    struct token_spec spec = {
        .user_id = user->id,
        .role_id = user->role_id,
        .app_access = user->rights.app || user->rights.admin,
        .admin_access = user->rights.admin,
        .session = session ? ret->refresh_token : NULL,
        .now_s = now_ms / 1000,
        .lifetime_s = session ? LOGIN_SESSION_TTL_S : LOGIN_ACCESS_TTL_S,
    };
    ret->access_token = token_sign(a, &logins->keys, &spec);
    ret->lifetime_s = spec.lifetime_s;
    ret->refusal = ret->access_token ? LOGIN_OK : LOGIN_STORE_FAILED;
}

struct session_arg {
    const char *user_id;
    const struct login_client *client;
    const char *token;
    char now[ISO_TIME_LEN], expires[ISO_TIME_LEN];
};

/* A header as it may be kept: cut to CLIENT_TEXT_MAX bytes of UTF-8, or NULL. ret: CLIENT_TEXT_MAX + 1 bytes.
 */
static const char *client_text(const char *text, char *ret)
{
    size_t len = text ? utf8_floor(text, strlen(text), CLIENT_TEXT_MAX) : 0;
    if (len == 0 || !utf8_valid(text, len))
        return NULL;
    memcpy(ret, text, len);
    ret[len] = '\0';
    return ret;
}

/* Those that have ended are anybody's: what somebody else is deleting is left to him. */
static int drop_sessions(struct db_conn *c, const struct session_arg *s)
{
    const char *ended = db_sql(c, "DELETE FROM directus_sessions WHERE expires < ?1",
                               "DELETE FROM directus_sessions WHERE token = ANY (ARRAY(SELECT token FROM"
                               " directus_sessions WHERE expires < ?1 FOR UPDATE SKIP LOCKED))");
    int r = db_exec(c, ended, DB_ARGS(DB_TEXT(s->now)), NULL);
    if (r < 0)
        return r;
    return db_exec(c,
                   "DELETE FROM directus_sessions WHERE token IN (SELECT token FROM directus_sessions"
                   " WHERE \"user\" = ?1 ORDER BY expires DESC LIMIT 1000000 OFFSET ?2)",
                   DB_ARGS(DB_TEXT(s->user_id), DB_INT(SESSIONS_EACH - 1)), NULL);
}

/* Makes room, then adds the session. */
static int insert_session(struct db_conn *c, const struct session_arg *s)
{
    const struct login_client *client = s->client;
    char agent[CLIENT_TEXT_MAX + 1], origin[CLIENT_TEXT_MAX + 1];
    int r = drop_sessions(c, s);
    if (r < 0)
        return r;
    return db_exec(c,
                   "INSERT INTO directus_sessions (token, \"user\", expires, ip, user_agent, origin)"
                   " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                   DB_ARGS(DB_TEXT(s->token), DB_TEXT(s->user_id), DB_TEXT(s->expires), DB_TEXT(client->ip),
                           DB_TEXT(client_text(client->user_agent, agent)),
                           DB_TEXT(client_text(client->origin, origin))),
                   NULL);
}

static int begin_unit(struct db_conn *c, void *arg)
{
    const struct session_arg *s = arg;
    db_concerns(c, s->user_id);
    int r = insert_session(c, s);
    if (r == 0)
        r = db_exec(c, "UPDATE directus_users SET last_access = ?2 WHERE id = ?1",
                    DB_ARGS(DB_TEXT(s->user_id), DB_TEXT(s->now)), NULL);
    return r;
}

static void begin_session(struct logins *logins, struct arena *a, const struct login_user *user, bool session,
                          const struct login_client *client, struct login_grant *ret)
{
    int64_t now_ms = clock_now_ms();
    struct session_arg s = {.user_id = user->id, .client = client, .token = ret->refresh_token};
    random_text(REFRESH_ALPHABET, ret->refresh_token, REFRESH_TOKEN_LEN);
    clock_format_iso(now_ms, s.now);
    clock_format_iso(now_ms + session_ttl_s(session) * 1000, s.expires);
    if (db_write(logins->db, begin_unit, &s) < 0)
        ret->refusal = LOGIN_STORE_FAILED;
    else
        grant(logins, a, user, session, now_ms, ret);
}

/* ---- log-in */

/* Under what an attempt is counted. */
struct attempt {
    char account[ACCOUNT_EMAIL_MAX + 1], address[FAMILIAR_PLACE_MAX + 1];
    char account_key[ACCOUNT_EMAIL_MAX + FAMILIAR_PLACE_MAX + 2]; /* with the address, where it is familiar */
};

static int make_attempt(struct logins *logins, const char *email, const char *ip, struct attempt *ret)
{
    int r = account_email(email, ret->account);
    if (r < 0)
        return r;
    address_network(ip, ret->address);
    bool known = familiar_has(logins->familiar, ret->account, ret->address);
    (void)snprintf(ret->account_key, sizeof ret->account_key, "%s%s%s", known ? ret->address : "",
                   known ? " " : "", ret->account);
    return 0;
}

static bool take_attempt(struct logins *logins, const struct attempt *at, struct login_grant *ret)
{
    int64_t now_ms = clock_monotonic_ms();
    if (backoff_take(logins->by_address, at->address, now_ms, &ret->wait_ms) < 0)
        return false;
    if (backoff_take(logins->by_account, at->account_key, now_ms, &ret->wait_ms) == 0)
        return true;
    backoff_return(logins->by_address, at->address);
    return false;
}

/* What an attempt that came to its end leaves behind. */
static void settle_attempt(struct logins *logins, const struct attempt *at, enum login_refusal refusal)
{
    bool nobodys_fault = refusal == LOGIN_BUSY || refusal == LOGIN_STORE_FAILED;
    if (refusal == LOGIN_OK) {
        backoff_clear(logins->by_account, at->account_key);
        familiar_add(logins->familiar, at->account, at->address);
    } else if (nobodys_fault) {
        backoff_return(logins->by_account, at->account_key);
    }
    if (refusal == LOGIN_OK || nobodys_fault)
        backoff_return(logins->by_address, at->address);
}

/* Finds the user and checks the password. */
static enum login_refusal check(struct logins *logins, struct find_arg *f, const char *password)
{
    if (db_read(logins->db, find_unit, f) < 0)
        return LOGIN_STORE_FAILED;
    int r = password_verify(logins->passwords, f->user.password, password);
    if (r == 0)
        return judge_log_in(&f->user);
    return r == -EBUSY || r == -ENOMEM ? LOGIN_BUSY : LOGIN_BAD_CREDENTIALS;
}

void login(struct logins *logins, struct arena *a, const char *email, const char *password, bool session,
           const struct login_client *client, struct login_grant *ret)
{
    struct attempt at;
    *ret = (struct login_grant){.refusal = LOGIN_BAD_CREDENTIALS};
    if (make_attempt(logins, email, client->ip, &at) < 0 || strlen(password) > PASSWORD_MAX_BYTES) {
        metric_add(METRIC_LOGINS_REFUSED, 1);
        return;
    }
    if (!take_attempt(logins, &at, ret)) {
        ret->refusal = LOGIN_WAIT;
        metric_add(METRIC_LOGINS_REFUSED, 1);
        return;
    }
    struct find_arg f = {.email = at.account, .ip = client->ip, .a = a};
    ret->refusal = check(logins, &f, password);
    if (ret->refusal == LOGIN_OK)
        begin_session(logins, a, &f.user, session, client, ret);
    settle_attempt(logins, &at, ret->refusal);
    metric_add(ret->refusal == LOGIN_OK ? METRIC_LOGINS : METRIC_LOGINS_REFUSED, 1);
}

int login_hash_password(struct logins *logins, const char *password, char *ret)
{
    return password_hash(logins->passwords, password, ret);
}

/* Whether it can be one: a cookie may hold any bytes, and PostgreSQL takes only text. */
static bool is_session_token(const char *token)
{
    size_t len = strnlen(token, TOKEN_SESSION_MAX + 1);
    return len <= TOKEN_SESSION_MAX && utf8_valid(token, len);
}

/* ---- refresh */

struct refresh_arg {
    const char *old_token;
    bool session;
    const struct login_client *client;
    struct arena *a;
    char now[ISO_TIME_LEN], expires[ISO_TIME_LEN], grace[ISO_TIME_LEN];
    char *new_token;        /* out, REFRESH_TOKEN_LEN + 1 bytes */
    struct login_user user; /* out; id NULL: no such session */
};

/* A session token that was replaced already leads to the one that replaced it. */
static int replace_session_token(struct db_conn *c, struct refresh_arg *f, bool replaced)
{
    if (replaced)
        return db_exec(c, "UPDATE directus_sessions SET expires = ?2 WHERE token = ?1",
                       DB_ARGS(DB_TEXT(f->new_token), DB_TEXT(f->expires)), NULL);
    struct session_arg s = {.user_id = f->user.id, .client = f->client, .token = f->new_token};
    memcpy(s.now, f->now, sizeof s.now);
    memcpy(s.expires, f->expires, sizeof s.expires);
    int r = insert_session(c, &s);
    if (r < 0)
        return r;
    return db_exec(c, "UPDATE directus_sessions SET next_token = ?2, expires = ?3 WHERE token = ?1",
                   DB_ARGS(DB_TEXT(f->old_token), DB_TEXT(f->new_token), DB_TEXT(f->grace)), NULL);
}

static int replace_refresh_token(struct db_conn *c, const struct refresh_arg *f)
{
    return db_exec(c, "UPDATE directus_sessions SET token = ?2, expires = ?3 WHERE token = ?1",
                   DB_ARGS(DB_TEXT(f->old_token), DB_TEXT(f->new_token), DB_TEXT(f->expires)), NULL);
}

/* Reads the session's user; *ret_replaced: f->new_token is the successor that the session has already. */
static int find_session(struct db_conn *c, struct refresh_arg *f, bool *ret_replaced)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c,
                     "SELECT " USER_COLUMNS ", s.next_token FROM " USER_JOINS
                     " JOIN directus_sessions s ON s.\"user\" = u.id WHERE s.token = ?1 AND s.expires > ?2 "
                     "AND s.share IS NULL",
                     DB_ARGS(DB_TEXT(f->old_token), DB_TEXT(f->now)), &rows);
    if (r == 0)
        r = db_next(rows);
    if (r <= 0)
        return r;
    read_user(rows, f->a, &f->user);
    const char *next = db_text(rows, 7);
    *ret_replaced = next && strlen(next) == REFRESH_TOKEN_LEN;
    if (*ret_replaced)
        memcpy(f->new_token, next, REFRESH_TOKEN_LEN + 1);
    return rights_load(c, f->user.id, f->user.role_id, f->client->ip, &f->user.rights);
}

static int refresh_unit(struct db_conn *c, void *arg)
{
    struct refresh_arg *f = arg;
    bool replaced = false;
    f->user = (struct login_user){0};
    int r = find_session(c, f, &replaced);
    if (r < 0 || !f->user.id || judge(&f->user) != LOGIN_OK)
        return r;
    db_concerns(c, f->user.id);
    if (!replaced)
        random_text(REFRESH_ALPHABET, f->new_token, REFRESH_TOKEN_LEN);
    r = f->session ? replace_session_token(c, f, replaced) : replace_refresh_token(c, f);
    return r < 0 ? r
                 : db_exec(c, "UPDATE directus_users SET last_access = ?2 WHERE id = ?1",
                           DB_ARGS(DB_TEXT(f->user.id), DB_TEXT(f->now)), NULL);
}

void login_refresh(struct logins *logins, struct arena *a, const char *refresh_token, bool session,
                   const struct login_client *client, struct login_grant *ret)
{
    *ret = (struct login_grant){.refusal = LOGIN_BAD_CREDENTIALS};
    int64_t now_ms = clock_now_ms();
    struct refresh_arg f = {.old_token = refresh_token,
                            .session = session,
                            .client = client,
                            .a = a,
                            .new_token = ret->refresh_token};
    if (!is_session_token(refresh_token))
        return;
    clock_format_iso(now_ms, f.now);
    clock_format_iso(now_ms + session_ttl_s(session) * 1000, f.expires);
    clock_format_iso(now_ms + LOGIN_SESSION_GRACE_S * 1000, f.grace);
    if (db_write(logins->db, refresh_unit, &f) < 0) {
        ret->refusal = LOGIN_STORE_FAILED;
        return;
    }
    ret->refusal = f.user.id ? judge(&f.user) : LOGIN_BAD_CREDENTIALS;
    if (ret->refusal == LOGIN_OK)
        grant(logins, a, &f.user, session, now_ms, ret);
}

/* ---- log-out */

struct end_arg {
    const char *token;
    char user_id[UUID_SIZE]; /* out; "" if there was no such session */
};

static int end_unit(struct db_conn *c, void *arg)
{
    struct end_arg *e = arg;
    e->user_id[0] = '\0';
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c, "SELECT \"user\" FROM directus_sessions WHERE token = ?1", DB_ARGS(DB_TEXT(e->token)),
                     &rows);
    if (r == 0)
        r = db_next(rows);
    if (r <= 0)
        return r;
    (void)snprintf(e->user_id, sizeof e->user_id, "%s", db_text(rows, 0) ? db_text(rows, 0) : "");
    db_concerns(c, e->user_id);
    return db_exec(c, "DELETE FROM directus_sessions WHERE token = ?1 OR next_token = ?1",
                   DB_ARGS(DB_TEXT(e->token)), NULL);
}

int login_end(struct logins *logins, const char *refresh_token)
{
    struct end_arg e = {.token = refresh_token};
    int r = is_session_token(refresh_token) ? db_write(logins->db, end_unit, &e) : 0;
    if (r == 0 && e.user_id[0])
        auth_forget(logins->auth, e.user_id);
    return r < 0 ? r : 0;
}

void login_session_of(struct logins *logins, const char *access_token, char *ret)
{
    struct token_claims claims;
    ret[0] = '\0';
    if (token_verify(access_token, &logins->keys, clock_now_ms() / 1000, &claims) == 0)
        memcpy(ret, claims.session, sizeof claims.session);
}
