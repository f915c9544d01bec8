/* SPDX-License-Identifier: MIT */
/* Group commit. Making a transaction durable costs a disk flush, whatever is in it; so one thread takes all
 * units that have gathered, runs each in a savepoint of its own, and wakes their callers after one COMMIT.
 * While it waits for the disk, the next group gathers by itself.
 *
 * A failing unit rolls back to its savepoint and hurts nobody. But some errors make SQLite roll back the
 * whole transaction, and a COMMIT may be refused: then the others are innocent, and each is run again in a
 * transaction of its own. Nobody hears of success before COMMIT has returned.
 *
 * The thread holds `conn_lock` while it uses the connection, so that another thread may look at the
 * connection's data_version in between: only this connection doesn't count our own commits as changes. */
#include "db/writer.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <utlist.h>

#define GROUP_UNITS 256 /* a group ends at this many units … */
#define GROUP_US 5000   /* … or after this time, so that the first doesn't wait long for the last */
#define QUEUE_UNITS \
    8192                  /* waiting asynchronous units; a synchronous one is bounded by its caller's thread \
                           */
#define LOCK_SLICE_MS 250 /* how long to wait for another process before looking at who waits here */
#define VERSION_EVERY_US 50000

struct unit {
    db_fn fn;
    void *arg;
    db_done_fn done; /* NULL: a caller waits on `wake` and owns the unit */
    int64_t deadline_ms;
    int result;
    bool queued, finished;
    pthread_cond_t wake;
    struct unit *prev, *next;
};

struct writer {
    pthread_t thread;
    pthread_mutex_t lock; /* of the queue and of what callers see of their units */
    pthread_cond_t arrived;
    struct unit *queue;
    int waiting; /* asynchronous units in the queue */
    bool stopping;

    pthread_mutex_t conn_lock;
    struct sqlite_conn *conn;
    _Atomic int64_t version, version_read_us;

    struct unit *group[GROUP_UNITS]; /* of the thread alone */
    int count;
};

static int control(struct writer *w, const char *sql)
{
    return sqlite_exec(&w->conn->base, sql, DB_NO_ARGS, NULL);
}

static void rollback(struct writer *w)
{
    if (sqlite_conn_in_transaction(w->conn))
        (void)control(w, "ROLLBACK"); /* fails only where there is nothing left to roll back */
}

/* Needs conn_lock. */
static void read_version(struct writer *w)
{
    int64_t version;
    if (db_query_int(&w->conn->base, "PRAGMA data_version", DB_NO_ARGS, &version) > 0)
        atomic_store(&w->version, version);
    atomic_store(&w->version_read_us, clock_monotonic_us());
}

/* --- the queue -------------------------------------------------------------------------------------- */

/* Needs the lock. */
static void remove_unit(struct writer *w, struct unit *u)
{
    DL_DELETE(w->queue, u);
    u->queued = false;
    if (u->done)
        w->waiting--;
}

static struct unit *take(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    struct unit *u = w->queue;
    if (u)
        remove_unit(w, u);
    pthread_mutex_unlock(&w->lock);
    return u;
}

/* Waits for work: false when there is none and will be none. */
static bool await_work(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    while (!w->queue && !w->stopping)
        pthread_cond_wait(&w->arrived, &w->lock);
    bool any = w->queue;
    pthread_mutex_unlock(&w->lock);
    return any;
}

static void finish_async(struct unit *u)
{
    u->done(u->arg, u->result);
    free(u);
}

/* Tells every unit of the group its result; the units are gone after. Who waits is woken last, and so finds
 * done what was queued before. */
static void finish_group(struct writer *w)
{
    int callers = 0;
    for (int i = 0; i < w->count; i++) {
        if (w->group[i]->done)
            finish_async(w->group[i]);
        else
            w->group[callers++] = w->group[i];
    }
    pthread_mutex_lock(&w->lock);
    for (int i = 0; i < callers; i++) {
        w->group[i]->finished = true;
        pthread_cond_signal(&w->group[i]->wake);
    }
    pthread_mutex_unlock(&w->lock);
    w->count = 0;
}

