/* SPDX-License-Identifier: MIT */
#include "schedule/leader.h"

#include "base/clock.h"
#include "base/text.h"

#include <errno.h>

void leader_init(struct leader *l, struct db *db, const char *name, int64_t lease_ms)
{
    *l = (struct leader){.db = db, .name = name, .lease_ms = lease_ms};
    uuid_make(l->id);
}

/* How long a holder counts on its lease. */
static int64_t good_for_ms(const struct leader *l)
{
    return l->lease_ms - l->lease_ms / 6;
}

enum holder { NOBODY, WE, OTHERS };

static int read_holder(struct db_conn *c, const struct leader *l, int64_t now_ms, enum holder *ret)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int64_t ends_ms;
    int r = db_query(c, "SELECT holder, expires_at FROM leader_leases WHERE name = ?1",
                     DB_ARGS(DB_TEXT(l->name)), &rows);
    if (r == 0)
        r = db_next(rows);
    if (r < 0)
        return r;
    *ret = NOBODY;
    if (r == 0 || db_is_null(rows, 0) || db_is_null(rows, 1) ||
        clock_parse_iso(db_text(rows, 1), &ends_ms) < 0)
        return 0;
    if (ends_ms > now_ms && ends_ms <= now_ms + LEADER_LEASE_MOST_MS)
        *ret = str_equal(db_text(rows, 0), l->id) ? WE : OTHERS;
    return 0;
}

struct look {
    struct leader *l;
    int64_t store_ms;
    enum holder holder;
};

static int look_unit(struct db_conn *c, void *arg)
{
    struct look *look = arg;
    int r = db_now(c, &look->store_ms);
    return r < 0 ? r : read_holder(c, look->l, look->store_ms, &look->holder);
}

/* Two that find it free write the same row: one of them is run again, and finds it taken. */
static int take_unit(struct db_conn *c, void *arg)
{
    struct look *look = arg;
    const struct leader *l = look->l;
    char ends[ISO_TIME_LEN];
    db_limit(c, (int)(l->lease_ms - good_for_ms(l)));
    int r = look_unit(c, look);
    if (r < 0 || look->holder == OTHERS)
        return r;
    clock_format_iso(look->store_ms + l->lease_ms, ends);
    r = db_exec(c,
                "INSERT INTO leader_leases (name, holder, expires_at) VALUES (?1, ?2, ?3) "
                "ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at",
                DB_ARGS(DB_TEXT(l->name), DB_TEXT(l->id), DB_TEXT(ends)), NULL);
    return r < 0 ? r : 1;
}

int leader_take(struct leader *l)
{
    struct look look = {.l = l};
    int64_t asked_ms = clock_monotonic_ms();
    int r = db_write(l->db, take_unit, &look);
    if (r < 0)
        return r;
    l->until_ms = r > 0 ? asked_ms + good_for_ms(l) : 0;
    l->store_ahead = look.store_ms - clock_monotonic_ms();
    return r;
}

int leader_free(struct leader *l)
{
    struct look look = {.l = l};
    int r = db_read(l->db, look_unit, &look);
    return r < 0 ? r : look.holder != OTHERS;
}

bool leader_holds(const struct leader *l)
{
    return clock_monotonic_ms() < l->until_ms;
}

static int release_unit(struct db_conn *c, void *arg)
{
    const struct leader *l = arg;
    return db_exec(
        c, "UPDATE leader_leases SET holder = NULL, expires_at = NULL WHERE name = ?1 AND holder = ?2",
        DB_ARGS(DB_TEXT(l->name), DB_TEXT(l->id)), NULL);
}

int leader_release(struct leader *l)
{
    bool held = leader_holds(l);
    l->until_ms = 0;
    return held ? db_write(l->db, release_unit, l) : 0;
}

int leader_confirm(struct db_conn *c, const struct leader *l, int64_t *ret_now_ms)
{
    struct look look = {.l = (struct leader *)l};
    int r = look_unit(c, &look);
    if (r < 0)
        return r;
    *ret_now_ms = look.store_ms;
    return look.holder == WE;
}
