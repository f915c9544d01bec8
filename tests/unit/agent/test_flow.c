/* SPDX-License-Identifier: MIT */
/* What a flow's row may hold, and what it says about what the flow does. */
#include "flows.h"

static int parse(const char *steps, struct flow *flow, char *error)
{
    char *json = quoted(steps);
    int r = flow_parse(json, flow, error, STEP_ERROR_MAX);
    free(json);
    return r;
}

#define ASK "{'type':'memory_recall','config':{'query':'$input.q'}}"
#define KEYED(key) "{'type':'memory_recall','result_key':'" key "','config':{'query':'x'}}"
#define WHEN(then) "{'type':'condition','config':{'if':{'left':1,'op':'eq','right':1},'then':[" then "]}}"
#define WHEN_ELSE(then, other) \
    "{'type':'condition','config':{'if':{'left':1,'op':'eq','right':1},'then':[" then "],'else':[" other "]" \
    "}" \
    "}"
#define FOUR ASK "," ASK "," ASK "," ASK
#define SIXTEEN FOUR "," FOUR "," FOUR "," FOUR

static void a_sound_flow_is_taken(void **state)
{
    (void)state;
    static const char *const flows[] = {
        "[" ASK "]",
        "[" SIXTEEN "," SIXTEEN "]",
        "[" KEYED("a") "," KEYED("_b2") "]",
        "[" WHEN(WHEN(WHEN(WHEN(ASK)))) "]",
        "[" WHEN_ELSE(KEYED("a"), KEYED("a")) "]",
        "[" WHEN("") "]",
        "[{'type':'memory_recall','on_error':'continue','config':{'query':1,'other':true}}]",
        "[{'type':'condition','config':{'if':{'left':'$a','op':'exists'},'then':[]}}]",
    };
    for (size_t i = 0; i < ARRAY_LEN(flows); i++) {
        struct flow flow = {0};
        char error[STEP_ERROR_MAX] = "";
        if (parse(flows[i], &flow, error) != 0)
            fail_msg("%s: %s", flows[i], error);
        assert_string_equal(error, "");
        flow_done(&flow);
    }
}

