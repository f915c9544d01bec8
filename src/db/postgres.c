/* SPDX-License-Identifier: MIT */
/* PostgreSQL as the store's engine. Each unit has a connection of its own and runs on its caller's thread;
 * the server gathers commits by itself.
 *
 * Writing units run in REPEATABLE READ: two that change the same row can't overwrite each other; the later
 * one fails, and is run again from a fresh snapshot. So is, once, a unit that broke a unique rule, since what
 * it looked for may have come after its look. Units that meet on the same row again and again are made to
 * queue by an advisory lock; those that say beforehand that they would (db_write_in_turn) do so from the
 * first run on. */
#include "db/engine.h"
#include "db/pg_listener.h"
#include "db/pg_pool.h"
#include "db/topics.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/pool.h"
#include "base/uuid.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define RUNS_MOST 20       /* of a unit that is in others' way */
#define LOST_RUNS_MOST 3   /* of one whose connection was lost before COMMIT */
#define PAUSE_MOST_US 4000 /* between two of them */
#define AGAIN_MS 30000     /* how long they may take together */
#define QUEUE_AFTER 2      /* runs until a unit queues */
#define QUEUE_FOR_MS 1000  /* how long others of its kind do as well */
#define KINDS 64
#define ASYNC_THREADS 4
#define ASYNC_UNITS 8192

/* Advisory locks are named by two numbers: ours, and a kind of unit or the schema; or a turn. A unit takes
 * that of its turn first. */
#define LOCK_CLASS 1734700649
#define TURN_CLASS (LOCK_CLASS + 1)
#define LOCK_SCHEMA (-1)
#define NO_LOCK (-2)
#define LOCKS_TEXT_SIZE 160

#define BEGIN_READ "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
#define BEGIN_WRITE "BEGIN ISOLATION LEVEL REPEATABLE READ"

struct pg_db {
    struct db base;
    struct pg_pool *pool;
    struct pg_listener *listener;
    char node[UUID_SIZE];
    _Atomic int64_t queue_until_ms[KINDS];
    pthread_mutex_t lock;
    struct pool *async; /* made when first needed */
};

/* One attempt after the other at a unit. */
struct attempt {
    db_fn fn;
    void *arg;
    int64_t begin_by_ms; /* the first must have begun by then */
    int64_t again_until_ms;
    bool patient;
    int lock; /* kind of unit, LOCK_SCHEMA or NO_LOCK */
    bool in_turn;
    int32_t turn;
    int runs, lost_runs;
    bool deadlocked;
    bool unique_tried;
    bool final; /* perhaps it was done */
};

static _Thread_local bool inside; /* a unit runs on this thread */

static struct pg_db *store_of(struct db *db)
{
    return (struct pg_db *)db;
}

/* --- transactions ----------------------------------------------------------------------------------- */

static bool locks(const struct attempt *a)
{
    return a->in_turn || a->lock != NO_LOCK;
}

/* A call for each advisory lock of the unit. */
static void call_for_locks(const struct attempt *a, const char *function, char ret[LOCKS_TEXT_SIZE])
{
    char turn[LOCKS_TEXT_SIZE / 2] = "", kind[LOCKS_TEXT_SIZE / 2] = "";
    if (a->in_turn)
        (void)snprintf(turn, sizeof turn, "; SELECT %s(%d, %d)", function, TURN_CLASS, (int)a->turn);
    if (a->lock != NO_LOCK)
        (void)snprintf(kind, sizeof kind, "; SELECT %s(%d, %d)", function, LOCK_CLASS, a->lock);
    (void)snprintf(ret, LOCKS_TEXT_SIZE, "%s%s", turn, kind);
}

/* Waits for the advisory locks, no longer than the unit may wait to begin. */
static int take_locks(struct pg_conn *c, const struct attempt *a)
{
    char calls[LOCKS_TEXT_SIZE], sql[LOCKS_TEXT_SIZE + 80];
    int64_t left = a->begin_by_ms - clock_monotonic_ms();
    if (!locks(a))
        return 0;
    call_for_locks(a, "pg_advisory_lock", calls);
    (void)snprintf(sql, sizeof sql, "SET lock_timeout TO %d%s; SET lock_timeout TO %d",
                   left > 1 ? (int)left : 1, calls, DB_WAIT_MS);
    return pg_conn_command(c, sql, a->begin_by_ms + DB_WAIT_MS);
}

