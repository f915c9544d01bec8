/* SPDX-License-Identifier: MIT */
/* The parsers alone: bytes in, text and outcome out. */
#include "llm/format.h"

#include "base/json.h"
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct outcome {
    char *text;
    size_t len;
    enum parser_state state;
    int64_t prompt_tokens, completion_tokens;
};

static struct outcome feed(const struct llm_format *format, const char *const *pieces, const size_t *lens,
                           size_t n)
{
    struct llm_parser p;
    llm_parser_init(&p, format);
    for (size_t i = 0; i < n; i++) {
        /* an allocation of the very size, so that a sanitizer sees a read past it */
        char *copy = malloc(lens[i] ? lens[i] : 1);
        memcpy(copy, pieces[i], lens[i]);
        llm_parser_feed(&p, copy, lens[i]);
        free(copy);
    }
    llm_parser_finish(&p);
    assert_true(p.state != PARSER_READING);
    assert_true(p.state == PARSER_DONE ? p.error == NULL : p.error != NULL);
    struct outcome o = {
        .state = p.state, .prompt_tokens = p.prompt_tokens, .completion_tokens = p.completion_tokens};
    o.text = buf_take(&p.text, &o.len);
    assert_true(utf8_valid(o.text, o.len));
    llm_parser_free(&p);
    return o;
}

static struct outcome feed_whole(const struct llm_format *format, const char *s, size_t len)
{
    return feed(format, &s, &len, 1);
}

static struct outcome feed_two(const struct llm_format *format, const char *s, size_t len, size_t at)
{
    return feed(format, (const char *[]){s, s + at}, (size_t[]){at, len - at}, 2);
}

static struct outcome feed_bytes(const struct llm_format *format, const char *s, size_t len)
{
    const char **pieces = calloc(len, sizeof *pieces);
    size_t *lens = calloc(len, sizeof *lens);
    for (size_t i = 0; i < len; i++) {
        pieces[i] = s + i;
        lens[i] = 1;
    }
    struct outcome o = feed(format, pieces, lens, len);
    free(pieces);
    free(lens);
    return o;
}

static void assert_same(const struct outcome *a, const struct outcome *b)
{
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->len, b->len);
    assert_memory_equal(a->text, b->text, a->len);
    assert_int_equal(a->prompt_tokens, b->prompt_tokens);
    assert_int_equal(a->completion_tokens, b->completion_tokens);
}

/* "Grüße 🌙 ende" in escapes, bytes and halves, then a quote and a line break. */
#define SAID "Gr\u00fc\u00dfe \U0001F319 \"ende\"\n\u2028<b>"

static const char ollama_answer[] =
    "{\"model\":\"m\",\"created_at\":\"2026-01-15T10:08:06.6Z\",\"message\":{\"role\":\"assistant\","
    "\"content\":\"Gr\"},"
    "\"done\":false}\n"
    "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\",\"thinking\":\"hm\"},\"done\":"
    "false}\r\n"
    "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\\u00fc\xC3\"},\"done\":false}\n"
    "\n"
    "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\x9F"
    "e \\ud83c\"},\"done\":false}\n"
    "{\"model\":\"m\",\"message\":{\"content\":\"\\uDF19 \\\"ende\\\"\\n\"},\"done\":false}\n"
    "{\"model\":\"m\",\"message\":{\"content\":\"\\u2028\\u003cb\\u003e\"},\"done\":false}\n"
    "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"done_reason\":"
    "\"stop\","
    "\"total_duration\":5191566416,\"prompt_eval_count\":26,\"eval_count\":298,\"eval_duration\":4799921000}";

static const char openai_answer[] =
    ": a comment\r\n\r\n"
    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},"
    "\"finish_reason\":null}],\"usage\":null}\r\n\r\n"
    "event: message\nid: 7\nretry: 10\ndata:{\"choices\":[{\"delta\":{\"content\":\"Gr\\u00fc\xC3\"}}]}\n\n"
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"hm\"},\"finish_reason\":null}]}\n\n"
    "data: {\"choices\":[{\"delta\":\ndata: {\"content\":\"\x9F"
    "e \\ud83c\"}}]}\n\n"
    "data: {\"choices\":[{\"delta\":{\"content\":\"\\udf19 \\\"ende\\\"\\n\"}}]}\n\n"
    "data: {\"choices\":[{\"delta\":{\"content\":\"\xE2\x80\xA8<b>\"}}]}\n\n"
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n"
    "data: "
    "{\"choices\":[],\"usage\":{\"prompt_tokens\":26,\"completion_tokens\":298,\"total_tokens\":324}}\n\n"
    "data: [DONE]";