static void an_unsound_flow_is_refused_with_a_reason(void **state)
{
    (void)state;
    static const struct {
        const char *steps, *reason;
    } flows[] = {
        {"", "not valid JSON"},
        {"[", "not valid JSON"},
        {"{}", "must be a list"},
        {"[]", "no steps"},
        {"[3]", "no known type"},
        {"[{'config':{}}]", "no known type"},
        {"[{'type':'format_disk','config':{}}]", "no known type"},
        {"[{'type':'memory_recall'}]", "no config"},
        {"[{'type':'memory_recall','config':[]}]", "no config"},
        {"[{'type':'memory_recall','config':{}}]", "needs \"query\""},
        {"[{'type':'http_request','config':{'method':'GET'}}]", "needs \"url\""},
        {"[" SIXTEEN "," SIXTEEN "," ASK "]", "at most 32"},
        {"[" SIXTEEN "," WHEN(SIXTEEN) "]", "at most 32"},
        {"[" WHEN(WHEN(WHEN(WHEN(WHEN(ASK))))) "]", "nested 4 deep"},
        {"[" KEYED("a") "," KEYED("a") "]", "used twice"},
        {"[" KEYED("a") "," WHEN(KEYED("a")) "]", "used twice"},
        {"[" WHEN_ELSE(KEYED("a"), KEYED("b")) "," KEYED("b") "]", "used twice"},
        {"[" WHEN_ELSE(KEYED("a"), KEYED("b")) "," KEYED("a") "]", "used twice"},
        {"[" KEYED("input") "]", "result_key"},
        {"[" KEYED("user") "]", "result_key"},
        {"[" KEYED("2a") "]", "result_key"},
        {"[" KEYED("a.b") "]", "result_key"},
        {"[" KEYED("") "]", "result_key"},
        {"[{'type':'memory_recall','result_key':3,'config':{'query':'x'}}]", "result_key"},
        {"[{'type':'memory_recall','on_error':'retry','config':{'query':'x'}}]", "on_error"},
        {"[{'type':'condition','config':{'if':{'left':1,'op':'is','right':1},'then':[]}}]", "\"op\""},
        {"[{'type':'condition','config':{'if':{'left':1,'op':'eq'},'then':[]}}]", "\"right\""},
        {"[{'type':'condition','config':{'if':{'op':'exists'},'then':[]}}]", "\"left\""},
        {"[{'type':'condition','config':{'if':{'left':1,'op':'exists'},'then':{}}}]", "must be a list"},
        {"[{'type':'condition','config':{'if':{'left':1,'op':'exists'},'then':[],'else':3}}]",
         "must be a list"},
        {"[{'type':'condition','config':{'if':{'left':1,'op':'exists'}}}]", "needs \"then\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(flows); i++) {
        struct flow flow = {0};
        char error[STEP_ERROR_MAX] = "";
        assert_int_equal(parse(flows[i].steps, &flow, error), -EINVAL);
        if (!strstr(error, flows[i].reason))
            fail_msg("%s: \"%s\" is not about %s", flows[i].steps, error, flows[i].reason);
        assert_null(flow.steps);
    }
}

static void steps_say_what_they_do_to_the_world(void **state)
{
    (void)state;
    static const unsigned writes = STEP_WRITES, reaches = STEP_SIDE_EFFECTS;
    const struct {
        const char *step;
        unsigned effects;
    } steps[] = {
        {ASK, 0},
        {"{'type':'directus_read','config':{'collection':'user_nodes'}}", 0},
        {"{'type':'directus_search','config':{'collection':'user_nodes','query':'x'}}", 0},
        {"{'type':'llm_generate','config':{'prompt':'x'}}", 0},
        {"{'type':'directus_write','config':{'collection':'user_nodes','data':{}}}", writes},
        {"{'type':'directus_update','config':{'collection':'user_nodes','id':'1','data':{}}}", writes},
        {"{'type':'directus_write','config':{'collection':'scheduled_posts','data':{'status':'draft'}}}",
         writes},
        {"{'type':'directus_write','config':{'collection':'scheduled_posts','data':{}}}", writes | reaches},
        {"{'type':'directus_write','config':{'collection':'scheduled_posts','data':{'status':'scheduled'}}}",
         writes | reaches},
        {"{'type':'directus_update','config':{'collection':'scheduled_posts','id':'1','data':{'status':'$"
         "input.s'}}}",
         writes | reaches},
        {"{'type':'directus_write','config':{'collection':'$input.where','data':{}}}", writes | reaches},
        {"{'type':'directus_write','config':{'collection':'{{input.where}}','data':{}}}", writes | reaches},
        {"{'type':'directus_delete','config':{'collection':'user_nodes','id':'1'}}", writes | reaches},
        {"{'type':'directus_trigger','config':{'id':'1'}}", writes | reaches},
        {"{'type':'http_request','config':{'url':'x'}}", reaches},
        {"{'type':'stagehand_start','config':{}}", 0},
        {"{'type':'stagehand_navigate','config':{'sessionId':'x','url':'x'}}", reaches},
        {"{'type':'stagehand_act','config':{'sessionId':'x','action':'x'}}", reaches},
        {"{'type':'stagehand_extract','config':{'sessionId':'x'}}", 0},
        {"{'type':'bullmq_enqueue','config':{'queue':'media-jobs','operation':'x'}}", writes},
        {"{'type':'bullmq_enqueue','config':{'queue':'scrape-jobs','operation':'x'}}", writes | reaches},
        {"{'type':'bullmq_enqueue','config':{'queue':'$input.q','operation':'x'}}", writes | reaches},
        {WHEN("{'type':'http_request','config':{'url':'x'}}"), reaches},
        {WHEN_ELSE("", WHEN("{'type':'directus_write','config':{'collection':'user_nodes','data':{}}}")),
         writes},
    };
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        struct flow flow = {0};
        char error[STEP_ERROR_MAX] = "", list[1024];
        (void)snprintf(list, sizeof list, "[%s]", steps[i].step);
        assert_int_equal(parse(list, &flow, error), 0);
        if (flow.effects != steps[i].effects)
            fail_msg("%s has effects %u", steps[i].step, flow.effects);
        flow_done(&flow);
    }
}

