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

static void add_text(struct buf *b, const char *s)
{
    size_t len = strlen(s);
    (void)json_write_str(b, s, utf8_valid(s, len) ? len : 0);
}

static void add_sources(struct buf *b, const struct turn *t)
{
    (void)buf_adds(b, "[");
    for (size_t i = 0; i < t->n_sources; i++) {
        const struct passage *p = &t->found.passages[i];
        (void)buf_addf(b, "%s{\"id\":\"%s\",\"title\":", i ? "," : "", p->id);
        add_text(b, p->title);
        (void)buf_addf(b, ",\"score\":%.4f,\"kind\":", p->score);
        add_text(b, p->kind);
        (void)buf_adds(b, "}");
    }
    (void)buf_adds(b, "]");
}

static void add_metrics(struct buf *b, const struct turn *t)
{
    double seconds = (double)t->duration_ms / 1000;
    double rate = seconds > 0 ? (double)t->completion_tokens / seconds : 0;
    (void)buf_addf(b,
                   "{\"prompt_tokens\":%lld,\"completion_tokens\":%lld,\"total_tokens\":%lld,"
                   "\"outputTps\":%.3f,\"duration\":%.3f,\"model\":",
                   (long long)t->prompt_tokens, (long long)t->completion_tokens,
                   (long long)(t->prompt_tokens + t->completion_tokens), rate, seconds);
    add_text(b, t->model.name ? t->model.name : "none");
    for (int i = 0; i < STAGE_COUNT; i++)
        (void)buf_addf(b, "%s\"%s\":%lld", i ? "," : ",\"retrieval_us\":{", stage_keys[i],
                       (long long)t->found.stage_us[i]);
    (void)buf_adds(b, "}}");
}

void turn_show_final(struct turn *t, bool error, bool stopped, int64_t chat_id)
{
    struct buf *b = &t->event;
    buf_reset(b);
    (void)buf_addf(b, "{\"uuid\":\"%s\",\"type\":\"finalizeResponseStream\",\"close\":true,\"error\":%s",
                   t->uuid, error ? "true" : "false");
    if (chat_id > 0)
        (void)buf_addf(b, ",\"chatId\":%lld", (long long)chat_id);
    if (stopped)
        (void)buf_adds(b, ",\"stopped\":true");
    (void)buf_adds(b, ",\"sources\":");
    add_sources(b, t);
    (void)buf_adds(b, ",\"metrics\":");
    add_metrics(b, t);
    (void)buf_adds(b, "}");
    push(t, b->failed ? -ENOBUFS : 0);
}

const char *turn_response(struct turn *t)
{
    struct buf *b = &t->response;
    (void)buf_adds(b, "{\"text\":");
    (void)json_write_str(b, t->visible.len ? t->visible.data : "", t->visible.len);
    (void)buf_adds(b, ",\"sources\":");
    add_sources(b, t);
    (void)buf_adds(b, ",\"type\":\"chat\",\"attachments\":[],\"metrics\":");
    add_metrics(b, t);
    if (t->actions) {
        (void)buf_adds(b, ",\"actions\":");
        if (json_write(b, t->actions) < 0)
            return NULL;
    }
    (void)buf_adds(b, "}");
    return b->failed ? NULL : b->data;
}
