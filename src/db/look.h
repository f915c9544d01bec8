/* SPDX-License-Identifier: MIT */
/* Looks at a store from outside, for `genie doctor`: changes nothing, logs nothing, and ends by its time
 * limit. */
#ifndef DB_LOOK_H
#define DB_LOOK_H

#include "db/snapshot.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Of all queues; paused: how many of them stand still. waiting: -1 where there was no time to count. */
struct look_queues {
    long long waiting, active, failed, paused;
};

struct look_sqlite {
    int64_t schema;    /* 0: nothing in it yet */
    int64_t log_bytes; /* of the write-ahead log */
    bool finished;     /* the check came to its end in time */
    char damage[200];  /* what it found; "" for nothing */
    struct look_queues queues;
};

/* 0, -ENOENT there is no file, or negative errno with *ret_why. */
int db_look_sqlite(const char *path, int limit_ms, struct look_sqlite *ret, struct db_why *ret_why);

struct look_postgres {
    int version; /* 150004 */
    char encoding[32], synchronous_commit[32];
    int64_t schema;          /* 0: nothing in it yet */
    int64_t clock_ms;        /* its clock, minus ours */
    int64_t most, used;      /* connections, of all programs; `most` without those kept for administrators */
    bool listens;            /* a notification went from one connection to another */
    bool directus;           /* Directus manages it */
    int64_t not_collections; /* tables of ours that Directus doesn't know */
    struct look_queues queues;
};

/* tables: names ended by NULL. 0, or negative errno with *ret_why: no secrets, though the URL may hold one.
 */
int db_look_postgres(const char *url, const char *const *tables, int limit_ms, struct look_postgres *ret,
                     struct db_why *ret_why);

/* For both: the schema that first has it, a query for one text, and what that says. Private to src/db. */
#define LOOK_QUEUES_SINCE 25
#define LOOK_QUEUES_SQL \
    "SELECT (SELECT count(*) FROM queue_jobs WHERE state = 'waiting') || ' ' ||" \
    " (SELECT count(*) FROM queue_jobs WHERE state = 'active') || ' ' ||" \
    " (SELECT count(*) FROM queue_jobs WHERE state = 'failed') || ' ' ||" \
    " (SELECT count(*) FROM queue_pauses)"
static inline void look_queues_read(const char *text, struct look_queues *ret)
{
    if (sscanf(text, "%lld %lld %lld %lld", &ret->waiting, &ret->active, &ret->failed, &ret->paused) != 4)
        *ret = (struct look_queues){.waiting = -1};
}

#endif
