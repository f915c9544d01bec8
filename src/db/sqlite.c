/* SPDX-License-Identifier: MIT */
/* SQLite as the store's engine: a pool of reading connections and one writer. In WAL mode readers see the
 * snapshot of their transaction's beginning, and neither wait for the writer nor hold it up. */
#include "db/engine.h"
#include "db/sqlite_conn.h"
#include "db/writer.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>

/* Most memory for pages; taken as needed. A commit empties the readers' caches, so more would bring little.
 */
#define READER_CACHE_KIB 1024
#define WRITER_CACHE_KIB 2048

struct sqlite_db {
    struct db base;
    struct writer *writer;
    char *path;
    pthread_mutex_t lock;
    pthread_cond_t returned;
    struct sqlite_conn *idle; /* most recently used first, so that those not needed stay cold */
    int open, max;            /* connections, lent ones included */
};

static struct sqlite_db *store_of(struct db *db)
{
    return (struct sqlite_db *)db;
}

/* --- readers ---------------------------------------------------------------------------------------- */

/* An idle connection, or leave to open one (*ret NULL), or -ETIMEDOUT. */
static int borrow(struct sqlite_db *s, struct sqlite_conn **ret)
{
    struct timespec deadline = clock_deadline(DB_WAIT_MS);
    int late = 0;
    pthread_mutex_lock(&s->lock);
    while (!s->idle && s->open >= s->max && late == 0)
        late = pthread_cond_timedwait(&s->returned, &s->lock, &deadline);
    int r = 0;
    *ret = s->idle;
    if (s->idle)
        s->idle = s->idle->next;
    else if (s->open < s->max)
        s->open++;
    else
        r = -ETIMEDOUT;
    pthread_mutex_unlock(&s->lock);
    return r;
}

/* Gives a connection back; NULL: it could not be opened or is no longer usable. */
static void give_back(struct sqlite_db *s, struct sqlite_conn *c)
{
    pthread_mutex_lock(&s->lock);
    if (c) {
        c->next = s->idle;
        s->idle = c;
    } else {
        s->open--;
    }
    pthread_cond_signal(&s->returned);
    pthread_mutex_unlock(&s->lock);
}

static int lend(struct sqlite_db *s, struct sqlite_conn **ret)
{
    struct sqlite_conn *c;
    int r = borrow(s, &c);
    if (r < 0)
        return r;
    if (!c)
        r = sqlite_conn_open(
            &(struct sqlite_conn_options){.path = s->path, .cache_kib = READER_CACHE_KIB, .read_only = true},
            &c);
    if (r < 0) {
        give_back(s, NULL);
        return r;
    }
    *ret = c;
    return 0;
}

static int read_unit(struct db *db, db_fn fn, void *arg)
{
    struct sqlite_db *s = store_of(db);
    struct sqlite_conn *c;
    int r = lend(s, &c);
    if (r < 0)
        return r;
    r = sqlite_exec(&c->base, "BEGIN", DB_NO_ARGS, NULL);
    if (r == 0)
        r = sqlite_conn_run(c, fn, arg);
    if (sqlite_conn_in_transaction(c) && sqlite_exec(&c->base, "COMMIT", DB_NO_ARGS, NULL) < 0) {
        sqlite_conn_close(c);
        c = NULL;
    }
    give_back(s, c);
    return r;
}

/* --- writing ---------------------------------------------------------------------------------------- */

static int write_unit(struct db *db, db_fn fn, void *arg)
{
    return writer_run(store_of(db)->writer, fn, arg);
}

/* All of one writer are. */
static int write_in_turn(struct db *db, const char *turn, db_fn fn, void *arg)
{
    (void)turn;
    return write_unit(db, fn, arg);
}

static int write_unit_async(struct db *db, db_fn fn, void *arg, db_done_fn done)
{
    return writer_submit(store_of(db)->writer, fn, arg, done);
}

static int64_t data_version(struct db *db)
{
    return writer_data_version(store_of(db)->writer);
}

/* The file's version says that something was written, not what. */
static int64_t topic_version(struct db *db, enum db_topic topic)
{
    (void)topic;
    return data_version(db);
}

static void on_user_change(struct db *db, db_user_change_fn fn, void *ctx)
{
    (void)db, (void)fn, (void)ctx;
}

static void concerns(struct db_conn *c, const char *user_id)
{
    (void)c, (void)user_id;
}

/* --- opening ---------------------------------------------------------------------------------------- */

static void close_store(struct db *db)
{
    struct sqlite_db *s = store_of(db);
    if (s->writer)
        writer_stop(s->writer);
    while (s->idle) {
        struct sqlite_conn *c = s->idle;
        s->idle = c->next;
        sqlite_conn_close(c);
    }
    pthread_cond_destroy(&s->returned);
    pthread_mutex_destroy(&s->lock);
    free(s->path);
    free(s);
}

/* Makes the file where it is missing. It holds password hashes: it is the owner's alone, and SQLite gives its
 * companions the same mode. */
static int make_file(const char *path)
{
    _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0)
        return 0;
    int r = -errno;
    log_event(LOG_ERROR, "store: can't open the database", LOG_S("path", path), LOG_S("error", strerror(-r)));
    return r;
}

/* SQLite counts its memory under one lock for all threads unless told not to, before its first use. */
static void configure_library(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

static int start_writer(struct sqlite_db *s)
{
    struct sqlite_conn *c;
    int r =
        sqlite_conn_open(&(struct sqlite_conn_options){.path = s->path, .cache_kib = WRITER_CACHE_KIB}, &c);
    return r < 0 ? r : writer_start(c, &s->writer);
}

static int open_store(const struct db_options *options, struct db **ret)
{
    static pthread_once_t configured = PTHREAD_ONCE_INIT;
    pthread_once(&configured, configure_library);
    if (options->readers < 1)
        return log_error(-EINVAL, "store: it needs at least one reading connection");
    int r = make_file(options->path);
    if (r < 0)
        return r;
    struct sqlite_db *s = calloc(1, sizeof *s);
    if (!s)
        return log_error(-ENOMEM, "store: open");
    s->base.engine = &sqlite_engine;
    s->max = options->readers;
    pthread_mutex_init(&s->lock, NULL);
    cond_init(&s->returned);
    s->path = strdup(options->path);
    r = s->path ? start_writer(s) : log_error(-ENOMEM, "store: open");
    if (r < 0) {
        close_store(&s->base);
        return r;
    }
    *ret = &s->base;
    return 0;
}

const struct db_engine sqlite_engine = {
    .migrations = sqlite_migrations,
    .now_sql = "SELECT CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)",
    .ping_sql = "SELECT count(*) FROM sqlite_schema",
    .table_sql = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1",
    .open = open_store,
    .close = close_store,
    .read = read_unit,
    .look = read_unit,
    .write = write_unit,
    .write_in_turn = write_in_turn,
    .write_schema = write_unit, /* a transaction of one writer at a time */
    .write_async = write_unit_async,
    .data_version = data_version,
    .topic_version = topic_version,
    .on_user_change = on_user_change,
    .limit = sqlite_limit,
    .concerns = concerns,
    .unlimit = sqlite_unlimit,
    .exec = sqlite_exec,
    .script = sqlite_script,
    .query = sqlite_query,
    .next = sqlite_next,
    .rows_free = sqlite_rows_free,
    .text = sqlite_text,
    .integer = sqlite_int,
    .real = sqlite_real,
    .is_null = sqlite_is_null,
    .blob = sqlite_blob,
};
