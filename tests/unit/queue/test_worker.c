/* SPDX-License-Identifier: MIT */
/* Workers and their threads: what runs, how often, and what becomes of it. */
#include "jobs.h"

#include "queue/work.h"

#include <limits.h>
#include <pthread.h>

/* What the handlers here share with the test. */
static struct {
    atomic_int runs, done, waiting, cancelled, let_go;
    atomic_int running, most;
} now;

static void note_most(int running)
{
    int most = atomic_load(&now.most);
    while (running > most && !atomic_compare_exchange_weak(&now.most, &most, running))
        ;
}

/* Stands until it is cancelled, or the test lets go. */
static void stand(struct queue_work *work)
{
    (void)atomic_fetch_add(&now.waiting, 1);
    while (!cancel_raised(work->cancel) && !atomic_load(&now.let_go))
        usleep(2000);
    if (cancel_raised(work->cancel))
        (void)atomic_fetch_add(&now.cancelled, 1);
    work->verdict = cancel_raised(work->cancel) ? WORK_FAILED : WORK_DONE;
    (void)snprintf(work->error, sizeof work->error, "stood in vain");
}

static void tell(struct queue_work *work)
{
    queue_progress(work, 42);
    queue_log(work, "the first\nline %d", 1);
    queue_log(work, "the second");
    stand(work);
    queue_log(work, "the last");
    work->result = json_pack("{s:s}", "said", "all");
}

static void run(void *ctx, struct queue_work *work)
{
    (void)ctx;
    const char *operation = work->job.operation;
    note_most(atomic_fetch_add(&now.running, 1) + 1);
    (void)atomic_fetch_add(&now.runs, 1);
    work->verdict = WORK_DONE;
    if (strcmp(operation, "retry") == 0)
        work->verdict = WORK_RETRY;
    else if (strcmp(operation, "fail") == 0)
        work->verdict = WORK_FAILED;
    else if (strcmp(operation, "later") == 0)
        work->verdict = WORK_LATER, work->delay_ms = 3600000;
    else if (strcmp(operation, "full") == 0)
        (void)snprintf(work->error, sizeof work->error, "no room");
    else if (strcmp(operation, "stand") == 0)
        stand(work);
    else if (strcmp(operation, "tell") == 0)
        tell(work);
    else if (strcmp(operation, "badly") == 0)
        work->result = json_stringn_nocheck("a\0b", 3);
    else if (strcmp(operation, "oddly") == 0)
        work->result = json_pack("[s, s]", "\\u0000", "x\\\\u0000");
    if (work->verdict == WORK_RETRY)
        (void)snprintf(work->error, sizeof work->error, "broken \xff text");
    (void)atomic_fetch_sub(&now.running, 1);
}

static void done(void *ctx, struct queue_work *work)
{
    (void)ctx, (void)work;
    (void)atomic_fetch_add(&now.done, 1);
}

/* Has no room for what it yields. */
static int full(struct db_conn *c, void *ctx, const struct queue_job *job, enum queue_move move,
                const json_t *result, const char *error, void *finish)
{
    return move == QUEUE_COMPLETED ? -EDQUOT : write_move(c, ctx, job, move, result, error, finish);
}

/* Refuses its end twice. */
static atomic_int refusals;

static int reluctant(struct db_conn *c, void *ctx, const struct queue_job *job, enum queue_move move,
                     const json_t *result, const char *error, void *finish)
{
    if (move == QUEUE_COMPLETED && atomic_fetch_sub(&refusals, 1) > 0)
        return -EPERM;
    return write_move(c, ctx, job, move, result, error, finish);
}

/* Its end takes as long as the test wants. */
static atomic_int hold, holding;

static int held(struct db_conn *c, void *ctx, const struct queue_job *job, enum queue_move move,
                const json_t *result, const char *error, void *finish)
{
    if (move == QUEUE_COMPLETED)
        atomic_store(&holding, 1);
    while (move == QUEUE_COMPLETED && atomic_load(&hold))
        usleep(2000);
    return write_move(c, ctx, job, move, result, error, finish);
}

