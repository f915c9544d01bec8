/* SPDX-License-Identifier: MIT */
/* Calls over real connections: the upstream is a scripted server, told by the user's message what to do. */
#include "support.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define FLOOD_MOST ((size_t)256 * 1024 * 1024)

struct world {
    struct tcp_server *server;
    struct model_site site;
    struct llm *llm;
    struct gate asked, closed, go;
    size_t flooded;
    atomic_bool saw_key, unexpected;
};

static struct world world;

static void flood(struct tcp_peer *p)
{
    static const char piece[] = "31\r\ndata: {\"choices\":[{\"delta\":{\"content\":\"abc\"}}]}\n\n\r\n";
    _Static_assert(sizeof piece - 1 == 4 + 0x31 + 2, "the size of the chunk");
    peer_puts(p, OPENAI_HEAD);
    world.flooded = peer_flood(p, piece, FLOOD_MOST);
    gate_set(&world.asked);
    (void)gate_wait(&world.go); /* the reader goes on */
    size_t rest = world.flooded % (sizeof piece - 1);
    peer_send(p, piece + rest, sizeof piece - 1 - rest);
    peer_token(p, "LAST");
    peer_finish(p);
}

static void say_bytes(struct tcp_peer *p)
{
    static const char answer[] =
        OPENAI_HEAD "35\r\ndata: {\"choices\":[{\"delta\":{\"content\":\"\xF0\x9F\x8C\x99 hi\"}}]}"
                    "\n\n\r\ne\r\ndata: [DONE]\n\n\r\n0\r\n\r\n";
    for (size_t i = 0; i < sizeof answer - 1; i++)
        peer_send(p, answer + i, 1);
}

