/* SPDX-License-Identifier: MIT */
/* How fast the embedded queue does jobs that do nothing: queue_bench DIRECTORY JOBS CONCURRENCY. The store is
 * made in the (empty) directory. Each job's end is written by its hook, in the unit that ends it, and at the
 * end there must be one for each job. One line of JSON is the result. */
#include "base/clock.h"
#include "base/log.h"
#include "queue/handler.h"
#include "queue/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define JOBS_MOST 1000000
#define BATCH 1000
#define PATIENCE_S 120

static void die(const char *what)
{
    fprintf(stderr, "queue_bench: %s\n", what);
    exit(1);
}

static void do_nothing(void *ctx, struct queue_work *work)
{
    (void)ctx;
    work->verdict = WORK_DONE;
}

static int note_end(struct db_conn *c, void *ctx, const struct queue_job *job, enum queue_move move,
                    const json_t *result, const char *error, void *finish)
{
    (void)ctx, (void)result, (void)error, (void)finish;
    if (move != QUEUE_COMPLETED)
        return 0;
    return db_exec(c, "INSERT INTO ledger (job) VALUES (?1)", DB_ARGS(DB_TEXT(job->id)), NULL);
}

static const struct queue_handler handlers[] = {
    {.queue = QUEUE_SCRAPE, .run = do_nothing, .moved = note_end},
    {.queue = QUEUES},
};

struct adding {
    struct queue *q;
    int from, to;
};

static int add_unit(struct db_conn *c, void *arg)
{
    const struct adding *a = arg;
    char id[32];
    int r =
        a->from > 0 ? 0 : db_exec(c, "CREATE TABLE ledger (job TEXT NOT NULL PRIMARY KEY)", DB_NO_ARGS, NULL);
    for (int i = a->from; i < a->to && r == 0; i++) {
        (void)snprintf(id, sizeof id, "job-%d", i);
        r = queue_add_in(
            a->q, c,
            &(struct queue_add){.id = id, .queue = QUEUE_SCRAPE, .operation = "nothing", .priority = 10});
    }
    return r;
}

static int count_unit(struct db_conn *c, void *arg)
{
    return db_query_int(c, "SELECT count(*) FROM ledger", DB_NO_ARGS, arg);
}

static int64_t ended(struct db *db)
{
    int64_t n = 0;
    if (db_read(db, count_unit, &n) < 0)
        die("the store can't be read");
    return n;
}

int main(int argc, char **argv)
{
    char path[4096];
    struct config cfg = {0};
    struct db *db;
    struct queue *q;
    struct queue_worker *worker;
    int jobs = argc == 4 ? atoi(argv[2]) : 0, concurrency = argc == 4 ? atoi(argv[3]) : 0;
    if (jobs < 1 || jobs > JOBS_MOST || concurrency < 1 || concurrency > QUEUE_CONCURRENCY_MAX)
        die("usage: queue_bench DIRECTORY JOBS CONCURRENCY");
    log_configure(LOG_WARN, false);
    (void)snprintf(path, sizeof path, "%s/genie.db", argv[1]);
    if (db_open(&(struct db_options){.path = path, .readers = 2}, &db) < 0 || db_migrate(db, NULL) < 0 ||
        queue_open(&cfg, db, &q) < 0)
        die("the store can't be opened");
    queue_set_handlers(q, handlers);
    for (int i = 0; i < jobs; i += BATCH)
        if (db_write(db, add_unit, &(struct adding){q, i, i + BATCH < jobs ? i + BATCH : jobs}) < 0)
            die("jobs can't be added");
    int64_t begun_us = clock_monotonic_us();
    struct queue_worker_options options = {.queue = q, .concurrency = {[QUEUE_SCRAPE] = concurrency}};
    if (queue_worker_start(&options, &worker) < 0)
        die("the worker can't be started");
    for (int i = 0; i < PATIENCE_S * 200 && ended(db) < jobs; i++)
        usleep(5000);
    int64_t us = clock_monotonic_us() - begun_us, n = ended(db);
    if (queue_worker_stop(worker, 5000, 10000) < 0 || n != jobs)
        die("not each job has ended once");
    printf("{\"jobs\":%d,\"per_second\":%.1f}\n", jobs, (double)jobs * 1e6 / (double)us);
    queue_close(q);
    db_close(db);
    return 0;
}
