/* SPDX-License-Identifier: MIT */
/* A row is all that a new duty needs besides its step (schedule/duty.h); times are UTC. */
#include "cmd/duties.h"

#include "schedule/sweep.h"

const struct duty duties[] = {
    {.name = "sweep", DAILY_AT(3, 0), .step = sweep_expired, .batch = 500, .limit_ms = MINUTE_MS},
    {.name = NULL},
};
