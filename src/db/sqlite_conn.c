/* SPDX-License-Identifier: MIT */
/* A SQLite connection: opening, prepared statements kept by their text, running them, errors as errno.
 * A running query is the prepared statement itself; one that is asked for again while it runs is prepared
 * anew. */
#include "db/sqlite_conn.h"

#include "base/clock.h"
#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#define CACHE_STATEMENTS 64
#define CACHE_SQL_MAX 4096 /* longer texts are made on the fly and seldom come back */
#define UNIT_LIMIT_MS 30000
/* Virtual machine steps between two looks at the clock. A step may search 64 KiB of text, so they are few. */
#define PROGRESS_OPS 1000

struct sqlite_stmt {
    struct db_rows base;
    sqlite3_stmt *handle;
    struct sqlite_conn *conn;
    bool running, ended;
    bool outside; /* prepared outside a unit, where more is allowed */
    UT_hash_handle hh;
    char sql[];
};

static struct sqlite_conn *conn_of(struct db_conn *c)
{
    return (struct sqlite_conn *)c;
}

static struct sqlite_stmt *stmt_of(struct db_rows *rows)
{
    return (struct sqlite_stmt *)rows;
}

/* --- errors ----------------------------------------------------------------------------------------- */

/* A full disk is SQLITE_FULL, but an exhausted quota, or a file too large for its limit, is an input/output
 * error like any other; and only opening notes its errno in the connection. Nothing clears errno between the
 * system call that failed and us, and we clear it before. */
static int io_errno(struct sqlite_conn *c, int last_errno)
{
    switch (last_errno ? last_errno : sqlite3_system_errno(c->handle)) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return -ENOSPC;
    default:
        return -EIO;
    }
}

static int constraint_errno(int rc)
{
    switch (rc) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
        return -EEXIST;
    default:
        return -EDOM;
    }
}

static int to_errno(struct sqlite_conn *c, int rc)
{
    int last_errno = errno;
    switch (rc & 0xff) {
    case SQLITE_CONSTRAINT:
        return constraint_errno(rc);
    case SQLITE_MISMATCH:
        return -EDOM;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_INTERRUPT:
        return -ETIMEDOUT;
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        return io_errno(c, last_errno);
    default:
        return -EIO;
    }
}

/* The statement's own message is logged only when it can't hold values: while preparing. */
static int fail(struct sqlite_conn *c, const char *sql, int rc, const char *message)
{
    int last_errno = errno, r = to_errno(c, rc);
    if (r == -EIO)
        log_event(LOG_ERROR, "store: a statement failed", LOG_S("sql", sql), LOG_S("error", message),
                  LOG_N("code", rc), LOG_N("errno", last_errno));
    if (c->in_unit && !c->error)
        c->error = r;
    return r;
}

/* --- opening ---------------------------------------------------------------------------------------- */

/* SQLite's own handler sleeps up to 100 ms between tries and starves beside a busy writer; the gap between
 * two of its commits is well below a millisecond. */
static int wait_for_lock(void *arg, int tries)
{
    struct sqlite_conn *c = arg;
    int64_t now = clock_monotonic_ms();
    if (tries == 0)
        c->busy_since = now;
    if (now - c->busy_since >= c->busy_limit_ms)
        return 0;
    (void)sqlite3_sleep(1);
    return 1;
}

static int stop_if_late(void *arg)
{
    struct sqlite_conn *c = arg;
    return c->in_unit && clock_monotonic_ms() >= c->unit_deadline;
}

/* A unit that ended the transaction would commit others' half-done work. */
static int allow(void *arg, int action, const char *a, const char *b, const char *db, const char *trigger)
{
    (void)a, (void)b, (void)db, (void)trigger;
    struct sqlite_conn *c = arg;
    if (!c->in_unit)
        return SQLITE_OK;
    switch (action) {
    case SQLITE_TRANSACTION:
    case SQLITE_SAVEPOINT:
    case SQLITE_ATTACH:
    case SQLITE_DETACH:
        return SQLITE_DENY;
    default:
        return SQLITE_OK;
    }
}

static int is_wal(void *arg, int columns, char **values, char **names)
{
    (void)names;
    *(bool *)arg = columns == 1 && values[0] && strcmp(values[0], "wal") == 0;
    return 0;
}

