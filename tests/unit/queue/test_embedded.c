/* SPDX-License-Identifier: MIT */
/* The embedded engine by itself: what a step, a round of notes and the upkeep do to the rows. */
#include "jobs.h"

#include "base/uuid.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

static const struct queue_handler handlers[] = {
    {.queue = QUEUE_MEDIA, .moved = write_move},
    {.queue = QUEUE_SCRAPE, .moved = write_move},
    {.queue = QUEUE_ONBOARDING, .moved = write_move},
    QUEUE_HANDLERS_END,
};

static int set_up(void **state)
{
    struct jobs *k = calloc(1, sizeof *k);
    assert_non_null(k);
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

/* ---- steps by hand */

static size_t claim_from(struct queue *q, enum queue_name queue, size_t want, struct queue_claim **ret)
{
    struct queue_step step = {.queue = queue, .want = want};
    assert_int_equal(q->engine->step(q, &step), 0);
    memcpy(ret, step.claimed, step.n_claimed * sizeof *ret);
    return step.n_claimed;
}

static struct queue_claim *claim_one(struct jobs *k)
{
    struct queue_claim *claim = NULL;
    assert_int_equal(claim_from(k->q, QUEUE_MEDIA, 1, &claim), 1);
    return claim;
}

static void claim_none(struct jobs *k)
{
    struct queue_claim *claim = NULL;
    assert_int_equal(claim_from(k->q, QUEUE_MEDIA, 1, &claim), 0);
}

static int settle_by(struct jobs *k, struct queue_settle *settle)
{
    struct queue_settle *all[] = {settle};
    struct queue_step step = {.queue = QUEUE_MEDIA, .settle = all, .n_settle = 1};
    return k->q->engine->step(k->q, &step);
}

/* Ends a claim, which is freed; what came of it. */
static struct queue_settle end(struct jobs *k, struct queue_claim *claim, enum queue_move move)
{
    struct queue_settle settle = {.claim = claim, .move = move, .percent = -1, .error = "why not"};
    assert_int_equal(settle_by(k, &settle), 0);
    queue_claim_free(claim);
    settle.claim = NULL;
    return settle;
}

static struct queue_upkeep keep_up(struct jobs *k, bool trim)
{
    struct queue_upkeep u = {.queues = 7, .trim = trim};
    assert_int_equal(k->q->engine->upkeep(k->q, &u), 0);
    return u;
}

static void end_lease(struct jobs *k, const char *id)
{
    run_sql(k->db, "UPDATE queue_jobs SET lease_until = '2020-01-01T00:00:00.000Z' WHERE id = '%s'", id);
}

static void make_due(struct jobs *k)
{
    run_sql(k->db, "UPDATE queue_jobs SET run_at = '2020-01-01T00:00:00.000Z' WHERE state = 'delayed'");
    (void)keep_up(k, false);
}

/* ---- adding */

static void what_breaks_a_rule_is_not_added(void **state)
{
    struct jobs *k = *state;
    char longest[QUEUE_ID_MAX + 2];
    memset(longest, 'a', sizeof longest);
    longest[QUEUE_ID_MAX + 1] = '\0';
    const struct queue_add good = {.id = "job-1", .queue = QUEUE_MEDIA, .operation = "x"};
    struct queue_add bad[10] = {good, good, good, good, good, good, good, good, good, good};
    bad[0].id = "17";
    bad[1].id = "a:b";
    bad[2].id = longest;
    bad[3].id = "";
    bad[4].priority = -1;
    bad[5].priority = QUEUE_PRIORITY_MAX + 1;
    bad[6].operation = "";
    bad[7].delay_ms = -1;
    bad[8].id = "a b";
    bad[9].queue = QUEUES;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(add_all(k->q, k->db, &bad[i], 1), -EINVAL);
    longest[QUEUE_ID_MAX] = '\0';
    struct queue_add fits = good;
    fits.id = longest;
    assert_int_equal(add_all(k->q, k->db, &fits, 1), 0);
    assert_int_equal(count_sql(k->db, "SELECT count(*) FROM queue_jobs"), 1);
}

static void an_id_is_used_once_and_a_unit_is_all_or_nothing(void **state)
{
    struct jobs *k = *state;
    struct queue_add two[] = {{.id = "b-1", .queue = QUEUE_MEDIA, .operation = "x"},
                              {.id = "a-1", .queue = QUEUE_SCRAPE, .operation = "x"}};
    add(k, "a-1", "x", 10);
    assert_int_equal(add_all(k->q, k->db, two, 2), -EEXIST);
    struct adding undone = {.q = k->q, .jobs = two, .n = 1, .fail = -EPERM};
    assert_int_equal(db_write(k->db, add_unit, &undone), -EPERM);
    assert_int_equal(count_sql(k->db, "SELECT count(*) FROM queue_jobs"), 1);
    assert_int_equal(end(k, claim_one(k), QUEUE_COMPLETED).lost, false);
    assert_int_equal(add_all(k->q, k->db, &(struct queue_add){.id = "a-1", .operation = "x"}, 1), -EEXIST);
}

static void lower_priorities_come_first_and_equal_ones_in_order(void **state)
{
    struct jobs *k = *state;
    static const char *const order[] = {"zero-1", "five-1", "five-2", "ten-1", "ten-2", "ten-3"};
    struct queue_claim *claims[8];
    add(k, "ten-1", "x", 10);
    add(k, "five-1", "x", 5);
    add(k, "ten-2", "x", 10);
    add(k, "zero-1", "x", 0);
    add(k, "five-2", "x", 5);
    add(k, "ten-3", "x", 10);
    assert_int_equal(state_of(k, "zero-1"), JOB_WAITING);
    assert_int_equal(state_of(k, "ten-1"), JOB_PRIORITIZED);
    assert_int_equal(claim_from(k->q, QUEUE_SCRAPE, 8, claims), 0); /* another queue's */
    assert_int_equal(claim_from(k->q, QUEUE_MEDIA, 4, claims), 4);
    assert_int_equal(claim_from(k->q, QUEUE_MEDIA, 4, claims + 4), 2);
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        assert_string_equal(claims[i]->job.id, order[i]);
        assert_int_equal(claims[i]->job.attempt, 1);
        queue_claim_free(claims[i]);
    }
    assert_int_equal(moves(k, NULL, "started"), 6);
    claim_none(k);
}

