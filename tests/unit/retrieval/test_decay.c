/* SPDX-License-Identifier: MIT */
#include "retrieval/decay.h"

#include "../db/store.h"

#include <math.h>

#define ANNA "00000000-0000-4000-8000-00000000000a"
#define SLOT "2026-03-13T02:00:00.000Z"

static int set_up(void **state)
{
    (void)store_set_up_migrated(state);
    struct store *s = *state;
    assert_int_equal(
        store_exec(s->db, "INSERT INTO directus_users (id, email) VALUES ('" ANNA "', 'anna@example.com')"),
        0);
    return 0;
}

/* A node that was made, or has last decayed, then. */
static void add(struct store *s, int number, double weight, double rate, const char *made,
                const char *decayed)
{
    char sql[512];
    (void)snprintf(sql, sizeof sql,
                   "INSERT INTO user_nodes (id, user_id, node_type, title, weight, decay_rate, date_created, "
                   "last_decayed_at) VALUES ('00000000-0000-4000-8000-%012d', '" ANNA
                   "', 'content', 'n', %f, %f, '%s', %s%s%s)",
                   number, weight, rate, made, decayed ? "'" : "", decayed ? decayed : "NULL",
                   decayed ? "'" : "");
    assert_int_equal(store_exec(s->db, sql), 0);
}

static int step_unit(struct db_conn *c, void *run)
{
    return decay_nodes(c, run);
}

static int decay(struct store *s, const char *slot, int64_t batch)
{
    struct duty_run run = {.batch = batch};
    int steps = 1, r;
    assert_int_equal(clock_parse_iso(slot, &run.slot_ms), 0);
    run.now_ms = run.slot_ms + 5000;
    clock_format_iso(run.slot_ms, run.slot);
    clock_format_iso(run.now_ms, run.now);
    while ((r = db_write(s->db, step_unit, &run)) > 0)
        steps++;
    assert_int_equal(r, 0);
    return steps;
}

/* In millionths. */
static int64_t weight(struct store *s, int number)
{
    char sql[256];
    (void)snprintf(sql, sizeof sql,
                   "SELECT CAST(ROUND(weight * 1000000) AS bigint) FROM user_nodes "
                   "WHERE id = '00000000-0000-4000-8000-%012d'",
                   number);
    return store_int(s->db, sql);
}

static int64_t is_decayed(struct store *s, int number)
{
    char sql[256];
    (void)snprintf(sql, sizeof sql,
                   "SELECT count(*) FROM user_nodes WHERE status = 'decayed' "
                   "AND id = '00000000-0000-4000-8000-%012d'",
                   number);
    return store_int(s->db, sql);
}

static void weight_falls_by_the_days(void **state)
{
    struct store *s = *state;
    add(s, 1, 0.8, 0.05, "2026-01-01T00:00:00.000Z", "2026-03-12T02:00:00.000Z"); /* a day */
    add(s, 2, 0.8, 0.05, "2026-01-01T00:00:00.000Z", "2026-03-03T02:00:00.000Z"); /* ten */
    add(s, 3, 0.8, 0.05, "2026-03-12T14:00:00.000Z", NULL);                       /* half a day old */
    add(s, 4, 0.8, 0.5, "2026-01-01T00:00:00.000Z", "2026-03-12T02:00:00.000Z");
    add(s, 5, 0.8, 0, "2026-01-01T00:00:00.000Z", NULL);
    add(s, 6, 0.8, 0.05, "2026-03-13T02:00:01.000Z", NULL); /* younger than the slot */
    (void)decay(s, SLOT, 100);
    assert_int_equal(weight(s, 1), llround(0.8 * 0.95 * 1e6));
    assert_int_equal(weight(s, 2), llround(0.8 * pow(0.95, 10) * 1e6));
    assert_int_equal(weight(s, 3), llround(0.8 * sqrt(0.95) * 1e6));
    assert_int_equal(weight(s, 4), 400000);
    assert_int_equal(weight(s, 5), 800000);
    assert_int_equal(weight(s, 6), 800000);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM user_nodes WHERE last_decayed_at = '" SLOT "'"),
                     5);
}

