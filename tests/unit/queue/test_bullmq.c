/* SPDX-License-Identifier: MIT */
/* The engine on Redis by itself: what is in the store and what in Redis after each move, and after either of
 * them was gone for a while. What BullMQ itself makes of it is tested in tests/e2e/bullmq.test.mjs. */
#include "jobs.h"

#include "../redis/server.h"
#include "base/uuid.h"
#include "queue/bullmq.h"

/* What its rows hold makes no sense. */
static int refuse_the_end(struct db_conn *c, void *ctx, const struct queue_job *job, enum queue_move move,
                          const json_t *result, const char *error, void *finish)
{
    (void)c, (void)ctx, (void)job, (void)result, (void)error, (void)finish;
    return move == QUEUE_COMPLETED ? -EIO : 0;
}

static const struct queue_handler handlers[] = {
    {.queue = QUEUE_MEDIA, .operation = "spoilt", .moved = refuse_the_end},
    {.queue = QUEUE_MEDIA, .moved = write_move},
    {.queue = QUEUE_SCRAPE, .moved = write_move},
    {.queue = QUEUE_ONBOARDING, .moved = write_move},
    QUEUE_HANDLERS_END,
};

struct fixture {
    struct jobs jobs; /* first: the helpers of jobs.h take it */
    struct redis_server server;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    server_start(&f->server);
    f->jobs.cfg.redis_url = f->server.url;
    f->jobs.cfg.leader_lease_s = 3;
    set_up_jobs(&f->jobs, handlers);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    queue_stop(f->jobs.q);
    tear_down_jobs(&f->jobs);
    server_remove(&f->server);
    free(f);
    return 0;
}

/* ---- helpers */

#define KEY "bull:media-jobs:"

static struct queue_claim *claim_with(struct queue *q)
{
    struct queue_step step = {.queue = QUEUE_MEDIA, .want = 1};
    assert_int_equal(q->engine->step(q, &step), 0);
    return step.n_claimed > 0 ? step.claimed[0] : NULL;
}

static struct queue_claim *claim(struct fixture *f)
{
    struct queue_claim *c = claim_with(f->jobs.q);
    assert_non_null(c);
    return c;
}

static void claim_none(struct fixture *f)
{
    assert_null(claim_with(f->jobs.q));
}

static int settle_with(struct queue *q, struct queue_settle *e)
{
    struct queue_settle *all[] = {e};
    struct queue_step step = {.queue = QUEUE_MEDIA, .settle = all, .n_settle = 1};
    return q->engine->step(q, &step);
}

/* Ends a claim, which is freed. */
static struct queue_settle end(struct fixture *f, struct queue_claim *c, enum queue_move move)
{
    struct queue_settle e = {.claim = c, .move = move, .percent = -1};
    json_t *result = json_pack("{s:i}", "n", 1);
    if (move == QUEUE_COMPLETED)
        e.result = result, e.result_text = "{\"n\":1}";
    else
        e.error = "why not";
    assert_int_equal(settle_with(f->jobs.q, &e), 0);
    json_decref(result);
    queue_claim_free(c);
    e.claim = NULL;
    return e;
}

static void run_one(struct fixture *f, const char *id)
{
    struct queue_claim *c = claim(f);
    assert_string_equal(c->job.id, id);
    assert_false(end(f, c, QUEUE_COMPLETED).lost);
}

static void assert_field(struct fixture *f, const char *id, const char *field, const char *value)
{
    char text[256];
    assert_string_equal(server_text(&f->server, text, "HGET " KEY "%s %s", id, field), value);
}

static bool is_in_set(struct fixture *f, const char *set, const char *id)
{
    char text[256];
    return server_text(&f->server, text, "ZSCORE " KEY "%s %s", set, id)[0] != '\0';
}

/* As if the lock had run out, and two checks had passed. */
static void let_stall(struct fixture *f, const char *id)
{
    struct queue_upkeep u = {.queues = 1U << QUEUE_MEDIA};
    server_number(&f->server, "DEL " KEY "%s:lock", id);
    for (int i = 0; i < 2; i++) {
        server_number(&f->server, "DEL " KEY "genie-stalled-check");
        assert_int_equal(f->jobs.q->engine->upkeep(f->jobs.q, &u), 0);
    }
}

/* A job as BullMQ's Queue.add writes it. */
static void add_foreign(struct fixture *f, const char *id, const char *name, const char *data,
                        const char *opts)
{
    server_number(&f->server, "HSET " KEY "%s name %s data %s opts %s timestamp %d delay 0 priority 0", id,
                  name, data, opts, 1700000000);
    server_number(&f->server, "LPUSH " KEY "wait %s", id);
}

static int64_t records(struct fixture *f, const char *id, const char *state)
{
    return count_sql(f->jobs.db, "SELECT count(*) FROM queue_jobs WHERE id = '%s' AND state = '%s'", id,
                     state);
}

static int64_t outbox(struct fixture *f)
{
    return count_sql(f->jobs.db, "SELECT count(*) FROM queue_outbox");
}

/* Adds without confirming, as one does who dies after its unit. */
static void add_and_die(struct fixture *f, const char *id)
{
    struct queue_add job = {.id = id, .queue = QUEUE_MEDIA, .operation = "echo", .priority = 10};
    struct adding a = {.q = f->jobs.q, .jobs = &job, .n = 1};
    assert_true(db_write(f->jobs.db, add_unit, &a) >= 0);
}

/* ---- a job's way */

static void store_and_redis_agree_from_beginning_to_end(void **state)
{
    struct fixture *f = *state;
    add(&f->jobs, "job-a", "echo", 10);
    assert_int_equal(outbox(f), 0);
    assert_true(is_in_set(f, "prioritized", "job-a"));
    assert_int_equal(state_of(&f->jobs, "job-a"), JOB_PRIORITIZED);
    struct queue_claim *c = claim(f);
    assert_int_equal(c->job.attempt, 1);
    assert_int_equal(records(f, "job-a", "active"), 1);
    assert_int_equal(server_number(&f->server, "LLEN " KEY "active"), 1);
    assert_int_equal(server_number(&f->server, "EXISTS " KEY "job-a:lock"), 1);
    assert_false(end(f, c, QUEUE_COMPLETED).lost);
    assert_int_equal(records(f, "job-a", "completed"), 1);
    assert_true(is_in_set(f, "completed", "job-a"));
    assert_field(f, "job-a", "returnvalue", "{\"n\":1}");
    assert_field(f, "job-a", "atm", "1");
    assert_int_equal(server_number(&f->server, "EXISTS " KEY "job-a:lock"), 0);
    assert_int_equal(server_number(&f->server, "LLEN " KEY "active"), 0);
    assert_int_equal(moves(&f->jobs, "job-a", "started"), 1);
    assert_int_equal(moves(&f->jobs, "job-a", "completed"), 1);
}

