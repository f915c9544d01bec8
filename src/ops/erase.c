/* SPDX-License-Identifier: MIT */
/* Rows go by statements of their own where they can be counted, and by foreign keys where they can't.
 * Directus's other tables refer to users too, some of them without saying what a removal means: such a column
 * is emptied. */
#include "ops/erase.h"

#include "auth/rights.h"
#include "base/buf.h"
#include "base/text.h"
#include "items/access.h"
#include "onboarding/exports.h"
#include "ops/error.h"
#include "ops/native.h"

#include <errno.h>
#include <string.h>

#define NAMES_MAX ((size_t)64 * 1024 * 1024)
#define TEXTS_MAX ((size_t)256 * 1024)

struct erase {
    const struct erase_options *options;
    struct erase_summary summary; /* counted anew in each run of the unit */
    struct buf files;             /* ids and names on the disk, each with its NUL */
    struct buf jobs;              /* the same of their queues and ids */
};

/* ---- rows */

/* A collection whose rows go: owned, and neither an audit (which nobody deletes) nor one of Directus's. */
static bool goes(const struct collection *collection)
{
    return collection->owner && (collection->admin_actions & ACTION_DELETE) &&
           !str_has_prefix(collection->name, "directus_");
}

static int count_rows(struct db_conn *c, const struct erase_options *o, int64_t *ret)
{
    char sql[256];
    int r = 0;
    *ret = 0;
    for (const struct collection *t = access_table; t->name && r >= 0; t++) {
        int64_t n = 0;
        (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM %s WHERE \"%s\" = ?1", t->name,
                       t->owner ? t->owner : "");
        if (goes(t))
            r = db_query_int(c, sql, DB_ARGS(DB_TEXT(o->user_id)), &n);
        *ret += n;
    }
    return r < 0 ? r : 0;
}

static int delete_rows(struct db_conn *c, const struct erase_options *o)
{
    char sql[256];
    int r = 0;
    for (const struct collection *t = access_table; t->name && r == 0; t++) {
        (void)snprintf(sql, sizeof sql, "DELETE FROM %s WHERE \"%s\" = ?1", t->name,
                       t->owner ? t->owner : "");
        if (goes(t))
            r = db_exec(c, sql, DB_ARGS(DB_TEXT(o->user_id)), NULL);
    }
    return r;
}

static int delete_bookkeeping(struct db_conn *c, const struct erase_options *o)
{
    static const char *const statements[] = {
        "DELETE FROM queue_outbox WHERE job_id IN (SELECT id FROM queue_jobs WHERE user_id = ?1)",
        "DELETE FROM queue_jobs WHERE user_id = ?1",
        "DELETE FROM idempotency_keys WHERE scope = 'user ' || CAST(?1 AS TEXT)", /* as http/idempotency.c
                                                                                     names it */
        "DELETE FROM directus_sessions WHERE \"user\" = ?1",
    };
    int r = 0;
    for (size_t i = 0; i < ARRAY_LEN(statements) && r == 0; i++)
        r = db_exec(c, statements[i], DB_ARGS(DB_TEXT(o->user_id)), NULL);
    return r;
}

static int delete_native(struct db_conn *c, const struct erase_options *o)
{
    static const char *const statements[] = {
        "DELETE FROM document_vectors WHERE \"docId\" IN"
        " (SELECT \"docId\" FROM workspace_documents WHERE \"workspaceId\" IN " OWN_WORKSPACES ")",
        "DELETE FROM workspace_chats WHERE user_id = ?1 OR \"workspaceId\" IN " OWN_WORKSPACES,
        "DELETE FROM workspaces WHERE id IN " OWN_WORKSPACES,
        "DELETE FROM users WHERE id = ?1",
    };
    int r = 0;
    for (size_t i = 0; i < ARRAY_LEN(statements) && r == 0 && o->native_id > 0; i++)
        r = db_exec(c, statements[i], DB_ARGS(DB_INT(o->native_id)), NULL);
    return r;
}