/* Returns false when the connection is over. */
static bool play(struct tcp_peer *p, const char *act)
{
    if (strstr(act, "\"hello\"")) {
        peer_puts(p, OPENAI_HEAD);
        peer_token(p, "Hello");
        peer_token(p, " world");
        return peer_finish(p);
    }
    if (strstr(act, "\"bytes\"")) {
        say_bytes(p);
        return true;
    }
    if (strstr(act, "\"unended\"")) { /* the model is done, the connection says nothing more */
        peer_puts(p, OPENAI_HEAD);
        peer_token(p, "Hi");
        peer_chunk(p, "data: [DONE]\n\n");
        (void)peer_wait_closed(p);
        gate_set(&world.closed);
        return false;
    }
    if (strstr(act, "\"500\""))
        return peer_puts(p, "HTTP/1.1 500 Oops\r\nContent-Length: 14\r\n\r\nsecret-details");
    if (strstr(act, "\"429\""))
        return peer_puts(p, "HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n");
    if (strstr(act, "\"401\""))
        return peer_puts(p, "HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\n{}");
    if (strstr(act, "\"redirect\""))
        return peer_puts(p,
                         "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
    if (strstr(act, "\"drop\"") || strstr(act, "\"reset\"") || strstr(act, "\"error\"") ||
        strstr(act, "\"stall\"")) {
        peer_puts(p, OPENAI_HEAD);
        peer_token(p, "Half");
        if (strstr(act, "\"error\""))
            return peer_chunk(p, "data: {\"error\":{\"message\":\"secret-details\"}}\n\n") &&
                   peer_chunk(p, "");
        if (strstr(act, "\"stall\"")) {
            (void)peer_wait_closed(p);
            gate_set(&world.closed);
        }
        return false;
    }
    if (strstr(act, "\"silent\"")) {
        gate_set(&world.asked);
        if (!peer_wait_closed(p))
            world.unexpected = true;
        gate_set(&world.closed);
        return false;
    }
    if (strstr(act, "\"flood\"")) {
        flood(p);
        return true;
    }
    return false; /* "hang up": closes without a word */
}

static void script(struct tcp_peer *p, void *ctx)
{
    (void)ctx;
    while (peer_read_request(p)) {
        if (strstr(p->head, "Authorization: Bearer the-key\r\n"))
            world.saw_key = true;
        if (!peer_path_is(p, "/chat/completions")) {
            peer_puts(p, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
            continue;
        }
        if (!play(p, p->body))
            return;
    }
}

static int set_up(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    gate_open(&world.asked);
    gate_open(&world.closed);
    gate_open(&world.go);
    world.server = tcp_server_start(script, NULL);
    model_site(&world.site, "openai", tcp_server_port(world.server));
    return llm_open(&world.site.cfg, &world.llm);
}

static int tear_down(void **state)
{
    (void)state;
    llm_close(world.llm);
    tcp_server_stop(world.server);
    gate_close(&world.asked);
    gate_close(&world.closed);
    gate_close(&world.go);
    return metric_get(METRIC_LLM_ACTIVE) == 0 ? 0 : -1;
}

static void start(struct ear *e, const char *act)
{
    struct llm_request request = ask(world.llm, act);
    assert_int_equal(llm_start(world.llm, &request, &ear_sink, e, &e->call), 0);
}

/* Runs one call to its end. */
static void hear(struct ear *e, const char *act)
{
    ear_init(e);
    start(e, act);
    assert_true(ear_wait_end(e));
    assert_false(e->malformed);
    assert_null(strstr(e->error, "127.0.0.1"));
    assert_null(strstr(e->error, "secret"));
    assert_null(strstr(e->error, "the-key"));
}

static void an_answer_arrives(void **state)
{
    (void)state;
    struct ear e;
    hear(&e, "hello");
    assert_int_equal(e.outcome, LLM_OK);
    assert_string_equal(e.text.data, "Hello world");
    assert_int_equal(e.prompt_tokens, 2);     /* 5 characters, not told by the server */
    assert_int_equal(e.completion_tokens, 3); /* 11 characters */
    assert_true(world.saw_key);
    ear_free(&e);
}

static void an_answer_in_single_bytes_arrives(void **state)
{
    (void)state;
    struct ear e;
    hear(&e, "bytes");
    assert_int_equal(e.outcome, LLM_OK);
    assert_string_equal(e.text.data, "🌙 hi");
    ear_free(&e);
}

static void connections_are_used_again(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        struct ear e;
        hear(&e, "hello");
        assert_int_equal(e.outcome, LLM_OK);
        ear_free(&e);
    }
    assert_true(tcp_server_connections(world.server) <= 2); /* one may have been the probe's */
}

static void a_model_may_be_done_before_its_connection(void **state)
{
    (void)state;
    struct ear e;
    hear(&e, "unended");
    assert_int_equal(e.outcome, LLM_OK);
    assert_string_equal(e.text.data, "Hi");
    assert_true(gate_wait(&world.closed));
    ear_free(&e);
}

static void failures_are_told(void **state)
{
    static const struct {
        const char *act, *text;
    } failures[] = {{"500", ""},      {"429", ""},       {"401", ""},    {"redirect", ""},
                    {"drop", "Half"}, {"error", "Half"}, {"hang up", ""}};
    (void)state;
    int64_t before = metric_get(METRIC_LLM_FAILED);
    for (size_t i = 0; i < ARRAY_LEN(failures); i++) {
        struct ear e;
        hear(&e, failures[i].act);
        assert_int_equal(e.outcome, LLM_FAILED);
        assert_string_equal(e.text.data, failures[i].text);
        assert_true(e.error[0] != '\0');
        ear_free(&e);
    }
    assert_int_equal(metric_get(METRIC_LLM_FAILED) - before, ARRAY_LEN(failures));
}

static void a_server_that_is_not_there_has_failed(void **state)
{
    (void)state;
    struct model_site site;
    model_site(&site, "openai", 1);
    struct llm *llm;
    assert_int_equal(llm_open(&site.cfg, &llm), 0);
    struct ear e;
    ear_init(&e);
    struct llm_request request = ask(llm, "hello");
    assert_int_equal(llm_start(llm, &request, &ear_sink, &e, &e.call), 0);
    assert_true(ear_wait_end(&e));
    assert_int_equal(e.outcome, LLM_FAILED);
    llm_close(llm);
    ear_free(&e);
}

static void silence_times_out(void **state)
{
    (void)state;
    world.site.cfg.llm_first_token_timeout_s = 1;
    struct ear e;
    hear(&e, "silent");
    assert_int_equal(e.outcome, LLM_TIMEOUT);
    assert_true(gate_wait(&world.closed));
    assert_false(world.unexpected);
    ear_free(&e);
}

static void a_stall_between_tokens_times_out(void **state)
{
    (void)state;
    world.site.cfg.llm_token_timeout_s = 1;
    struct ear e;
    hear(&e, "stall");
    assert_int_equal(e.outcome, LLM_TIMEOUT);
    assert_string_equal(e.text.data, "Half");
    assert_true(gate_wait(&world.closed));
    ear_free(&e);
}

static void a_cancel_before_the_connection(void **state)
{
    (void)state;
    struct ear e;
    ear_init(&e);
    start(&e, "silent");
    llm_cancel(e.call);
    llm_cancel(e.call);
    assert_true(ear_wait_end(&e));
    assert_int_equal(e.outcome, LLM_CANCELLED);
    llm_cancel(e.call); /* too late: nothing happens */
    llm_cancel(NULL);
    ear_free(&e);
}

static void a_cancel_before_the_first_token_closes_the_connection(void **state)
{
    (void)state;
    struct ear e;
    ear_init(&e);
    start(&e, "silent");
    assert_true(gate_wait(&world.asked));
    llm_cancel(e.call);
    assert_true(gate_wait(&world.closed));
    assert_false(world.unexpected);
    assert_true(ear_wait_end(&e));
    assert_int_equal(e.outcome, LLM_CANCELLED);
    ear_free(&e);
}

static void a_cancel_in_the_middle_closes_the_connection(void **state)
{
    (void)state;
    struct ear e;
    ear_init(&e);
    start(&e, "stall");
    assert_true(ear_wait_text(&e, 4));
    llm_cancel(e.call);
    assert_true(gate_wait(&world.closed));
    assert_true(ear_wait_end(&e));
    assert_int_equal(e.outcome, LLM_CANCELLED);
    assert_string_equal(e.text.data, "Half");
    ear_free(&e);
}

static void a_paused_call_takes_nothing_and_waits(void **state)
{
    (void)state;
    world.site.cfg.llm_token_timeout_s = 1;
    struct ear e;
    ear_init(&e);
    pthread_mutex_lock(&e.lock);
    e.pause_at_first = true;
    pthread_mutex_unlock(&e.lock);
    start(&e, "flood");
    assert_true(gate_wait(&world.asked)); /* the server can't send any more */
    assert_true(world.flooded < FLOOD_MOST / 4);
    size_t heard = ear_heard(&e);
    assert_true(heard > 0 && heard < 65536);
    struct timespec longer_than_the_time_out = {.tv_sec = 1, .tv_nsec = 300000000};
    nanosleep(&longer_than_the_time_out, NULL);
    assert_int_equal(ear_heard(&e), heard);
    assert_int_equal(e.ends, 0);
    gate_set(&world.go);
    llm_resume(e.call);
    assert_true(ear_wait_end(&e));
    assert_int_equal(e.outcome, LLM_OK);
    assert_true(e.text.len > heard);
    assert_string_equal(e.text.data + e.text.len - 4, "LAST");
    ear_free(&e);
}

static void a_paused_call_can_be_cancelled(void **state)
{
    (void)state;
    struct ear e;
    ear_init(&e);
    e.pause_at_first = true;
    start(&e, "stall");
    assert_true(ear_wait_text(&e, 4));
    llm_cancel(e.call);
    assert_true(gate_wait(&world.closed));
    assert_true(ear_wait_end(&e));
    assert_int_equal(e.outcome, LLM_CANCELLED);
    ear_free(&e);
}

static void a_pause_before_the_start_holds(void **state)
{
    (void)state;
    struct ear e;
    ear_init(&e);
    start(&e, "hello");
    llm_pause(e.call);
    llm_resume(e.call);
    llm_pause(e.call);
    llm_resume(e.call);
    assert_true(ear_wait_end(&e));
    assert_int_equal(e.outcome, LLM_OK);
    assert_string_equal(e.text.data, "Hello world");
    ear_free(&e);
}

#define MANY 200

static void many_calls_run_at_once(void **state)
{
    (void)state;
    static struct ear ears[MANY];
    for (int i = 0; i < MANY; i++) {
        ear_init(&ears[i]);
        start(&ears[i], i % 3 == 2 ? "silent" : "hello");
    }
    for (int i = 2; i < MANY; i += 3)
        llm_cancel(ears[i].call);
    for (int i = 0; i < MANY; i++) {
        assert_true(ear_wait_end(&ears[i]));
        assert_int_equal(ears[i].outcome, i % 3 == 2 ? LLM_CANCELLED : LLM_OK);
        assert_string_equal(ears[i].text.data, i % 3 == 2 ? "" : "Hello world");
        ear_free(&ears[i]);
    }
}

static void closing_ends_every_call_once(void **state)
{
    (void)state;
    struct llm *llm;
    assert_int_equal(llm_open(&world.site.cfg, &llm), 0);
    static struct ear ears[20];
    for (int i = 0; i < 20; i++) {
        ear_init(&ears[i]);
        struct llm_request request = ask(llm, i % 2 ? "silent" : "stall");
        if (i >= 15) {
            request.model = llm_extractive();
            request.grounding = (struct llm_grounding){.question = "anything"};
        }
        ears[i].pause_at_first = i >= 15;
        assert_int_equal(llm_start(llm, &request, &ear_sink, &ears[i], &ears[i].call), 0);
    }
    assert_true(ear_wait_text(&ears[0], 4));
    assert_true(gate_wait(&world.asked));
    llm_close(llm);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(ears[i].ends, 1);
        if (i < 15)
            assert_int_equal(ears[i].outcome, LLM_CANCELLED);
        llm_cancel(ears[i].call); /* the engine is gone, the reference is still good */
        ear_free(&ears[i]);
    }
}

