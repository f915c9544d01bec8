/* SPDX-License-Identifier: MIT */
/* What time brings: one job each, and none where an earlier one still waits. */
#include "../queue/jobs.h"

#include "base/text.h"
#include "scrape/scrape.h"

#define ANNA "00000000-0000-4000-8000-00000000000a"
#define PROFILE "10000000-0000-4000-8000-00000000000%d"
#define NOW "2026-03-29T02:30:00.000Z"

static int set_up(void **state)
{
    static const struct queue_handler none[] = {QUEUE_HANDLERS_END};
    struct jobs *k = calloc(1, sizeof *k);
    assert_non_null(k);
    set_up_jobs(k, none);
    run_sql(k->db, "INSERT INTO directus_users (id, email) VALUES ('" ANNA "', 'anna@example.com')");
    *state = k;
    return 0;
}

static int tear_down(void **state)
{
    struct jobs *k = *state;
    tear_down_jobs(k);
    free(k);
    return 0;
}

struct asking {
    struct queue *q;
    int (*step)(struct db_conn *c, struct queue *q, const char *by, int64_t batch);
    const char *by;
    int64_t batch;
};

static int ask_unit(struct db_conn *c, void *arg)
{
    struct asking *a = arg;
    return a->step(c, a->q, a->by, a->batch);
}

static int posts(struct jobs *k, const char *now, int64_t batch)
{
    struct asking a = {k->q, scrape_enqueue_posts, now, batch};
    return db_write(k->db, ask_unit, &a);
}

static int profiles(struct jobs *k, const char *slot)
{
    struct asking a = {k->q, scrape_enqueue_profiles, slot, SCRAPE_DUE_BATCH};
    return db_write(k->db, ask_unit, &a);
}

static void add_post(struct jobs *k, int n, const char *time, const char *status)
{
    run_sql(
        k->db,
        "INSERT INTO scheduled_posts (id, user_id, platform, content_text, scheduled_time, status) VALUES "
        "('20000000-0000-4000-8000-%012d', '" ANNA "', 'x', 'hello', '%s', '%s')",
        n, time, status);
}

static void add_profile(struct jobs *k, int n)
{
    run_sql(k->db,
            "INSERT INTO creator_profiles (id, user_id, platform, username) VALUES ('" PROFILE "', '" ANNA
            "', 'x', 'anna%d')",
            n, n);
}

static int64_t jobs_of(struct jobs *k, const char *operation)
{
    return count_sql(k->db, "SELECT count(*) FROM queue_jobs WHERE operation = '%s'", operation);
}

static void posts_get_one_job_each(void **state)
{
    struct jobs *k = *state;
    add_post(k, 1, "2026-03-29T02:30:00.000Z", "scheduled");
    add_post(k, 2, "2026-03-29T02:30:00.001Z", "scheduled");
    add_post(k, 3, "2026-03-01T00:00:00.000Z", "draft");
    add_post(k, 4, "2020-01-01T00:00:00.000Z", "scheduled"); /* missed long ago */
    add_post(k, 5, "2026-03-28T00:00:00.000Z", "failed");
    assert_int_equal(posts(k, NOW, 1), 1);
    assert_int_equal(posts(k, NOW, 1), 1);
    assert_int_equal(posts(k, NOW, 1), 0);
    assert_int_equal(jobs_of(k, "publish_post"), 2);
    assert_int_equal(count_sql(k->db, "SELECT count(*) FROM scheduled_posts p JOIN browser_jobs b ON "
                                      "b.scheduled_post_id = p.id WHERE p.status = 'publishing'"),
                     2);
    assert_int_equal(count_sql(k->db, "SELECT count(*) FROM scheduled_posts WHERE status = 'scheduled'"), 1);
}

static void profiles_get_one_job_a_slot(void **state)
{
    struct jobs *k = *state;
    add_profile(k, 1);
    add_profile(k, 2);
    run_sql(k->db, "UPDATE creator_profiles SET is_active = FALSE WHERE username = 'anna2'");
    for (int i = 0; i < 3; i++)
        assert_int_equal(profiles(k, "2026-03-29T00:00:00.000Z"), 0);
    assert_int_equal(jobs_of(k, "scrape_profile"), 1);
    run_sql(k->db, "UPDATE queue_jobs SET state = 'completed'");
    assert_int_equal(profiles(k, "2026-03-29T00:00:00.000Z"), 0);
    assert_int_equal(jobs_of(k, "scrape_profile"), 1);
    assert_int_equal(profiles(k, "2026-03-29T06:00:00.000Z"), 0);
    assert_int_equal(jobs_of(k, "scrape_profile"), 2);
    /* a post that is due goes first */
    add_post(k, 1, NOW, "scheduled");
    assert_int_equal(posts(k, NOW, SCRAPE_DUE_BATCH), 0);
    assert_int_equal(count_sql(k->db, "SELECT count(*) FROM queue_jobs a JOIN queue_jobs b ON b.operation = "
                                      "'scrape_profile' WHERE a.operation = 'publish_post' AND a.priority < "
                                      "b.priority"),
                     2);
}

/* Else each slot would add a job, and each job a row that asks the owner. */
static void what_waits_is_not_added_again(void **state)
{
    static const char *const slots[] = {"2026-03-29T00:00:00.000Z", "2026-03-29T06:00:00.000Z",
                                        "2026-03-29T12:00:00.000Z", "2026-03-29T18:00:00.000Z"};
    struct jobs *k = *state;
    add_profile(k, 1);
    for (size_t i = 0; i < ARRAY_LEN(slots); i++)
        assert_int_equal(profiles(k, slots[i]), 0);
    assert_int_equal(jobs_of(k, "scrape_profile"), 1);
    /* it asked, and was given up after a day */
    run_sql(k->db,
            "INSERT INTO hitl_action_queue (id, user_id, action, message) VALUES ('30000000-0000-4000-8000-"
            "000000000001', '" ANNA "', 'connect_account', 'please')");
    run_sql(
        k->db,
        "INSERT INTO browser_jobs (job_id, user_id, hitl_id) SELECT id, user_id, '30000000-0000-4000-8000-"
        "000000000001' FROM queue_jobs");
    run_sql(k->db, "UPDATE queue_jobs SET state = 'failed'");
    add_profile(k, 2); /* of the same owner: another account */
    assert_int_equal(profiles(k, "2026-03-30T00:00:00.000Z"), 0);
    assert_int_equal(jobs_of(k, "scrape_profile"), 2);
    run_sql(k->db, "UPDATE queue_jobs SET state = 'completed'");
    run_sql(k->db, "UPDATE hitl_action_queue SET status = 'resolved'");
    assert_int_equal(profiles(k, "2026-03-30T06:00:00.000Z"), 0);
    assert_int_equal(jobs_of(k, "scrape_profile"), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(posts_get_one_job_each, set_up, tear_down),
        cmocka_unit_test_setup_teardown(profiles_get_one_job_a_slot, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_waits_is_not_added_again, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
