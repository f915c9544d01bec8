/* SPDX-License-Identifier: MIT */
/* What is PostgreSQL's own: units in each other's way, a server that goes and comes, commits whose answer is
 * lost, the forms of its types, others' writes. Everything passes a way that the tests can block. */
#include "pg_proxy.h"
#include "store.h"

#include "db/pg_conn.h"

#include <errno.h>
#include <stdatomic.h>

struct world {
    struct store *store; /* its database, reached without the proxy */
    struct pg_proxy *proxy;
    char url[160];
    struct db *db; /* through the proxy */
};

static void open_through(struct world *w, int connections)
{
    assert_int_equal(db_open(&(struct db_options){.url = w->url, .connections = connections}, &w->db), 0);
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    (void)setenv("GENIE_TEST_STORE", "postgres", 1);
    (void)store_set_up((void **)&w->store);
    const char *host = strstr(w->store->url, "host=") + strlen("host=");
    char socket[128];
    (void)snprintf(socket, sizeof socket, "%.*s/.s.PGSQL.5432", (int)strcspn(host, "&"), host);
    w->proxy = pg_proxy_start(socket);
    (void)snprintf(w->url, sizeof w->url, "postgres://postgres@127.0.0.1:%d/%s", pg_proxy_port(w->proxy),
                   w->store->name);
    open_through(w, 8);
    assert_int_equal(store_exec(w->store->db, "CREATE TABLE item (id bigint PRIMARY KEY, name text UNIQUE)"),
                     0);
    assert_int_equal(store_exec(w->store->db, "CREATE TABLE counter (id integer PRIMARY KEY, n bigint)"), 0);
    assert_int_equal(store_exec(w->store->db, "INSERT INTO counter VALUES (1, 0), (2, 0)"), 0);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    pg_proxy_set(w->proxy, WAY_CLOSED);
    if (w->db)
        db_close(w->db);
    pg_proxy_stop(w->proxy);
    void *store = w->store;
    free(w);
    return store_tear_down(&store);
}

/* What is there, asked past the proxy. */
static int64_t truth(struct world *w, const char *sql)
{
    return store_int(w->store->db, sql);
}

/* A unit of a test, and what became of it. */
struct job {
    struct db *db;
    db_fn fn;
    int id, result;
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

static void *run_job(void *arg)
{
    struct job *j = arg;
    note_end(j, db_write(j->db, j->fn, j));
    return NULL;
}

/* Asks until the store answers again, at most 10 s. */
static void await_service(struct db *db)
{
    int r = -1;
    for (int i = 0; i < 1000 && (r = db_ping(db)) != 0; i++)
        usleep(10000);
    assert_int_equal(r, 0);
}

/* --- units in each other's way ----------------------------------------------------------------------- */

static int increment(struct db_conn *c, void *arg)
{
    (void)arg;
    int64_t n;
    int r = db_query_int(c, "SELECT n FROM counter WHERE id = 1", DB_NO_ARGS, &n);
    return r < 0 ? r : db_exec(c, "UPDATE counter SET n = ?1 WHERE id = 1", DB_ARGS(DB_INT(n + 1)), NULL);
}

static void *increment_often(void *db)
{
    for (int i = 0; i < 25; i++)
        assert_int_equal(db_write(db, increment, NULL), 0);
    return NULL;
}

static void sixty_four_threads_lose_no_increment(void **state)
{
    struct world *w = *state;
    pthread_t threads[64];
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, increment_often, w->db), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(truth(w, "SELECT n FROM counter WHERE id = 1"), 64 * 25);
}

/* Looks for a name and takes it where it is free: the item's id either way. */
static int find_or_insert(struct db_conn *c, void *arg)
{
    struct job *j = arg;
    int64_t id = 0;
    int r = db_query_int(c, "SELECT id FROM item WHERE name = 'one'", DB_NO_ARGS, &id);
    if (r == 0)
        r = db_insert(c, "INSERT INTO item (id, name) VALUES (?1, 'one') RETURNING id",
                      DB_ARGS(DB_INT(j->id)), &id);
    j->id = (int)id;
    return r < 0 ? r : 0;
}

