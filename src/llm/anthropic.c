/* SPDX-License-Identifier: MIT */
/* Anthropic's /v1/messages: events named by `type`. The system message is a field of its own, empty texts are
 * refused and a maximum of tokens is required; the counts come in the first and the last but one event. */
#include "base/json.h"
#include "llm/format.h"

#include <string.h>

#define DEFAULT_MAX_TOKENS 4096

static void add_content(struct buf *out, const struct llm_message *m)
{
    const char *comma = "";
    for (size_t i = 0; i < m->n_images; i++, comma = ",")
        (void)buf_addf(
            out,
            "%s{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"%s\",\"data\":\"%s\"}}",
            comma, m->images[i].mime, m->images[i].base64);
    if (m->text[0] == '\0')
        return;
    (void)buf_addf(out, "%s{\"type\":\"text\",\"text\":", comma);
    (void)json_write_str(out, m->text, strlen(m->text));
    (void)buf_adds(out, "}");
}

static void add_message(struct buf *out, const struct llm_message *m, bool first)
{
    const char *role = m->speaker == LLM_ASSISTANT ? "assistant" : "user";
    (void)buf_addf(out, "%s{\"role\":\"%s\",\"content\":[", first ? "" : ",", role);
    add_content(out, m);
    (void)buf_adds(out, "]}");
}

static void add_messages(struct buf *out, const struct llm_request *request)
{
    bool first = true;
    (void)buf_adds(out, ",\"messages\":[");
    for (size_t i = 0; i < request->n_messages; i++) {
        const struct llm_message *m = &request->messages[i];
        if (m->speaker == LLM_SYSTEM || (m->text[0] == '\0' && m->n_images == 0))
            continue;
        add_message(out, m, first);
        first = false;
    }
    (void)buf_adds(out, "]");
}

static void add_system(struct buf *out, const struct llm_request *request)
{
    if (request->n_messages == 0 || request->messages[0].speaker != LLM_SYSTEM ||
        !request->messages[0].text[0])
        return;
    (void)buf_adds(out, ",\"system\":");
    (void)json_write_str(out, request->messages[0].text, strlen(request->messages[0].text));
}

static int build(const struct llm_request *request, struct buf *out)
{
    (void)buf_adds(out, "{\"model\":");
    (void)json_write_str(out, request->model.name, strlen(request->model.name));
    (void)buf_adds(out, ",\"stream\":true");
    build_number(out, "max_tokens",
                 (double)(request->max_tokens > 0 ? request->max_tokens : DEFAULT_MAX_TOKENS));
    if (request->temperature >= 0)
        build_number(out, "temperature", request->temperature < 1 ? request->temperature : 1);
    add_system(out, request);
    add_messages(out, request);
    return buf_adds(out, "}");
}

enum { TYPE, TEXT, THINKING, FIRST_TEXT, PROMPT_COUNT, CACHED_COUNT, CACHING_COUNT, COUNT, N_FIELDS };

static const char *const paths[N_FIELDS] = {
    [TYPE] = "type",
    [TEXT] = "delta.text",
    [THINKING] = "delta.thinking",
    [FIRST_TEXT] = "content_block.text",
    [PROMPT_COUNT] = "message.usage.input_tokens",
    [CACHED_COUNT] = "message.usage.cache_read_input_tokens",
    [CACHING_COUNT] = "message.usage.cache_creation_input_tokens",
    [COUNT] = "usage.output_tokens",
};

static void on_start(struct llm_parser *p, const struct pick *field)
{
    int64_t n = pick_int(&field[PROMPT_COUNT], -1);
    if (n >= 0)
        p->prompt_tokens = n + pick_int(&field[CACHED_COUNT], 0) + pick_int(&field[CACHING_COUNT], 0);
}

static void on_block(struct llm_parser *p, const struct pick *field)
{
    parser_say(p, &field[FIRST_TEXT]);
}

static void on_delta(struct llm_parser *p, const struct pick *field)
{
    parser_think(p, &field[THINKING]);
    parser_say(p, &field[TEXT]);
}

static void on_counts(struct llm_parser *p, const struct pick *field)
{
    p->completion_tokens = pick_int(&field[COUNT], p->completion_tokens);
}

static void on_stop(struct llm_parser *p, const struct pick *field)
{
    (void)field;
    parser_done(p);
}

static void on_error(struct llm_parser *p, const struct pick *field)
{
    (void)field;
    parser_fail(p, SAYS_FAILED);
}

static const struct {
    const char *type;
    void (*read)(struct llm_parser *p, const struct pick *field);
} events[] = {
    {"content_block_delta", on_delta}, {"content_block_start", on_block}, {"message_start", on_start},
    {"message_delta", on_counts},      {"message_stop", on_stop},         {"error", on_error},
};

static void read_event(struct llm_parser *p, const char *json, size_t len)
{
    struct pick field[N_FIELDS];
    if (parser_pick(p, json, len, paths, N_FIELDS, field) < 0)
        return;
    for (size_t i = 0; i < ARRAY_LEN(events); i++)
        if (pick_is(&field[TYPE], events[i].type)) {
            events[i].read(p, field);
            return;
        }
}

const struct llm_format anthropic_format = {
    .chat_path = "/v1/messages",
    .probe_path = "/v1/models",
    .events = true,
    .build = build,
    .event = read_event,
};