static void lower_priorities_come_first_and_equals_in_order(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *id;
        int priority;
    } added[] = {{"j-10a", 10}, {"j-5a", 5}, {"j-0a", 0},       {"j-10b", 10},
                 {"j-5b", 5},   {"j-0b", 0}, {"j-max", 2097151}};
    static const char *const order[] = {"j-0a", "j-0b", "j-5a", "j-5b", "j-10a", "j-10b", "j-max"};
    for (size_t i = 0; i < ARRAY_LEN(added); i++)
        add(&f->jobs, added[i].id, "echo", added[i].priority);
    for (size_t i = 0; i < ARRAY_LEN(order); i++)
        run_one(f, order[i]);
    claim_none(f);
}

static void a_delayed_job_waits_for_its_time(void **state)
{
    struct fixture *f = *state;
    struct queue_add job = {.id = "job-a", .queue = QUEUE_MEDIA, .operation = "echo", .delay_ms = 3600000};
    assert_int_equal(add_all(f->jobs.q, f->jobs.db, &job, 1), 0);
    assert_true(is_in_set(f, "delayed", "job-a"));
    assert_int_equal(state_of(&f->jobs, "job-a"), JOB_DELAYED);
    claim_none(f);
    server_number(&f->server, "ZADD " KEY "delayed 1 job-a"); /* its time has come */
    struct queue_upkeep u = {.queues = 1U << QUEUE_MEDIA};
    assert_int_equal(f->jobs.q->engine->upkeep(f->jobs.q, &u), 0);
    assert_int_equal(u.fresh, 1U << QUEUE_MEDIA);
    run_one(f, "job-a");
}

static void an_attempt_that_failed_comes_again_later(void **state)
{
    struct fixture *f = *state;
    add(&f->jobs, "job-a", "echo", 10);
    struct queue_claim *c = claim(f);
    struct queue_settle e = {
        .claim = c, .move = QUEUE_RETRIED, .delay_ms = 3600000, .error = "not yet", .percent = -1};
    assert_int_equal(settle_with(f->jobs.q, &e), 0);
    queue_claim_free(c);
    assert_true(is_in_set(f, "delayed", "job-a"));
    assert_field(f, "job-a", "atm", "1");
    assert_field(f, "job-a", "stacktrace", "[\"not yet\"]");
    assert_int_equal(state_of(&f->jobs, "job-a"), JOB_DELAYED);
    server_number(&f->server, "ZADD " KEY "delayed 1 job-a");
    c = claim(f);
    assert_int_equal(c->job.attempt, 2);
    assert_false(end(f, c, QUEUE_FAILED).lost);
    assert_true(is_in_set(f, "failed", "job-a"));
    assert_field(f, "job-a", "failedReason", "why not");
    assert_field(f, "job-a", "stacktrace", "[\"not yet\",\"why not\"]");
    assert_int_equal(moves(&f->jobs, "job-a", "retried"), 1);
    assert_int_equal(moves(&f->jobs, "job-a", "failed"), 1);
}

static void what_is_handed_back_goes_before_its_equals_and_is_no_attempt(void **state)
{
    struct fixture *f = *state;
    add(&f->jobs, "job-a", "echo", 10);
    add(&f->jobs, "job-b", "echo", 10);
    assert_false(end(f, claim(f), QUEUE_RETURNED).lost);
    struct queue_claim *c = claim(f);
    assert_string_equal(c->job.id, "job-a");
    assert_int_equal(c->job.attempt, 1);
    assert_false(end(f, c, QUEUE_COMPLETED).lost);
    run_one(f, "job-b");
}

static void progress_and_lines_are_in_both(void **state)
{
    struct fixture *f = *state;
    static const char *const lines[] = {"one", "two"};
    add(&f->jobs, "job-a", "echo", 10);
    struct queue_claim *c = claim(f);
    struct queue_note note = {.claim = c, .renew = true, .percent = 42, .lines = lines, .n_lines = 2};
    assert_int_equal(f->jobs.q->engine->notes(f->jobs.q, &note, 1), 0);
    assert_false(note.lost);
    assert_true(note.good_until_ms > clock_monotonic_ms());
    assert_field(f, "job-a", "progress", "42");
    assert_int_equal(server_number(&f->server, "LLEN " KEY "job-a:logs"), 2);
    assert_int_equal(count_sql(f->jobs.db, "SELECT progress FROM queue_jobs WHERE id = 'job-a'"), 42);
    assert_int_equal(count_sql(f->jobs.db, "SELECT count(*) FROM queue_job_logs WHERE job_id = 'job-a'"), 2);
    assert_false(end(f, c, QUEUE_COMPLETED).lost);
}

/* ---- from the store to Redis */

static void a_job_whose_adder_died_is_carried_by_the_leader(void **state)
{
    struct fixture *f = *state;
    add_and_die(f, "job-a");
    assert_int_equal(server_number(&f->server, "EXISTS " KEY "job-a"), 0);
    assert_int_equal(queue_start(f->jobs.q), 0);
    int64_t until = clock_monotonic_ms() + PATIENCE_MS;
    while (outbox(f) > 0 && clock_monotonic_ms() < until)
        usleep(10000);
    assert_int_equal(outbox(f), 0);
    run_one(f, "job-a");
    claim_none(f);
}

static void a_batch_that_is_too_large_is_carried_in_parts(void **state)
{
    struct fixture *f = *state;
    static char data[QUEUE_DATA_MAX + 1];
    char id[32];
    int carried = 0;
    memset(data, ' ', sizeof data - 1);
    memcpy(data, "{", 1), memcpy(data + sizeof data - 2, "}", 1);
    for (int i = 0; i < 100; i++) {
        (void)snprintf(id, sizeof id, "job-%d", i);
        struct queue_add job = {.id = id, .queue = QUEUE_MEDIA, .operation = "echo", .data = data};
        struct adding a = {.q = f->jobs.q, .jobs = &job, .n = 1};
        assert_true(db_write(f->jobs.db, add_unit, &a) >= 0);
    }
    run_sql(f->jobs.db, "UPDATE queue_outbox SET date_created = '2026-01-01T00:00:00.000Z'");
    for (int i = 0; i < 10 && carried < 100; i++) {
        int n = bull_relay(bullmq_of(f->jobs.q));
        assert_true(n > 0);
        carried += n;
    }
    assert_int_equal(carried, 100);
    assert_int_equal(outbox(f), 0);
}

static void carrying_twice_is_adding_once(void **state)
{
    struct fixture *f = *state;
    add(&f->jobs, "job-a", "echo", 10);
    run_one(f, "job-a");
    run_sql(f->jobs.db, "INSERT INTO queue_outbox (job_id, queue, operation, data, priority, date_created)"
                        " VALUES ('job-a', 'media-jobs', 'echo', '{}', 10, '2026-01-01T00:00:00.000Z')");
    assert_int_equal(bull_relay(bullmq_of(f->jobs.q)), 1);
    assert_int_equal(outbox(f), 0);
    claim_none(f);
    assert_true(is_in_set(f, "completed", "job-a"));
}

