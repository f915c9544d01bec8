/* SPDX-License-Identifier: MIT */
/* Jobs that time brings: posts whose time has come, and profiles that are read periodically. What is due is
 * read whole before any of it is written. */
#include "scrape/internal.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

#define POST_PREFIX "publish-"
#define PROFILE_PREFIX "scrape-" /* with a profile's id 43 characters */
#define JOB_ID_SIZE 96
/* A post that is due doesn't wait for all profiles. */
#define PRIORITY_PERIODIC (2 * QUEUE_PRIORITY_DEFAULT)

struct due {
    char id[UUID_SIZE], user_id[UUID_SIZE];
};

/* sql gives ids and their users, by a text (?1) and how many at most (?2). */
static int find_due(struct db_conn *c, const char *sql, const char *by, int64_t batch, struct due *ret)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int n = 0;
    int r = db_query(c, sql, DB_ARGS(DB_TEXT(by), DB_INT(batch)), &rows);
    while (r >= 0 && n < batch && (r = db_next(rows)) > 0) {
        (void)snprintf(ret[n].id, UUID_SIZE, "%s", db_text(rows, 0));
        (void)snprintf(ret[n].user_id, UUID_SIZE, "%s", db_text(rows, 1));
        n++;
    }
    return r < 0 ? r : n;
}

/* Takes over data, which may be NULL for lack of memory. */
static int add_job(struct db_conn *c, struct queue *q, const struct due *due, struct queue_add *add,
                   json_t *data)
{
    _cleanup_buf_ struct buf text = BUF_INIT(1024);
    _cleanup_json_ json_t *owned = data;
    int r = owned ? json_write(&text, owned) : -ENOMEM;
    if (r < 0)
        return r;
    add->queue = QUEUE_SCRAPE;
    add->user_id = due->user_id;
    add->data = buf_str(&text);
    return queue_add_in(q, c, add);
}

/* ---- posts */

static const char posts_due[] = "SELECT id, user_id FROM scheduled_posts WHERE status = 'scheduled' AND "
                                "scheduled_time <= ?1 ORDER BY scheduled_time, id LIMIT ?2";

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

static int publish(struct db_conn *c, struct queue *q, const struct due *post, const char *now)
{
    char job_id[JOB_ID_SIZE] = POST_PREFIX;
    int64_t changed = 0;
    uuid_make(job_id + strlen(POST_PREFIX));
    int r = db_exec(c,
                    "UPDATE scheduled_posts SET status = 'publishing', error_message = NULL, "
                    "date_updated = ?1 WHERE id = ?2 AND status = 'scheduled'",
                    DB_ARGS(DB_TEXT(now), DB_TEXT(post->id)), &changed);
    if (r < 0 || changed == 0)
        return r;
    r = link_job(c, post, job_id);
    if (r < 0)
        return r;
    struct queue_add add = {
        .id = job_id, .operation = publish_operation.name, .priority = QUEUE_PRIORITY_DEFAULT};
    return add_job(c, q, post, &add,
                   json_pack("{s:s, s:s, s:{s:s}, s:s}", "jobId", job_id, "operation", add.operation,
                             "params", "post_id", post->id, "user_id", post->user_id));
}

int scrape_enqueue_posts(struct db_conn *c, struct queue *q, const char *now, int64_t batch)
{
    struct due due[SCRAPE_DUE_BATCH];
    int n = find_due(c, posts_due, now, batch, due);
    for (int i = 0; i < n; i++) {
        int r = publish(c, q, &due[i], now);
        if (r < 0)
            return r;
    }
    return n < 0 ? n : n == batch;
}

/* ---- profiles */

/* Whatever an earlier reading waits for, a later one would wait for too: not while its job is there, nor
 * while its owner is still asked for something. */
static const char profiles_due[] =
    "SELECT p.id, p.user_id FROM creator_profiles p WHERE p.is_active = TRUE"
    " AND NOT EXISTS (SELECT 1 FROM queue_jobs q WHERE q.id = '" PROFILE_PREFIX
    "' || CAST(p.id AS TEXT) || ?1)"
    " AND NOT EXISTS (SELECT 1 FROM queue_jobs q WHERE q.user_id = p.user_id"
    " AND substr(q.id, 1, 43) = '" PROFILE_PREFIX "' || CAST(p.id AS TEXT)"
    " AND q.state IN ('waiting', 'prioritized', 'delayed', 'active'))"
    " AND NOT EXISTS (SELECT 1 FROM browser_jobs b JOIN hitl_action_queue h ON h.id = b.hitl_id"
    " WHERE b.user_id = p.user_id AND h.status = 'pending'"
    " AND substr(b.job_id, 1, 43) = '" PROFILE_PREFIX "' || CAST(p.id AS TEXT))"
    " ORDER BY p.id LIMIT ?2";

static int read_profile(struct db_conn *c, struct queue *q, const struct due *profile, const char *suffix)
{
    char id[JOB_ID_SIZE];
    (void)snprintf(id, sizeof id, PROFILE_PREFIX "%.*s%s", UUID_LEN, profile->id, suffix);
    struct queue_add add = {
        .id = id, .operation = scrape_profile_operation.name, .priority = PRIORITY_PERIODIC};
    return add_job(c, q, profile, &add,
                   json_pack("{s:s, s:s, s:s, s:s}", "jobId", id, "operation", add.operation,
                             "creator_profile_id", profile->id, "user_id", profile->user_id));
}

/* A job's id holds its slot, so each profile has one a slot, and a run that was cut short goes on with those
 * that have none. */
int scrape_enqueue_profiles(struct db_conn *c, struct queue *q, const char *slot, int64_t batch)
{
    struct due due[SCRAPE_DUE_BATCH];
    char suffix[ISO_TIME_LEN + 1];
    (void)snprintf(suffix, sizeof suffix, "-%.10sT%.2s", slot, slot + 11);
    int n = find_due(c, profiles_due, suffix, batch, due);
    for (int i = 0; i < n; i++) {
        int r = read_profile(c, q, &due[i], suffix);
        if (r < 0)
            return r;
    }
    return n < 0 ? n : n == batch;
}