static void who_looks_and_then_inserts_finds_what_came_between(void **state)
{
    enum { N = 16 };
    struct world *w = *state;
    for (int round = 0; round < 10; round++) {
        struct job jobs[N];
        pthread_t threads[N];
        assert_int_equal(store_exec(w->db, "DELETE FROM item"), 0);
        for (int i = 0; i < N; i++) {
            jobs[i] = (struct job){.db = w->db, .fn = find_or_insert, .id = i + 1};
            assert_int_equal(pthread_create(&threads[i], NULL, run_job, &jobs[i]), 0);
        }
        for (int i = 0; i < N; i++)
            pthread_join(threads[i], NULL);
        for (int i = 0; i < N; i++) {
            assert_int_equal(jobs[i].result, 0);
            assert_int_equal(jobs[i].id, jobs[0].id);
        }
        assert_int_equal(truth(w, "SELECT count(*) FROM item"), 1);
    }
}

static int add_in_order(struct db_conn *c, int first, int second)
{
    static const char sql[] = "UPDATE counter SET n = n + 1 WHERE id = ?1";
    int r = db_exec(c, sql, DB_ARGS(DB_INT(first)), NULL);
    usleep(20000);
    return r < 0 ? r : db_exec(c, sql, DB_ARGS(DB_INT(second)), NULL);
}

static int add_forwards(struct db_conn *c, void *arg)
{
    (void)arg;
    return add_in_order(c, 1, 2);
}

static int add_backwards(struct db_conn *c, void *arg)
{
    (void)arg;
    return add_in_order(c, 2, 1);
}

static void a_deadlock_ends_well(void **state)
{
    struct world *w = *state;
    struct job jobs[4] = {{.db = w->db, .fn = add_forwards},
                          {.db = w->db, .fn = add_backwards},
                          {.db = w->db, .fn = add_forwards},
                          {.db = w->db, .fn = add_backwards}};
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_job, &jobs[i]), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(jobs[i].result, 0);
    }
    assert_int_equal(truth(w, "SELECT sum(n) FROM counter"), 8);
}

struct turn {
    struct job job; /* first: what run_in_turn runs gets it */
    const char *turn;
    int (*way)(struct db_conn *c, void *arg);
};

static int count_and_add(struct db_conn *c, void *arg)
{
    struct turn *t = arg;
    t->job.runs++;
    return t->way(c, NULL);
}

static void *run_in_turn(void *arg)
{
    struct turn *t = arg;
    note_end(&t->job, db_write_in_turn(t->job.db, t->turn, count_and_add, t));
    return NULL;
}

/* Each would wait for what another has: that they all run once says that no two ran at a time. A server of
 * its own has the same turns. */
static void units_of_one_turn_run_one_after_another(void **state)
{
    enum { N = 16 };
    struct world *w = *state;
    struct turn turns[N];
    pthread_t threads[N];
    for (int i = 0; i < N; i++) {
        turns[i] = (struct turn){.job = {.db = i % 4 < 2 ? w->db : w->store->db},
                                 .turn = "anna",
                                 .way = i % 2 ? add_forwards : add_backwards};
        assert_int_equal(pthread_create(&threads[i], NULL, run_in_turn, &turns[i]), 0);
    }
    for (int i = 0; i < N; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < N; i++) {
        assert_int_equal(turns[i].job.result, 0);
        assert_int_equal(turns[i].job.runs, 1);
    }
    assert_int_equal(truth(w, "SELECT sum(n) FROM counter"), 2 * N);
}

struct standing {
    struct db *db;
    struct gate gate;
};

static void *stand_in_turn(void *arg)
{
    struct standing *s = arg;
    assert_int_equal(db_write_in_turn(s->db, "anna", gate_unit, &s->gate), 0);
    return NULL;
}