/* Stands, and says as which of the unit's it ended. */
static int counted(struct db_conn *c, void *ctx, const struct queue_job *job, enum queue_move move,
                   const json_t *result, const char *error, void *finish)
{
    int r = write_move(c, ctx, job, move, result, error, finish);
    if (r < 0 || move != QUEUE_COMPLETED)
        return r;
    return db_exec(c,
                   "INSERT INTO moves (job, move, error) VALUES (?1, 'place', (SELECT CAST(count(*) AS TEXT)"
                   " FROM moves WHERE move = 'place'))",
                   DB_ARGS(DB_TEXT(job->id)), NULL);
}

static const struct queue_handler handlers[] = {
    {.queue = QUEUE_MEDIA, .operation = "stand", .run = run, .moved = counted, .done = done},
    {.queue = QUEUE_MEDIA, .operation = "held", .run = run, .moved = held, .done = done},
    {.queue = QUEUE_MEDIA, .operation = "reluctant", .run = run, .moved = reluctant, .done = done},
    {.queue = QUEUE_MEDIA, .run = run, .moved = write_move, .done = done},
    {.queue = QUEUE_SCRAPE, .operation = "known", .run = run, .moved = write_move, .done = done},
    {.queue = QUEUE_SCRAPE, .operation = "full", .run = run, .moved = full, .done = done},
    QUEUE_HANDLERS_END,
};

static int set_up(void **state)
{
    struct jobs *k = calloc(1, sizeof *k);
    assert_non_null(k);
    memset(&now, 0, sizeof now);
    atomic_store(&hold, 1);
    atomic_store(&holding, 0);
    set_up_jobs(k, handlers);
    *state = k;
    return 0;
}

static int tear_down(void **state)
{
    struct jobs *k = *state;
    tear_down_jobs(k);
    free(k);
    return 0;
}

static struct queue_worker *start(struct queue *q, int media, int scrape)
{
    struct queue_worker_options options = {.queue = q, .concurrency = {media, scrape, 0}};
    struct queue_worker *worker = NULL;
    assert_int_equal(queue_worker_start(&options, &worker), 0);
    return worker;
}

static void stop(struct queue_worker *worker)
{
    assert_int_equal(queue_worker_stop(worker, PATIENCE_MS, PATIENCE_MS), 0);
}

/* Waits until the query yields that many. */
static void await_count(struct jobs *k, const char *sql, int64_t n)
{
    int64_t until = clock_monotonic_ms() + PATIENCE_MS;
    while (store_int(k->db, sql) < n) {
        if (clock_monotonic_ms() > until)
            fail_msg("%s: %lld, not %lld", sql, (long long)store_int(k->db, sql), (long long)n);
        usleep(5000);
    }
}

static void await_moves(struct jobs *k, const char *move, int64_t n)
{
    char sql[128];
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM moves WHERE move = '%s'", move);
    await_count(k, sql, n);
}

static char *error_of(struct jobs *k, const char *id, struct arena *a)
{
    return arena_strdup(a, look(k, id, a).error);
}

/* ---- */

static void what_is_there_and_what_comes_is_done(void **state)
{
    struct jobs *k = *state;
    add(k, "a-1", "x", 10);
    struct queue_worker *worker = start(k->q, 2, 0);
    await_state(k, "a-1", JOB_COMPLETED);
    add(k, "b-1", "x", 10);
    await_state(k, "b-1", JOB_COMPLETED);
    run_sql(k->db, "INSERT INTO queue_jobs (id, queue, operation) VALUES ('c-1', 'media-jobs', 'x')");
    await_state(k, "c-1", JOB_COMPLETED); /* nobody said that it was there */
    stop(worker);
    assert_int_equal(atomic_load(&now.runs), 3);
    assert_int_equal(atomic_load(&now.done), 3);
    assert_int_equal(moves(k, NULL, "started"), 3);
    assert_int_equal(moves(k, NULL, "completed"), 3);
}

static void jobs_of_another_process_are_seen(void **state)
{
    struct jobs *k = *state;
    struct queue_worker *worker = start(k->q, 1, 0);
    store_await_listening(k->db);
    store_exec_elsewhere(k->store,
                         "INSERT INTO queue_jobs (id, queue, operation) VALUES ('a-1', 'media-jobs', 'x')");
    await_state(k, "a-1", JOB_COMPLETED);
    stop(worker);
}