static void without_redis_adding_is_unconfirmed_and_kept(void **state)
{
    struct fixture *f = *state;
    struct queue_counts counts[QUEUES];
    struct queue_add job = {.id = "job-a", .queue = QUEUE_MEDIA, .operation = "echo", .priority = 10};
    assert_int_equal(queue_count(f->jobs.q, counts), 0);
    assert_int_equal(queue_ready(f->jobs.q), 0);
    server_kill(&f->server);
    assert_true(queue_count(f->jobs.q, counts) < 0);
    assert_int_equal(queue_ready(f->jobs.q), -ECONNREFUSED);
    assert_int_equal(add_all(f->jobs.q, f->jobs.db, &job, 1), -ETIMEDOUT);
    assert_int_equal(outbox(f), 1);
    assert_true(server_resume(&f->server));
    assert_int_equal(queue_confirm(f->jobs.q, "job-a"), 0);
    assert_int_equal(queue_ready(f->jobs.q), 0);
    assert_int_equal(outbox(f), 0);
    run_one(f, "job-a");
}

/* A replica whose master is gone: it takes nothing, and shows nothing. */
static void a_redis_that_refuses_is_as_one_that_is_away(void **state)
{
    struct fixture *f = *state;
    struct queue_counts counts[QUEUES];
    struct queue_line *lines;
    enum queue_cancelled how;
    size_t n = 7;
    struct arena a;
    add(&f->jobs, "job-a", "echo", 10);
    add(&f->jobs, "job-b", "echo", 10);
    assert_int_equal(server_number(&f->server, "REPLICAOF 127.0.0.1 1"), 0);
    assert_int_equal(server_number(&f->server, "CONFIG SET replica-serve-stale-data no"), 0);
    assert_int_equal(queue_count(f->jobs.q, counts), -ECONNREFUSED);
    assert_int_equal(state_of(&f->jobs, "job-a"), JOB_PRIORITIZED);
    arena_init(&a, 1 << 20);
    assert_int_equal(queue_log_lines(f->jobs.q, "job-a", &a, 10, &lines, &n), 0);
    assert_int_equal(n, 0);
    arena_free(&a);
    assert_int_equal(queue_cancel(f->jobs.q, "job-a", &how), 0);
    assert_int_equal(how, QUEUE_CANCEL_ASKED);
    struct queue_step step = {.queue = QUEUE_MEDIA, .want = 1};
    assert_true(f->jobs.q->engine->step(f->jobs.q, &step) < 0);
    assert_int_equal(server_number(&f->server, "CONFIG SET replica-serve-stale-data yes"), 0);
    assert_int_equal(f->jobs.q->engine->step(f->jobs.q, &step), -EAGAIN); /* it is read-only */
    assert_int_equal(server_number(&f->server, "REPLICAOF NO ONE"), 0);
    assert_int_equal(bull_sync_all(bullmq_of(f->jobs.q), NULL), 0);
    assert_int_equal(moves(&f->jobs, "job-a", "cancelled"), 1);
    run_one(f, "job-b");
    claim_none(f);
}

/* Whoever adds is told soon, and isn't kept waiting for what only an operator ends. */
static void what_redis_says_twice_is_not_asked_again(void **state)
{
    struct fixture *f = *state;
    const char *refused =
        "return tonumber(string.match(redis.call('INFO', 'errorstats'), 'errorstat_OOM:count=(%d+)') or 0)";
    struct queue_add job = {.id = "job-a", .queue = QUEUE_MEDIA, .operation = "echo", .priority = 10};
    add(&f->jobs, "job-z", "echo", 10); /* so that the script is known */
    assert_int_equal(server_number(&f->server, "CONFIG RESETSTAT"), 0);
    assert_int_equal(server_number(&f->server, "CONFIG SET maxmemory 1"), 0);
    assert_int_equal(add_all(f->jobs.q, f->jobs.db, &job, 1), -ETIMEDOUT);
    assert_int_equal(server_number(&f->server, "CONFIG SET maxmemory 0"), 0);
    assert_in_range(server_number(&f->server, "EVAL %s 0", refused), 1, 4); /* one may be counted twice */
    assert_int_equal(outbox(f), 1);
    assert_int_equal(queue_confirm(f->jobs.q, "job-a"), 0);
    assert_int_equal(outbox(f), 0);
    run_one(f, "job-z");
    run_one(f, "job-a");
}

/* What it has begun it ends; what it can't it leaves as it was. */
static void a_redis_that_is_full_loses_nothing(void **state)
{
    struct fixture *f = *state;
    add(&f->jobs, "job-a", "echo", 10);
    struct queue_claim *c = claim(f);
    assert_int_equal(server_number(&f->server, "CONFIG SET maxmemory 1"), 0);
    struct queue_add job = {.id = "job-b", .queue = QUEUE_MEDIA, .operation = "echo"};
    assert_int_equal(add_all(f->jobs.q, f->jobs.db, &job, 1), -ETIMEDOUT);
    assert_int_equal(outbox(f), 1);
    assert_int_equal(server_number(&f->server, "EXISTS " KEY "job-b"), 0);
    assert_int_equal(server_number(&f->server, "CONFIG SET maxmemory 0"), 0);
    assert_int_equal(queue_confirm(f->jobs.q, "job-b"), 0);
    assert_false(end(f, c, QUEUE_COMPLETED).lost);
    run_one(f, "job-b");
}

static int hear_nothing(void *ctx)
{
    (void)ctx;
    return 0;
}

/* Somebody was heard to remove job-b, after it was seen that it is missing. */
static int hear_of_a_removal(void *ctx)
{
    struct bull_hint hint = {.id = "job-b", .end = "removed"};
    return bull_sync(ctx, QUEUE_MEDIA, &hint, 1);
}

static void what_was_removed_just_now_is_not_added_again(void **state)
{
    struct fixture *f = *state;
    struct bullmq *b = bullmq_of(f->jobs.q);
    log_configure(LOG_ERROR, true);
    add(&f->jobs, "job-a", "echo", 10);
    add(&f->jobs, "job-b", "echo", 10);
    server_number(&f->server, "FLUSHALL");
    assert_int_equal(bull_restore_missing(b, hear_of_a_removal, b), 0);
    assert_int_equal(outbox(f), 1);
    assert_int_equal(records(f, "job-a", "waiting"), 1);
    assert_int_equal(records(f, "job-b", "failed"), 1);
    assert_int_equal(moves(&f->jobs, "job-b", "cancelled"), 1);
}

static void what_redis_lost_is_added_again(void **state)
{
    struct fixture *f = *state;
    add(&f->jobs, "job-a", "echo", 10);
    add(&f->jobs, "job-b", "echo", 10);
    run_one(f, "job-a");
    server_number(&f->server, "FLUSHALL");
    log_configure(LOG_ERROR, true);
    bool missing = false;
    assert_int_equal(bull_sync_all(bullmq_of(f->jobs.q), &missing), 0);
    assert_true(missing);
    assert_int_equal(outbox(f), 0);
    assert_int_equal(bull_restore_missing(bullmq_of(f->jobs.q), hear_nothing, NULL), 0);
    assert_int_equal(outbox(f), 1);
    run_sql(f->jobs.db, "UPDATE queue_outbox SET date_created = '2026-01-01T00:00:00.000Z'");
    assert_int_equal(bull_relay(bullmq_of(f->jobs.q)), 1);
    run_one(f, "job-b");
    claim_none(f);
}

