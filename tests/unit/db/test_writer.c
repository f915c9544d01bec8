/* SPDX-License-Identifier: MIT */
/* The group-committing writer: who shares a commit, who is hurt by whose failure, and what survives. */
#include "store.h"

#include "base/metrics.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>

static int set_up(void **state)
{
    (void)store_set_up(state);
    struct store *s = *state;
    assert_int_equal(store_exec(s->db, "CREATE TABLE item (id INTEGER NOT NULL PRIMARY KEY, body TEXT)"), 0);
    assert_int_equal(store_exec(s->db, "CREATE TABLE counter (n INTEGER NOT NULL)"), 0);
    assert_int_equal(store_exec(s->db, "INSERT INTO counter VALUES (0)"), 0);
    /* a reference that is looked at only by COMMIT */
    assert_int_equal(store_exec(s->db, "CREATE TABLE late (item INTEGER REFERENCES item (id) "
                                       "DEFERRABLE INITIALLY DEFERRED)"),
                     0);
    return 0;
}

static int64_t items(struct store *s)
{
    return store_int(s->db, "SELECT count(*) FROM item");
}

/* A unit of a test, and what became of it. */
struct job {
    struct db *db;
    db_fn fn;
    int id;
    int result;
    _Atomic int runs, ended;
};

static int insert(struct db_conn *c, void *arg)
{
    struct job *j = arg;
    j->runs++;
    return db_exec(c, "INSERT INTO item (id) VALUES (?1)", DB_ARGS(DB_INT(j->id)), NULL);
}

static void note_end(void *arg, int r)
{
    struct job *j = arg;
    j->result = r;
    j->ended++;
}

/* Queues the jobs behind a closed gate, so that they share a group, and waits for their ends. */
static void run_together(struct store *s, struct job *jobs, int n)
{
    struct gate gate = GATE_INIT;
    gate_close(&gate, s->db);
    for (int i = 0; i < n; i++)
        assert_int_equal(db_write_async(s->db, jobs[i].fn, &jobs[i], note_end), 0);
    gate_open(&gate);
    assert_int_equal(store_exec(s->db, "UPDATE counter SET n = n"), 0); /* all before it have ended then */
    for (int i = 0; i < n; i++)
        assert_int_equal(jobs[i].ended, 1);
}

/* --- groups ----------------------------------------------------------------------------------------- */

static void units_that_gather_share_commits(void **state)
{
    enum { N = 200 };
    static struct job jobs[N];
    struct store *s = *state;
    int64_t commits = metric_get(METRIC_DB_COMMITS), writes = metric_get(METRIC_DB_WRITES);
    for (int i = 0; i < N; i++)
        jobs[i] = (struct job){.fn = insert, .id = i};
    run_together(s, jobs, N);
    assert_int_equal(items(s), N);
    assert_int_equal(metric_get(METRIC_DB_WRITES) - writes, N + 2); /* the gate, and the one waited for */
    assert_true(metric_get(METRIC_DB_COMMITS) - commits < N / 4);
}

static void a_failing_unit_hurts_nobody(void **state)
{
    struct store *s = *state;
    struct job jobs[20];
    int64_t failed = metric_get(METRIC_DB_FAILED);
    for (int i = 0; i < 20; i++)
        jobs[i] = (struct job){.fn = insert, .id = i == 7 ? 3 : i};
    run_together(s, jobs, 20);
    for (int i = 0; i < 20; i++)
        assert_int_equal(jobs[i].result, i == 7 ? -EEXIST : 0);
    assert_int_equal(items(s), 19);
    assert_int_equal(metric_get(METRIC_DB_FAILED) - failed, 1);
}

static int insert_or_roll_everything_back(struct db_conn *c, void *arg)
{
    struct job *j = arg;
    j->runs++;
    return db_exec(c, "INSERT OR ROLLBACK INTO item (id) VALUES (?1)", DB_ARGS(DB_INT(j->id)), NULL);
}

static void an_automatic_rollback_hurts_only_who_caused_it(void **state)
{
    struct store *s = *state;
    struct job jobs[20];
    for (int i = 0; i < 20; i++)
        jobs[i] = (struct job){.fn = insert, .id = i};
    jobs[7] = (struct job){.fn = insert_or_roll_everything_back, .id = 3};
    run_together(s, jobs, 20);
    for (int i = 0; i < 20; i++)
        assert_int_equal(jobs[i].result, i == 7 ? -EEXIST : 0);
    assert_int_equal(jobs[3].runs, 2);
    assert_int_equal(jobs[7].runs, 1);
    assert_int_equal(items(s), 19);
}

