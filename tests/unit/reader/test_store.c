/* SPDX-License-Identifier: MIT */
#include "../auth/people.h"

#include "base/cleanup.h"
#include "onboarding/state.h"
#include "reader/formats.h"
#include "reader/store.h"

#define JOB "onboard-job-00000000-0000-4000-8000-000000000001"
#define NEXT_JOB "onboard-job-00000000-0000-4000-8000-000000000002"

static char mia[UUID_SIZE];

static int set_up(void **state)
{
    int r = people_set_up(state);
    struct store *s = *state;
    (void)snprintf(mia, sizeof mia, "%s", person(s->db, "mia@example.com", "Creator").user_id);
    run_sql(s->db, "UPDATE user_personas SET onboarding_state = 'PROCESSING' WHERE user_id = '%s'", mia);
    return r;
}

/* So many posts; of every one the next has the same author. */
static void fill(struct corpus *c, int from, int to)
{
    char text[64];
    corpus_init(c);
    for (int i = from; i < to; i++) {
        int len = snprintf(text, sizeof text, "{\"text\":\"post %d\",\"author\":\"mia\"}", i);
        assert_int_equal(format_read_file(c, "posts.json", 1, text, (size_t)len), 0);
    }
}

static struct read_place begin(struct store *s, const char *job)
{
    struct read_place p = {.user_id = mia, .job_id = job};
    _cleanup_free_ char *facts = NULL;
    assert_int_equal(read_begin(s->db, &p, &facts), 0);
    return p;
}

static int64_t count(struct store *s, const char *table)
{
    char sql[128];
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM %s WHERE user_id = '%s'", table, mia);
    return store_int(s->db, sql);
}

static int64_t write_all(struct store *s, struct read_place *p, const struct corpus *c)
{
    int64_t made, all = 0;
    while (p->position < (int64_t)c->n) {
        assert_int_equal(read_write_nodes(s->db, p, c, &made), 0);
        all += made;
    }
    return all;
}

static void test_steps_are_taken_once(void **state)
{
    struct store *s = *state;
    struct corpus c;
    struct corpus_edge *edges;
    size_t n;
    int64_t made;
    fill(&c, 0, 250);
    struct read_place p = begin(s, JOB), other = begin(s, JOB);
    assert_int_equal(p.phase, READ_READ);
    assert_int_equal(read_advance(s->db, &p, READ_NODES, 0, "{\"n\":1}"), 0);
    assert_int_equal(read_advance(s->db, &other, READ_NODES, 0, "{\"n\":2}"), -ECANCELED);
    assert_int_equal(read_write_nodes(s->db, &p, &c, &made), 0);
    assert_int_equal(made, READ_BATCH);

    /* a second run finds the place, and the first one has lost it once the second goes on */
    struct read_place again = begin(s, JOB);
    assert_int_equal(again.phase, READ_NODES);
    assert_int_equal(again.position, READ_BATCH);
    assert_int_equal(read_write_nodes(s->db, &again, &c, &made), 0);
    assert_int_equal(read_write_nodes(s->db, &p, &c, &made), -ECANCELED);
    assert_int_equal(write_all(s, &again, &c), 50);
    assert_int_equal(count(s, "user_nodes"), 250);

    assert_int_equal(corpus_edges(&c, &edges, &n), 0);
    run_sql(s->db, "DELETE FROM user_nodes WHERE content = 'post 7'"); /* meanwhile, by its owner */
    assert_int_equal(read_advance(s->db, &again, READ_EDGES, 0, NULL), 0);
    while (again.position < (int64_t)n)
        assert_int_equal(read_write_edges(s->db, &again, &c, edges, n, &made), 0);
    assert_int_equal(count(s, "user_node_edges"), (int64_t)n - 2);
    free(edges);
    corpus_free(&c);
}

static void test_a_later_export_brings_what_is_new(void **state)
{
    struct store *s = *state;
    struct corpus c;
    fill(&c, 0, 30);
    struct read_place p = begin(s, JOB);
    assert_int_equal(read_advance(s->db, &p, READ_NODES, 0, NULL), 0);
    assert_int_equal(write_all(s, &p, &c), 30);
    corpus_free(&c);
    run_sql(s->db, "UPDATE user_nodes SET content = 'edited' WHERE content = 'post 3'");

    fill(&c, 0, 40);
    struct read_place next = begin(s, NEXT_JOB);
    assert_int_equal(next.phase, READ_READ);
    assert_int_equal(read_advance(s->db, &p, READ_EDGES, 0, NULL), -ECANCELED);
    assert_int_equal(read_advance(s->db, &next, READ_NODES, 0, NULL), 0);
    assert_int_equal(write_all(s, &next, &c), 10);
    assert_int_equal(count(s, "user_nodes"), 40);
    corpus_free(&c);
}

