/* SPDX-License-Identifier: MIT */
/* The store as its users see it: units, snapshots, values, errors. */
#include "store.h"

#include "db/sqlite_conn.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static int set_up(void **state)
{
    (void)store_set_up(state);
    struct store *s = *state;
    assert_int_equal(store_exec(s->db,
                                "CREATE TABLE item (id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "
                                "name TEXT NOT NULL UNIQUE, size INTEGER CHECK (size > 0), ratio REAL, "
                                "body BLOB, parent INTEGER REFERENCES item (id)) STRICT"),
                     0);
    return 0;
}

static int64_t items(struct store *s)
{
    return store_int(s->db, "SELECT count(*) FROM item");
}

/* --- reading and writing ---------------------------------------------------------------------------- */

static void *insert_from_another_thread(void *db)
{
    assert_int_equal(store_exec(db, "INSERT INTO item (name) VALUES ('late')"), 0);
    return NULL;
}

static int count_around_a_write(struct db_conn *c, void *arg)
{
    struct store *s = arg;
    int64_t before, after;
    pthread_t t;
    assert_int_equal(db_query_int(c, "SELECT count(*) FROM item", DB_NO_ARGS, &before), 1);
    assert_int_equal(pthread_create(&t, NULL, insert_from_another_thread, s->db), 0);
    pthread_join(t, NULL);
    assert_int_equal(db_query_int(c, "SELECT count(*) FROM item", DB_NO_ARGS, &after), 1);
    assert_int_equal(before, after);
    return 0;
}

static void a_read_sees_one_snapshot(void **state)
{
    struct store *s = *state;
    assert_int_equal(db_read(s->db, count_around_a_write, s), 0);
    assert_int_equal(items(s), 1);
}

static int insert_two_then_think_better(struct db_conn *c, void *arg)
{
    int64_t n;
    assert_int_equal(db_exec(c, "INSERT INTO item (name) VALUES ('a')", DB_NO_ARGS, NULL), 0);
    assert_int_equal(db_exec(c, "INSERT INTO item (name) VALUES ('b')", DB_NO_ARGS, NULL), 0);
    assert_int_equal(db_query_int(c, "SELECT count(*) FROM item", DB_NO_ARGS, &n), 1);
    assert_int_equal(n, 2);
    return *(int *)arg;
}

static void a_negative_result_undoes_the_unit_and_is_passed_on(void **state)
{
    struct store *s = *state;
    int r = -ECANCELED;
    assert_int_equal(db_write(s->db, insert_two_then_think_better, &r), -ECANCELED);
    assert_int_equal(items(s), 0);
    r = 7;
    assert_int_equal(db_write(s->db, insert_two_then_think_better, &r), 7);
    assert_int_equal(items(s), 2);
}

static int write_every_kind(struct db_conn *c, void *arg)
{
    return db_insert(c, "INSERT INTO item (name, size, ratio, body) VALUES (?1, ?2, ?3, ?4) RETURNING id",
                     DB_ARGS(DB_TEXT("käse ☕"), DB_INT(INT64_MAX), DB_REAL(-0.125), DB_BLOB("a\0b", 3)), arg);
}

static int read_every_kind(struct db_conn *c, void *arg)
{
    struct arena *a = arg;
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    size_t len;
    assert_int_equal(db_query(c, "SELECT name, size, ratio, body, parent FROM item WHERE name = ?1",
                              DB_ARGS(DB_TEXT("käse ☕")), &rows),
                     0);
    assert_int_equal(db_next(rows), 1);
    assert_string_equal(db_text(rows, 0), "käse ☕");
    assert_string_equal(db_text_dup(rows, 0, a), "käse ☕");
    assert_true(db_int(rows, 1) == INT64_MAX);
    assert_true(db_real(rows, 2) == -0.125);
    assert_memory_equal(db_blob(rows, 3, &len), "a\0b", 3);
    assert_int_equal(len, 3);
    assert_true(db_is_null(rows, 4));
    assert_false(db_is_null(rows, 3));
    assert_null(db_text(rows, 4));
    assert_null(db_text_dup(rows, 4, a));
    assert_int_equal(db_next(rows), 0);
    assert_int_equal(db_next(rows), 0);
    return 0;
}

