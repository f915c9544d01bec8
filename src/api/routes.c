/* SPDX-License-Identifier: MIT */
/* Every endpoint that is served: one line a family. */
#include "api/routes.h"

#include "api/app.h"

/* clang-format off */
#define FAMILIES \
    captions_routes, \
    chat_routes, \
    credentials_routes, \
    fans_routes, \
    goose_routes, \
    impersonate_routes, \
    onboarding_routes, \
    posts_routes, \
    profile_routes, \
    queue_routes, \
    rbac_routes, \
    register_routes, \
    system_routes, \
    usage_routes
/* clang-format on */

static const struct route *const embedded[] = {FAMILIES, directus_routes, NULL};
static const struct route *const with_directus[] = {FAMILIES, directus_proxy_routes, NULL};

const struct route *const *api_route_tables(bool proxied)
{
    return proxied ? with_directus : embedded;
}
