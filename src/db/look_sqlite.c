/* SPDX-License-Identifier: MIT */
#include "db/look.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>

#define PROGRESS_OPS 10000
#define URI_SIZE 4096

static void close_handleP(sqlite3 **handle)
{
    (void)sqlite3_close_v2(*handle);
}

static int is_late(void *arg)
{
    return clock_monotonic_ms() >= *(const int64_t *)arg;
}

/* The first column of the first row; "" where there is none. The statement's result code. */
static int ask(sqlite3 *handle, const char *sql, char *ret, size_t size)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(handle, sql, -1, &stmt, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    const char *text = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
    (void)snprintf(ret, size, "%s", text ? text : "");
    (void)sqlite3_finalize(stmt);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc & 0xff;
}

/* A file whose path may hold anything, as a URI. */
static int make_uri(const char *path, bool still, char *ret, size_t size)
{
    size_t n = (size_t)snprintf(ret, size, "file:");
    for (; *path && n + 32 < size; path++)
        n +=
            (size_t)snprintf(ret + n, size - n, strchr("?#%", *path) ? "%%%02X" : "%c", (unsigned char)*path);
    (void)snprintf(ret + n, size - n, "%s", still ? "?immutable=1" : "");
    return *path ? -ENAMETOOLONG : 0;
}

static int fail(int rc, struct db_why *why)
{
    (void)snprintf(why->text, sizeof why->text, "%s", sqlite3_errstr(rc));
    return rc == SQLITE_NOTADB || rc == SQLITE_CORRUPT ? -EBADMSG : -EIO;
}

/* What can't be read (in time) is the check's to tell. */
static void look_at_queues(sqlite3 *handle, struct look_queues *ret)
{
    char counts[128];
    if (ask(handle, LOOK_QUEUES_SQL, counts, sizeof counts) == SQLITE_OK)
        look_queues_read(counts, ret);
    else
        ret->waiting = -1;
}

int db_look_sqlite(const char *path, int limit_ms, struct look_sqlite *ret, struct db_why *ret_why)
{
    _cleanup_(close_handleP) sqlite3 *handle = NULL;
    char uri[URI_SIZE], log[URI_SIZE], version[32];
    struct stat st;
    struct look_sqlite look = {0};
    int64_t until = clock_monotonic_ms() + limit_ms;
    if (stat(path, &st) < 0)
        return -errno;
    (void)snprintf(log, sizeof log, "%s-wal", path);
    look.log_bytes = stat(log, &st) == 0 ? st.st_size : 0;
    /* Without a log nobody has it open, and a plain look would leave files behind. */
    int r = make_uri(path, look.log_bytes == 0, uri, sizeof uri);
    if (r < 0)
        return r;
    int rc =
        sqlite3_open_v2(uri, &handle, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc == SQLITE_OK) {
        (void)sqlite3_busy_timeout(handle, limit_ms / 4);
        (void)sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
        sqlite3_progress_handler(handle, PROGRESS_OPS, is_late, &until);
        rc = ask(handle, "SELECT count(*) FROM sqlite_schema WHERE name = 'schema_version'", version,
                 sizeof version);
    }
    if (rc == SQLITE_OK && version[0] == '1')
        rc = ask(handle, "SELECT coalesce(max(version), 0) FROM schema_version", version, sizeof version);
    if (rc != SQLITE_OK)
        return fail(rc, ret_why);
    look.schema = strtoll(version, NULL, 10);
    if (look.schema >= LOOK_QUEUES_SINCE)
        look_at_queues(handle, &look.queues);
    rc = ask(handle, "PRAGMA quick_check(1)", look.damage, sizeof look.damage);
    if (rc != SQLITE_OK && rc != SQLITE_INTERRUPT)
        return fail(rc, ret_why);
    look.finished = rc == SQLITE_OK;
    if (!look.finished || strcmp(look.damage, "ok") == 0)
        look.damage[0] = '\0';
    *ret = look;
    return 0;
}
