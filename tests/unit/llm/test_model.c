/* SPDX-License-Identifier: MIT */
/* Who answers: the choice, the probe, the queue of the local model. The upstream is an Ollama of a few lines.
 */
#include "support.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct world {
    struct tcp_server *server;
    struct model_site site;
    struct llm *llm;
    struct gate asked, go;
    pthread_mutex_t lock;
    char order[200]; /* what was asked, in the order of arrival */
    atomic_bool anthropic_headers;
};

static struct world world;

static void reply(struct tcp_peer *p, const char *body)
{
    char answer[1024];
    (void)snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(body),
                   body);
    peer_puts(p, answer);
}

static void note(const char *body)
{
    _cleanup_json_ json_t *request = json_parse(body, strlen(body));
    const json_t *message = json_array_get(json_object_get(request, "messages"), 0);
    pthread_mutex_lock(&world.lock);
    strncat(world.order, json_str(message, "content", "?"), sizeof world.order - strlen(world.order) - 1);
    pthread_mutex_unlock(&world.lock);
}

static void script(struct tcp_peer *p, void *ctx)
{
    (void)ctx;
    while (peer_read_request(p)) {
        if (peer_path_is(p, "/api/tags")) {
            reply(p, "{\"models\":[]}");
        } else if (peer_path_is(p, "/api/show")) {
            bool sees = strstr(p->body, "sees") != NULL;
            reply(p, sees ? "{\"capabilities\":[\"completion\",\"vision\"]}"
                          : "{\"capabilities\":[\"completion\"]}");
        } else if (peer_path_is(p, "/api/chat")) {
            note(p->body);
            gate_set(&world.asked);
            (void)gate_wait(&world.go);
            reply(p, "{\"message\":{\"content\":\"hi\"},\"done\":true,\"eval_count\":1,\"prompt_eval_count\":"
                     "9}\n");
        } else if (peer_path_is(p, "/v1/messages")) {
            world.anthropic_headers = strstr(p->head, "x-api-key: the-key\r\n") &&
                                      strstr(p->head, "anthropic-version: ") &&
                                      !strstr(p->head, "Authorization");
            reply(p, "data: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"hi\"}}\n\n"
                     "data: {\"type\":\"message_stop\"}\n\n");
        } else {
            peer_puts(p, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        }
    }
}

static int set_up(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    pthread_mutex_init(&world.lock, NULL);
    gate_open(&world.asked);
    gate_open(&world.go);
    world.server = tcp_server_start(script, NULL);
    model_site(&world.site, NULL, tcp_server_port(world.server));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    llm_close(world.llm);
    tcp_server_stop(world.server);
    gate_close(&world.asked);
    gate_close(&world.go);
    pthread_mutex_destroy(&world.lock);
    return 0;
}

static void open_llm(void)
{
    assert_int_equal(llm_open(&world.site.cfg, &world.llm), 0);
}

static void close_llm(void)
{
    llm_close(world.llm);
    world.llm = NULL;
}

static void assert_model(enum llm_role role, bool admin, enum llm_provider provider, const char *name)
{
    struct llm_model m = llm_choose(world.llm, role, admin);
    assert_int_equal(m.provider, provider);
    assert_string_equal(m.name, name);
    assert_int_equal(m.local, provider == LLM_OLLAMA);
}

static void an_ollama_that_answers_serves_everybody(void **state)
{
    (void)state;
    world.site.cfg.anthropic_api_key = NULL;
    world.site.cfg.ollama_model = NULL;
    open_llm();
    assert_model(LLM_AGENT, false, LLM_OLLAMA, "qwen2.5:latest");
    assert_model(LLM_AGENT, true, LLM_OLLAMA, "qwen2.5:latest");
    assert_model(LLM_ORCHESTRATOR, false, LLM_OLLAMA, "dolphin3:8b-llama3.1-q4_K_M");
    assert_model(LLM_WRITER, false, LLM_OLLAMA, "dolphin-mistral:7b");
    assert_true(llm_ready(world.llm));
    assert_int_equal(llm_choose(world.llm, LLM_AGENT, false).window_tokens, 8192);
}

static void one_model_serves_both_where_only_one_is_set(void **state)
{
    (void)state;
    open_llm();
    assert_model(LLM_AGENT, false, LLM_OLLAMA, "m:1");
    assert_model(LLM_ORCHESTRATOR, false, LLM_OLLAMA, "m:1");
    close_llm();
    world.site.cfg.ollama_model = NULL;
    world.site.cfg.orchestrator_model = "o:1";
    open_llm();
    assert_model(LLM_AGENT, false, LLM_OLLAMA, "o:1");
    assert_model(LLM_ORCHESTRATOR, false, LLM_OLLAMA, "o:1");
    close_llm();
    world.site.cfg.ollama_model = "a:1";
    world.site.cfg.writer_model = "w:1";
    open_llm();
    assert_model(LLM_AGENT, false, LLM_OLLAMA, "a:1");
    assert_model(LLM_ORCHESTRATOR, false, LLM_OLLAMA, "o:1");
    assert_model(LLM_WRITER, false, LLM_OLLAMA, "w:1");
}

static void admins_go_to_anthropic_and_creators_stay(void **state)
{
    (void)state;
    open_llm();
    assert_model(LLM_AGENT, true, LLM_ANTHROPIC, "m:1");
    assert_model(LLM_AGENT, false, LLM_OLLAMA, "m:1");
    _cleanup_buf_ struct buf out = BUF_INIT(100);
    struct llm_result result;
    struct llm_request request = ask(world.llm, "x");
    request.model = llm_choose(world.llm, LLM_AGENT, true);
    assert_int_equal(llm_complete(world.llm, &request, NULL, &out, &result), 0);
    assert_int_equal(result.outcome, LLM_OK);
    assert_string_equal(buf_str(&out), "hi");
    assert_true(world.anthropic_headers);
}

static void without_a_server_extractive_answers(void **state)
{
    (void)state;
    world.site.cfg.ollama_url = "http://127.0.0.1:1";
    world.site.cfg.anthropic_api_key = NULL;
    open_llm();
    assert_model(LLM_AGENT, false, LLM_EXTRACTIVE, "extractive");
    assert_model(LLM_ORCHESTRATOR, true, LLM_EXTRACTIVE, "extractive");
    assert_true(llm_ready(world.llm)); /* nobody was configured who could be missing */
    struct llm_model m = llm_extractive();
    assert_false(m.local || m.takes_images);
    assert_true(m.window_tokens > 0);
}

static void an_explicit_provider_serves_everybody(void **state)
{
    static const struct {
        const char *name;
        enum llm_provider provider;
        const char *model;
        bool ready;
    } providers[] = {
        {"ollama", LLM_OLLAMA, "m:1", true},
        {"openai", LLM_OPENAI, "m:1", true},
        {"anthropic", LLM_ANTHROPIC, "m:1", true},
        {"extractive", LLM_EXTRACTIVE, "extractive", true},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(providers); i++) {
        world.site.cfg.llm_provider = providers[i].name;
        open_llm();
        assert_model(LLM_AGENT, false, providers[i].provider, providers[i].model);
        assert_model(LLM_AGENT, true, providers[i].provider, providers[i].model);
        close_llm();
    }
}

static bool becomes_ready(void)
{
    for (int i = 0; i < 500; i++) {
        if (llm_ready(world.llm))
            return true;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    return false;
}

static void readiness_tells_of_an_explicit_server(void **state)
{
    (void)state;
    world.site.cfg.llm_provider = "openai"; /* here it refuses the probe, but it is there */
    open_llm();
    assert_true(becomes_ready());
    close_llm();
    world.site.cfg.llm_provider = "ollama";
    world.site.cfg.ollama_url = "http://127.0.0.1:1";
    open_llm();
    assert_model(LLM_AGENT, false, LLM_OLLAMA, "m:1"); /* waits for the probe's outcome */
    assert_false(llm_ready(world.llm));
}

static void missing_settings_are_refused(void **state)
{
    (void)state;
    struct llm *llm;
    struct config good = world.site.cfg;
    struct config *cfg = &world.site.cfg;
    cfg->llm_provider = "openai";
    cfg->llm_base_url = NULL;
    assert_int_equal(llm_open(cfg, &llm), -EINVAL);
    *cfg = good;
    cfg->llm_provider = "openai";
    cfg->llm_model = NULL;
    assert_int_equal(llm_open(cfg, &llm), -EINVAL);
    *cfg = good;
    cfg->llm_provider = "anthropic";
    cfg->anthropic_api_key = NULL;
    assert_int_equal(llm_open(cfg, &llm), -EINVAL);
    *cfg = good;
    cfg->ollama_url = "http://user:secret@127.0.0.1/";
    assert_int_equal(llm_open(cfg, &llm), -EINVAL);
    *cfg = good;
    cfg->anthropic_api_key = "a\r\nX: b";
    assert_int_equal(llm_open(cfg, &llm), -EINVAL);
}

static bool comes_to_see(enum llm_role role)
{
    for (int i = 0; i < 500; i++) {
        if (llm_choose(world.llm, role, false).takes_images)
            return true;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    return false;
}

static void a_model_that_sees_takes_images(void **state)
{
    (void)state;
    world.site.cfg.writer_model = "sees:1"; /* of the roles the last to be asked about */
    open_llm();
    assert_true(comes_to_see(LLM_WRITER));
    assert_false(llm_choose(world.llm, LLM_AGENT, false).takes_images);
    assert_true(llm_choose(world.llm, LLM_AGENT, true).takes_images);
}

/* ---- the queue of the local model: one runs, two may wait ---- */

static int start(struct ear *e, const char *text)
{
    ear_init(e);
    struct llm_request request = ask(world.llm, text);
    return llm_start(world.llm, &request, &ear_sink, e, &e->call);
}

static void the_local_model_is_served_in_order(void **state)
{
    (void)state;
    open_llm();
    struct ear ears[3], refused;
    assert_int_equal(start(&ears[0], "a"), 0);
    assert_int_equal(start(&ears[1], "b"), 0);
    assert_int_equal(start(&ears[2], "c"), 0);
    assert_int_equal(start(&refused, "d"), -EBUSY);
    for (int i = 0; i < 3; i++) {
        assert_true(gate_wait(&world.asked));
        gate_set(&world.go);
    }
    for (int i = 0; i < 3; i++) {
        assert_true(ear_wait_end(&ears[i]));
        assert_int_equal(ears[i].outcome, LLM_OK);
        assert_int_equal(ears[i].prompt_tokens, 9);
        assert_int_equal(ears[i].completion_tokens, 1);
    }
    assert_string_equal(world.order, "abc");
    assert_true(ears[0].end_order < ears[1].end_order && ears[1].end_order < ears[2].end_order);
    assert_int_equal(refused.ends, 0);
    ear_free(&refused);
    assert_int_equal(start(&refused, "d"), 0); /* there is room again */
    gate_set(&world.go);
    assert_true(ear_wait_end(&refused));
    ear_free(&refused);
    for (int i = 0; i < 3; i++)
        ear_free(&ears[i]);
}

static void who_waits_can_be_cancelled_or_paused(void **state)
{
    (void)state;
    open_llm();
    struct ear ears[3];
    assert_int_equal(start(&ears[0], "a"), 0);
    assert_true(gate_wait(&world.asked));
    assert_int_equal(start(&ears[1], "b"), 0);
    assert_int_equal(start(&ears[2], "c"), 0);
    llm_cancel(ears[1].call);
    assert_true(ear_wait_end(&ears[1]));
    assert_int_equal(ears[1].outcome, LLM_CANCELLED);
    ear_free(&ears[1]);
    llm_pause(ears[2].call); /* keeps its place */
    assert_int_equal(start(&ears[1], "e"), 0);
    llm_resume(ears[2].call);
    for (int i = 0; i < 3; i++)
        gate_set(&world.go);
    for (int i = 0; i < 3; i++) {
        assert_true(ear_wait_end(&ears[i]));
        assert_int_equal(ears[i].outcome, LLM_OK);
        ear_free(&ears[i]);
    }
    assert_string_equal(world.order, "ace");
}

/* The first-token timer runs from the start of the request, not of the wait. */
static void waiting_is_no_time_out(void **state)
{
    (void)state;
    world.site.cfg.llm_first_token_timeout_s = 2;
    open_llm();
    struct ear ears[2];
    assert_int_equal(start(&ears[0], "a"), 0);
    assert_int_equal(start(&ears[1], "b"), 0);
    assert_true(ear_wait_end(&ears[0])); /* after two seconds */
    assert_int_equal(ears[0].outcome, LLM_TIMEOUT);
    assert_true(gate_wait(&world.asked));
    assert_true(gate_wait(&world.asked));
    gate_set(&world.go);
    gate_set(&world.go);
    assert_true(ear_wait_end(&ears[1]));
    assert_int_equal(ears[1].outcome, LLM_OK);
    ear_free(&ears[0]);
    ear_free(&ears[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    log_configure(LOG_ERROR, false);
    const struct CMUnitTest tests[] = {
        TEST(an_ollama_that_answers_serves_everybody),
        TEST(one_model_serves_both_where_only_one_is_set),
        TEST(admins_go_to_anthropic_and_creators_stay),
        TEST(without_a_server_extractive_answers),
        TEST(an_explicit_provider_serves_everybody),
        TEST(readiness_tells_of_an_explicit_server),
        TEST(missing_settings_are_refused),
        TEST(a_model_that_sees_takes_images),
        TEST(the_local_model_is_served_in_order),
        TEST(who_waits_can_be_cancelled_or_paused),
        TEST(waiting_is_no_time_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
