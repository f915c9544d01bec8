/* SPDX-License-Identifier: MIT */
/* What answers over the network: models, embedder, browser service, Directus. */
#include "ops/checks.h"

#include "base/json.h"
#include "base/text.h"
#include "llm/llm.h"
#include "net/fetch.h"

#include <errno.h>
#include <string.h>

#define URL_SIZE 4200
#define HEADER_SIZE 4200
#define LISTING_MAX ((size_t)4 * 1024 * 1024)
#define NAMES_SIZE 200

/* GET base/path, with a header or none. */
static int get(const char *base, const char *path, const char *header, struct fetch_response *response)
{
    char url[URL_SIZE];
    const char *headers[] = {header, header ? "anthropic-version: 2023-06-01" : NULL, NULL};
    size_t len = strlen(base);
    while (len > 0 && base[len - 1] == '/')
        len--;
    if (snprintf(url, sizeof url, "%.*s%s", (int)len, base, path) >= (int)sizeof url)
        return -EINVAL;
    return fetch(
        &(struct fetch_request){
            .url = url, .headers = headers, .timeout_ms = CHECK_ANSWER_MS, .max_body = LISTING_MAX},
        response);
}

static const char *why(int r, const struct fetch_response *response, char *ret, size_t size)
{
    if (r < 0)
        (void)snprintf(ret, size, "%s", response->error[0] ? response->error : strerror(-r));
    else
        (void)snprintf(ret, size, "it answers %d", response->status);
    return ret;
}

/* ---- lists of models */

struct provider {
    const char *base, *path; /* where it lists its models */
    const char *header;      /* holds a key */
    const char *list, *name; /* the members of the answer */
};

static struct provider ollama(const struct config *cfg)
{
    return (struct provider){cfg->ollama_url, "/api/tags", NULL, "models", "name"};
}

static struct provider openai(const struct config *cfg, char *header, size_t size)
{
    (void)snprintf(header, size, "Authorization: Bearer %s", cfg->llm_api_key ? cfg->llm_api_key : "");
    return (struct provider){cfg->llm_base_url, "/models", cfg->llm_api_key ? header : NULL, "data", "id"};
}

/* A name without a tag means ":latest" to Ollama. */
static bool same_model(const char *listed, const char *wanted)
{
    size_t len = strlen(wanted);
    return strncmp(listed, wanted, len) == 0 &&
           (!listed[len] || (!strchr(wanted, ':') && !strcmp(listed + len, ":latest")));
}

static bool is_listed(const json_t *models, const char *member, const char *wanted)
{
    size_t i;
    json_t *model;
    json_array_foreach (models, i, model)
        if (same_model(json_str(model, member, ""), wanted))
            return true;
    return false;
}

/* Asks for the models; those of `wanted` that are not there go into `missing`. 0, or negative errno with the
 * answer's status or sentence in `response`. */
static int ask_models(const struct provider *p, const char *const *wanted, size_t n, char *missing,
                      struct fetch_response *response)
{
    size_t used = 0;
    missing[0] = '\0';
    int r = get(p->base, p->path, p->header, response);
    if (r < 0 || response->status != 200)
        return r < 0 ? r : -EPROTO;
    _cleanup_json_ json_t *answer =
        json_parse(response->body.data ? response->body.data : "", response->body.len);
    const json_t *models = json_object_get(answer, p->list);
    for (size_t i = 0; i < n; i++)
        if (wanted[i][0] && !is_listed(models, p->name, wanted[i]) && !strstr(missing, wanted[i]) &&
            used + strlen(wanted[i]) + 3 < NAMES_SIZE)
            used += (size_t)snprintf(missing + used, NAMES_SIZE - used, "%s%s", used ? ", " : "", wanted[i]);
    return 0;
}

/* ---- the model */

static enum llm_provider provider_of(const char *name)
{
    return str_equal(name, "openai")       ? LLM_OPENAI
           : str_equal(name, "anthropic")  ? LLM_ANTHROPIC
           : str_equal(name, "extractive") ? LLM_EXTRACTIVE
                                           : LLM_OLLAMA;
}

