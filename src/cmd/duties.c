/* SPDX-License-Identifier: MIT */
/* A row is all that a new duty needs besides its step (schedule/duty.h); times are UTC. */
#include "cmd/duties.h"

#include "goose/rows.h"
#include "quota/quota.h"
#include "schedule/sweep.h"

/* Work that died before it settled gives its units back also where its owner asks for no more of them. */
static int return_units(struct db_conn *c, const struct duty_run *run)
{
    return quota_expire_in(c, run->now_ms);
}

const struct duty duties[] = {
    {.name = "sweep", DAILY_AT(3, 0), .step = sweep_expired, .batch = 500, .limit_ms = MINUTE_MS},
    {.name = "quota leases", EVERY_MS(15 * MINUTE_MS), .step = return_units, .limit_ms = MINUTE_MS},
    {.name = "goose runs", EVERY_MS(MINUTE_MS), .step = goose_expire, .limit_ms = MINUTE_MS},
    {.name = NULL},
};