static void what_nobody_knows_fails_for_good(void **state)
{
    struct jobs *k = *state;
    struct arena a;
    arena_init(&a, 1 << 20);
    struct queue_add jobs[] = {{.id = "a-1", .queue = QUEUE_SCRAPE, .operation = "unknown"},
                               {.id = "b-1", .queue = QUEUE_SCRAPE, .operation = "known"},
                               {.id = "c-1", .queue = QUEUE_ONBOARDING, .operation = "x"}};
    assert_int_equal(add_all(k->q, k->db, jobs, 3), 0);
    struct queue_worker *worker = start(k->q, 1, 1);
    await_state(k, "a-1", JOB_FAILED);
    await_state(k, "b-1", JOB_COMPLETED);
    assert_string_equal(error_of(k, "a-1", &a), "No worker knows this operation");
    stop(worker);
    assert_int_equal(state_of(k, "c-1"), JOB_WAITING); /* its queue has no runner here */
    assert_int_equal(atomic_load(&now.runs), 1);
    arena_free(&a);
}

static void a_failure_that_may_pass_is_tried_three_times(void **state)
{
    struct jobs *k = *state;
    struct arena a;
    arena_init(&a, 1 << 20);
    add(k, "a-1", "retry", 10);
    struct queue_worker *worker = start(k->q, 1, 0);
    for (int i = 1; i < QUEUE_ATTEMPTS_DEFAULT; i++) {
        await_moves(k, "retried", i); /* then its time comes sooner */
        run_sql(k->db, "UPDATE queue_jobs SET run_at = '2020-01-01T00:00:00.000Z' WHERE state = 'delayed'");
    }
    await_state(k, "a-1", JOB_FAILED);
    stop(worker);
    assert_int_equal(atomic_load(&now.runs), QUEUE_ATTEMPTS_DEFAULT);
    assert_int_equal(moves(k, "a-1", "failed"), 1);
    assert_string_equal(error_of(k, "a-1", &a), "broken ? text");
    assert_int_equal(look(k, "a-1", &a).attempts, QUEUE_ATTEMPTS_DEFAULT);
    arena_free(&a);
}

static void other_failures_are_for_good_and_later_is_no_failure(void **state)
{
    struct jobs *k = *state;
    struct arena a;
    arena_init(&a, 1 << 20);
    add(k, "a-1", "fail", 10);
    add(k, "b-1", "later", 10);
    add(k, "c-1", "badly", 10);
    add(k, "d-1", "oddly", 10);
    struct queue_worker *worker = start(k->q, 1, 0);
    await_state(k, "a-1", JOB_FAILED);
    await_state(k, "b-1", JOB_DELAYED);
    await_state(k, "c-1", JOB_FAILED);
    await_state(k, "d-1", JOB_COMPLETED);
    stop(worker);
    assert_string_equal(error_of(k, "a-1", &a), "The job failed without a reason");
    assert_string_equal(error_of(k, "c-1", &a), "The result holds a NUL character");
    assert_int_equal(look(k, "b-1", &a).attempts, 0);
    assert_non_null(strstr(look(k, "d-1", &a).result, "\"x\\\\\\\\u0000\""));
    assert_int_equal(atomic_load(&now.runs), 4);
    arena_free(&a);
}

static void as_many_run_as_may(void **state)
{
    struct jobs *k = *state;
    add_many(k, "job", "stand", 5);
    struct queue_worker *worker = start(k->q, 3, 0);
    await_flag(&now.waiting, 3);
    assert_int_equal(queue_worker_running(worker), 3);
    assert_int_equal(count_sql(k->db, "SELECT count(*) FROM queue_jobs WHERE state = 'active'"), 3);
    atomic_store(&now.let_go, 1);
    await_moves(k, "completed", 5);
    stop(worker);
    assert_int_equal(atomic_load(&now.most), 3);
}

static void progress_and_log_are_seen_while_it_runs(void **state)
{
    struct jobs *k = *state;
    struct arena a;
    struct queue_line *lines;
    size_t n = 0;
    arena_init(&a, 1 << 20);
    add(k, "a-1", "tell", 10);
    struct queue_worker *worker = start(k->q, 1, 0);
    await_flag(&now.waiting, 1);
    await_count(k, "SELECT count(*) FROM queue_job_logs", 2);
    assert_int_equal(queue_log_lines(k->q, "a-1", &a, 10, &lines, &n), 0);
    assert_int_equal(n, 2);
    assert_string_equal(lines[0].text, "the first line 1");
    assert_int_equal(look(k, "a-1", &a).progress, 42);
    atomic_store(&now.let_go, 1);
    await_state(k, "a-1", JOB_COMPLETED);
    assert_int_equal(queue_log_lines(k->q, "a-1", &a, 10, &lines, &n), 0);
    assert_int_equal(n, 3);
    assert_string_equal(lines[2].text, "the last");
    stop(worker);
    arena_free(&a);
}

