/* SPDX-License-Identifier: MIT */
/* The jobs of scrape-jobs: they act in a browser, on a creator's own accounts. Without STAGEHAND_URL each
 * fails with `publisher_not_configured`.
 *
 *   scrape_profile           creator_profile_id: what the profile shows becomes a node of its owner's
 *   scrape_post_performance  params.post_id: how a post that is out does
 *   publish_post             the post that the job's row of browser_jobs names
 *
 * Where a log-in asks for more than a name and a password, a row of hitl_action_queue says so and the job
 * waits, at most SCRAPE_WAIT_MS, until its owner has resolved it. Once publishing has begun to submit it is
 * never run again: what is cut short there ends as `outcome_unknown`, with a row for its owner to check. */
#ifndef SCRAPE_SCRAPE_H
#define SCRAPE_SCRAPE_H

#include "base/config.h"
#include "db/db.h"
#include "queue/handler.h"
#include "queue/queue.h"
#include "vault/vault.h"

#define SCRAPE_WAIT_MS (INT64_C(24) * 60 * 60 * 1000)

struct scrape {
    const struct config *cfg;
    struct db *db;
    const struct vault *vault;                             /* NULL: no credentials can be read */
    void (*nodes_changed)(void *ctx, const char *user_id); /* after it wrote a node; may be NULL */
    void *ctx;
};

/* The hooks of the queue's handler (queue/handler.h); ctx is a struct scrape. */
void scrape_run(void *ctx, struct queue_work *work);
int scrape_moved(struct db_conn *c, void *ctx, const struct queue_job *job, enum queue_move move,
                 const json_t *result, const char *error, void *finish);

/* Steps of duties, in their units, for at most `batch` (1 to SCRAPE_DUE_BATCH) rows: 1 there may be more, 0
 * that was all, or a negative errno. */
#define SCRAPE_DUE_BATCH 64

/* Posts that were due at `now`: each becomes `publishing` and gets its job in one unit, so it gets one. The
 * job's row in browser_jobs names the post; a later job for the same post takes that away from an earlier
 * one, which then can't say anything about the post any more. */
int scrape_enqueue_posts(struct db_conn *c, struct queue *q, const char *now, int64_t batch);

/* scrape_profile for active profiles that have no job for this slot, and for which no earlier one waits. */
int scrape_enqueue_profiles(struct db_conn *c, struct queue *q, const char *slot, int64_t batch);

#endif
