/* SPDX-License-Identifier: MIT */
/* The Directus that DIRECTUS_URL names, to which /api/directus is passed on. */
#ifndef API_DIRECTUS_PROXY_H
#define API_DIRECTUS_PROXY_H

#include "api/app.h"

struct relay;

struct directus_upstream {
    struct relay *relay;
    char *origin;    /* "http://host:port" */
    char *base_path; /* "" or "/cms" */
};

/* From DIRECTUS_URL, which must be set. 0; -EINVAL where that is no address (logged), or negative errno. */
int directus_upstream_open(const struct config *cfg, struct directus_upstream **ret);
void directus_upstream_close(struct directus_upstream *up);

#endif
