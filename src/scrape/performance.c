/* SPDX-License-Identifier: MIT */
/* scrape_post_performance: how a post that is out does. The figures are kept in its platform_meta. */
#include "scrape/internal.h"

#include "base/text.h"
#include "posts/posts.h"

#include <errno.h>
#include <string.h>

static const char properties[] =
    "{\"likes\":{\"type\":\"integer\"},\"comments\":{\"type\":\"integer\"},"
    "\"views\":{\"type\":\"integer\"},\"shares\":{\"type\":\"integer\"},"
    "\"tips\":{\"type\":\"string\",\"description\":\"what was tipped, with its currency\"}}";

struct post {
    const char *id, *user_id;
    char platform[32], url[POST_URL_MAX + 1];
    const json_t *figures; /* to be kept */
};

static const char *post_id(const struct queue_job *job)
{
    const char *id = json_str(json_object_get(job->data, "params"), "post_id", NULL);
    return id && uuid_valid(id) ? id : NULL;
}

/* Its platform and what is kept of it; *ret_meta is a new reference, an object. */
static int read_post(struct db_conn *c, struct post *p, json_t **ret_meta)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c, "SELECT platform, platform_meta FROM scheduled_posts WHERE id = ?1 AND user_id = ?2",
                     DB_ARGS(DB_TEXT(p->id), DB_TEXT(p->user_id)), &rows);
    if (r == 0)
        r = db_next(rows);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    const char *meta = db_text(rows, 1);
    (void)snprintf(p->platform, sizeof p->platform, "%s", db_text(rows, 0));
    *ret_meta = meta ? json_parse_own(meta, strlen(meta)) : NULL;
    if (!json_is_object(*ret_meta)) {
        json_decref(*ret_meta);
        *ret_meta = json_object();
    }
    return *ret_meta ? 0 : -ENOMEM;
}

static int load_unit(struct db_conn *c, void *arg)
{
    struct post *p = arg;
    _cleanup_json_ json_t *meta = NULL;
    int r = read_post(c, p, &meta);
    if (r == 0)
        (void)snprintf(p->url, sizeof p->url, "%s", json_str(meta, "url", ""));
    return r;
}

static int save_unit(struct db_conn *c, void *arg)
{
    struct post *p = arg;
    char now[ISO_TIME_LEN];
    _cleanup_json_ json_t *meta = NULL;
    int r = read_post(c, p, &meta);
    if (r == 0)
        r = db_now_text(c, 0, now);
    if (r < 0)
        return r == -ENOENT ? 0 : r; /* deleted meanwhile */
    if (json_object_set_new(meta, "performance", json_pack("{s:s, s:O}", "at", now, "shown", p->figures)) < 0)
        return -ENOMEM;
    return post_set_meta_in(c, p->id, meta, now);
}

static void scrape(struct run *run)
{
    struct post p = {.id = post_id(&run->work->job), .user_id = run->user_id};
    _cleanup_json_ json_t *figures = NULL;
    int r = p.id ? db_look(run->scrape->db, load_unit, &p) : -ENOENT;
    if (r < 0) {
        (void)(r == -ENOENT ? run_failed(run, "The post does not exist") : run_store_failed(run, r));
        return;
    }
    const struct site *site = site_find(p.platform);
    if (!site || !p.url[0]) {
        (void)run_failed(run, "Where the post is is not known (platform_meta.url)");
        return;
    }
    if (!account_open(run, site, NULL))
        return;
    queue_progress(run->work, 40);
    if (!page_open(run, p.url) || !page_read(run, "The figures of this post", properties, &figures))
        return;
    p.figures = figures;
    r = db_write(run->scrape->db, save_unit, &p);
    if (r < 0)
        (void)run_store_failed(run, r);
    else
        run_done(run, json_incref(figures));
}

const struct operation scrape_performance_operation = {"scrape_post_performance", scrape, NULL};
