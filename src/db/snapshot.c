/* SPDX-License-Identifier: MIT */
/* SQLite's online copy begins anew whenever another process writes between two of its steps, and so may never
 * end beside a busy server. Here the source's connection holds one read transaction over the whole copy: in
 * WAL mode that is a snapshot, which writers neither change nor wait for. */
#include "db/snapshot.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "db/migrations.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#define STEP_PAGES 2048
#define BUSY_MS 5000

static void close_handleP(sqlite3 **handle)
{
    (void)sqlite3_close_v2(*handle);
}

static int to_errno(int rc)
{
    int last_errno = errno;
    switch (rc & 0xff) {
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -ETIMEDOUT;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return -EBADMSG;
    default:
        return last_errno == ENOSPC || last_errno == EDQUOT || last_errno == EFBIG ? -ENOSPC : -EIO;
    }
}

static int fail(int rc, struct db_why *why)
{
    int r = to_errno(rc);
    (void)snprintf(why->text, sizeof why->text, "%s", r == -ENOSPC ? "the disk is full" : sqlite3_errstr(rc));
    return r;
}

static int open_handle(const char *path, int flags, sqlite3 **ret, struct db_why *why)
{
    errno = 0;
    int rc = sqlite3_open_v2(path, ret, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (rc != SQLITE_OK)
        return fail(rc, why);
    (void)sqlite3_busy_timeout(*ret, BUSY_MS);
    (void)sqlite3_db_config(*ret, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(*ret, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    return 0;
}

static int run(sqlite3 *handle, const char *sql, struct db_why *why)
{
    errno = 0;
    int rc = sqlite3_exec(handle, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : fail(rc, why);
}

/* Pages go over in steps only so that somebody may watch. */
static int copy_pages(sqlite3 *from, sqlite3 *to, void (*progress)(void *, int64_t, int64_t), void *ctx,
                      struct db_why *why)
{
    sqlite3_backup *copy = sqlite3_backup_init(to, "main", from, "main");
    if (!copy)
        return fail(sqlite3_errcode(to), why);
    int rc;
    errno = 0;
    while ((rc = sqlite3_backup_step(copy, STEP_PAGES)) == SQLITE_OK)
        if (progress)
            progress(ctx, sqlite3_backup_pagecount(copy) - sqlite3_backup_remaining(copy),
                     sqlite3_backup_pagecount(copy));
    int r = rc == SQLITE_DONE ? 0 : fail(rc, why);
    (void)sqlite3_backup_finish(copy);
    return r;
}

int db_snapshot(const char *path, const char *to, void (*progress)(void *ctx, int64_t done, int64_t total),
                void *ctx, struct db_why *ret_why)
{
    _cleanup_(close_handleP) sqlite3 *from = NULL, *copy = NULL;
    if (access(path, R_OK) < 0) {
        (void)snprintf(ret_why->text, sizeof ret_why->text, "%s", strerror(errno));
        return -errno;
    }
    int r = open_handle(path, SQLITE_OPEN_READWRITE, &from, ret_why);
    if (r == 0)
        r = open_handle(to, SQLITE_OPEN_READWRITE, &copy, ret_why);
    if (r == 0)
        r = run(from, "PRAGMA query_only=ON; BEGIN; SELECT count(*) FROM sqlite_schema", ret_why);
    if (r == 0) /* the copy is thrown away if the machine stops */
        r = run(copy, "PRAGMA synchronous=OFF; PRAGMA journal_mode=MEMORY", ret_why);
    if (r == 0)
        r = copy_pages(from, copy, progress, ctx, ret_why);
    if (r == 0)
        r = run(copy, "PRAGMA journal_mode=DELETE", ret_why);
    return r;
}

/* The first column of the first row as text ("" where there is none). */
static int ask(sqlite3 *handle, const char *sql, char *ret, size_t size, struct db_why *why)
{
    sqlite3_stmt *stmt = NULL;
    errno = 0;
    int rc = sqlite3_prepare_v2(handle, sql, -1, &stmt, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    const char *text = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
    (void)snprintf(ret, size, "%s", text ? text : "");
    (void)sqlite3_finalize(stmt);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : fail(rc, why);
}

int db_snapshot_check(const char *path, int64_t *ret_schema, struct db_why *ret_why)
{
    _cleanup_(close_handleP) sqlite3 *handle = NULL;
    char said[200], version[32];
    int r = open_handle(path, SQLITE_OPEN_READONLY, &handle, ret_why);
    if (r == 0)
        r = ask(handle, "PRAGMA integrity_check(1)", said, sizeof said, ret_why);
    if (r < 0)
        return r;
    if (strcmp(said, "ok") != 0) {
        (void)snprintf(ret_why->text, sizeof ret_why->text, "%s", said);
        return -EBADMSG;
    }
    if (ask(handle, "SELECT max(version) FROM schema_version", version, sizeof version, ret_why) < 0 ||
        !version[0]) {
        (void)snprintf(ret_why->text, sizeof ret_why->text, "it holds no schema of this program");
        return -EBADMSG;
    }
    *ret_schema = strtoll(version, NULL, 10);
    return 0;
}

int64_t db_schema_newest(void)
{
    int64_t newest = 0;
    for (const struct migration *m = sqlite_migrations; m->version != 0; m++)
        newest = m->version;
    return newest;
}