static int refuse(struct db_conn *c, void *arg)
{
    (void)c;
    (void)arg;
    return -EPERM;
}

static void other_turns_go_on_and_a_turn_is_given_back(void **state)
{
    struct world *w = *state;
    struct standing standing = {.db = w->db, .gate = GATE_INIT};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, stand_in_turn, &standing), 0);
    gate_await(&standing.gate);
    assert_int_equal(db_write_in_turn(w->db, "bert", refuse, NULL), -EPERM);
    assert_int_equal(db_write_in_turn(w->store->db, "bert", increment, NULL), 0);
    assert_int_equal(db_write(w->db, increment, NULL), 0);
    gate_open(&standing.gate);
    pthread_join(thread, NULL);
    assert_int_equal(db_write_in_turn(w->store->db, "anna", increment, NULL), 0);
    assert_int_equal(truth(w, "SELECT n FROM counter WHERE id = 1"), 3);
}

static int insert_one_twice(struct db_conn *c, void *arg)
{
    struct job *j = arg;
    (void)insert(c, j);
    return insert(c, j);
}

static void a_real_duplicate_is_told_after_a_second_look(void **state)
{
    struct world *w = *state;
    struct job job = {.id = 7};
    assert_int_equal(db_write(w->db, insert_one_twice, &job), -EEXIST);
    assert_int_equal(job.runs, 4);
    assert_int_equal(truth(w, "SELECT count(*) FROM item"), 0);
}

static void a_lock_is_not_awaited_for_ever(void **state)
{
    struct world *w = *state;
    PGconn *other = PQconnectdb(w->store->url);
    PQclear(PQexec(other, "BEGIN; UPDATE counter SET n = 5 WHERE id = 1"));
    assert_int_equal(PQtransactionStatus(other), PQTRANS_INTRANS);
    assert_int_equal(db_write(w->db, increment, NULL), -ETIMEDOUT);
    PQclear(PQexec(other, "COMMIT"));
    PQfinish(other);
    assert_int_equal(db_write(w->db, increment, NULL), 0);
    assert_int_equal(truth(w, "SELECT n FROM counter WHERE id = 1"), 6);
}

static int sleep_long(struct db_conn *c, void *arg)
{
    (void)arg;
    return db_exec(c, "SELECT pg_sleep(60)", DB_NO_ARGS, NULL);
}

static void a_unit_that_never_ends_is_ended(void **state)
{
    struct world *w = *state;
    struct pg_target target;
    struct pg_conn *c = NULL;
    char *why = NULL;
    assert_int_equal(pg_target_parse(w->url, &target), 0);
    assert_int_equal(pg_conn_open(&target, clock_monotonic_ms() + 5000, &c, &why), 0);
    c->unit_limit_ms = 50;
    assert_int_equal(pg_conn_run(c, sleep_long, NULL), -ETIMEDOUT);
    assert_true(c->lost); /* an answer may still come */
    pg_conn_close(c);
    pg_target_free(&target);
}

/* --- a server that has a limit of its own ------------------------------------------------------------ */

static int sleep_briefly(struct db_conn *c, void *arg)
{
    (void)arg;
    return db_exec(c, "SELECT pg_sleep(0.02)", DB_NO_ARGS, NULL);
}

