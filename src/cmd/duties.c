/* SPDX-License-Identifier: MIT */
/* A row is all that a new duty needs besides its step (schedule/duty.h); times are UTC. */
#include "cmd/duties.h"

#include "api/app.h"
#include "goose/rows.h"
#include "quota/quota.h"
#include "retrieval/decay.h"
#include "retrieval/retrieval.h"
#include "schedule/sweep.h"
#include "taxonomy/learn.h"

/* Work that died before it settled gives its units back also where its owner asks for no more of them. */
static int return_units(struct db_conn *c, const struct duty_run *run)
{
    return quota_expire_in(c, run->now_ms);
}

static void forget_nodes(void *ctx)
{
    const struct app *app = ctx;
    retrieval_forget(app->retrieval, NULL);
}

static void forget_taxonomy(void *ctx)
{
    const struct app *app = ctx;
    taxonomy_forget(app->taxonomy);
}

const struct duty duties[] = {
    {.name = "node decay",
     DAILY_AT(2, 0),
     .step = decay_nodes,
     .after = forget_nodes,
     .batch = 500,
     .limit_ms = 5 * MINUTE_MS},
    {.name = "taxonomy learning",
     DAILY_AT(2, 30),
     .step = taxonomy_learn,
     .after = forget_taxonomy,
     .batch = 500,
     .limit_ms = 5 * MINUTE_MS},
    {.name = "sweep", DAILY_AT(3, 0), .step = sweep_expired, .batch = 500, .limit_ms = MINUTE_MS},
    {.name = "quota leases", EVERY_MS(15 * MINUTE_MS), .step = return_units, .limit_ms = MINUTE_MS},
    {.name = "goose runs", EVERY_MS(MINUTE_MS), .step = goose_expire, .limit_ms = MINUTE_MS},
    {.name = NULL},
};