/* ---- watching */

static void count_call(void *ctx)
{
    (void)atomic_fetch_add((atomic_int *)ctx, 1);
}

static void who_watches_is_woken(void **state)
{
    struct jobs *k = *state;
    struct queue_watch *mine, *others;
    atomic_int calls = 0, other_calls = 0;
    store_await_listening(k->db);
    add(k, "a-1", "x", 10);
    add(k, "b-1", "x", 10);
    assert_int_equal(queue_watch(k->q, "a-1", count_call, &calls, &mine), 0);
    assert_int_equal(queue_watch(k->q, "c-1", count_call, &other_calls, &others), 0);
    enum queue_cancelled how;
    assert_int_equal(queue_cancel(k->q, "a-1", &how), 0);
    assert_true(atomic_load(&calls) >= 1); /* here: at once */
    int before = atomic_load(&other_calls);
    store_exec_elsewhere(k->store, "UPDATE queue_jobs SET progress = 7 WHERE id = 'b-1'");
    await_flag(&other_calls, before + 1); /* elsewhere: any change may be theirs */
    queue_unwatch(k->q, mine);
    queue_unwatch(k->q, others);
    before = atomic_load(&calls);
    assert_int_equal(queue_cancel(k->q, "b-1", &how), 0);
    assert_int_equal(atomic_load(&calls), before);
}

/* ---- cancels, lost leases */

static void what_runs_here_hears_of_its_cancel(void **state)
{
    struct jobs *k = *state;
    enum queue_cancelled how;
    struct arena a;
    arena_init(&a, 1 << 20);
    add(k, "a-1", "stand", 10);
    struct queue_worker *worker = start(k->q, 1, 0);
    await_flag(&now.waiting, 1);
    assert_int_equal(queue_cancel(k->q, "a-1", &how), 0);
    assert_int_equal(how, QUEUE_CANCEL_ASKED);
    await_state(k, "a-1", JOB_FAILED);
    assert_string_equal(error_of(k, "a-1", &a), QUEUE_ERROR_CANCELLED);
    assert_int_equal(moves(k, "a-1", "cancelled"), 1);
    stop(worker);
    arena_free(&a);
}

static void what_runs_elsewhere_hears_of_its_cancel(void **state)
{
    struct jobs *k = *state;
    struct db_options options = store_options(k->store);
    struct db *other = NULL;
    struct queue *q = NULL;
    enum queue_cancelled how;
    add(k, "a-1", "stand", 10);
    struct queue_worker *worker = start(k->q, 1, 0);
    await_flag(&now.waiting, 1);
    assert_int_equal(db_open(&options, &other), 0);
    assert_int_equal(queue_open(&k->cfg, other, &q), 0);
    queue_set_handlers(q, handlers);
    assert_int_equal(queue_cancel(q, "a-1", &how), 0);
    assert_int_equal(how, QUEUE_CANCEL_ASKED);
    await_state(k, "a-1", JOB_FAILED);
    assert_int_equal(moves(k, "a-1", "cancelled"), 1);
    stop(worker);
    queue_close(q);
    db_close(other);
}

static void who_lost_the_lease_is_told_and_counts_for_nothing(void **state)
{
    struct jobs *k = *state;
    add(k, "a-1", "stand", 10);
    struct queue_worker *worker = start(k->q, 1, 0);
    await_flag(&now.waiting, 1);
    store_exec_elsewhere(k->store, "UPDATE queue_jobs SET lease_owner = 'somebody else'");
    await_flag(&now.cancelled, 1);
    await_flag(&now.done, 1);
    stop(worker);
    assert_int_equal(state_of(k, "a-1"), JOB_ACTIVE);
    assert_int_equal(count_sql(k->db, "SELECT count(*) FROM moves WHERE move <> 'started'"), 0);
}