/* What it does after its transaction is gone must not be done outside one. */
static int overlook_the_rollback(struct db_conn *c, void *arg)
{
    struct job *j = arg;
    j->runs++;
    (void)db_exec(c, "INSERT OR ROLLBACK INTO item (id) VALUES (?1)", DB_ARGS(DB_INT(j->id)), NULL);
    (void)db_exec(c, "INSERT INTO item (id) VALUES (1000)", DB_NO_ARGS, NULL);
    return 0;
}

static void a_rollback_that_a_unit_overlooks_still_fails_it(void **state)
{
    struct store *s = *state;
    struct job jobs[3] = {
        {.fn = insert, .id = 1}, {.fn = overlook_the_rollback, .id = 1}, {.fn = insert, .id = 2}};
    run_together(s, jobs, 3);
    assert_int_equal(jobs[0].result, 0);
    assert_int_equal(jobs[1].result, -EEXIST);
    assert_int_equal(jobs[2].result, 0);
    assert_int_equal(items(s), 2);
}

static int refer_to_nothing(struct db_conn *c, void *arg)
{
    (void)arg;
    return db_exec(c, "INSERT INTO late (item) VALUES (999)", DB_NO_ARGS, NULL);
}

static void a_refused_commit_hurts_only_who_caused_it(void **state)
{
    struct store *s = *state;
    struct job jobs[10];
    for (int i = 0; i < 10; i++)
        jobs[i] = (struct job){.fn = i == 4 ? refer_to_nothing : insert, .id = i};
    run_together(s, jobs, 10);
    for (int i = 0; i < 10; i++)
        assert_int_equal(jobs[i].result, i == 4 ? -EDOM : 0);
    assert_int_equal(items(s), 9);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM late"), 0);
    assert_int_equal(db_write(s->db, refer_to_nothing, NULL), -EDOM);
}

static void the_queue_has_an_end_and_drops_nothing(void **state)
{
    enum { MANY = 100000 };
    struct store *s = *state;
    struct gate gate = GATE_INIT;
    struct job *jobs = calloc(MANY, sizeof *jobs);
    assert_non_null(jobs);
    gate_close(&gate, s->db);
    int accepted = 0, r = 0;
    for (; accepted < MANY; accepted++) {
        jobs[accepted].id = accepted;
        r = db_write_async(s->db, insert, &jobs[accepted], note_end);
        if (r != 0)
            break;
    }
    assert_int_equal(r, -EAGAIN);
    gate_open(&gate);
    db_close(s->db); /* waits for what is queued */
    s->db = NULL;
    for (int i = 0; i < accepted; i++) {
        assert_int_equal(jobs[i].ended, 1);
        assert_int_equal(jobs[i].result, 0);
    }
    assert_int_equal(jobs[accepted].ended, 0);
    store_open_at(s);
    assert_int_equal(items(s), accepted);
    free(jobs);
}

/* --- many writers ----------------------------------------------------------------------------------- */

static int increment(struct db_conn *c, void *arg)
{
    (void)arg;
    int64_t n;
    int r = db_query_int(c, "SELECT n FROM counter", DB_NO_ARGS, &n);
    return r < 0 ? r : db_exec(c, "UPDATE counter SET n = ?1", DB_ARGS(DB_INT(n + 1)), NULL);
}

static void *increment_often(void *db)
{
    for (int i = 0; i < 25; i++)
        assert_int_equal(db_write(db, increment, NULL), 0);
    return NULL;
}

static void start_incrementing(struct store *s, pthread_t *threads, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, increment_often, s->db), 0);
}

static void join_all(pthread_t *threads, size_t n)
{
    for (size_t i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
}

static void sixty_four_threads_lose_no_increment(void **state)
{
    struct store *s = *state;
    pthread_t threads[64];
    start_incrementing(s, threads, ARRAY_LEN(threads));
    join_all(threads, ARRAY_LEN(threads));
    assert_int_equal(store_int(s->db, "SELECT n FROM counter"), 64 * 25);
}

/* A process of its own; forked before this one has threads. It begins when its standard pipe `go` is closed.
 */
static pid_t fork_incrementer(const char *path, int go[2])
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    char c;
    struct db *db;
    (void)close(go[1]);
    if (read(go[0], &c, 1) != 0 || db_open(&(struct db_options){.path = path, .readers = 1}, &db) < 0)
        _exit(1);
    for (int i = 0; i < 200; i++)
        if (db_write(db, increment, NULL) < 0)
            _exit(2);
    db_close(db);
    _exit(0);
}

