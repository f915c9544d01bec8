/* SPDX-License-Identifier: MIT */
/* The life of a call. llm_start writes the request on the caller's thread and puts the call into the inbox;
 * the engine thread then lets it wait, run, and end exactly once (finish). References: the caller's, the
 * engine's until the end, and the inbox's while it is in there. */
#include "llm/engine.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

#define BODY_MAX ((size_t)64 * 1024 * 1024)
#define PIECE_MAX 64 /* bytes of one piece of extractive */
#define END_WAIT_MS \
    250 /* for the upstream to close its answer after the model's end, so that the connection is kept */
#define CHARS_PER_TOKEN 4 /* where the upstream doesn't count */

void calls_init(struct llm *llm)
{
    TAILQ_INIT(&llm->inbox);
    TAILQ_INIT(&llm->waiting);
    TAILQ_INIT(&llm->running);
    TAILQ_INIT(&llm->talking);
    TAILQ_INIT(&llm->touched);
    for (int i = 0; i < TIMER_COUNT; i++)
        TAILQ_INIT(&llm->timers[i]);
}

static void free_call(struct llm_call *c)
{
    llm_parser_free(&c->parser);
    buf_free(&c->body);
    free(c->flow_slug);
    free(c);
}

void llm_call_unref(struct llm_call *call)
{
    if (call && atomic_fetch_sub(&call->refs, 1) == 1)
        free_call(call);
}

/* ---- any thread ---- */

static void into_inbox(struct llm *llm, struct llm_call *c)
{
    c->in_inbox = true;
    atomic_fetch_add(&c->refs, 1);
    TAILQ_INSERT_TAIL(&llm->inbox, c, inbox);
}

/* Has the engine look at what is wanted of the call. */
static void post(struct llm_call *c)
{
    if (atomic_load(&c->finished))
        return;
    struct llm *llm = c->llm;
    pthread_mutex_lock(&llm->lock);
    bool wake = false;
    if (!atomic_load(&c->finished) && !c->in_inbox) {
        wake = TAILQ_EMPTY(&llm->inbox);
        into_inbox(llm, c);
    }
    if (wake)
        engine_wake(llm);
    pthread_mutex_unlock(&llm->lock);
}

void llm_cancel(struct llm_call *call)
{
    if (!call)
        return;
    atomic_fetch_or(&call->wanted, WANT_CANCEL);
    post(call);
}

void llm_pause(struct llm_call *call)
{
    atomic_fetch_or(&call->wanted, WANT_PAUSE);
    post(call);
}

void llm_resume(struct llm_call *call)
{
    atomic_fetch_and(&call->wanted, ~WANT_PAUSE);
    post(call);
}

static bool is_sendable(const struct llm_message *m)
{
    static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
    static const char mime[] = "abcdefghijklmnopqrstuvwxyz0123456789/+-.";
    for (size_t i = 0; i < m->n_images; i++)
        if (!str_only(m->images[i].base64, base64) || !str_only(m->images[i].mime, mime))
            return false;
    return utf8_valid(m->text, strlen(m->text));
}

static int build_body(struct llm_call *c, const struct llm_request *request)
{
    for (size_t i = 0; i < request->n_messages; i++) {
        if (!is_sendable(&request->messages[i]))
            return -EINVAL;
        c->prompt_chars += (int64_t)utf8_count(request->messages[i].text, strlen(request->messages[i].text));
    }
    c->body = BUF_INIT(BODY_MAX);
    if (c->model.provider == LLM_EXTRACTIVE)
        return extractive_answer(&request->grounding, &c->body, &c->flow_slug);
    (void)c->parser.format->build(request, &c->body);
    return c->body.failed ? -ENOMEM : 0;
}

static int new_call(struct llm *llm, const struct llm_request *request, const struct llm_sink *sink,
                    void *ctx, struct llm_call **ret)
{
    struct llm_call *c = calloc(1, sizeof *c);
    if (!c)
        return -ENOMEM;
    c->llm = llm;
    c->model = request->model;
    c->sink = *sink;
    c->ctx = ctx;
    c->timer = TIMER_NONE;
    atomic_store(&c->refs, 2);
    bool remote = c->model.provider != LLM_EXTRACTIVE;
    llm_parser_init(&c->parser, remote ? llm->upstreams[c->model.provider].format : NULL);
    int r = build_body(c, request);
    if (r < 0)
        free_call(c);
    else
        *ret = c;
    return r;
}