static void an_end_without_room_is_a_failure(void **state)
{
    struct jobs *k = *state;
    struct arena a;
    arena_init(&a, 1 << 20);
    const struct queue_add jobs[] = {{.id = "a-1", .queue = QUEUE_SCRAPE, .operation = "full"},
                                     {.id = "b-1", .queue = QUEUE_SCRAPE, .operation = "known"}};
    assert_int_equal(add_all(k->q, k->db, jobs, 2), 0);
    struct queue_worker *worker = start(k->q, 0, 2);
    await_state(k, "b-1", JOB_COMPLETED);
    await_state(k, "a-1", JOB_FAILED);
    stop(worker);
    assert_string_equal(error_of(k, "a-1", &a), "no room");
    assert_int_equal(atomic_load(&now.runs), 2);
    assert_int_equal(atomic_load(&now.done), 2);
    assert_int_equal(moves(k, "a-1", "failed"), 1);
    arena_free(&a);
}

static void an_end_that_is_refused_is_tried_again(void **state)
{
    struct jobs *k = *state;
    atomic_store(&refusals, 2);
    add(k, "a-1", "reluctant", 10);
    add(k, "b-1", "x", 10);
    struct queue_worker *worker = start(k->q, 2, 0);
    await_state(k, "b-1", JOB_COMPLETED);
    await_state(k, "a-1", JOB_COMPLETED);
    stop(worker);
    assert_int_equal(atomic_load(&now.runs), 2);
    assert_int_equal(moves(k, "a-1", "completed"), 1);
}

static void an_end_that_is_always_refused_holds_up_nobody(void **state)
{
    struct jobs *k = *state;
    atomic_store(&refusals, INT_MAX);
    add(k, "a-1", "reluctant", 5);
    struct queue_worker *worker = start(k->q, 1, 0);
    await_flag(&now.runs, 1);
    add_many(k, "b", "x", 3);
    await_moves(k, "completed", 3);
    assert_int_equal(state_of(k, "a-1"), JOB_ACTIVE);
    atomic_store(&refusals, 0);
    stop(worker);
    assert_int_equal(state_of(k, "a-1"), JOB_COMPLETED);
}

static void an_end_that_is_refused_too_long_is_left_to_its_lease(void **state)
{
    struct jobs *k = *state;
    atomic_store(&refusals, INT_MAX);
    struct queue_worker *worker = start(k->q, 1, 0);
    pthread_mutex_lock(&worker->lock);
    worker->unsettled_ms = 0;
    pthread_mutex_unlock(&worker->lock);
    add(k, "a-1", "reluctant", 10);
    await_flag(&now.done, 1);
    atomic_store(&refusals, 0);
    assert_int_equal(state_of(k, "a-1"), JOB_ACTIVE);
    run_sql(k->db, "UPDATE queue_jobs SET lease_until = '2020-01-01T00:00:00.000Z'");
    await_state(k, "a-1", JOB_COMPLETED); /* by another run */
    stop(worker);
    assert_int_equal(moves(k, "a-1", "returned"), 1);
    assert_int_equal(atomic_load(&now.runs), 2);
}

/* ---- the end */

static void a_worker_that_stops_hands_back(void **state)
{
    struct jobs *k = *state;
    struct arena a;
    arena_init(&a, 1 << 20);
    add_many(k, "job", "stand", 3);
    struct queue_worker *worker = start(k->q, 2, 0);
    await_flag(&now.waiting, 2);
    assert_int_equal(queue_worker_stop(worker, 50, PATIENCE_MS), 0);
    assert_int_equal(atomic_load(&now.cancelled), 2);
    assert_int_equal(atomic_load(&now.done), 2);
    assert_int_equal(count_sql(k->db, "SELECT count(*) FROM queue_jobs WHERE state = 'waiting'"), 3);
    assert_int_equal(look(k, "job-0", &a).attempts, 0);
    assert_int_equal(moves(k, "job-0", "returned"), 1);
    atomic_store(&now.let_go, 1);
    worker = start(k->q, 2, 0);
    await_moves(k, "completed", 3);
    stop(worker);
    arena_free(&a);
}

