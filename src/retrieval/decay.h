/* SPDX-License-Identifier: MIT */
/* Users' nodes lose weight with time: once a day weight ×= (1 − decay_rate) ^ (days since last_decayed_at, or
 * since the node was made). What falls under DECAY_LEAST becomes `decayed`, and is searched no more. */
#ifndef RETRIEVAL_DECAY_H
#define RETRIEVAL_DECAY_H

#include "schedule/duty.h"

#define DECAY_LEAST 0.1

/* The weight after some days. Pure. */
double decayed_weight(double weight, double rate, double days);

/* The step of the nightly duty: `batch` nodes. A node is brought to the slot's instant and says so, so a run
 * decays it once, and days that nobody served count as well. */
int decay_nodes(struct db_conn *c, const struct duty_run *run);

#endif
