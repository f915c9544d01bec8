/* SPDX-License-Identifier: MIT */
/* For handlers of rows with `.idempotent`. The dispatcher keeps their answer by itself, after they have
 * replied; but a server that dies between the effect and that leaves a claim that ends after
 * IDEMPOTENCY_LEASE_S, and then the request may run again. A handler that writes in one unit closes the gap:
 *
 *     static int create_unit(struct db_conn *c, void *arg)
 *     {
 *         …the effect…
 *         return idempotency_settle_unit(c, in->claim, 200, in->answer);
 *     }
 *
 * and then replies with that status and answer. What it replies replaces what it kept, if it is to be kept
 * itself; if the handler fails after its unit, a repeat gets what the unit kept. */
#ifndef LIMITS_IDEMPOTENCY_H
#define LIMITS_IDEMPOTENCY_H

#include "base/json.h"
#include "db/db.h"

#define IDEMPOTENCY_KEPT_S 86400
/* Longer than any handler works. */
#define IDEMPOTENCY_LEASE_S 600

struct idempotency_claim;

/* Inside the unit that makes the effect: 0; -ECANCELED where the claim has been lost to somebody else, so
 * that the unit is undone (reply_store_error says 409); or the store's error. claim is rq->claim; NULL: the
 * client sent no key, and nothing is done. */
int idempotency_settle_unit(struct db_conn *c, const struct idempotency_claim *claim, int status,
                            const json_t *answer);

#endif