/* Lends a connection with a transaction begun. Until then nothing has been done, so a connection that turns
 * out to be dead is replaced. */
static int begin(struct pg_db *s, struct attempt *a, const char *sql, struct pg_conn **ret)
{
    for (;;) {
        struct pg_conn *c;
        int r = pg_pool_lend(s->pool, a->begin_by_ms, a->patient, &c);
        if (r < 0)
            return r;
        r = take_locks(c, a);
        if (r == 0 && (r = pg_conn_command(c, sql, a->begin_by_ms)) < 0)
            c->lost = true; /* it may hold the lock */
        if (r == 0) {
            *ret = c;
            return 0;
        }
        bool lost = c->lost && r != -ETIMEDOUT;
        pg_pool_return(s->pool, c);
        if (!lost || ++a->lost_runs >= LOST_RUNS_MOST)
            return r;
    }
}

static int run_inside(struct pg_conn *c, db_fn fn, void *arg)
{
    inside = true;
    int r = pg_conn_run(c, fn, arg);
    inside = false;
    return r;
}

static int64_t soon(void)
{
    return clock_monotonic_ms() + DB_WAIT_MS;
}

static int read_unit(struct db *db, db_fn fn, void *arg)
{
    struct pg_db *s = store_of(db);
    struct attempt a = {.begin_by_ms = soon(), .lock = NO_LOCK};
    struct pg_conn *c;
    if (inside)
        return log_error(-EDEADLK, "store: a unit of work waits for another");
    int r = begin(s, &a, BEGIN_READ, &c);
    if (r < 0)
        return r;
    r = run_inside(c, fn, arg);
    (void)pg_conn_command(c, "COMMIT", soon()); /* what fails here costs the connection, not the reading */
    pg_pool_return(s->pool, c);
    return r;
}

/* As long as BEGIN may take, since there is none that would notice a server that hangs. */
static int run_look(struct pg_conn *c, db_fn fn, void *arg)
{
    int limit_ms = c->unit_limit_ms;
    c->unit_limit_ms = DB_WAIT_MS;
    int r = run_inside(c, fn, arg);
    c->unit_limit_ms = limit_ms;
    return r;
}

/* A result arrives whole or not at all: where the connection was lost the unit has seen nothing, and looks
 * again. */
static int look_unit(struct db *db, db_fn fn, void *arg)
{
    struct pg_db *s = store_of(db);
    int64_t until_ms = soon();
    if (inside)
        return log_error(-EDEADLK, "store: a unit of work waits for another");
    for (int runs = 1;; runs++) {
        struct pg_conn *c;
        int r = pg_pool_lend(s->pool, until_ms, false, &c);
        if (r < 0)
            return r;
        r = run_look(c, fn, arg);
        bool again = r < 0 && c->lost && c->error != -ETIMEDOUT && runs < LOST_RUNS_MOST;
        pg_pool_return(s->pool, c);
        if (!again)
            return r;
    }
}

/* --- writing ---------------------------------------------------------------------------------------- */

/* The end of a transaction, and what else goes the same way. Other processes are told after the commit, in a
 * transaction that doesn't wait for the disk: NOTIFY commits one at a time. */
static void write_end(const struct pg_db *s, const struct attempt *a, bool commit,
                      const struct pg_conn *wrote, char *sql, size_t size)
{
    char told[200] = "", unlock[LOCKS_TEXT_SIZE], text[CHANGE_TEXT_SIZE];
    struct change change = {.topics = wrote ? wrote->topics : 0};
    if (wrote) {
        memcpy(change.node, s->node, sizeof change.node);
        if (!wrote->several)
            memcpy(change.user_id, wrote->user_id, sizeof change.user_id);
        change_write(&change, text);
        (void)snprintf(told, sizeof told,
                       "; BEGIN; SET LOCAL synchronous_commit TO off; NOTIFY " PG_CHANNEL ", '%s'; COMMIT",
                       text);
    }
    call_for_locks(a, "pg_advisory_unlock", unlock);
    (void)snprintf(sql, size, "%s%s%s", commit ? "COMMIT" : "ROLLBACK", told, unlock);
}

