/* SPDX-License-Identifier: MIT */
/* Does media jobs: fetches the inputs into a private directory, runs the operation there, and brings the
 * bytes of what it made into the store of files. Their rows come with the end of the job (media/settle.h), so
 * a job that runs twice has its outputs once. */
#ifndef MEDIA_WORK_H
#define MEDIA_WORK_H

#include "base/config.h"
#include "db/db.h"
#include "files/files.h"
#include "queue/handler.h"

/* All of it outlives the worker. */
struct media_worker {
    const struct config *cfg;
    struct db *db;
    struct files *files;
};

/* The hooks of the queue's handler, with media_moved and media_progressed of settle.h; ctx is a struct
 * media_worker. */
void media_work_run(void *ctx, struct queue_work *work);
void media_work_done(void *ctx, struct queue_work *work);

/* Removes what workers that died have left in MEDIA_TMP_DIR. Before a worker starts. */
void media_work_sweep(const struct config *cfg);

#endif
