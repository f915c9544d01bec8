/* SPDX-License-Identifier: MIT */
#include "api/directus_proxy.h"
#include "base/log.h"
#include "net/guard.h"
#include "net/relay.h"

#include <errno.h>
#include <string.h>

#define CONNECT_TIMEOUT_MS 5000

/* Cuts the address into origin and path, the latter without a slash at its end. */
static int cut_address(const char *url, struct directus_upstream *up)
{
    char host[256];
    if (guard_parse_url(url, host) < 0 || strpbrk(url, "?#"))
        return log_error(-EINVAL, "DIRECTUS_URL must be an address like http://127.0.0.1:8055");
    const char *authority = strstr(url, "://") + 3;
    size_t origin = (size_t)(authority - url) + strcspn(authority, "/"), len = strlen(url);
    while (len > origin && url[len - 1] == '/')
        len--;
    up->origin = strndup(url, origin);
    up->base_path = strndup(url + origin, len - origin);
    return up->origin && up->base_path ? 0 : -ENOMEM;
}

int directus_upstream_open(const struct config *cfg, struct directus_upstream **ret)
{
    struct directus_upstream *up = calloc(1, sizeof *up);
    if (!up)
        return -ENOMEM;
    struct relay_options options = {.connect_timeout_ms = CONNECT_TIMEOUT_MS,
                                    .silence_timeout_ms = cfg->directus_timeout_s * 1000,
                                    .most_calls = (int)cfg->directus_requests};
    int r = cut_address(cfg->directus_url, up);
    if (r == 0)
        r = relay_start(&options, &up->relay);
    if (r < 0) {
        directus_upstream_close(up);
        return r;
    }
    *ret = up;
    return 0;
}

void directus_upstream_close(struct directus_upstream *up)
{
    if (up->relay)
        relay_stop(up->relay);
    free(up->origin);
    free(up->base_path);
    free(up);
}