static void another_process_may_write_at_the_same_time(void **state)
{
    struct store *s = *state;
    pthread_t threads[8];
    int go[2], status;
    db_close(s->db);
    assert_int_equal(pipe(go), 0);
    pid_t pid = fork_incrementer(s->path, go);
    store_open_at(s);
    (void)close(go[1]);
    start_incrementing(s, threads, ARRAY_LEN(threads));
    join_all(threads, ARRAY_LEN(threads));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    (void)close(go[0]);
    assert_int_equal(store_int(s->db, "SELECT n FROM counter"), 8 * 25 + 200);
}

/* --- a store that can't be written ------------------------------------------------------------------- */

static void *write_and_note(void *arg)
{
    struct job *j = arg;
    note_end(j, db_write(j->db, j->fn, j));
    return NULL;
}

static void a_unit_that_waits_too_long_is_withdrawn(void **state)
{
    struct store *s = *state;
    struct gate gate = GATE_INIT;
    struct job job = {.fn = insert, .id = 1};
    gate_close(&gate, s->db);
    assert_int_equal(db_write(s->db, insert, &job), -ETIMEDOUT);
    gate_open(&gate);
    assert_int_equal(store_exec(s->db, "UPDATE counter SET n = n"), 0);
    assert_int_equal(job.runs, 0);
    assert_int_equal(items(s), 0);
}

