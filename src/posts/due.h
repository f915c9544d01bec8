/* SPDX-License-Identifier: MIT */
/* Posts whose time has come: each becomes `publishing` and gets its job in one unit, so it gets one. The
 * job's row in browser_jobs names the post; a later job for the same post takes that away from an earlier
 * one, which then can't say anything about the post any more. */
#ifndef POSTS_DUE_H
#define POSTS_DUE_H

#include "db/db.h"
#include "queue/queue.h"

#define POST_PUBLISH "publish_post"
#define POSTS_DUE_BATCH 64

/* Inside a unit: at most `batch` (1 to POSTS_DUE_BATCH) posts that were due at `now`: 1 there may be more, 0
 * that was all, or a negative errno. */
int posts_enqueue_due(struct db_conn *c, struct queue *q, const char *now, int64_t batch);

#endif