static void under_a_tenth_it_is_decayed(void **state)
{
    struct store *s = *state;
    add(s, 1, 0.104, 0.05, "2026-01-01T00:00:00.000Z", "2026-03-12T02:00:00.000Z");
    add(s, 2, 0.11, 0.05, "2026-01-01T00:00:00.000Z", "2026-03-12T02:00:00.000Z");
    (void)decay(s, SLOT, 100);
    assert_int_equal(is_decayed(s, 1), 1);
    assert_int_equal(is_decayed(s, 2), 0);
    int64_t left = weight(s, 1);
    (void)decay(s, "2026-03-20T02:00:00.000Z", 100);
    assert_int_equal(weight(s, 1), left); /* it rests */
    assert_int_equal(is_decayed(s, 2), 1);
}

static void what_was_given_weight_comes_back(void **state)
{
    struct store *s = *state;
    add(s, 1, 0.1, 0.05, "2026-01-01T00:00:00.000Z", "2026-02-01T02:00:00.000Z");
    add(s, 2, 0.0999, 0.05, "2026-01-01T00:00:00.000Z", "2026-02-01T02:00:00.000Z");
    for (int i = 3; i < 12; i++)
        add(s, i, 0.5, 0.05, "2026-01-01T00:00:00.000Z", "2026-02-01T02:00:00.000Z");
    assert_int_equal(store_exec(s->db, "UPDATE user_nodes SET status = 'decayed'"), 0);
    (void)decay(s, SLOT, 4);
    assert_int_equal(is_decayed(s, 1), 0);
    assert_int_equal(is_decayed(s, 2), 1);
    assert_int_equal(weight(s, 1), 100000);
    assert_int_equal(weight(s, 11), 500000);
    assert_int_equal(decay(s, SLOT, 4), 1);
    (void)decay(s, "2026-03-14T02:00:00.000Z", 4);
    assert_int_equal(weight(s, 11), 475000); /* one day, not forty */
    assert_int_equal(is_decayed(s, 1), 1);
}

static void a_slot_is_done_once_in_steps_of_any_size(void **state)
{
    struct store *s = *state;
    for (int i = 0; i < 25; i++)
        add(s, i, 0.8, 0.05, "2026-01-01T00:00:00.000Z", i % 2 ? "2026-03-12T02:00:00.000Z" : NULL);
    assert_true(decay(s, SLOT, 4) > 6);
    int64_t one = weight(s, 1), other = weight(s, 2);
    assert_int_equal(one, llround(0.8 * 0.95 * 1e6));
    assert_true(other < one);
    assert_int_equal(decay(s, SLOT, 4), 1);
    assert_int_equal(weight(s, 1), one);
    (void)decay(s, "2026-03-14T02:00:00.000Z", 4);
    assert_int_equal(weight(s, 1), llround(0.8 * 0.95 * 0.95 * 1e6));
}

static void nodes_are_written_by_their_ids(void **state)
{
    struct store *s = *state;
    for (int i = 0; i < 8; i++) {
        char decayed[ISO_TIME_LEN];
        (void)snprintf(decayed, sizeof decayed, "2026-03-0%dT02:00:00.000Z", 9 - i);
        add(s, i, 0.8, 0.05, "2026-01-01T00:00:00.000Z", decayed);
    }
    store_note_writes(s->db, "user_nodes", "NEW.id");
    (void)decay(s, SLOT, 100);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM written"), 8);
    assert_int_equal(store_writes_out_of_order(s->db), 0);
}

#define STORE_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, store_tear_down)

int main(void)
{
    log_configure(LOG_ERROR, true);
    const struct CMUnitTest tests[] = {
        STORE_TEST(weight_falls_by_the_days),         STORE_TEST(under_a_tenth_it_is_decayed),
        STORE_TEST(what_was_given_weight_comes_back), STORE_TEST(a_slot_is_done_once_in_steps_of_any_size),
        STORE_TEST(nodes_are_written_by_their_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
