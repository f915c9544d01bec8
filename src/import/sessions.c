/* SPDX-License-Identifier: MIT */
/* Histories are read by thread, and a client finds a thread by its session id (session_threads). So
 *
 *   - what a user said in a workspace outside its threads gets a thread of its own, called after the
 * workspace;
 *
 *   - each thread of a user with an account gets a session: its slug; "workspace-<slug>" for a thread of the
 *     first kind; of those, the one used last becomes the user's default session, if that is free. A session
 * id that is taken, or can't be one, becomes "import-<thread's id>". */
#include "import/job.h"

#include "base/text.h"
#include "base/uuid.h"
#include "import/ids.h"

#include <errno.h>
#include <string.h>

#define DEFAULT_THREADS \
    "default_threads"   /* what ids.h keeps them under: "<workspace>:<user>" of the source */
#define SESSION_MAX 128 /* as in api/chat.c */
#define BATCH 100

/* ---- threads for what has none */

static int make_thread(struct db_conn *c, int64_t workspace, int64_t user, int64_t *ret)
{
    char slug[UUID_SIZE];
    uuid_make(slug);
    return db_insert(c,
                     "INSERT INTO workspace_threads (name, slug, workspace_id, user_id) "
                     "SELECT w.name, ?2, w.id, u.id FROM workspaces w, users u WHERE w.id = ?1 AND u.id = ?3 "
                     "RETURNING id",
                     DB_ARGS(DB_INT(workspace), DB_TEXT(slug), DB_INT(user)), ret);
}

int session_default_thread(struct db_conn *c, struct import_job *job, int64_t old_workspace, int64_t old_user,
                           int64_t workspace, int64_t user, int64_t *ret_thread)
{
    char key[OLD_ID_MAX];
    (void)snprintf(key, sizeof key, "%lld:%lld", (long long)old_workspace, (long long)old_user);
    int r = db_query_int(c,
                         "SELECT t.id FROM import_rows m JOIN workspace_threads t ON t.id = m.new_id "
                         "WHERE m.source_id = ?1 AND m.table_name = '" DEFAULT_THREADS "' AND m.old_id = ?2",
                         DB_ARGS(DB_INT(job->source_id), DB_TEXT(key)), ret_thread);
    if (r != 0)
        return r < 0 ? r : 0;
    r = make_thread(c, workspace, user, ret_thread);
    if (r == 0) /* one that was deleted here is made again, for what is new */
        r = db_exec(c,
                    "DELETE FROM import_rows WHERE source_id = ?1 AND table_name = '" DEFAULT_THREADS
                    "' AND old_id = ?2",
                    DB_ARGS(DB_INT(job->source_id), DB_TEXT(key)), NULL);
    return r < 0 ? r : ids_keep(c, job->source_id, DEFAULT_THREADS, key, *ret_thread);
}

/* ---- sessions */

struct listed {
    int64_t thread;
    char user[UUID_SIZE], session[SESSION_MAX + 1];
    bool by_default;
};

struct session_batch {
    struct import_job *job;
    int64_t after, made;
    struct listed list[BATCH];
    size_t n;
};

static bool is_session(const char *s)
{
    return s[0] && strlen(s) <= SESSION_MAX &&
           str_only(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-");
}

static void read_listed(struct db_rows *rows, struct listed *l)
{
    const char *slug = db_text(rows, 2);
    l->thread = db_int(rows, 0);
    l->by_default = db_int(rows, 3) != 0;
    (void)snprintf(l->user, sizeof l->user, "%s", db_text(rows, 1));
    int len = snprintf(l->session, sizeof l->session, "%s%s", l->by_default ? "workspace-" : "", slug);
    if (len < 0 || (size_t)len >= sizeof l->session || !is_session(l->session))
        (void)snprintf(l->session, sizeof l->session, "import-%lld", (long long)l->thread);
}

/* Threads brought in from this source that an account owns and no session leads to. */
static int list_threads(struct db_conn *c, struct session_batch *b)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c,
                     "SELECT t.id, d.id, CASE WHEN m.table_name = '" DEFAULT_THREADS
                     "' THEN w.slug ELSE t.slug END, CASE WHEN m.table_name = '" DEFAULT_THREADS
                     "' THEN 1 ELSE 0 END FROM import_rows m JOIN workspace_threads t ON t.id = m.new_id "
                     "JOIN workspaces w ON w.id = t.workspace_id "
                     "JOIN directus_users d ON d.anythingllm_user_id = t.user_id "
                     "LEFT JOIN session_threads s ON s.thread_id = t.id WHERE m.source_id = ?1 "
                     "AND m.table_name IN ('workspace_threads', '" DEFAULT_THREADS "') "
                     "AND s.thread_id IS NULL AND t.id > ?2 ORDER BY t.id LIMIT ?3",
                     DB_ARGS(DB_INT(b->job->source_id), DB_INT(b->after), DB_INT(BATCH)), &rows);
    while (r >= 0 && b->n < BATCH && (r = db_next(rows)) > 0)
        read_listed(rows, &b->list[b->n++]);
    return r < 0 ? r : 0;
}

