/* SPDX-License-Identifier: MIT */
/* Who answers, and where: the upstreams made from the settings, and the choice among them. */
#include "llm/engine.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "net/guard.h"
#include "net/headers.h"

#include <errno.h>
#include <string.h>

#define HEADER_MAX 8192
#define EXTRACTIVE_WINDOW 8192

static int refuse(const char *sentence)
{
    log_event(LOG_ERROR, "bad settings", LOG_S("error", sentence));
    return -EINVAL;
}

static char *join_url(const char *base, const char *path)
{
    size_t len = strlen(base);
    while (len > 0 && base[len - 1] == '/')
        len--;
    char *url = NULL;
    return asprintf(&url, "%.*s%s", (int)len, base, path) < 0 ? NULL : url;
}

static int add_key(struct upstream *up, const char *name, const char *key)
{
    if (!key)
        return 0;
    char header[HEADER_MAX];
    (void)snprintf(header, sizeof header, "%s%s", name, key);
    int r = strpbrk(header, "\r\n") ? refuse("A model's key holds a line break")
                                    : headers_add(&up->headers, header);
    wipe(header, sizeof header);
    return r;
}

static int set_upstream(struct upstream *up, const char *base, const char *key_header, const char *key)
{
    if (guard_parse_url(base, NULL) < 0)
        return refuse("The address of a model server is not an http or https URL without user and password");
    up->chat_url = join_url(base, up->format->chat_path);
    up->probe_url = join_url(base, up->format->probe_path);
    up->show_url = join_url(base, "/api/show");
    if (!up->chat_url || !up->probe_url || !up->show_url)
        return -ENOMEM;
    int r = headers_add(&up->headers, "Content-Type: application/json");
    if (r == 0)
        r = headers_add(&up->headers, "Expect:");
    return r < 0 ? r : add_key(up, key_header, key);
}

static bool provider_is(const struct config *cfg, const char *name)
{
    return str_equal(cfg->llm_provider, name);
}

static int check_explicit(const struct config *cfg)
{
    if (provider_is(cfg, "openai") && !cfg->llm_base_url)
        return refuse("LLM_PROVIDER=openai needs LLM_BASE_URL");
    if (provider_is(cfg, "openai") && !cfg->llm_model && !cfg->orchestrator_model)
        return refuse("LLM_PROVIDER=openai needs LLM_MODEL");
    if (provider_is(cfg, "anthropic") && !cfg->anthropic_api_key)
        return refuse("LLM_PROVIDER=anthropic needs ANTHROPIC_API_KEY");
    return 0;
}

int model_set_up(struct llm *llm)
{
    const struct config *cfg = llm->cfg;
    struct upstream *ollama = &llm->upstreams[LLM_OLLAMA], *openai = &llm->upstreams[LLM_OPENAI],
                    *anthropic = &llm->upstreams[LLM_ANTHROPIC];
    ollama->format = &ollama_format;
    openai->format = &openai_format;
    anthropic->format = &anthropic_format;
    int r = check_explicit(cfg);
    if (r == 0 && cfg->ollama_url)
        r = set_upstream(ollama, cfg->ollama_url, "", NULL);
    if (r == 0 && cfg->llm_base_url)
        r = set_upstream(openai, cfg->llm_base_url, "Authorization: Bearer ", cfg->llm_api_key);
    if (r == 0 && cfg->anthropic_api_key)
        r = set_upstream(anthropic, cfg->anthropic_base_url, "x-api-key: ", cfg->anthropic_api_key);
    return r < 0 ? r : headers_add(&anthropic->headers, "anthropic-version: 2023-06-01");
}

void model_free(struct llm *llm)
{
    for (size_t i = 0; i < ARRAY_LEN(llm->upstreams); i++) {
        struct upstream *up = &llm->upstreams[i];
        free(up->chat_url);
        free(up->probe_url);
        free(up->show_url);
        headers_free(up->headers);
    }
}

