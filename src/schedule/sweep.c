/* SPDX-License-Identifier: MIT */
/* Every deletion goes by an index on the time, oldest first, so its cost is that of the rows it deletes. On
 * PostgreSQL it passes over rows that others hold: nobody waits for a sweep that waits. */
#include "schedule/sweep.h"

#define PICK(table, key, where) "SELECT " key " FROM " table " WHERE " where " LIMIT ?2"

/* The statement for each engine. */
#define EXPIRED(table, key, where) \
    "DELETE FROM " table " WHERE (" key ") IN (" PICK(table, key, where) ")", \
        "DELETE FROM " table \
        " WHERE ctid = ANY (ARRAY(" PICK(table, "ctid", where) " FOR UPDATE SKIP LOCKED))"

#define OLDEST(table, key, time) EXPIRED(table, key, time " < ?1 ORDER BY " time)

static const struct {
    const char *sqlite, *postgres;
    int64_t kept_ms; /* after that time */
} expired[] = {
    {OLDEST("directus_sessions", "token", "expires"), 0},
    {OLDEST("idempotency_keys", "scope, route, key", "expires_at"), 0},
    {OLDEST("revoked_tokens", "jti", "expires_at"), 0},
    {OLDEST("rate_limits", "bucket", "window_start"), DAY_MS}, /* no window is longer */
    /* a cycle is at most a year and some days, whatever the plan */
    {OLDEST("user_usage_counts", "id", "billing_cycle_start"), 400 * DAY_MS},
    /* a settled hold outlives its job, which the queue keeps for 30 days */
    {EXPIRED("quota_reservations", "id", "status IN ('kept', 'returned') AND date_updated < ?1"),
     90 * DAY_MS},
    /* no job lasts as long, and the queue keeps them for 30 days */
    {OLDEST("browser_jobs", "job_id", "date_created"), 60 * DAY_MS},
};

int sweep_expired(struct db_conn *c, const struct duty_run *run)
{
    int more = 0;
    for (size_t i = 0; i < ARRAY_LEN(expired); i++) {
        char before[ISO_TIME_LEN];
        int64_t deleted;
        clock_format_iso(run->now_ms - expired[i].kept_ms, before);
        int r = db_exec(c, db_sql(c, expired[i].sqlite, expired[i].postgres),
                        DB_ARGS(DB_TEXT(before), DB_INT(run->batch)), &deleted);
        if (r < 0)
            return r;
        more |= deleted >= run->batch;
    }
    return more;
}
