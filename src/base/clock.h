/* SPDX-License-Identifier: MIT */
/* Time: wall clock in milliseconds since the epoch (UTC) for what is stored, monotonic for what is measured
 * or awaited. ISO 8601 text always ends in Z. Thread-safe. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

#define ISO_TIME_LEN 25 /* 2026-03-13T10:22:00.123Z and a NUL */

int64_t clock_now_ms(void);       /* wall clock */
int64_t clock_monotonic_ms(void); /* never jumps */
int64_t clock_monotonic_us(void);

/* A CLOCK_MONOTONIC deadline `ms` from now, for pthread_cond_timedwait on a condition of ours (cond_init). */
struct timespec clock_deadline(int64_t ms);

/* Makes a condition whose timed waits take such a deadline. */
void cond_init(pthread_cond_t *c);

/* Milliseconds since the epoch as ISO 8601 with milliseconds, in UTC. ret holds ISO_TIME_LEN. */
void clock_format_iso(int64_t ms, char *ret);

/* ISO 8601 (date, or date and time with optional fraction, and Z or an offset; no zone means UTC) to
 * milliseconds since the epoch: 0 or -EINVAL. Only instants that clock_format_iso can write: 1970 to 9999 in
 * UTC. */
int clock_parse_iso(const char *s, int64_t *ret_ms);

#endif
