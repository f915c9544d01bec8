/* SPDX-License-Identifier: MIT */
/* A migrated store with queues on it, whose handlers write down in a table `moves` what their jobs did. */
#ifndef TESTS_UNIT_QUEUE_JOBS_H
#define TESTS_UNIT_QUEUE_JOBS_H

#include "../db/store.h"

#include "queue/engine.h"
#include "queue/queue.h"
#include "queue/worker.h"

#include <errno.h>
#include <stdatomic.h>

#define PATIENCE_MS 60000

struct jobs {
    struct store *store;
    struct db *db;
    struct config cfg;
    struct queue *q;
};

static const char *const move_names[] = {
    [QUEUE_STARTED] = "started",     [QUEUE_RETRIED] = "retried", [QUEUE_RETURNED] = "returned",
    [QUEUE_COMPLETED] = "completed", [QUEUE_FAILED] = "failed",   [QUEUE_CANCELLED] = "cancelled",
};

/* The hook of all jobs here. An operation "refuse <move>" refuses that move. */
static inline int write_move(struct db_conn *c, void *ctx, const struct queue_job *job, enum queue_move move,
                             const json_t *result, const char *error, void *finish)
{
    (void)ctx, (void)result, (void)finish;
    const char *name = move_names[move];
    assert_non_null(job->data);
    int r = db_exec(c, "INSERT INTO moves (job, move, error) VALUES (?1, ?2, ?3)",
                    DB_ARGS(DB_TEXT(job->id), DB_TEXT(name), DB_TEXT(error)), NULL);
    if (r == 0 && strncmp(job->operation, "refuse ", 7) == 0 && strcmp(job->operation + 7, name) == 0)
        return -EPERM;
    return r;
}

static inline void set_up_jobs(struct jobs *k, const struct queue_handler *handlers)
{
    assert_int_equal(store_set_up_migrated((void **)&k->store), 0);
    log_configure(LOG_ERROR, true);
    k->db = k->store->db;
    assert_int_equal(
        store_exec(k->db, "CREATE TABLE moves (job TEXT NOT NULL, move TEXT NOT NULL, error TEXT)"), 0);
    assert_int_equal(queue_open(&k->cfg, k->db, &k->q), 0);
    queue_set_handlers(k->q, handlers);
}

static inline void tear_down_jobs(struct jobs *k)
{
    void *store = k->store;
    queue_close(k->q);
    assert_int_equal(store_tear_down(&store), 0);
}

/* ---- adding */

struct adding {
    struct queue *q;
    const struct queue_add *jobs;
    size_t n;
    int fail;
};

static inline int add_unit(struct db_conn *c, void *arg)
{
    struct adding *a = arg;
    int r = 0;
    for (size_t i = 0; i < a->n && r == 0; i++)
        r = queue_add_in(a->q, c, &a->jobs[i]);
    return r < 0 ? r : a->fail;
}

static inline int add_all(struct queue *q, struct db *db, const struct queue_add *jobs, size_t n)
{
    struct adding a = {.q = q, .jobs = jobs, .n = n};
    int r = db_write(db, add_unit, &a);
    return r < 0 ? r : queue_confirm(q, jobs[0].id);
}

static inline void add(struct jobs *k, const char *id, const char *operation, int priority)
{
    struct queue_add job = {.id = id, .queue = QUEUE_MEDIA, .operation = operation, .priority = priority};
    assert_int_equal(add_all(k->q, k->db, &job, 1), 0);
}

/* n jobs "<prefix>-<i>", in batches. */
static inline void add_many(struct jobs *k, const char *prefix, const char *operation, int n)
{
    char ids[100][32];
    struct queue_add jobs[100];
    for (int i = 0; i < n;) {
        size_t count = 0;
        for (; count < 100 && i < n; count++, i++) {
            (void)snprintf(ids[count], sizeof ids[count], "%s-%d", prefix, i);
            jobs[count] = (struct queue_add){.id = ids[count],
                                             .queue = QUEUE_MEDIA,
                                             .operation = operation,
                                             .priority = QUEUE_PRIORITY_DEFAULT};
        }
        assert_int_equal(add_all(k->q, k->db, jobs, count), 0);
    }
}

/* ---- looking */

static inline void run_sql(struct db *db, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline void run_sql(struct db *db, const char *fmt, ...)
{
    char sql[1024];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(sql, sizeof sql, fmt, ap);
    va_end(ap);
    assert_int_equal(store_exec(db, sql), 0);
}

static inline int64_t count_sql(struct db *db, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline int64_t count_sql(struct db *db, const char *fmt, ...)
{
    char sql[1024];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(sql, sizeof sql, fmt, ap);
    va_end(ap);
    return store_int(db, sql);
}

/* How often the job made the move; NULL = any job. */
static inline int64_t moves(struct jobs *k, const char *job, const char *move)
{
    if (!job)
        return count_sql(k->db, "SELECT count(*) FROM moves WHERE move = '%s'", move);
    return count_sql(k->db, "SELECT count(*) FROM moves WHERE job = '%s' AND move = '%s'", job, move);
}

static inline struct queue_info look(struct jobs *k, const char *id, struct arena *a)
{
    struct queue_info info = {0};
    assert_int_equal(queue_look(k->q, id, a, &info), 0);
    return info;
}

static inline enum job_state state_of(struct jobs *k, const char *id)
{
    struct arena a;
    arena_init(&a, 1 << 20);
    enum job_state state = look(k, id, &a).state;
    arena_free(&a);
    return state;
}

/* Waits until the job is in that state. */
static inline void await_state(struct jobs *k, const char *id, enum job_state state)
{
    int64_t until = clock_monotonic_ms() + PATIENCE_MS;
    while (state_of(k, id) != state) {
        if (clock_monotonic_ms() > until)
            fail_msg("%s is %s, not %s", id, job_state_text(state_of(k, id)), job_state_text(state));
        usleep(5000);
    }
}

static inline void await_flag(atomic_int *flag, int at_least)
{
    int64_t until = clock_monotonic_ms() + PATIENCE_MS;
    while (atomic_load(flag) < at_least) {
        if (clock_monotonic_ms() > until)
            fail_msg("waited in vain for %d, got %d", at_least, atomic_load(flag));
        usleep(2000);
    }
}

#endif