/* ---- deaths */

static void a_worker_that_lost_its_lock_settles_nothing(void **state)
{
    struct fixture *f = *state;
    add(&f->jobs, "job-a", "echo", 10);
    struct queue_claim *late = claim(f);
    let_stall(f, "job-a");
    assert_int_equal(state_of(&f->jobs, "job-a"), JOB_PRIORITIZED);
    struct queue_claim *next = claim(f);
    assert_string_equal(next->job.id, "job-a");
    assert_true(end(f, late, QUEUE_COMPLETED).lost);
    assert_int_equal(moves(&f->jobs, "job-a", "completed"), 0);
    assert_false(end(f, next, QUEUE_COMPLETED).lost);
    assert_int_equal(moves(&f->jobs, "job-a", "completed"), 1);
}

static void a_token_in_the_record_stops_a_late_worker_even_with_a_lock(void **state)
{
    struct fixture *f = *state;
    add(&f->jobs, "job-a", "echo", 10);
    struct queue_claim *late = claim(f);
    run_sql(f->jobs.db, "UPDATE queue_jobs SET lease_owner = 'another' WHERE id = 'job-a'");
    assert_true(end(f, late, QUEUE_COMPLETED).lost);
    assert_int_equal(moves(&f->jobs, "job-a", "completed"), 0);
}

static void a_job_that_ended_in_the_store_alone_does_not_run_again(void **state)
{
    struct fixture *f = *state;
    add(&f->jobs, "job-a", "echo", 10);
    struct queue_claim *c = claim(f);
    run_sql(f->jobs.db,
            "UPDATE queue_jobs SET state = 'completed', result = '{\"was\":2}', lease_owner = NULL"
            " WHERE id = 'job-a'");
    queue_claim_free(c); /* its worker died here */
    let_stall(f, "job-a");
    claim_none(f);
    assert_true(is_in_set(f, "completed", "job-a"));
    assert_int_equal(moves(&f->jobs, "job-a", "started"), 1);
}

static void a_job_that_stalls_too_often_fails(void **state)
{
    struct fixture *f = *state;
    add(&f->jobs, "job-a", "echo", 10);
    for (int i = 0; i <= QUEUE_STALLED_MAX; i++) {
        queue_claim_free(claim(f));
        let_stall(f, "job-a");
    }
    claim_none(f);
    struct arena a;
    arena_init(&a, 1 << 20);
    struct queue_info info = look(&f->jobs, "job-a", &a);
    assert_int_equal(info.state, JOB_FAILED);
    assert_string_equal(info.error, QUEUE_ERROR_STALLED);
    arena_free(&a);
    assert_true(is_in_set(f, "failed", "job-a"));
    assert_field(f, "job-a", "failedReason", QUEUE_ERROR_STALLED);
    assert_int_equal(moves(&f->jobs, "job-a", "failed"), 1);
}

static void a_claim_outlives_a_redis_that_is_killed(void **state)
{
    struct fixture *f = *state;
    add(&f->jobs, "job-a", "echo", 10);
    struct queue_claim *c = claim(f);
    server_kill(&f->server);
    struct queue_settle e = {.claim = c, .move = QUEUE_COMPLETED, .percent = -1};
    assert_true(settle_with(f->jobs.q, &e) < 0);
    assert_int_equal(moves(&f->jobs, "job-a", "completed"), 0);
    assert_true(server_resume(&f->server));
    int64_t until = clock_monotonic_ms() + PATIENCE_MS;
    while (settle_with(f->jobs.q, &e) < 0 && clock_monotonic_ms() < until)
        usleep(10000);
    assert_false(e.lost);
    queue_claim_free(c);
    assert_true(is_in_set(f, "completed", "job-a"));
    assert_int_equal(moves(&f->jobs, "job-a", "completed"), 1);
}

static void an_end_that_redis_did_not_hear_is_told_later(void **state)
{
    struct fixture *f = *state;
    struct bullmq *b = bullmq_of(f->jobs.q);
    char token[QUEUE_TOKEN_SIZE + 8], id[] = "job-a", value[] = "{}";
    add(&f->jobs, "job-a", "echo", 10);
    struct queue_claim *c = claim(f);
    bull_token(c, token);
    struct bull_end e = {
        .queue = QUEUE_MEDIA, .id = id, .token = token, .value = value, .move = QUEUE_COMPLETED};
    e.opts = *bull_opts_of(c);
    server_kill(&f->server);
    bull_send(b, &e);
    assert_int_equal(b->n_unsent, 1);
    assert_true(server_resume(&f->server));
    int64_t until = clock_monotonic_ms() + PATIENCE_MS;
    while (b->n_unsent > 0 && clock_monotonic_ms() < until) {
        bull_send_rest(b);
        usleep(10000);
    }
    assert_int_equal(b->n_unsent, 0);
    assert_true(is_in_set(f, "completed", "job-a"));
    queue_claim_free(c);
}

static void a_job_whose_handler_refuses_its_beginning_is_put_off(void **state)
{
    struct fixture *f = *state;
    log_configure(LOG_ERROR + 1, true);
    add(&f->jobs, "job-a", "refuse started", 10);
    struct queue_step step = {.queue = QUEUE_MEDIA, .want = 1};
    assert_true(f->jobs.q->engine->step(f->jobs.q, &step) < 0);
    assert_true(is_in_set(f, "delayed", "job-a"));
    assert_int_equal(moves(&f->jobs, "job-a", "started"), 0);
    assert_int_equal(server_number(&f->server, "LLEN " KEY "active"), 0);
}

/* ---- cancelling */

static void a_waiting_job_is_cancelled_at_once_in_both(void **state)
{
    struct fixture *f = *state;
    enum queue_cancelled how;
    add(&f->jobs, "job-a", "echo", 10);
    assert_int_equal(queue_cancel(f->jobs.q, "job-a", &how), 0);
    assert_int_equal(how, QUEUE_CANCEL_DONE);
    assert_true(is_in_set(f, "failed", "job-a"));
    assert_int_equal(state_of(&f->jobs, "job-a"), JOB_FAILED);
    assert_int_equal(moves(&f->jobs, "job-a", "cancelled"), 1);
    assert_int_equal(queue_cancel(f->jobs.q, "job-a", &how), 0);
    assert_int_equal(how, QUEUE_CANCEL_OVER);
    assert_int_equal(queue_cancel(f->jobs.q, "job-none", &how), -ENOENT);
    claim_none(f);
}