/* The store can't be written now: ends units with r, all of them or those that have waited long enough. */
static void refuse(struct writer *w, int r, bool all)
{
    int64_t now = clock_monotonic_ms();
    struct unit *u, *next;
    pthread_mutex_lock(&w->lock);
    DL_FOREACH_SAFE (w->queue, u, next) {
        if (w->count == GROUP_UNITS)
            break;
        if (!all && now < u->deadline_ms)
            continue;
        remove_unit(w, u);
        u->result = r;
        w->group[w->count++] = u;
    }
    pthread_mutex_unlock(&w->lock);
    finish_group(w);
}

/* --- groups ----------------------------------------------------------------------------------------- */

/* False when the transaction is lost, with all that was in it. */
static bool run_in_savepoint(struct writer *w, struct unit *u)
{
    u->result = control(w, "SAVEPOINT unit");
    if (u->result == 0)
        u->result = sqlite_conn_run(w->conn, u->fn, u->arg);
    int r = 0;
    if (u->result < 0 && sqlite_conn_in_transaction(w->conn))
        r = control(w, "ROLLBACK TO unit");
    if (r == 0 && sqlite_conn_in_transaction(w->conn))
        r = control(w, "RELEASE unit");
    if (r < 0 && u->result >= 0)
        u->result = r;
    if (r < 0)
        rollback(w);
    if (sqlite_conn_in_transaction(w->conn))
        return true;
    if (u->result >= 0)
        u->result = -EIO;
    return false;
}

static int commit(struct writer *w, int units)
{
    int r = control(w, "COMMIT");
    if (r < 0) {
        rollback(w);
        return r;
    }
    metric_add(METRIC_DB_COMMITS, 1);
    metric_add(METRIC_DB_WRITES, units);
    return 0;
}

static void run_alone(struct writer *w, struct unit *u)
{
    u->result = control(w, "BEGIN IMMEDIATE");
    if (u->result < 0)
        return;
    u->result = sqlite_conn_run(w->conn, u->fn, u->arg);
    if (u->result >= 0 && !sqlite_conn_in_transaction(w->conn))
        u->result = -EIO;
    if (u->result < 0) {
        rollback(w);
        return;
    }
    int r = commit(w, 1);
    if (r < 0)
        u->result = r;
}

/* Everybody's transaction is lost: runs again, alone, whoever isn't to blame. Another process may have taken
 * its turn meanwhile; that is awaited once, not once a unit. */
static void run_again(struct writer *w, const struct unit *guilty)
{
    w->conn->busy_limit_ms = DB_WAIT_MS;
    for (int i = 0; i < w->count; i++) {
        if (w->group[i] == guilty)
            continue;
        run_alone(w, w->group[i]);
        if (w->group[i]->result == -ETIMEDOUT)
            w->conn->busy_limit_ms = 0;
    }
    w->conn->busy_limit_ms = LOCK_SLICE_MS;
}

/* Runs units until there are no more, or enough; the one that lost everybody's transaction, or NULL. */
static struct unit *run_group(struct writer *w)
{
    int64_t until = clock_monotonic_us() + GROUP_US;
    do {
        struct unit *u = take(w);
        if (!u)
            break;
        w->group[w->count++] = u;
        if (!run_in_savepoint(w, u))
            return u;
    } while (w->count < GROUP_UNITS && clock_monotonic_us() < until);
    return NULL;
}

static int count_good(const struct writer *w)
{
    int good = 0;
    for (int i = 0; i < w->count; i++)
        good += w->group[i]->result >= 0;
    return good;
}

/* Ends the group's transaction; whether each unit's result holds. */
static bool end_group(struct writer *w)
{
    int good = count_good(w);
    if (good == 0) {
        rollback(w);
        return true;
    }
    int r = commit(w, good);
    if (r < 0 && w->count == 1) {
        w->group[0]->result = r;
        return true;
    }
    return r == 0;
}

