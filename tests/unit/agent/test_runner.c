/* SPDX-License-Identifier: MIT */
/* The runner: order, results, errors, limits, refusals, cancelling, and the audit of every run. */
#include "flows.h"

#include "base/metrics.h"

#define GET(path, key) "{'type':'http_request','result_key':'" key "','config':{'url':'$URL" path "'}}"

static void answer(struct fake_request *rq)
{
    const char *path = rq->path;
    struct world *w = rq->ctx;
    if (strcmp(path, "/fail") == 0)
        fake_json(rq, 500, "{\"secret\":1}");
    else if (strcmp(path, "/stall") == 0)
        fake_stall(rq);
    else if (strcmp(path, "/cancel") == 0) {
        cancel_raise(&w->cancel);
        fake_stall(rq);
    } else if (strcmp(path, "/large") == 0) {
        char *text = calloc(1, 300 * 1024 + 1);
        memset(text, 'x', 300 * 1024);
        fake_reply(rq, 200, "Content-Type: text/plain\r\n", text);
        free(text);
    } else
        fake_json(rq, 200, "{\"path\":\"there\",\"list\":[{\"n\":7}]}");
}

/* ---------------------------------------------------------------------------------------------- audits */

struct audit_row {
    char text[2048];
    int64_t count;
};

static int read_audit(struct db_conn *c, void *arg)
{
    struct audit_row *row = arg;
    struct db_rows *rows;
    assert_int_equal(db_query(c,
                              "SELECT user_id, slug, status, error, input_hash, steps, ms FROM agent_audits",
                              DB_NO_ARGS, &rows),
                     0);
    row->count = 0;
    while (db_next(rows) > 0) {
        row->count++;
        (void)snprintf(row->text, sizeof row->text, "%s|%s|%s|%s|%.8s|%s", db_text(rows, 0), db_text(rows, 1),
                       db_text(rows, 2), db_is_null(rows, 3) ? "" : db_text(rows, 3), db_text(rows, 4),
                       db_text(rows, 5));
        assert_true(db_int(rows, 6) >= 0);
    }
    db_rows_free(rows);
    return 0;
}

/* What stands behind the last bar, as JSON whose steps took 0 ms; the bar is cut off. A new reference. */
static json_t *take_steps(char *text)
{
    char *bar = strrchr(text, '|');
    json_t *steps = json_parse(bar + 1, strlen(bar + 1)), *step;
    size_t i;
    assert_non_null(steps);
    json_array_foreach (steps, i, step)
        (void)json_object_set_new(step, "ms", json_integer(0));
    *bar = '\0';
    return steps;
}

/* The one audit row; the times of its steps don't count. */
static void assert_audit(struct world *w, const char *want)
{
    struct audit_row row;
    assert_int_equal(db_read(w->db, read_audit, &row), 0);
    assert_int_equal(row.count, 1);
    char *expected = quoted(want);
    json_t *steps = take_steps(row.text), *expected_steps = take_steps(expected);
    assert_string_equal(row.text, expected);
    assert_true(json_equal(steps, expected_steps));
    json_decref(steps);
    json_decref(expected_steps);
    free(expected);
}

#define HASH_OF_A_1 "015abd7f" /* sha256 of {"a":1} */

static void a_run_is_told_audited_and_counted(void **state)
{
    struct world *w = *state;
    int64_t before = metric_get(METRIC_FLOWS_RUN), failed = metric_get(METRIC_FLOWS_FAILED);
    world_serve(w, answer);
    add_flow(w, "two", true,
             "[" GET("/one", "first") "," GET("/{{first.body.list.0.n}}/$first.body.path", "second") "]");
    assert_int_equal(run_flow(w, "two", "{'a':1}"), ACTION_SUCCESS);
    assert_string_equal(w->result.error, "");
    assert_seen(w, "GET /one\nGET /7/there\n");
    assert_told(w, "-1 running\n0 running\n0 success\n1 running\n1 success\n-1 success\n");
    assert_audit(w, ANNA "|two|success||" HASH_OF_A_1
                         "|[{'step':0,'type':'http_request','result_key':'first','status':'success','ms':0},"
                         "{'step':1,'type':'http_request','result_key':'second','status':'success','ms':0}]");
    assert_int_equal(metric_get(METRIC_FLOWS_RUN), before + 1);
    assert_int_equal(metric_get(METRIC_FLOWS_FAILED), failed);
}