/* Four of eight, of which one listens; more is wanted at once. */
static void connections_that_are_refused_are_no_outage_while_there_are_others(void **state)
{
    enum { N = 32 };
    struct world *w = *state;
    struct db *db = NULL;
    struct job jobs[N];
    pthread_t threads[N];
    char sql[160], url[320];
    (void)snprintf(sql, sizeof sql, "CREATE ROLE role_%s LOGIN CONNECTION LIMIT 4", w->store->name);
    store_as_admin(NULL, sql);
    (void)snprintf(url, sizeof url, "postgres://role_%s%s", w->store->name, strchr(w->store->url, '@'));
    assert_int_equal(db_open(&(struct db_options){.url = url, .connections = 8}, &db), 0);
    store_await_listening(db);
    for (int i = 0; i < N; i++) {
        jobs[i] = (struct job){.db = db, .fn = sleep_briefly};
        assert_int_equal(pthread_create(&threads[i], NULL, run_job, &jobs[i]), 0);
    }
    for (int i = 0; i < N; i++)
        pthread_join(threads[i], NULL);
    db_close(db);
    (void)snprintf(sql, sizeof sql, "DROP ROLE role_%s", w->store->name);
    store_as_admin(NULL, sql);
    for (int i = 0; i < N; i++)
        assert_int_equal(jobs[i].result, 0);
}

/* --- a server that goes and comes -------------------------------------------------------------------- */

static int count_items(struct db_conn *c, void *ret)
{
    return db_query_int(c, "SELECT count(*) FROM item", DB_NO_ARGS, ret);
}

static void a_look_minds_no_closed_connections_and_does_not_wait_for_ever(void **state)
{
    struct world *w = *state;
    int64_t n;
    assert_int_equal(db_look(w->db, count_items, &n), 1);
    pg_proxy_set(w->proxy, WAY_CLOSED);
    assert_int_equal(db_look(w->db, count_items, &n), -EIO);
    pg_proxy_set(w->proxy, WAY_OPEN);
    await_service(w->db);
    for (int i = 0; i < 5; i++) {
        store_as_admin(w->store->name, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                                       "WHERE datname = current_database() AND pid <> pg_backend_pid()");
        assert_int_equal(db_look(w->db, count_items, &n), 1);
    }
    pg_proxy_set(w->proxy, WAY_FROZEN);
    assert_int_equal(db_look(w->db, count_items, &n), -ETIMEDOUT);
    pg_proxy_set(w->proxy, WAY_OPEN);
    await_service(w->db);
    assert_int_equal(db_look(w->db, count_items, &n), 1);
}

static void connections_that_were_closed_are_replaced_unnoticed(void **state)
{
    struct world *w = *state;
    struct job job = {.id = 1};
    assert_int_equal(db_ping(w->db), 0);
    pg_proxy_set(w->proxy, WAY_CLOSED);
    pg_proxy_set(w->proxy, WAY_OPEN);
    assert_int_equal(db_write(w->db, insert, &job), 0);
    assert_int_equal(job.runs, 1);
    store_as_admin(w->store->name, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                                   "WHERE datname = current_database() AND pid <> pg_backend_pid()");
    assert_int_equal(db_ping(w->db), 0);
}

static void a_server_that_is_away_is_told_at_once_and_comes_back(void **state)
{
    struct world *w = *state;
    struct job job = {.id = 1};
    assert_int_equal(db_ping(w->db), 0);
    pg_proxy_set(w->proxy, WAY_CLOSED);
    for (int i = 0; i < 50; i++)
        assert_int_equal(db_ping(w->db), -EIO);
    assert_int_equal(db_write(w->db, insert, &job), -EIO);
    assert_int_equal(job.runs, 0);
    pg_proxy_set(w->proxy, WAY_OPEN);
    await_service(w->db);
    assert_int_equal(db_write(w->db, insert, &job), 0);
    assert_int_equal(truth(w, "SELECT count(*) FROM item"), 1);
}

static void a_server_that_hangs_is_not_awaited_for_ever(void **state)
{
    struct world *w = *state;
    struct job job = {.id = 1};
    assert_int_equal(db_ping(w->db), 0);
    pg_proxy_set(w->proxy, WAY_FROZEN);
    assert_int_equal(db_write(w->db, insert, &job), -ETIMEDOUT);
    assert_int_equal(job.runs, 0);
    pg_proxy_set(w->proxy, WAY_OPEN);
    await_service(w->db);
    assert_int_equal(db_write(w->db, insert, &job), 0);
    assert_int_equal(truth(w, "SELECT count(*) FROM item"), 1);
}

