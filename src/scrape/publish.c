/* SPDX-License-Identifier: MIT */
/* publish_post. Up to the submission all may be done again. That it begins is written down first, by whoever
 * is first; from then on nothing is tried again, since nobody can take a post back: it is out where the
 * browser says so, and else its owner is asked to look. */
#include "scrape/internal.h"

#include "base/text.h"
#include "posts/platforms.h"
#include "posts/posts.h"

#include <errno.h>
#include <string.h>

#define UNKNOWN "outcome_unknown"
#define NO_UPLOAD "media_upload_unsupported"
#define WITHDRAWN "post_withdrawn"
#define NOTHING "The post says nothing: its media is gone"

static const char outcome_properties[] =
    "{\"published\":{\"type\":\"boolean\",\"description\":\"whether the new post is out\"},"
    "\"url\":{\"type\":\"string\",\"description\":\"its address\"},"
    "\"problem\":{\"type\":\"string\",\"description\":\"what the page complains of, if it does\"}}";

struct post {
    const char *job_id, *user_id;
    struct arena *arena;
    const char *id, *platform, *text, *media_id, *title, *subreddit;
    bool begun;
};

/* The post that this job publishes, as long as it does: by the job's row, not by what its data say. */
#define MINE \
    "FROM browser_jobs b JOIN scheduled_posts p ON p.id = b.scheduled_post_id WHERE b.job_id = ?1 AND " \
    "p.status = 'publishing'"

static void read_meta(struct post *p, const char *text)
{
    _cleanup_json_ json_t *meta = text ? json_parse_own(text, strlen(text)) : NULL;
    p->title = arena_strdup(p->arena, json_str(meta, "title", ""));
    p->subreddit = arena_strdup(p->arena, json_str(meta, "subreddit", ""));
}

static int load_unit(struct db_conn *c, void *arg)
{
    struct post *p = arg;
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c,
                     "SELECT p.id, p.platform, p.content_text, p.media_id, p.platform_meta, "
                     "b.submit_begun_at IS NOT NULL " MINE,
                     DB_ARGS(DB_TEXT(p->job_id)), &rows);
    if (r == 0)
        r = db_next(rows);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    p->id = db_text_dup(rows, 0, p->arena);
    p->platform = db_text_dup(rows, 1, p->arena);
    p->text = db_is_null(rows, 2) ? "" : db_text_dup(rows, 2, p->arena);
    p->media_id = db_text_dup(rows, 3, p->arena);
    read_meta(p, db_text(rows, 4));
    p->begun = db_int(rows, 5) != 0;
    return p->id && p->platform && p->text && p->title && p->subreddit ? 0 : -ENOMEM;
}

/* 1 if this call was the first. */
static int begin_unit(struct db_conn *c, void *arg)
{
    const struct post *p = arg;
    int64_t changed = 0;
    char now[ISO_TIME_LEN];
    int r = db_now_text(c, 0, now);
    if (r == 0)
        r = db_exec(c,
                    "UPDATE browser_jobs SET submit_begun_at = ?1 WHERE job_id = ?2 AND submit_begun_at IS "
                    "NULL AND scheduled_post_id IN (SELECT id FROM scheduled_posts WHERE status = "
                    "'publishing')",
                    DB_ARGS(DB_TEXT(now), DB_TEXT(p->job_id)), &changed);
    return r < 0 ? r : changed > 0;
}

static const char *compose_url(struct run *run, const struct site *site, const struct post *p)
{
    const char *name = strncasecmp(p->subreddit, "r/", 2) == 0 ? p->subreddit + 2 : p->subreddit;
    if (!str_equal(site->platform, "reddit") || !name[0])
        return site->compose;
    return arena_printf(run->work->arena, "https://www.reddit.com/r/%s/submit", name);
}

static bool compose(struct run *run, const struct site *site, const struct post *p)
{
    if (!page_open(run, compose_url(run, site, p)))
        return false;
    if (p->title[0] &&
        !page_act(run, "Write the title of the new post: %title%", json_pack("{s:s}", "title", p->title)))
        return false;
    return !p->text[0] ||
           page_act(run, "Write the text of the new post: %text%", json_pack("{s:s}", "text", p->text));
}

/* Where the post is said to be; "" where that is no address. */
static const char *address_of(const json_t *outcome)
{
    const char *url = json_str(outcome, "url", "");
    return platform_is_url(url, strlen(url)) && strlen(url) <= POST_URL_MAX ? url : "";
}

/* What follows can't be done twice. */
static void submit(struct run *run, const struct post *p)
{
    _cleanup_json_ json_t *outcome = NULL;
    int r = db_write(run->scrape->db, begin_unit, (void *)p);
    if (r < 0) {
        (void)run_store_failed(run, r); /* if it was written all the same, the next attempt finds it */
        return;
    }
    if (r == 0) {
        (void)run_failed(run, UNKNOWN);
        return;
    }
    if (!page_act(run, "Publish the new post", NULL) ||
        !page_read(run, "Whether the new post is out, and where", outcome_properties, &outcome) ||
        !json_bool(outcome, "published", false)) {
        const char *problem = json_str(outcome, "problem", run->work->error);
        queue_log(run->work, "after submitting: %.300s", problem);
        (void)run_failed(run, UNKNOWN);
        return;
    }
    run_done(run, json_pack("{s:s}", "url", address_of(outcome)));
}

