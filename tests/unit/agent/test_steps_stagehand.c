/* SPDX-License-Identifier: MIT */
/* Browser steps against a service that speaks Stagehand's paths and shapes. */
#include "flows.h"

static void answer(struct fake_request *rq)
{
    const char *path = rq->path, *body = rq->body;
    struct world *w = rq->ctx;
    if (strcmp(path, "/v1/sessions/start") == 0)
        fake_json(rq, 200, "{\"success\":true,\"data\":{\"sessionId\":\"s-1\",\"available\":true}}");
    else if (strstr(path, "/extract"))
        fake_json(rq, 200,
                  "{\"success\":true,\"data\":{\"result\":{\"title\":\"Home\"},\"actionId\":\"a\"}}");
    else if (strstr(path, "/observe"))
        fake_json(rq, 200, "{\"success\":true,\"data\":{\"result\":[{\"selector\":\"x\"}]}}");
    else if (strstr(path, "/screenshot"))
        fake_json(rq, 404, "{\"message\":\"Route not found\"}");
    else if (strstr(body, "explode"))
        fake_json(rq, 500, "{\"success\":false,\"message\":\"inner secret\"}");
    else if (strstr(body, "refuse"))
        fake_json(rq, 200, "{\"success\":false,\"message\":\"inner secret\"}");
    else if (strstr(body, "cancel")) {
        cancel_raise(&w->cancel);
        fake_stall(rq);
    } else
        fake_json(rq, 200, "{\"success\":true,\"data\":{\"result\":null}}");
}

static int set_up(void **state)
{
    (void)world_set_up(state);
    struct world *w = *state;
    world_serve(w, answer);
    w->cfg.stagehand_url = w->server_url;
    return 0;
}

#define START "{'type':'stagehand_start','result_key':'b','config':{}}"
#define ON(op, more) \
    "{'type':'stagehand_" op "','result_key':'" op "','config':{'sessionId':'$b.sessionId'" more "}}"

static void a_session_is_opened_used_and_closed(void **state)
{
    struct world *w = *state;
    add_flow(w, "f", true,
             "[" START "," ON("navigate", ",'url':'$input.url'") "," ON("act", ",'action':'click'") "," ON(
                 "extract", ",'instruction':'read','schema':{'type':'object'}") "," ON("observe",
                                                                                       "") "," ON("close",
                                                                                                  "") "]");
    assert_int_equal(run_flow(w, "f", "{'url':'http://127.0.0.1/'}"), ACTION_SUCCESS);
    assert_results(w, "{'b':{'sessionId':'s-1'},'navigate':null,'act':null,'extract':{'title':'Home'},"
                      "'observe':[{'selector':'x'}],'close':{'closed':true}}");
    assert_seen(w,
                "POST /v1/sessions/start\nPOST /v1/sessions/s-1/navigate\nPOST /v1/sessions/s-1/act\n"
                "POST /v1/sessions/s-1/extract\nPOST /v1/sessions/s-1/observe\nPOST /v1/sessions/s-1/end\n");
}

/* What a flow's input may be put into leads nowhere. */
static void start_takes_only_how_a_browser_looks(void **state)
{
    static const char *const refused[] = {
        "'text'",
        "{}",
        "{'type':'local','cdpUrl':'ws://10.0.0.1:9222/'}",
        "{'type':'elsewhere'}",
        "{'type':'local','launchOptions':[]}",
        "{'type':'local','launchOptions':{'executablePath':'/bin/sh'}}",
        "{'type':'local','launchOptions':{'headless':true,'args':['--no-sandbox']}}",
        "{'type':'local','launchOptions':{'locale':{'a':1}}}",
        "{'type':'local','launchOptions':{'viewport':{'width':1,'more':2}}}",
    };
    struct world *w = *state;
    char input[256];
    add_flow(w, "f", true, "[{'type':'stagehand_start','config':{'browser':'$input.browser'}}]");
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        (void)snprintf(input, sizeof input, "{'browser':%s}", refused[i]);
        assert_int_equal(run_flow(w, "f", input), ACTION_ERROR);
    }
    assert_seen(w, "");
    assert_int_equal(run_flow(w, "f",
                              "{'browser':{'type':'local','launchOptions':{'headless':false,'locale':'de'"
                              ",'viewport':{'width':1280,'height':720}}}}"),
                     ACTION_SUCCESS);
}

static void start_names_a_model_and_a_browser(void **state)
{
    struct world *w = *state;
    add_flow(w, "given", true,
             "[{'type':'stagehand_start','config':{'model':'openai/x','browser':{'type':'browserbase'}}}]");
    add_flow(w, "default", true, "[{'type':'stagehand_start','config':{}}]");
    assert_int_equal(run_flow(w, "given", "{}"), ACTION_SUCCESS);
    assert_true(
        fake_was_sent(w->server, "{\"modelName\":\"openai/x\",\"browser\":{\"type\":\"browserbase\"}}"));
    w->cfg.ollama_model = "small:1b";
    assert_int_equal(run_flow(w, "default", "{}"), ACTION_SUCCESS);
    assert_true(fake_was_sent(w->server, "{\"modelName\":\"ollama/small:1b\",\"browser\":{\"type\":\"local\","
                                         "\"launchOptions\":{\"headless\":true}}}"));
}