static const char anthropic_answer[] =
    "event: message_start\ndata: "
    "{\"type\":\"message_start\",\"message\":{\"id\":\"x\",\"content\":[],\"usage\":"
    "{\"input_tokens\":20,\"cache_creation_input_tokens\":4,\"cache_read_input_tokens\":2,\"output_tokens\":"
    "1}}}\n\n"
    "event: content_block_start\ndata: "
    "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\","
    "\"text\":\"\"}}\n\n"
    "event: ping\ndata: {\"type\": \"ping\"}\n\n"
    "event: content_block_delta\ndata: "
    "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\","
    "\"text\":\"Gr\\u00fc\xC3\"}}\n\n"
    "event: content_block_delta\ndata: "
    "{\"type\":\"content_block_delta\",\"delta\":{\"type\":\"thinking_delta\","
    "\"thinking\":\"hm\"}}\n\n"
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\","
    "\"text\":\"\x9F"
    "e \\uD83C\"}}\n\n"
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\","
    "\"text\":\"\\uDF19 \\\"ende\\\"\\n\\u2028<b>\"}}\n\n"
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
    "event: something_new\ndata: {\"type\":\"something_new\",\"delta\":{\"text\":\"no\"}}\n\n"
    "event: message_delta\ndata: "
    "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":"
    "{\"output_tokens\":298}}\n\n"
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

static const struct {
    const struct llm_format *format;
    const char *answer;
    size_t len;
} answers[] = {
    {&ollama_format, ollama_answer, sizeof ollama_answer - 1},
    {&openai_format, openai_answer, sizeof openai_answer - 1},
    {&anthropic_format, anthropic_answer, sizeof anthropic_answer - 1},
};

static void answers_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct outcome o = feed_whole(answers[i].format, answers[i].answer, answers[i].len);
        assert_int_equal(o.state, PARSER_DONE);
        assert_string_equal(o.text, SAID);
        assert_int_equal(o.prompt_tokens, 26);
        assert_int_equal(o.completion_tokens, 298);
        free(o.text);
    }
}

static void every_split_gives_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct outcome whole = feed_whole(answers[i].format, answers[i].answer, answers[i].len);
        for (size_t at = 0; at <= answers[i].len; at++) {
            struct outcome split = feed_two(answers[i].format, answers[i].answer, answers[i].len, at);
            assert_same(&whole, &split);
            free(split.text);
        }
        struct outcome bytes = feed_bytes(answers[i].format, answers[i].answer, answers[i].len);
        assert_same(&whole, &bytes);
        free(bytes.text);
        free(whole.text);
    }
}

/* The last line end of the recordings is missing; any shorter prefix lacks the end itself. */
static void an_answer_cut_short_has_failed(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        size_t len = answers[i].len;
        for (size_t at = 0; at + 3 < len; at++) {
            struct outcome o = feed_whole(answers[i].format, answers[i].answer, at);
            bool may_end = answers[i].format == &openai_format && strstr(answers[i].answer, "\"stop\"}") &&
                           answers[i].answer + at > strstr(answers[i].answer, "\"stop\"}");
            if (!may_end)
                assert_int_equal(o.state, PARSER_FAILED);
            assert_memory_equal(o.text, SAID, o.len);
            free(o.text);
        }
    }
}