static void publish(struct run *run)
{
    struct post p = {.job_id = run->work->job.id, .user_id = run->user_id, .arena = run->work->arena};
    int r = db_look(run->scrape->db, load_unit, &p);
    if (r < 0) {
        (void)(r == -ENOENT ? run_failed(run, WITHDRAWN) : run_store_failed(run, r));
        return;
    }
    const struct site *site = site_find(p.platform);
    if (p.begun || !site) {
        (void)run_failed(run, site ? UNKNOWN : "The platform is not known");
        return;
    }
    if (p.media_id && run->scrape->cfg->stagehand_url) {
        (void)run_failed(run, NO_UPLOAD);
        return;
    }
    if (!p.media_id && str_is_blank(p.text) && !p.title[0]) { /* the media was deleted meanwhile */
        (void)run_failed(run, NOTHING);
        return;
    }
    if (!account_open(run, site, NULL))
        return;
    queue_progress(run->work, 40);
    if (!compose(run, site, &p))
        return;
    queue_progress(run->work, 70);
    submit(run, &p);
}

/* ---- what becomes of the post */

struct fate {
    char post_id[UUID_SIZE], platform[32], user_id[UUID_SIZE];
    json_t *meta; /* NULL, or a new reference */
    bool begun;
};

/* 1, or 0 where the post is no longer this job's. */
static int find_fate(struct db_conn *c, const char *job_id, struct fate *ret)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(
        c, "SELECT p.id, p.platform, p.user_id, p.platform_meta, b.submit_begun_at IS NOT NULL " MINE,
        DB_ARGS(DB_TEXT(job_id)), &rows);
    if (r == 0)
        r = db_next(rows);
    if (r <= 0)
        return r;
    const char *meta = db_text(rows, 3);
    (void)snprintf(ret->post_id, sizeof ret->post_id, "%s", db_text(rows, 0));
    (void)snprintf(ret->platform, sizeof ret->platform, "%s", db_text(rows, 1));
    (void)snprintf(ret->user_id, sizeof ret->user_id, "%s", db_text(rows, 2));
    ret->meta = meta ? json_parse_own(meta, strlen(meta)) : NULL;
    ret->begun = db_int(rows, 4) != 0;
    return 1;
}

static int say_posted(struct db_conn *c, const struct fate *fate, const json_t *result, const char *now)
{
    const char *url = json_str(result, "url", "");
    int r = db_exec(c,
                    "UPDATE scheduled_posts SET status = 'posted', posted_at = ?1, error_message = NULL, "
                    "date_updated = ?1 WHERE id = ?2",
                    DB_ARGS(DB_TEXT(now), DB_TEXT(fate->post_id)), NULL);
    if (r < 0 || !url[0])
        return r;
    _cleanup_json_ json_t *meta = json_is_object(fate->meta) ? json_incref(fate->meta) : json_object();
    return json_object_set_new(meta, "url", json_string(url)) < 0
               ? -ENOMEM
               : post_set_meta_in(c, fate->post_id, meta, now);
}

static int ask_owner(struct db_conn *c, const char *job_id, const struct fate *fate, const char *action,
                     const char *message)
{
    const struct hitl what = {.job_id = job_id,
                              .user_id = fate->user_id,
                              .action = action,
                              .message = message,
                              .platform = fate->platform,
                              .post_id = fate->post_id};
    return hitl_add_in(c, &what);
}

static int say_failed(struct db_conn *c, const char *job_id, const struct fate *fate, const char *error,
                      const char *now)
{
    const char *why = fate->begun ? UNKNOWN : error ? error : "failed";
    int r = db_exec(c,
                    "UPDATE scheduled_posts SET status = 'failed', error_message = ?1, date_updated = ?2 "
                    "WHERE id = ?3",
                    DB_ARGS(DB_TEXT(why), DB_TEXT(now), DB_TEXT(fate->post_id)), NULL);
    if (r < 0)
        return r;
    if (fate->begun)
        return ask_owner(c, job_id, fate, "check_post",
                         "Whether this post was published is not known: look, before it is scheduled again");
    if (str_equal(why, NO_UPLOAD))
        return ask_owner(c, job_id, fate, "publish_by_hand",
                         "The browser service can't upload media: publish this post by hand");
    return 0;
}

static int decide(struct db_conn *c, const struct queue_job *job, enum queue_move move,
                  const struct fate *fate, const json_t *result, const char *error)
{
    char now[ISO_TIME_LEN];
    int r = db_now_text(c, 0, now);
    if (r < 0)
        return r;
    return move == QUEUE_COMPLETED ? say_posted(c, fate, result, now)
                                   : say_failed(c, job->id, fate, error, now);
}

static int moved(struct db_conn *c, const struct queue_job *job, enum queue_move move, const json_t *result,
                 const char *error)
{
    struct fate fate = {.meta = NULL};
    if (move != QUEUE_COMPLETED && move != QUEUE_FAILED && move != QUEUE_CANCELLED)
        return 0;
    int r = find_fate(c, job->id, &fate);
    if (r > 0)
        r = decide(c, job, move, &fate, result, error);
    json_decref(fate.meta);
    return r;
}

const struct operation publish_operation = {"publish_post", publish, moved};
