/* SPDX-License-Identifier: MIT */
/* The services that endpoint handlers use, wired together once by `genie serve`. Handlers reach it as
 * rq->app. */
#ifndef API_APP_H
#define API_APP_H

#include "base/config.h"
#include "http/route.h"

/* Of the taxonomy's look-ups. */
struct cache_counts {
    int64_t hits, misses, size;
};

struct app {
    const struct config *cfg;
    struct db *db;
    struct vault *vault; /* NULL: no key for credentials is set */
    struct auth *auth;
    struct logins *logins;
    struct quota *quota;
    struct files *files;
    struct llm *llm;
    struct retrieval *retrieval;
    struct flow_catalog *flows;
    struct event_hub *events;
    struct chat *chat;
    struct goose *goose;
    struct queue *queue;
    const struct media_jobs *media;
    struct job_watches *watches;
    void (*taxonomy_cache)(const struct app *app, struct cache_counts *ret); /* NULL: there is none */
    struct directus_upstream *upstream; /* NULL: /api/directus is served from the store */
    struct cancel *model_stop;          /* raised when the server ends: whatever waits for a model or
                                         * for Directus gives up */
};

/* The route tables of all endpoint families, one file each, ended by NULL; proxied: /api/directus is passed
 * on to a Directus. */
const struct route *const *api_route_tables(bool proxied);

#endif