static void asynchronous_units_wait_for_a_server_that_is_away(void **state)
{
    struct world *w = *state;
    struct job jobs[20];
    pg_proxy_set(w->proxy, WAY_CLOSED);
    assert_int_equal(db_ping(w->db), -EIO);
    for (int i = 0; i < 20; i++) {
        jobs[i] = (struct job){.id = i};
        assert_int_equal(db_write_async(w->db, insert, &jobs[i], note_end), 0);
    }
    usleep(200000);
    pg_proxy_set(w->proxy, WAY_OPEN);
    db_close(w->db); /* waits for what is queued */
    w->db = NULL;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(jobs[i].ended, 1);
        assert_int_equal(jobs[i].result, 0);
    }
    assert_int_equal(truth(w, "SELECT count(*) FROM item"), 20);
}

/* --- lost connections -------------------------------------------------------------------------------- */

static void a_unit_lost_before_its_commit_is_run_again(void **state)
{
    struct world *w = *state;
    struct job job = {.id = 1};
    pg_proxy_cut_at(w->proxy, "INSERT INTO item", false);
    assert_int_equal(db_write(w->db, insert, &job), 0);
    assert_int_equal(pg_proxy_cuts(w->proxy), 1);
    assert_int_equal(job.runs, 2);
    assert_int_equal(truth(w, "SELECT count(*) FROM item"), 1);
}

