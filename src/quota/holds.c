/* SPDX-License-Identifier: MIT */
/* Reservations. A hold says where its units were counted, so they go back to that cycle. That it goes from
 * `held` to one of its ends is one UPDATE, which happens once: who finds it changed has nothing left to do.
 */
#include "quota/internal.h"

#include <errno.h>
#include <string.h>

struct hold {
    char id[QUOTA_HOLD_ID_MAX + 1];
    char user_id[UUID_SIZE], feature_key[TIERS_NAME_MAX + 1], cycle_start[ISO_TIME_LEN];
    int64_t amount;
};

#define HOLD_COLUMNS \
    "SELECT job_id, user_id, feature_key, billing_cycle_start, amount FROM quota_reservations"

static void copy_text(char *to, size_t size, const char *from)
{
    (void)snprintf(to, size, "%s", from ? from : "");
}

static void read_hold(struct db_rows *rows, struct hold *ret)
{
    copy_text(ret->id, sizeof ret->id, db_text(rows, 0));
    copy_text(ret->user_id, sizeof ret->user_id, db_text(rows, 1));
    copy_text(ret->feature_key, sizeof ret->feature_key, db_text(rows, 2));
    copy_text(ret->cycle_start, sizeof ret->cycle_start, db_text(rows, 3));
    ret->amount = db_int(rows, 4);
}

static int add_hold(struct db_conn *c, const struct quota_ask *ask, const struct plan *plan,
                    const char *hold_id, int64_t lease_ms)
{
    char id[UUID_SIZE], now[ISO_TIME_LEN], expires[ISO_TIME_LEN];
    int64_t now_ms = ask->now_ms ? ask->now_ms : clock_now_ms();
    uuid_make(id);
    clock_format_iso(now_ms, now);
    clock_format_iso(now_ms + lease_ms, expires);
    return db_exec(c,
                   "INSERT INTO quota_reservations (id, user_id, job_id, feature_key, billing_cycle_start,"
                   " amount, status, expires_at, date_created, date_updated)"
                   " VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'held', ?7, ?8, ?8)",
                   DB_ARGS(DB_TEXT(id), DB_TEXT(ask->user_id), DB_TEXT(hold_id),
                           DB_TEXT(features[ask->feature].key), DB_TEXT(plan->cycle_start),
                           DB_INT(ask->amount), DB_TEXT(lease_ms > 0 ? expires : NULL), DB_TEXT(now)),
                   NULL);
}

int quota_reserve_in(struct quota *q, struct db_conn *c, const struct quota_ask *ask, const char *hold_id,
                     int64_t lease_ms, struct quota_outcome *ret)
{
    struct plan plan;
    bool counted;
    int r = take_counted(q, c, ask, &plan, &counted, ret);
    if (r == 0 && (strlen(hold_id) > QUOTA_HOLD_ID_MAX || lease_ms < 0 || ask->amount > INT32_MAX))
        r = -EINVAL;
    return r == 0 && counted ? add_hold(c, ask, &plan, hold_id, lease_ms) : r;
}

/* 1 if this call ended it. */
static int end_hold(struct db_conn *c, const struct hold *h, int64_t kept)
{
    char now[ISO_TIME_LEN];
    int64_t changed;
    if (kept > h->amount)
        kept = h->amount;
    clock_format_iso(clock_now_ms(), now);
    int r = db_exec(c,
                    "UPDATE quota_reservations SET status = ?2, amount = ?3, date_updated = ?4"
                    " WHERE job_id = ?1 AND status = 'held'",
                    DB_ARGS(DB_TEXT(h->id), DB_TEXT(kept > 0 ? "kept" : "returned"),
                            DB_INT(kept > 0 ? kept : h->amount), DB_TEXT(now)),
                    &changed);
    if (r < 0 || changed == 0)
        return r < 0 ? r : 0;
    if (kept < h->amount)
        r = counter_lower(c, h->user_id, h->feature_key, h->cycle_start, h->amount - kept);
    return r < 0 ? r : 1;
}

int quota_settle_in(struct db_conn *c, const char *hold_id, int64_t kept)
{
    struct hold h;
    if (kept < 0)
        return -EINVAL;
    struct db_rows *rows = NULL;
    int r =
        db_query(c, HOLD_COLUMNS " WHERE job_id = ?1 AND status = 'held'", DB_ARGS(DB_TEXT(hold_id)), &rows);
    if (r == 0)
        r = db_next(rows);
    if (r > 0)
        read_hold(rows, &h);
    db_rows_free(rows);
    return r > 0 ? end_hold(c, &h, kept) : r;
}

/* The first that are over, in the order in which they ended. */
static int find_expired(struct db_conn *c, const char *user_id, const char *now, struct hold *ret,
                        size_t *ret_n)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    const char *sql = user_id ? HOLD_COLUMNS " WHERE status = 'held' AND expires_at < ?1 AND user_id = ?3"
                                             " ORDER BY expires_at, job_id LIMIT ?2"
                              : HOLD_COLUMNS " WHERE status = 'held' AND expires_at < ?1"
                                             " ORDER BY expires_at, job_id LIMIT ?2";
    const struct db_value args[] = {DB_TEXT(now), DB_INT(HOLDS_AT_ONCE), DB_TEXT(user_id)};
    int r = db_query(c, sql, args, user_id ? 3 : 2, &rows);
    size_t n = 0;
    if (r < 0)
        return r;
    while (n < HOLDS_AT_ONCE && (r = db_next(rows)) > 0)
        read_hold(rows, &ret[n++]);
    *ret_n = n;
    return r < 0 ? r : 0;
}

int holds_expire(struct db_conn *c, const char *user_id, int64_t now_ms)
{
    char now[ISO_TIME_LEN];
    size_t n = 0;
    int ended = 0;
    _cleanup_free_ struct hold *holds = calloc(HOLDS_AT_ONCE, sizeof *holds);
    if (!holds)
        return -ENOMEM;
    clock_format_iso(now_ms, now);
    int r = find_expired(c, user_id, now, holds, &n);
    for (size_t i = 0; i < n && r >= 0; i++) {
        r = end_hold(c, &holds[i], QUOTA_RETURN_ALL);
        ended += r > 0;
    }
    return r < 0 ? r : ended;
}

int quota_expire_in(struct db_conn *c, int64_t now_ms)
{
    int ended = holds_expire(c, NULL, now_ms);
    return ended < 0 ? ended : ended == HOLDS_AT_ONCE;
}
