/* SPDX-License-Identifier: MIT */
/* The way of every such job: it waits for a person, or runs its operation within its time; the session of the
 * browser ends with the run. */
#include "scrape/internal.h"

#include "base/clock.h"
#include "base/text.h"

#include <errno.h>

#define UNANSWERED "login_challenge_unanswered"

static const struct operation *find(const char *name)
{
    static const struct operation *const operations[] = {
        &scrape_profile_operation,
        &scrape_performance_operation,
        &publish_operation,
    };
    for (size_t i = 0; i < ARRAY_LEN(operations); i++)
        if (str_equal(operations[i]->name, name))
            return operations[i];
    return NULL;
}

static bool may_go_on(struct run *run)
{
    int r = hitl_waits(run->scrape->db, run->work->job.id);
    if (r == -ETIMEDOUT)
        return run_failed(run, UNANSWERED);
    if (r < 0)
        return run_store_failed(run, r);
    run->work->verdict = WORK_LATER;
    run->work->delay_ms = SCRAPE_LOOK_AGAIN_MS;
    return r == 0;
}

void scrape_run(void *ctx, struct queue_work *work)
{
    const struct scrape *scrape = ctx;
    const struct operation *operation = find(work->job.operation);
    struct run run = {
        .scrape = scrape,
        .work = work,
        .user_id = work->job.user_id,
        .limit = {.deadline_ms = clock_monotonic_ms() + SCRAPE_RUN_MS, .parent = work->cancel},
        .browser = {.cfg = scrape->cfg, .limit_ms = SCRAPE_CALL_MS},
    };
    run.browser.cancel = &run.limit;
    if (!operation || !run.user_id) {
        (void)run_failed(&run, operation ? "The job names no user" : "The operation is not known");
        return;
    }
    if (!may_go_on(&run))
        return;
    operation->run(&run);
    if (run.session[0])
        browser_end(scrape->cfg, run.session);
}

int scrape_moved(struct db_conn *c, void *ctx, const struct queue_job *job, enum queue_move move,
                 const json_t *result, const char *error, void *finish)
{
    (void)ctx;
    (void)finish;
    const struct operation *operation = find(job->operation);
    return operation && operation->moved ? operation->moved(c, job, move, result, error) : 0;
}