static void the_first_failing_step_ends_the_flow(void **state)
{
    struct world *w = *state;
    world_serve(w, answer);
    add_flow(w, "f", true, "[" GET("/fail", "a") "," GET("/one", "b") "]");
    assert_int_equal(run_flow(w, "f", "{'a':1}"), ACTION_ERROR);
    assert_error(w, "status 500");
    assert_results(w, "{}");
    assert_seen(w, "GET /fail\n");
    assert_told(w, "-1 running\n0 running\n0 error The service answered with status 500\n"
                   "-1 error The service answered with status 500\n");
    assert_audit(w, ANNA "|f|error|The service answered with status 500|" HASH_OF_A_1
                         "|[{'step':0,'type':'http_request','result_key':'a','status':'error','ms':0,"
                         "'error':'The service answered with status 500'}]");
}

static void a_step_may_fail_and_the_flow_go_on(void **state)
{
    struct world *w = *state;
    world_serve(w, answer);
    add_flow(
        w, "f", true,
        "[{'type':'http_request','result_key':'a','on_error':'continue','config':{'url':'$URL/fail'}},"
        "{'type':'condition','result_key':'c','config':{'if':{'left':'$a.error','op':'exists'},'then':[" GET(
            "/plan-b", "b") "]}}]");
    assert_int_equal(run_flow(w, "f", "{}"), ACTION_SUCCESS);
    assert_string_equal(w->result.error, "");
    assert_seen(w, "GET /fail\nGET /plan-b\n");
    assert_string_equal(json_str(json_object_get(w->result.results, "a"), "error", ""),
                        "The service answered with status 500");
    assert_told(w,
                "-1 running\n0 running\n0 error The service answered with status 500\n1 running\n1 success\n"
                "2 running\n2 success\n-1 success\n");
}

static void a_missing_reference_is_the_steps_error(void **state)
{
    struct world *w = *state;
    world_serve(w, answer);
    add_flow(w, "f", true, "[" GET("/$input.page", "a") "]");
    assert_int_equal(run_flow(w, "f", "{'other':1}"), ACTION_ERROR);
    assert_error(w, "$input.page");
    assert_seen(w, "");
}

/* ------------------------------------------------------------------------------------------ conditions */

static void a_condition_takes_one_branch(void **state)
{
    struct world *w = *state;
    world_serve(w, answer);
    add_flow(w, "f", true,
             "[{'type':'condition','result_key':'m','config':{'if':{'left':'$input.n','op':'gt','right':1},"
             "'then':[" GET("/big", "x") "],'else':[" GET("/small", "x") "]}}," GET("/$x.status", "end") "]");
    assert_int_equal(run_flow(w, "f", "{'n':2}"), ACTION_SUCCESS);
    assert_true(json_bool(json_object_get(w->result.results, "m"), "matched", false));
    assert_int_equal(run_flow(w, "f", "{'n':1}"), ACTION_SUCCESS);
    assert_false(json_bool(json_object_get(w->result.results, "m"), "matched", true));
    assert_seen(w, "GET /big\nGET /200\nGET /small\nGET /200\n");
    assert_int_equal(run_flow(w, "f", "{'n':'x'}"), ACTION_ERROR);
    assert_error(w, "can't compare");
}

#define IF(name, then) \
    "{'type':'condition','config':{'if':{'left':'$input." name "','op':'exists'},'then':[" then "]}}"