static void what_a_flow_leaves_open_is_ended(void **state)
{
    struct world *w = *state;
    static const char *const endings[] = {"ok", "explode", "refuse", "cancel"};
    add_flow(w, "f", true, "[" START "," ON("act", ",'action':'$input.act'") "]");
    for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
        char input[64];
        (void)snprintf(input, sizeof input, "{'act':'%s'}", endings[i]);
        assert_int_equal(run_flow(w, "f", input), i == 0 ? ACTION_SUCCESS : ACTION_ERROR);
        assert_null(strstr(w->result.error, "secret"));
        char *seen = fake_seen(w->server);
        const char *end = "POST /v1/sessions/s-1/end\n";
        assert_string_equal(seen + strlen(seen) - strlen(end), end);
        free(seen);
    }
    assert_string_equal(w->result.error, "The flow was cancelled");
}

static void without_a_service_the_step_is_unavailable(void **state)
{
    struct world *w = *state;
    w->cfg.stagehand_url = NULL;
    assert_int_equal(run_flow(w, "scout-analyze", "{'url':'https://example.com'}"), ACTION_ERROR);
    assert_error(w, "step_unavailable: no browser service is connected");
    w->cfg.stagehand_url = "http://127.0.0.1:1";
    assert_int_equal(run_flow(w, "scout-analyze", "{'url':'https://example.com'}"), ACTION_ERROR);
    assert_error(w, "step_unavailable: the browser service can't be reached");
}

static void what_the_service_lacks_is_unavailable(void **state)
{
    struct world *w = *state;
    add_flow(w, "f", true, "[" START "," ON("screenshot", "") "]");
    assert_int_equal(run_flow(w, "f", "{}"), ACTION_ERROR);
    assert_error(w, "step_unavailable: the browser service does not offer this");
}

static void only_a_session_of_this_flow_can_be_used(void **state)
{
    struct world *w = *state;
    static const char *const ids[] = {"s-1", "s-2", "../other", ""};
    add_flow(w, "f", true, "[{'type':'stagehand_extract','config':{'sessionId':'$input.id'}}]");
    add_flow(w, "closed", true, "[" START "," ON("close", "") "," ON("extract", "") "]");
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        char input[64];
        (void)snprintf(input, sizeof input, "{'id':'%s'}", ids[i]);
        assert_int_equal(run_flow(w, "f", input), ACTION_ERROR);
        assert_error(w, "opened by this flow");
    }
    assert_seen(w, "");
    assert_int_equal(run_flow(w, "closed", "{}"), ACTION_ERROR);
    assert_error(w, "opened by this flow");
    assert_seen(w, "POST /v1/sessions/start\nPOST /v1/sessions/s-1/end\n");
}

static void a_page_must_have_a_public_address(void **state)
{
    struct world *w = *state;
    static const char *const urls[] = {"http://127.0.0.1/",
                                       "http://localhost/",
                                       "http://[::1]/",
                                       "http://10.0.0.1/",
                                       "http://169.254.169.254/latest",
                                       "http://2130706433/",
                                       "http://0x7f.1/",
                                       "http://[::ffff:127.0.0.1]/"};
    w->cfg.allow_private_urls = false;
    add_flow(w, "f", true, "[" START "," ON("navigate", ",'url':'$input.url'") "]");
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        char input[128];
        (void)snprintf(input, sizeof input, "{'url':'%s'}", urls[i]);
        assert_int_equal(run_flow(w, "f", input), ACTION_ERROR);
        assert_error(w, "is not a public one");
    }
    assert_int_equal(run_flow(w, "f", "{'url':'file:///etc/passwd'}"), ACTION_ERROR);
    assert_error(w, "http or https");
    assert_int_equal(run_flow(w, "f", "{'url':'http://no-such-host.invalid/'}"), ACTION_ERROR);
    char *seen = fake_seen(w->server);
    assert_null(strstr(seen, "navigate"));
    free(seen);
}

static void a_flow_opens_a_few_sessions_at_most(void **state)
{
    struct world *w = *state;
#define PLAIN "{'type':'stagehand_start','config':{}}"
    add_flow(w, "f", true, "[" PLAIN "," PLAIN "," PLAIN "," PLAIN "," PLAIN "]");
    assert_int_equal(run_flow(w, "f", "{}"), ACTION_ERROR);
    assert_error(w, "at most 4");
}

int main(void)
{
#define WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, world_tear_down)
    const struct CMUnitTest tests[] = {
        WORLD(a_session_is_opened_used_and_closed),       WORLD(start_names_a_model_and_a_browser),
        WORLD(start_takes_only_how_a_browser_looks),      WORLD(what_a_flow_leaves_open_is_ended),
        WORLD(without_a_service_the_step_is_unavailable), WORLD(what_the_service_lacks_is_unavailable),
        WORLD(only_a_session_of_this_flow_can_be_used),   WORLD(a_page_must_have_a_public_address),
        WORLD(a_flow_opens_a_few_sessions_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
