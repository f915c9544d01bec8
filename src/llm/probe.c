/* SPDX-License-Identifier: MIT */
/* Whether the model server answers, and which of Ollama's models take images: a few small requests in the
 * background, at the start and then while somebody asks, but not more often than every ten seconds. */
#include "llm/engine.h"

#include "base/clock.h"
#include "base/json.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define INTERVAL_MS 10000
#define FIRST_WAIT_MS 300 /* after the start, that an outcome is waited for at most */
#define TIMEOUT_MS 3000L
#define ANSWER_MAX ((size_t)1024 * 1024)

static enum llm_provider provider_to_probe(const struct config *cfg)
{
    static const struct {
        const char *name;
        enum llm_provider provider;
    } providers[] = {{"openai", LLM_OPENAI}, {"anthropic", LLM_ANTHROPIC}, {"extractive", LLM_EXTRACTIVE}};
    for (size_t i = 0; i < ARRAY_LEN(providers); i++)
        if (cfg->llm_provider && strcmp(cfg->llm_provider, providers[i].name) == 0)
            return providers[i].provider;
    return LLM_OLLAMA;
}

void probe_init(struct llm *llm)
{
    struct probe *p = &llm->probe;
    p->provider = provider_to_probe(llm->cfg);
    p->body = BUF_INIT(1024 + 4096);
    p->answer = BUF_INIT(ANSWER_MAX);
    p->wanted = p->provider != LLM_EXTRACTIVE;
    for (int role = 0; role < PROBE_MODELS; role++)
        p->models[role] = llm_model_name(llm->cfg, p->provider, (enum llm_role)role);
}

void probe_free(struct llm *llm)
{
    buf_free(&llm->probe.body);
    buf_free(&llm->probe.answer);
}

void probe_ask(struct llm *llm)
{
    struct probe *p = &llm->probe;
    pthread_mutex_lock(&llm->lock);
    bool due = p->provider != LLM_EXTRACTIVE && p->known && !p->wanted &&
               clock_monotonic_ms() - p->asked_ms >= INTERVAL_MS;
    p->wanted |= due;
    if (due)
        engine_wake(llm);
    pthread_mutex_unlock(&llm->lock);
}

bool probe_up(struct llm *llm, bool wait)
{
    struct timespec until = clock_deadline(llm->opened_ms + FIRST_WAIT_MS - clock_monotonic_ms());
    pthread_mutex_lock(&llm->lock);
    int r = 0;
    while (wait && !llm->probe.known && r == 0)
        r = pthread_cond_timedwait(&llm->probed, &llm->lock, &until);
    bool up = llm->probe.up;
    pthread_mutex_unlock(&llm->lock);
    return up;
}

bool probe_sees(struct llm *llm, enum llm_role role)
{
    pthread_mutex_lock(&llm->lock);
    bool sees = llm->probe.sees[role];
    pthread_mutex_unlock(&llm->lock);
    return sees;
}

/* ---- the engine thread ---- */

static size_t on_bytes(char *data, size_t size, size_t n, void *arg)
{
    struct probe *p = arg;
    return buf_add(&p->answer, data, size * n) == 0 ? size * n : CURL_WRITEFUNC_ERROR;
}

static void publish_up(struct llm *llm, bool up)
{
    pthread_mutex_lock(&llm->lock);
    llm->probe.up = up;
    llm->probe.known = true;
    pthread_cond_broadcast(&llm->probed);
    pthread_mutex_unlock(&llm->lock);
}

static bool says_vision(const struct buf *answer)
{
    _cleanup_json_ json_t *model = json_parse(answer->data ? answer->data : "", answer->len);
    size_t i;
    json_t *capability;
    json_array_foreach (json_object_get(model, "capabilities"), i, capability)
        if (json_is_string(capability) && strcmp(json_string_value(capability), "vision") == 0)
            return true;
    return false;
}

static void publish_sees(struct llm *llm, const char *model, bool sees)
{
    pthread_mutex_lock(&llm->lock);
    for (int role = 0; role < PROBE_MODELS; role++)
        if (strcmp(llm->probe.models[role], model) == 0)
            llm->probe.sees[role] = sees;
    pthread_mutex_unlock(&llm->lock);
}

static void on_ended(struct llm *llm, struct transfer *t, CURLcode result);

/* Step 0 asks for the server itself, step k for the model of role k - 1. */
static int start_step(struct llm *llm)
{
    struct probe *p = &llm->probe;
    const struct upstream *up = &llm->upstreams[p->provider];
    buf_reset(&p->answer);
    p->transfer = (struct transfer){.easy = curl_easy_init(), .ended = on_ended};
    if (!p->transfer.easy)
        return -ENOMEM;
    if (p->step > 0) {
        const char *model = p->models[p->step - 1];
        buf_reset(&p->body);
        (void)buf_adds(&p->body, "{\"model\":");
        (void)json_write_str(&p->body, model, strlen(model));
        (void)buf_adds(&p->body, "}");
        transfer_body(&p->transfer, &p->body);
    }
    (void)curl_easy_setopt(p->transfer.easy, CURLOPT_WRITEFUNCTION, on_bytes);
    (void)curl_easy_setopt(p->transfer.easy, CURLOPT_WRITEDATA, p);
    (void)curl_easy_setopt(p->transfer.easy, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
    int r = transfer_start(llm, &p->transfer, p->step > 0 ? up->show_url : up->probe_url, up->headers);
    if (r < 0)
        transfer_stop(llm, &p->transfer);
    return r;
}

static void end_probe(struct llm *llm)
{
    pthread_mutex_lock(&llm->lock);
    llm->probe.wanted = false;
    llm->probe.asked_ms = llm->loop.now_ms;
    pthread_mutex_unlock(&llm->lock);
}

/* Ollama must say yes; of others even a refusal is an answer. */
static bool is_answer(const struct probe *p, CURLcode result, long status)
{
    if (p->provider == LLM_OLLAMA)
        return result == CURLE_OK && status == 200;
    return status > 0 && status < 500;
}

static void on_ended(struct llm *llm, struct transfer *t, CURLcode result)
{
    struct probe *p = &llm->probe;
    long status = 0;
    (void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    transfer_stop(llm, t);
    bool good = is_answer(p, result, status);
    if (p->step == 0)
        publish_up(llm, good);
    else
        publish_sees(llm, p->models[p->step - 1], good && says_vision(&p->answer));
    bool more = good || p->step > 0;
    if (p->provider != LLM_OLLAMA || !more || ++p->step > PROBE_MODELS || start_step(llm) < 0)
        end_probe(llm);
}

void probe_run(struct llm *llm)
{
    struct probe *p = &llm->probe;
    pthread_mutex_lock(&llm->lock);
    bool start = p->wanted && !p->transfer.easy;
    pthread_mutex_unlock(&llm->lock);
    if (!start)
        return;
    p->step = 0;
    if (start_step(llm) == 0)
        return;
    publish_up(llm, false);
    end_probe(llm);
}