static void a_worker_that_stops_lets_what_runs_end(void **state)
{
    struct jobs *k = *state;
    add(k, "a-1", "stand", 10);
    struct queue_worker *worker = start(k->q, 1, 0);
    await_flag(&now.waiting, 1);
    queue_worker_quiesce(worker);
    add(k, "b-1", "x", 10);
    atomic_store(&now.let_go, 1);
    stop(worker);
    assert_int_equal(state_of(k, "a-1"), JOB_COMPLETED);
    assert_int_equal(state_of(k, "b-1"), JOB_PRIORITIZED); /* nothing new was begun */
}

static bool is_fresh(struct queue_worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    bool fresh = worker->lanes[QUEUE_MEDIA].fresh;
    pthread_mutex_unlock(&worker->lock);
    return fresh;
}

/* Media jobs seem to be short, so the next claim is for many; the one before is over. */
static void seem_short(struct jobs *k, struct queue_worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    worker->lanes[QUEUE_MEDIA].average_us = 1;
    pthread_mutex_unlock(&worker->lock);
    queue_wake(k->q, 1U << QUEUE_MEDIA);
    int64_t until = clock_monotonic_ms() + PATIENCE_MS;
    while (is_fresh(worker) && clock_monotonic_ms() < until)
        usleep(2000);
}

/* The move thread is held in the end of one job while another that runs ends, with more behind it. */
static void what_was_claimed_is_not_begun_by_a_worker_that_stops(void **state)
{
    struct jobs *k = *state;
    assert_int_equal(queue_pause(k->q, QUEUE_MEDIA), 0);
    add(k, "a-1", "held", 1);
    add(k, "b-1", "stand", 2);
    add_many(k, "c", "x", 3);
    struct queue_worker *worker = start(k->q, 1, 0);
    seem_short(k, worker);
    assert_int_equal(queue_resume(k->q, QUEUE_MEDIA), 0);
    await_flag(&holding, 1);
    await_flag(&now.waiting, 1);
    queue_worker_quiesce(worker);
    atomic_store(&now.let_go, 1);
    while (queue_worker_running(worker) > 0)
        usleep(2000);
    atomic_store(&hold, 0);
    stop(worker);
    assert_int_equal(atomic_load(&now.runs), 2);
    assert_int_equal(moves(k, NULL, "completed"), 2);
    assert_int_equal(moves(k, NULL, "returned"), 3);
}

/* Eight of two users stand, and end in any order while the move thread is held. */
static void ends_are_settled_in_one_order_whoever_settles(void **state)
{
    static const char *const users[] = {"0a000000-0000-4000-8000-000000000000",
                                        "0b000000-0000-4000-8000-000000000000"};
    struct jobs *k = *state;
    assert_int_equal(queue_pause(k->q, QUEUE_MEDIA), 0);
    for (int i = 0; i < 2; i++)
        run_sql(k->db, "INSERT INTO directus_users (id, email) VALUES ('%s', '%d@example.com')", users[i], i);
    add(k, "held-1", "held", 1);
    for (int i = 0; i < 8; i++) {
        char id[] = {'a' + (7 - i), '-', '1', '\0'};
        struct queue_add job = {.id = id,
                                .queue = QUEUE_MEDIA,
                                .operation = "stand",
                                .user_id = users[i % 2],
                                .priority = QUEUE_PRIORITY_DEFAULT};
        assert_int_equal(add_all(k->q, k->db, &job, 1), 0);
    }
    struct queue_worker *worker = start(k->q, 9, 0);
    assert_int_equal(queue_resume(k->q, QUEUE_MEDIA), 0);
    await_flag(&holding, 1);
    await_flag(&now.waiting, 8);
    atomic_store(&now.let_go, 1);
    while (queue_worker_running(worker) > 0)
        usleep(2000);
    atomic_store(&hold, 0);
    await_moves(k, "place", 8);
    stop(worker);
    static const char *const order[] = {"b-1", "d-1", "f-1", "h-1", "a-1", "c-1", "e-1", "g-1"};
    for (int i = 0; i < 8; i++)
        assert_int_equal(count_sql(k->db,
                                   "SELECT count(*) FROM moves WHERE move = 'place' AND job = '%s'"
                                   " AND error = '%d'",
                                   order[i], i),
                         1);
}

static void *hasten(void *worker)
{
    await_flag(&now.waiting, 1);
    queue_worker_hasten(worker);
    return NULL;
}

