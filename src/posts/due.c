/* SPDX-License-Identifier: MIT */
#include "posts/due.h"

#include "base/json.h"
#include "base/uuid.h"

#include <errno.h>
#include <string.h>

#define JOB_PREFIX "publish-"
#define JOB_ID_SIZE (sizeof JOB_PREFIX + UUID_LEN)

struct due {
    char id[UUID_SIZE], user_id[UUID_SIZE];
};

/* They are read whole before any is written. */
static int find_due(struct db_conn *c, const char *now, int64_t batch, struct due *ret)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int n = 0;
    int r = db_query(c,
                     "SELECT id, user_id FROM scheduled_posts WHERE status = 'scheduled' AND "
                     "scheduled_time <= ?1 ORDER BY scheduled_time, id LIMIT ?2",
                     DB_ARGS(DB_TEXT(now), DB_INT(batch)), &rows);
    while (r >= 0 && (r = db_next(rows)) > 0 && n < batch) {
        (void)snprintf(ret[n].id, UUID_SIZE, "%s", db_text(rows, 0));
        (void)snprintf(ret[n].user_id, UUID_SIZE, "%s", db_text(rows, 1));
        n++;
    }
    return r < 0 ? r : n;
}

static int link_job(struct db_conn *c, const struct due *post, const char *job_id)
{
    int r = db_exec(c, "UPDATE browser_jobs SET scheduled_post_id = NULL WHERE scheduled_post_id = ?1",
                    DB_ARGS(DB_TEXT(post->id)), NULL);
    return r < 0
               ? r
               : db_exec(c,
                         "INSERT INTO browser_jobs (job_id, user_id, scheduled_post_id) VALUES (?1, ?2, ?3)",
                         DB_ARGS(DB_TEXT(job_id), DB_TEXT(post->user_id), DB_TEXT(post->id)), NULL);
}

static int add_job(struct db_conn *c, struct queue *q, const struct due *post, const char *job_id)
{
    _cleanup_buf_ struct buf text = BUF_INIT(1024);
    _cleanup_json_ json_t *data =
        json_pack("{s:s, s:s, s:{s:s}, s:s}", "jobId", job_id, "operation", POST_PUBLISH, "params", "post_id",
                  post->id, "user_id", post->user_id);
    int r = data ? json_write(&text, data) : -ENOMEM;
    if (r < 0)
        return r;
    const struct queue_add add = {.id = job_id,
                                  .queue = QUEUE_SCRAPE,
                                  .operation = POST_PUBLISH,
                                  .user_id = post->user_id,
                                  .data = buf_str(&text),
                                  .priority = QUEUE_PRIORITY_DEFAULT};
    return queue_add_in(q, c, &add);
}

static int enqueue(struct db_conn *c, struct queue *q, const struct due *post, const char *now)
{
    char job_id[JOB_ID_SIZE] = JOB_PREFIX;
    int64_t changed = 0;
    uuid_make(job_id + strlen(JOB_PREFIX));
    int r = db_exec(c,
                    "UPDATE scheduled_posts SET status = 'publishing', error_message = NULL, "
                    "date_updated = ?1 WHERE id = ?2 AND status = 'scheduled'",
                    DB_ARGS(DB_TEXT(now), DB_TEXT(post->id)), &changed);
    if (r < 0 || changed == 0)
        return r;
    r = link_job(c, post, job_id);
    return r < 0 ? r : add_job(c, q, post, job_id);
}

int posts_enqueue_due(struct db_conn *c, struct queue *q, const char *now, int64_t batch)
{
    struct due due[POSTS_DUE_BATCH];
    int n = find_due(c, now, batch, due);
    for (int i = 0; i < n; i++) {
        int r = enqueue(c, q, &due[i], now);
        if (r < 0)
            return r;
    }
    return n < 0 ? n : n == batch;
}