static void values_come_back_as_they_went(void **state)
{
    struct store *s = *state;
    struct arena a;
    int64_t id = 0;
    arena_init(&a, 4096);
    assert_int_equal(db_write(s->db, write_every_kind, &id), 0);
    assert_int_equal(id, 1);
    assert_int_equal(db_read(s->db, read_every_kind, &a), 0);
    arena_free(&a);
}

static int insert_quietly(struct db_conn *c, void *arg)
{
    return db_insert(c, "INSERT INTO item (name) VALUES ('once') ON CONFLICT DO NOTHING RETURNING id",
                     DB_NO_ARGS, arg);
}

static void an_insert_that_does_nothing_says_so(void **state)
{
    struct store *s = *state;
    int64_t id = 0;
    assert_int_equal(db_write(s->db, insert_quietly, &id), 0);
    assert_int_equal(db_write(s->db, insert_quietly, &id), -EEXIST);
}

static int count_changed(struct db_conn *c, void *arg)
{
    return db_exec(c, "UPDATE item SET size = 5 WHERE name <> ?1", DB_ARGS(DB_TEXT("a")), arg);
}

static void the_rows_touched_are_counted(void **state)
{
    struct store *s = *state;
    int64_t changed = -1;
    assert_int_equal(db_write(s->db, count_changed, &changed), 0);
    assert_int_equal(changed, 0);
    assert_int_equal(store_exec(s->db, "INSERT INTO item (name) VALUES ('a'), ('b'), ('c')"), 0);
    assert_int_equal(db_write(s->db, count_changed, &changed), 0);
    assert_int_equal(changed, 2);
}

static int pairs(struct db_conn *c, void *arg)
{
    static const char sql[] = "SELECT name FROM item ORDER BY name";
    _cleanup_(db_rows_freeP) struct db_rows *outer = NULL;
    assert_int_equal(db_query(c, sql, DB_NO_ARGS, &outer), 0);
    while (db_next(outer) > 0) {
        _cleanup_(db_rows_freeP) struct db_rows *inner = NULL;
        assert_int_equal(db_query(c, sql, DB_NO_ARGS, &inner), 0);
        while (db_next(inner) > 0)
            ++*(int *)arg;
    }
    return 0;
}

static void the_same_query_can_run_inside_itself(void **state)
{
    struct store *s = *state;
    int n = 0;
    assert_int_equal(store_exec(s->db, "INSERT INTO item (name) VALUES ('a'), ('b'), ('c')"), 0);
    assert_int_equal(db_read(s->db, pairs, &n), 0);
    assert_int_equal(n, 9);
}

static int many_statements(struct db_conn *c, void *arg)
{
    (void)arg;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 200; i++) {
            char sql[64];
            int64_t n = -1;
            (void)snprintf(sql, sizeof sql, "SELECT %d + ?1", i);
            assert_int_equal(db_query_int(c, sql, DB_ARGS(DB_INT(round)), &n), 1);
            assert_int_equal(n, i + round);
        }
    }
    return 0;
}

static void more_statements_than_are_kept_still_run(void **state)
{
    struct store *s = *state;
    assert_int_equal(db_read(s->db, many_statements, NULL), 0);
    assert_int_equal(db_write(s->db, many_statements, NULL), 0);
}

static void it_answers_a_ping(void **state)
{
    struct store *s = *state;
    assert_int_equal(db_ping(s->db), 0);
}

/* --- errors ----------------------------------------------------------------------------------------- */

static void broken_rules_have_their_own_errors(void **state)
{
    struct store *s = *state;
    assert_int_equal(store_exec(s->db, "INSERT INTO item (id, name) VALUES (1, 'a')"), 0);
    assert_int_equal(store_exec(s->db, "INSERT INTO item (name) VALUES ('a')"), -EEXIST);
    assert_int_equal(store_exec(s->db, "INSERT INTO item (id, name) VALUES (1, 'b')"), -EEXIST);
    assert_int_equal(store_exec(s->db, "INSERT INTO item (name) VALUES (NULL)"), -EDOM);
    assert_int_equal(store_exec(s->db, "INSERT INTO item (name, size) VALUES ('b', 0)"), -EDOM);
    assert_int_equal(store_exec(s->db, "INSERT INTO item (name, size) VALUES ('b', 'big')"), -EDOM);
    assert_int_equal(store_exec(s->db, "INSERT INTO item (name, parent) VALUES ('b', 99)"), -EDOM);
    assert_int_equal(items(s), 1);
}