static void malformed_requests_are_not_started(void **state)
{
    (void)state;
    struct ear e;
    ear_init(&e);
    struct llm_request request = ask(world.llm, "bad \xFF bytes");
    assert_int_equal(llm_start(world.llm, &request, &ear_sink, &e, &e.call), -EINVAL);
    struct llm_image image = {"image/png", "a\",\"x\":\""};
    struct llm_message message = {LLM_USER, "look", &image, 1};
    request.messages = &message;
    assert_int_equal(llm_start(world.llm, &request, &ear_sink, &e, &e.call), -EINVAL);
    assert_null(e.call);
    assert_int_equal(e.ends, 0);
    ear_free(&e);
}

/* ---- the whole answer at once ---- */

static void an_answer_may_be_taken_whole(void **state)
{
    (void)state;
    _cleanup_buf_ struct buf out = BUF_INIT(1000);
    struct llm_result result;
    struct llm_request request = ask(world.llm, "hello");
    assert_int_equal(llm_complete(world.llm, &request, NULL, &out, &result), 0);
    assert_int_equal(result.outcome, LLM_OK);
    assert_string_equal(buf_str(&out), "Hello world");
    request = ask(world.llm, "500");
    assert_int_equal(llm_complete(world.llm, &request, NULL, &out, &result), 0);
    assert_int_equal(result.outcome, LLM_FAILED);
    assert_non_null(result.error);
}

