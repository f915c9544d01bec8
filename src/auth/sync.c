/* SPDX-License-Identifier: MIT */
/* AnythingLLM's flag of suspension follows Directus only when Directus says that the status was changed. An
 * update of something else must not lift a suspension that was given on this side, and users may cause such
 * updates of themselves. */
#include "auth/sync.h"

#include "auth/rights.h"
#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct syncing {
    struct sync_user *users[SYNC_USERS_MAX];
    size_t n;
    bool status;
    char now[ISO_TIME_LEN];
};

struct found {
    char role_id[UUID_SIZE]; /* "" = none */
    bool suspended;
};

/* 1 and the row, 0 none, or the store's error. */
static int look(struct db_conn *c, struct sync_user *u, struct found *ret)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c,
                     "SELECT u.role, r.name, u.status, a.id FROM directus_users u"
                     " LEFT JOIN directus_roles r ON r.id = u.role"
                     " LEFT JOIN users a ON a.id = u.anythingllm_user_id WHERE u.id = ?1",
                     DB_ARGS(DB_TEXT(u->user_id)), &rows);
    if (r == 0)
        r = db_next(rows);
    if (r <= 0)
        return r;
    const char *role_id = db_text(rows, 0), *status = db_text(rows, 2);
    (void)snprintf(ret->role_id, sizeof ret->role_id, "%s", role_id ? role_id : "");
    ret->suspended = str_equal(status, "suspended") || str_equal(status, "archived");
    u->read_only = str_equal(db_text(rows, 1), "Viewer");
    u->anythingllm_user_id = db_int(rows, 3);
    return 1;
}

static int carry_over(struct db_conn *c, const struct syncing *s, const struct sync_user *u,
                      const struct found *found)
{
    int r = db_exec(c, "UPDATE users SET role = ?2, \"lastUpdatedAt\" = ?3 WHERE id = ?1 AND role <> ?2",
                    DB_ARGS(DB_INT(u->anythingllm_user_id), DB_TEXT(u->role), DB_TEXT(s->now)), NULL);
    if (r < 0 || !s->status)
        return r;
    return db_exec(
        c, "UPDATE users SET suspended = ?2, \"lastUpdatedAt\" = ?3 WHERE id = ?1 AND suspended <> ?2",
        DB_ARGS(DB_INT(u->anythingllm_user_id), DB_INT(found->suspended), DB_TEXT(s->now)), NULL);
}

/* Changes nothing, but tells the other servers of whom they must load anew: Directus itself doesn't. */
static int touch(struct db_conn *c, const struct sync_user *u)
{
    return db_exec(c, "UPDATE directus_users SET role = role WHERE id = ?1", DB_ARGS(DB_TEXT(u->user_id)),
                   NULL);
}

static int sync_one(struct db_conn *c, const struct syncing *s, struct sync_user *u)
{
    struct found found;
    struct rights rights;
    u->outcome = SYNC_NO_SUCH_USER;
    int r = touch(c, u);
    if (r == 0)
        r = look(c, u, &found);
    if (r <= 0)
        return r;
    u->outcome = u->anythingllm_user_id ? SYNC_DONE : SYNC_NO_ANYTHINGLLM_USER;
    r = rights_load(c, u->user_id, found.role_id[0] ? found.role_id : NULL, NULL, &rights);
    if (r < 0 || u->outcome != SYNC_DONE)
        return r;
    u->role = rights.admin ? "admin" : "default";
    u->read_only &= !rights.admin;
    return carry_over(c, s, u, &found);
}

static int sync_unit(struct db_conn *c, void *arg)
{
    const struct syncing *s = arg;
    int r = 0;
    if (s->n == 1)
        db_concerns(c, s->users[0]->user_id);
    for (size_t i = 0; i < s->n && r == 0; i++)
        r = sync_one(c, s, s->users[i]);
    return r;
}

static int by_id(const void *a, const void *b)
{
    const struct sync_user *const *x = a, *const *y = b;
    return strcmp((*x)->user_id, (*y)->user_id);
}

/* In one order whoever asks: see docs/store.md on units that write several rows. */
static void choose_users(struct syncing *s, struct sync_ask *ask)
{
    for (size_t i = 0; i < ask->n; i++)
        if (ask->users[i].outcome != SYNC_INVALID_ID)
            s->users[s->n++] = &ask->users[i];
    qsort(s->users, s->n, sizeof *s->users, by_id);
}

int sync_users(struct auth *auth, struct db *db, struct sync_ask *ask)
{
    struct syncing s = {.status = ask->status};
    if (ask->n > SYNC_USERS_MAX)
        return -EINVAL;
    choose_users(&s, ask);
    clock_format_iso(clock_now_ms(), s.now);
    int r = db_write(db, sync_unit, &s);
    for (size_t i = 0; i < s.n; i++)
        auth_forget(auth, s.users[i]->user_id);
    return r < 0 ? r : 0;
}