static void a_job_carries_what_it_was_given(void **state)
{
    struct jobs *k = *state;
    struct queue_add job = {.id = "a-1",
                            .queue = QUEUE_MEDIA,
                            .operation = "resize_image",
                            .max_attempts = 5,
                            .priority = 7,
                            .data = "{\"jobId\":\"x\",\"params\":{\"width\":640}}"};
    struct arena a;
    arena_init(&a, 1 << 20);
    assert_int_equal(add_all(k->q, k->db, &job, 1), 0);
    struct queue_claim *claim = claim_one(k);
    assert_null(claim->unfit);
    assert_string_equal(claim->job.operation, "resize_image");
    assert_int_equal(claim->job.queue, QUEUE_MEDIA);
    assert_int_equal(claim->job.max_attempts, 5);
    assert_int_equal(json_int(json_object_get(claim->job.data, "params"), "width", 0), 640);
    json_t *result = json_pack("{s:i}", "bytes", 17);
    struct queue_settle settle = {.claim = claim,
                                  .move = QUEUE_COMPLETED,
                                  .percent = -1,
                                  .result = result,
                                  .result_text = "{\"bytes\":17}"};
    assert_int_equal(settle_by(k, &settle), 0);
    queue_claim_free(claim);
    json_decref(result);
    struct queue_info info = look(k, "a-1", &a);
    assert_int_equal(info.state, JOB_COMPLETED);
    assert_int_equal(info.progress, 100);
    assert_int_equal(info.priority, 7);
    assert_non_null(strstr(info.result, "17"));
    assert_null(info.error);
    assert_non_null(info.finished_at);
    assert_int_equal(queue_look(k->q, "b-1", &a, &info), -ENOENT);
    arena_free(&a);
}

static void data_that_is_no_object_is_said_to_be_unfit(void **state)
{
    struct jobs *k = *state;
    add(k, "a-1", "x", 10);
    run_sql(k->db, "UPDATE queue_jobs SET data = '[1]'");
    struct queue_claim *claim = claim_one(k);
    assert_non_null(claim->unfit);
    assert_true(json_is_object(claim->job.data));
    queue_claim_free(claim);
}

/* ---- ends */

static void effects_and_states_are_one_unit(void **state)
{
    struct jobs *k = *state;
    add(k, "a-1", "refuse completed", 10);
    struct queue_claim *claim = claim_one(k);
    struct queue_settle settle = {.claim = claim, .move = QUEUE_COMPLETED, .percent = -1};
    assert_int_equal(settle_by(k, &settle), -EPERM);
    assert_int_equal(moves(k, "a-1", "completed"), 0);
    assert_int_equal(state_of(k, "a-1"), JOB_ACTIVE);
    settle.move = QUEUE_FAILED;
    assert_int_equal(settle_by(k, &settle), 0);
    assert_int_equal(moves(k, "a-1", "failed"), 1);
    assert_int_equal(state_of(k, "a-1"), JOB_FAILED);
    assert_int_equal(settle_by(k, &settle), 0); /* it has ended: once */
    assert_true(settle.lost);
    assert_int_equal(moves(k, "a-1", "failed"), 1);
    queue_claim_free(claim);
}

