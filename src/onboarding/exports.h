/* SPDX-License-Identifier: MIT */
/* Exports of creators' data: `<data dir>/onboarding/<user id>/<job id>.zip`, each with a row in queue_jobs
 * (queue `onboarding-jobs`) that names it and the machine that has it. The file comes first, durable, then
 * the row; so a crash in between leaves a file without a row, which exports_sweep removes, and never a row
 * without a file. */
#ifndef ONBOARDING_EXPORTS_H
#define ONBOARDING_EXPORTS_H

#include "base/uuid.h"
#include "db/db.h"

#include <limits.h>

#define EXPORT_JOB_PREFIX "onboard-job-"
#define EXPORT_JOB_SIZE (sizeof EXPORT_JOB_PREFIX - 1 + UUID_SIZE)
#define EXPORT_OPERATION "process_export"
/* A file that is younger may be about to get its row. */
#define EXPORT_ORPHAN_MS (60 * 60 * 1000)

struct export_place {
    char job_id[EXPORT_JOB_SIZE];
    char file[128];      /* within the data directory */
    char path[PATH_MAX]; /* where it is to be put */
};

/* Gives a new export its name and makes its directory, durable: 0, or negative errno. Blocking. */
int export_place(const char *data_dir, const char *user_id, struct export_place *ret);

struct export_job {
    const struct export_place *place;
    const char *user_id;
    const char *file_name; /* as its sender calls it */
    int64_t bytes, entries, unpacked;
};

/* What the job is given, a JSON object's text that the caller frees; NULL without memory. The job is added in
 * the unit that changes the state (queue_add_in, as EXPORT_OPERATION under the place's job id). */
char *export_job_data(const struct export_job *job);

/* Inside a unit of its own: whether the job is in the store, where the unit that added it may still be about
 * to end: 1, 0, or the store's error. */
int export_is_enqueued(struct db_conn *c, const struct export_job *job);

/* Before a user is deleted: marks what lies here for that user, durable, so that the sweep removes what a
 * crash leaves. Does nothing where nothing lies here. 0 or negative errno. Blocking. */
int exports_mark(const char *data_dir, const char *user_id);

/* After it: removes all that lies here for that user. *ret_removed (may be NULL): files. 0, or negative errno
 * (logged); the sweep then removes the rest. Blocking. */
int exports_forget(const char *data_dir, const char *user_id, size_t *ret_removed);

/* Removes files that are older than older_ms and whose user is there but whose job isn't, or is completed,
 * and all that is marked and whose user isn't there any more. What else belongs to no user of this store is
 * left alone: it may be the wrong store. ret_removed (may be NULL): how many. 0 or the first negative errno.
 * Blocking; servers may run. */
int exports_sweep(struct db *db, const char *data_dir, int64_t older_ms, size_t *ret_removed);

#endif