static int end(struct pg_db *s, struct attempt *a, struct pg_conn *c, int r)
{
    char sql[440];
    write_end(s, a, r >= 0, r >= 0 && c->wrote ? c : NULL, sql, sizeof sql);
    if (r < 0) {
        if (!c->lost)
            (void)pg_conn_command(c, sql, soon()); /* a transaction whose connection is lost is undone */
        return r;
    }
    int committed = pg_conn_commit(c, sql, c->unit_deadline > soon() ? c->unit_deadline : soon());
    if (committed == 0) {
        metric_add(METRIC_DB_COMMITS, 1);
        metric_add(METRIC_DB_WRITES, 1);
        return r;
    }
    a->final = c->lost;
    if (c->lost)
        log_event(LOG_ERROR,
                  "store: the connection was lost during a commit; whether it was done is unknown");
    /* a transaction that COMMIT itself refused is undone, its lock isn't */
    c->lost |= locks(a);
    return committed;
}

static int run_once(struct pg_db *s, struct attempt *a, struct pg_conn **ret)
{
    struct pg_conn *c;
    int r = begin(s, a, BEGIN_WRITE, &c);
    if (r < 0)
        return r;
    a->runs++;
    *ret = c;
    return end(s, a, c, run_inside(c, a->fn, a->arg));
}

/* Whether a unit that failed on this connection is run again. */
static bool runs_again(struct attempt *a, const struct pg_conn *c)
{
    int64_t now = clock_monotonic_ms();
    a->deadlocked |= c->deadlock;
    if (a->final || a->runs >= RUNS_MOST || now >= a->again_until_ms)
        return false;
    if (c->again)
        return true;
    if (c->duplicate && !a->unique_tried) {
        a->unique_tried = true;
        return true;
    }
    return c->lost && c->error != -ETIMEDOUT && now < a->begin_by_ms && ++a->lost_runs < LOST_RUNS_MOST;
}

/* Of a text the same on every server: FNV-1a. Two that share a turn by chance only wait for each other. */
static int32_t turn_of(const char *text)
{
    uint32_t hash = 2166136261u;
    for (const char *s = text; *s; s++)
        hash = (hash ^ (unsigned char)*s) * 16777619u;
    return (int32_t)hash;
}

/* Functions differ by their place in the program, which several processes share. */
static int kind_of(db_fn fn)
{
    uintptr_t place = (uintptr_t)fn - (uintptr_t)kind_of;
    return (int)((place * UINT64_C(0x9E3779B97F4A7C15)) >> 58);
}

static void pause_a_little(void)
{
    uint16_t random;
    random_bytes(&random, sizeof random);
    (void)usleep(random % PAUSE_MOST_US);
}

static void choose_lock(struct pg_db *s, struct attempt *a)
{
    int kind = kind_of(a->fn);
    int64_t now = clock_monotonic_ms();
    if (a->lock == LOCK_SCHEMA)
        return;
    if (a->runs >= QUEUE_AFTER || a->deadlocked)
        atomic_store(&s->queue_until_ms[kind], now + QUEUE_FOR_MS);
    a->lock = now < atomic_load(&s->queue_until_ms[kind]) ? kind : NO_LOCK;
}

static int write_attempts(struct pg_db *s, struct attempt *a)
{
    a->again_until_ms = a->begin_by_ms + AGAIN_MS;
    for (;;) {
        struct pg_conn *c = NULL;
        choose_lock(s, a);
        int r = run_once(s, a, &c);
        bool again = r < 0 && c && runs_again(a, c), lost = c && c->lost;
        if (c)
            pg_pool_return(s->pool, c);
        if (!again) {
            metric_add(METRIC_DB_FAILED, r < 0);
            return r;
        }
        pause_a_little();
        if (!lost)
            a->begin_by_ms = soon();
    }
}

static int write_now(struct db *db, struct attempt a)
{
    if (inside)
        return log_error(-EDEADLK, "store: a unit of work waits for another");
    return write_attempts(store_of(db), &a);
}

static int write_unit(struct db *db, db_fn fn, void *arg)
{
    return write_now(db, (struct attempt){.fn = fn, .arg = arg, .begin_by_ms = soon(), .lock = NO_LOCK});
}

static int write_in_turn(struct db *db, const char *turn, db_fn fn, void *arg)
{
    return write_now(db, (struct attempt){.fn = fn,
                                          .arg = arg,
                                          .begin_by_ms = soon(),
                                          .lock = NO_LOCK,
                                          .in_turn = true,
                                          .turn = turn_of(turn)});
}

static int write_schema(struct db *db, db_fn fn, void *arg)
{
    struct attempt a = {.fn = fn, .arg = arg, .begin_by_ms = soon(), .lock = LOCK_SCHEMA};
    return write_attempts(store_of(db), &a);
}