static void conditions_nest(void **state)
{
    struct world *w = *state;
    world_serve(w, answer);
    add_flow(w, "f", true,
             "[" IF("a", IF("b", IF("c", IF("d", GET("/deep", "x"))))) "," GET("/after", "y") "]");
    assert_int_equal(run_flow(w, "f", "{'a':1,'b':1,'c':1,'d':1}"), ACTION_SUCCESS);
    assert_int_equal(run_flow(w, "f", "{'a':1,'b':1,'d':1}"), ACTION_SUCCESS);
    assert_seen(w, "GET /deep\nGET /after\nGET /after\n");
}

static void an_error_in_a_branch_is_the_flows_unless_the_condition_goes_on(void **state)
{
    struct world *w = *state;
    world_serve(w, answer);
    add_flow(w, "ends", true, "[" IF("a", GET("/fail", "x")) "," GET("/after", "y") "]");
    add_flow(
        w, "goes-on", true,
        "[{'type':'condition','on_error':'continue','config':{'if':{'left':1,'op':'exists'},'then':[" GET(
            "/fail", "x") "," GET("/skipped", "z") "]}}," GET("/after", "y") "]");
    assert_int_equal(run_flow(w, "ends", "{'a':1}"), ACTION_ERROR);
    assert_int_equal(run_flow(w, "goes-on", "{}"), ACTION_SUCCESS);
    assert_seen(w, "GET /fail\nGET /fail\nGET /after\n");
}

/* ------------------------------------------------------------------------------------------- refusals */

static void what_is_not_there_is_a_miss(void **state)
{
    struct world *w = *state;
    assert_int_equal(run_flow(w, "no-such-flow", "{'a':1}"), ACTION_MISS);
    assert_told(w, "-1 miss There is no such flow\n");
    assert_audit(w, ANNA "|no-such-flow|miss|There is no such flow|" HASH_OF_A_1 "|[]");
}

static void a_flow_that_is_off_is_refused_at_once(void **state)
{
    struct world *w = *state;
    world_serve(w, answer);
    add_flow(w, "f", true, "[" GET("/one", "a") "]");
    world_exec(w, "UPDATE action_flows SET active = FALSE");
    assert_int_equal(run_flow(w, "f", "{}"), ACTION_ERROR);
    assert_error(w, "switched off");
    assert_seen(w, "");
}

static void an_unsound_flow_does_not_begin(void **state)
{
    struct world *w = *state;
    world_serve(w, answer);
    add_flow(w, "f", true, "[" GET("/one", "a") ",{'type':'unheard_of','config':{}}]");
    assert_int_equal(run_flow(w, "f", "{}"), ACTION_ERROR);
    assert_error(w, "no known type");
    assert_seen(w, "");
}

static void side_effects_need_the_flows_leave(void **state)
{
    struct world *w = *state;
    world_serve(w, answer);
    add_flow(w, "f", false,
             "[{'type':'memory_recall','config':{'query':'x'}}," IF("never", GET("/one", "a")) "]");
    assert_int_equal(run_flow(w, "f", "{}"), ACTION_ERROR);
    assert_error(w, "not allowed");
    assert_told(w, "-1 error This flow deletes, publishes or sends something out, and is not allowed to\n");
    w->anna.admin = true;
    assert_int_equal(run_flow(w, "f", "{}"), ACTION_ERROR);
    assert_seen(w, "");
}

#define WRITE \
    "{'type':'directus_write','result_key':'w','config':{'collection':'user_nodes','data':" \
    "{'node_type':'note','title':'t','content':'c'}}}"

static void a_reader_can_not_run_a_flow_that_writes(void **state)
{
    struct world *w = *state;
    world_serve(w, answer);
    w->anna.read_only = true;
    add_flow(w, "writes", true, "[" GET("/one", "a") "," WRITE "]");
    add_flow(w, "reads", true, "[" GET("/one", "a") "]");
    assert_int_equal(run_flow(w, "writes", "{}"), ACTION_ERROR);
    assert_error(w, "may only read");
    assert_seen(w, "");
    assert_int_equal(run_flow(w, "reads", "{}"), ACTION_SUCCESS);
}

