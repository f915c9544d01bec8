/* SPDX-License-Identifier: MIT */
/* The route tables of the endpoint families, and which of them are served (routes.c). */
#ifndef API_ROUTES_H
#define API_ROUTES_H

#include "http/route.h"

extern const struct route captions_routes[];       /* captions.c */
extern const struct route chat_routes[];           /* chat.c */
extern const struct route credentials_routes[];    /* credentials.c */
extern const struct route directus_proxy_routes[]; /* directus_proxy.c: instead, with DIRECTUS_URL */
extern const struct route directus_routes[];       /* directus.c */
extern const struct route fans_routes[];           /* fans.c */
extern const struct route goose_routes[];          /* goose.c */
extern const struct route impersonate_routes[];    /* impersonate.c */
extern const struct route onboarding_routes[];     /* onboarding.c */
extern const struct route posts_routes[];          /* posts.c */
extern const struct route profile_routes[];        /* profile.c */
extern const struct route queue_routes[];          /* queue.c */
extern const struct route rbac_routes[];           /* rbac.c */
extern const struct route register_routes[];       /* register.c */
extern const struct route system_routes[];         /* system.c */
extern const struct route usage_routes[];          /* usage.c */

#endif
