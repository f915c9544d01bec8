/* SPDX-License-Identifier: MIT */
#include "http/session_cookie.h"

#include "base/text.h"
#include "http/route.h"

#include <string.h>
#include <strings.h>

/* A browser's own <img> and <video> send no content type. */
static bool reads_asset(const struct request *rq)
{
    return rq->route && rq->route->method == HTTP_GET &&
           str_has_prefix(rq->path, SESSION_COOKIE_PATH "/assets/");
}

bool session_cookies_count(const struct request *rq)
{
    if (reads_asset(rq))
        return true;
    static const char json[] = "application/json";
    const char *type = request_header(rq, "Content-Type");
    size_t len = type ? strcspn(type, "; ") : 0;
    return str_has_prefix(rq->path, SESSION_COOKIE_PATH "/") && len == sizeof json - 1 &&
           strncasecmp(type, json, len) == 0;
}

const char *session_cookie(struct request *rq)
{
    const char *token = session_cookies_count(rq) ? request_cookie(rq, SESSION_COOKIE) : NULL;
    return token && token[0] ? token : NULL;
}
