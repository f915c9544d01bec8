/* SPDX-License-Identifier: MIT */
#include "schedule/sweep.h"

#include "../db/store.h"

#define BATCH 3

static int step_unit(struct db_conn *c, void *run)
{
    return sweep_expired(c, run);
}

/* Sweeps to the end; how many steps it took. */
static int sweep(struct store *s)
{
    struct duty_run run = {.batch = BATCH};
    assert_int_equal(clock_parse_iso("2026-03-13T10:00:00.000Z", &run.now_ms), 0);
    int steps = 1, r;
    while ((r = db_write(s->db, step_unit, &run)) > 0)
        steps++;
    assert_int_equal(r, 0);
    return steps;
}

static const char *const rows[] = {
    "INSERT INTO directus_users (id, email) VALUES ('00000000-0000-4000-8000-000000000001', 'a@b.co')",
    "INSERT INTO directus_sessions (token, \"user\", expires) VALUES "
    "('live', '00000000-0000-4000-8000-000000000001', '2026-03-13T10:00:00.001Z'), "
    "('dead', '00000000-0000-4000-8000-000000000001', '2026-03-13T09:59:59.999Z')",
    "INSERT INTO idempotency_keys (scope, route, key, body_hash, expires_at) VALUES "
    "('s', 'r', 'live', 'h', '2026-03-14T09:00:00.000Z'), ('s', 'r', 'dead', 'h', "
    "'2026-03-13T09:00:00.000Z'), "
    "('s', 'r2', 'dead', 'h', '2026-03-13T09:00:00.000Z'), ('t', 'r', 'dead', 'h', "
    "'2026-03-13T09:00:00.000Z'), "
    "('t', 'r2', 'dead', 'h', '2026-03-13T09:00:00.000Z')",
    "INSERT INTO revoked_tokens (jti, expires_at) VALUES ('live', '2026-03-13T10:05:00.000Z'), "
    "('dead', '2026-03-13T09:55:00.000Z')",
    "INSERT INTO rate_limits (bucket, window_start, count) VALUES ('live', '2026-03-12T10:15:00.000Z', 1), "
    "('dead', '2026-03-12T09:45:00.000Z', 1)",
    "INSERT INTO user_usage_counts (id, user_id, feature_key, billing_cycle_start) VALUES "
    "('00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-000000000001', 'live', "
    "'2025-03-13T00:00:00.000Z'), "
    "('00000000-0000-4000-8000-00000000000b', '00000000-0000-4000-8000-000000000001', 'dead', "
    "'2025-01-13T00:00:00.000Z')",
    "INSERT INTO quota_reservations (id, user_id, job_id, feature_key, billing_cycle_start, status, "
    "date_updated) VALUES "
    "('00000000-0000-4000-8000-00000000000c', '00000000-0000-4000-8000-000000000001', 'live', 'f', "
    "'2025-03-13T00:00:00.000Z', 'kept', '2026-03-01T00:00:00.000Z'), "
    "('00000000-0000-4000-8000-00000000000d', '00000000-0000-4000-8000-000000000001', 'held', 'f', "
    "'2025-03-13T00:00:00.000Z', 'held', '2025-03-13T00:00:00.000Z'), "
    "('00000000-0000-4000-8000-00000000000e', '00000000-0000-4000-8000-000000000001', 'dead', 'f', "
    "'2025-03-13T00:00:00.000Z', 'returned', '2025-11-13T00:00:00.000Z')",
    "INSERT INTO impersonations (id, impersonator_id, user_id, expires_at) VALUES "
    "('dead', '00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000001', "
    "'2025-01-01T00:00:00.000Z')",
};

static void what_has_expired_goes(void **state)
{
    struct store *s = *state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(store_exec(s->db, rows[i]), 0);
    assert_int_equal(sweep(s), 2); /* four keys are more than a step takes */
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM directus_sessions WHERE token = 'live'"), 1);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM idempotency_keys WHERE key = 'live'"), 1);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM revoked_tokens WHERE jti = 'live'"), 1);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM rate_limits WHERE bucket = 'live'"), 1);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM user_usage_counts WHERE feature_key = 'live'"),
                     1);
    assert_int_equal(store_int(s->db,
                               "SELECT (SELECT count(*) FROM directus_sessions) + (SELECT count(*) FROM "
                               "idempotency_keys) + (SELECT count(*) FROM revoked_tokens) + (SELECT "
                               "count(*) FROM rate_limits) + (SELECT count(*) FROM user_usage_counts)"),
                     5);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM quota_reservations WHERE job_id = 'dead'"), 0);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM quota_reservations"), 2);
}

static void the_trail_of_impersonations_stays(void **state)
{
    struct store *s = *state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(store_exec(s->db, rows[i]), 0);
    (void)sweep(s);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM impersonations"), 1);
}

static void nothing_to_do_is_one_step(void **state)
{
    assert_int_equal(sweep(*state), 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, store_set_up_migrated, store_tear_down)

static void what_another_holds_is_passed_over(void **state)
{
    struct store *s = *state;
    if (!store_is_postgres())
        skip();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(store_exec(s->db, rows[i]), 0);
    PGconn *other = PQconnectdb(s->url);
    PQclear(PQexec(other, "BEGIN; UPDATE directus_sessions SET expires = expires WHERE token = 'dead'"));
    assert_int_equal(PQtransactionStatus(other), PQTRANS_INTRANS);
    (void)sweep(s);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM directus_sessions"), 2);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM revoked_tokens"), 1);
    PQclear(PQexec(other, "ROLLBACK"));
    PQfinish(other);
    (void)sweep(s);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM directus_sessions"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {T(what_has_expired_goes), T(the_trail_of_impersonations_stays),
                                       T(nothing_to_do_is_one_step), T(what_another_holds_is_passed_over)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