/* What an unreachable model means depends on whether it was asked for. */
static bool unreachable(const struct config *cfg, struct finding *f, const char *name, const char *reason)
{
    if (!cfg->llm_provider) {
        (void)found(f, CHECK_OK, "no model: %s isn't there (%s), so answers are quoted from the notes", name,
                    reason);
        return mend(f, "for written answers start Ollama, or set LLM_PROVIDER");
    }
    (void)found(f, cfg->llm_fallback ? CHECK_WARN : CHECK_FAIL, "%s can't be used: %s", name, reason);
    return mend(f, "start it, or correct its address and key; LLM_FALLBACK=extractive bridges an outage");
}

bool check_model(const struct checkup *c, struct finding *f)
{
    const struct config *cfg = c->cfg;
    enum llm_provider provider = provider_of(cfg->llm_provider);
    char header[HEADER_SIZE], missing[NAMES_SIZE], reason[200];
    if (provider == LLM_EXTRACTIVE)
        return found(f, CHECK_OK, "LLM_PROVIDER is extractive: answers are quoted from the notes");
    if (provider == LLM_ANTHROPIC)
        return false; /* has a row of its own */
    bool is_ollama = provider == LLM_OLLAMA;
    const char *name = is_ollama ? "Ollama" : "the model server";
    struct provider p = is_ollama ? ollama(cfg) : openai(cfg, header, sizeof header);
    if (!p.base) {
        (void)found(f, CHECK_FAIL, "LLM_PROVIDER is openai, but LLM_BASE_URL is unset");
        return mend(f, "set LLM_BASE_URL to the server's address, up to and with /v1");
    }
    const char *wanted[3];
    for (int role = LLM_AGENT; role <= LLM_WRITER; role++)
        wanted[role] = llm_model_name(cfg, provider, (enum llm_role)role);
    struct fetch_response response = {0};
    int r = ask_models(&p, wanted, ARRAY_LEN(wanted), missing, &response);
    wipe(header, sizeof header);
    if (r < 0)
        (void)unreachable(cfg, f, name, why(r == -EPROTO ? 0 : r, &response, reason, sizeof reason));
    else if (!missing[0])
        (void)found(f, CHECK_OK, "%s answers, and has %s", name, wanted[LLM_AGENT]);
    else if (found(f, strstr(missing, wanted[LLM_AGENT]) ? CHECK_FAIL : CHECK_WARN,
                   "%s answers, but lacks %s", name, missing))
        (void)mend(
            f, is_ollama ? "ollama pull each of them, or name others in OLLAMA_MODEL, ORCHESTRATOR_MODEL and "
                           "WRITER_MODEL"
                         : "name others in LLM_MODEL, ORCHESTRATOR_MODEL and WRITER_MODEL");
    fetch_response_free(&response);
    return true;
}

bool check_anthropic(const struct checkup *c, struct finding *f)
{
    const struct config *cfg = c->cfg;
    bool asked_for = provider_of(cfg->llm_provider) == LLM_ANTHROPIC;
    char header[HEADER_SIZE], reason[200];
    if (!cfg->anthropic_api_key && !asked_for)
        return false;
    if (!cfg->anthropic_api_key) {
        (void)found(f, CHECK_FAIL, "LLM_PROVIDER is anthropic, but ANTHROPIC_API_KEY is unset");
        return mend(f, "set ANTHROPIC_API_KEY");
    }
    (void)snprintf(header, sizeof header, "x-api-key: %s", cfg->anthropic_api_key);
    struct fetch_response response = {0};
    int r = get(cfg->anthropic_base_url, "/v1/models", header, &response);
    wipe(header, sizeof header);
    bool good = r == 0 && response.status == 200;
    if (good)
        (void)found(f, CHECK_OK, "Anthropic answers and takes the key");
    else if (found(f, asked_for && !cfg->llm_fallback ? CHECK_FAIL : CHECK_WARN,
                   "Anthropic can't be used: %s", why(r, &response, reason, sizeof reason)))
        (void)mend(f, "look at ANTHROPIC_API_KEY, ANTHROPIC_BASE_URL and the way to the internet");
    fetch_response_free(&response);
    return true;
}

