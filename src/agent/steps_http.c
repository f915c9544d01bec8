/* SPDX-License-Identifier: MIT */
/* The http_request step: one request to a host that the operator named. Redirects are not followed, since
 * they lead to hosts that nobody named; the address that is connected to must be public. */
#include "agent/steps.h"

#include "base/text.h"
#include "net/fetch.h"
#include "net/guard.h"

#include <errno.h>
#include <string.h>

#define BODY_MAX (256 * 1024)
#define ANSWER_MAX (512 * 1024)
#define HEADERS_MAX 32
#define HEADER_BYTES_MAX 4096
#define ARENA_MAX (1024 * 1024)

/* What the transfer itself sets, or what would let a flow speak for this server. */
static const char own_headers[] = "host,content-length,transfer-encoding,connection,upgrade,te,trailer,"
                                  "expect,keep-alive,proxy-authorization,"
                                  "proxy-connection";

static const char token_chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

struct outgoing {
    struct arena arena;
    const char *headers[HEADERS_MAX + 2]; /* one more for the type of a body, and the end */
    size_t n_headers;
    const char *body;
};

static void release_outgoing(struct outgoing *out)
{
    arena_free(&out->arena);
}

static int check_url(struct step_run *run, const char *url)
{
    char host[GUARD_AUTHORITY_SIZE];
    if (guard_authority(url, host) < 0)
        return step_fail(run, -EINVAL, "\"url\" must be a http or https address");
    if (!config_list_has(run->env->cfg->http_request_hosts, host))
        return step_fail(run, -EACCES, "The host %.100s is not among those that flows may call", host);
    return 0;
}

static int check_method(struct step_run *run, const char *method)
{
    static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"};
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (strcmp(methods[i], method) == 0)
            return 0;
    return step_fail(run, -EINVAL, "\"method\" must be GET, HEAD, POST, PUT, PATCH or DELETE");
}

static int add_header(struct step_run *run, struct outgoing *out, const char *name, const char *value)
{
    bool sane = name[0] && str_only(name, token_chars) && value && !strpbrk(value, "\r\n") &&
                strlen(name) + strlen(value) < HEADER_BYTES_MAX;
    if (!sane || config_list_has(own_headers, name))
        return step_fail(run, -EINVAL, "The header %.60s can't be sent", name);
    if (out->n_headers == HEADERS_MAX)
        return step_fail(run, -EINVAL, "At most %d headers can be sent", HEADERS_MAX);
    char *line = arena_printf(&out->arena, "%s: %s", name, value);
    if (!line)
        return step_fail(run, -ENOMEM, "Out of memory");
    out->headers[out->n_headers++] = line;
    return 0;
}

static int add_headers(struct step_run *run, struct outgoing *out, const json_t *headers, bool *ret_typed)
{
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *)headers, name, value) {
        int r = add_header(run, out, name, json_string_value(value));
        if (r < 0)
            return r;
        *ret_typed = *ret_typed || str_equal_nocase(name, "content-type");
    }
    return 0;
}

/* A text goes as it is; anything else as JSON. */
static int add_body(struct step_run *run, struct outgoing *out, const json_t *body, bool typed)
{
    if (!body)
        return 0;
    out->body = json_is_string(body) ? json_string_value(body) : json_text(&out->arena, body);
    if (!out->body)
        return step_fail(run, -ENOMEM, "Out of memory");
    if (strlen(out->body) > BODY_MAX)
        return step_fail(run, -EMSGSIZE, "The body is too large");
    if (!typed)
        out->headers[out->n_headers++] = json_is_string(body) ? "Content-Type: text/plain; charset=utf-8"
                                                              : "Content-Type: application/json";
    return 0;
}

static int read_answer(struct step_run *run, struct fetch_response *response, json_t **ret)
{
    const char *text = buf_str(&response->body), *type = response->content_type;
    if (response->status < 200 || response->status >= 300)
        return step_fail(run, -EIO, "The service answered with status %d", response->status);
    if (!text || memchr(text, '\0', response->body.len) || !utf8_valid(text, response->body.len))
        return step_fail(run, -EIO, "The service answered with something that is not text");
    json_t *body = json_parse(text, response->body.len);
    if (!body)
        body = json_string(text);
    *ret = json_pack("{s:i, s:s, s:o}", "status", response->status, "contentType",
                     utf8_valid(type, strlen(type)) ? type : "", "body", body);
    return *ret ? 0 : step_fail(run, -ENOMEM, "Out of memory");
}

static int send_request(struct step_run *run, const struct outgoing *out, const char *method, const char *url,
                        json_t **ret)
{
    const struct fetch_request request = {
        .method = method,
        .url = url,
        .headers = out->headers,
        .body = out->body,
        .body_len = out->body ? strlen(out->body) : 0,
        .timeout_ms = step_time_left(run),
        .max_body = ANSWER_MAX,
        .public_only = !run->env->cfg->allow_private_urls,
        .cancel = run->cancel,
    };
    _cleanup_(fetch_response_free) struct fetch_response response = {0};
    int r = fetch(&request, &response);
    return r < 0 ? step_fail(run, r, "%s", response.error) : read_answer(run, &response, ret);
}

int step_http_request(struct step_run *run, const json_t *config, json_t **ret)
{
    _cleanup_(release_outgoing) struct outgoing out = {0};
    const char *url = json_str(config, "url", ""), *method = json_str(config, "method", "GET");
    bool typed = false;
    arena_init(&out.arena, ARENA_MAX);
    int r = check_url(run, url);
    if (r == 0)
        r = check_method(run, method);
    if (r == 0)
        r = add_headers(run, &out, json_object_get(config, "headers"), &typed);
    if (r == 0)
        r = add_body(run, &out, json_object_get(config, "body"), typed);
    return r < 0 ? r : send_request(run, &out, method, url, ret);
}