static const char *first_of(const char *a, const char *b, const char *c)
{
    return a ? a : b ? b : c;
}

static const char *ollama_name(const struct config *cfg, enum llm_role role)
{
    if (role == LLM_WRITER)
        return first_of(cfg->writer_model, NULL, "dolphin-mistral:7b");
    if (role == LLM_ORCHESTRATOR)
        return first_of(cfg->orchestrator_model, cfg->ollama_model, "dolphin3:8b-llama3.1-q4_K_M");
    return first_of(cfg->ollama_model, cfg->orchestrator_model, "qwen2.5:latest");
}

static const char *openai_name(const struct config *cfg, enum llm_role role)
{
    if (role == LLM_WRITER && cfg->writer_model)
        return cfg->writer_model;
    if (role == LLM_ORCHESTRATOR)
        return first_of(cfg->orchestrator_model, cfg->llm_model, "");
    return first_of(cfg->llm_model, cfg->orchestrator_model, "");
}

const char *llm_model_name(const struct config *cfg, enum llm_provider provider, enum llm_role role)
{
    switch (provider) {
    case LLM_OLLAMA:
        return ollama_name(cfg, role);
    case LLM_OPENAI:
        return openai_name(cfg, role);
    case LLM_ANTHROPIC:
        return cfg->anthropic_model;
    case LLM_EXTRACTIVE:
        break;
    }
    return "extractive";
}

struct llm_model llm_extractive(void)
{
    return (struct llm_model){
        .provider = LLM_EXTRACTIVE, .name = "extractive", .window_tokens = EXTRACTIVE_WINDOW};
}

static struct llm_model model_of(struct llm *llm, enum llm_provider provider, enum llm_role role)
{
    if (provider == LLM_EXTRACTIVE)
        return llm_extractive();
    return (struct llm_model){
        .provider = provider,
        .name = llm_model_name(llm->cfg, provider, role),
        .local = provider == LLM_OLLAMA,
        .takes_images = provider != LLM_OLLAMA || probe_sees(llm, role),
        .window_tokens = llm->cfg->llm_window_tokens,
    };
}

struct llm_model llm_choose(struct llm *llm, enum llm_role role, bool admin)
{
    const struct config *cfg = llm->cfg;
    if (cfg->llm_provider && llm->probe.provider != LLM_OLLAMA)
        return model_of(llm, llm->probe.provider, role);
    if (!cfg->llm_provider && admin && cfg->anthropic_api_key)
        return model_of(llm, LLM_ANTHROPIC, role);
    probe_ask(llm);
    bool up = probe_up(llm, true);
    return model_of(llm, up || cfg->llm_provider ? LLM_OLLAMA : LLM_EXTRACTIVE, role);
}

bool llm_ready(struct llm *llm)
{
    if (!llm->cfg->llm_provider || llm->probe.provider == LLM_EXTRACTIVE)
        return true;
    probe_ask(llm);
    return probe_up(llm, false);
}

static void free_llm(struct llm *llm)
{
    probe_free(llm);
    model_free(llm);
    (void)pthread_cond_destroy(&llm->probed);
    (void)pthread_mutex_destroy(&llm->lock);
    free(llm);
}

int llm_open(const struct config *cfg, struct llm **ret)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return -EIO;
    struct llm *llm = calloc(1, sizeof *llm);
    if (!llm)
        return -ENOMEM;
    llm->cfg = cfg;
    llm->opened_ms = clock_monotonic_ms();
    cond_init(&llm->probed);
    (void)pthread_mutex_init(&llm->lock, NULL);
    int r = model_set_up(llm);
    if (r == 0) {
        probe_init(llm);
        r = engine_start(llm);
    }
    if (r < 0)
        free_llm(llm);
    else
        *ret = llm;
    return r;
}

void llm_close(struct llm *llm)
{
    if (!llm)
        return;
    engine_stop(llm);
    free_llm(llm);
}