/* Under the lock: whether there is room for it now. */
static bool may_enter(const struct llm *llm, bool local)
{
    return !llm->stopping &&
           (!local || llm->n_local < llm->cfg->llm_local_parallel + llm->cfg->llm_local_queue);
}

int llm_start(struct llm *llm, const struct llm_request *request, const struct llm_sink *sink, void *ctx,
              struct llm_call **ret)
{
    bool local = request->model.local;
    pthread_mutex_lock(&llm->lock);
    bool room = may_enter(llm, local);
    llm->n_local += room && local;
    pthread_mutex_unlock(&llm->lock);
    if (!room)
        return -EBUSY;
    struct llm_call *c = NULL;
    int r = new_call(llm, request, sink, ctx, &c);
    pthread_mutex_lock(&llm->lock);
    if (r == 0 && llm->stopping) {
        free_call(c);
        r = -EBUSY;
    }
    if (r == 0) {
        metric_add(METRIC_LLM_ACTIVE, 1);
        *ret = c; /* before the engine sees it: a sink may use it */
        bool wake = TAILQ_EMPTY(&llm->inbox);
        into_inbox(llm, c);
        if (wake)
            engine_wake(llm);
    } else {
        llm->n_local -= local;
    }
    pthread_mutex_unlock(&llm->lock);
    return r;
}

/* ---- the engine thread ---- */

static void disarm(struct llm *llm, struct llm_call *c)
{
    if (c->timer != TIMER_NONE)
        TAILQ_REMOVE(&llm->timers[c->timer], c, timed);
    c->timer = TIMER_NONE;
}

static int64_t timer_length(const struct llm *llm, enum timer timer)
{
    if (timer == TIMER_END)
        return END_WAIT_MS;
    return 1000 *
           (timer == TIMER_FIRST ? llm->cfg->llm_first_token_timeout_s : llm->cfg->llm_token_timeout_s);
}

/* Starts anew the wait that fits the call's state; a paused call waits for its reader, not for the model. */
static void rearm(struct llm *llm, struct llm_call *c)
{
    disarm(llm, c);
    if (c->parser.state != PARSER_READING)
        c->timer = TIMER_END;
    else if (c->paused)
        return;
    else
        c->timer = c->progress > 0 ? TIMER_TOKEN : TIMER_FIRST;
    c->deadline = llm->loop.now_ms + timer_length(llm, c->timer);
    TAILQ_INSERT_TAIL(&llm->timers[c->timer], c, timed);
}

static struct call_list *list_of(struct llm *llm, const struct llm_call *c)
{
    switch (c->state) {
    case CALL_WAITING:
        return &llm->waiting;
    case CALL_TALKING:
        return c->paused ? &llm->running : &llm->talking;
    case CALL_RUNNING:
        return &llm->running;
    default:
        return NULL;
    }
}

/* Puts the call into the list that its state asks for. */
static void place(struct llm *llm, struct llm_call *c, enum call_state state, bool paused)
{
    struct call_list *from = list_of(llm, c);
    if (from)
        TAILQ_REMOVE(from, c, place);
    c->state = state;
    c->paused = paused;
    struct call_list *to = list_of(llm, c);
    if (to)
        TAILQ_INSERT_TAIL(to, c, place);
}

static void leave(struct llm *llm, struct llm_call *c)
{
    transfer_stop(llm, &c->transfer);
    disarm(llm, c);
    if (c->touched)
        TAILQ_REMOVE(&llm->touched, c, touch);
    c->touched = false;
    llm->n_local_running -= c->model.local && c->state == CALL_RUNNING;
    place(llm, c, CALL_ENDED, false);
    pthread_mutex_lock(&llm->lock);
    llm->n_local -= c->model.local;
    atomic_store(&c->finished, true);
    pthread_mutex_unlock(&llm->lock);
}

