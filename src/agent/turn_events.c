/* SPDX-License-Identifier: MIT */
/* The events of docs/chat.md. Text pieces are written by hand, since there are many of them; the rest as JSON
 * values. */
#include "agent/turn.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

static const struct {
    const char *label, *mood;
} stages[] = {
    [STAGE_THINKING] = {"Looking through your notes", "thinking"},
    [STAGE_ANSWERING] = {"Writing the answer", "focused"},
    [STAGE_ACTING] = {"Running actions", "active"},
    [STAGE_DONE] = {"Done", "success"},
    [STAGE_STOPPED] = {"Stopped", "neutral"},
    [STAGE_FAILED] = {"Something went wrong", "error"},
};

static const char *const stage_keys[STAGE_COUNT] = {"bm25", "dense", "rrf", "propagation", "entropy"};

static void push(struct turn *t, int r)
{
    if (r == 0)
        r = event_stream_push(t->stream, t->event.data, t->event.len);
    if (r < 0 && t->lost == 0)
        t->lost = r;
}

/* Sends a value (takes the reference over; its first member is the answer's id). */
static void push_value(struct turn *t, json_t *value)
{
    _cleanup_json_ json_t *owned = value;
    buf_reset(&t->event);
    push(t, owned ? json_write(&t->event, owned) : -ENOMEM);
}

void turn_show_stage(struct turn *t, enum turn_stage stage)
{
    push_value(t, json_pack("{s:s, s:s, s:s, s:s}", "uuid", t->uuid, "type", "stage_update", "missionLabel",
                            stages[stage].label, "mood", stages[stage].mood));
}

void turn_show_text(struct turn *t, const char *text, size_t len)
{
    buf_reset(&t->event);
    (void)buf_addf(&t->event, "{\"uuid\":\"%s\",\"type\":\"textResponseChunk\",\"textResponse\":", t->uuid);
    (void)json_write_str(&t->event, text, len);
    (void)buf_adds(&t->event, ",\"close\":false,\"error\":false,\"sources\":[]}");
    push(t, t->event.failed ? -ENOBUFS : 0);
}

void turn_show_whole(struct turn *t, const char *text, const char *action)
{
    push_value(t, json_pack("{s:s, s:s, s:s, s:b, s:b, s:[], s:s*}", "uuid", t->uuid, "type", "textResponse",
                            "textResponse", text, "close", 1, "error", 0, "sources", "action", action));
}

void turn_show_abort(struct turn *t, const char *sentence)
{
    push_value(t, json_pack("{s:s, s:s, s:s, s:b, s:n, s:[]}", "uuid", t->uuid, "type", "abort", "error",
                            sentence, "close", 1, "textResponse", "sources"));
}

void turn_show_tool(struct turn *t, const char *slug, int step, enum action_status status, int64_t ms,
                    const char *error)
{
    json_t *v = json_pack("{s:s, s:s, s:s, s:s}", "uuid", t->uuid, "type", "toolCall", "tool", slug, "status",
                          action_status_name(status));
    if (v && step >= 0)
        (void)json_object_set_new(v, "step", json_integer(step));
    if (v && status != ACTION_RUNNING)
        (void)json_object_set_new(v, "ms", json_integer(ms));
    if (v && error && error[0])
        (void)json_object_set_new(v, "error", json_string(error));
    push_value(t, v);
}

void turn_show_action(struct turn *t, const char *slug, const struct action_result *result)
{
    json_t *v = json_pack("{s:s, s:s, s:s, s:b, s:O}", "uuid", t->uuid, "type", "actionResult", "slug", slug,
                          "success", result->status == ACTION_SUCCESS, "results", result->results);
    if (v && result->error[0])
        (void)json_object_set_new(v, "error", json_string(result->error));
    push_value(t, v);
}

json_t *turn_sources(const struct turn *t)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < t->n_sources; i++) {
        const struct passage *p = &t->found.passages[i];
        (void)json_array_append_new(list, json_pack("{s:s, s:s, s:f, s:s}", "id", p->id, "title", p->title,
                                                    "score", p->score, "kind", p->kind));
    }
    return list;
}

json_t *turn_metrics(const struct turn *t)
{
    double seconds = (double)t->duration_ms / 1000;
    json_t *stage_us = json_object();
    for (int i = 0; stage_us && i < STAGE_COUNT; i++)
        (void)json_object_set_new(stage_us, stage_keys[i], json_integer(t->found.stage_us[i]));
    return json_pack("{s:I, s:I, s:I, s:f, s:f, s:s, s:o}", "prompt_tokens", (json_int_t)t->prompt_tokens,
                     "completion_tokens", (json_int_t)t->completion_tokens, "total_tokens",
                     (json_int_t)(t->prompt_tokens + t->completion_tokens), "outputTps",
                     seconds > 0 ? (double)t->completion_tokens / seconds : 0.0, "duration", seconds, "model",
                     t->model.name ? t->model.name : "none", "retrieval_us", stage_us);
}

void turn_show_final(struct turn *t, bool error, bool stopped, int64_t chat_id)
{
    json_t *v = json_pack("{s:s, s:s, s:b, s:b, s:o, s:o}", "uuid", t->uuid, "type", "finalizeResponseStream",
                          "close", 1, "error", error, "sources", turn_sources(t), "metrics", turn_metrics(t));
    if (v && chat_id > 0)
        (void)json_object_set_new(v, "chatId", json_integer(chat_id));
    if (v && stopped)
        (void)json_object_set_new(v, "stopped", json_true());
    push_value(t, v);
}