static int withdraw_unit(struct db_conn *c, void *arg)
{
    return onboarding_change(c, arg);
}

static void test_what_is_withdrawn_goes_no_further(void **state)
{
    struct store *s = *state;
    struct corpus c;
    int64_t made;
    char *facts;
    fill(&c, 0, 10);
    struct read_place p = begin(s, JOB);
    assert_int_equal(read_advance(s->db, &p, READ_NODES, 0, NULL), 0);
    struct onboarding_change back = {.user_id = mia, .to = ONBOARDING_DATA, .any = true};
    assert_int_equal(db_write(s->db, withdraw_unit, &back), 0);
    assert_int_equal(read_write_nodes(s->db, &p, &c, &made), -ECANCELED);
    assert_int_equal(count(s, "user_nodes"), 0);
    assert_int_equal(read_begin(s->db, &p, &facts), -ECANCELED);
    free(facts);
    corpus_free(&c);
}

static int end_unit(struct db_conn *c, void *arg)
{
    return onboarding_end(c, arg);
}

static int reason_unit(struct db_conn *c, void *arg)
{
    return onboarding_read_reason(c, mia, arg);
}

static void test_ends_and_reasons(void **state)
{
    struct store *s = *state;
    char reason[ONBOARDING_REASON_SIZE];
    struct onboarding_end bad = {.user_id = mia, .job_id = JOB, .reason = "it was broken"};
    struct onboarding_end good = {.user_id = mia, .job_id = JOB, .good = true};
    run_sql(s->db,
            "INSERT INTO queue_jobs (id, queue, operation, user_id) VALUES ('" NEXT_JOB
            "', 'onboarding-jobs', 'process_export', '%s')",
            mia);
    assert_int_equal(db_write(s->db, end_unit, &bad), 0); /* another one is under way */
    assert_int_equal(db_read(s->db, reason_unit, reason), 0);
    run_sql(s->db, "DELETE FROM queue_jobs");
    assert_int_equal(db_write(s->db, end_unit, &bad), 0);
    assert_int_equal(db_read(s->db, reason_unit, reason), 1);
    assert_string_equal(reason, "it was broken");
    assert_int_equal(db_write(s->db, end_unit, &good), 0); /* too late: it stays */
    assert_int_equal(db_read(s->db, reason_unit, reason), 1);
    struct onboarding_change on = {.user_id = mia, .to = ONBOARDING_PROCESSING};
    assert_int_equal(db_write(s->db, withdraw_unit, &on), 0);
    assert_int_equal(db_write(s->db, end_unit, &good), 0);
    assert_int_equal(db_write(s->db, end_unit, &good), 0);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM user_personas WHERE onboarding_state = 'COMPLETE'"
                                      " AND onboarding_reason IS NULL"),
                     1);
}

static void test_a_summary_of_ones_own_stays(void **state)
{
    struct store *s = *state;
    static const struct {
        const char *before, *after;
    } cases[] = {
        {"", SUMMARY_MARK ": new"}, {SUMMARY_MARK ", by x: old", SUMMARY_MARK ": new"}, {"Mine", "Mine"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char sql[256], job[64];
        (void)snprintf(job, sizeof job, "job-%zu", i);
        run_sql(s->db, "UPDATE user_personas SET summary = '%s' WHERE user_id = '%s'", cases[i].before, mia);
        struct read_place p = begin(s, job);
        assert_int_equal(read_write_summary(s->db, &p, SUMMARY_MARK ": new"), 0);
        assert_int_equal(p.phase, READ_DONE);
        (void)snprintf(sql, sizeof sql,
                       "SELECT count(*) FROM user_personas WHERE user_id = '%s' AND summary = '%s'", mia,
                       cases[i].after);
        assert_int_equal(store_int(s->db, sql), 1);
    }
}

/* As by whoever withdraws the export meanwhile. */
static void test_the_persona_is_written_before_the_place(void **state)
{
    struct store *s = *state;
    struct read_place p = begin(s, "job-1");
    store_note_writes(s->db, "user_personas", "'1'");
    store_note_writes(s->db, "export_reads", "'2'");
    assert_int_equal(read_write_summary(s->db, &p, SUMMARY_MARK ": new"), 0);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM written"), 2);
    assert_int_equal(store_writes_out_of_order(s->db), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_steps_are_taken_once, set_up, store_tear_down),
        cmocka_unit_test_setup_teardown(test_a_later_export_brings_what_is_new, set_up, store_tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_withdrawn_goes_no_further, set_up, store_tear_down),
        cmocka_unit_test_setup_teardown(test_ends_and_reasons, set_up, store_tear_down),
        cmocka_unit_test_setup_teardown(test_a_summary_of_ones_own_stays, set_up, store_tear_down),
        cmocka_unit_test_setup_teardown(test_the_persona_is_written_before_the_place, set_up,
                                        store_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
