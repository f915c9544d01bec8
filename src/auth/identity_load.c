/* SPDX-License-Identifier: MIT */
/* Each check either passes or sets `refused`; only the store's own failures are errors of the unit. */
#include "auth/identity_load.h"

#include "auth/rights.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

#define USER_COLUMNS \
    "SELECT u.id, u.email, u.first_name, u.role, r.name, u.subscription_tier, u.status, a.id, a.suspended" \
    " FROM directus_users u LEFT JOIN directus_roles r ON r.id = u.role" \
    " LEFT JOIN users a ON a.id = u.anythingllm_user_id WHERE "

enum { USER_ID, EMAIL, FIRST_NAME, ROLE, ROLE_NAME, TIER, STATUS, NATIVE_ID, NATIVE_SUSPENDED };

static int refuse(struct identity_load *load, enum error_id error)
{
    load->refused = error;
    return 0;
}

static int find_user(struct db_conn *c, const struct identity_load *load, struct db_rows **ret)
{
    if (load->static_token)
        return db_query(c, USER_COLUMNS "u.token = ?1", DB_ARGS(DB_TEXT(load->static_token)), ret);
    if (load->claims.kind == TOKEN_DIRECTUS)
        return db_query(c, USER_COLUMNS "u.id = ?1", DB_ARGS(DB_TEXT(load->claims.user_id)), ret);
    return db_query(c, USER_COLUMNS "u.anythingllm_user_id = ?1",
                    DB_ARGS(DB_INT(load->claims.anythingllm_id)), ret);
}

static enum error_id judge_status(const char *status, bool native_suspended)
{
    if (str_equal(status, "suspended") || str_equal(status, "archived"))
        return ERR_SUSPENDED;
    if (!str_equal(status, "active"))
        return ERR_UNAUTHORIZED;
    return native_suspended ? ERR_SUSPENDED : ERR_NONE;
}

static int read_user(struct identity_load *load, struct db_rows *rows)
{
    struct identity *who = &load->who;
    const char *id = db_text(rows, USER_ID);
    if (!id || strlen(id) != UUID_LEN)
        return -EIO;
    memcpy(who->user_id, id, UUID_SIZE);
    who->email = db_text_dup(rows, EMAIL, &load->texts);
    who->first_name = db_text_dup(rows, FIRST_NAME, &load->texts);
    who->role_id = db_text_dup(rows, ROLE, &load->texts);
    who->role_name = db_text_dup(rows, ROLE_NAME, &load->texts);
    who->tier = db_text_dup(rows, TIER, &load->texts);
    who->anythingllm_user_id = db_int(rows, NATIVE_ID);
    load->refused = judge_status(db_text(rows, STATUS), db_int(rows, NATIVE_SUSPENDED) != 0);
    return 0;
}

/* The one user of the token; none, or two with one AnythingLLM account, are refused. */
static int load_user(struct db_conn *c, struct identity_load *load)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = find_user(c, load, &rows);
    if (r < 0)
        return r;
    r = db_next(rows);
    if (r == 0)
        return refuse(load, ERR_UNAUTHORIZED);
    if (r > 0)
        r = read_user(load, rows);
    if (r == 0 && (r = db_next(rows)) > 0)
        return refuse(load, ERR_UNAUTHORIZED);
    return r;
}

/* 0 where the query finds a row, else refused. */
static int need_row(struct db_conn *c, struct identity_load *load, const char *sql,
                    const struct db_value *args, size_t n)
{
    int64_t one;
    int r = db_query_int(c, sql, args, n, &one);
    if (r == 0)
        return refuse(load, ERR_UNAUTHORIZED);
    return r < 0 ? r : 0;
}

static int check_session(struct db_conn *c, struct identity_load *load)
{
    if (load->static_token || !load->claims.session[0])
        return 0;
    load->who.session = load->claims.session;
    return need_row(
        c, load, "SELECT 1 FROM directus_sessions WHERE token = ?1 AND \"user\" = ?2 AND expires > ?3",
        DB_ARGS(DB_TEXT(load->claims.session), DB_TEXT(load->who.user_id), DB_TEXT(load->now_iso)));
}

static int check_revoked(struct db_conn *c, struct identity_load *load)
{
    int64_t one;
    if (load->static_token || !load->claims.jti[0])
        return 0;
    int r = db_query_int(c, "SELECT 1 FROM revoked_tokens WHERE jti = ?1", DB_ARGS(DB_TEXT(load->claims.jti)),
                         &one);
    return r > 0 ? refuse(load, ERR_UNAUTHORIZED) : r;
}

/* The admin behind an impersonation must still be one, and still be active. */
static int check_impersonator(struct db_conn *c, struct identity_load *load)
{
    const char *id = load->claims.impersonated_by;
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c, "SELECT role FROM directus_users WHERE id = ?1 AND status = 'active'",
                     DB_ARGS(DB_TEXT(id)), &rows);
    if (r == 0)
        r = db_next(rows);
    if (r <= 0)
        return r < 0 ? r : refuse(load, ERR_UNAUTHORIZED);
    struct rights rights;
    r = rights_load(c, id, db_text(rows, 0), load->client_ip, &rights);
    if (r < 0)
        return r;
    load->address_bound |= rights.address_bound;
    return rights.admin ? 0 : refuse(load, ERR_UNAUTHORIZED);
}

static int check_impersonation(struct db_conn *c, struct identity_load *load)
{
    if (load->static_token || !load->claims.impersonated_by[0])
        return 0;
    load->who.impersonated_by = load->claims.impersonated_by;
    load->who.impersonation = load->claims.jti;
    if (load->who.admin)
        return refuse(load, ERR_UNAUTHORIZED);
    int r = need_row(c, load,
                     "SELECT 1 FROM impersonations WHERE id = ?1 AND user_id = ?2 AND impersonator_id = ?3"
                     " AND ended_at IS NULL AND expires_at > ?4",
                     DB_ARGS(DB_TEXT(load->claims.jti), DB_TEXT(load->who.user_id),
                             DB_TEXT(load->claims.impersonated_by), DB_TEXT(load->now_iso)));
    return r < 0 || load->refused != ERR_NONE ? r : check_impersonator(c, load);
}

static int load_rights(struct db_conn *c, struct identity_load *load)
{
    struct rights rights;
    int r = rights_load(c, load->who.user_id, load->who.role_id, load->client_ip, &rights);
    if (r < 0)
        return r;
    load->who.admin = rights.admin;
    load->who.app_access = rights.app || rights.admin;
    load->who.read_only = !rights.admin && str_equal(load->who.role_name, "Viewer");
    load->address_bound |= rights.address_bound;
    return 0;
}

int identity_load_unit(struct db_conn *c, void *arg)
{
    static int (*const steps[])(struct db_conn *, struct identity_load *) = {
        load_user, load_rights, check_session, check_revoked, check_impersonation};
    struct identity_load *load = arg;
    int r = 0;
    for (size_t i = 0; i < ARRAY_LEN(steps) && r == 0 && load->refused == ERR_NONE; i++)
        r = steps[i](c, load);
    return r;
}
