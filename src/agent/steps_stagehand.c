/* SPDX-License-Identifier: MIT */
/* Browser steps, over the HTTP interface of a Stagehand service. A session belongs to the flow that opened
 * it: no other id is accepted, and what the flow leaves open is ended with it. The guard checks where a URL
 * leads before the browser gets it; the browser resolves once more by itself, which a service on another
 * network should confine. */
#include "agent/steps.h"

#include "base/log.h"
#include "base/text.h"
#include "net/fetch.h"
#include "net/guard.h"
#include "net/resolve.h"

#include <errno.h>
#include <string.h>

#define HOST_SIZE 256
#define ADDRESS_MAX 512
#define REQUEST_MAX (256 * 1024)
#define ANSWER_MAX (1024 * 1024)
#define END_TIMEOUT_MS 3000
#define DEFAULT_MODEL "qwen2.5:latest"

static const char id_chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

/* POST body to <STAGEHAND_URL>/v1/sessions/<rest>. */
static int post(const char *base, const char *rest, const json_t *body, int64_t timeout_ms,
                struct cancel *cancel, struct fetch_response *response)
{
    static const char *const headers[] = {"Content-Type: application/json", NULL};
    char url[ADDRESS_MAX + STAGEHAND_ID_MAX];
    _cleanup_buf_ struct buf text = BUF_INIT(REQUEST_MAX);
    size_t len = strlen(base);
    while (len > 0 && base[len - 1] == '/')
        len--;
    if (snprintf(url, sizeof url, "%.*s/v1/sessions/%s", (int)len, base, rest) >= (int)sizeof url)
        return -EINVAL;
    int r = json_write(&text, body);
    if (r < 0)
        return r;
    const struct fetch_request request = {
        .method = "POST",
        .url = url,
        .headers = headers,
        .body = text.data,
        .body_len = text.len,
        .timeout_ms = timeout_ms,
        .max_body = ANSWER_MAX,
        .cancel = cancel,
    };
    return fetch(&request, response);
}

/* What the service gives: {success, data: {result}} or {success, data}; *ret is a new reference. */
static int read_answer(struct step_run *run, struct fetch_response *response, json_t **ret)
{
    _cleanup_json_ json_t *answer = json_parse(response->body.data, response->body.len);
    if (response->status == 404)
        return step_unavailable(run, "the browser service does not offer this, or has closed the session");
    if (response->status < 200 || response->status >= 300)
        return step_fail(run, -EIO, "The browser service could not do this (status %d)", response->status);
    if (!json_is_object(answer))
        return step_fail(run, -EIO, "The browser service gave an answer that can't be read");
    if (!json_bool(answer, "success", true))
        return step_fail(run, -EIO, "The browser service could not do this");
    json_t *data = json_object_get(answer, "data");
    json_t *result = json_object_get(data, "result");
    *ret = json_incref(result ? result : data ? data : answer);
    return 0;
}

/* Takes over body. */
static int call(struct step_run *run, const char *rest, json_t *body, json_t **ret)
{
    _cleanup_json_ json_t *owned = body;
    _cleanup_(fetch_response_free) struct fetch_response response = {0};
    if (!run->env->cfg->stagehand_url)
        return step_unavailable(run, "no browser service is connected (STAGEHAND_URL is not set)");
    if (!owned)
        return step_fail(run, -ENOMEM, "Out of memory");
    int r = post(run->env->cfg->stagehand_url, rest, owned, step_time_left(run), run->cancel, &response);
    if (r == -ECONNREFUSED)
        return step_unavailable(run, "the browser service can't be reached");
    if (r < 0)
        return step_fail(run, r, "The browser service failed: %s",
                         response.error[0] ? response.error : "bad request");
    return read_answer(run, &response, ret);
}

static char *find_session(struct stagehand_sessions *sessions, const char *id)
{
    for (size_t i = 0; i < sessions->n; i++)
        if (strcmp(sessions->ids[i], id) == 0)
            return sessions->ids[i];
    return NULL;
}

/* A call on a session that this flow opened. Takes over body. */
static int call_session(struct step_run *run, const json_t *config, const char *operation, json_t *body,
                        json_t **ret)
{
    char rest[STAGEHAND_ID_MAX + 32];
    const char *id = json_str(config, "sessionId", "");
    if (!run->env->cfg->stagehand_url || find_session(run->sessions, id)) {
        (void)snprintf(rest, sizeof rest, "%.*s/%s", STAGEHAND_ID_MAX, id, operation);
        return call(run, rest, body, ret);
    }
    json_decref(body);
    return step_fail(run, -EINVAL, "\"sessionId\" must be that of a browser session opened by this flow");
}

/* Copies the fields that are there. */
static json_t *pick(const json_t *config, const char *const *names)
{
    json_t *out = json_object();
    for (; out && *names; names++) {
        json_t *value = json_object_get(config, *names);
        if (value)
            (void)json_object_set(out, *names, value);
    }
    return out;
}