static void an_active_job_hears_of_its_cancel(void **state)
{
    struct fixture *f = *state;
    enum queue_cancelled how;
    add(&f->jobs, "job-a", "echo", 10);
    struct queue_claim *c = claim(f);
    assert_int_equal(queue_cancel(f->jobs.q, "job-a", &how), 0);
    assert_int_equal(how, QUEUE_CANCEL_ASKED);
    struct queue_note note = {.claim = c, .percent = -1};
    assert_int_equal(f->jobs.q->engine->notes(f->jobs.q, &note, 1), 0);
    assert_true(note.cancelled);
    struct queue_settle e = end(f, c, QUEUE_RETURNED);
    assert_int_equal(e.made, QUEUE_CANCELLED);
    assert_true(is_in_set(f, "failed", "job-a"));
    assert_field(f, "job-a", "failedReason", QUEUE_ERROR_CANCELLED);
}

static void a_job_that_never_came_to_redis_is_cancelled_in_the_store(void **state)
{
    struct fixture *f = *state;
    enum queue_cancelled how;
    add_and_die(f, "job-a");
    assert_int_equal(queue_cancel(f->jobs.q, "job-a", &how), 0);
    assert_int_equal(how, QUEUE_CANCEL_DONE);
    assert_int_equal(outbox(f), 0);
    assert_int_equal(moves(&f->jobs, "job-a", "cancelled"), 1);
}

static void a_cancel_without_redis_is_not_forgotten(void **state)
{
    struct fixture *f = *state;
    enum queue_cancelled how;
    add(&f->jobs, "job-a", "echo", 10);
    server_kill(&f->server);
    assert_int_equal(queue_cancel(f->jobs.q, "job-a", &how), 0);
    assert_int_equal(how, QUEUE_CANCEL_ASKED);
    assert_true(server_resume(&f->server));
    assert_int_equal(queue_start(f->jobs.q), 0);
    await_state(&f->jobs, "job-a", JOB_FAILED);
    assert_int_equal(moves(&f->jobs, "job-a", "cancelled"), 1);
    assert_int_equal(moves(&f->jobs, "job-a", "started"), 0);
}

/* The state of the job's last event. */
static bool was_told(struct fixture *f, const char *event, const char *id)
{
    redisReply *reply = redisCommand(f->server.own, "XREVRANGE " KEY "events + - COUNT 1");
    assert_non_null(reply);
    assert_int_equal(reply->elements, 1);
    const redisReply *fields = reply->element[0]->element[1];
    bool told = strcmp(fields->element[1]->str, event) == 0 && strcmp(fields->element[3]->str, id) == 0;
    freeReplyObject(reply);
    return told;
}

/* Who runs it looks when there is an event, and else only when its lock is renewed. */
static void a_cancel_is_told_to_who_runs_the_job(void **state)
{
    struct fixture *f = *state;
    enum queue_cancelled how;
    add(&f->jobs, "job-a", "echo", 10);
    struct queue_claim *c = claim(f);
    assert_false(was_told(f, "cancel", "job-a"));
    assert_int_equal(queue_cancel(f->jobs.q, "job-a", &how), 0);
    assert_true(was_told(f, "cancel", "job-a"));
    assert_int_equal(end(f, c, QUEUE_RETURNED).made, QUEUE_CANCELLED);
}

#define END_RECORD \
    "UPDATE queue_jobs SET state = 'failed', error = 'withdrawn', lease_owner = NULL, lease_until = NULL" \
    " WHERE id = 'job-a'"

static void a_job_whose_record_was_ended_ends_in_redis_too(void **state)
{
    struct fixture *f = *state;
    add(&f->jobs, "job-a", "echo", 10);
    run_sql(f->jobs.db, END_RECORD);
    queue_ended(f->jobs.q, QUEUE_MEDIA, "job-a", "withdrawn");
    assert_true(is_in_set(f, "failed", "job-a"));
    assert_false(is_in_set(f, "prioritized", "job-a"));
    assert_field(f, "job-a", "failedReason", "withdrawn");
    claim_none(f);
}

static void a_run_whose_record_was_ended_is_stopped_and_ends_as_the_record_says(void **state)
{
    struct fixture *f = *state;
    add(&f->jobs, "job-a", "echo", 10);
    struct queue_claim *c = claim(f);
    run_sql(f->jobs.db, END_RECORD);
    queue_ended(f->jobs.q, QUEUE_MEDIA, "job-a", "withdrawn");
    struct queue_note note = {.claim = c, .percent = -1};
    assert_int_equal(f->jobs.q->engine->notes(f->jobs.q, &note, 1), 0);
    assert_true(note.cancelled);
    assert_true(end(f, c, QUEUE_COMPLETED).lost);
    assert_int_equal(server_number(&f->server, "LLEN " KEY "active"), 0); /* it waits for no lock to end */
    claim_none(f);
    assert_true(is_in_set(f, "failed", "job-a"));
    assert_field(f, "job-a", "failedReason", "withdrawn");
    assert_int_equal(moves(&f->jobs, "job-a", "completed"), 0);
}

/* ---- owners that are deleted */

static void a_job_whose_record_was_deleted_is_not_run_nor_written_anew(void **state)
{
    struct fixture *f = *state;
    add(&f->jobs, "job-a", "echo", 10);
    add(&f->jobs, "job-b", "echo", 10);
    struct queue_claim *c = claim(f);
    run_sql(f->jobs.db, "DELETE FROM queue_jobs WHERE id IN ('job-a', 'job-b')");
    assert_true(end(f, c, QUEUE_COMPLETED).lost);
    claim_none(f); /* one is looked at */
    claim_none(f); /* and the other */
    assert_int_equal(count_sql(f->jobs.db, "SELECT count(*) FROM queue_jobs"), 0);
    assert_int_equal(server_number(&f->server, "EXISTS " KEY "job-a " KEY "job-b"), 0);
    assert_int_equal(server_number(&f->server, "LLEN " KEY "active"), 0);
}

static void what_is_forgotten_is_gone_from_redis(void **state)
{
    struct fixture *f = *state;
    add(&f->jobs, "job-a", "echo", 10);
    run_one(f, "job-a");
    add(&f->jobs, "job-b", "echo", 10);
    add(&f->jobs, "job-c", "echo", 10);
    struct queue_claim *c = claim(f);
    run_sql(f->jobs.db, "DELETE FROM queue_jobs");
    assert_int_equal(queue_forget(f->jobs.q, QUEUE_MEDIA, "job-a"), 0);
    assert_int_equal(queue_forget(f->jobs.q, QUEUE_MEDIA, "job-b"), 0);
    assert_int_equal(queue_forget(f->jobs.q, QUEUE_MEDIA, "job-c"), 0);
    assert_int_equal(queue_forget(f->jobs.q, QUEUE_MEDIA, "job-none"), 0);
    assert_int_equal(server_number(&f->server, "EXISTS " KEY "job-a " KEY "job-c"), 0);
    assert_true(was_told(f, "removed", "job-c"));
    assert_true(end(f, c, QUEUE_COMPLETED).lost);
    claim_none(f);
    assert_int_equal(server_number(&f->server, "EXISTS " KEY "job-b"), 0);
    assert_int_equal(server_number(&f->server, "ZCARD " KEY "completed"), 0);
    assert_int_equal(server_number(&f->server, "ZCARD " KEY "failed"), 0);
}

/* ---- what others add and do */

