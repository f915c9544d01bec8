/* SPDX-License-Identifier: MIT */
/* What a periodic duty is: a row of a table. Its runs belong to slots, instants in step with the clock in
 * UTC: a duty "every 6 h" has one at 00:00, 06:00, 12:00 and 18:00, one "daily at 02:30" one a day. A slot is
 * done once, whoever leads. Slots that passed while nobody did are made up by one run, the latest's. */
#ifndef SCHEDULE_DUTY_H
#define SCHEDULE_DUTY_H

#include "base/clock.h"
#include "db/db.h"

#define MINUTE_MS (INT64_C(60) * 1000)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)

/* What a step gets; times by the store's clock. */
struct duty_run {
    void *ctx; /* given to schedule_start */
    int64_t now_ms, slot_ms;
    char now[ISO_TIME_LEN], slot[ISO_TIME_LEN]; /* the same as text */
    int64_t batch;
};

/* One step of a run: at most `batch` rows of work, inside a unit whose limit is DUTY_STEP_MS. Returns 1 when
 * there is more to do, 0 when the run is done (which is recorded in the same unit), or a negative errno: then
 * the step is undone, and the run goes on later. A run of several steps may be finished by another server, so
 * each must find by the rows themselves what is left, as by a date that is earlier than `slot`. */
typedef int (*duty_step_fn)(struct db_conn *c, const struct duty_run *run);

#define DUTY_STEP_MS 5000

struct duty {
    const char *name; /* NULL ends a table */
    int64_t every_ms; /* from slot to slot … */
    int64_t after_ms; /* … and how long after midnight of 1 January 1970 the first was */
    duty_step_fn step;
    void (*after)(void *ctx); /* once what a run wrote is durable, for caches; may be NULL */
    int64_t batch;            /* rows a step */
    int64_t limit_ms;         /* of a run; others then have their turn before it goes on */
};

#define EVERY_MS(ms) .every_ms = (ms)
#define DAILY_AT(hour, minute) .every_ms = DAY_MS, .after_ms = (hour)*HOUR_MS + (minute)*MINUTE_MS

/* The latest slot at that time. Pure. */
int64_t duty_slot(const struct duty *d, int64_t now_ms);

#endif
