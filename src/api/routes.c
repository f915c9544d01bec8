/* SPDX-License-Identifier: MIT */
/* Every endpoint that is served: one line a family. */
#include "api/routes.h"

#include "api/app.h"

const struct route *const api_route_tables[] = {
    captions_routes, chat_routes,  credentials_routes,
    directus_routes, fans_routes,  posts_routes,
    system_routes,   usage_routes, NULL,
};