static void a_job_of_others_gets_a_record(void **state)
{
    struct fixture *f = *state;
    add_foreign(f, "7", "echo", "{\"a\":1}", "{\"attempts\":5}");
    struct queue_claim *c = claim(f);
    assert_string_equal(c->job.id, "media-jobs:7");
    assert_string_equal(c->job.operation, "echo");
    assert_int_equal(c->job.max_attempts, 5);
    assert_int_equal(json_int(c->job.data, "a", 0), 1);
    assert_null(c->job.user_id);
    assert_false(end(f, c, QUEUE_COMPLETED).lost);
    assert_int_equal(records(f, "media-jobs:7", "completed"), 1);
    assert_true(is_in_set(f, "completed", "7"));
}

static void a_number_that_comes_again_is_another_job(void **state)
{
    struct fixture *f = *state;
    add_foreign(f, "1", "echo", "{}", "{}");
    run_one(f, "media-jobs:1");
    server_number(&f->server, "FLUSHALL");
    add_foreign(f, "1", "other", "{}", "{}");
    server_number(&f->server, "HSET " KEY "1 timestamp 1700000001");
    struct queue_claim *c = claim(f);
    assert_string_equal(c->job.operation, "other");
    assert_false(end(f, c, QUEUE_COMPLETED).lost);
    assert_int_equal(moves(&f->jobs, "media-jobs:1", "completed"), 2);
}

static void the_owner_is_the_rows_and_not_the_datas(void **state)
{
    struct fixture *f = *state;
    char user[UUID_SIZE], row[UUID_SIZE], data[256];
    uuid_make(user);
    uuid_make(row);
    run_sql(f->jobs.db, "INSERT INTO directus_users (id, email, status) VALUES ('%s', 'a@b.c', 'active')",
            user);
    run_sql(f->jobs.db, "INSERT INTO media_jobs (id, user_id, operation) VALUES ('%s', '%s', 'echo')", row,
            user);
    (void)snprintf(data, sizeof data, "{\"jobId\":\"%s\",\"user_id\":\"somebody\"}", row);
    add_foreign(f, "7", "echo", data, "{}");
    struct queue_claim *c = claim(f);
    assert_string_equal(c->job.user_id, user);
    assert_string_equal(c->job.media_job_id, row);
    assert_false(end(f, c, QUEUE_COMPLETED).lost);
    add_foreign(f, "8", "echo", "{\"jobId\":\"no-uuid'\"}", "{}");
    c = claim(f);
    assert_null(c->job.media_job_id);
    assert_false(end(f, c, QUEUE_COMPLETED).lost);
}

static void hostile_jobs_fail_and_harm_nobody(void **state)
{
    struct fixture *f = *state;
    static char large[2 * 1024 * 1024];
    char id[300];
    log_configure(LOG_ERROR, true);
    memset(large, 'x', sizeof large - 1);
    memset(id, 'i', sizeof id - 1), id[sizeof id - 1] = '\0';
    add_foreign(f, "large", "echo", large, "{}");
    add_foreign(f, id, "echo", "{}", "{}");
    add_foreign(f, "opts", "echo", "{}", "{\"attempts\":-1");
    server_number(&f->server, "LPUSH " KEY "wait gone"); /* an id without a job */
    server_number(&f->server, "HSET " KEY "bytes name %b data {} opts {} timestamp x", "\xff\0\xfe",
                  (size_t)3);
    server_number(&f->server, "LPUSH " KEY "wait bytes");
    add_foreign(f, "text", "echo", "words", "{}");
    add(&f->jobs, "job-a", "echo", 10);
    run_one(f, "media-jobs:opts");
    struct queue_claim *c = claim(f);
    assert_string_equal(c->job.id, "media-jobs:bytes");
    assert_string_equal(c->job.operation, "unnamed");
    assert_false(end(f, c, QUEUE_FAILED).lost);
    c = claim(f);
    assert_string_equal(c->job.id, "media-jobs:text");
    assert_non_null(c->unfit);
    assert_false(end(f, c, QUEUE_FAILED).lost);
    run_one(f, "job-a");
    assert_true(is_in_set(f, "failed", "large"));
    assert_true(is_in_set(f, "failed", id));
    assert_int_equal(server_number(&f->server, "LLEN " KEY "active"), 0);
}

/* As a BullMQ worker ends a job. */
static void end_by_other(struct fixture *f, const char *id, const char *set, const char *field,
                         const char *value)
{
    server_number(&f->server, "ZREM " KEY "prioritized %s", id);
    server_number(&f->server, "ZADD " KEY "%s 1700000000 %s", set, id);
    server_number(&f->server, "HSET " KEY "%s %s %s atm 1 processedOn 1700000000000", id, field, value);
}

static void what_others_completed_is_seen_and_moved_once(void **state)
{
    struct fixture *f = *state;
    add(&f->jobs, "job-a", "echo", 10);
    end_by_other(f, "job-a", "completed", "returnvalue", "{\"by\":\"node\"}");
    struct arena a;
    arena_init(&a, 1 << 20);
    struct queue_info info = look(&f->jobs, "job-a", &a);
    assert_int_equal(info.state, JOB_COMPLETED);
    assert_non_null(strstr(info.result, "node"));
    assert_int_equal(info.attempts, 1);
    assert_non_null(info.started_at);
    arena_free(&a);
    assert_int_equal(bull_sync_all(bullmq_of(f->jobs.q), NULL), 0);
    assert_int_equal(moves(&f->jobs, "job-a", "completed"), 1);
}

static void what_others_failed_is_learnt_from_events(void **state)
{
    struct fixture *f = *state;
    add(&f->jobs, "job-a", "echo", 10);
    assert_int_equal(queue_start(f->jobs.q), 0);
    end_by_other(f, "job-a", "failed", "failedReason", "broken");
    server_number(&f->server,
                  "XADD " KEY "events * event failed jobId job-a failedReason broken prev active");
    int64_t until = clock_monotonic_ms() + PATIENCE_MS;
    while (moves(&f->jobs, "job-a", "failed") == 0 && clock_monotonic_ms() < until)
        usleep(10000);
    assert_int_equal(records(f, "job-a", "failed"), 1);
    assert_int_equal(moves(&f->jobs, "job-a", "failed"), 1);
}

static void await_moves(struct fixture *f, const char *id, const char *move)
{
    int64_t until = clock_monotonic_ms() + PATIENCE_MS;
    while (moves(&f->jobs, id, move) == 0 && clock_monotonic_ms() < until)
        usleep(10000);
    assert_int_equal(moves(&f->jobs, id, move), 1);
}

