/* SPDX-License-Identifier: MIT */
/* In single-user mode AnythingLLM writes no user into its rows. With --owner they become those of one
 * account: the workspaces that have no member, and in all workspaces of the source the threads and exchanges
 * that are nobody's (but for those of the developer API, which have a session of their own). */
#include "import/job.h"

#include "import/ids.h"

#include <errno.h>
#include <string.h>

#define BATCH 100

struct workspace {
    int64_t old_id, id;
};

struct owner_batch {
    struct import_job *job;
    struct workspace list[BATCH];
    size_t n, at;
    int64_t after;
    int64_t members, threads, chats; /* that changed hands */
};

static int list_unit(struct db_conn *c, void *arg)
{
    struct owner_batch *b = arg;
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    b->n = 0;
    int r = db_query(
        c,
        "SELECT CAST(m.old_id AS BIGINT), w.id FROM import_rows m JOIN workspaces w ON w.id = m.new_id "
        "WHERE m.source_id = ?1 AND m.table_name = 'workspaces' AND w.id > ?2 ORDER BY w.id LIMIT ?3",
        DB_ARGS(DB_INT(b->job->source_id), DB_INT(b->after), DB_INT(BATCH)), &rows);
    while (r >= 0 && b->n < BATCH && (r = db_next(rows)) > 0)
        b->list[b->n++] = (struct workspace){db_int(rows, 0), db_int(rows, 1)};
    return r < 0 ? r : 0;
}

static int adopt_chats(struct db_conn *c, struct owner_batch *b, const struct workspace *w)
{
    static const char loose[] =
        "WHERE \"workspaceId\" = ?1 AND user_id IS NULL AND api_session_id IS NULL AND "
        "thread_id IS NULL";
    char sql[256];
    int64_t one, thread, changed = 0;
    (void)snprintf(sql, sizeof sql, "SELECT 1 FROM workspace_chats %s LIMIT 1", loose);
    int r = db_query_int(c, sql, DB_ARGS(DB_INT(w->id)), &one);
    if (r <= 0)
        return r;
    r = session_default_thread(c, b->job, w->old_id, 0, w->id, b->job->owner, &thread);
    if (r < 0)
        return r;
    (void)snprintf(sql, sizeof sql, "UPDATE workspace_chats SET user_id = ?2, thread_id = ?3 %s", loose);
    r = db_exec(c, sql, DB_ARGS(DB_INT(w->id), DB_INT(b->job->owner), DB_INT(thread)), &changed);
    b->chats += changed;
    return r;
}

static int adopt_unit(struct db_conn *c, void *arg)
{
    struct owner_batch *b = arg;
    const struct workspace *w = &b->list[b->at];
    const struct db_value args[] = {DB_INT(w->id), DB_INT(b->job->owner)};
    int64_t chats = 0;
    b->chats = 0;
    int r = db_exec(
        c,
        "INSERT INTO workspace_users (user_id, workspace_id) SELECT u.id, w.id FROM users u, workspaces w "
        "WHERE w.id = ?1 AND u.id = ?2 AND NOT EXISTS "
        "(SELECT 1 FROM workspace_users m WHERE m.workspace_id = w.id)",
        args, 2, &b->members);
    if (r == 0)
        r = db_exec(c,
                    "UPDATE workspace_threads SET user_id = ?2 WHERE workspace_id = ?1 AND user_id IS NULL",
                    args, 2, &b->threads);
    if (r == 0)
        r = adopt_chats(c, b, w);
    if (r == 0)
        r = db_exec(
            c,
            "UPDATE workspace_chats SET user_id = ?2 WHERE \"workspaceId\" = ?1 AND user_id IS NULL AND "
            "api_session_id IS NULL",
            args, 2, &chats);
    b->chats += chats;
    return r;
}

static int adopt_all(struct owner_batch *b, struct report_table *report)
{
    struct import_job *job = b->job;
    for (;;) {
        int r = db_read(job->db, list_unit, b);
        if (r < 0 || b->n == 0)
            return r;
        for (b->at = 0; b->at < b->n; b->at++) {
            r = db_write(job->db, adopt_unit, b);
            if (r < 0)
                return r;
            report->counts[OUTCOME_LINKED] += b->members + b->threads + b->chats;
        }
        b->after = b->list[b->n - 1].id;
        job_progress(job, "owner", report->counts[OUTCOME_LINKED], 0);
    }
}

static int count_unit(struct db_conn *c, void *arg)
{
    struct owner_batch *b = arg;
    return db_query_int(
        c,
        "SELECT count(*) FROM import_rows m JOIN workspace_chats h ON h.id = m.new_id "
        "WHERE m.source_id = ?1 AND m.table_name = 'workspace_chats' AND h.user_id IS NULL AND "
        "h.api_session_id IS NULL",
        DB_ARGS(DB_INT(b->job->source_id)), &b->chats);
}

int import_owner(struct import_job *job)
{
    struct owner_batch b = {.job = job};
    int r;
    if (job->owner) {
        r = adopt_all(&b, report_table(&job->result->report, "owner"));
    } else {
        r = db_read(job->db, count_unit, &b);
        if (r > 0)
            job->result->nobodys = b.chats;
    }
    return r < 0 ? job_fail(job, r, "the store failed: %s", strerror(-r)) : 0;
}
