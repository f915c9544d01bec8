/* SPDX-License-Identifier: MIT */
/* Duties whose effects can be counted, done by schedules of which each stands for a server. */
#include "schedule/schedule.h"

#include "../db/store.h"

#include "base/metrics.h"

#include <errno.h>
#include <stdatomic.h>

#define LEASE_MS 1500
#define ROWS 60
#define PATIENCE_MS 20000

static struct {
    atomic_int tries, steps;
    atomic_bool broken;
} seen;

/* An effect that is no longer right when it is done twice. */
static int count_step(struct db_conn *c, const struct duty_run *run)
{
    atomic_fetch_add(&seen.steps, 1);
    return db_exec(
        c,
        "INSERT INTO rate_limits (bucket, window_start, count) VALUES ('counted', ?1, 1) ON CONFLICT "
        "(bucket) DO UPDATE SET count = rate_limits.count + 1",
        DB_ARGS(DB_TEXT(run->slot)), NULL);
}

/* Adds 1 to each row that hasn't had its turn in this slot, a few a step. */
static int rows_step(struct db_conn *c, const struct duty_run *run)
{
    int64_t changed;
    atomic_fetch_add(&seen.steps, 1);
    (void)usleep(5000);
    int r =
        db_exec(c,
                "UPDATE rate_limits SET count = count + 1, window_start = ?1 WHERE bucket IN (SELECT bucket "
                "FROM rate_limits WHERE window_start < ?1 ORDER BY bucket LIMIT ?2)",
                DB_ARGS(DB_TEXT(run->slot), DB_INT(run->batch)), &changed);
    return r < 0 ? r : changed >= run->batch;
}

static int broken_step(struct db_conn *c, const struct duty_run *run)
{
    int r = count_step(c, run);
    atomic_fetch_add(&seen.tries, 1);
    return r == 0 && atomic_load(&seen.broken) ? -EIO : r;
}

static const struct duty counted[] = {
    {.name = "count", DAILY_AT(0, 0), .step = count_step, .batch = 1, .limit_ms = 1000}, {.name = NULL}};
static const struct duty in_steps[] = {
    {.name = "rows", DAILY_AT(0, 0), .step = rows_step, .batch = 2, .limit_ms = 60000}, {.name = NULL}};
static const struct duty broken_first[] = {
    {.name = "broken", DAILY_AT(0, 0), .step = broken_step, .batch = 1, .limit_ms = 1000},
    {.name = "rows", DAILY_AT(0, 0), .step = rows_step, .batch = 100, .limit_ms = 1000},
    {.name = NULL}};

static struct schedule *start(struct store *s, const struct duty *table)
{
    struct schedule *schedule = NULL;
    struct schedule_options options = {.db = s->db, .duties = table, .lease_ms = LEASE_MS};
    assert_int_equal(schedule_start(&options, &schedule), 0);
    return schedule;
}

static void await(struct db *db, const char *sql, int64_t value)
{
    int64_t until = clock_monotonic_ms() + PATIENCE_MS;
    while (store_int(db, sql) != value && clock_monotonic_ms() < until)
        usleep(5000);
    assert_int_equal(store_int(db, sql), value);
}

/* Says that the duty was last done long ago: it was missed many times. */
static void miss(struct store *s, const char *name)
{
    char sql[200];
    (void)snprintf(
        sql, sizeof sql,
        "INSERT INTO leader_leases (name, last_run_at) VALUES ('duty %s', '2020-01-01T00:00:00.000Z') "
        "ON CONFLICT (name) DO UPDATE SET last_run_at = excluded.last_run_at",
        name);
    assert_int_equal(store_exec(s->db, sql), 0);
}

static int set_up(void **state)
{
    atomic_store(&seen.tries, 0);
    atomic_store(&seen.steps, 0);
    atomic_store(&seen.broken, false);
    return store_set_up_migrated(state);
}

#define TIMES "SELECT coalesce((SELECT count FROM rate_limits WHERE bucket = 'counted'), 0)"
#define DONE_TODAY "SELECT count(*) FROM leader_leases WHERE name LIKE 'duty%' AND last_run_at > '2021-01-01'"

