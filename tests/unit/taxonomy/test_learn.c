/* SPDX-License-Identifier: MIT */
#include "taxonomies.h"

#include "taxonomy/learn.h"

#include <math.h>

#define BASE \
    "{'nodes':[{'type':'tag','name':'a'},{'type':'tag','name':'b'},{'type':'tag','name':'c'}," \
    "{'type':'category','name':'k'}],'edges':[{'type':'CO_OCCURS','source':'a','target':'b','weight':0.5}," \
    "{'type':'CO_OCCURS','source':'b','target':'c','weight':0.01},{'type':'HAS_TAG','source':'k','target':'" \
    "a'}]}"

static struct duty_run run_at(int64_t slot_ms, int64_t batch)
{
    struct duty_run run = {.slot_ms = slot_ms, .now_ms = slot_ms + 1000, .batch = batch};
    clock_format_iso(run.slot_ms, run.slot);
    clock_format_iso(run.now_ms, run.now);
    return run;
}

static int step_unit(struct db_conn *c, void *run)
{
    return taxonomy_learn(c, run);
}

/* To the end; how many steps it took. */
static int learn(struct store *s, struct duty_run run)
{
    int steps = 1, r;
    while ((r = db_write(s->db, step_unit, &run)) > 0)
        steps++;
    assert_int_equal(r, 0);
    return steps;
}

static void remember(struct store *s, const char *const *names, size_t n)
{
    struct taxonomy_term items[TAXONOMY_TAGS_MOST] = {0};
    for (size_t i = 0; i < n; i++)
        items[i].name = names[i];
    assert_int_equal(taxonomy_remember(s->db, &(struct taxonomy_terms){items, n}), 0);
}

/* In thousandths of thousandths; -1 where there is none. */
static int64_t weight_of(struct store *s, const char *a, const char *b)
{
    char sql[512];
    (void)snprintf(
        sql, sizeof sql,
        "SELECT COALESCE(CAST(ROUND(MAX(e.weight) * 1000000) AS bigint), -1) FROM taxonomy_edges e "
        "JOIN taxonomy_nodes x ON x.id = e.source JOIN taxonomy_nodes y ON y.id = e.target "
        "WHERE (x.name = '%s' AND y.name = '%s') OR (x.name = '%s' AND y.name = '%s')",
        a, b, b, a);
    return store_int(s->db, sql);
}

/* The next slot lies after all that has been written by now. */
static int64_t tomorrow(void)
{
    return (clock_now_ms() / DAY_MS + 1) * DAY_MS;
}

static void pairs_grow_and_all_edges_fade(void **state)
{
    struct store *s = *state;
    struct taxonomy_import imported = {0};
    assert_int_equal(import_text(s->db, BASE, &imported), 0);
    remember(s, (const char *const[]){"a", "b"}, 2);
    remember(s, (const char *const[]){"a", "c", "gone"}, 3);
    remember(s, (const char *const[]){"a"}, 1); /* nothing to learn from */
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM taxonomy_tag_sets"), 2);
    (void)learn(s, run_at(tomorrow(), 100));
    assert_int_equal(weight_of(s, "a", "b"), llround((0.5 * TAXONOMY_FADE + TAXONOMY_DELTA) * 1e6));
    assert_int_equal(weight_of(s, "a", "c"), llround(TAXONOMY_DELTA * 1e6)); /* new */
    assert_int_equal(weight_of(s, "b", "c"), -1);                            /* too faint to be kept */
    assert_int_equal(weight_of(s, "k", "a"), 1000000);                       /* no co-occurrence */
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM taxonomy_tag_sets"), 0);
}

static void a_slot_is_done_once(void **state)
{
    struct store *s = *state;
    struct taxonomy_import imported = {0};
    assert_int_equal(import_text(s->db, BASE, &imported), 0);
    remember(s, (const char *const[]){"a", "b"}, 2);
    struct duty_run run = run_at(tomorrow(), 100);
    (void)learn(s, run);
    int64_t once = weight_of(s, "a", "b");
    (void)learn(s, run);
    assert_int_equal(weight_of(s, "a", "b"), once);
    (void)learn(s, run_at(run.slot_ms + DAY_MS, 100));
    assert_int_equal(weight_of(s, "a", "b"), llround((double)once * TAXONOMY_FADE));
}

/* What came after the slot belongs to the next. */
static void later_sets_wait(void **state)
{
    struct store *s = *state;
    struct taxonomy_import imported = {0};
    assert_int_equal(import_text(s->db, BASE, &imported), 0);
    remember(s, (const char *const[]){"a", "c"}, 2);
    (void)learn(s, run_at(tomorrow() - 2 * DAY_MS, 100));
    assert_int_equal(weight_of(s, "a", "b"), 500000);
    assert_int_equal(weight_of(s, "a", "c"), -1);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM taxonomy_tag_sets"), 1);
}

static void small_steps_come_to_the_same(void **state)
{
    struct store *s = *state;
    import_sample(s->db);
    for (int i = 0; i < 25; i++)
        remember(s, (const char *const[]){"beach", "swimwear", "knitting"}, 3);
    int64_t before = weight_of(s, "beach", "swimwear");
    assert_true(learn(s, run_at(tomorrow(), 20)) > 10);
    int64_t after = weight_of(s, "beach", "swimwear");
    assert_true(after == 1000000 && before < after); /* at most 1 */
    assert_int_equal(weight_of(s, "beach", "knitting"), 1000000);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM taxonomy_edges WHERE weight > 1"), 0);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM taxonomy_tag_sets"), 0);
}

#define STORE_TEST(f) cmocka_unit_test_setup_teardown(f, store_set_up_migrated, store_tear_down)

int main(void)
{
    log_configure(LOG_ERROR, true);
    const struct CMUnitTest tests[] = {
        STORE_TEST(pairs_grow_and_all_edges_fade),
        STORE_TEST(a_slot_is_done_once),
        STORE_TEST(later_sets_wait),
        STORE_TEST(small_steps_come_to_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