static const struct {
    const struct llm_format *format;
    const char *stream;
    enum parser_state state;
    const char *text;
} streams[] = {
    {&ollama_format, "", PARSER_FAILED, ""},
    {&ollama_format, "\n\n\n", PARSER_FAILED, ""},
    {&ollama_format,
     "{\"message\":{\"content\":\"a\"}}\n{\"error\":\"boom\"}\n{\"message\":{\"content\":\"b\"},\"done\":"
     "true}",
     PARSER_FAILED, "a"},
    {&ollama_format, "{\"error\":{\"message\":\"boom\"}}", PARSER_FAILED, ""},
    {&ollama_format, "{\"message\":{\"content\":\"a\"},\"error\":null,\"done\":true}", PARSER_DONE, "a"},
    {&ollama_format, "{\"message\":{\"content\":\"a\"}}\n{\"message\":{\"content\":\"b\n", PARSER_FAILED,
     "a"},
    {&ollama_format, "{\"message\":{\"content\":\"a\"}} x\n", PARSER_FAILED, ""},
    {&ollama_format, "<html>502 Bad Gateway</html>", PARSER_FAILED, ""},
    {&ollama_format,
     "{\"message\":{\"content\":\"a\"},\"done\":true}\n{\"message\":{\"content\":\"b\"}}\n garbage",
     PARSER_DONE, "a"},
    {&ollama_format,
     "{\"message\":{\"content\":\"a\\ud800\"}}\n{\"message\":{\"content\":\"b\\udc00\"},\"done\":true}",
     PARSER_DONE, "a\uFFFDb\uFFFD"},
    {&ollama_format, "{\"message\":{\"content\":\"\\ud800\\ud800\\udc00\\u0000\"},\"done\":true}",
     PARSER_DONE, "\uFFFD\U00010000\uFFFD"},
    {&ollama_format, "{\"message\":{\"content\":\"\xF0\x9F\"},\"done\":true}", PARSER_DONE, "\uFFFD\uFFFD"},
    {&ollama_format, "{\"message\":{\"content\":\"\xC0\xAF\xED\xA0\x80\xFFz\"},\"done\":true}", PARSER_DONE,
     "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDz"},
    {&ollama_format, "{\"message\":{\"content\":7},\"done\":\"true\"}", PARSER_FAILED, ""},
    {&ollama_format, "{\"m\\u0065ssage\":{\"content\":\"a\"},\"done\":true}", PARSER_DONE, "a"},
    {&openai_format,
     "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: {\"error\":{\"message\":\"boom\"}}\n\n",
     PARSER_FAILED, "a"},
    {&openai_format, "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n", PARSER_FAILED, "a"},
    {&openai_format, "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"length\"}]}\n\n",
     PARSER_DONE, "a"},
    {&openai_format, "data: {\"choices\":[{\"delta\":{\"content\":\"bro\n\ndata: [DONE]\n\n", PARSER_FAILED,
     ""},
    {&openai_format, "data:\n\ndata: [DONE]\n\n", PARSER_DONE, ""},
    {&openai_format, "{\"choices\":[{\"message\":{\"content\":\"not a stream\"}}]}", PARSER_FAILED, ""},
    {&openai_format, "data: [DONE] \n\n", PARSER_FAILED, ""},
    {&anthropic_format,
     "event: error\ndata: "
     "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n",
     PARSER_FAILED, ""},
    {&anthropic_format,
     "data: {\"type\":\"content_block_start\",\"content_block\":{\"type\":\"text\",\"text\":\"a\"}}\n\n"
     "data: {\"type\":\"message_stop\"}\n\n",
     PARSER_DONE, "a"},
    {&anthropic_format, "data: {\"type\":\"message_stop\"", PARSER_FAILED, ""},
};

static void streams_end_as_they_should(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(streams); i++) {
        const char *s = streams[i].stream;
        struct outcome o = feed_whole(streams[i].format, s, strlen(s));
        if (o.state != streams[i].state || strcmp(o.text, streams[i].text) != 0)
            fail_msg("%s: state %d, text '%s'", s, (int)o.state, o.text);
        for (size_t at = 0; at <= strlen(s); at++) {
            struct outcome split = feed_two(streams[i].format, s, strlen(s), at);
            assert_same(&o, &split);
            free(split.text);
        }
        free(o.text);
    }
}

static void lines_are_bounded(void **state)
{
    (void)state;
    size_t len = LINE_MAX_BYTES + 100;
    char *line = malloc(len);
    memset(line, 'x', len);
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct outcome o = feed_two(answers[i].format, line, len, len / 2);
        assert_int_equal(o.state, PARSER_FAILED);
        free(o.text);
    }
    /* many data lines of one event are bounded as a whole */
    memset(line, '\n', len);
    for (size_t at = 0; at + 64 < len; at += 64) {
        memset(line + at, ' ', 63);
        memcpy(line + at, "data:", 5);
    }
    struct outcome o = feed_whole(&openai_format, line, len - 64);
    assert_int_equal(o.state, PARSER_FAILED);
    free(o.text);
    free(line);
}

static void deep_nesting_is_refused(void **state)
{
    (void)state;
    char deep[400] = "{\"message\":{\"content\":\"a\"},\"x\":";
    size_t len = strlen(deep);
    memset(deep + len, '[', 100);
    memset(deep + len + 100, ']', 100);
    memcpy(deep + len + 200, "}", 2);
    struct outcome o = feed_whole(&ollama_format, deep, strlen(deep));
    assert_int_equal(o.state, PARSER_FAILED);
    free(o.text);
}

/* ---- requests ---- */

static const struct llm_image image = {"image/png", "aGVsbG8="};

