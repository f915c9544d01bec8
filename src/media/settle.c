/* SPDX-License-Identifier: MIT */
/* Each move is one UPDATE of the row, which finds it only while this run is its present one and hasn't ended;
 * what else belongs to the move follows where it was found. A job that another program put into the queue has
 * no run in its row, or the bare id that BullMQ gave it: its first move makes it the row's. */
#include "media/settle.h"

#include "base/clock.h"
#include "base/text.h"
#include "base/uuid.h"
#include "quota/quota.h"

#include <errno.h>
#include <string.h>

#define THIS_RUN "(bull_job_id = ?2 OR 'media-jobs:' || bull_job_id = ?2)"
#define OURS \
    " WHERE id = ?1 AND (" THIS_RUN " OR bull_job_id IS NULL)" \
    " AND status IN ('pending', 'queued', 'processing')"

const char *media_job_id(const struct queue_job *job)
{
    const char *id = job->media_job_id ? job->media_job_id : json_str(job->data, "jobId", NULL);
    return id && uuid_valid(id) ? id : NULL;
}

/* Which row, which run, and when: parameters 1 to 3 of every statement. */
struct place {
    char id[UUID_SIZE], now[ISO_TIME_LEN];
    const char *run_id;
};

#define PLACE(p) DB_TEXT((p)->id), DB_TEXT((p)->run_id), DB_TEXT((p)->now)

static bool find_place(const struct queue_job *job, struct place *ret)
{
    const char *id = media_job_id(job);
    if (!id)
        return false;
    memcpy(ret->id, id, UUID_SIZE);
    str_lower(ret->id);
    clock_format_iso(clock_now_ms(), ret->now);
    ret->run_id = job->id;
    return true;
}

/* ---- the row */

static int set_started(struct db_conn *c, const struct place *p)
{
    return db_exec(c,
                   "UPDATE media_jobs SET status = 'processing', bull_job_id = ?2,"
                   " started_at = coalesce(started_at, ?3), date_updated = ?3" OURS,
                   DB_ARGS(PLACE(p)), NULL);
}

/* It waits again; after a failure, with its error. */
static int set_waiting(struct db_conn *c, const struct place *p, const char *error, int failures)
{
    return db_exec(c,
                   "UPDATE media_jobs SET status = 'queued', bull_job_id = ?2, error_message = ?4,"
                   " retry_count = ?5, progress = 0, date_updated = ?3" OURS,
                   DB_ARGS(PLACE(p), DB_TEXT(error), DB_INT(failures)), NULL);
}

