/* SPDX-License-Identifier: MIT */
/* Old rows go in batches, each a unit of its own, so that nobody waits behind them for long. A counter is old
 * when no cycle that began with it can still run, whatever the plan: a year and some days. A settled hold
 * outlives its job, which the queue keeps for 30 days. */
#include "quota/internal.h"

#define DAY_MS (24 * 60 * 60 * INT64_C(1000))
#define COUNTERS_KEPT_MS (400 * DAY_MS)
#define HOLDS_KEPT_MS (90 * DAY_MS)
#define BATCH 500
#define BATCHES_MOST 200

struct batch {
    int64_t now_ms;
    const char *sql; /* with ?1 = before when, ?2 = how many at most */
    int64_t kept_ms;
    int64_t done;
};

static int remove_unit(struct db_conn *c, void *arg)
{
    struct batch *b = arg;
    char before[ISO_TIME_LEN];
    clock_format_iso(b->now_ms - b->kept_ms, before);
    return db_exec(c, b->sql, DB_ARGS(DB_TEXT(before), DB_INT(BATCH)), &b->done);
}

static int expire_unit(struct db_conn *c, void *arg)
{
    struct batch *b = arg;
    int r = holds_expire(c, NULL, b->now_ms);
    b->done = r;
    return r < 0 ? r : 0;
}

/* Until a batch comes back less than full. */
static int repeat(struct db *db, db_fn unit, struct batch *b, int64_t full, int64_t *ret_total)
{
    for (int i = 0; i < BATCHES_MOST; i++) {
        int r = db_write(db, unit, b);
        if (r < 0)
            return r;
        *ret_total += b->done;
        if (b->done < full)
            break;
    }
    return 0;
}

int quota_sweep(struct db *db, int64_t now_ms, struct quota_swept *ret)
{
    *ret = (struct quota_swept){0};
    struct batch expired = {.now_ms = now_ms};
    struct batch settled = {.now_ms = now_ms,
                            .kept_ms = HOLDS_KEPT_MS,
                            .sql = "DELETE FROM quota_reservations WHERE id IN (SELECT id FROM"
                                   " quota_reservations WHERE status IN ('kept', 'returned')"
                                   " AND date_updated < ?1 LIMIT ?2)"};
    struct batch counters = {.now_ms = now_ms,
                             .kept_ms = COUNTERS_KEPT_MS,
                             .sql = "DELETE FROM user_usage_counts WHERE id IN (SELECT id FROM"
                                    " user_usage_counts WHERE billing_cycle_start < ?1 LIMIT ?2)"};
    int r = repeat(db, expire_unit, &expired, HOLDS_AT_ONCE, &ret->holds_returned);
    if (r == 0)
        r = repeat(db, remove_unit, &settled, BATCH, &ret->holds_removed);
    if (r == 0)
        r = repeat(db, remove_unit, &counters, BATCH, &ret->counters_removed);
    return r;
}
