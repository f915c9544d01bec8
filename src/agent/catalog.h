/* SPDX-License-Identifier: MIT */
/* The active flows, parsed once and kept in memory until somebody changes them: every chat asks what may be
 * offered, and flows hardly ever change. A write of this process drops them by flow_catalog_forget, another
 * process's by the store's data version. Thread-safe. */
#ifndef AGENT_CATALOG_H
#define AGENT_CATALOG_H

#include "auth/identity.h"

/* A flow as the model and `extractive` are offered it. */
struct flow_offer {
    const char *slug, *name, *description;
    const char *input_hint; /* names of the inputs its steps refer to, "url, note"; "" = none */
};

struct flow_catalog;

/* 0 or -ENOMEM; reads nothing yet. */
int flow_catalog_open(struct db *db, struct flow_catalog **ret);
void flow_catalog_close(struct flow_catalog *catalog);
DEFINE_CLEANUP(struct flow_catalog *, flow_catalog_close);

/* The rows of action_flows have changed. */
void flow_catalog_forget(struct flow_catalog *catalog);

/* The flows that this user may run, by slug; copied into the arena. 0, -ENOMEM, or the store's error. Workers
 * only. */
int flow_catalog_offer(struct flow_catalog *catalog, struct arena *a, const struct identity *who,
                       struct flow_offer **ret, size_t *ret_n);

#endif
