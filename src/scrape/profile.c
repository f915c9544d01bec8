/* SPDX-License-Identifier: MIT */
/* scrape_profile: reads what a profile shows. It is kept as one node of its owner's, which each later reading
 * replaces, so that the chat knows it; the figures are the job's result. */
#include "scrape/internal.h"

#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

#define NODE_TYPE "platform_profile"

static const char properties[] =
    "{\"display_name\":{\"type\":\"string\"},\"bio\":{\"type\":\"string\"},"
    "\"followers\":{\"type\":\"integer\"},\"posts\":{\"type\":\"integer\"},\"likes\":{\"type\":\"integer\"},"
    "\"price\":{\"type\":\"string\",\"description\":\"of a subscription, with its currency\"}}";

struct profile {
    const char *id, *user_id;
    char platform[32], username[512];
};

static int load_unit(struct db_conn *c, void *arg)
{
    struct profile *p = arg;
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c, "SELECT platform, username FROM creator_profiles WHERE id = ?1 AND user_id = ?2",
                     DB_ARGS(DB_TEXT(p->id), DB_TEXT(p->user_id)), &rows);
    if (r == 0)
        r = db_next(rows);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    (void)snprintf(p->platform, sizeof p->platform, "%s", db_text(rows, 0));
    (void)snprintf(p->username, sizeof p->username, "%s", db_text(rows, 1));
    return 0;
}

static const char *profile_id(const struct queue_job *job)
{
    const char *id = json_str(job->data, "creator_profile_id", NULL);
    return id && uuid_valid(id) ? id : NULL;
}

/* ---- the node */

struct node {
    const char *profile_id, *user_id, *title, *content, *tags;
};

/* Two readings at once: one comes after the other, and finds its node. Nothing is left of a profile that was
 * deleted meanwhile. */
static int lock_profile(struct db_conn *c, const struct node *n, int64_t *ret_found)
{
    return db_exec(c, "UPDATE creator_profiles SET is_active = is_active WHERE id = ?1 AND user_id = ?2",
                   DB_ARGS(DB_TEXT(n->profile_id), DB_TEXT(n->user_id)), ret_found);
}

static int save_unit(struct db_conn *c, void *arg)
{
    const struct node *n = arg;
    int64_t changed = 0;
    char now[ISO_TIME_LEN], id[UUID_SIZE];
    int r = db_now_text(c, 0, now);
    db_concerns(c, n->user_id);
    if (r == 0)
        r = lock_profile(c, n, &changed);
    if (r < 0 || changed == 0)
        return r;
    r = db_exec(
        c,
        "UPDATE user_nodes SET content = ?1, tags = ?2, status = 'active', weight = 1.0, embedding = "
        "NULL, last_reinforced_at = ?3, date_updated = ?3, last_decayed_at = CASE WHEN status = "
        "'decayed' THEN ?3 ELSE last_decayed_at END WHERE user_id = ?4 AND node_type = ?5 AND title = ?6",
        DB_ARGS(DB_TEXT(n->content), DB_TEXT(n->tags), DB_TEXT(now), DB_TEXT(n->user_id), DB_TEXT(NODE_TYPE),
                DB_TEXT(n->title)),
        &changed);
    if (r < 0 || changed > 0)
        return r;
    uuid_make(id);
    return db_exec(
        c,
        "INSERT INTO user_nodes (id, user_id, node_type, title, content, tags) VALUES (?1, ?2, ?3, "
        "?4, ?5, ?6)",
        DB_ARGS(DB_TEXT(id), DB_TEXT(n->user_id), DB_TEXT(NODE_TYPE), DB_TEXT(n->title), DB_TEXT(n->content),
                DB_TEXT(n->tags)),
        NULL);
}

static void add_figure(struct buf *to, const json_t *shown, const char *key)
{
    const json_t *value = json_object_get(shown, key);
    if (json_is_integer(value))
        (void)buf_addf(to, "%s: %lld. ", key, (long long)json_integer_value(value));
}