/* The first statement that reads the file. Changing the mode of a new file doesn't call the busy handler. */
static int enter_wal(struct sqlite_conn *c, const char *path)
{
    bool wal = false;
    int rc, tries = 0;
    errno = 0;
    do
        rc = sqlite3_exec(c->handle, "PRAGMA journal_mode=WAL", is_wal, &wal, NULL);
    while ((rc & 0xff) == SQLITE_BUSY && wait_for_lock(c, tries++));
    if (rc == SQLITE_OK && wal)
        return 0;
    int r = rc == SQLITE_NOTADB ? -EINVAL : rc == SQLITE_OK ? -ENOTSUP : to_errno(c, rc);
    const char *why = rc == SQLITE_NOTADB ? "the file is not a SQLite database"
                      : rc == SQLITE_OK   ? "its file system can't hold a write-ahead log"
                                          : sqlite3_errstr(rc);
    log_event(LOG_ERROR, "store: can't open the database", LOG_S("path", path), LOG_S("error", why));
    return r;
}

static int configure(struct sqlite_conn *c, const struct sqlite_conn_options *options)
{
    char cache[64];
    (void)snprintf(cache, sizeof cache, "PRAGMA cache_size=-%d", options->cache_kib);
    const char *const pragmas[] = {
        "PRAGMA synchronous=FULL",
        "PRAGMA temp_store=MEMORY",
        "PRAGMA mmap_size=0", /* pages that are mapped count as resident */
        "PRAGMA journal_size_limit=67108864",
        cache,
        options->read_only ? "PRAGMA query_only=ON" : "PRAGMA query_only=OFF",
    };
    for (size_t i = 0; i < ARRAY_LEN(pragmas); i++) {
        int r = sqlite_exec(&c->base, pragmas[i], DB_NO_ARGS, NULL);
        if (r < 0)
            return r;
    }
    return 0;
}