static void write_group(struct writer *w)
{
    pthread_mutex_lock(&w->conn_lock);
    int r = control(w, "BEGIN IMMEDIATE");
    if (r == 0) {
        read_version(w);
        struct unit *guilty = run_group(w);
        if (guilty || !end_group(w))
            run_again(w, guilty);
        metric_add(METRIC_DB_FAILED, w->count - count_good(w));
    }
    pthread_mutex_unlock(&w->conn_lock);
    if (r < 0)
        refuse(w, r, r != -ETIMEDOUT);
    else
        finish_group(w);
}

static void *work(void *arg)
{
    struct writer *w = arg;
    while (await_work(w))
        write_group(w);
    return NULL;
}

/* --- for the callers -------------------------------------------------------------------------------- */

static void enqueue(struct writer *w, struct unit *u)
{
    u->deadline_ms = clock_monotonic_ms() + DB_WAIT_MS;
    u->queued = true;
    DL_APPEND(w->queue, u);
    pthread_cond_signal(&w->arrived);
}

int writer_run(struct writer *w, db_fn fn, void *arg)
{
    if (pthread_equal(pthread_self(), w->thread))
        return log_error(-EDEADLK, "store: a unit of work waits for another");
    struct unit u = {.fn = fn, .arg = arg};
    cond_init(&u.wake);
    struct timespec deadline = clock_deadline(DB_WAIT_MS);
    pthread_mutex_lock(&w->lock);
    enqueue(w, &u);
    while (!u.finished) {
        if (!u.queued) {
            pthread_cond_wait(&u.wake, &w->lock); /* it runs: its statements have a limit of their own */
        } else if (pthread_cond_timedwait(&u.wake, &w->lock, &deadline) == ETIMEDOUT && u.queued) {
            remove_unit(w, &u);
            u.result = -ETIMEDOUT;
            break;
        }
    }
    pthread_mutex_unlock(&w->lock);
    pthread_cond_destroy(&u.wake);
    return u.result;
}

int writer_submit(struct writer *w, db_fn fn, void *arg, db_done_fn done)
{
    struct unit *u = calloc(1, sizeof *u);
    if (!u)
        return -EAGAIN;
    *u = (struct unit){.fn = fn, .arg = arg, .done = done};
    pthread_mutex_lock(&w->lock);
    bool room = w->waiting < QUEUE_UNITS;
    if (room) {
        w->waiting++;
        enqueue(w, u);
    }
    pthread_mutex_unlock(&w->lock);
    if (!room)
        free(u);
    return room ? 0 : -EAGAIN;
}

/* While a group is being written the value is the one read at its beginning: nobody else can have written
 * since. */
int64_t writer_data_version(struct writer *w)
{
    if (clock_monotonic_us() - atomic_load(&w->version_read_us) >= VERSION_EVERY_US &&
        pthread_mutex_trylock(&w->conn_lock) == 0) {
        read_version(w);
        pthread_mutex_unlock(&w->conn_lock);
    }
    return atomic_load(&w->version);
}

static void free_writer(struct writer *w)
{
    pthread_mutex_destroy(&w->lock);
    pthread_mutex_destroy(&w->conn_lock);
    pthread_cond_destroy(&w->arrived);
    sqlite_conn_close(w->conn);
    free(w);
}

int writer_start(struct sqlite_conn *conn, struct writer **ret)
{
    struct writer *w = calloc(1, sizeof *w);
    if (!w) {
        sqlite_conn_close(conn);
        return -ENOMEM;
    }
    w->conn = conn;
    conn->busy_limit_ms = LOCK_SLICE_MS;
    pthread_mutex_init(&w->lock, NULL);
    pthread_mutex_init(&w->conn_lock, NULL);
    pthread_cond_init(&w->arrived, NULL);
    read_version(w);
    int r = pthread_create(&w->thread, NULL, work, w);
    if (r != 0) {
        free_writer(w);
        return -r;
    }
    (void)pthread_setname_np(w->thread, "store-writer");
    *ret = w;
    return 0;
}

void writer_stop(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_signal(&w->arrived);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    free_writer(w);
}
