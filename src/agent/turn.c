/* SPDX-License-Identifier: MIT */
/* A turn's life after its beginning. Ownership of what follows passes from thread to thread and is never
 * shared: the model's thread until done(), then (if there are flows) a flow worker, then the store's writer,
 * which ends it. */
#include "agent/gate.h"
#include "agent/turn.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>
#include <utlist.h>

#define ARENA_MAX (64 * 1024 * 1024)
#define ANSWER_MAX (1024 * 1024)
#define EVENT_MAX (2 * 1024 * 1024)
#define RESPONSE_MAX (12 * 1024 * 1024) /* an answer whose every byte is escaped, and what flows brought */
#define FLOWS_TIME_MS (10 * 60 * 1000)

static void pause_model(void *ctx, bool paused)
{
    struct turn *t = ctx;
    pthread_mutex_lock(&t->lock);
    if (t->call)
        (paused ? llm_pause : llm_resume)(t->call);
    pthread_mutex_unlock(&t->lock);
}

static void abandoned(void *ctx)
{
    (void)turn_stop(ctx);
}

static void release(void *ctx)
{
    struct turn *t = ctx;
    identity_unref(t->who);
    tags_free(&t->tags);
    buf_free(&t->visible);
    buf_free(&t->event);
    buf_free(&t->response);
    json_decref(t->actions);
    arena_free(&t->arena);
    arena_free(&t->kept);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

static const struct event_ops stream_ops = {CHAT_STREAM, pause_model, abandoned, release};

static void show_visible(void *ctx, const char *text, size_t len)
{
    struct turn *t = ctx;
    if (!t->answering) {
        t->answering = true;
        turn_show_stage(t, STAGE_ANSWERING);
    }
    int r = buf_add(&t->visible, text, len);
    if (r < 0) {
        t->lost = r;
        (void)turn_stop(t);
        return;
    }
    turn_show_text(t, text, len);
}

/* Registers a running turn; false when the chat is closing. */
static bool enter(struct chat *chat, struct turn *t)
{
    pthread_mutex_lock(&chat->lock);
    bool open = !chat->closing;
    if (open) {
        DL_APPEND(chat->turns, t);
        chat->running++;
    }
    pthread_mutex_unlock(&chat->lock);
    return open;
}

/* Nobody who closes the chat looks at it any more. */
static void unlist(struct chat *chat, struct turn *t)
{
    pthread_mutex_lock(&chat->lock);
    DL_DELETE(chat->turns, t);
    pthread_mutex_unlock(&chat->lock);
}

/* Who closes the chat no longer waits for it. */
static void leave(struct chat *chat)
{
    pthread_mutex_lock(&chat->lock);
    chat->running--;
    if (chat->running == 0)
        pthread_cond_broadcast(&chat->idle);
    pthread_mutex_unlock(&chat->lock);
}

/* The last thing done to a turn: afterwards it belongs to its stream alone. */
static void end(struct turn *t)
{
    struct chat *chat = t->chat;
    struct event_stream *stream = t->stream;
    pthread_mutex_lock(&t->lock);
    struct llm_call *call = TAKE_PTR(t->call);
    t->sealed = true;
    pthread_mutex_unlock(&t->lock);
    llm_call_unref(call);
    /* what only producing needed goes now; the stream may be kept for a replay */
    tags_free(&t->tags);
    buf_free(&t->visible);
    buf_free(&t->event);
    buf_free(&t->response);
    json_decref(t->actions);
    t->actions = NULL;
    arena_free(&t->arena);
    arena_free(&t->kept);
    unlist(chat, t);
    event_stream_end(stream);
    event_stream_unref(stream);
    leave(chat);
}

struct turn *turn_new(struct chat *chat, struct identity *who)
{
    struct turn *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->chat = chat;
    t->who = identity_ref(who);
    t->visible = BUF_INIT(ANSWER_MAX);
    t->event = BUF_INIT(EVENT_MAX);
    t->response = BUF_INIT(RESPONSE_MAX);
    arena_init(&t->arena, ARENA_MAX);
    arena_init(&t->kept, ARENA_MAX);
    pthread_mutex_init(&t->lock, NULL);
    tags_init(&t->tags, show_visible, t);
    uuid_make(t->uuid);
    return t;
}

int turn_open(struct turn *t)
{
    if (!enter(t->chat, t))
        return -ESHUTDOWN;
    int r = event_stream_new(t->chat->events, t->uuid, t->who->user_id, &stream_ops, t, &t->stream);
    if (r < 0) {
        unlist(t->chat, t);
        leave(t->chat);
    }
    return r;
}

void turn_drop(struct turn *t)
{
    if (t->stream)
        end(t);
    else
        release(t);
}

bool turn_stop(struct turn *t)
{
    pthread_mutex_lock(&t->lock);
    bool counts = !t->sealed;
    if (counts) {
        cancel_raise(&t->cancel);
        llm_cancel(t->call);
    }
    pthread_mutex_unlock(&t->lock);
    return counts;
}

/* --- storing and finalizing ---------- */

static bool was_stopped(struct turn *t)
{
    return t->outcome == LLM_CANCELLED || cancel_raised(&t->cancel);
}

/* A stop that comes after this is too late, and is told so. */
static void seal(struct turn *t)
{
    pthread_mutex_lock(&t->lock);
    t->sealed = true;
    pthread_mutex_unlock(&t->lock);
}

static void finalize(struct turn *t, int64_t chat_id)
{
    seal(t);
    bool error = t->error != NULL, stopped = !error && was_stopped(t);
    if (error) {
        metric_add(METRIC_CHATS_ABORTED, 1);
        turn_show_abort(t, t->error);
    }
    turn_show_stage(t, error ? STAGE_FAILED : stopped ? STAGE_STOPPED : STAGE_DONE);
    turn_show_final(t, error, stopped, chat_id);
    end(t);
}

static int give_back_unit(struct db_conn *c, void *arg)
{
    struct turn *t = arg;
    return quota_settle_in(c, t->uuid, QUOTA_RETURN_ALL);
}

/* Where it failed, the reservation's lease ends by itself. */
static void gave_back(void *arg, int r)
{
    struct turn *t = arg;
    (void)r;
    quota_forget(t->chat->quota, t->who->user_id);
    finalize(t, 0);
}

/* Nothing came of it: the message of the plan goes back before the client hears of the end. */
static void finalize_nothing(struct turn *t)
{
    if (!t->held || db_write_async(t->chat->env.db, give_back_unit, t, gave_back) < 0)
        finalize(t, 0);
}

/* On the store's writer, or on a worker where the writer's queue was full. */
static void stored(void *arg, int r)
{
    struct turn *t = arg;
    if (r >= 0) {
        finalize(t, t->record.ret_chat_id);
        return;
    }
    (void)log_error(r, "an exchange could not be stored");
    t->error = "The answer could not be stored, try again shortly";
    finalize_nothing(t);
}

/* What is stored counts. */
static int store_unit(struct db_conn *c, void *arg)
{
    struct turn *t = arg;
    int r = history_store_unit(c, &t->record);
    if (r >= 0 && t->held)
        r = quota_settle_in(c, t->uuid, QUOTA_KEEP_ALL);
    return r;
}

static void store_waiting(void *arg)
{
    struct turn *t = arg;
    stored(t, db_write(t->chat->env.db, store_unit, t));
}

static void store(struct turn *t)
{
    if (t->lost < 0 && !t->error)
        t->error = "The answer grew too large and was cut off";
    if (t->visible.len == 0 && !t->actions) {
        finalize_nothing(t);
        return;
    }
    t->record = (struct exchange_record){
        .answer_uuid = t->uuid,
        .user_id = t->who->user_id,
        .session_id = t->session_id,
        .anythingllm_user_id = t->who->anythingllm_user_id,
        .workspace_id = t->workspace_id,
        .prompt = t->message,
        .response = turn_response(t),
    };
    if (!t->record.response) {
        stored(t, -ENOMEM);
        return;
    }
    if (db_write_async(t->chat->env.db, store_unit, t, stored) == 0)
        return;
    if (pool_submit(t->chat->flows, store_waiting, t) < 0)
        stored(t, -EAGAIN);
}

/* --- flows ---------- */

static void show_progress(void *ctx, const char *slug, int step, enum action_status status, int64_t ms,
                          const char *error)
{
    turn_show_tool(ctx, slug, step, status, ms, error);
}

static void keep_result(struct turn *t, const char *slug, const struct action_result *result)
{
    json_t *row =
        json_pack("{s:s, s:s, s:b, s:O}", "slug", slug, "status", action_status_name(result->status),
                  "success", result->status == ACTION_SUCCESS, "results", result->results);
    if (row && result->error[0])
        (void)json_object_set_new(row, "error", json_string(result->error));
    if (!t->actions)
        t->actions = json_array();
    if (json_array_append_new(t->actions, row) < 0)
        t->lost = -ENOMEM;
}

static void run_flow(struct turn *t, const char *slug, const json_t *input, int64_t deadline_ms)
{
    struct action_result result = {0};
    struct action_call call = {
        .slug = slug,
        .input = input,
        .who = t->who,
        .hold_writes = t->state == ONBOARDING_PROCESSING && !gate_is_admin(t->who),
        .cancel = &t->cancel,
        .deadline_ms = deadline_ms,
        .observer = {show_progress, t},
    };
    action_run(&t->chat->env, &call, &result);
    turn_show_action(t, slug, &result);
    keep_result(t, slug, &result);
    json_decref(result.results);
}

/* Those over the limit, and all that are left once the turn is stopped, are told to be missed. */
static void miss_flow(struct turn *t, const struct tag *tag, const char *reason)
{
    struct action_call call = {
        .slug = tag->slug, .input = tag->input, .who = t->who, .observer = {show_progress, t}};
    action_miss(&t->chat->env, &call, reason);
}

static void run_flows(void *arg)
{
    struct turn *t = arg;
    int64_t deadline = clock_monotonic_ms() + FLOWS_TIME_MS;
    turn_show_stage(t, STAGE_ACTING);
    if (t->flow_slug[0]) {
        _cleanup_json_ json_t *input = json_pack("{s:s, s:s}", "message", t->message, "query", t->message);
        run_flow(t, t->flow_slug, input, deadline);
    }
    for (size_t i = 0; i < t->tags.n_tags; i++) {
        const struct tag *tag = &t->tags.tags[i];
        if (i >= TAG_MAX_RUN)
            miss_flow(t, tag, "Too many actions in one answer");
        else if (cancel_raised(&t->cancel))
            miss_flow(t, tag, "The answer was stopped");
        else if (clock_monotonic_ms() >= deadline)
            miss_flow(t, tag, "The time for actions is over");
        else
            run_flow(t, tag->slug, tag->input, deadline);
    }
    store(t);
}

/* --- the model ---------- */

static void on_text(void *ctx, const char *text, size_t len)
{
    struct turn *t = ctx;
    int r = tags_feed(&t->tags, text, len);
    if (r < 0)
        t->lost = r;
    if (t->lost < 0)
        (void)turn_stop(t);
}

static void on_done(void *ctx, const struct llm_result *result);
static const struct llm_sink sink = {on_text, on_done};

/* The model failed before it said anything: `extractive` answers instead. On a worker, since it starts a
 * call. */
static void fall_back(void *arg)
{
    struct turn *t = arg;
    pthread_mutex_lock(&t->lock);
    struct llm_call *failed = TAKE_PTR(t->call);
    pthread_mutex_unlock(&t->lock);
    llm_call_unref(failed);
    tags_free(&t->tags); /* may hold what looked like a tag */
    tags_init(&t->tags, show_visible, t);
    t->model = t->fallback.model;
    t->has_fallback = false;
    if (turn_start(t, &t->fallback) < 0)
        on_done(t, &(struct llm_result){.outcome = LLM_FAILED, .error = "The language model failed"});
}

static const char *keep_error(struct turn *t, const char *sentence)
{
    const char *kept = arena_strdup(&t->arena, sentence);
    return kept ? kept : "The language model failed";
}

static void take_result(struct turn *t, const struct llm_result *result)
{
    t->outcome = result->outcome;
    t->prompt_tokens = result->prompt_tokens;
    t->completion_tokens = result->completion_tokens;
    t->duration_ms = result->duration_ms;
    if (result->flow_slug)
        (void)snprintf(t->flow_slug, sizeof t->flow_slug, "%s", result->flow_slug);
    if (result->outcome == LLM_FAILED || result->outcome == LLM_TIMEOUT)
        t->error = keep_error(t, result->error);
    if (tags_finish(&t->tags) < 0)
        t->lost = -ENOMEM;
    if (t->tags.malformed > 0)
        log_event(LOG_WARN, "an answer held a malformed action tag", LOG_S("answer", t->uuid),
                  LOG_N("tags", t->tags.malformed));
}

static void on_done(void *ctx, const struct llm_result *result)
{
    struct turn *t = ctx;
    bool failed = result->outcome == LLM_FAILED || result->outcome == LLM_TIMEOUT;
    if (failed && t->has_fallback && !cancel_raised(&t->cancel) && t->visible.len == 0 &&
        t->tags.n_tags == 0 && pool_submit(t->chat->flows, fall_back, t) == 0)
        return;
    take_result(t, result);
    bool flows = !t->error && t->lost == 0 && !was_stopped(t) && (t->flow_slug[0] || t->tags.n_tags > 0);
    if (!flows)
        store(t);
    else if (pool_submit(t->chat->flows, run_flows, t) < 0) {
        t->error = "The server is too busy to run the actions of this answer";
        store(t);
    }
}

int turn_start(struct turn *t, const struct llm_request *request)
{
    pthread_mutex_lock(&t->lock);
    int r = llm_start(t->chat->env.llm, request, &sink, t, &t->call);
    if (r == 0 && cancel_raised(&t->cancel))
        llm_cancel(t->call);
    pthread_mutex_unlock(&t->lock);
    return r;
}