static void harden(struct sqlite_conn *c)
{
    static const struct {
        int what, on;
    } settings[] = {
        {SQLITE_DBCONFIG_ENABLE_FKEY, 1}, {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0}, {SQLITE_DBCONFIG_DEFENSIVE, 1},
        {SQLITE_DBCONFIG_DQS_DML, 0},     {SQLITE_DBCONFIG_DQS_DDL, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(settings); i++)
        (void)sqlite3_db_config(c->handle, settings[i].what, settings[i].on, NULL);
    (void)sqlite3_busy_handler(c->handle, wait_for_lock, c);
    sqlite3_progress_handler(c->handle, PROGRESS_OPS, stop_if_late, c);
    (void)sqlite3_set_authorizer(c->handle, allow, c);
}

int sqlite_conn_open(const struct sqlite_conn_options *options, struct sqlite_conn **ret)
{
    _cleanup_(sqlite_conn_closeP) struct sqlite_conn *c = calloc(1, sizeof *c);
    if (!c)
        return -ENOMEM;
    c->base.engine = &sqlite_engine;
    c->busy_limit_ms = DB_WAIT_MS;
    c->unit_limit_ms = UNIT_LIMIT_MS;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int rc = sqlite3_open_v2(options->path, &c->handle, flags, NULL);
    if (rc != SQLITE_OK) {
        int r = c->handle && sqlite3_system_errno(c->handle) ? -sqlite3_system_errno(c->handle) : -EIO;
        log_event(LOG_ERROR, "store: can't open the database", LOG_S("path", options->path),
                  LOG_S("error", sqlite3_errstr(rc)));
        return r;
    }
    harden(c);
    int r = enter_wal(c, options->path);
    if (r < 0 || (r = configure(c, options)) < 0)
        return r;
    *ret = TAKE_PTR(c);
    return 0;
}

/* --- prepared statements ---------------------------------------------------------------------------- */

static void discard(struct sqlite_stmt *s)
{
    if (s->hh.tbl)
        HASH_DEL(s->conn->cache, s);
    (void)sqlite3_finalize(s->handle);
    free(s);
}

void sqlite_conn_close(struct sqlite_conn *c)
{
    struct sqlite_stmt *s, *next;
    HASH_ITER (hh, c->cache, s, next)
        discard(s);
    (void)sqlite3_close_v2(c->handle);
    free(c);
}

/* Puts a statement at the end of the order, where the most recently used are. */
static void keep(struct sqlite_conn *c, struct sqlite_stmt *s)
{
    HASH_ADD_KEYPTR(hh, c->cache, s->sql, strlen(s->sql),
                    s); /* without memory: hh.tbl stays NULL, it isn't kept */
    if (HASH_COUNT(c->cache) <= CACHE_STATEMENTS)
        return;
    struct sqlite_stmt *oldest, *next;
    HASH_ITER (hh, c->cache, oldest, next) {
        if (oldest->running || oldest == s)
            continue;
        discard(oldest);
        return;
    }
}

static bool only_blank(const char *s)
{
    return s[strspn(s, " \t\r\n;")] == '\0';
}

static int prepare(struct sqlite_conn *c, const char *sql, bool lasting, struct sqlite_stmt **ret)
{
    size_t len = strlen(sql);
    lasting = lasting && len <= CACHE_SQL_MAX;
    struct sqlite_stmt *s = calloc(1, sizeof *s + len + 1);
    if (!s)
        return -ENOMEM;
    s->base.engine = &sqlite_engine;
    s->conn = c;
    s->outside = !c->in_unit;
    errno = 0;
    memcpy(s->sql, sql, len + 1);
    const char *rest = NULL;
    int rc = sqlite3_prepare_v3(c->handle, s->sql, (int)len + 1, lasting ? SQLITE_PREPARE_PERSISTENT : 0,
                                &s->handle, &rest);
    int r = rc != SQLITE_OK ? fail(c, sql, rc, sqlite3_errmsg(c->handle)) : 0;
    if (r == 0 && (!s->handle || !only_blank(rest)))
        r = fail(c, sql, SQLITE_MISUSE, "not exactly one statement");
    if (r < 0) {
        discard(s);
        return r;
    }
    if (lasting)
        keep(c, s);
    *ret = s;
    return 0;
}

static int acquire(struct sqlite_conn *c, const char *sql, struct sqlite_stmt **ret)
{
    if (c->error)
        return c->error;
    struct sqlite_stmt *s;
    HASH_FIND_STR(c->cache, sql, s);
    if (!s || s->running || s->outside == c->in_unit) {
        int r = prepare(c, sql, !s, &s);
        if (r < 0)
            return r;
    } else {
        HASH_DEL(c->cache, s);
        keep(c, s);
    }
    c->running++;
    s->running = true;
    s->ended = false;
    *ret = s;
    return 0;
}

static void release(struct sqlite_stmt *s)
{
    (void)sqlite3_reset(s->handle);
    (void)sqlite3_clear_bindings(s->handle);
    s->running = false;
    s->conn->running--;
    if (!s->hh.tbl)
        discard(s);
}

static int bind_value(struct sqlite_stmt *s, int i, const struct db_value *v,
                      sqlite3_destructor_type lifetime)
{
    switch (v->type) {
    case DB_T_INT:
    case DB_T_BOOL:
        return sqlite3_bind_int64(s->handle, i, v->i);
    case DB_T_REAL:
        return sqlite3_bind_double(s->handle, i, v->d);
    case DB_T_TEXT:
        return sqlite3_bind_text(s->handle, i, v->p, -1, lifetime);
    case DB_T_BLOB:
        return sqlite3_bind_blob64(s->handle, i, v->p ? v->p : "", v->len, lifetime);
    default:
        return sqlite3_bind_null(s->handle, i);
    }
}

static int start(struct sqlite_conn *c, const char *sql, const struct db_value *args, size_t n,
                 sqlite3_destructor_type lifetime, struct sqlite_stmt **ret)
{
    struct sqlite_stmt *s = NULL;
    int r = acquire(c, sql, &s);
    if (r < 0)
        return r;
    if ((size_t)sqlite3_bind_parameter_count(s->handle) != n)
        r = fail(c, sql, SQLITE_MISUSE, "the number of parameters differs from the statement's");
    for (size_t i = 0; r == 0 && i < n; i++) {
        int rc = bind_value(s, (int)i + 1, &args[i], lifetime);
        if (rc != SQLITE_OK)
            r = fail(c, sql, rc, sqlite3_errstr(rc));
    }
    if (r < 0) {
        release(s);
        return r;
    }
    *ret = s;
    return 0;
}

static int step(struct sqlite_stmt *s)
{
    errno = 0;
    return sqlite3_step(s->handle);
}

/* --- operations ------------------------------------------------------------------------------------- */

int sqlite_conn_run(struct sqlite_conn *c, db_fn fn, void *arg)
{
    c->error = 0;
    c->unit_deadline = clock_monotonic_ms() + c->unit_limit_ms;
    c->in_unit = true;
    int r = fn(&c->base, arg);
    c->in_unit = false;
    assert(c->running == 0); /* rows that outlive their unit would pin its snapshot for good */
    if (c->error && r >= 0)
        r = c->error;
    c->error = 0;
    return r;
}

bool sqlite_conn_in_transaction(struct sqlite_conn *c)
{
    return !sqlite3_get_autocommit(c->handle);
}

int sqlite_exec(struct db_conn *base, const char *sql, const struct db_value *args, size_t n,
                int64_t *ret_changed)
{
    struct sqlite_conn *c = conn_of(base);
    struct sqlite_stmt *s;
    int r = start(c, sql, args, n, SQLITE_STATIC, &s);
    if (r < 0)
        return r;
    int rc;
    do
        rc = step(s);
    while (rc == SQLITE_ROW);
    if (rc != SQLITE_DONE)
        r = fail(c, sql, rc, sqlite3_errstr(rc));
    else if (ret_changed)
        *ret_changed = sqlite3_changes64(c->handle);
    release(s);
    return r;
}

void sqlite_limit(struct db_conn *base, int limit_ms)
{
    struct sqlite_conn *c = conn_of(base);
    int64_t deadline = clock_monotonic_ms() + limit_ms;
    if (deadline < c->unit_deadline)
        c->unit_deadline = deadline;
}

int sqlite_unlimit(struct db_conn *base)
{
    conn_of(base)->unit_deadline = INT64_MAX;
    return 0;
}

int sqlite_script(struct db_conn *base, const char *sql)
{
    struct sqlite_conn *c = conn_of(base);
    (void)sqlite_unlimit(base); /* a migration takes as long as the data is large */
    errno = 0;
    int rc = sqlite3_exec(c->handle, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : fail(c, "(script)", rc, sqlite3_errmsg(c->handle));
}

int sqlite_query(struct db_conn *c, const char *sql, const struct db_value *args, size_t n,
                 struct db_rows **ret)
{
    struct sqlite_stmt *s;
    int r = start(conn_of(c), sql, args, n, SQLITE_TRANSIENT, &s);
    if (r == 0)
        *ret = &s->base;
    return r;
}

int sqlite_next(struct db_rows *rows)
{
    struct sqlite_stmt *s = stmt_of(rows);
    if (s->ended)
        return 0;
    int rc = step(s);
    if (rc == SQLITE_ROW)
        return 1;
    s->ended = true; /* one step more would begin anew */
    return rc == SQLITE_DONE ? 0 : fail(s->conn, s->sql, rc, sqlite3_errstr(rc));
}

void sqlite_rows_free(struct db_rows *rows)
{
    release(stmt_of(rows));
}

const char *sqlite_text(struct db_rows *rows, int col)
{
    return (const char *)sqlite3_column_text(stmt_of(rows)->handle, col);
}

int64_t sqlite_int(struct db_rows *rows, int col)
{
    return sqlite3_column_int64(stmt_of(rows)->handle, col);
}

double sqlite_real(struct db_rows *rows, int col)
{
    return sqlite3_column_double(stmt_of(rows)->handle, col);
}

bool sqlite_is_null(struct db_rows *rows, int col)
{
    return sqlite3_column_type(stmt_of(rows)->handle, col) == SQLITE_NULL;
}

const void *sqlite_blob(struct db_rows *rows, int col, size_t *ret_len)
{
    const void *blob = sqlite3_column_blob(stmt_of(rows)->handle, col);
    *ret_len = (size_t)sqlite3_column_bytes(stmt_of(rows)->handle, col);
    return blob;
}