static void a_whole_answer_has_a_maximum(void **state)
{
    (void)state;
    _cleanup_buf_ struct buf out = BUF_INIT(100);
    struct llm_result result;
    gate_set(&world.go);
    struct llm_request request = ask(world.llm, "flood");
    assert_int_equal(llm_complete(world.llm, &request, NULL, &out, &result), 0);
    assert_int_equal(result.outcome, LLM_FAILED);
    assert_true(out.len <= 100);
}

static void *cancel_when_asked(void *cancel)
{
    (void)gate_wait(&world.asked);
    cancel_raise(cancel);
    return NULL;
}

static void a_whole_answer_can_be_cancelled(void **state)
{
    (void)state;
    _cleanup_buf_ struct buf out = BUF_INIT(100);
    struct llm_result result;
    struct cancel cancel = {0};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, cancel_when_asked, &cancel), 0);
    struct llm_request request = ask(world.llm, "silent");
    assert_int_equal(llm_complete(world.llm, &request, &cancel, &out, &result), 0);
    assert_int_equal(result.outcome, LLM_CANCELLED);
    assert_true(gate_wait(&world.closed));
    pthread_join(thread, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    log_configure(LOG_ERROR, false);
    const struct CMUnitTest tests[] = {
        TEST(an_answer_arrives),
        TEST(an_answer_in_single_bytes_arrives),
        TEST(connections_are_used_again),
        TEST(a_model_may_be_done_before_its_connection),
        TEST(failures_are_told),
        TEST(a_server_that_is_not_there_has_failed),
        TEST(silence_times_out),
        TEST(a_stall_between_tokens_times_out),
        TEST(a_cancel_before_the_connection),
        TEST(a_cancel_before_the_first_token_closes_the_connection),
        TEST(a_cancel_in_the_middle_closes_the_connection),
        TEST(a_paused_call_takes_nothing_and_waits),
        TEST(a_paused_call_can_be_cancelled),
        TEST(a_pause_before_the_start_holds),
        TEST(many_calls_run_at_once),
        TEST(closing_ends_every_call_once),
        TEST(malformed_requests_are_not_started),
        TEST(an_answer_may_be_taken_whole),
        TEST(a_whole_answer_has_a_maximum),
        TEST(a_whole_answer_can_be_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