static int count(struct db_conn *c, const struct erase_options *o, struct erase_summary *s)
{
    const struct {
        const char *sql;
        struct db_value id;
        int64_t *to;
    } counts[] = {
        {"SELECT count(*) FROM workspace_chats WHERE user_id = ?1 OR \"workspaceId\" IN " OWN_WORKSPACES,
         DB_INT(o->native_id), &s->chats},
        {"SELECT count(*) FROM workspace_threads WHERE user_id = ?1 OR workspace_id IN " OWN_WORKSPACES,
         DB_INT(o->native_id), &s->threads},
        {"SELECT count(*) FROM workspaces WHERE id IN " OWN_WORKSPACES, DB_INT(o->native_id), &s->workspaces},
        {"SELECT count(*) FROM directus_files WHERE uploaded_by = ?1", DB_TEXT(o->user_id), &s->files},
    };
    int r = count_rows(c, o, &s->rows);
    for (size_t i = 0; i < ARRAY_LEN(counts) && r >= 0; i++)
        r = db_query_int(c, counts[i].sql, &counts[i].id, 1, counts[i].to);
    return r < 0 ? r : 0;
}

/* ---- others' tables that hold on to the user */

#define HOLDS_SQL \
    "SELECT CAST(CAST(c.conrelid AS regclass) AS text), quote_ident(a.attname)" \
    " FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]" \
    " WHERE c.contype = 'f' AND c.confrelid = CAST('directus_users' AS regclass) AND c.confdeltype IN " \
    "('a', 'r')" \
    " AND array_length(c.conkey, 1) = 1 AND NOT a.attnotnull ORDER BY 1, 2"

static int list_holds(struct db_conn *c, struct buf *statements)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c, HOLDS_SQL, DB_NO_ARGS, &rows);
    while (r == 0 && (r = db_next(rows)) > 0)
        r = buf_addf(statements, "UPDATE %s SET %s = NULL WHERE %s = ?1", db_text(rows, 0), db_text(rows, 1),
                     db_text(rows, 1)) == 0
                ? buf_add(statements, "", 1)
                : -ENOMEM;
    return r;
}

static int loosen_holds(struct db_conn *c, const struct erase_options *o)
{
    _cleanup_buf_ struct buf statements = BUF_INIT(TEXTS_MAX);
    if (!o->postgres)
        return 0;
    int r = list_holds(c, &statements);
    for (size_t at = 0; at < statements.len && r == 0; at += strlen(statements.data + at) + 1)
        r = db_exec(c, statements.data + at, DB_ARGS(DB_TEXT(o->user_id)), NULL);
    return r;
}

/* ---- the unit */

/* Gathers what sql gives of the user, two texts a row, each with its NUL. */
static int list_pairs(struct db_conn *c, const struct erase *e, const char *sql, struct buf *ret)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    buf_reset(ret);
    int r = db_query(c, sql, DB_ARGS(DB_TEXT(e->options->user_id)), &rows);
    while (r == 0 && (r = db_next(rows)) > 0) {
        const char *first = db_text(rows, 0), *second = db_text(rows, 1);
        r = buf_add(ret, first, strlen(first) + 1);
        if (r == 0)
            r = buf_add(ret, second, strlen(second) + 1);
    }
    return r;
}

static int delete_files(struct db_conn *c, struct erase *e)
{
    int r = list_pairs(
        c, e, "SELECT id, coalesce(filename_disk, '') FROM directus_files WHERE uploaded_by = ?1", &e->files);
    return r < 0 ? r
                 : db_exec(c, "DELETE FROM directus_files WHERE uploaded_by = ?1",
                           DB_ARGS(DB_TEXT(e->options->user_id)), NULL);
}

static int list_jobs(struct db_conn *c, struct erase *e)
{
    return e->options->queue
               ? list_pairs(c, e, "SELECT queue, id FROM queue_jobs WHERE user_id = ?1 ORDER BY seq",
                            &e->jobs)
               : 0;
}

