/* SPDX-License-Identifier: MIT */
/* The daily sweep: rows that nobody will ask for again. Rows of impersonations stay, since they are a trail,
 * and their expiry stands in them. */
#ifndef SCHEDULE_SWEEP_H
#define SCHEDULE_SWEEP_H

#include "schedule/duty.h"

/* A step of a duty (duty_step_fn): deletes at most run->batch rows of each table. */
int sweep_expired(struct db_conn *c, const struct duty_run *run);

#endif