static void bad_statements_are_errors(void **state)
{
    struct store *s = *state;
    assert_int_equal(store_exec(s->db, "INSERT INTO nowhere VALUES (1)"), -EIO);
    assert_int_equal(store_exec(s->db, "SELECT ?1"), -EIO);
    assert_int_equal(store_exec(s->db, "SELECT 1; SELECT 2"), -EIO);
    assert_int_equal(store_exec(s->db, "SELECT \"not a column\""), -EIO);
    assert_int_equal(store_exec(s->db, " "), -EIO);
}

static int insert_twice_and_go_on(struct db_conn *c, void *arg)
{
    (void)arg;
    static const char sql[] = "INSERT INTO item (name) VALUES (?1)";
    assert_int_equal(db_exec(c, sql, DB_ARGS(DB_TEXT("a")), NULL), 0);
    assert_int_equal(db_exec(c, sql, DB_ARGS(DB_TEXT("a")), NULL), -EEXIST);
    return db_exec(c, sql, DB_ARGS(DB_TEXT("b")), NULL);
}

static void a_unit_may_go_on_after_an_error(void **state)
{
    struct store *s = *state;
    assert_int_equal(db_write(s->db, insert_twice_and_go_on, NULL), 0);
    assert_int_equal(items(s), 2);
}

static void a_read_cannot_write(void **state)
{
    struct store *s = *state;
    assert_int_equal(
        db_read(s->db, store_exec_unit, (void *)(uintptr_t) "INSERT INTO item (name) VALUES ('sly')"), -EIO);
    assert_int_equal(items(s), 0);
}

static int insert_and_commit(struct db_conn *c, void *arg)
{
    (void)arg;
    assert_int_equal(db_exec(c, "INSERT INTO item (name) VALUES ('sly')", DB_NO_ARGS, NULL), 0);
    assert_int_equal(db_exec(c, "COMMIT", DB_NO_ARGS, NULL), -EIO);
    assert_int_equal(db_exec(c, "ROLLBACK", DB_NO_ARGS, NULL), -EIO);
    assert_int_equal(db_exec(c, "RELEASE unit", DB_NO_ARGS, NULL), -EIO);
    return -ECANCELED;
}

static void a_unit_cannot_end_its_transaction(void **state)
{
    struct store *s = *state;
    assert_int_equal(store_exec(s->db, "INSERT INTO item (name) VALUES ('first')"), 0);
    assert_int_equal(db_write(s->db, insert_and_commit, NULL), -ECANCELED);
    assert_int_equal(items(s), 1);
}

static int write_within_a_write(struct db_conn *c, void *db)
{
    (void)c;
    return store_exec(db, "INSERT INTO item (name) VALUES ('inner')");
}

static void a_write_within_a_write_is_refused(void **state)
{
    struct store *s = *state;
    assert_int_equal(db_write(s->db, write_within_a_write, s->db), -EDEADLK);
    assert_int_equal(items(s), 0);
}

static int count_forever(struct db_conn *c, void *arg)
{
    return db_query_int(
        c, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n", DB_NO_ARGS,
        arg);
}

static void a_unit_that_never_ends_is_ended(void **state)
{
    struct store *s = *state;
    struct sqlite_conn *c = NULL;
    int64_t n;
    assert_int_equal(sqlite_conn_open(&(struct sqlite_conn_options){.path = s->path, .cache_kib = 64}, &c),
                     0);
    c->unit_limit_ms = 50;
    assert_int_equal(sqlite_conn_run(c, count_forever, &n), -ETIMEDOUT);
    sqlite_conn_close(c);
}

static int count_for_a_while(struct db_conn *c, void *arg)
{
    db_limit(c, 50);
    db_limit(c, 1000000); /* never gives time back */
    return count_forever(c, arg);
}

