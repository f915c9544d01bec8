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

/* The row of the queue's table of handlers that does media jobs. */
struct queue_handler media_handler(struct media_worker *w);

/* Removes what workers that died have left in MEDIA_TMP_DIR. Before a worker starts. */
void media_work_sweep(const struct config *cfg);

#endif
