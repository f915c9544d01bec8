/* SPDX-License-Identifier: MIT */
#include "limits/internal.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>

#define SWEEP_EVERY_MS 60000

int limits_open(const struct config *cfg, struct db *db, struct limits **ret)
{
    struct limits *l = calloc(1, sizeof *l);
    if (!l)
        return -ENOMEM;
    *l = (struct limits){.cfg = cfg, .db = db, .refused = rate_memory_new()};
    if (!l->refused) {
        free(l);
        return -ENOMEM;
    }
    *ret = l;
    return 0;
}

void limits_close(struct limits *limits)
{
    while (atomic_load(&limits->sweeping) > 0)
        (void)usleep(2000); /* the store's queue is bounded in time */
    rate_memory_free(limits->refused);
    free(limits);
}

struct http_limits limits_hooks(struct limits *limits)
{
    return (struct http_limits){limits, rate_count_in_store, idempotency_claim_key, idempotency_settle_key,
                                idempotency_release_key};
}

/* The statement for each engine. */
#define DROP_OLDEST(table, time) \
    "DELETE FROM " table " WHERE " time " <= (SELECT max(t.e) FROM (SELECT " time " AS e FROM " table \
    " WHERE " time " <= ?1 ORDER BY " time " LIMIT 5000) t)", \
        "DELETE FROM " table " WHERE ctid = ANY (ARRAY(SELECT ctid FROM " table " WHERE " time \
        " <= ?1 ORDER BY " time " LIMIT 5000 FOR UPDATE SKIP LOCKED))"

/* The oldest first and not too many, passing over those that others hold, so that nobody waits long for it.
 */
static int sweep_unit(struct db_conn *c, void *arg)
{
    char now[ISO_TIME_LEN], longest_window_ago[ISO_TIME_LEN];
    (void)arg;
    clock_format_iso(clock_now_ms(), now);
    clock_format_iso(clock_now_ms() - (int64_t)RATE_WINDOW_MAX_S * 1000, longest_window_ago);
    int r = db_exec(c, db_sql(c, DROP_OLDEST("rate_limits", "window_start")),
                    DB_ARGS(DB_TEXT(longest_window_ago)), NULL);
    return r < 0 ? r
                 : db_exec(c, db_sql(c, DROP_OLDEST("idempotency_keys", "expires_at")), DB_ARGS(DB_TEXT(now)),
                           NULL);
}

static void swept(void *arg, int r)
{
    struct limits *limits = arg;
    (void)r; /* the next one tries again */
    atomic_store(&limits->sweeping, 0);
}

void limits_sweep(struct limits *limits)
{
    long long now = clock_monotonic_ms(), last = atomic_load(&limits->swept_ms);
    if ((last != 0 && now - last < SWEEP_EVERY_MS) ||
        !atomic_compare_exchange_strong(&limits->swept_ms, &last, now))
        return;
    if (atomic_exchange(&limits->sweeping, 1) == 0 &&
        db_write_async(limits->db, sweep_unit, limits, swept) < 0)
        atomic_store(&limits->sweeping, 0);
}