static const struct llm_message talk[] = {
    {LLM_SYSTEM, "Be \"kind\"\n", NULL, 0},
    {LLM_USER, "Who?", NULL, 0},
    {LLM_ASSISTANT, "", NULL, 0},
    {LLM_USER, "Grüße \\ \x01", &image, 1},
};

static json_t *body_of(const struct llm_format *format, const struct llm_request *request)
{
    _cleanup_buf_ struct buf out = BUF_INIT(100000);
    assert_int_equal(format->build(request, &out), 0);
    json_t *body = json_parse(out.data, out.len);
    assert_non_null(body);
    assert_string_equal(json_str(body, "model", ""), "m:1");
    assert_true(json_bool(body, "stream", false));
    return body;
}

static const json_t *at(const json_t *j, const char *key, size_t i)
{
    return json_array_get(json_object_get(j, key), i);
}

static struct llm_request a_request(double temperature, int64_t max_tokens)
{
    return (struct llm_request){
        .model = {.name = "m:1", .window_tokens = 8192},
        .messages = talk,
        .n_messages = ARRAY_LEN(talk),
        .temperature = temperature,
        .max_tokens = max_tokens,
    };
}

static void ollama_is_asked(void **state)
{
    (void)state;
    struct llm_request request = a_request(0.25, 2000000);
    _cleanup_json_ json_t *body = body_of(&ollama_format, &request);
    assert_int_equal(json_array_size(json_object_get(body, "messages")), 4);
    assert_string_equal(json_str(at(body, "messages", 0), "role", ""), "system");
    assert_string_equal(json_str(at(body, "messages", 0), "content", ""), "Be \"kind\"\n");
    assert_string_equal(json_str(at(body, "messages", 3), "content", ""), "Grüße \\ \x01");
    assert_string_equal(json_string_value(at(at(body, "messages", 3), "images", 0)), "aGVsbG8=");
    const json_t *options = json_object_get(body, "options");
    assert_int_equal(json_int(options, "num_ctx", 0), 8192);
    assert_int_equal(json_int(options, "num_predict", 0), 2000000);
    assert_true(json_num(options, "temperature", 0) == 0.25);
}

static void openai_is_asked(void **state)
{
    (void)state;
    struct llm_request request = a_request(-1, 0);
    _cleanup_json_ json_t *body = body_of(&openai_format, &request);
    assert_null(json_object_get(body, "temperature"));
    assert_null(json_object_get(body, "max_tokens"));
    assert_true(json_bool(json_object_get(body, "stream_options"), "include_usage", false));
    assert_string_equal(json_str(at(body, "messages", 2), "role", ""), "assistant");
    const json_t *last = at(body, "messages", 3);
    assert_string_equal(json_str(at(last, "content", 0), "text", ""), "Grüße \\ \x01");
    assert_string_equal(json_str(json_object_get(at(last, "content", 1), "image_url"), "url", ""),
                        "data:image/png;base64,aGVsbG8=");
}

static void anthropic_is_asked(void **state)
{
    (void)state;
    struct llm_request request = a_request(1.7, 0);
    _cleanup_json_ json_t *body = body_of(&anthropic_format, &request);
    assert_string_equal(json_str(body, "system", ""), "Be \"kind\"\n");
    assert_true(json_int(body, "max_tokens", 0) > 0);
    assert_true(json_num(body, "temperature", 0) == 1);
    assert_int_equal(json_array_size(json_object_get(body, "messages")), 2); /* neither system nor empty */
    const json_t *last = at(body, "messages", 1);
    assert_string_equal(json_str(last, "role", ""), "user");
    const json_t *source = json_object_get(at(last, "content", 0), "source");
    assert_string_equal(json_str(source, "media_type", ""), "image/png");
    assert_string_equal(json_str(source, "data", ""), "aGVsbG8=");
    assert_string_equal(json_str(at(last, "content", 1), "text", ""), "Grüße \\ \x01");
}

static void a_request_too_large_is_not_sent(void **state)
{
    (void)state;
    struct llm_request request = a_request(0, 0);
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        _cleanup_buf_ struct buf out = BUF_INIT(40);
        (void)answers[i].format->build(&request, &out);
        assert_true(out.failed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_read),
        cmocka_unit_test(every_split_gives_the_same),
        cmocka_unit_test(an_answer_cut_short_has_failed),
        cmocka_unit_test(streams_end_as_they_should),
        cmocka_unit_test(lines_are_bounded),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(ollama_is_asked),
        cmocka_unit_test(openai_is_asked),
        cmocka_unit_test(anthropic_is_asked),
        cmocka_unit_test(a_request_too_large_is_not_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