static void one_that_refuses_undoes_the_whole_step(void **state)
{
    struct jobs *k = *state;
    add(k, "a-1", "x", 10);
    add(k, "b-1", "refuse completed", 10);
    add(k, "c-1", "x", 10);
    struct queue_claim *claims[2];
    assert_int_equal(claim_from(k->q, QUEUE_MEDIA, 2, claims), 2);
    struct queue_settle ends[] = {{.claim = claims[0], .move = QUEUE_COMPLETED, .percent = -1},
                                  {.claim = claims[1], .move = QUEUE_COMPLETED, .percent = -1}};
    struct queue_settle *all[] = {&ends[0], &ends[1]};
    struct queue_step step = {.queue = QUEUE_MEDIA, .settle = all, .n_settle = 2, .want = 1};
    assert_int_equal(k->q->engine->step(k->q, &step), -EPERM);
    assert_int_equal(step.n_claimed, 0);
    assert_int_equal(state_of(k, "a-1"), JOB_ACTIVE);
    assert_int_equal(state_of(k, "c-1"), JOB_PRIORITIZED);
    assert_int_equal(moves(k, NULL, "completed"), 0);
    queue_claim_free(claims[0]);
    queue_claim_free(claims[1]);
}

static void who_lost_the_lease_writes_nothing(void **state)
{
    struct jobs *k = *state;
    add(k, "a-1", "x", 10);
    struct queue_claim *late = claim_one(k);
    struct queue_settle settle = {.claim = late, .move = QUEUE_COMPLETED, .percent = 50};
    end_lease(k, "a-1");
    assert_int_equal(settle_by(k, &settle), 0);
    assert_true(settle.lost); /* though nobody has taken it yet */
    struct queue_note note = {.claim = late, .renew = true, .percent = 40};
    assert_int_equal(k->q->engine->notes(k->q, &note, 1), 0);
    assert_true(note.lost);
    (void)keep_up(k, false);
    assert_int_equal(moves(k, "a-1", "returned"), 1);
    struct queue_claim *next = claim_one(k);
    assert_int_equal(next->job.attempt, 1); /* a death is no attempt */
    assert_string_not_equal(next->token, late->token);
    assert_int_equal(settle_by(k, &settle), 0);
    assert_true(settle.lost);
    assert_int_equal(moves(k, "a-1", "completed"), 0);
    assert_false(end(k, next, QUEUE_COMPLETED).lost);
    assert_int_equal(moves(k, "a-1", "completed"), 1);
    queue_claim_free(late);
}

static void a_lease_is_renewed_and_notes_are_stored(void **state)
{
    struct jobs *k = *state;
    static const char *const lines[] = {"one", "two"};
    struct arena a;
    struct queue_line *log;
    size_t n;
    arena_init(&a, 1 << 20);
    add(k, "a-1", "x", 10);
    struct queue_claim *claim = claim_one(k);
    run_sql(k->db, "UPDATE queue_jobs SET lease_until = '2999-01-01T00:00:00.000Z'");
    struct queue_note note = {.claim = claim, .renew = true, .percent = 40, .lines = lines, .n_lines = 2};
    int64_t before = clock_monotonic_ms();
    assert_int_equal(k->q->engine->notes(k->q, &note, 1), 0);
    assert_false(note.lost);
    assert_false(note.cancelled);
    assert_true(note.good_until_ms >= before + QUEUE_LEASE_MS);
    assert_int_equal(count_sql(k->db, "SELECT count(*) FROM queue_jobs WHERE lease_until < '2999-01-01'"), 1);
    assert_int_equal(look(k, "a-1", &a).progress, 40);
    assert_int_equal(queue_log_lines(k->q, "a-1", &a, 10, &log, &n), 0);
    assert_int_equal(n, 2);
    assert_string_equal(log[0].text, "one");
    assert_string_equal(log[1].text, "two");
    assert_int_equal(queue_log_lines(k->q, "a-1", &a, 1, &log, &n), 0);
    assert_int_equal(n, 1);
    assert_string_equal(log[0].text, "two");
    assert_false(end(k, claim, QUEUE_COMPLETED).lost);
    arena_free(&a);
}

