/* SPDX-License-Identifier: MIT */
/* What the options and data of a job in Redis say; they are whoever's that may write there, so they are
 * parsed with limits, and what makes no sense counts as not given. Pure; private to src/queue. */
#ifndef QUEUE_BULLMQ_JOB_H
#define QUEUE_BULLMQ_JOB_H

#include "base/json.h"

#define BULL_ATTEMPTS_MOST 1000
#define BULL_DELAY_MOST_MS (INT64_C(365) * 24 * 3600 * 1000)

/* How many finished jobs are kept (-1: all, 0: not even this one), and for how many seconds (-1: for ever).
 */
struct bull_keep {
    int64_t count, age_s;
};

struct bull_opts {
    int attempts; /* at least 1 */
    bool exponential;
    int64_t backoff_ms; /* 0: at once */
    double jitter;      /* 0 to 1: how much of the delay is chance */
    struct bull_keep completed, failed;
    int64_t keep_logs;
    int64_t traces; /* most that are kept; -1: all there is room for */
};

#define BULL_LOGS_MOST 1000
#define BULL_TRACES_MOST 50

/* Reads the JSON of `opts`. Always fills *ret. */
void bull_opts_parse(const char *text, size_t len, struct bull_opts *ret);

/* The delay before the attempt after `made` (from 1) failed ones; chance: 0 to 1. */
int64_t bull_backoff_ms(const struct bull_opts *opts, int made, double chance);

/* Reads the JSON of `data`: an object the caller owns, or NULL. */
json_t *bull_data_parse(const char *text, size_t len);

/* Whether an id is of the form that only jobs of ours have (queue.h); else it was made elsewhere. */
bool bull_id_is_ours(const char *id, size_t len);

#endif
