/* SPDX-License-Identifier: MIT */
/* Ollama's /api/chat: a JSON object a line; the last one has `done` and the counts, a failure is a line with
 * `error`. */
#include "base/json.h"
#include "llm/format.h"

#include <string.h>

static const char *const roles[] = {
    [LLM_SYSTEM] = "system", [LLM_USER] = "user", [LLM_ASSISTANT] = "assistant"};

static void add_images(struct buf *out, const struct llm_message *m)
{
    if (m->n_images == 0)
        return;
    (void)buf_adds(out, ",\"images\":[");
    for (size_t i = 0; i < m->n_images; i++)
        (void)buf_addf(out, "%s\"%s\"", i ? "," : "", m->images[i].base64);
    (void)buf_adds(out, "]");
}

/* Without num_ctx Ollama cuts the prompt to a window of its own, much smaller than the one it was built for.
 */
static void add_options(struct buf *out, const struct llm_request *request)
{
    (void)buf_addf(out, ",\"options\":{\"num_ctx\":%lld", (long long)request->model.window_tokens);
    if (request->temperature >= 0)
        build_number(out, "temperature", request->temperature);
    if (request->max_tokens > 0)
        build_number(out, "num_predict", (double)request->max_tokens);
    (void)buf_adds(out, "}");
}

static int build(const struct llm_request *request, struct buf *out)
{
    (void)buf_adds(out, "{\"model\":");
    (void)json_write_str(out, request->model.name, strlen(request->model.name));
    (void)buf_adds(out, ",\"stream\":true,\"messages\":[");
    for (size_t i = 0; i < request->n_messages; i++) {
        const struct llm_message *m = &request->messages[i];
        (void)buf_addf(out, "%s{\"role\":\"%s\",\"content\":", i ? "," : "", roles[m->speaker]);
        (void)json_write_str(out, m->text, strlen(m->text));
        add_images(out, m);
        (void)buf_adds(out, "}");
    }
    (void)buf_adds(out, "]");
    add_options(out, request);
    return buf_adds(out, "}");
}

enum { CONTENT, THINKING, DONE, ERROR, PROMPT_COUNT, COUNT, N_FIELDS };

static const char *const paths[N_FIELDS] = {
    [CONTENT] = "message.content",        [THINKING] = "message.thinking", [DONE] = "done", [ERROR] = "error",
    [PROMPT_COUNT] = "prompt_eval_count", [COUNT] = "eval_count",
};

static void read_event(struct llm_parser *p, const char *json, size_t len)
{
    struct pick field[N_FIELDS];
    if (parser_pick(p, json, len, paths, N_FIELDS, field) < 0)
        return;
    if (pick_present(&field[ERROR])) {
        parser_fail(p, SAYS_FAILED);
        return;
    }
    parser_think(p, &field[THINKING]);
    parser_say(p, &field[CONTENT]);
    if (field[DONE].type != PICK_TRUE)
        return;
    p->prompt_tokens = pick_int(&field[PROMPT_COUNT], -1);
    p->completion_tokens = pick_int(&field[COUNT], -1);
    parser_done(p);
}

const struct llm_format ollama_format = {
    .chat_path = "/api/chat",
    .probe_path = "/api/tags",
    .build = build,
    .event = read_event,
};