static int delete_user(struct db_conn *c, const struct erase_options *o)
{
    int64_t gone;
    int r = db_exec(c, "DELETE FROM directus_users WHERE id = ?1", DB_ARGS(DB_TEXT(o->user_id)), &gone);
    return r == 0 && gone == 0 ? -ENOENT : r;
}

/* Jobs before what they are about, and the user last: the order in which the ends of jobs write, too. What
 * its clients write at the same time and names other rows of the user has its turn. */
static int erase_unit(struct db_conn *c, void *arg)
{
    struct erase *e = arg;
    const struct erase_options *o = e->options;
    int r = o->admin ? rights_leave_admin(c, o->user_id) : 0;
    if (r == 0)
        r = count(c, o, &e->summary);
    if (r == 0)
        r = list_jobs(c, e);
    if (r == 0)
        r = delete_bookkeeping(c, o);
    if (r == 0)
        r = delete_rows(c, o);
    if (r == 0)
        r = delete_files(c, e);
    if (r == 0)
        r = delete_native(c, o);
    if (r == 0)
        r = loosen_holds(c, o);
    return r == 0 ? delete_user(c, o) : r;
}

/* ---- what lies in directories */

static void forget_files(struct erase *e)
{
    const struct erase_options *o = e->options;
    const char *id = e->files.data, *end = id + e->files.len;
    while (id < end) {
        const char *name = id + strlen(id) + 1;
        if (file_forget(o->files, id))
            e->summary.removed++;
        else if (o->kept && name[0])
            o->kept(o->ctx, name);
        id = name + strlen(name) + 1;
    }
}

/* Whatever can't be told to Redis is counted. */
static void forget_jobs(struct erase *e)
{
    const char *name = e->jobs.data, *end = name + e->jobs.len;
    while (name < end) {
        const char *id = name + strlen(name) + 1;
        enum queue_name queue;
        int r = queue_name_parse(name, &queue);
        if (r == 0 && e->summary.jobs_left == 0)
            r = queue_forget(e->options->queue, queue, id);
        e->summary.jobs_left += r < 0 || e->summary.jobs_left > 0;
        name = id + strlen(id) + 1;
    }
}

static int explain(struct ops_error *error, int r)
{
    switch (r) {
    case -ENOENT:
        return ops_fail(error, r, "the account is gone already");
    case -EPERM:
        return ops_fail(error, r,
                        "this is the last active account with admin rights; make another one first");
    case -EDOM:
        return ops_fail(error, r,
                        "something else in the database still refers to this account, and may not be left "
                        "without it; nothing was deleted (the database's log names the rule)");
    default:
        return ops_fail(error, r, "the store failed: %s", strerror(-r));
    }
}

int erase_user(const struct erase_options *options, struct erase_summary *ret, struct ops_error *ret_error)
{
    struct erase e = {.options = options, .files = BUF_INIT(NAMES_MAX), .jobs = BUF_INIT(NAMES_MAX)};
    int r = exports_mark(options->data_dir, options->user_id);
    if (r == 0)
        r = db_write_in_turn(options->db, options->user_id, erase_unit, &e);
    if (r == 0) {
        forget_files(&e);
        forget_jobs(&e);
        (void)exports_forget(options->data_dir, options->user_id, &e.summary.exports);
        *ret = e.summary;
    }
    buf_free(&e.files);
    buf_free(&e.jobs);
    return r < 0 ? explain(ret_error, r) : 0;
}

struct counting {
    const struct erase_options *options;
    struct erase_summary *summary;
};

static int count_unit(struct db_conn *c, void *arg)
{
    struct counting *counting = arg;
    return count(c, counting->options, counting->summary);
}

int erase_count(const struct erase_options *options, struct erase_summary *ret)
{
    *ret = (struct erase_summary){0};
    return db_read(options->db, count_unit, &(struct counting){options, ret});
}