static void another_processs_lock_is_not_awaited_for_ever(void **state)
{
    struct store *s = *state;
    struct job direct = {.db = s->db, .fn = insert, .id = 1}, queued = {.fn = insert, .id = 2};
    pthread_t thread;
    sqlite3 *other = NULL;
    assert_int_equal(sqlite3_open(s->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(pthread_create(&thread, NULL, write_and_note, &direct), 0);
    assert_int_equal(db_write_async(s->db, insert, &queued, note_end), 0);
    assert_int_equal(items(s), 0); /* reads go on */
    pthread_join(thread, NULL);
    for (int i = 0; i < 10000 && !queued.ended; i++)
        usleep(1000);
    assert_int_equal(direct.result, -ETIMEDOUT);
    assert_int_equal(queued.ended, 1);
    assert_int_equal(queued.result, -ETIMEDOUT);
    assert_int_equal(direct.runs + queued.runs, 0);
    assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    assert_int_equal(db_write(s->db, insert, &direct), 0);
}

static int insert_a_lot(struct db_conn *c, void *arg)
{
    struct job *j = arg;
    return db_exec(c, "INSERT INTO item (id, body) VALUES (?1, hex(zeroblob(500000)))",
                   DB_ARGS(DB_INT(j->id)), NULL);
}

/* The disk is full when a file can't grow: a limit on its size looks the same to the store. */
static void a_full_disk_stops_writes_alone_and_not_for_good(void **state)
{
    struct store *s = *state;
    struct job jobs[3] = {
        {.fn = insert, .id = 1}, {.fn = insert_a_lot, .id = 2}, {.fn = insert_a_lot, .id = 3}};
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    small = before;
    small.rlim_cur = 300000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    run_together(s, jobs, 3);
    assert_int_equal(jobs[0].result, 0);
    assert_int_equal(jobs[1].result, -ENOSPC);
    assert_int_equal(jobs[2].result, -ENOSPC);
    assert_int_equal(items(s), 1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(db_write(s->db, insert_a_lot, &jobs[1]), 0);
    assert_int_equal(items(s), 2);
}

/* --- other processes' changes ------------------------------------------------------------------------ */

static void only_others_writes_change_the_version(void **state)
{
    struct store *s = *state;
    sqlite3 *other = NULL;
    usleep(60000); /* the value may be 50 ms old */
    int64_t version = db_data_version(s->db);
    assert_int_equal(store_exec(s->db, "UPDATE counter SET n = 1"), 0);
    usleep(60000);
    assert_true(db_data_version(s->db) == version);
    assert_int_equal(sqlite3_open(s->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "UPDATE counter SET n = 2", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    usleep(60000);
    assert_true(db_data_version(s->db) != version);
}

static void *watch_version(void *db)
{
    int64_t first = db_data_version(db), same = 1;
    for (int i = 0; i < 2000; i++, usleep(10))
        same &= db_data_version(db) == first;
    return (void *)(intptr_t)same;
}

static void the_version_may_be_asked_for_while_units_run(void **state)
{
    struct store *s = *state;
    pthread_t writers[4], watchers[4];
    start_incrementing(s, writers, ARRAY_LEN(writers));
    for (size_t i = 0; i < ARRAY_LEN(watchers); i++)
        assert_int_equal(pthread_create(&watchers[i], NULL, watch_version, s->db), 0);
    join_all(writers, ARRAY_LEN(writers));
    for (size_t i = 0; i < ARRAY_LEN(watchers); i++) {
        void *same = NULL;
        pthread_join(watchers[i], &same);
        assert_non_null(same);
    }
}

/* --- what survives ---------------------------------------------------------------------------------- */

struct acknowledger {
    struct db *db;
    int fd, first;
};

/* Says an id only after db_write has returned; in one write(2), so that lines don't mix. */
static void *write_and_acknowledge(void *arg)
{
    struct acknowledger *a = arg;
    for (int id = a->first;; id++) {
        struct job j = {.id = id};
        if (db_write(a->db, insert, &j) != 0 || write(a->fd, &id, sizeof id) != sizeof id)
            _exit(1);
    }
    return NULL;
}

static pid_t fork_acknowledger(const char *path, int first, int *ret_fd)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid != 0) {
        (void)close(fds[1]);
        *ret_fd = fds[0];
        return pid;
    }
    struct acknowledger a[4];
    pthread_t t;
    struct db *db;
    if (db_open(&(struct db_options){.path = path, .readers = 1}, &db) < 0)
        _exit(1);
    for (int i = 0; i < 4; i++) {
        a[i] = (struct acknowledger){.db = db, .fd = fds[1], .first = first + i * 1000000};
        if (pthread_create(&t, NULL, write_and_acknowledge, &a[i]) != 0)
            _exit(1);
    }
    for (;;)
        pause();
}

/* Whether the file is sound and holds each of these ids; looked at without our own code. */
static void check_acknowledged(const char *path, const int *ids, size_t n)
{
    sqlite3 *h = NULL;
    sqlite3_stmt *st = NULL;
    assert_int_equal(sqlite3_open(path, &h), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(h, "PRAGMA integrity_check", -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(st, 0), "ok");
    assert_int_equal(sqlite3_finalize(st), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(h, "SELECT 1 FROM item WHERE id = ?1", -1, &st, NULL), SQLITE_OK);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(sqlite3_bind_int(st, 1, ids[i]), SQLITE_OK);
        assert_int_equal(sqlite3_step(st), SQLITE_ROW);
        assert_int_equal(sqlite3_reset(st), SQLITE_OK);
    }
    assert_int_equal(sqlite3_finalize(st), SQLITE_OK);
    assert_int_equal(sqlite3_close(h), SQLITE_OK);
}

static void what_was_acknowledged_survives_a_kill(void **state)
{
    enum { ROUNDS = 8, ENOUGH = 150, MOST = 100000 };
    struct store *s = *state;
    int *ids = calloc(MOST, sizeof *ids);
    assert_non_null(ids);
    size_t n = 0;
    db_close(s->db);
    s->db = NULL;
    for (int round = 0; round < ROUNDS; round++) {
        int fd, status;
        pid_t pid = fork_acknowledger(s->path, round * 10000000 + 1, &fd);
        /* killed in the midst of its work; then what it said up to its end is read as well */
        for (size_t until = n + ENOUGH + (size_t)round * 7; n < until; n++)
            assert_int_equal(read(fd, &ids[n], sizeof ids[n]), sizeof ids[n]);
        assert_int_equal(kill(pid, SIGKILL), 0);
        while (n < MOST && read(fd, &ids[n], sizeof ids[n]) == sizeof ids[n])
            n++;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        (void)close(fd);
        check_acknowledged(s->path, ids, n);
    }
    free(ids);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, store_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(units_that_gather_share_commits),
        TEST(a_failing_unit_hurts_nobody),
        TEST(an_automatic_rollback_hurts_only_who_caused_it),
        TEST(a_rollback_that_a_unit_overlooks_still_fails_it),
        TEST(a_refused_commit_hurts_only_who_caused_it),
        TEST(the_queue_has_an_end_and_drops_nothing),
        TEST(sixty_four_threads_lose_no_increment),
        TEST(another_process_may_write_at_the_same_time),
        TEST(a_unit_that_waits_too_long_is_withdrawn),
        TEST(another_processs_lock_is_not_awaited_for_ever),
        TEST(a_full_disk_stops_writes_alone_and_not_for_good),
        TEST(only_others_writes_change_the_version),
        TEST(the_version_may_be_asked_for_while_units_run),
        TEST(what_was_acknowledged_survives_a_kill),
    };
    return cmocka_run_group_tests_name("db/writer", tests, NULL, NULL);
}