static void writing_waits_for_the_end_of_onboarding(void **state)
{
    struct world *w = *state;
    world_serve(w, answer);
    w->hold_writes = true;
    add_flow(w, "writes", true, "[" GET("/one", "a") "," WRITE "]");
    add_flow(w, "reads", true, "[" GET("/one", "a") "]");
    assert_int_equal(run_flow(w, "writes", "{}"), ACTION_MISS);
    assert_error(w, "being set up");
    assert_seen(w, "");
    assert_int_equal(store_int(w->db, "SELECT count(*) FROM user_nodes"), 0);
    assert_int_equal(run_flow(w, "reads", "{}"), ACTION_SUCCESS);
}

static void a_flow_can_be_missed_without_running(void **state)
{
    struct world *w = *state;
    json_t *input = parsed("{'a':1}");
    struct action_call call = {.slug = "f", .input = input, .who = &w->anna, .observer = {hear, w}};
    action_miss(&w->env, &call, "Too many actions in one answer");
    json_decref(input);
    assert_told(w, "-1 miss Too many actions in one answer\n");
    assert_audit(w, ANNA "|f|miss|Too many actions in one answer|" HASH_OF_A_1 "|[]");
}

static void absent_subsystems_are_unavailable_steps(void **state)
{
    struct world *w = *state;
    static const char *const steps[] = {
        "[{'type':'bullmq_enqueue','config':{'queue':'media-jobs','operation':'x'}}]",
        "[{'type':'skills_activate','config':{'query':'x'}}]",
        "[{'type':'taxonomy_tag','config':{'text':'x'}}]",
        "[{'type':'directus_trigger','config':{'id':'x'}}]",
    };
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        char slug[16];
        (void)snprintf(slug, sizeof slug, "f%zu", i);
        add_flow(w, slug, true, steps[i]);
        assert_int_equal(run_flow(w, slug, "{}"), ACTION_ERROR);
        assert_error(w, "step_unavailable: ");
    }
}

static void a_config_value_of_the_wrong_type_is_named(void **state)
{
    struct world *w = *state;
    add_flow(w, "f", true, "[{'type':'http_request','config':{'url':'$input.url'}}]");
    assert_int_equal(run_flow(w, "f", "{'url':['x']}"), ACTION_ERROR);
    assert_error(w, "\"url\" of http_request must be a text");
}

/* --------------------------------------------------------------------------------------------- limits */

static void results_are_bounded(void **state)
{
    struct world *w = *state;
    world_serve(w, answer);
    add_flow(w, "f", true, "[" GET("/large", "a") "," GET("/large", "b") "]");
    assert_int_equal(run_flow(w, "f", "{}"), ACTION_ERROR);
    assert_error(w, "too large");
    assert_int_equal(json_object_size(w->result.results), 1);
}

static void a_step_ends_at_its_time_limit(void **state)
{
    struct world *w = *state;
    world_serve(w, answer);
    w->cfg.action_step_timeout_s = 1;
    add_flow(w, "f", true,
             "[{'type':'http_request','on_error':'continue','config':{'url':'$URL/stall'}}," GET(
                 "/one", "a") "," GET("/stall", "b") "," GET("/two", "c") "]");
    assert_int_equal(run_flow(w, "f", "{}"), ACTION_ERROR);
    assert_string_equal(w->result.error, "The step did not end within 1 s");
    assert_seen(w, "GET /stall\nGET /one\nGET /stall\n");
}

static void a_flow_ends_at_its_time_limit_whatever_its_steps_say(void **state)
{
    struct world *w = *state;
    world_serve(w, answer);
    w->time_ms = 300;
    add_flow(
        w, "f", true,
        "[{'type':'http_request','on_error':'continue','config':{'url':'$URL/stall'}}," GET("/one", "a") "]");
    assert_int_equal(run_flow(w, "f", "{}"), ACTION_ERROR);
    assert_string_equal(w->result.error, "The flow took too long");
    assert_seen(w, "GET /stall\n");
}