static void only_a_flow_that_may_not_go_on_is_unavailable(void **state)
{
    (void)state;
    static const struct {
        const char *steps;
        bool unavailable;
    } flows[] = {
        {"[{'type':'directus_trigger','config':{'id':'x'}}]", true},
        {"[" WHEN("{'type':'skills_activate','config':{'query':'x'}}") "]", true},
        {"[{'type':'directus_trigger','on_error':'continue','config':{'id':'x'}}]", false},
        {"[" ASK "]", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(flows); i++) {
        struct flow flow = {0};
        char error[STEP_ERROR_MAX] = "";
        assert_int_equal(parse(flows[i].steps, &flow, error), 0);
        assert_int_equal(flow.unavailable, flows[i].unavailable);
        flow_done(&flow);
    }
}

static void the_hint_names_each_input_once(void **state)
{
    (void)state;
    struct flow flow = {0};
    struct arena a;
    char error[STEP_ERROR_MAX];
    arena_init(&a, 65536);
    assert_int_equal(
        parse(
            "[{'type':'llm_generate','config':{'prompt':'$input.topic for {{input.who.name}}, $input.topic',"
            "'system':'$user.id'}}," WHEN("{'type':'memory_recall','config':{'query':'$input.last'}}") "]",
            &flow, error),
        0);
    assert_string_equal(flow_input_hint(&flow, &a), "topic, who, last");
    flow_done(&flow);
    assert_int_equal(parse("[{'type':'memory_recall','config':{'query':'x'}}]", &flow, error), 0);
    assert_string_equal(flow_input_hint(&flow, &a), "");
    flow_done(&flow);
    arena_free(&a);
}

static int check_seeded(struct db_conn *c, void *arg)
{
    struct db_rows *rows;
    int n = 0;
    (void)arg;
    assert_int_equal(db_query(c, "SELECT slug, steps, description, allow_side_effects FROM action_flows",
                              DB_NO_ARGS, &rows),
                     0);
    while (db_next(rows) > 0) {
        struct flow flow = {.allow_side_effects = db_int(rows, 3)};
        char error[STEP_ERROR_MAX] = "";
        if (flow_parse(db_text(rows, 1), &flow, error, sizeof error) < 0)
            fail_msg("%s: %s", db_text(rows, 0), error);
        assert_int_equal(!!(flow.effects & STEP_SIDE_EFFECTS), flow.allow_side_effects);
        assert_true(strlen(db_text(rows, 2)) > 40);
        flow_done(&flow);
        n++;
    }
    db_rows_free(rows);
    assert_int_equal(n, 6);
    return 0;
}

static void the_seeded_flows_are_sound(void **state)
{
    struct world *w = *state;
    assert_int_equal(db_read(w->db, check_seeded, NULL), 0);
}

int main(void)
{
#define WORLD(test) cmocka_unit_test_setup_teardown(test, world_set_up, world_tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_flow_is_taken),
        cmocka_unit_test(an_unsound_flow_is_refused_with_a_reason),
        cmocka_unit_test(steps_say_what_they_do_to_the_world),
        cmocka_unit_test(only_a_flow_that_may_not_go_on_is_unavailable),
        cmocka_unit_test(the_hint_names_each_input_once),
        WORLD(the_seeded_flows_are_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
