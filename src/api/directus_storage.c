/* SPDX-License-Identifier: MIT */
#include "api/directus_storage.h"

#include "api/directus_proxy.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "net/fetch.h"

#include <errno.h>
#include <string.h>

#define URL_SIZE 4200
#define HEADER_SIZE 4200
#define PUT_MS 60000
#define REMOVE_MS 5000

static int call(const struct app *app, struct fetch_request *request, const char *id,
                struct fetch_response *ret)
{
    char url[URL_SIZE], header[HEADER_SIZE];
    const char *headers[] = {header, NULL};
    const struct directus_upstream *up = app->upstream;
    if (snprintf(url, sizeof url, "%s%s/files%s%s", up->origin, up->base_path, id ? "/" : "", id ? id : "") >=
        (int)sizeof url)
        return -ENAMETOOLONG;
    (void)snprintf(header, sizeof header, "Authorization: Bearer %s", app->cfg->directus_admin_token);
    request->url = url;
    request->headers = headers;
    int r = fetch(request, ret);
    wipe(header, sizeof header);
    return r;
}

static int errno_of_status(int status)
{
    switch (status) {
    case 200:
    case 204:
        return 0;
    case 401:
    case 403:
        return -EKEYREJECTED;
    case 404:
        return -ENOENT;
    case 413:
        return -EFBIG;
    default:
        return -EPROTO;
    }
}

void directus_storage_remove(const struct app *app, const char *id)
{
    struct fetch_response response = {0};
    struct fetch_request request = {.method = "DELETE", .timeout_ms = REMOVE_MS};
    int r = call(app, &request, id, &response);
    if (r == 0)
        r = errno_of_status(response.status);
    /* Directus says 403 of what isn't there, too */
    if (r < 0 && r != -ENOENT && r != -EKEYREJECTED)
        log_event(LOG_WARN, "a file may be left at Directus", LOG_S("file", id),
                  LOG_S("error", strerror(-r)));
    fetch_response_free(&response);
}

/* Directus heeds only the fields that come before the file. */
static int send_file(const struct app *app, const struct directus_file *file, const char *id)
{
    const struct fetch_field fields[] = {
        {"id", id}, {"title", file->title}, {"type", file->type}, {.name = NULL}};
    const struct fetch_form form = {
        .fields = fields, .name = file->name, .type = file->type, .fd = file->fd, .bytes = file->bytes};
    struct fetch_request request = {
        .method = "POST", .form = &form, .timeout_ms = PUT_MS, .cancel = app->model_stop};
    struct fetch_response response = {0};
    int r = call(app, &request, NULL, &response);
    if (r == 0)
        r = errno_of_status(response.status);
    if (r == 0) {
        _cleanup_json_ json_t *answer = json_parse(buf_str(&response.body), response.body.len);
        r = str_equal_nocase(json_str(json_object_get(answer, "data"), "id", ""), id) ? 0 : -EPROTO;
    }
    if (r < 0)
        log_event(LOG_ERROR, "Directus took no file", LOG_N("status", response.status),
                  LOG_S("error", response.error[0] ? response.error : strerror(-r)));
    fetch_response_free(&response);
    return r;
}

/* Whether nothing of it can be there. */
static bool never_came(int r)
{
    return r == -ECONNREFUSED || r == -EKEYREJECTED || r == -ENAMETOOLONG || r == -EINVAL;
}

int directus_storage_put(const struct app *app, const struct directus_file *file, char *ret_id)
{
    char id[UUID_SIZE];
    if (!app->cfg->directus_admin_token)
        return log_error(-ENOKEY, "DIRECTUS_ADMIN_TOKEN is unset, so Directus can't be given files");
    uuid_make(id);
    int r = send_file(app, file, id);
    if (r < 0 && !never_came(r))
        directus_storage_remove(app, id);
    if (r == 0)
        memcpy(ret_id, id, UUID_SIZE);
    return r;
}