static int64_t tokens_of(int64_t told, int64_t chars)
{
    return told >= 0 ? told : (chars + CHARS_PER_TOKEN - 1) / CHARS_PER_TOKEN;
}

/* The one end of a call. */
static void finish(struct llm *llm, struct llm_call *c, enum llm_outcome outcome, const char *error)
{
    leave(llm, c);
    struct llm_result result = {
        .outcome = outcome,
        .error = outcome == LLM_OK ? NULL : error,
        .prompt_tokens = tokens_of(c->parser.prompt_tokens, c->prompt_chars),
        .completion_tokens = tokens_of(c->parser.completion_tokens, c->chars),
        .duration_ms = c->began_ms ? llm->loop.now_ms - c->began_ms : 0,
        .flow_slug = outcome == LLM_OK ? c->flow_slug : NULL,
    };
    metric_add(METRIC_LLM_ACTIVE, -1);
    metric_add(METRIC_LLM_TOKENS, result.completion_tokens);
    metric_add(METRIC_LLM_FAILED, outcome == LLM_FAILED || outcome == LLM_TIMEOUT);
    c->sink.done(c->ctx, &result);
    llm_call_unref(c);
}

/* Ends a call that went wrong; the reason is known nowhere else. status 0 = none was received. */
static void fail(struct llm *llm, struct llm_call *c, enum llm_outcome outcome, const char *error,
                 long status, const char *detail)
{
    log_event(LOG_WARN, "model request failed", LOG_S("model", c->model.name), LOG_S("error", error),
              LOG_N("status", status), LOG_S("detail", detail));
    finish(llm, c, outcome, error);
}

static void say(struct llm_call *c, const char *text, size_t len)
{
    if (len == 0 || atomic_load(&c->wanted) & WANT_CANCEL)
        return;
    c->chars += (int64_t)utf8_count(text, len);
    c->sink.text(c->ctx, text, len);
}

static void say_parsed(struct llm_call *c)
{
    say(c, c->parser.text.data, c->parser.text.len);
    buf_free(&c->parser.text); /* most calls are idle most of the time */
}