static int add_session(struct db_conn *c, const char *user, const char *session, int64_t thread,
                       int64_t *ret_added)
{
    return db_exec(c,
                   "INSERT INTO session_threads (user_id, session_id, thread_id) VALUES (?1, ?2, ?3) "
                   "ON CONFLICT (user_id, session_id) DO NOTHING",
                   DB_ARGS(DB_TEXT(user), DB_TEXT(session), DB_INT(thread)), ret_added);
}

/* Whether, of the user's threads of that kind, this one was used last. */
static int is_last_used(struct db_conn *c, struct session_batch *b, const struct listed *l)
{
    int64_t last = 0;
    int r =
        db_query_int(c,
                     "SELECT h.thread_id FROM workspace_chats h JOIN import_rows m ON m.new_id = h.thread_id "
                     "AND m.source_id = ?1 AND m.table_name = '" DEFAULT_THREADS "' "
                     "JOIN workspace_threads t ON t.id = h.thread_id "
                     "WHERE t.user_id = (SELECT user_id FROM workspace_threads WHERE id = ?2) "
                     "ORDER BY h.\"createdAt\" DESC, h.id DESC LIMIT 1",
                     DB_ARGS(DB_INT(b->job->source_id), DB_INT(l->thread)), &last);
    return r < 0 ? r : last == l->thread;
}

static int add_one(struct db_conn *c, struct session_batch *b, const struct listed *l)
{
    char other[SESSION_MAX + 1];
    int64_t added = 0;
    int r = l->by_default ? is_last_used(c, b, l) : 0;
    if (r > 0) {
        (void)snprintf(other, sizeof other, "genie-%s", l->user); /* as agent/chat.c names it */
        r = add_session(c, l->user, other, l->thread, &added);
    }
    if (r >= 0 && added == 0)
        r = add_session(c, l->user, l->session, l->thread, &added);
    if (r >= 0 && added == 0) {
        (void)snprintf(other, sizeof other, "import-%lld", (long long)l->thread);
        r = add_session(c, l->user, other, l->thread, &added);
    }
    b->made += added;
    return r < 0 ? r : 0;
}

static int sessions_unit(struct db_conn *c, void *arg)
{
    struct session_batch *b = arg;
    b->n = 0;
    b->made = 0;
    int r = list_threads(c, b);
    for (size_t i = 0; i < b->n && r == 0; i++)
        r = add_one(c, b, &b->list[i]);
    return r;
}

int import_sessions(struct import_job *job)
{
    struct report_table *report = report_table(&job->result->report, "session_threads");
    struct session_batch *b = calloc(1, sizeof *b);
    int r = b ? 0 : -ENOMEM;
    if (b)
        b->job = job;
    while (r == 0) {
        r = db_write(job->db, sessions_unit, b);
        if (r < 0 || b->n == 0)
            break;
        report->counts[OUTCOME_ADDED] += b->made;
        b->after = b->list[b->n - 1].thread;
        job_progress(job, "sessions", report->counts[OUTCOME_ADDED], 0);
    }
    free(b);
    return r < 0 ? job_fail(job, r, "the store failed: %s", strerror(-r)) : 0;
}