static void a_cancel_reaches_into_a_step(void **state)
{
    struct world *w = *state;
    world_serve(w, answer);
    add_flow(
        w, "f", true,
        "[{'type':'http_request','result_key':'a','on_error':'continue','config':{'url':'$URL/cancel'}}," GET(
            "/one", "b") "]");
    assert_int_equal(run_flow(w, "f", "{'a':1}"), ACTION_ERROR);
    assert_string_equal(w->result.error, "The flow was cancelled");
    assert_seen(w, "GET /cancel\n");
    assert_audit(w, ANNA "|f|error|The flow was cancelled|" HASH_OF_A_1
                         "|[{'step':0,'type':'http_request','result_key':'a','status':'error','ms':0,"
                         "'error':'The flow was cancelled'}]");
}

static void a_cancel_in_the_last_step_is_no_success_either(void **state)
{
    struct world *w = *state;
    world_serve(w, answer);
    add_flow(w, "f", true, "[{'type':'http_request','on_error':'continue','config':{'url':'$URL/cancel'}}]");
    assert_int_equal(run_flow(w, "f", "{}"), ACTION_ERROR);
    assert_string_equal(w->result.error, "The flow was cancelled");
}

static void the_hash_does_not_depend_on_the_order_of_keys(void **state)
{
    struct world *w = *state;
    assert_int_equal(run_flow(w, "no-such-flow", "{'a':1,'b':{'c':2,'d':3}}"), ACTION_MISS);
    assert_int_equal(run_flow(w, "no-such-flow", "{'b':{'d':3,'c':2},'a':1}"), ACTION_MISS);
    assert_int_equal(run_flow(w, "no-such-flow", "{'b':{'d':3,'c':2},'a':2}"), ACTION_MISS);
    assert_int_equal(store_int(w->db, "SELECT count(DISTINCT input_hash) FROM agent_audits"), 2);
}

static void a_cancelled_flow_does_not_begin(void **state)
{
    struct world *w = *state;
    world_serve(w, answer);
    cancel_raise(&w->cancel);
    add_flow(w, "f", true, "[" GET("/one", "b") "]");
    assert_int_equal(run_flow(w, "f", "{'a':1}"), ACTION_ERROR);
    assert_seen(w, "");
    assert_audit(w, ANNA "|f|error|The flow was cancelled|" HASH_OF_A_1 "|[]");
}

int main(void)
{
#define WORLD(test) cmocka_unit_test_setup_teardown(test, world_set_up, world_tear_down)
    const struct CMUnitTest tests[] = {
        WORLD(a_run_is_told_audited_and_counted),
        WORLD(the_first_failing_step_ends_the_flow),
        WORLD(a_step_may_fail_and_the_flow_go_on),
        WORLD(a_missing_reference_is_the_steps_error),
        WORLD(a_condition_takes_one_branch),
        WORLD(conditions_nest),
        WORLD(an_error_in_a_branch_is_the_flows_unless_the_condition_goes_on),
        WORLD(what_is_not_there_is_a_miss),
        WORLD(a_flow_that_is_off_is_refused_at_once),
        WORLD(an_unsound_flow_does_not_begin),
        WORLD(side_effects_need_the_flows_leave),
        WORLD(a_reader_can_not_run_a_flow_that_writes),
        WORLD(writing_waits_for_the_end_of_onboarding),
        WORLD(a_flow_can_be_missed_without_running),
        WORLD(absent_subsystems_are_unavailable_steps),
        WORLD(a_config_value_of_the_wrong_type_is_named),
        WORLD(results_are_bounded),
        WORLD(a_step_ends_at_its_time_limit),
        WORLD(a_flow_ends_at_its_time_limit_whatever_its_steps_say),
        WORLD(a_cancel_reaches_into_a_step),
        WORLD(a_cancel_in_the_last_step_is_no_success_either),
        WORLD(the_hash_does_not_depend_on_the_order_of_keys),
        WORLD(a_cancelled_flow_does_not_begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
