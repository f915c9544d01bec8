/* SPDX-License-Identifier: MIT */
/* Counting requests: a window begins with the first request of a client and counts until it ends. One
 * statement looks and counts, so of any number at once, on any number of servers, exactly `limit` pass.
 * Whoever was refused is remembered here until the window ends: a flood costs the store nothing. */
#include "limits/internal.h"

#include "base/address.h"
#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define BUCKET_SIZE 128
#define MEMORY_SLOTS 1024

/* One slot a hash; who comes later takes it. */
struct rate_memory {
    pthread_mutex_t lock;
    struct {
        char bucket[BUCKET_SIZE];
        int64_t until_ms; /* monotonic */
    } slots[MEMORY_SLOTS];
};

struct rate_memory *rate_memory_new(void)
{
    struct rate_memory *m = calloc(1, sizeof *m);
    if (m)
        pthread_mutex_init(&m->lock, NULL);
    return m;
}

void rate_memory_free(struct rate_memory *memory)
{
    pthread_mutex_destroy(&memory->lock);
    free(memory);
}

static size_t slot_of(const char *bucket)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (const char *s = bucket; *s; s++)
        hash = (hash ^ (unsigned char)*s) * 16777619u;
    return hash % MEMORY_SLOTS;
}

/* Milliseconds for which a client is known to be refused; 0: it isn't known. */
static int64_t recall(struct rate_memory *m, const char *bucket)
{
    size_t i = slot_of(bucket);
    pthread_mutex_lock(&m->lock);
    int64_t left = strcmp(m->slots[i].bucket, bucket) == 0 ? m->slots[i].until_ms - clock_monotonic_ms() : 0;
    pthread_mutex_unlock(&m->lock);
    return left > 0 ? left : 0;
}

static void remember(struct rate_memory *m, const char *bucket, int64_t for_ms)
{
    size_t i = slot_of(bucket);
    pthread_mutex_lock(&m->lock);
    (void)snprintf(m->slots[i].bucket, BUCKET_SIZE, "%s", bucket);
    m->slots[i].until_ms = clock_monotonic_ms() + for_ms;
    pthread_mutex_unlock(&m->lock);
}

struct counting {
    const char *bucket;
    int64_t window_ms, now_ms;
    int64_t ret_count, ret_start_ms;
};

/* A window that begins later than now plus a window was written by a clock that was wrong. */
static int count_unit(struct db_conn *c, void *arg)
{
    struct counting *k = arg;
    k->now_ms = clock_now_ms(); /* not that of the caller, who has waited since */
    char now[ISO_TIME_LEN], ended[ISO_TIME_LEN], absurd[ISO_TIME_LEN];
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    clock_format_iso(k->now_ms, now);
    clock_format_iso(k->now_ms - k->window_ms, ended);
    clock_format_iso(k->now_ms + k->window_ms, absurd);
    int r =
        db_query(c,
                 "INSERT INTO rate_limits (bucket, window_start, count) VALUES (?1, ?2, 1) "
                 "ON CONFLICT (bucket) DO UPDATE SET "
                 "count = CASE WHEN rate_limits.window_start <= ?3 OR rate_limits.window_start > ?4 THEN 1 "
                 "ELSE rate_limits.count + 1 END, "
                 "window_start = CASE WHEN rate_limits.window_start <= ?3 OR rate_limits.window_start > ?4 "
                 "THEN excluded.window_start ELSE rate_limits.window_start END "
                 "RETURNING count, window_start",
                 DB_ARGS(DB_TEXT(k->bucket), DB_TEXT(now), DB_TEXT(ended), DB_TEXT(absurd)), &rows);
    if (r < 0)
        return r;
    while ((r = db_next(rows)) > 0) {
        k->ret_count = db_int(rows, 0);
        if (clock_parse_iso(db_text(rows, 1), &k->ret_start_ms) < 0)
            return -EIO;
    }
    return r;
}

static int64_t seconds_up(int64_t ms)
{
    return ms <= 1000 ? 1 : (ms + 999) / 1000;
}

int rate_count_in_store(void *ctx, const struct rate_limit *limit, const char *client_ip,
                        struct rate_outcome *ret)
{
    struct limits *limits = ctx;
    char network[ADDRESS_NETWORK_SIZE], bucket[BUCKET_SIZE];
    address_network(client_ip, network);
    (void)snprintf(bucket, sizeof bucket, "%.64s %s", limit->name, network);
    int64_t refused_ms = recall(limits->refused, bucket);
    if (refused_ms > 0) {
        *ret = (struct rate_outcome){.reset_s = seconds_up(refused_ms)};
        return 0;
    }
    struct counting k = {.bucket = bucket, .window_ms = limit->window_s * 1000};
    int r = db_write(limits->db, count_unit, &k);
    if (r < 0)
        return r;
    int64_t left_ms = k.ret_start_ms + k.window_ms - k.now_ms;
    if (left_ms > k.window_ms) /* begun by a server whose clock is ahead */
        left_ms = k.window_ms;
    bool allowed = k.ret_count <= limit->limit;
    *ret = (struct rate_outcome){allowed, allowed ? limit->limit - k.ret_count : 0, seconds_up(left_ms)};
    if (!allowed)
        remember(limits->refused, bucket, left_ms);
    limits_sweep(limits);
    return 0;
}