static long status_of(const struct llm_call *c)
{
    long status = 0;
    (void)curl_easy_getinfo(c->transfer.easy, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

/* curl has bytes of the body: only taken in here, handed out by calls_flush. */
static size_t on_bytes(char *data, size_t size, size_t n, void *arg)
{
    struct llm_call *c = arg;
    if (!c->answering && status_of(c) != 200)
        return CURL_WRITEFUNC_ERROR;
    if (c->paused)
        return CURL_WRITEFUNC_PAUSE;
    c->answering = true;
    llm_parser_feed(&c->parser, data, size * n);
    if (!c->touched)
        TAILQ_INSERT_TAIL(&c->llm->touched, c, touch);
    c->touched = true;
    return size * n;
}

/* An idle stream needs no copy of its prompt once that is sent. */
static void drop_body(struct llm_call *c)
{
    curl_off_t sent = 0;
    (void)curl_easy_getinfo(c->transfer.easy, CURLINFO_SIZE_UPLOAD_T, &sent);
    if (sent < (curl_off_t)c->body.len)
        return;
    (void)curl_easy_setopt(c->transfer.easy, CURLOPT_POSTFIELDS, NULL);
    buf_free(&c->body);
}

static void flush(struct llm *llm, struct llm_call *c)
{
    if (c->body.data)
        drop_body(c);
    say_parsed(c);
    if (c->parser.state == PARSER_FAILED) {
        fail(llm, c, LLM_FAILED, c->parser.error, 200, NULL);
        return;
    }
    bool moved = c->progress != c->parser.progress;
    c->progress = c->parser.progress;
    if (moved || (c->parser.state == PARSER_DONE && c->timer != TIMER_END))
        rearm(llm, c);
}

void calls_flush(struct llm *llm)
{
    struct llm_call *c;
    while ((c = TAILQ_FIRST(&llm->touched))) {
        TAILQ_REMOVE(&llm->touched, c, touch);
        c->touched = false;
        flush(llm, c);
    }
}

static const char *sentence_of_status(long status)
{
    if (status == 429 || status == 503 || status == 529)
        return "The language model is overloaded";
    return status >= 500 ? "The language model failed" : "The language model refused the request";
}

static const char *sentence_of_result(const struct llm_call *c, CURLcode result)
{
    if (result == CURLE_COULDNT_CONNECT || result == CURLE_COULDNT_RESOLVE_HOST)
        return "The language model could not be reached";
    return c->answering ? SAYS_BROKE_OFF : "The language model could not be reached or closed the connection";
}

static const char says_late[] = "The language model did not answer in time";

static void ended_badly(struct llm *llm, struct llm_call *c, CURLcode result)
{
    long status = status_of(c);
    if (result == CURLE_OPERATION_TIMEDOUT)
        fail(llm, c, LLM_TIMEOUT, says_late, status, "connect");
    else if (status != 0 && status != 200)
        fail(llm, c, LLM_FAILED, sentence_of_status(status), status, NULL);
    else if (result != CURLE_OK)
        fail(llm, c, LLM_FAILED, sentence_of_result(c, result), status, curl_easy_strerror(result));
    else
        fail(llm, c, LLM_FAILED, c->parser.error, status, NULL);
}

static void on_ended(struct llm *llm, struct transfer *t, CURLcode result)
{
    struct llm_call *c = (struct llm_call *)(void *)((char *)t - offsetof(struct llm_call, transfer));
    if (result == CURLE_OK && status_of(c) == 200) {
        llm_parser_finish(&c->parser);
        say_parsed(c);
    }
    llm->upstreams[c->model.provider].idle += result == CURLE_OK;
    if (c->parser.state == PARSER_DONE)
        finish(llm, c, LLM_OK, NULL);
    else
        ended_badly(llm, c, result);
}

/* curl looks through all connections to the server for one that is free. Where thousands are in use and none
 * is free it is told to save itself the search. */
static void choose_connection(struct llm_call *c, struct upstream *up)
{
    if (up->idle > 0)
        up->idle--;
    else
        (void)curl_easy_setopt(c->transfer.easy, CURLOPT_FRESH_CONNECT, 1L);
}

static void run(struct llm *llm, struct llm_call *c)
{
    struct upstream *up = &llm->upstreams[c->model.provider];
    place(llm, c, CALL_RUNNING, c->paused);
    llm->n_local_running += c->model.local;
    c->began_ms = llm->loop.now_ms;
    c->transfer.ended = on_ended;
    c->transfer.easy = up->chat_url ? curl_easy_init() : NULL;
    if (!c->transfer.easy) {
        fail(llm, c, LLM_FAILED, "No language model is configured for this", 0, NULL);
        return;
    }
    transfer_body(&c->transfer, &c->body);
    choose_connection(c, up);
    (void)curl_easy_setopt(c->transfer.easy, CURLOPT_WRITEFUNCTION, on_bytes);
    (void)curl_easy_setopt(c->transfer.easy, CURLOPT_WRITEDATA, c);
    if (transfer_start(llm, &c->transfer, up->chat_url, up->headers) < 0)
        fail(llm, c, LLM_FAILED, "The language model could not be reached", 0, "out of memory");
    else
        rearm(llm, c);
}

static void enter(struct llm *llm, struct llm_call *c)
{
    if (c->model.provider == LLM_EXTRACTIVE) {
        c->began_ms = llm->loop.now_ms;
        place(llm, c, CALL_TALKING, false);
    } else if (c->model.local) {
        place(llm, c, CALL_WAITING, false);
    } else {
        run(llm, c);
    }
}

/* Before the first bytes curl keeps the answer unread by way of on_bytes. */
static void set_paused(struct llm *llm, struct llm_call *c, bool paused)
{
    if (c->state == CALL_TALKING)
        place(llm, c, CALL_TALKING, paused);
    c->paused = paused;
    if (c->state != CALL_RUNNING)
        return;
    rearm(llm, c);
    if (!paused)
        (void)curl_easy_pause(c->transfer.easy, CURLPAUSE_CONT);
    else if (c->answering)
        (void)curl_easy_pause(c->transfer.easy, CURLPAUSE_RECV);
}

static void apply(struct llm *llm, struct llm_call *c)
{
    unsigned wanted = atomic_load(&c->wanted);
    if (c->state == CALL_ENDED)
        return;
    if (wanted & WANT_CANCEL) {
        finish(llm, c, LLM_CANCELLED, "The answer was stopped");
        return;
    }
    if (c->state == CALL_NEW)
        enter(llm, c);
    bool paused = wanted & WANT_PAUSE;
    if (c->state != CALL_ENDED && paused != c->paused)
        set_paused(llm, c, paused);
}

static struct llm_call *next_of_inbox(struct llm *llm)
{
    pthread_mutex_lock(&llm->lock);
    struct llm_call *c = TAILQ_FIRST(&llm->inbox);
    if (c) {
        TAILQ_REMOVE(&llm->inbox, c, inbox);
        c->in_inbox = false;
    }
    pthread_mutex_unlock(&llm->lock);
    return c;
}

void calls_take_inbox(struct llm *llm)
{
    struct llm_call *c;
    while ((c = next_of_inbox(llm))) {
        apply(llm, c);
        llm_call_unref(c);
    }
    calls_flush(llm); /* resuming may have handed over what was held back */
}

static bool may_admit(const struct llm *llm)
{
    return llm->n_local_running < llm->cfg->llm_local_parallel && !TAILQ_EMPTY(&llm->waiting);
}

void calls_admit(struct llm *llm)
{
    while (may_admit(llm))
        run(llm, TAILQ_FIRST(&llm->waiting));
}

bool calls_have_work(const struct llm *llm)
{
    return may_admit(llm) || !TAILQ_EMPTY(&llm->talking);
}

/* The length of the next piece: up to the end of a line or a word. */
static size_t piece_length(const char *s, size_t len)
{
    size_t most = utf8_floor(s, len, PIECE_MAX);
    const char *newline = memchr(s, '\n', most);
    if (newline)
        return (size_t)(newline - s) + 1;
    for (size_t n = most; n > 0 && most < len; n--)
        if (s[n - 1] == ' ')
            return n;
    return most;
}

/* One piece of each extractive answer in a round, so that all of them and the transfers go on side by side.
 */
void calls_talk(struct llm *llm)
{
    struct llm_call *next;
    for (struct llm_call *c = TAILQ_FIRST(&llm->talking); c; c = next) {
        next = TAILQ_NEXT(c, place);
        size_t n = piece_length(c->body.data + c->said, c->body.len - c->said);
        say(c, c->body.data + c->said, n);
        c->said += n;
        if (c->said == c->body.len)
            finish(llm, c, LLM_OK, NULL);
    }
}

static void expire(struct llm *llm, struct llm_call *c)
{
    if (c->parser.state == PARSER_DONE)
        finish(llm, c, LLM_OK, NULL);
    else
        fail(llm, c, LLM_TIMEOUT, says_late, 0, c->timer == TIMER_FIRST ? "first token" : "next token");
}

void calls_expire(struct llm *llm)
{
    for (int i = 0; i < TIMER_COUNT; i++) {
        struct llm_call *c;
        while ((c = TAILQ_FIRST(&llm->timers[i])) && c->deadline <= llm->loop.now_ms)
            expire(llm, c);
    }
}

int64_t calls_next_due(const struct llm *llm)
{
    int64_t due = -1;
    for (int i = 0; i < TIMER_COUNT; i++) {
        const struct llm_call *c = TAILQ_FIRST(&llm->timers[i]);
        if (c && (due < 0 || c->deadline < due))
            due = c->deadline;
    }
    return due;
}

static void end_list(struct llm *llm, struct call_list *list)
{
    struct llm_call *c;
    while ((c = TAILQ_FIRST(list)))
        finish(llm, c, LLM_CANCELLED, "The server is stopping");
}

void calls_end_all(struct llm *llm)
{
    struct llm_call *c;
    while ((c = next_of_inbox(llm))) {
        if (c->state == CALL_NEW)
            finish(llm, c, LLM_CANCELLED, "The server is stopping");
        llm_call_unref(c);
    }
    end_list(llm, &llm->waiting);
    end_list(llm, &llm->running);
    end_list(llm, &llm->talking);
}