static void one_record_that_cannot_follow_holds_up_no_other(void **state)
{
    struct fixture *f = *state;
    log_configure(LOG_ERROR + 1, true);
    add(&f->jobs, "job-a", "spoilt", 10);
    add(&f->jobs, "job-b", "echo", 10);
    end_by_other(f, "job-a", "completed", "returnvalue", "1");
    end_by_other(f, "job-b", "completed", "returnvalue", "1");
    assert_int_equal(bull_sync_all(bullmq_of(f->jobs.q), NULL), -EBADMSG);
    assert_int_equal(moves(&f->jobs, "job-b", "completed"), 1);
    add(&f->jobs, "job-c", "echo", 10);
    assert_int_equal(queue_start(f->jobs.q), 0);
    end_by_other(f, "job-c", "completed", "returnvalue", "1");
    server_number(&f->server, "XADD " KEY "events * event completed jobId job-a returnvalue 1");
    server_number(&f->server, "XADD " KEY "events * event completed jobId job-c returnvalue 1");
    await_moves(f, "job-c", "completed");
    assert_int_equal(records(f, "job-a", "waiting"), 1);
}

/* Larger than any answer that is taken. */
static void events_of_any_size_are_got_past(void **state)
{
    struct fixture *f = *state;
    size_t size = REDIS_REPLY_MOST + 1024;
    char *large = malloc(size);
    assert_non_null(large);
    memset(large, '7', size);
    log_configure(LOG_ERROR, true);
    static const char *const ids[] = {"job-a", "job-b", "job-c"};
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        add(&f->jobs, ids[i], "echo", 10);
        end_by_other(f, ids[i], "completed", "returnvalue", "1");
        server_number(&f->server, "DEL " KEY "%s", ids[i]); /* only the events tell of them */
    }
    server_number(&f->server, "XADD " KEY "events * event completed jobId job-a returnvalue 1");
    assert_int_equal(queue_start(f->jobs.q), 0);
    await_moves(f, "job-a", "completed"); /* somebody follows, and waits for more */
    server_number(&f->server, "XADD " KEY "events * event completed jobId job-b returnvalue %b", large, size);
    server_number(&f->server, "XADD " KEY "events * event completed jobId job-c returnvalue 1");
    free(large);
    await_moves(f, "job-b", "completed");
    await_moves(f, "job-c", "completed");
}

/* Its list of waiting jobs is none. */
static void a_queue_that_is_spoilt_holds_up_no_other(void **state)
{
    struct fixture *f = *state;
    struct queue_upkeep u = {.queues = 1U << QUEUE_MEDIA | 1U << QUEUE_SCRAPE};
    struct queue_add job = {.id = "job-b", .queue = QUEUE_SCRAPE, .operation = "echo"};
    log_configure(LOG_ERROR + 1, true);
    assert_int_equal(add_all(f->jobs.q, f->jobs.db, &job, 1), 0);
    server_number(&f->server, "SET " KEY "wait text");
    assert_true(f->jobs.q->engine->upkeep(f->jobs.q, &u) < 0);
    assert_int_equal(u.fresh, 1U << QUEUE_SCRAPE);
}

static void lines_of_any_size_are_cut(void **state)
{
    struct fixture *f = *state;
    static char line[100000];
    struct queue_line *lines;
    size_t n;
    struct arena a;
    memset(line, 'x', sizeof line - 1);
    memcpy(line + 999, "\xc3\xa9", 2);
    add(&f->jobs, "job-a", "echo", 10);
    server_number(&f->server, "RPUSH " KEY "job-a:logs %s \xff\xfe short", line);
    arena_init(&a, 1 << 20);
    assert_int_equal(queue_log_lines(f->jobs.q, "job-a", &a, 10, &lines, &n), 0);
    assert_int_equal(n, 2);
    assert_int_equal(strlen(lines[0].text), 999);
    assert_string_equal(lines[1].text, "short");
    arena_free(&a);
}

static void a_job_that_was_not_kept_tells_its_end_by_its_event(void **state)
{
    struct fixture *f = *state;
    struct bullmq *b = bullmq_of(f->jobs.q);
    static const char *const ids[] = {"job-a", "job-b", "job-c"};
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        add(&f->jobs, ids[i], "echo", 10);
        server_number(&f->server, "DEL " KEY "%s", ids[i]);
        server_number(&f->server, "ZREM " KEY "prioritized %s", ids[i]);
    }
    struct bull_hint hints[] = {{.id = "job-a", .end = "completed", .value = "7"},
                                {.id = "job-b", .end = "removed"},
                                {.id = "job-c"}};
    assert_int_equal(bull_sync(b, QUEUE_MEDIA, hints, 3), 0);
    assert_int_equal(moves(&f->jobs, "job-a", "completed"), 1);
    assert_int_equal(moves(&f->jobs, "job-b", "cancelled"), 1);
    assert_int_equal(records(f, "job-c", "waiting"), 1);
}

static void what_somebody_removed_is_cancelled_and_what_was_lost_comes_back(void **state)
{
    struct fixture *f = *state;
    log_configure(LOG_ERROR, true);
    add(&f->jobs, "job-a", "echo", 10);
    add(&f->jobs, "job-b", "echo", 10);
    server_number(&f->server, "DEL " KEY "job-a " KEY "job-b " KEY "prioritized");
    server_number(&f->server, "XADD " KEY "events * event removed jobId job-a prev prioritized");
    assert_int_equal(queue_start(f->jobs.q), 0);
    int64_t until = clock_monotonic_ms() + PATIENCE_MS;
    while (server_number(&f->server, "EXISTS " KEY "job-b") == 0 && clock_monotonic_ms() < until)
        usleep(10000);
    assert_int_equal(moves(&f->jobs, "job-a", "cancelled"), 1);
    assert_int_equal(server_number(&f->server, "EXISTS " KEY "job-a"), 0);
    run_one(f, "job-b");
}

static void an_outbox_keeps_nothing_of_who_is_gone(void **state)
{
    struct fixture *f = *state;
    add_and_die(f, "job-a");
    run_sql(f->jobs.db, "DELETE FROM queue_jobs");
    assert_int_equal(bull_sweep_outbox(bullmq_of(f->jobs.q)), 0);
    assert_int_equal(outbox(f), 0);
}

static void an_active_job_of_ours_is_its_workers_affair(void **state)
{
    struct fixture *f = *state;
    add(&f->jobs, "job-a", "echo", 10);
    struct queue_claim *c = claim(f);
    assert_int_equal(bull_sync_all(bullmq_of(f->jobs.q), NULL), 0);
    server_number(&f->server, "DEL " KEY "job-a:lock");
    assert_int_equal(bull_sync_all(bullmq_of(f->jobs.q), NULL), 0);
    assert_int_equal(records(f, "job-a", "active"), 1);
    assert_int_equal(moves(&f->jobs, "job-a", "started"), 1);
    server_number(&f->server, "SET " KEY "job-a:lock node:1");
    assert_int_equal(bull_sync_all(bullmq_of(f->jobs.q), NULL), 0);
    assert_true(end(f, c, QUEUE_COMPLETED).lost);
    assert_int_equal(moves(&f->jobs, "job-a", "completed"), 0);
}

/* ---- the queue as a whole */

