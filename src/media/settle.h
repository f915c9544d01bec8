/* SPDX-License-Identifier: MIT */
/* What a move of a media job means for the other rows: media_jobs, its outputs with their files and assets,
 * and the unit of the quota. In the unit that makes the move (queue/handler.h); and for the row's present run
 * alone, once: a run that was overtaken, or has ended before, changes nothing. */
#ifndef MEDIA_SETTLE_H
#define MEDIA_SETTLE_H

#include "files/files.h"
#include "media/operation.h"
#include "queue/handler.h"

/* A file that a run made: its bytes are in the store of files, without a row. */
struct media_made {
    char file_id[UUID_SIZE], asset_id[UUID_SIZE];
    const char *name; /* in the work's arena */
    struct file_kind kind;
    const struct media_output *output;
};

/* What run() leaves in work->finish. */
struct media_finish {
    struct files *files;
    char user_id[UUID_SIZE]; /* whose job it is */
    struct media_made made[MEDIA_OUTPUTS_MAX];
    size_t n;
    bool settled; /* the unit that wants these files has been begun */
};

/* The handler's hooks; ctx is not used. */
int media_moved(struct db_conn *c, void *ctx, const struct queue_job *job, enum queue_move move,
                const json_t *result, const char *error, void *finish);
int media_progressed(struct db_conn *c, void *ctx, const struct queue_job *job, int percent);

/* The media_jobs id of a job, NULL where it has none. */
const char *media_job_id(const struct queue_job *job);

#endif
