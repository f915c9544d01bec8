/* SPDX-License-Identifier: MIT */
/* Users' nodes lose weight with time: once a day weight ×= (1 − decay_rate) ^ (days since last_decayed_at, or
 * since the node was made). What falls under DECAY_LEAST becomes `decayed`, and is searched no more. One
 * whose weight a Directus has raised since is active again from the slot on, with the weight that it was
 * given. */
#ifndef RETRIEVAL_DECAY_H
#define RETRIEVAL_DECAY_H

#include "schedule/duty.h"

#define DECAY_LEAST 0.1
#define DECAY_LEAST_SQL "0.1" /* src/items/access.c has it, too: a note that is given as much comes back */

/* The weight after some days. Pure. */
double decayed_weight(double weight, double rate, double days);

/* The step of the nightly duty: `batch` nodes. A node is brought to the slot's instant and says so, so a run
 * decays it once, and days that nobody served count as well. */
int decay_nodes(struct db_conn *c, const struct duty_run *run);

#endif
