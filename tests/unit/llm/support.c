/* SPDX-License-Identifier: MIT */
#include "support.h"

#include "base/clock.h"
#include "base/text.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define WAIT_MS 10000

static atomic_int ends;

static void on_text(void *ctx, const char *text, size_t len)
{
    struct ear *e = ctx;
    pthread_mutex_lock(&e->lock);
    (void)buf_add(&e->text, text, len);
    e->pieces++;
    e->malformed |= len == 0 || !utf8_valid(text, len) || e->ends > 0;
    if (e->pause_at_first && e->pieces == 1)
        llm_pause(e->call);
    pthread_cond_broadcast(&e->changed);
    pthread_mutex_unlock(&e->lock);
}

static void on_done(void *ctx, const struct llm_result *result)
{
    struct ear *e = ctx;
    pthread_mutex_lock(&e->lock);
    e->ends++;
    e->outcome = result->outcome;
    (void)snprintf(e->error, sizeof e->error, "%s", result->error ? result->error : "");
    (void)snprintf(e->flow, sizeof e->flow, "%s", result->flow_slug ? result->flow_slug : "");
    e->prompt_tokens = result->prompt_tokens;
    e->completion_tokens = result->completion_tokens;
    e->end_order = atomic_fetch_add(&ends, 1) + 1;
    pthread_cond_broadcast(&e->changed);
    pthread_mutex_unlock(&e->lock);
}

const struct llm_sink ear_sink = {on_text, on_done};

void ear_init(struct ear *e)
{
    *e = (struct ear){.text = BUF_INIT(64 * 1024 * 1024)};
    pthread_mutex_init(&e->lock, NULL);
    cond_init(&e->changed);
}

void ear_free(struct ear *e)
{
    llm_call_unref(e->call);
    buf_free(&e->text);
    pthread_cond_destroy(&e->changed);
    pthread_mutex_destroy(&e->lock);
}

bool ear_wait_end(struct ear *e)
{
    struct timespec until = clock_deadline(WAIT_MS);
    pthread_mutex_lock(&e->lock);
    int r = 0;
    while (e->ends == 0 && r == 0)
        r = pthread_cond_timedwait(&e->changed, &e->lock, &until);
    bool ended = e->ends == 1;
    pthread_mutex_unlock(&e->lock);
    return ended && buf_str(&e->text);
}

bool ear_wait_text(struct ear *e, size_t len)
{
    struct timespec until = clock_deadline(WAIT_MS);
    pthread_mutex_lock(&e->lock);
    int r = 0;
    while (e->text.len < len && r == 0)
        r = pthread_cond_timedwait(&e->changed, &e->lock, &until);
    bool heard = e->text.len >= len;
    pthread_mutex_unlock(&e->lock);
    return heard;
}

size_t ear_heard(struct ear *e)
{
    pthread_mutex_lock(&e->lock);
    size_t len = e->text.len;
    pthread_mutex_unlock(&e->lock);
    return len;
}

void model_site(struct model_site *site, const char *format, int port)
{
    (void)snprintf(site->base, sizeof site->base, "http://127.0.0.1:%d", port);
    site->cfg = (struct config){
        .llm_provider = format,
        .ollama_url = site->base,
        .ollama_model = "m:1",
        .llm_base_url = site->base,
        .llm_api_key = "the-key",
        .llm_model = "m:1",
        .llm_window_tokens = 8192,
        .llm_local_parallel = 1,
        .llm_local_queue = 2,
        .llm_connect_timeout_s = 1,
        .llm_first_token_timeout_s = 5,
        .llm_token_timeout_s = 5,
        .anthropic_api_key = "the-key",
        .anthropic_base_url = site->base,
        .anthropic_model = "m:1",
        .embedding_model = "e:1",
    };
}

struct llm_request ask(struct llm *llm, const char *text)
{
    static _Thread_local struct llm_message message;
    message = (struct llm_message){.speaker = LLM_USER, .text = text};
    return (struct llm_request){
        .model = llm_choose(llm, LLM_AGENT, false), .messages = &message, .n_messages = 1, .temperature = -1};
}

bool peer_chunk(struct tcp_peer *p, const char *text)
{
    char chunk[4096];
    int len = snprintf(chunk, sizeof chunk, "%zx\r\n%s\r\n", strlen(text), text);
    return peer_send(p, chunk, (size_t)len);
}

bool peer_token(struct tcp_peer *p, const char *token)
{
    char event[2048];
    (void)snprintf(event, sizeof event, "data: {\"choices\":[{\"delta\":{\"content\":\"%s\"}}]}\n\n", token);
    return peer_chunk(p, event);
}

bool peer_finish(struct tcp_peer *p)
{
    return peer_chunk(p, "data: [DONE]\n\n") && peer_chunk(p, "");
}
