/* SPDX-License-Identifier: MIT */
/* OpenAI's /v1/chat/completions, as many servers speak it: events that end with `[DONE]`. Some leave that
 * out, so a `finish_reason` also allows the stream to end; the counts come after it. */
#include "base/json.h"
#include "llm/format.h"

#include <string.h>

static const char *const roles[] = {
    [LLM_SYSTEM] = "system", [LLM_USER] = "user", [LLM_ASSISTANT] = "assistant"};

static void add_content(struct buf *out, const struct llm_message *m)
{
    if (m->n_images == 0) {
        (void)json_write_str(out, m->text, strlen(m->text));
        return;
    }
    (void)buf_adds(out, "[{\"type\":\"text\",\"text\":");
    (void)json_write_str(out, m->text, strlen(m->text));
    (void)buf_adds(out, "}");
    for (size_t i = 0; i < m->n_images; i++)
        (void)buf_addf(out, ",{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:%s;base64,%s\"}}",
                       m->images[i].mime, m->images[i].base64);
    (void)buf_adds(out, "]");
}

static int build(const struct llm_request *request, struct buf *out)
{
    (void)buf_adds(out, "{\"model\":");
    (void)json_write_str(out, request->model.name, strlen(request->model.name));
    (void)buf_adds(out, ",\"stream\":true,\"stream_options\":{\"include_usage\":true},\"messages\":[");
    for (size_t i = 0; i < request->n_messages; i++) {
        const struct llm_message *m = &request->messages[i];
        (void)buf_addf(out, "%s{\"role\":\"%s\",\"content\":", i ? "," : "", roles[m->speaker]);
        add_content(out, m);
        (void)buf_adds(out, "}");
    }
    (void)buf_adds(out, "]");
    if (request->temperature >= 0)
        build_number(out, "temperature", request->temperature);
    if (request->max_tokens > 0)
        build_number(out, "max_tokens", (double)request->max_tokens);
    return buf_adds(out, "}");
}

enum { CONTENT, REASONING, REASONING_OLD, FINISH, ERROR, PROMPT_COUNT, COUNT, N_FIELDS };

static const char *const paths[N_FIELDS] = {
    [CONTENT] = "choices.0.delta.content",
    [REASONING] = "choices.0.delta.reasoning",
    [REASONING_OLD] = "choices.0.delta.reasoning_content",
    [FINISH] = "choices.0.finish_reason",
    [ERROR] = "error",
    [PROMPT_COUNT] = "usage.prompt_tokens",
    [COUNT] = "usage.completion_tokens",
};

static void read_event(struct llm_parser *p, const char *json, size_t len)
{
    static const char end[] = "[DONE]";
    if (len == sizeof end - 1 && memcmp(json, end, len) == 0) {
        parser_done(p);
        return;
    }
    struct pick field[N_FIELDS];
    if (parser_pick(p, json, len, paths, N_FIELDS, field) < 0)
        return;
    if (pick_present(&field[ERROR])) {
        parser_fail(p, SAYS_FAILED);
        return;
    }
    parser_think(p, &field[REASONING]);
    parser_think(p, &field[REASONING_OLD]);
    parser_say(p, &field[CONTENT]);
    p->may_end |= field[FINISH].type == PICK_STRING;
    p->prompt_tokens = pick_int(&field[PROMPT_COUNT], p->prompt_tokens);
    p->completion_tokens = pick_int(&field[COUNT], p->completion_tokens);
}

const struct llm_format openai_format = {
    .chat_path = "/chat/completions",
    .probe_path = "/models",
    .events = true,
    .build = build,
    .event = read_event,
};
