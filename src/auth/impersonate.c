/* SPDX-License-Identifier: MIT */
#include "auth/impersonate.h"

#include "auth/rights.h"
#include "auth/token.h"
#include "base/clock.h"
#include "base/text.h"

#include <errno.h>

struct beginning {
    struct impersonation *i;
    char now[ISO_TIME_LEN], expires[ISO_TIME_LEN];
    bool app_access;
};

/* ---- beginning */

static const char *copy(struct beginning *b, struct db_rows *rows, int col)
{
    return db_text_dup(rows, col, b->i->arena);
}

/* The target and what is against it; a missing one is an outcome. */
static int look(struct db_conn *c, struct beginning *b)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    struct impersonation *i = b->i;
    int r = db_query(c,
                     "SELECT u.email, u.role, r.name, u.status, a.suspended FROM directus_users u"
                     " LEFT JOIN directus_roles r ON r.id = u.role"
                     " LEFT JOIN users a ON a.id = u.anythingllm_user_id WHERE u.id = ?1",
                     DB_ARGS(DB_TEXT(i->user_id)), &rows);
    if (r == 0)
        r = db_next(rows);
    i->outcome = IMPERSONATION_NO_SUCH_USER;
    if (r <= 0)
        return r;
    bool active = str_equal(db_text(rows, 3), "active") && db_int(rows, 4) == 0;
    i->outcome = active ? IMPERSONATION_OK : IMPERSONATION_OF_INACTIVE;
    i->email = copy(b, rows, 0);
    i->role_id = copy(b, rows, 1);
    i->role = copy(b, rows, 2);
    return 0;
}

static int begin_unit(struct db_conn *c, void *arg)
{
    struct beginning *b = arg;
    struct impersonation *i = b->i;
    struct rights rights = {0};
    db_concerns(c, i->user_id);
    int r = look(c, b);
    if (r == 0 && i->outcome != IMPERSONATION_NO_SUCH_USER)
        r = rights_load(c, i->user_id, i->role_id, i->ip, &rights);
    if (rights.admin)
        i->outcome = IMPERSONATION_OF_ADMIN;
    b->app_access = rights.app;
    if (r < 0 || i->outcome != IMPERSONATION_OK)
        return r;
    return db_exec(c,
                   "INSERT INTO impersonations (id, impersonator_id, user_id, reason, ip, request_id,"
                   " expires_at, date_created) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                   DB_ARGS(DB_TEXT(i->id), DB_TEXT(i->admin->user_id), DB_TEXT(i->user_id),
                           DB_TEXT(i->reason), DB_TEXT(i->ip), DB_TEXT(i->request_id), DB_TEXT(b->expires),
                           DB_TEXT(b->now)),
                   NULL);
}

int impersonation_begin(struct db *db, const struct config *cfg, struct impersonation *i)
{
    struct beginning b = {.i = i};
    int64_t now_s = clock_now_ms() / 1000;
    uuid_make(i->id);
    clock_format_iso(now_s * 1000, b.now);
    clock_format_iso((now_s + IMPERSONATION_TTL_S) * 1000, b.expires);
    int r = db_write(db, begin_unit, &b);
    if (r < 0 || i->outcome != IMPERSONATION_OK)
        return r < 0 ? r : 0;
    struct token_keys keys = {.directus = cfg->directus_secret};
    struct token_spec spec = {.user_id = i->user_id,
                              .role_id = i->role_id,
                              .app_access = b.app_access,
                              .jti = i->id,
                              .impersonated_by = i->admin->user_id,
                              .now_s = now_s,
                              .lifetime_s = IMPERSONATION_TTL_S};
    i->token = token_sign(i->arena, &keys, &spec);
    return i->token ? 0 : -ENOMEM;
}

/* ---- the end */

struct ending {
    const char *id, *user_id;
    char now[ISO_TIME_LEN];
    int64_t ended;
};

#define END_SQL "UPDATE impersonations SET ended_at = ?2 WHERE ended_at IS NULL AND expires_at > ?2 AND "

static int end_unit(struct db_conn *c, void *arg)
{
    struct ending *e = arg;
    if (e->id)
        return db_exec(c, END_SQL "id = ?1", DB_ARGS(DB_TEXT(e->id), DB_TEXT(e->now)), &e->ended);
    db_concerns(c, e->user_id);
    return db_exec(c, END_SQL "user_id = ?1", DB_ARGS(DB_TEXT(e->user_id), DB_TEXT(e->now)), &e->ended);
}

int impersonation_end(struct auth *auth, struct db *db, const char *id, const char *user_id,
                      int64_t *ret_ended)
{
    struct ending e = {.id = id, .user_id = user_id};
    clock_format_iso(clock_now_ms(), e.now);
    int r = db_write(db, end_unit, &e);
    auth_forget(auth, user_id);
    if (r < 0)
        return r;
    *ret_ended = e.ended;
    return 0;
}