static void a_log_has_an_end(void **state)
{
    struct jobs *k = *state;
    const char *lines[300];
    struct arena a;
    struct queue_line *log;
    size_t n;
    arena_init(&a, 1 << 22);
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        lines[i] = "again";
    add(k, "a-1", "x", 10);
    struct queue_claim *claim = claim_one(k);
    for (int i = 0; i < 4; i++) {
        struct queue_note note = {.claim = claim, .percent = -1, .lines = lines, .n_lines = ARRAY_LEN(lines)};
        assert_int_equal(k->q->engine->notes(k->q, &note, 1), 0);
    }
    assert_int_equal(queue_log_lines(k->q, "a-1", &a, SIZE_MAX, &log, &n), 0);
    assert_int_equal(n, QUEUE_LOG_LINES);
    assert_string_equal(log[n - 1].text, "Further lines are left out");
    assert_string_equal(log[n - 2].text, "again");
    queue_claim_free(claim);
    arena_free(&a);
}

static void a_job_stalls_three_times_and_then_fails(void **state)
{
    struct jobs *k = *state;
    struct arena a;
    arena_init(&a, 1 << 20);
    add(k, "a-1", "x", 10);
    for (int i = 0; i < QUEUE_STALLED_MAX; i++) {
        queue_claim_free(claim_one(k));
        (void)keep_up(k, false);
        assert_int_equal(state_of(k, "a-1"), JOB_ACTIVE); /* its lease holds */
        end_lease(k, "a-1");
        assert_true(keep_up(k, false).fresh & (1U << QUEUE_MEDIA));
        assert_int_equal(state_of(k, "a-1"), JOB_PRIORITIZED);
    }
    queue_claim_free(claim_one(k));
    end_lease(k, "a-1");
    (void)keep_up(k, false);
    struct queue_info info = look(k, "a-1", &a);
    assert_int_equal(info.state, JOB_FAILED);
    assert_string_equal(info.error, QUEUE_ERROR_STALLED);
    assert_int_equal(info.attempts, 0);
    assert_int_equal(moves(k, "a-1", "returned"), QUEUE_STALLED_MAX);
    assert_int_equal(moves(k, "a-1", "failed"), 1);
    claim_none(k);
    arena_free(&a);
}

static void a_stalled_one_that_refuses_holds_up_nobody(void **state)
{
    struct jobs *k = *state;
    struct queue_claim *claims[2];
    add(k, "a-1", "refuse returned", 10);
    add(k, "b-1", "x", 10);
    assert_int_equal(claim_from(k->q, QUEUE_MEDIA, 2, claims), 2);
    queue_claim_free(claims[0]);
    queue_claim_free(claims[1]);
    end_lease(k, "a-1");
    end_lease(k, "b-1");
    struct queue_upkeep u = {.queues = 7};
    assert_int_equal(k->q->engine->upkeep(k->q, &u), -EPERM);
    assert_int_equal(state_of(k, "a-1"), JOB_ACTIVE);
    assert_int_equal(state_of(k, "b-1"), JOB_PRIORITIZED);
}

static void one_whose_beginning_is_refused_lets_others_pass(void **state)
{
    struct jobs *k = *state;
    add(k, "a-1", "refuse started", 5);
    add(k, "b-1", "x", 10);
    struct queue_step step = {.queue = QUEUE_MEDIA, .want = 1};
    assert_int_equal(k->q->engine->step(k->q, &step), -EPERM);
    assert_int_equal(state_of(k, "a-1"), JOB_DELAYED);
    struct queue_claim *claim = claim_one(k);
    assert_string_equal(claim->job.id, "b-1");
    queue_claim_free(claim);
}

/* ---- delays and retries */

static void a_delayed_job_waits_for_its_time(void **state)
{
    struct jobs *k = *state;
    struct queue_add later = {.id = "a-1", .operation = "x", .delay_ms = 3600000, .priority = 10};
    struct arena a;
    arena_init(&a, 1 << 20);
    assert_int_equal(add_all(k->q, k->db, &later, 1), 0);
    assert_non_null(look(k, "a-1", &a).run_at);
    assert_int_equal(keep_up(k, false).fresh, 0);
    claim_none(k);
    assert_int_equal(state_of(k, "a-1"), JOB_DELAYED);
    make_due(k);
    assert_int_equal(state_of(k, "a-1"), JOB_PRIORITIZED);
    assert_null(look(k, "a-1", &a).run_at);
    queue_claim_free(claim_one(k));
    arena_free(&a);
}

