/* SPDX-License-Identifier: MIT */
#include "auth/invites.h"

#include "base/clock.h"
#include "base/text.h"
#include "base/uuid.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ALPHABET "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
#define GROUP 7
#define GROUPS 4
#define LIST_ROW_MAX (16 * 1024)

static void make_code(char *ret)
{
    for (int i = 0; i < GROUPS; i++) {
        random_text(ALPHABET, ret, GROUP);
        ret += GROUP;
        *ret++ = i < GROUPS - 1 ? '-' : '\0';
    }
}

int invite_create(struct db_conn *c, int64_t lifetime_ms, char *code)
{
    char now[ISO_TIME_LEN], end[ISO_TIME_LEN];
    clock_format_iso(clock_now_ms(), now);
    clock_format_iso(clock_now_ms() + lifetime_ms, end);
    make_code(code);
    return db_exec(c,
                   "INSERT INTO invites (code, status, \"createdAt\", \"lastUpdatedAt\", expires_at, "
                   "\"createdBy\") VALUES (?1, 'pending', ?2, ?2, ?3, "
                   "coalesce((SELECT min(id) FROM users WHERE role = 'admin' AND suspended = 0), 0))",
                   DB_ARGS(DB_TEXT(code), DB_TEXT(now), DB_TEXT(lifetime_ms ? end : NULL)), NULL);
}

#define IS_GOOD "code = ?1 AND status = 'pending' AND (expires_at IS NULL OR expires_at > ?2)"

int invite_is_good(struct db_conn *c, const char *code)
{
    int64_t one;
    char now[ISO_TIME_LEN];
    clock_format_iso(clock_now_ms(), now);
    return db_query_int(c, "SELECT 1 FROM invites WHERE " IS_GOOD, DB_ARGS(DB_TEXT(code), DB_TEXT(now)),
                        &one);
}

int invite_claim(struct db_conn *c, const char *code)
{
    int64_t changed = 0;
    char now[ISO_TIME_LEN];
    clock_format_iso(clock_now_ms(), now);
    int r = db_exec(c, "UPDATE invites SET status = 'claimed', \"lastUpdatedAt\" = ?2 WHERE " IS_GOOD,
                    DB_ARGS(DB_TEXT(code), DB_TEXT(now)), &changed);
    return r < 0 ? r : changed > 0;
}

int invite_claimed_by(struct db_conn *c, const char *code, int64_t anythingllm_user_id)
{
    return db_exec(c, "UPDATE invites SET \"claimedBy\" = ?2 WHERE code = ?1 AND status = 'claimed'",
                   DB_ARGS(DB_TEXT(code), DB_INT(anythingllm_user_id)), NULL);
}

int invite_revoke(struct db_conn *c, const char *code)
{
    int64_t changed = 0, one;
    char now[ISO_TIME_LEN];
    clock_format_iso(clock_now_ms(), now);
    int r = db_exec(c,
                    "UPDATE invites SET status = 'disabled', \"lastUpdatedAt\" = ?2"
                    " WHERE code = ?1 AND status <> 'claimed'",
                    DB_ARGS(DB_TEXT(code), DB_TEXT(now)), &changed);
    if (r < 0 || changed > 0)
        return r;
    r = db_query_int(c, "SELECT 1 FROM invites WHERE code = ?1", DB_ARGS(DB_TEXT(code)), &one);
    return r < 0 ? r : r == 0 ? -ENOENT : -EEXIST;
}

/* ---- listing */

static void read_info(struct db_rows *rows, struct arena *a, const char *now, struct invite_info *ret)
{
    const char **texts[] = {&ret->code, &ret->status, &ret->created_at, &ret->expires_at, &ret->claimed_by};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        *texts[i] = db_text_dup(rows, (int)i, a);
    ret->created_by = db_int(rows, (int)ARRAY_LEN(texts));
    if (str_equal(ret->status, "pending") && ret->expires_at && strcmp(ret->expires_at, now) <= 0)
        ret->status = "expired";
}

int invite_each(struct db_conn *c, void (*visit)(void *ctx, const struct invite_info *invite), void *ctx)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    char now[ISO_TIME_LEN];
    clock_format_iso(clock_now_ms(), now);
    int r = db_query(c,
                     "SELECT i.code, i.status, i.\"createdAt\", i.expires_at, coalesce(u.email, a.username),"
                     " i.\"createdBy\" FROM invites i LEFT JOIN users a ON a.id = i.\"claimedBy\""
                     " LEFT JOIN directus_users u ON u.anythingllm_user_id = a.id ORDER BY i.id DESC",
                     DB_NO_ARGS, &rows);
    while (r == 0 && (r = db_next(rows)) > 0) {
        struct arena a;
        struct invite_info info = {0};
        arena_init(&a, LIST_ROW_MAX);
        read_info(rows, &a, now, &info);
        visit(ctx, &info);
        arena_free(&a);
        r = 0;
    }
    return r;
}
