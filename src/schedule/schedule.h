/* SPDX-License-Identifier: MIT */
/* Periodic duties, done by one of all the servers on a store: the leader (schedule/leader.h). One thread
 * renews the lease and does what is due, or waits for the lease to become free.
 *
 * A duty's row in leader_leases, "duty <name>", has the last slot that was done. It is written by each step,
 * in the step's own unit: so a slot is done once, even where the leader changes in the midst of it, and two
 * that both think they lead can't do the same step. A duty that is new to a store begins with its next slot;
 * an operator who sets last_run_at to NULL has it done at the next renewal. */
#ifndef SCHEDULE_SCHEDULE_H
#define SCHEDULE_SCHEDULE_H

#include "schedule/duty.h"

#define DUTIES_MOST 32

struct schedule_options {
    struct db *db;
    const struct duty *duties; /* ended by a row without a name; at most DUTIES_MOST */
    void *ctx;                 /* for their steps */
    int64_t lease_ms;
};

struct schedule;

/* What the options name must outlive it. 0 or negative errno with a log line. */
int schedule_start(const struct schedule_options *options, struct schedule **ret);

/* Ends after the step that runs, and lets another server lead at once. */
void schedule_stop(struct schedule *s);

#endif