static void count_call(void *ctx)
{
    (void)atomic_fetch_add((atomic_int *)ctx, 1);
}

static void who_watches_a_delayed_job_hears_when_it_waits(void **state)
{
    struct jobs *k = *state;
    struct queue_add later = {.id = "a-1", .operation = "x", .delay_ms = 3600000};
    struct queue_watch *watch;
    atomic_int calls = 0;
    assert_int_equal(add_all(k->q, k->db, &later, 1), 0);
    run_sql(k->db, "UPDATE queue_jobs SET run_at = '2020-01-01T00:00:00.000Z'");
    store_await_listening(k->db);
    assert_int_equal(queue_watch(k->q, "a-1", count_call, &calls, &watch), 0);
    int before = atomic_load(&calls);
    (void)keep_up(k, false);
    assert_true(atomic_load(&calls) > before);
    assert_int_equal(state_of(k, "a-1"), JOB_WAITING);
    queue_unwatch(k->q, watch);
}

static void the_upkeep_knows_when_the_next_is_due(void **state)
{
    struct jobs *k = *state;
    struct queue_add soon = {.id = "a-1", .operation = "x", .delay_ms = 2000};
    assert_true(keep_up(k, false).next_ms > 2000);
    assert_int_equal(add_all(k->q, k->db, &soon, 1), 0);
    assert_true(keep_up(k, false).next_ms <= 2000);
}

static void a_retry_is_an_attempt_and_a_return_is_none(void **state)
{
    struct jobs *k = *state;
    add(k, "a-1", "x", 10);
    struct queue_claim *claim = claim_one(k);
    struct queue_settle settle = {.claim = claim,
                                  .move = QUEUE_RETRIED,
                                  .delay_ms = 60000,
                                  .percent = -1,
                                  .error = "the network is down"};
    assert_int_equal(settle_by(k, &settle), 0);
    queue_claim_free(claim);
    assert_int_equal(state_of(k, "a-1"), JOB_DELAYED);
    make_due(k);
    claim = claim_one(k);
    assert_int_equal(claim->job.attempt, 2);
    settle = (struct queue_settle){.claim = claim, .move = QUEUE_RETURNED, .percent = -1};
    assert_int_equal(settle_by(k, &settle), 0);
    queue_claim_free(claim);
    claim = claim_one(k); /* at once */
    assert_int_equal(claim->job.attempt, 2);
    settle = (struct queue_settle){.claim = claim, .move = QUEUE_RETURNED, .delay_ms = 60000, .percent = -1};
    assert_int_equal(settle_by(k, &settle), 0);
    queue_claim_free(claim);
    assert_int_equal(state_of(k, "a-1"), JOB_DELAYED);
    assert_int_equal(moves(k, "a-1", "retried"), 1);
    assert_int_equal(moves(k, "a-1", "returned"), 2);
    assert_int_equal(count_sql(k->db, "SELECT count(*) FROM moves WHERE error = 'the network is down'"), 1);
}

/* ---- cancelling and pausing */

static enum queue_cancelled cancel(struct jobs *k, const char *id)
{
    enum queue_cancelled how;
    assert_int_equal(queue_cancel(k->q, id, &how), 0);
    return how;
}

static void what_waits_is_cancelled_at_once(void **state)
{
    struct jobs *k = *state;
    struct queue_add later = {.id = "b-1", .operation = "x", .delay_ms = 3600000};
    struct arena a;
    enum queue_cancelled how;
    arena_init(&a, 1 << 20);
    add(k, "a-1", "x", 10);
    assert_int_equal(add_all(k->q, k->db, &later, 1), 0);
    assert_int_equal(cancel(k, "a-1"), QUEUE_CANCEL_DONE);
    assert_int_equal(cancel(k, "b-1"), QUEUE_CANCEL_DONE);
    assert_int_equal(cancel(k, "a-1"), QUEUE_CANCEL_OVER);
    assert_int_equal(queue_cancel(k->q, "c-1", &how), -ENOENT);
    struct queue_info info = look(k, "a-1", &a);
    assert_int_equal(info.state, JOB_FAILED);
    assert_true(info.cancelled);
    assert_string_equal(info.error, QUEUE_ERROR_CANCELLED);
    assert_int_equal(moves(k, "a-1", "cancelled"), 1);
    assert_int_equal(moves(k, "b-1", "cancelled"), 1);
    make_due(k);
    claim_none(k);
    arena_free(&a);
}