/* --- asynchronous writing --------------------------------------------------------------------------- */

struct async_unit {
    struct pg_db *store;
    struct attempt attempt;
    db_done_fn done;
};

static void run_async(void *arg)
{
    struct async_unit *u = arg;
    int r =
        clock_monotonic_ms() < u->attempt.begin_by_ms ? write_attempts(u->store, &u->attempt) : -ETIMEDOUT;
    u->done(u->attempt.arg, r);
    free(u);
}

static struct pool *async_pool(struct pg_db *s)
{
    pthread_mutex_lock(&s->lock);
    if (!s->async)
        (void)pool_start("store-writer", ASYNC_THREADS, ASYNC_UNITS, &s->async);
    struct pool *p = s->async;
    pthread_mutex_unlock(&s->lock);
    return p;
}

/* It waits for a server that is away as long as for one that is busy: nobody waits for it. */
static int write_unit_async(struct db *db, db_fn fn, void *arg, db_done_fn done)
{
    struct pg_db *s = store_of(db);
    struct pool *p = async_pool(s);
    struct async_unit *u = p ? calloc(1, sizeof *u) : NULL;
    if (!u)
        return -EAGAIN;
    *u = (struct async_unit){
        s, {.fn = fn, .arg = arg, .begin_by_ms = soon(), .patient = true, .lock = NO_LOCK}, done};
    if (pool_submit(p, run_async, u) == 0)
        return 0;
    free(u);
    return -EAGAIN;
}

static int64_t data_version(struct db *db)
{
    return pg_listener_version(store_of(db)->listener, DB_TOPICS);
}

static int64_t topic_version(struct db *db, enum db_topic topic)
{
    return pg_listener_version(store_of(db)->listener, topic);
}

static void on_user_change(struct db *db, db_user_change_fn fn, void *ctx)
{
    pg_listener_on_user_change(store_of(db)->listener, fn, ctx);
}

/* --- opening ---------------------------------------------------------------------------------------- */

static void close_store(struct db *db)
{
    struct pg_db *s = store_of(db);
    if (s->async)
        pool_stop(s->async);
    if (s->listener)
        pg_listener_free(s->listener);
    if (s->pool)
        pg_pool_free(s->pool);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static int connect_once(struct pg_db *s)
{
    struct pg_conn *c;
    int r = pg_pool_lend(s->pool, soon(), true, &c);
    if (r == 0)
        pg_pool_return(s->pool, c);
    return r;
}

static int open_store(const struct db_options *options, struct db **ret)
{
    struct pg_db *s = calloc(1, sizeof *s);
    if (!s)
        return log_error(-ENOMEM, "store: open");
    s->base.engine = &postgres_engine;
    pthread_mutex_init(&s->lock, NULL);
    uuid_make(s->node);
    int r = pg_pool_make(options->url, options->connections, &s->pool);
    if (r == 0)
        s->listener = pg_listener_make(s->pool, s->node);
    if (r == 0 && !s->listener)
        r = log_error(-ENOMEM, "store: open");
    if (r == 0)
        r = connect_once(s);
    if (r < 0) {
        close_store(&s->base);
        return r;
    }
    *ret = &s->base;
    return 0;
}

const struct db_engine postgres_engine = {
    .migrations = postgres_migrations,
    .now_sql = "SELECT CAST(floor(extract(epoch FROM clock_timestamp()) * 1000) AS bigint)",
    .ping_sql = "SELECT count(*) FROM pg_class WHERE relname = 'schema_version'",
    .table_sql = "SELECT 1 FROM pg_class WHERE oid = to_regclass(?1) AND relkind IN ('r', 'p')",
    .open = open_store,
    .close = close_store,
    .read = read_unit,
    .look = look_unit,
    .write = write_unit,
    .write_in_turn = write_in_turn,
    .write_schema = write_schema,
    .write_async = write_unit_async,
    .data_version = data_version,
    .topic_version = topic_version,
    .on_user_change = on_user_change,
    .limit = pg_limit,
    .concerns = pg_concerns,
    .unlimit = pg_unlimit,
    .exec = pg_exec,
    .script = pg_script,
    .query = pg_query,
    .next = pg_next,
    .rows_free = pg_rows_free,
    .text = pg_text,
    .integer = pg_int,
    .real = pg_real,
    .is_null = pg_is_null,
    .blob = pg_blob,
};