bool check_embedder(const struct checkup *c, struct finding *f)
{
    const struct config *cfg = c->cfg;
    char header[HEADER_SIZE], missing[NAMES_SIZE], reason[200];
    if (!cfg->embedding_provider)
        return found(f, CHECK_OK, "none: retrieval goes by words and tags alone (EMBEDDING_PROVIDER)");
    bool is_ollama = str_equal(cfg->embedding_provider, "ollama");
    struct provider p = is_ollama ? ollama(cfg) : openai(cfg, header, sizeof header);
    if (!p.base) {
        (void)found(f, CHECK_FAIL, "EMBEDDING_PROVIDER is openai, but LLM_BASE_URL is unset");
        return mend(f, "set LLM_BASE_URL");
    }
    struct fetch_response response = {0};
    int r = ask_models(&p, &cfg->embedding_model, 1, missing, &response);
    wipe(header, sizeof header);
    if (r < 0 && found(f, CHECK_WARN, "it can't be used, so retrieval goes by words and tags: %s",
                       why(r == -EPROTO ? 0 : r, &response, reason, sizeof reason)))
        (void)mend(f, "start it, or correct its address");
    else if (r == 0 && missing[0] && found(f, CHECK_WARN, "it answers, but lacks %s", missing))
        (void)mend(f, "ollama pull it, or name another one in EMBEDDING_MODEL");
    else if (r == 0)
        (void)found(f, CHECK_OK, "%s has %s", is_ollama ? "Ollama" : "the model server",
                    cfg->embedding_model);
    fetch_response_free(&response);
    return true;
}

/* ---- others */

bool check_stagehand(const struct checkup *c, struct finding *f)
{
    char reason[200];
    if (!c->cfg->stagehand_url)
        return false;
    struct fetch_response response = {0};
    int r = get(c->cfg->stagehand_url, "/", NULL, &response);
    if (r == 0 && response.status < 500) /* even a refusal is an answer */
        (void)found(f, CHECK_OK, "the browser service answers");
    else if (found(f, CHECK_FAIL, "the browser service can't be used: %s",
                   why(r, &response, reason, sizeof reason)))
        (void)mend(f, "start it, or correct STAGEHAND_URL");
    fetch_response_free(&response);
    return true;
}

bool check_directus(const struct checkup *c, struct finding *f)
{
    char reason[200];
    const char *base = c->cfg->directus_url;
    if (!base)
        return false;
    struct fetch_response response = {0};
    int r = get(base, "/server/ping", NULL, &response);
    const char *body = response.body.data ? response.body.data : "";
    if (r == 0 && response.status == 200 && strncmp(body, "pong", 4) == 0)
        (void)found(f, CHECK_OK, "Directus answers");
    else if (found(f, CHECK_FAIL, "Directus can't be used: %s",
                   r == 0 && response.status == 200 ? "what answers isn't Directus"
                                                    : why(r, &response, reason, sizeof reason)))
        (void)mend(f, "start it, or correct DIRECTUS_URL");
    fetch_response_free(&response);
    return true;
}

/* What the token may do, by what Directus itself works out of its user's policies. */
bool check_directus_token(const struct checkup *c, struct finding *f)
{
    char header[HEADER_SIZE], reason[200];
    const struct config *cfg = c->cfg;
    if (!cfg->directus_url)
        return false;
    if (!cfg->directus_admin_token) {
        (void)found(f, CHECK_WARN, "DIRECTUS_ADMIN_TOKEN is unset, so avatars can't be uploaded");
        return mend(f, "make a static token for an administrator at Directus, and set it");
    }
    (void)snprintf(header, sizeof header, "Authorization: Bearer %s", cfg->directus_admin_token);
    struct fetch_response response = {0};
    int r = get(cfg->directus_url, "/policies/me/globals", header, &response);
    wipe(header, sizeof header);
    _cleanup_json_ json_t *answer =
        r == 0 && response.status == 200 ? json_parse(buf_str(&response.body), response.body.len) : NULL;
    if (json_is_true(json_object_get(json_object_get(answer, "data"), "admin_access")))
        (void)found(f, CHECK_OK, "Directus takes DIRECTUS_ADMIN_TOKEN as an administrator's");
    else if (found(f, CHECK_FAIL, "DIRECTUS_ADMIN_TOKEN can't be used: %s",
                   answer ? "it is no administrator's" : why(r, &response, reason, sizeof reason)))
        (void)mend(f, "set the static token of an active administrator at Directus");
    fetch_response_free(&response);
    return true;
}