static void a_cancel_that_is_refused_changes_nothing(void **state)
{
    struct jobs *k = *state;
    enum queue_cancelled how;
    add(k, "a-1", "refuse cancelled", 10);
    assert_int_equal(queue_cancel(k->q, "a-1", &how), -EPERM);
    assert_int_equal(state_of(k, "a-1"), JOB_PRIORITIZED);
    assert_int_equal(moves(k, "a-1", "cancelled"), 0);
}

static void what_runs_is_asked_to_end(void **state)
{
    struct jobs *k = *state;
    static const enum queue_move ends[] = {QUEUE_FAILED, QUEUE_RETRIED, QUEUE_RETURNED, QUEUE_COMPLETED};
    char id[8];
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        (void)snprintf(id, sizeof id, "a-%zu", i);
        add(k, id, "x", 10);
        struct queue_claim *claim = claim_one(k);
        assert_int_equal(cancel(k, id), QUEUE_CANCEL_ASKED);
        assert_int_equal(cancel(k, id), QUEUE_CANCEL_ASKED);
        struct queue_note note = {.claim = claim, .percent = -1};
        assert_int_equal(k->q->engine->notes(k->q, &note, 1), 0);
        assert_true(note.cancelled);
        struct queue_settle ended = end(k, claim, ends[i]);
        bool done = ends[i] == QUEUE_COMPLETED; /* it was that far */
        assert_int_equal(ended.made, done ? QUEUE_COMPLETED : QUEUE_CANCELLED);
        assert_int_equal(state_of(k, id), done ? JOB_COMPLETED : JOB_FAILED);
        assert_int_equal(moves(k, id, done ? "completed" : "cancelled"), 1);
    }
    add(k, "b-1", "x", 10);
    queue_claim_free(claim_one(k));
    assert_int_equal(cancel(k, "b-1"), QUEUE_CANCEL_ASKED);
    end_lease(k, "b-1"); /* its worker dies */
    (void)keep_up(k, false);
    assert_int_equal(moves(k, "b-1", "cancelled"), 1);
    assert_int_equal(state_of(k, "b-1"), JOB_FAILED);
}

static void a_paused_queue_stands_still(void **state)
{
    struct jobs *k = *state;
    struct queue_counts counts[QUEUES];
    add(k, "a-1", "x", 10);
    add(k, "b-1", "x", 10);
    struct queue_claim *runs = claim_one(k);
    assert_int_equal(queue_pause(k->q, QUEUE_MEDIA), 0);
    assert_int_equal(queue_pause(k->q, QUEUE_MEDIA), 0);
    claim_none(k);
    assert_false(end(k, runs, QUEUE_COMPLETED).lost); /* what runs goes on */
    assert_int_equal(queue_count(k->q, counts), 0);
    assert_true(counts[QUEUE_MEDIA].paused);
    assert_false(counts[QUEUE_SCRAPE].paused);
    assert_int_equal(counts[QUEUE_MEDIA].state[JOB_PRIORITIZED], 1);
    assert_int_equal(counts[QUEUE_MEDIA].state[JOB_COMPLETED], 1);
    assert_int_equal(queue_resume(k->q, QUEUE_MEDIA), 0);
    assert_int_equal(queue_resume(k->q, QUEUE_MEDIA), 0);
    queue_claim_free(claim_one(k));
}

/* ---- looking */

