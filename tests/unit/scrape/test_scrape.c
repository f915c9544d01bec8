/* SPDX-License-Identifier: MIT */
/* Jobs against a browser service that answers what it likes. */
#include "../agent/fake_server.h"
#include "../queue/jobs.h"

#include "base/text.h"
#include "scrape/scrape.h"

#define ANNA "00000000-0000-4000-8000-00000000000a"
#define PROFILE "10000000-0000-4000-8000-000000000001"
#define POST "20000000-0000-4000-8000-000000000001"
#define LONG_TEXT 100000

struct world {
    struct jobs jobs;
    struct scrape scrape;
    struct queue_handler handlers[2];
    struct fake_server *server;
    char url[64], long_text[LONG_TEXT + 1];
    bool signed_in;
};

/* A result of what is given, ended by a very long text. */
static void reply_long(struct fake_request *rq, const char *given)
{
    const struct world *w = rq->ctx;
    char *text = malloc(LONG_TEXT + 1024);
    assert_non_null(text);
    (void)sprintf(text, "{\"success\":true,\"data\":{\"result\":{\"more\":{\"a\":[1]},%s%s\"}}}", given,
                  w->long_text);
    fake_json(rq, 200, text);
    free(text);
}

static void answer(struct fake_request *rq)
{
    const struct world *w = rq->ctx;
    if (strcmp(rq->path, "/v1/sessions/start") == 0)
        fake_json(rq, 200, "{\"success\":true,\"data\":{\"sessionId\":\"s-1\"}}");
    else if (!strstr(rq->path, "/extract"))
        fake_json(rq, 200, "{\"success\":true,\"data\":{\"result\":null}}");
    else if (strstr(rq->body, "signed_in"))
        fake_json(rq, 200,
                  w->signed_in ? "{\"success\":true,\"data\":{\"result\":{\"signed_in\":true}}}"
                               : "{\"success\":true,\"data\":{\"result\":{\"signed_in\":\"yes\"}}}");
    else if (strstr(rq->body, "published"))
        fake_json(rq, 200,
                  "{\"success\":true,\"data\":{\"result\":{\"published\":true,\"url\":\"javascript:x\"}}}");
    else
        reply_long(rq, "\"followers\":\"many\",\"posts\":3,\"bio\":\"paints\",\"display_name\":\"");
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    memset(w->long_text, 'x', LONG_TEXT);
    w->signed_in = true;
    w->server = fake_start(answer, w);
    (void)snprintf(w->url, sizeof w->url, "http://127.0.0.1:%d", fake_port(w->server));
    w->jobs.cfg = (struct config){.stagehand_url = w->url, .allow_private_urls = true};
    w->handlers[0] = (struct queue_handler){
        .queue = QUEUE_SCRAPE, .ctx = &w->scrape, .run = scrape_run, .moved = scrape_moved};
    w->handlers[1] = QUEUE_HANDLERS_END;
    set_up_jobs(&w->jobs, w->handlers);
    w->scrape = (struct scrape){.cfg = &w->jobs.cfg, .db = w->jobs.db};
    run_sql(w->jobs.db, "INSERT INTO directus_users (id, email) VALUES ('" ANNA "', 'anna@example.com')");
    run_sql(w->jobs.db, "INSERT INTO creator_profiles (id, user_id, platform, username) VALUES ('" PROFILE
                        "', '" ANNA "', 'x', 'anna')");
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    tear_down_jobs(&w->jobs);
    fake_stop(w->server);
    free(w);
    return 0;
}

/* Runs what is there until all of it has ended. */
static void run_all(struct world *w)
{
    struct queue_worker_options options = {.queue = w->jobs.q, .concurrency = {0, 1, 0}};
    struct queue_worker *worker = NULL;
    int64_t until = clock_monotonic_ms() + PATIENCE_MS;
    assert_int_equal(queue_worker_start(&options, &worker), 0);
    while (count_sql(w->jobs.db,
                     "SELECT count(*) FROM queue_jobs WHERE state NOT IN ('completed', 'failed')") > 0) {
        if (clock_monotonic_ms() > until)
            fail_msg("a job has not ended");
        usleep(5000);
    }
    assert_int_equal(queue_worker_stop(worker, PATIENCE_MS, PATIENCE_MS), 0);
}

static void add_scrape(struct world *w, int max_attempts)
{
    struct queue_add job = {.id = "scrape-1",
                            .queue = QUEUE_SCRAPE,
                            .operation = "scrape_profile",
                            .user_id = ANNA,
                            .data = "{\"creator_profile_id\":\"" PROFILE "\"}",
                            .priority = QUEUE_PRIORITY_DEFAULT,
                            .max_attempts = max_attempts};
    assert_int_equal(add_all(w->jobs.q, w->jobs.db, &job, 1), 0);
}

