/* SPDX-License-Identifier: MIT */
/* Billing cycles: they begin at 00:00 UTC on the day of the month (or of the year) on which a subscription
 * began; where a month has no such day, on its last one. Pure. */
#ifndef QUOTA_CYCLE_H
#define QUOTA_CYCLE_H

#include <stdbool.h>
#include <stdint.h>

struct cycle {
    int64_t start_ms; /* first moment of it, since the epoch */
    int64_t end_ms;   /* first moment of the next */
};

#define CYCLE_NO_ANCHOR INT64_MIN

/* The cycle that holds now_ms. anchor_ms: any moment of the day on which the subscription began; it may lie
 * in the future, and cycles run before it by the same rule. CYCLE_NO_ANCHOR: the first of the month, or of
 * January. Both within the years 1 to 9999. */
struct cycle cycle_at(int64_t anchor_ms, bool yearly, int64_t now_ms);

#endif