static void counts_and_lists_tell_states_apart(void **state)
{
    struct jobs *k = *state;
    struct queue_counts counts[QUEUES];
    struct queue_info *infos;
    struct arena a;
    size_t n;
    struct queue_add later = {.id = "later-1", .queue = QUEUE_SCRAPE, .operation = "x", .delay_ms = 3600000};
    arena_init(&a, 1 << 20);
    add(k, "zero-1", "x", 0);
    add(k, "ten-1", "x", 10);
    add(k, "ten-2", "x", 10);
    assert_int_equal(add_all(k->q, k->db, &later, 1), 0);
    queue_claim_free(claim_one(k)); /* zero-1 */
    assert_int_equal(queue_count(k->q, counts), 0);
    assert_int_equal(counts[QUEUE_MEDIA].state[JOB_ACTIVE], 1);
    assert_int_equal(counts[QUEUE_MEDIA].state[JOB_WAITING], 0);
    assert_int_equal(counts[QUEUE_MEDIA].state[JOB_PRIORITIZED], 2);
    assert_int_equal(counts[QUEUE_SCRAPE].state[JOB_DELAYED], 1);
    const struct {
        struct queue_filter filter;
        size_t n;
        const char *first;
    } lists[] = {
        {{.queue = -1, .state = -1, .limit = 10}, 4, "later-1"},
        {{.queue = QUEUE_MEDIA, .state = -1, .limit = 10}, 3, "ten-2"},
        {{.queue = -1, .state = JOB_PRIORITIZED, .limit = 10}, 2, "ten-2"},
        {{.queue = -1, .state = JOB_PRIORITIZED, .limit = 10, .offset = 1}, 1, "ten-1"},
        {{.queue = QUEUE_MEDIA, .state = JOB_ACTIVE, .limit = 10}, 1, "zero-1"},
        {{.queue = -1, .state = JOB_DELAYED, .limit = 1}, 1, "later-1"},
        {{.queue = QUEUE_ONBOARDING, .state = -1, .limit = 10}, 0, NULL},
        {{.queue = -1, .state = -1, .limit = 10, .user_id = "6f1b3b8e-0000-4000-8000-000000000000"}, 0, NULL},
        {{.queue = QUEUE_MEDIA,
          .state = JOB_FAILED,
          .limit = 10,
          .user_id = "6f1b3b8e-0000-4000-8000-000000000000"},
         0,
         NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        assert_int_equal(queue_list(k->q, &lists[i].filter, &a, &infos, &n), 0);
        assert_int_equal(n, lists[i].n);
        if (n > 0)
            assert_string_equal(infos[0].id, lists[i].first);
    }
    arena_free(&a);
}

/* ---- retention */

static void finished_jobs_are_kept_in_bounds(void **state)
{
    struct jobs *k = *state;
    run_sql(k->db, "INSERT INTO queue_jobs (id, queue, operation, state, finished_at)"
                   " WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1205)"
                   " SELECT 'done-' || i, 'media-jobs', 'x', 'completed', '2999-01-01T00:00:00.000Z' FROM n");
    static const char *const others[][3] = {{"old-1", "completed", "2020-01-01T00:00:00.000Z"},
                                            {"old-2", "failed", "2020-01-01T00:00:00.000Z"},
                                            {"new-1", "failed", "2999-01-01T00:00:00.000Z"}};
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        run_sql(k->db,
                "INSERT INTO queue_jobs (id, queue, operation, state, finished_at)"
                " VALUES ('%s', 'scrape-jobs', 'x', '%s', '%s')",
                others[i][0], others[i][1], others[i][2]);
    run_sql(k->db, "INSERT INTO queue_job_logs (job_id, line) VALUES ('old-1', 'x')");
    add(k, "a-1", "x", 10);
    (void)keep_up(k, true);
    assert_int_equal(count_sql(k->db, "SELECT count(*) FROM queue_jobs WHERE queue = 'media-jobs'"
                                      " AND state = 'completed'"),
                     QUEUE_KEEP_COMPLETED);
    assert_int_equal(count_sql(k->db, "SELECT count(*) FROM queue_jobs WHERE id = 'done-205'"), 0);
    assert_int_equal(count_sql(k->db, "SELECT count(*) FROM queue_jobs WHERE id = 'done-206'"), 1);
    assert_int_equal(count_sql(k->db, "SELECT count(*) FROM queue_jobs WHERE queue = 'scrape-jobs'"), 1);
    assert_int_equal(count_sql(k->db, "SELECT count(*) FROM queue_job_logs"), 0);
    assert_int_equal(state_of(k, "a-1"), JOB_PRIORITIZED);
}

/* ---- many at a time */

#define CROWD 8
#define CROWD_JOBS 400

struct claimer {
    pthread_t thread;
    struct queue *q;
    int claimed;
};

/* Settles what it had with each claim, as workers do. */
static void *claim_all(void *arg)
{
    struct claimer *me = arg;
    struct queue_claim *had[7];
    struct queue_settle ends[7];
    size_t n_had = 0;
    do {
        struct queue_settle *settle[7];
        struct queue_step step = {.queue = QUEUE_MEDIA, .settle = settle, .n_settle = n_had, .want = 7};
        for (size_t i = 0; i < n_had; i++) {
            ends[i] = (struct queue_settle){.claim = had[i], .move = QUEUE_COMPLETED, .percent = -1};
            settle[i] = &ends[i];
        }
        if (me->q->engine->step(me->q, &step) < 0)
            continue; /* the store was too busy: nothing was done */
        for (size_t i = 0; i < n_had; i++) {
            me->claimed += !ends[i].lost;
            queue_claim_free(had[i]);
        }
        n_had = step.n_claimed;
        memcpy(had, step.claimed, n_had * sizeof had[0]);
    } while (n_had > 0);
    return NULL;
}

static void of_many_who_claim_each_job_goes_to_one(void **state)
{
    struct jobs *k = *state;
    struct db_options options = store_options(k->store);
    struct claimer crowd[CROWD] = {0};
    struct db *other = NULL;
    struct queue *q = NULL;
    int sum = 0;
    options.connections = CROWD;
    assert_int_equal(db_open(&options, &other), 0); /* as another process would */
    assert_int_equal(queue_open(&k->cfg, other, &q), 0);
    queue_set_handlers(q, handlers);
    add_many(k, "job", "x", CROWD_JOBS);
    for (int i = 0; i < CROWD; i++) {
        crowd[i].q = i % 2 ? q : k->q;
        assert_int_equal(pthread_create(&crowd[i].thread, NULL, claim_all, &crowd[i]), 0);
    }
    for (int i = 0; i < CROWD; i++) {
        assert_int_equal(pthread_join(crowd[i].thread, NULL), 0);
        sum += crowd[i].claimed;
    }
    assert_int_equal(sum, CROWD_JOBS);
    assert_int_equal(moves(k, NULL, "started"), CROWD_JOBS);
    assert_int_equal(moves(k, NULL, "completed"), CROWD_JOBS);
    assert_int_equal(count_sql(k->db, "SELECT count(DISTINCT job) FROM moves WHERE move = 'completed'"),
                     CROWD_JOBS);
    queue_close(q);
    db_close(other);
}

/* ---- a full disk */

static void a_full_disk_loses_nothing(void **state)
{
    struct jobs *k = *state;
    struct rlimit before, small;
    if (store_is_postgres())
        skip(); /* the server's disk is its own affair */
    _cleanup_free_ char *large = malloc(200001);
    assert_non_null(large);
    memset(large, 'x', 200000);
    memcpy(large, "{\"a\":\"", 6);
    memcpy(large + 199998, "\"}", 3);
    add(k, "a-1", "x", 10);
    add(k, "b-1", "x", 10);
    struct queue_claim *claim = claim_one(k);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    small = before;
    small.rlim_cur = 1;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    struct queue_add refused = {.id = "c-1", .operation = "x", .data = large};
    assert_int_equal(add_all(k->q, k->db, &refused, 1), -ENOSPC);
    struct queue_settle settle = {.claim = claim, .move = QUEUE_COMPLETED, .percent = -1};
    struct queue_settle *all[] = {&settle};
    struct queue_step step = {.queue = QUEUE_MEDIA, .settle = all, .n_settle = 1, .want = 1};
    assert_int_equal(k->q->engine->step(k->q, &step), -ENOSPC);
    assert_int_equal(step.n_claimed, 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(state_of(k, "a-1"), JOB_ACTIVE);
    assert_int_equal(state_of(k, "b-1"), JOB_PRIORITIZED);
    assert_int_equal(k->q->engine->step(k->q, &step), 0);
    assert_int_equal(step.n_claimed, 1);
    queue_claim_free(step.claimed[0]);
    queue_claim_free(claim);
    assert_int_equal(state_of(k, "a-1"), JOB_COMPLETED);
    assert_int_equal(add_all(k->q, k->db, &refused, 1), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_breaks_a_rule_is_not_added),
        TEST(an_id_is_used_once_and_a_unit_is_all_or_nothing),
        TEST(lower_priorities_come_first_and_equal_ones_in_order),
        TEST(a_job_carries_what_it_was_given),
        TEST(data_that_is_no_object_is_said_to_be_unfit),
        TEST(effects_and_states_are_one_unit),
        TEST(one_that_refuses_undoes_the_whole_step),
        TEST(who_lost_the_lease_writes_nothing),
        TEST(a_lease_is_renewed_and_notes_are_stored),
        TEST(a_log_has_an_end),
        TEST(a_job_stalls_three_times_and_then_fails),
        TEST(a_stalled_one_that_refuses_holds_up_nobody),
        TEST(one_whose_beginning_is_refused_lets_others_pass),
        TEST(a_delayed_job_waits_for_its_time),
        TEST(who_watches_a_delayed_job_hears_when_it_waits),
        TEST(the_upkeep_knows_when_the_next_is_due),
        TEST(a_retry_is_an_attempt_and_a_return_is_none),
        TEST(what_waits_is_cancelled_at_once),
        TEST(a_cancel_that_is_refused_changes_nothing),
        TEST(what_runs_is_asked_to_end),
        TEST(a_paused_queue_stands_still),
        TEST(counts_and_lists_tell_states_apart),
        TEST(finished_jobs_are_kept_in_bounds),
        TEST(of_many_who_claim_each_job_goes_to_one),
        TEST(a_full_disk_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