/* 1 where this run was the row's and had not ended. */
static int set_completed(struct db_conn *c, const struct place *p, const json_t *result)
{
    int64_t changed = 0;
    _cleanup_free_ char *text = result ? json_dumps(result, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    if (result && !text)
        return -ENOMEM;
    int r =
        db_exec(c,
                "UPDATE media_jobs SET status = 'completed', bull_job_id = ?2, progress = 100, result = ?4,"
                " error_message = NULL, started_at = coalesce(started_at, ?3), completed_at = ?3,"
                " date_updated = ?3" OURS,
                DB_ARGS(PLACE(p), DB_TEXT(text)), &changed);
    return r < 0 ? r : changed > 0;
}

static int set_failed(struct db_conn *c, const struct place *p, const char *error)
{
    return db_exec(c,
                   "UPDATE media_jobs SET status = 'failed', bull_job_id = ?2, error_message = ?4,"
                   " completed_at = ?3, date_updated = ?3" OURS,
                   DB_ARGS(PLACE(p), DB_TEXT(error)), NULL);
}

/* ---- what it made */

static int add_asset(struct db_conn *c, const struct place *p, const struct media_finish *f,
                     const struct media_made *m)
{
    if (str_equal(m->output->kind, "data"))
        return 0;
    return db_exec(c,
                   "INSERT INTO media_assets (id, user_id, file_id, media_type, title, source_job_id,"
                   " date_created, date_updated) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)",
                   DB_ARGS(DB_TEXT(m->asset_id), DB_TEXT(f->user_id), DB_TEXT(m->file_id),
                           DB_TEXT(m->output->kind), DB_TEXT(m->name), DB_TEXT(p->id), DB_TEXT(p->now)),
                   NULL);
}

static int add_output(struct db_conn *c, const struct place *p, const char *user_id, const char *file_id,
                      const struct media_output *o)
{
    char id[UUID_SIZE];
    uuid_make(id);
    return db_exec(c,
                   "INSERT INTO media_job_outputs (id, user_id, media_job_id, file_id, kind, bytes, width,"
                   " height, duration, date_created, date_updated)"
                   " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10)",
                   DB_ARGS(DB_TEXT(id), DB_TEXT(user_id), DB_TEXT(p->id), DB_TEXT(file_id), DB_TEXT(o->kind),
                           DB_INT(o->bytes), o->width > 0 ? DB_INT(o->width) : DB_NULL,
                           o->height > 0 ? DB_INT(o->height) : DB_NULL,
                           o->duration > 0 ? DB_REAL(o->duration) : DB_NULL, DB_TEXT(p->now)),
                   NULL);
}

/* Of many jobs that end at once only those pass whose files still have room: -EDQUOT of the others. */
static int add_made(struct db_conn *c, const struct place *p, const struct media_finish *f)
{
    int r = 0;
    for (const struct media_made *m = f->made; m < f->made + f->n && r == 0; m++) {
        struct file_new file = {.owner = f->user_id, .name = m->name, .title = m->name, .kind = m->kind};
        r = file_add_in(f->files, c, m->file_id, &file);
        if (r == 0)
            r = add_output(c, p, f->user_id, m->file_id, m->output);
        if (r == 0)
            r = add_asset(c, p, f, m);
    }
    return r;
}

static int complete(struct db_conn *c, const struct place *p, const json_t *result, struct media_finish *f)
{
    if (f)
        f->settled = true;
    int r = set_completed(c, p, result);
    if (r > 0)
        r = f ? add_made(c, p, f) : 0;
    if (r == -EDQUOT)
        f->settled = false; /* they will not be asked for again */
    return r;
}

static int change_row(struct db_conn *c, const struct queue_job *job, enum queue_move move,
                      const json_t *result, const char *error, struct media_finish *f)
{
    struct place p;
    if (!find_place(job, &p))
        return 0;
    switch (move) {
    case QUEUE_STARTED:
        return set_started(c, &p);
    case QUEUE_RETRIED:
        return set_waiting(c, &p, error, job->attempt);
    case QUEUE_RETURNED:
        return set_waiting(c, &p, error, job->attempt > 0 ? job->attempt - 1 : 0);
    case QUEUE_COMPLETED:
        return complete(c, &p, result, f);
    case QUEUE_FAILED:
    case QUEUE_CANCELLED:
        return set_failed(c, &p, error);
    }
    return 0;
}

int media_moved(struct db_conn *c, void *ctx, const struct queue_job *job, enum queue_move move,
                const json_t *result, const char *error, void *finish)
{
    (void)ctx;
    bool well = move == QUEUE_COMPLETED, over = well || move == QUEUE_FAILED || move == QUEUE_CANCELLED;
    int r = change_row(c, job, move, result, error, finish);
    if (r == 0 && over)
        r = quota_settle_in(c, job->id, well ? QUOTA_KEEP_ALL : QUOTA_RETURN_ALL);
    return r < 0 ? r : 0;
}

int media_progressed(struct db_conn *c, void *ctx, const struct queue_job *job, int percent)
{
    (void)ctx;
    struct place p;
    if (!find_place(job, &p))
        return 0;
    return db_exec(c,
                   "UPDATE media_jobs SET progress = ?4, date_updated = ?3"
                   " WHERE id = ?1 AND " THIS_RUN " AND status = 'processing'",
                   DB_ARGS(PLACE(&p), DB_INT(percent)), NULL);
}