static int describe(struct buf *to, const struct profile *p, const json_t *shown)
{
    const char *name = json_str(shown, "display_name", "");
    const char *bio = json_str(shown, "bio", ""), *price = json_str(shown, "price", "");
    (void)buf_addf(to, "%s on %s", name[0] ? name : p->username, p->platform);
    (void)buf_addf(to, " (%s). ", p->username);
    add_figure(to, shown, "followers");
    add_figure(to, shown, "posts");
    add_figure(to, shown, "likes");
    if (price[0])
        (void)buf_addf(to, "subscription: %s. ", price);
    if (bio[0])
        (void)buf_addf(to, "\n\n%s", bio);
    return to->failed ? -ENOBUFS : 0;
}

static int save(struct run *run, const struct profile *p, const json_t *shown)
{
    _cleanup_buf_ struct buf content = BUF_INIT(4 * PAGE_TEXT_MAX);
    struct arena *a = run->work->arena;
    struct node node = {
        .profile_id = p->id,
        .user_id = run->user_id,
        .title = arena_printf(a, "Profile on %s: %s", p->platform, p->username),
        .tags = arena_printf(a, "[\"%s\",\"profile\"]", p->platform),
    };
    int r = describe(&content, p, shown);
    if (r < 0 || !node.title || !node.tags)
        return r < 0 ? r : -ENOMEM;
    node.content = buf_str(&content);
    r = db_write(run->scrape->db, save_unit, &node);
    if (r >= 0 && run->scrape->nodes_changed)
        run->scrape->nodes_changed(run->scrape->ctx, run->user_id);
    return r;
}

/* ---- the job */

static void scrape(struct run *run)
{
    struct profile p = {.id = profile_id(&run->work->job), .user_id = run->user_id};
    _cleanup_json_ json_t *shown = NULL;
    int r = p.id ? db_look(run->scrape->db, load_unit, &p) : -ENOENT;
    if (r < 0) {
        (void)(r == -ENOENT ? run_failed(run, "The creator profile does not exist")
                            : run_store_failed(run, r));
        return;
    }
    const struct site *site = site_find(p.platform);
    if (!site) {
        (void)run_failed(run, "The platform is not known");
        return;
    }
    if (!account_open(run, site, p.username))
        return;
    queue_progress(run->work, 40);
    if (!page_open(run, site_profile(run->work->arena, site, p.username)) ||
        !page_read(run, "What this profile says of itself, and its figures", properties, &shown))
        return;
    r = save(run, &p, shown);
    if (r < 0)
        (void)run_store_failed(run, r);
    else
        run_done(run, json_incref(shown));
}

static int moved(struct db_conn *c, const struct queue_job *job, enum queue_move move, const json_t *result,
                 const char *error)
{
    static const char *const states[] = {
        [QUEUE_STARTED] = "scraping",  [QUEUE_RETRIED] = "scraping", [QUEUE_RETURNED] = "scraping",
        [QUEUE_COMPLETED] = "success", [QUEUE_FAILED] = "error",     [QUEUE_CANCELLED] = "idle",
    };
    const char *id = profile_id(job);
    char now[ISO_TIME_LEN];
    (void)result;
    (void)error;
    int r = id ? db_now_text(c, 0, now) : 0;
    if (r < 0 || !id)
        return r;
    return db_exec(
        c,
        move == QUEUE_COMPLETED
            ? "UPDATE creator_profiles SET scrape_status = ?1, last_scraped_at = ?2, date_updated = "
              "?2 WHERE id = ?3 AND user_id = ?4"
            : "UPDATE creator_profiles SET scrape_status = ?1, date_updated = ?2 WHERE id = ?3 AND "
              "user_id = ?4",
        DB_ARGS(DB_TEXT(states[move]), DB_TEXT(now), DB_TEXT(id), DB_TEXT(job->user_id)), NULL);
}

const struct operation scrape_profile_operation = {"scrape_profile", scrape, moved};
