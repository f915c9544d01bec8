/* SPDX-License-Identifier: MIT */
/* A row is all that a new duty needs besides its step (schedule/duty.h); times are UTC. */
#include "cmd/duties.h"

#include "api/app.h"
#include "base/text.h"
#include "goose/rows.h"
#include "quota/quota.h"
#include "retrieval/decay.h"
#include "retrieval/retrieval.h"
#include "schedule/sweep.h"
#include "scrape/scrape.h"
#include "taxonomy/learn.h"

/* Work that died before it settled gives its units back also where its owner asks for no more of them. */
static int return_units(struct db_conn *c, const struct duty_run *run)
{
    return quota_expire_in(c, run->now_ms);
}

static int publish_due(struct db_conn *c, const struct duty_run *run)
{
    const struct app *app = run->ctx;
    return scrape_enqueue_posts(c, app->queue, run->now, run->batch);
}

/* Without a browser each would only fail. */
static int scrape_due(struct db_conn *c, const struct duty_run *run)
{
    const struct app *app = run->ctx;
    return app->cfg->stagehand_url ? scrape_enqueue_profiles(c, app->queue, run->slot, run->batch) : 0;
}

static void begin_jobs(void *ctx)
{
    queue_stir(((const struct app *)ctx)->queue);
}

static void forget_nodes(void *ctx)
{
    const struct app *app = ctx;
    retrieval_forget(app->retrieval, NULL);
}

static void forget_taxonomy(void *ctx)
{
    const struct app *app = ctx;
    taxonomy_forget(app->taxonomy);
}

#define POSTS_DUTY "posts"

static struct duty duties[] = {
    {.name = "node decay",
     DAILY_AT(2, 0),
     .step = decay_nodes,
     .after = forget_nodes,
     .batch = 500,
     .limit_ms = 5 * MINUTE_MS},
    {.name = "taxonomy learning",
     DAILY_AT(2, 30),
     .step = taxonomy_learn,
     .after = forget_taxonomy,
     .batch = 500,
     .limit_ms = 5 * MINUTE_MS},
    {.name = "sweep", DAILY_AT(3, 0), .step = sweep_expired, .batch = 500, .limit_ms = MINUTE_MS},
    {.name = "quota leases", EVERY_MS(15 * MINUTE_MS), .step = return_units, .limit_ms = MINUTE_MS},
    {.name = "goose runs", EVERY_MS(MINUTE_MS), .step = goose_expire, .limit_ms = MINUTE_MS},
    {.name = POSTS_DUTY,
     EVERY_MS(MINUTE_MS),
     .step = publish_due,
     .batch = SCRAPE_DUE_BATCH,
     .limit_ms = MINUTE_MS,
     .after = begin_jobs},
    {.name = "scrape",
     EVERY_MS(6 * HOUR_MS),
     .step = scrape_due,
     .batch = SCRAPE_DUE_BATCH,
     .limit_ms = MINUTE_MS,
     .after = begin_jobs},
    {.name = NULL},
};

const struct duty *duties_of(const struct config *cfg)
{
    for (struct duty *d = duties; d->name; d++)
        if (str_equal(d->name, POSTS_DUTY))
            d->every_ms = cfg->post_scheduler_ms;
    return duties;
}
