/* SPDX-License-Identifier: MIT */
/* Rate limits and idempotency keys, kept in the store, so that all servers on it count and remember together.
 * Thread-safe. */
#ifndef LIMITS_LIMITS_H
#define LIMITS_LIMITS_H

#include "base/config.h"
#include "db/db.h"
#include "http/limits.h"

struct limits;

/* 0 or -ENOMEM. cfg and db must outlive it. */
int limits_open(const struct config *cfg, struct db *db, struct limits **ret);

/* Nothing may use it any more; what it still has in the store's queue is waited for. */
void limits_close(struct limits *limits);

DEFINE_CLEANUP(struct limits *, limits_close);

/* What the server is given (http/limits.h). */
struct http_limits limits_hooks(struct limits *limits);

#endif