/* Only what was asked for is kept, in its form, and not endlessly much of it. */
static void a_service_that_says_too_much(void **state)
{
    struct world *w = *state;
    add_scrape(w, 1);
    run_all(w);
    assert_int_equal(count_sql(w->jobs.db, "SELECT count(*) FROM queue_jobs WHERE state = 'completed'"), 1);
    assert_int_equal(count_sql(w->jobs.db, "SELECT count(*) FROM queue_jobs WHERE CAST(result AS TEXT) LIKE "
                                           "'%%more%%' OR CAST(result AS TEXT) LIKE '%%many%%' OR "
                                           "length(CAST(result AS TEXT)) > 8000"),
                     0);
    assert_int_equal(count_sql(w->jobs.db,
                               "SELECT count(*) FROM user_nodes WHERE content LIKE '%%posts: 3.%%paints' "
                               "AND content NOT LIKE '%%followers%%' AND length(content) < 16000"),
                     1);
}

/* Else the next night takes off it all the days for which it was out. */
static void a_profile_that_comes_back_has_not_aged_meanwhile(void **state)
{
    struct world *w = *state;
    add_scrape(w, 1);
    run_all(w);
    run_sql(w->jobs.db, "UPDATE user_nodes SET status = 'decayed', weight = 0.05,"
                        " last_decayed_at = '2026-01-01T02:00:00.000Z'");
    run_sql(w->jobs.db, "DELETE FROM queue_jobs");
    add_scrape(w, 1);
    run_all(w);
    assert_int_equal(count_sql(w->jobs.db, "SELECT count(*) FROM user_nodes WHERE status = 'active'"
                                           " AND last_decayed_at = last_reinforced_at"),
                     1);
    run_sql(w->jobs.db, "UPDATE user_nodes SET last_decayed_at = '2026-01-01T02:00:00.000Z'");
    run_sql(w->jobs.db, "DELETE FROM queue_jobs");
    add_scrape(w, 1);
    run_all(w);
    assert_int_equal(count_sql(w->jobs.db, "SELECT count(*) FROM user_nodes WHERE status = 'active'"
                                           " AND last_decayed_at = '2026-01-01T02:00:00.000Z'"),
                     1); /* which was never out, and ages as it does */
}

static void publish(struct world *w, const char *text)
{
    run_sql(w->jobs.db,
            "INSERT INTO scheduled_posts (id, user_id, platform, content_text, status) VALUES ('" POST
            "', '" ANNA "', 'x', '%s', 'publishing')",
            text);
    run_sql(w->jobs.db,
            "INSERT INTO browser_jobs (job_id, user_id, scheduled_post_id) VALUES ('publish-1', '" ANNA
            "', '" POST "')");
    struct queue_add job = {.id = "publish-1",
                            .queue = QUEUE_SCRAPE,
                            .operation = "publish_post",
                            .user_id = ANNA,
                            .priority = QUEUE_PRIORITY_DEFAULT};
    assert_int_equal(add_all(w->jobs.q, w->jobs.db, &job, 1), 0);
    run_all(w);
}

static void a_post_whose_address_is_none(void **state)
{
    struct world *w = *state;
    publish(w, "hello");
    assert_int_equal(count_sql(w->jobs.db, "SELECT count(*) FROM scheduled_posts WHERE status = 'posted' AND "
                                           "platform_meta IS NULL AND error_message IS NULL"),
                     1);
}

/* As it is where its media was deleted after it was scheduled. */
static void a_post_of_nothing_is_not_submitted(void **state)
{
    struct world *w = *state;
    publish(w, " ");
    assert_int_equal(count_sql(w->jobs.db, "SELECT count(*) FROM scheduled_posts WHERE status = 'failed' AND "
                                           "error_message LIKE 'The post says nothing%%'"),
                     1);
    char *seen = fake_seen(w->server);
    assert_string_equal(seen, "");
    free(seen);
}

/* A vault that can't be asked now isn't an empty one: its owner has nothing to do. */
static void a_store_that_fails_is_not_the_owners_affair(void **state)
{
    struct world *w = *state;
    w->signed_in = false;
    run_sql(w->jobs.db, "INSERT INTO platform_connections (id, user_id, platform, platform_username, "
                        "encrypted_credentials) VALUES ('40000000-0000-4000-8000-000000000001', '" ANNA
                        "', 'x', 'anna', '{\"enc\":\"v1:00:00:00\"}')");
    run_sql(w->jobs.db, "ALTER TABLE credential_audits RENAME TO elsewhere");
    add_scrape(w, 1);
    run_all(w);
    assert_int_equal(count_sql(w->jobs.db, "SELECT count(*) FROM hitl_action_queue"), 0);
    assert_int_equal(count_sql(w->jobs.db,
                               "SELECT count(*) FROM queue_jobs WHERE state = 'failed' AND error LIKE "
                               "'The store could not be reached%%'"),
                     1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_service_that_says_too_much, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_profile_that_comes_back_has_not_aged_meanwhile, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_post_whose_address_is_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_post_of_nothing_is_not_submitted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_store_that_fails_is_not_the_owners_affair, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
