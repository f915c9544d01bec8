/* SPDX-License-Identifier: MIT */
/* One request each: POST <STAGEHAND_URL>/v1/sessions/<session>/<operation>. Answers are {success, data:
 * {result}} or {success, data}. */
#include "browser/browser.h"

#include "base/log.h"
#include "base/text.h"
#include "net/fetch.h"
#include "net/guard.h"
#include "net/resolve.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#define HOST_SIZE 256
#define ADDRESS_MAX 512
#define OPERATION_MAX 32
#define REQUEST_MAX (256 * 1024)
#define ANSWER_MAX (1024 * 1024)
#define END_TIMEOUT_MS 3000
#define DEFAULT_MODEL "qwen2.5:latest"

static const char id_chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

__attribute__((format(printf, 3, 4))) static int fail(struct browser *b, int r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(b->error, sizeof b->error, fmt, ap);
    va_end(ap);
    return r;
}

static int post(struct browser *b, const char *rest, const json_t *body, struct fetch_response *response)
{
    static const char *const headers[] = {"Content-Type: application/json", NULL};
    char url[ADDRESS_MAX + BROWSER_ID_MAX + OPERATION_MAX];
    _cleanup_buf_ struct buf text = BUF_INIT_SECRET(REQUEST_MAX);
    const char *base = b->cfg->stagehand_url;
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
        .timeout_ms = b->limit_ms,
        .max_body = ANSWER_MAX,
        .cancel = b->cancel,
    };
    return fetch(&request, response);
}

static int read_answer(struct browser *b, const struct fetch_response *response, json_t **ret)
{
    _cleanup_json_ json_t *answer = json_parse(response->body.data, response->body.len);
    if (response->status == 404)
        return fail(b, -ENOENT, "the browser service does not offer this, or has closed the session");
    if (response->status < 200 || response->status >= 300)
        return fail(b, -EIO, "The browser service could not do this (status %d)", response->status);
    if (!json_is_object(answer))
        return fail(b, -EIO, "The browser service gave an answer that can't be read");
    if (!json_bool(answer, "success", true))
        return fail(b, -EIO, "The browser service could not do this");
    json_t *data = json_object_get(answer, "data");
    json_t *result = json_object_get(data, "result");
    *ret = json_incref(result ? result : data ? data : answer);
    return 0;
}

/* Takes over body. */
static int call(struct browser *b, const char *rest, json_t *body, json_t **ret)
{
    _cleanup_json_ json_t *owned = body;
    _cleanup_(fetch_response_free) struct fetch_response response = {0};
    if (!b->cfg->stagehand_url)
        return fail(b, -ENODEV, "no browser service is connected (STAGEHAND_URL is not set)");
    if (!owned)
        return fail(b, -ENOMEM, "Out of memory");
    int r = post(b, rest, owned, &response);
    if (r == -ECONNREFUSED)
        return fail(b, r, "the browser service can't be reached");
    if (r < 0)
        return fail(b, r == -ENOENT || r == -ENODEV ? -EIO : r, "The browser service failed: %s",
                    response.error[0] ? response.error : "bad request");
    return read_answer(b, &response, ret);
}

int browser_call(struct browser *b, const char *session, const char *operation, json_t *body, json_t **ret)
{
    char rest[BROWSER_ID_MAX + OPERATION_MAX + 2];
    (void)snprintf(rest, sizeof rest, "%.*s/%.*s", BROWSER_ID_MAX, session, OPERATION_MAX, operation);
    return call(b, rest, body, ret);
}

/* ---- what a session is opened with */

/* Nothing here leads to another program, to files, or to another host: those are set at the service. */
#define BROWSER_KEYS "type|launchOptions"
#define BROWSER_TYPES "local|browserbase"
#define LAUNCH_KEYS "headless|devtools|viewport|locale|deviceScaleFactor|hasTouch|acceptDownloads"
#define VIEWPORT_KEYS "width|height"

static bool has_only(const json_t *object, const char *choices)
{
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)object, key, value)
        if (!choices_have(choices, key, strlen(key)))
            return false;
    return true;
}

static int check_options(struct browser *b, const json_t *given)
{
    const json_t *launch = json_object_get(given, "launchOptions"),
                 *viewport = json_object_get(launch, "viewport");
    const char *type = json_str(given, "type", ""), *key;
    json_t *value;
    if (!json_is_object(given) || !has_only(given, BROWSER_KEYS) ||
        !choices_have(BROWSER_TYPES, type, strlen(type)))
        return fail(b, -EINVAL,
                    "\"browser\" must be an object of type (local, browserbase) and launchOptions");
    if (launch && (!json_is_object(launch) || !has_only(launch, LAUNCH_KEYS)))
        return fail(b, -EINVAL, "\"launchOptions\" of \"browser\" can hold " LAUNCH_KEYS " alone");
    if (viewport && (!json_is_object(viewport) || !has_only(viewport, VIEWPORT_KEYS)))
        return fail(b, -EINVAL, "\"viewport\" of \"browser\" must be an object of width and height");
    json_object_foreach ((json_t *)(uintptr_t)launch, key, value)
        if (value != viewport && (json_is_object(value) || json_is_array(value)))
            return fail(b, -EINVAL, "\"%s\" of \"browser\" can't hold other values", key);
    return 0;
}

int browser_start(struct browser *b, const char *model, json_t *browser, char *ret_id)
{
    char name[128];
    const char *agent = b->cfg->ollama_model ? b->cfg->ollama_model : DEFAULT_MODEL;
    _cleanup_json_ json_t *answer = NULL;
    (void)snprintf(name, sizeof name, "ollama/%s", agent);
    int r = browser ? check_options(b, browser) : 0;
    if (r < 0)
        return r;
    json_t *where = browser ? json_incref(browser)
                            : json_pack("{s:s, s:{s:b}}", "type", "local", "launchOptions", "headless", 1);
    r = call(b, "start", json_pack("{s:s, s:o}", "modelName", model ? model : name, "browser", where),
             &answer);
    if (r < 0)
        return r;
    const char *id = json_str(answer, "sessionId", "");
    size_t len = strlen(id);
    if (len < 1 || len > BROWSER_ID_MAX || !str_only(id, id_chars))
        return fail(b, -EIO, "The browser service opened no session");
    memcpy(ret_id, id, len + 1);
    return 0;
}

int browser_check_page(struct browser *b, const char *url)
{
    char host[HOST_SIZE];
    if (guard_parse_url(url, host) < 0)
        return fail(b, -EINVAL, "\"url\" must be a http or https address");
    int r = b->cfg->allow_private_urls ? 0 : resolve_all_public(host, b->cancel);
    if (r == -EACCES)
        return fail(b, r, "The address of %.100s is not a public one", host);
    if (r == -ENOENT)
        return fail(b, r, "The host %.100s is not known", host);
    return r < 0 ? fail(b, r, "The host %.100s could not be looked up", host) : 0;
}

void browser_end(const struct config *cfg, const char *session)
{
    struct browser b = {.cfg = cfg, .limit_ms = END_TIMEOUT_MS};
    _cleanup_json_ json_t *answer = NULL;
    if (browser_call(&b, session, "end", json_object(), &answer) < 0)
        log_event(LOG_WARN, "a browser session could not be ended", LOG_S("error", b.error));
}