static int remember_session(struct step_run *run, const json_t *answer, json_t **ret)
{
    const char *id = json_str(answer, "sessionId", "");
    size_t len = strlen(id);
    if (len < 1 || len > STAGEHAND_ID_MAX || !str_only(id, id_chars))
        return step_fail(run, -EIO, "The browser service opened no session");
    memcpy(run->sessions->ids[run->sessions->n++], id, len + 1);
    *ret = json_pack("{s:s}", "sessionId", id);
    return *ret ? 0 : step_fail(run, -ENOMEM, "Out of memory");
}

int step_stagehand_start(struct step_run *run, const json_t *config, json_t **ret)
{
    char model[128];
    const struct config *cfg = run->env->cfg;
    const char *agent = cfg->ollama_model ? cfg->ollama_model : DEFAULT_MODEL;
    _cleanup_json_ json_t *answer = NULL;
    if (run->sessions->n == STAGEHAND_SESSIONS_MAX)
        return step_fail(run, -EINVAL, "A flow can open at most %d browser sessions", STAGEHAND_SESSIONS_MAX);
    (void)snprintf(model, sizeof model, "ollama/%s", agent);
    json_t *browser = json_object_get(config, "browser");
    browser = browser ? json_incref(browser)
                      : json_pack("{s:s, s:{s:b}}", "type", "local", "launchOptions", "headless", 1);
    json_t *body = json_pack("{s:s, s:o}", "modelName", json_str(config, "model", model), "browser", browser);
    int r = call(run, "start", body, &answer);
    return r < 0 ? r : remember_session(run, answer, ret);
}

static int check_page(struct step_run *run, const char *url)
{
    char host[HOST_SIZE];
    if (guard_parse_url(url, host) < 0)
        return step_fail(run, -EINVAL, "\"url\" must be a http or https address");
    int r = run->env->cfg->allow_private_urls ? 0 : resolve_all_public(host, run->cancel);
    if (r == -EACCES)
        return step_fail(run, r, "The address of %.100s is not a public one", host);
    if (r == -ENOENT)
        return step_fail(run, r, "The host %.100s is not known", host);
    return r < 0 ? step_fail(run, r, "The host %.100s could not be looked up", host) : 0;
}

int step_stagehand_navigate(struct step_run *run, const json_t *config, json_t **ret)
{
    static const char *const names[] = {"url", NULL};
    if (!run->env->cfg->stagehand_url)
        return call_session(run, config, "navigate", NULL, ret);
    int r = check_page(run, json_str(config, "url", ""));
    return r < 0 ? r : call_session(run, config, "navigate", pick(config, names), ret);
}

int step_stagehand_act(struct step_run *run, const json_t *config, json_t **ret)
{
    return call_session(run, config, "act", json_pack("{s:s}", "input", json_str(config, "action", "")), ret);
}

int step_stagehand_extract(struct step_run *run, const json_t *config, json_t **ret)
{
    static const char *const names[] = {"instruction", "schema", NULL};
    return call_session(run, config, "extract", pick(config, names), ret);
}

int step_stagehand_observe(struct step_run *run, const json_t *config, json_t **ret)
{
    static const char *const names[] = {"instruction", NULL};
    return call_session(run, config, "observe", pick(config, names), ret);
}

int step_stagehand_screenshot(struct step_run *run, const json_t *config, json_t **ret)
{
    return call_session(run, config, "screenshot", json_object(), ret);
}

static void forget_session(struct stagehand_sessions *sessions, const char *id)
{
    char *found = find_session(sessions, id);
    if (!found)
        return;
    sessions->n--;
    if (found != sessions->ids[sessions->n])
        memcpy(found, sessions->ids[sessions->n], sizeof sessions->ids[0]);
}

int step_stagehand_close(struct step_run *run, const json_t *config, json_t **ret)
{
    _cleanup_json_ json_t *answer = NULL;
    int r = call_session(run, config, "end", json_object(), &answer);
    if (r < 0)
        return r;
    forget_session(run->sessions, json_str(config, "sessionId", ""));
    *ret = json_pack("{s:b}", "closed", 1);
    return *ret ? 0 : step_fail(run, -ENOMEM, "Out of memory");
}

void stagehand_end_all(const struct config *cfg, struct stagehand_sessions *sessions)
{
    _cleanup_json_ json_t *body = json_object();
    for (size_t i = 0; body && i < sessions->n; i++) {
        _cleanup_(fetch_response_free) struct fetch_response response = {0};
        char rest[STAGEHAND_ID_MAX + 8];
        (void)snprintf(rest, sizeof rest, "%s/end", sessions->ids[i]);
        int r = post(cfg->stagehand_url, rest, body, END_TIMEOUT_MS, NULL, &response);
        if (r < 0)
            log_event(LOG_WARN, "a browser session could not be ended", LOG_S("error", response.error));
    }
    sessions->n = 0;
}
