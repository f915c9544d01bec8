/* SPDX-License-Identifier: MIT */
/* What only a person can do stands in hitl_action_queue; the job's row in browser_jobs says for which it
 * waits. A waiting job holds no browser and no thread: it comes back after SCRAPE_LOOK_AGAIN_MS. */
#include "scrape/internal.h"

#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

struct wait {
    const char *job_id;
    bool found, pending;
    char since[ISO_TIME_LEN];
    int64_t now_ms;
};

static int look_unit(struct db_conn *c, void *arg)
{
    struct wait *w = arg;
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_now(c, &w->now_ms);
    if (r == 0)
        r = db_query(c,
                     "SELECT h.status, h.date_created FROM browser_jobs b JOIN hitl_action_queue h ON h.id = "
                     "b.hitl_id WHERE b.job_id = ?1",
                     DB_ARGS(DB_TEXT(w->job_id)), &rows);
    if (r == 0)
        r = db_next(rows);
    w->found = r > 0;
    if (r <= 0)
        return r;
    w->pending = str_equal(db_text(rows, 0), "pending");
    (void)snprintf(w->since, sizeof w->since, "%s", db_text(rows, 1));
    return 0;
}

int hitl_waits(struct db *db, const char *job_id)
{
    struct wait w = {.job_id = job_id};
    int64_t since = 0;
    int r = db_read(db, look_unit, &w);
    if (r < 0 || !w.found || !w.pending)
        return r < 0 ? r : 0;
    if (clock_parse_iso(w.since, &since) == 0 && w.now_ms - since > SCRAPE_WAIT_MS)
        return -ETIMEDOUT;
    return 1;
}

static int add_row(struct db_conn *c, const struct hitl *what, const char *id)
{
    _cleanup_json_ json_t *context =
        json_pack("{s:s, s:s}", "job_id", what->job_id, "platform", what->platform);
    _cleanup_buf_ struct buf text = BUF_INIT(1024);
    int r = context ? json_write(&text, context) : -ENOMEM;
    if (r < 0)
        return r;
    return db_exec(c,
                   "INSERT INTO hitl_action_queue (id, user_id, action, message, context, scheduled_post_id) "
                   "VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                   DB_ARGS(DB_TEXT(id), DB_TEXT(what->user_id), DB_TEXT(what->action), DB_TEXT(what->message),
                           DB_TEXT(buf_str(&text)), DB_TEXT(what->post_id)),
                   NULL);
}

int hitl_add_in(struct db_conn *c, const struct hitl *what)
{
    char id[UUID_SIZE];
    uuid_make(id);
    int r = add_row(c, what, id);
    return r < 0 ? r
                 : db_exec(c,
                           "INSERT INTO browser_jobs (job_id, user_id, hitl_id) VALUES (?1, ?2, ?3) "
                           "ON CONFLICT (job_id) DO UPDATE SET hitl_id = excluded.hitl_id",
                           DB_ARGS(DB_TEXT(what->job_id), DB_TEXT(what->user_id), DB_TEXT(id)), NULL);
}

static int add_unit(struct db_conn *c, void *arg)
{
    return hitl_add_in(c, arg);
}

int hitl_add(struct db *db, const struct hitl *what)
{
    return db_write(db, add_unit, (void *)what);
}
