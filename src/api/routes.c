/* SPDX-License-Identifier: MIT */
/* Every endpoint that is served: one line a family. */
#include "api/routes.h"

#include "api/app.h"

static const struct route *const embedded[] = {
    chat_routes,
    directus_routes,
    system_routes,
    NULL,
};

static const struct route *const with_directus[] = {
    chat_routes,
    directus_proxy_routes,
    system_routes,
    NULL,
};

const struct route *const *api_route_tables(bool proxied)
{
    return proxied ? with_directus : embedded;
}