static void haste_ends_the_patience(void **state)
{
    struct jobs *k = *state;
    pthread_t thread;
    add(k, "a-1", "stand", 10);
    struct queue_worker *worker = start(k->q, 1, 0);
    await_flag(&now.waiting, 1);
    assert_int_equal(pthread_create(&thread, NULL, hasten, worker), 0);
    assert_int_equal(queue_worker_stop(worker, INT64_C(3600000), INT64_C(3600000)), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(state_of(k, "a-1"), JOB_PRIORITIZED);
}

/* ---- many */

#define CROWD 3
#define CROWD_JOBS 400

static void many_workers_do_each_job_once(void **state)
{
    struct jobs *k = *state;
    struct db_options options = store_options(k->store);
    struct db *other = NULL;
    struct queue *queues[CROWD];
    struct queue_worker *workers[CROWD];
    options.connections = 8;
    assert_int_equal(db_open(&options, &other), 0);
    for (int i = 0; i < CROWD; i++) {
        assert_int_equal(queue_open(&k->cfg, i == 0 ? k->db : other, &queues[i]), 0);
        queue_set_handlers(queues[i], handlers);
        workers[i] = start(queues[i], 3, 0);
    }
    add_many(k, "job", "x", CROWD_JOBS);
    await_moves(k, "completed", CROWD_JOBS);
    for (int i = 0; i < CROWD; i++) {
        stop(workers[i]);
        queue_close(queues[i]);
    }
    db_close(other);
    assert_int_equal(moves(k, NULL, "completed"), CROWD_JOBS);
    assert_int_equal(count_sql(k->db, "SELECT count(DISTINCT job) FROM moves WHERE move = 'completed'"),
                     CROWD_JOBS);
    assert_int_equal(atomic_load(&now.runs), CROWD_JOBS);
    assert_int_equal(atomic_load(&now.done), CROWD_JOBS);
}

/* A lane that has learnt that its jobs are short claims ahead; then one isn't. */
static void what_was_claimed_ahead_of_a_long_job_goes_back(void **state)
{
    struct jobs *k = *state;
    struct queue_worker *worker = start(k->q, 1, 0);
    add_many(k, "short", "x", 50);
    await_moves(k, "completed", 50);
    assert_int_equal(queue_pause(k->q, QUEUE_MEDIA), 0);
    add(k, "long-1", "stand", 5);
    add_many(k, "after", "x", 20);
    assert_int_equal(queue_resume(k->q, QUEUE_MEDIA), 0);
    await_flag(&now.waiting, 1);
    await_count(k, "SELECT count(*) FROM queue_jobs WHERE state = 'waiting'", 20);
    assert_int_equal(count_sql(k->db, "SELECT count(*) FROM queue_jobs WHERE state = 'active'"), 1);
    atomic_store(&now.let_go, 1);
    await_moves(k, "completed", 71);
    stop(worker);
    assert_int_equal(atomic_load(&now.runs), 71);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_there_and_what_comes_is_done),
        TEST(jobs_of_another_process_are_seen),
        TEST(what_nobody_knows_fails_for_good),
        TEST(a_failure_that_may_pass_is_tried_three_times),
        TEST(other_failures_are_for_good_and_later_is_no_failure),
        TEST(as_many_run_as_may),
        TEST(progress_and_log_are_seen_while_it_runs),
        TEST(who_watches_is_woken),
        TEST(what_runs_here_hears_of_its_cancel),
        TEST(what_runs_elsewhere_hears_of_its_cancel),
        TEST(who_lost_the_lease_is_told_and_counts_for_nothing),
        TEST(an_end_without_room_is_a_failure),
        TEST(an_end_that_is_refused_is_tried_again),
        TEST(an_end_that_is_always_refused_holds_up_nobody),
        TEST(an_end_that_is_refused_too_long_is_left_to_its_lease),
        TEST(a_worker_that_stops_hands_back),
        TEST(a_worker_that_stops_lets_what_runs_end),
        TEST(what_was_claimed_is_not_begun_by_a_worker_that_stops),
        TEST(ends_are_settled_in_one_order_whoever_settles),
        TEST(haste_ends_the_patience),
        TEST(many_workers_do_each_job_once),
        TEST(what_was_claimed_ahead_of_a_long_job_goes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