static void a_commit_without_an_answer_is_no_success_and_not_repeated(void **state)
{
    struct world *w = *state;
    for (int done = 0; done <= 1; done++) {
        struct job job = {.id = done};
        char sql[64];
        pg_proxy_cut_at(w->proxy, "COMMIT; BEGIN", done);
        assert_int_equal(db_write(w->db, insert, &job), -EIO);
        assert_int_equal(pg_proxy_cuts(w->proxy), done + 1);
        assert_int_equal(job.runs, 1);
        (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM item WHERE id = %d", done);
        assert_int_equal(truth(w, sql), done); /* nobody could have told */
        await_service(w->db);
    }
}

static int refer_to_nothing(struct db_conn *c, void *arg)
{
    struct job *j = arg;
    j->runs++;
    return db_exec(c, "INSERT INTO late (item) VALUES (999)", DB_NO_ARGS, NULL);
}

static void a_refused_commit_is_an_error_like_any_other(void **state)
{
    struct world *w = *state;
    struct job job = {.id = 1};
    assert_int_equal(store_exec(w->db, "CREATE TABLE late (item bigint REFERENCES item (id) "
                                       "DEFERRABLE INITIALLY DEFERRED)"),
                     0);
    assert_int_equal(db_write(w->db, refer_to_nothing, &job), -EDOM);
    assert_int_equal(job.runs, 1);
    assert_int_equal(db_write(w->db, insert, &job), 0);
    assert_int_equal(truth(w, "SELECT count(*) FROM late"), 0);
}

static void a_read_that_is_lost_is_an_error(void **state)
{
    struct world *w = *state;
    pg_proxy_cut_at(w->proxy, "pg_sleep", false);
    assert_int_equal(db_read(w->db, sleep_long, NULL), -EIO);
    assert_int_equal(db_ping(w->db), 0);
}

/* --- queues ------------------------------------------------------------------------------------------ */

static void the_queue_has_an_end_and_drops_nothing(void **state)
{
    enum { MANY = 20000, WRITERS = 4 };
    struct world *w = *state;
    struct gate gates[WRITERS];
    struct job *jobs = calloc(MANY, sizeof *jobs);
    assert_non_null(jobs);
    for (int i = 0; i < WRITERS; i++) {
        gates[i] = (struct gate)GATE_INIT;
        gate_close(&gates[i], w->db);
    }
    int accepted = 0, r = 0;
    for (; accepted < MANY && r == 0; accepted++) {
        jobs[accepted].id = accepted;
        r = db_write_async(w->db, insert, &jobs[accepted], note_end);
    }
    assert_int_equal(r, -EAGAIN);
    accepted--;
    for (int i = 0; i < WRITERS; i++)
        gate_open(&gates[i]);
    db_close(w->db);
    w->db = NULL;
    int64_t good = 0;
    for (int i = 0; i < accepted; i++) {
        assert_int_equal(jobs[i].ended, 1);
        assert_true(jobs[i].result == 0 || (jobs[i].result == -ETIMEDOUT && jobs[i].runs == 0));
        good += jobs[i].result == 0;
    }
    assert_int_equal(jobs[accepted].ended, 0);
    assert_true(good > 0);
    assert_int_equal(truth(w, "SELECT count(*) FROM item"), good);
    free(jobs);
}

/* --- values ------------------------------------------------------------------------------------------ */

static int read_forms(struct db_conn *c, void *arg)
{
    (void)arg;
    static const char *const wanted[] = {"2026-03-13T10:22:00.120Z",
                                         "2026-03-13T10:22:00.000Z",
                                         "2026-03-13T08:22:00.123Z",
                                         "infinity",
                                         "1",
                                         "0",
                                         "b7f0a3c2-0000-4000-8000-00000000000a",
                                         "{\"a\": [1, null]}"};
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    size_t len;
    assert_int_equal(
        db_query(c,
                 "SELECT timestamptz '2026-03-13 10:22:00.12Z', timestamp '2026-03-13 10:22', "
                 "CAST(?1 AS timestamptz), timestamptz 'infinity', TRUE, FALSE, CAST(?2 AS uuid), "
                 "CAST(?3 AS jsonb), CAST(?4 AS bytea), ?5 = TRUE, ?6 + 1, ?7 * 2, bytea ''",
                 DB_ARGS(DB_TEXT("2026-03-13T10:22:00.123456+02:00"),
                         DB_TEXT("B7F0A3C2-0000-4000-8000-00000000000A"), DB_TEXT("{\"a\":[1,null]}"),
                         DB_BLOB("a\0\xff", 3), DB_BOOL(true), DB_INT(INT64_MAX - 1), DB_REAL(0.1)),
                 &rows),
        0);
    assert_int_equal(db_next(rows), 1);
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
        assert_string_equal(db_text(rows, (int)i), wanted[i]);
    assert_int_equal(db_int(rows, 4), 1);
    assert_int_equal(db_int(rows, 5), 0);
    assert_memory_equal(db_blob(rows, 8, &len), "a\0\xff", 3);
    assert_int_equal(len, 3);
    assert_int_equal(db_int(rows, 9), 1);
    assert_true(db_int(rows, 10) == INT64_MAX);
    assert_true(db_real(rows, 11) == 0.2);
    assert_false(db_is_null(rows, 12));
    (void)db_blob(rows, 12, &len);
    assert_int_equal(len, 0);
    return 0;
}

static void values_come_in_portable_forms(void **state)
{
    struct world *w = *state;
    assert_int_equal(db_read(w->db, read_forms, NULL), 0);
}

static int compare_with_one_parameter(struct db_conn *c, void *arg)
{
    struct job *j = arg;
    int64_t n = -1;
    assert_int_equal(db_query_int(c, "SELECT count(*) FROM counter WHERE ?1 = 0 OR id < ?1",
                                  DB_ARGS(DB_INT(j->id < 0 ? INT64_MAX : j->id)), &n),
                     1);
    return (int)n;
}

static void an_integer_may_be_compared_with_every_kind_of_integer(void **state)
{
    struct world *w = *state;
    struct job jobs[] = {{.id = 0}, {.id = 2}, {.id = -1}};
    assert_int_equal(db_read(w->db, compare_with_one_parameter, &jobs[0]), 2);
    assert_int_equal(db_read(w->db, compare_with_one_parameter, &jobs[1]), 1);
    assert_int_equal(db_read(w->db, compare_with_one_parameter, &jobs[2]), 2);
}

/* --- others' writes ---------------------------------------------------------------------------------- */

static void only_others_writes_change_the_version(void **state)
{
    struct world *w = *state;
    struct job job = {.id = 1};
    store_await_listening(w->db);
    int64_t version = db_data_version(w->db);
    assert_int_equal(db_write(w->db, insert, &job), 0);
    assert_int_equal(db_write_async(w->db, increment, &job, note_end), 0);
    for (int i = 0; i < 500 && !job.ended; i++)
        usleep(10000);
    assert_int_equal(db_ping(w->db), 0);
    usleep(200000);
    assert_true(db_data_version(w->db) == version);
    assert_int_equal(store_exec(w->store->db, "SELECT 1"), 0); /* nothing was written */
    usleep(200000);
    assert_true(db_data_version(w->db) == version);
    assert_int_equal(store_exec(w->store->db, "UPDATE counter SET n = 3"), 0);
    store_await_change(w->db, version);
}

struct heard {
    _Atomic int calls;
    _Atomic unsigned topics;
    char user_id[64];
};

static void hear_user(void *ctx, unsigned topics, const char *user_id)
{
    struct heard *h = ctx;
    (void)snprintf(h->user_id, sizeof h->user_id, "%s", user_id);
    h->topics |= topics;
    h->calls++;
}

#define SOMEBODY "0f0e0d0c-0b0a-4908-8706-050403020100"

static int write_of_one_user(struct db_conn *c, void *arg)
{
    (void)arg;
    db_concerns(c, SOMEBODY);
    return db_exec(c, "INSERT INTO user_nodes (n) VALUES (1)", DB_NO_ARGS, NULL);
}

static int write_of_two_users(struct db_conn *c, void *arg)
{
    db_concerns(c, "ffffffff-ffff-4fff-8fff-ffffffffffff");
    return write_of_one_user(c, arg);
}

/* Others' writes move the topics of the tables they name, and for one user's rows not even those. */
static void only_what_changed_is_dropped(void **state)
{
    struct world *w = *state;
    struct heard heard = {0};
    store_await_listening(w->db);
    db_on_user_change(w->db, hear_user, &heard);
    int64_t any = db_data_version(w->db);
    assert_int_equal(store_exec(w->store->db, "CREATE TABLE user_nodes (n int)"),
                     0); /* not ours: everything */
    store_await_change(w->db, any);
    any = db_data_version(w->db);
    int64_t nodes = db_topic_version(w->db, DB_NODES), flows = db_topic_version(w->db, DB_FLOWS);
    assert_int_equal(store_exec(w->store->db, "UPDATE counter SET n = 3"), 0);
    store_await_change(w->db, any);
    assert_true(db_topic_version(w->db, DB_NODES) == nodes);

    any = db_data_version(w->db);
    assert_int_equal(store_exec(w->store->db, "INSERT INTO user_nodes (n) VALUES (1)"), 0);
    store_await_change(w->db, any);
    assert_true(db_topic_version(w->db, DB_NODES) > nodes);
    assert_true(db_topic_version(w->db, DB_FLOWS) == flows);
    assert_int_equal(heard.calls, 0);

    any = db_data_version(w->db);
    nodes = db_topic_version(w->db, DB_NODES);
    assert_int_equal(db_write(w->store->db, write_of_one_user, NULL), 0);
    store_await_change(w->db, any);
    assert_true(db_topic_version(w->db, DB_NODES) == nodes);
    assert_int_equal(heard.calls, 1);
    assert_int_equal(heard.topics, 1U << DB_NODES);
    assert_string_equal(heard.user_id, SOMEBODY);

    any = db_data_version(w->db);
    assert_int_equal(db_write(w->store->db, write_of_two_users, NULL), 0);
    store_await_change(w->db, any);
    assert_true(db_topic_version(w->db, DB_NODES) > nodes);

    any = db_data_version(w->db);
    db_on_user_change(w->db, NULL, NULL);
    nodes = db_topic_version(w->db, DB_NODES);
    assert_int_equal(db_write(w->store->db, write_of_one_user, NULL), 0);
    store_await_change(w->db, any);
    assert_true(db_topic_version(w->db, DB_NODES) > nodes);
    assert_int_equal(heard.calls, 1);
}

static void what_could_not_be_heard_counts_as_a_change(void **state)
{
    struct world *w = *state;
    store_await_listening(w->db);
    int64_t version = db_data_version(w->db);
    pg_proxy_set(w->proxy, WAY_CLOSED);
    store_await_change(w->db, version);
    pg_proxy_set(w->proxy, WAY_OPEN);
    await_service(w->db);
    usleep(1000000); /* it listens again */
    version = db_data_version(w->db);
    assert_int_equal(store_exec(w->store->db, "UPDATE counter SET n = 3"), 0);
    store_await_change(w->db, version);
}

static void a_server_that_hangs_is_noticed_by_who_listens(void **state)
{
    struct world *w = *state;
    store_await_listening(w->db);
    int64_t version = db_data_version(w->db);
    pg_proxy_set(w->proxy, WAY_FROZEN);
    assert_int_equal(store_exec(w->store->db, "UPDATE counter SET n = 3"), 0);
    store_await_change(w->db, version);
}

/* --- opening ----------------------------------------------------------------------------------------- */

static void what_is_no_database_is_refused(void **state)
{
    struct world *w = *state;
    struct db *db = NULL;
    char url[200];
    (void)snprintf(url, sizeof url, "postgres://postgres:hunter2@127.0.0.1:%d/nowhere",
                   pg_proxy_port(w->proxy));
    assert_int_equal(db_open(&(struct db_options){.url = url, .connections = 2}, &db), -EIO);
    assert_int_equal(db_open(&(struct db_options){.url = "postgres://a b:%zz", .connections = 2}, &db),
                     -EINVAL);
    assert_null(db);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sixty_four_threads_lose_no_increment),
        TEST(who_looks_and_then_inserts_finds_what_came_between),
        TEST(a_deadlock_ends_well),
        TEST(units_of_one_turn_run_one_after_another),
        TEST(other_turns_go_on_and_a_turn_is_given_back),
        TEST(a_real_duplicate_is_told_after_a_second_look),
        TEST(a_lock_is_not_awaited_for_ever),
        TEST(a_unit_that_never_ends_is_ended),
        TEST(connections_that_are_refused_are_no_outage_while_there_are_others),
        TEST(a_look_minds_no_closed_connections_and_does_not_wait_for_ever),
        TEST(connections_that_were_closed_are_replaced_unnoticed),
        TEST(a_server_that_is_away_is_told_at_once_and_comes_back),
        TEST(a_server_that_hangs_is_not_awaited_for_ever),
        TEST(asynchronous_units_wait_for_a_server_that_is_away),
        TEST(a_unit_lost_before_its_commit_is_run_again),
        TEST(a_commit_without_an_answer_is_no_success_and_not_repeated),
        TEST(a_refused_commit_is_an_error_like_any_other),
        TEST(a_read_that_is_lost_is_an_error),
        TEST(the_queue_has_an_end_and_drops_nothing),
        TEST(values_come_in_portable_forms),
        TEST(an_integer_may_be_compared_with_every_kind_of_integer),
        TEST(only_others_writes_change_the_version),
        TEST(only_what_changed_is_dropped),
        TEST(what_could_not_be_heard_counts_as_a_change),
        TEST(a_server_that_hangs_is_noticed_by_who_listens),
        TEST(what_is_no_database_is_refused),
    };
    return cmocka_run_group_tests_name("db/postgres", tests, NULL, NULL);
}
