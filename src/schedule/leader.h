/* SPDX-License-Identifier: MIT */
/* The leader among the servers of one store: whoever holds a lease, a row of leader_leases that names its
 * holder and when it ends. The row's times are the store's (db_now), so the servers' clocks may differ; each
 * measures how long its own lease is good for by its monotonic clock, from before it asked for it. A holder
 * counts on it for 5/6 of its time, and so has stopped before another can take it, also while it can't reach
 * the store. Work in the store is safe beyond that: its unit asks leader_confirm.
 *
 * For one thread. */
#ifndef SCHEDULE_LEADER_H
#define SCHEDULE_LEADER_H

#include "base/uuid.h"
#include "db/db.h"

/* The longest lease there is. One that claims to end later comes from a clock that was set back since, and
 * binds nobody. */
#define LEADER_LEASE_MOST_MS (INT64_C(300) * 1000)

struct leader {
    struct db *db;
    const char *name;    /* of the lease */
    int64_t lease_ms;    /* at most LEADER_LEASE_MOST_MS */
    char id[UUID_SIZE];  /* this process */
    int64_t until_ms;    /* monotonic; 0 = doesn't hold it */
    int64_t store_ahead; /* the store's clock minus the monotonic one, at the last renewal */
};

/* Makes an id. db and name must outlive it. */
void leader_init(struct leader *l, struct db *db, const char *name, int64_t lease_ms);

/* Takes the lease if it is free, renews it if it is ours: 1 held, 0 somebody else holds it, or the store's
 * error, after which what was held goes on until its time is over. */
int leader_take(struct leader *l);

/* Whether leader_take might succeed; one read. 1, 0, or the store's error. */
int leader_free(struct leader *l);

/* Whether it may still act. No access to the store. */
bool leader_holds(const struct leader *l);

/* Gives the lease up at once, if it is held. 0 or the store's error. */
int leader_release(struct leader *l);

/* Inside a unit: 1 and the store's time if the lease is held as the store sees it, 0 if not, or an error. */
int leader_confirm(struct db_conn *c, const struct leader *l, int64_t *ret_now_ms);

#endif