static void a_unit_may_be_given_less_time(void **state)
{
    struct store *s = *state;
    int64_t n;
    assert_int_equal(db_read(s->db, count_for_a_while, &n), -ETIMEDOUT);
    assert_int_equal(db_ping(s->db), 0);
}

/* --- readers ---------------------------------------------------------------------------------------- */

struct reader {
    pthread_t thread;
    struct db *db;
    struct gate *gate;
};

static int stay(struct db_conn *c, void *arg)
{
    struct reader *r = arg;
    (void)c;
    pthread_mutex_lock(&r->gate->lock);
    while (!r->gate->open)
        pthread_cond_wait(&r->gate->changed, &r->gate->lock);
    pthread_mutex_unlock(&r->gate->lock);
    return 0;
}

static void *read_long(void *arg)
{
    struct reader *r = arg;
    assert_int_equal(db_read(r->db, stay, r), 0);
    return NULL;
}

static int ping_until(struct db *db, int wanted)
{
    int r = 0;
    for (int i = 0; i < 100 && (r = db_ping(db)) != wanted; i++)
        usleep(1000);
    return r;
}

static void a_reader_waits_for_a_connection_but_not_for_ever(void **state)
{
    struct store *s = *state;
    struct gate gate = GATE_INIT;
    struct reader readers[4];
    for (size_t i = 0; i < ARRAY_LEN(readers); i++) {
        readers[i] = (struct reader){.db = s->db, .gate = &gate};
        assert_int_equal(pthread_create(&readers[i].thread, NULL, read_long, &readers[i]), 0);
    }
    assert_int_equal(ping_until(s->db, -ETIMEDOUT), -ETIMEDOUT);
    gate_open(&gate);
    for (size_t i = 0; i < ARRAY_LEN(readers); i++)
        pthread_join(readers[i].thread, NULL);
    assert_int_equal(db_ping(s->db), 0);
}

/* --- opening ---------------------------------------------------------------------------------------- */

static void the_file_is_its_owners_alone(void **state)
{
    struct store *s = *state;
    struct stat st;
    assert_int_equal(stat(s->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_file_of_another_kind_is_refused(void **state)
{
    struct store *s = *state;
    struct db *db = NULL;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/letter.txt", s->dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (int i = 0; i < 100; i++)
        (void)fputs("Dear Sir or Madam, this is not a database.\n", f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(db_open(&(struct db_options){.path = path, .readers = 1}, &db), -EINVAL);
    assert_null(db);
    assert_int_equal(unlink(path), 0);
}

static void a_place_that_is_not_there_is_an_error(void **state)
{
    (void)state;
    struct db *db = NULL;
    assert_int_equal(db_open(&(struct db_options){.path = "/nowhere/genie.db", .readers = 1}, &db), -ENOENT);
    assert_null(db);
}

static void what_was_written_is_there_after_a_restart(void **state)
{
    struct store *s = *state;
    assert_int_equal(store_exec(s->db, "INSERT INTO item (name) VALUES ('a')"), 0);
    db_close(s->db);
    store_open_at(s);
    assert_int_equal(items(s), 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, store_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_read_sees_one_snapshot),
        TEST(a_negative_result_undoes_the_unit_and_is_passed_on),
        TEST(values_come_back_as_they_went),
        TEST(an_insert_that_does_nothing_says_so),
        TEST(the_rows_touched_are_counted),
        TEST(the_same_query_can_run_inside_itself),
        TEST(more_statements_than_are_kept_still_run),
        TEST(it_answers_a_ping),
        TEST(broken_rules_have_their_own_errors),
        TEST(bad_statements_are_errors),
        TEST(a_unit_may_go_on_after_an_error),
        TEST(a_read_cannot_write),
        TEST(a_unit_cannot_end_its_transaction),
        TEST(a_write_within_a_write_is_refused),
        TEST(a_unit_that_never_ends_is_ended),
        TEST(a_unit_may_be_given_less_time),
        TEST(a_reader_waits_for_a_connection_but_not_for_ever),
        TEST(the_file_is_its_owners_alone),
        TEST(a_file_of_another_kind_is_refused),
        TEST(a_place_that_is_not_there_is_an_error),
        TEST(what_was_written_is_there_after_a_restart),
    };
    return cmocka_run_group_tests_name("db/db", tests, NULL, NULL);
}
