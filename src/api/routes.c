/* SPDX-License-Identifier: MIT */
/* Every endpoint that is served: one line a family. */
#include "api/routes.h"

#include "api/app.h"

const struct route *const api_route_tables[] = {
    chat_routes,     credentials_routes, directus_routes, onboarding_routes,
    register_routes, system_routes,      usage_routes,    NULL,
};
