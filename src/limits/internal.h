/* SPDX-License-Identifier: MIT */
/* Private to src/limits. */
#ifndef LIMITS_INTERNAL_H
#define LIMITS_INTERNAL_H

#include "limits/limits.h"

#include <stdatomic.h>

struct rate_memory;

struct limits {
    const struct config *cfg;
    struct db *db;
    struct rate_memory *refused; /* who is refused for how long */
    atomic_llong swept_ms;       /* when old rows were last looked for; monotonic */
    atomic_int sweeping;
};

/* Removes rows that count no more, now and then, without waiting. */
void limits_sweep(struct limits *limits);

struct rate_memory *rate_memory_new(void); /* NULL without memory */
void rate_memory_free(struct rate_memory *memory);

int rate_count_in_store(void *limits, const struct rate_limit *limit, const char *client_ip,
                        struct rate_outcome *ret);

int idempotency_claim_key(void *limits, const struct idempotent_request *in, struct arena *a,
                          struct idempotency_found *ret);
int idempotency_settle_key(void *limits, const struct idempotency_claim *claim, int status, const char *body);
int idempotency_release_key(void *limits, const struct idempotency_claim *claim);

#endif