static void what_was_missed_is_made_up_once(void **state)
{
    struct store *s = *state;
    miss(s, "count");
    struct schedule *one = start(s, counted), *two = start(s, counted);
    await(s->db, DONE_TODAY, 1);
    usleep(2 * LEASE_MS * 1000 / 3); /* a renewal */
    assert_int_equal(store_int(s->db, TIMES), 1);
    schedule_stop(one);
    schedule_stop(two);
    struct schedule *three = start(s, counted);
    await(s->db, "SELECT count(*) FROM leader_leases WHERE name = 'schedule' AND holder IS NOT NULL", 1);
    schedule_stop(three);
    assert_int_equal(store_int(s->db, TIMES), 1);
}

static void a_new_duty_has_missed_nothing(void **state)
{
    struct store *s = *state;
    struct schedule *one = start(s, counted);
    await(s->db, DONE_TODAY, 1);
    schedule_stop(one);
    assert_int_equal(store_int(s->db, TIMES), 0);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM leader_leases WHERE name = 'schedule' AND "
                                      "holder IS NULL AND expires_at IS NULL"),
                     1);
}

static void an_operator_can_ask_for_a_run(void **state)
{
    struct store *s = *state;
    struct schedule *one = start(s, counted);
    await(s->db, DONE_TODAY, 1);
    assert_int_equal(
        store_exec(s->db, "UPDATE leader_leases SET last_run_at = NULL WHERE name = 'duty count'"), 0);
    await(s->db, TIMES, 1);
    schedule_stop(one);
    assert_int_equal(store_int(s->db, TIMES), 1);
    assert_int_equal(store_int(s->db, DONE_TODAY), 1);
}

static void add_rows(struct store *s)
{
    for (int i = 0; i < ROWS; i++) {
        char sql[160];
        (void)snprintf(
            sql, sizeof sql,
            "INSERT INTO rate_limits (bucket, window_start) VALUES ('b%03d', '2020-01-01T00:00:00.000Z')", i);
        assert_int_equal(store_exec(s->db, sql), 0);
    }
}

/* One that stops and starts again takes the lease from the other in the midst of the run. */
static void a_run_is_done_once_whoever_leads(void **state)
{
    struct store *s = *state;
    add_rows(s);
    miss(s, "rows");
    struct schedule *servers[2] = {start(s, in_steps), start(s, in_steps)};
    for (int i = 0; store_int(s->db, DONE_TODAY) == 0 && i < 1000; i = i + 1) {
        usleep(20000);
        schedule_stop(servers[i % 2]);
        servers[i % 2] = start(s, in_steps);
    }
    schedule_stop(servers[0]);
    schedule_stop(servers[1]);
    assert_int_equal(store_int(s->db, DONE_TODAY), 1);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM rate_limits WHERE count = 1"), ROWS);
    assert_true(atomic_load(&seen.steps) > ROWS / 2);
}

/* What a failed step did is undone, others have their turn, and it isn't tried without rest. */
static void a_failing_duty_hinders_no_other(void **state)
{
    struct store *s = *state;
    add_rows(s);
    miss(s, "broken");
    miss(s, "rows");
    atomic_store(&seen.broken, true);
    int64_t failed = metric_get(METRIC_DUTIES_FAILED);
    struct schedule *one = start(s, broken_first);
    await(s->db, "SELECT count(*) FROM rate_limits WHERE count = 1", ROWS);
    usleep(LEASE_MS * 1000 / 3);
    schedule_stop(one);
    assert_int_equal(atomic_load(&seen.tries), 1);
    assert_int_equal(metric_get(METRIC_DUTIES_FAILED), failed + 1);
    assert_int_equal(store_int(s->db, TIMES), 0);
    atomic_store(&seen.broken, false);
    one = start(s, broken_first);
    await(s->db, TIMES, 1);
    schedule_stop(one);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, store_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_was_missed_is_made_up_once), T(a_new_duty_has_missed_nothing),
        T(an_operator_can_ask_for_a_run),   T(a_run_is_done_once_whoever_leads),
        T(a_failing_duty_hinders_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