static void retention_is_what_the_job_says(void **state)
{
    struct fixture *f = *state;
    static const char *const ids[] = {"1", "2", "3", "4"};
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        add_foreign(f, ids[i], "echo", "{}", "{\"removeOnComplete\":{\"count\":2}}");
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        assert_false(end(f, claim(f), QUEUE_COMPLETED).lost);
    assert_int_equal(server_number(&f->server, "ZCARD " KEY "completed"), 2);
    assert_int_equal(server_number(&f->server, "EXISTS " KEY "1"), 0);
    add_foreign(f, "5", "echo", "{}", "{\"removeOnComplete\":true}");
    assert_false(end(f, claim(f), QUEUE_COMPLETED).lost);
    assert_int_equal(server_number(&f->server, "EXISTS " KEY "5"), 0);
    assert_int_equal(server_number(&f->server, "ZCARD " KEY "completed"), 2);
}

static void pausing_keeps_jobs_where_each_version_looks_for_them(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *version, *list;
    } known[] = {{"bullmq:5.81.5", "paused"}, {"bullmq:6.7.0", "wait"}, {"", "paused"}};
    struct queue_counts counts[QUEUES];
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        server_number(&f->server, "FLUSHALL");
        server_number(&f->server, "HSET " KEY "meta version %s", known[i].version);
        add_foreign(f, "1", "echo", "{}", "{}");
        add_foreign(f, "2", "echo", "{}", "{}");
        assert_int_equal(queue_pause(f->jobs.q, QUEUE_MEDIA), 0);
        assert_int_equal(queue_pause(f->jobs.q, QUEUE_MEDIA), 0);
        assert_int_equal(server_number(&f->server, "LLEN " KEY "%s", known[i].list), 2);
        claim_none(f);
        assert_int_equal(queue_count(f->jobs.q, counts), 0);
        assert_true(counts[QUEUE_MEDIA].paused);
        assert_int_equal(counts[QUEUE_MEDIA].state[JOB_WAITING], 2);
        server_number(&f->server, "LPUSH " KEY "paused 3"); /* one that came in the other way */
        server_number(&f->server, "HSET " KEY "3 name echo data {} opts {} timestamp 5");
        assert_int_equal(queue_resume(f->jobs.q, QUEUE_MEDIA), 0);
        assert_int_equal(server_number(&f->server, "LLEN " KEY "wait"), 3);
        assert_int_equal(server_number(&f->server, "LLEN " KEY "paused"), 0);
    }
}

static void limits_of_the_queue_hold(void **state)
{
    struct fixture *f = *state;
    add(&f->jobs, "job-a", "echo", 10);
    add(&f->jobs, "job-b", "echo", 10);
    server_number(&f->server, "HSET " KEY "meta concurrency 1");
    struct queue_claim *c = claim(f);
    claim_none(f);
    assert_false(end(f, c, QUEUE_COMPLETED).lost);
    server_number(&f->server, "HDEL " KEY "meta concurrency");
    server_number(&f->server, "HSET " KEY "meta max 1 duration 3600000");
    run_one(f, "job-b");
    add(&f->jobs, "job-c", "echo", 10);
    claim_none(f);
    server_number(&f->server, "DEL " KEY "limiter");
    run_one(f, "job-c");
}

static void a_parent_goes_on_when_its_child_is_done(void **state)
{
    struct fixture *f = *state;
    add_foreign(f, "child", "echo", "{}", "{}");
    server_number(&f->server, "HSET " KEY "child parentKey " KEY "parent parent %s",
                  "{\"id\":\"parent\",\"queueKey\":\"bull:media-jobs\"}");
    server_number(&f->server, "HSET " KEY "parent name echo data {} opts {} timestamp 5 delay 0 priority 0");
    server_number(&f->server, "ZADD " KEY "waiting-children 1 parent");
    server_number(&f->server, "SADD " KEY "parent:dependencies " KEY "child");
    run_one(f, "media-jobs:child");
    char text[256];
    assert_string_equal(server_text(&f->server, text, "HGET " KEY "parent:processed " KEY "child"),
                        "{\"n\":1}");
    run_one(f, "media-jobs:parent");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(store_and_redis_agree_from_beginning_to_end),
        TEST(lower_priorities_come_first_and_equals_in_order),
        TEST(a_delayed_job_waits_for_its_time),
        TEST(an_attempt_that_failed_comes_again_later),
        TEST(what_is_handed_back_goes_before_its_equals_and_is_no_attempt),
        TEST(progress_and_lines_are_in_both),
        TEST(a_job_whose_adder_died_is_carried_by_the_leader),
        TEST(carrying_twice_is_adding_once),
        TEST(without_redis_adding_is_unconfirmed_and_kept),
        TEST(what_redis_lost_is_added_again),
        TEST(what_was_removed_just_now_is_not_added_again),
        TEST(a_redis_that_refuses_is_as_one_that_is_away),
        TEST(what_redis_says_twice_is_not_asked_again),
        TEST(a_redis_that_is_full_loses_nothing),
        TEST(a_worker_that_lost_its_lock_settles_nothing),
        TEST(a_token_in_the_record_stops_a_late_worker_even_with_a_lock),
        TEST(a_job_that_ended_in_the_store_alone_does_not_run_again),
        TEST(a_job_that_stalls_too_often_fails),
        TEST(a_claim_outlives_a_redis_that_is_killed),
        TEST(an_end_that_redis_did_not_hear_is_told_later),
        TEST(a_job_whose_handler_refuses_its_beginning_is_put_off),
        TEST(a_waiting_job_is_cancelled_at_once_in_both),
        TEST(an_active_job_hears_of_its_cancel),
        TEST(a_job_that_never_came_to_redis_is_cancelled_in_the_store),
        TEST(a_cancel_without_redis_is_not_forgotten),
        TEST(a_cancel_is_told_to_who_runs_the_job),
        TEST(a_job_whose_record_was_ended_ends_in_redis_too),
        TEST(a_run_whose_record_was_ended_is_stopped_and_ends_as_the_record_says),
        TEST(a_job_whose_record_was_deleted_is_not_run_nor_written_anew),
        TEST(what_is_forgotten_is_gone_from_redis),
        TEST(one_record_that_cannot_follow_holds_up_no_other),
        TEST(events_of_any_size_are_got_past),
        TEST(a_queue_that_is_spoilt_holds_up_no_other),
        TEST(lines_of_any_size_are_cut),
        TEST(a_batch_that_is_too_large_is_carried_in_parts),
        TEST(a_job_of_others_gets_a_record),
        TEST(a_number_that_comes_again_is_another_job),
        TEST(the_owner_is_the_rows_and_not_the_datas),
        TEST(hostile_jobs_fail_and_harm_nobody),
        TEST(what_others_completed_is_seen_and_moved_once),
        TEST(what_others_failed_is_learnt_from_events),
        TEST(a_job_that_was_not_kept_tells_its_end_by_its_event),
        TEST(what_somebody_removed_is_cancelled_and_what_was_lost_comes_back),
        TEST(an_outbox_keeps_nothing_of_who_is_gone),
        TEST(an_active_job_of_ours_is_its_workers_affair),
        TEST(retention_is_what_the_job_says),
        TEST(pausing_keeps_jobs_where_each_version_looks_for_them),
        TEST(limits_of_the_queue_hold),
        TEST(a_parent_goes_on_when_its_child_is_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
