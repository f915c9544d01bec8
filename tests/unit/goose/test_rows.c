/* SPDX-License-Identifier: MIT */
#include "../db/store.h"

#include "goose/rows.h"

#include <errno.h>
#include <pthread.h>

#define SERVER "00000000-0000-4000-a000-00000000000a"
#define OTHER "00000000-0000-4000-a000-00000000000b"
#define USER "00000000-0000-4000-a000-00000000000c"
#define NOBODY "00000000-0000-4000-a000-00000000000d"

static struct goose_new a_run(char *id, int64_t most)
{
    uuid_make(id);
    return (struct goose_new){
        .id = id, .server = SERVER, .user_id = USER, .instructions = "do", .timeout_s = 7, .most = most};
}

static int begin(struct store *s, char *id, int64_t most)
{
    struct goose_new run = a_run(id, most);
    return goose_row_begin(s->db, &run);
}

static int end(struct store *s, const char *id, const char *server)
{
    struct goose_end e = {.id = id,
                          .server = server,
                          .status = "failed",
                          .output = "all of it",
                          .error = "why",
                          .has_exit_code = true,
                          .exit_code = 3,
                          .output_bytes = 9};
    return goose_row_end(s->db, &e);
}

static void lapse(struct store *s)
{
    assert_int_equal(store_exec(s->db, "UPDATE goose_runs SET lease_until = '2001-01-01T00:00:00.000Z'"), 0);
}

static void from_beginning_to_end(void **state)
{
    struct store *s = *state;
    struct arena a;
    struct goose_row row;
    char id[UUID_SIZE];
    arena_init(&a, 1 << 20);
    assert_int_equal(begin(s, id, 1), 0);
    assert_int_equal(goose_row_read(s->db, id, &a, &row), 0);
    assert_string_equal(row.status, "running");
    assert_false(row.has_exit_code);
    assert_null(row.output);
    assert_int_equal(row.timeout_s, 7);

    struct goose_beat beat = {.id = id, .server = SERVER, .output = "some", .output_bytes = 4};
    assert_int_equal(goose_row_beat(s->db, &beat), 0);
    assert_true(beat.ours && !beat.cancelled);
    beat.output = NULL;
    beat.output_bytes = 5;
    assert_int_equal(goose_row_beat(s->db, &beat), 0);
    assert_int_equal(goose_row_read(s->db, id, &a, &row), 0);
    assert_string_equal(row.output, "some");
    assert_int_equal(row.output_bytes, 5);

    assert_int_equal(end(s, id, OTHER), 1);
    assert_int_equal(end(s, id, SERVER), 0);
    assert_int_equal(end(s, id, SERVER), 1);
    assert_int_equal(goose_row_read(s->db, id, &a, &row), 0);
    assert_string_equal(row.status, "failed");
    assert_string_equal(row.output, "all of it");
    assert_string_equal(row.error, "why");
    assert_true(row.has_exit_code && row.exit_code == 3);
    assert_non_null(row.finished_at);
    assert_int_equal(goose_row_beat(s->db, &beat), 0);
    assert_false(beat.ours);
    assert_int_equal(goose_row_read(s->db, NOBODY, &a, &row), -ENOENT);
    arena_free(&a);
}

static void cancelling(void **state)
{
    struct store *s = *state;
    char id[UUID_SIZE];
    assert_int_equal(begin(s, id, 1), 0);
    assert_int_equal(goose_row_cancel(s->db, id, USER), 0);
    assert_int_equal(goose_row_cancel(s->db, id, USER), 0);
    struct goose_beat beat = {.id = id, .server = SERVER};
    assert_int_equal(goose_row_beat(s->db, &beat), 0);
    assert_true(beat.ours && beat.cancelled);
    assert_int_equal(end(s, id, SERVER), 0);
    assert_int_equal(goose_row_cancel(s->db, id, USER), 1);
    assert_int_equal(goose_row_cancel(s->db, NOBODY, USER), -ENOENT);
}

static void one_whose_lease_is_over_makes_room(void **state)
{
    struct store *s = *state;
    char first[UUID_SIZE], second[UUID_SIZE];
    assert_int_equal(begin(s, first, 1), 0);
    assert_int_equal(begin(s, second, 1), 1);
    lapse(s);
    struct goose_beat beat = {.id = first, .server = SERVER};
    assert_int_equal(goose_row_beat(s->db, &beat), 0); /* nobody has taken its place: it goes on */
    assert_true(beat.ours);
    assert_int_equal(begin(s, second, 1), 1);
    lapse(s);
    assert_int_equal(begin(s, second, 1), 0);
    assert_int_equal(goose_row_beat(s->db, &beat), 0);
    assert_false(beat.ours);
    assert_int_equal(goose_row_cancel(s->db, first, USER), 1);
}

/* What stands for an answer to a repeat. */
static int note_beside(struct db_conn *c, const char *id, void *arg)
{
    int *r = arg;
    struct goose_row row;
    struct arena a;
    arena_init(&a, 1 << 20);
    assert_int_equal(goose_row_read_in(c, id, &a, &row), 0);
    assert_string_equal(row.status, "running");
    arena_free(&a);
    int noted = db_exec(c, "INSERT INTO revoked_tokens (jti, expires_at) VALUES (?1, ?2)",
                        DB_ARGS(DB_TEXT(id), DB_TEXT("2030-01-01T00:00:00.000Z")), NULL);
    return noted < 0 ? noted : *r;
}

static void what_belongs_to_a_run_is_there_with_it_or_neither(void **state)
{
    struct store *s = *state;
    char id[UUID_SIZE];
    int r = -ECANCELED;
    struct goose_new run = a_run(id, 1);
    run.also = note_beside;
    run.arg = &r;
    assert_int_equal(goose_row_begin(s->db, &run), -ECANCELED);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM goose_runs"), 0);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM revoked_tokens"), 0);
    r = 0;
    assert_int_equal(goose_row_begin(s->db, &run), 0);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM goose_runs"), 1);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM revoked_tokens"), 1);
    uuid_make(id);
    assert_int_equal(goose_row_begin(s->db, &run), 1); /* too many: nothing beside it either */
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM revoked_tokens"), 1);
}

struct racer {
    struct store *s;
    pthread_t thread;
    int r;
};

static void *race(void *arg)
{
    struct racer *me = arg;
    char id[UUID_SIZE];
    me->r = begin(me->s, id, 3);
    return NULL;
}

static void of_many_at_once_as_many_as_may(void **state)
{
    struct store *s = *state;
    struct racer racers[16];
    int in = 0;
    for (size_t i = 0; i < 16; i++) {
        racers[i] = (struct racer){.s = s};
        assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
    }
    for (size_t i = 0; i < 16; i++) {
        (void)pthread_join(racers[i].thread, NULL);
        assert_true(racers[i].r == 0 || racers[i].r == 1);
        in += racers[i].r == 0;
    }
    assert_int_equal(in, 3);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM goose_runs WHERE status = 'running'"), 3);
}

static int expire(struct db_conn *c, void *arg)
{
    return goose_expire(c, arg);
}

static void the_duty_marks_the_dead(void **state)
{
    struct store *s = *state;
    char id[UUID_SIZE];
    struct duty_run run = {.now_ms = clock_now_ms()};
    clock_format_iso(run.now_ms, run.now);
    assert_int_equal(begin(s, id, 1), 0);
    assert_int_equal(db_write(s->db, expire, &run), 0);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM goose_runs WHERE status = 'running'"), 1);
    lapse(s);
    assert_int_equal(db_write(s->db, expire, &run), 0);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM goose_runs WHERE status = 'failed'"), 1);
}

static void the_list_has_the_latest(void **state)
{
    struct store *s = *state;
    struct arena a;
    struct goose_row rows[GOOSE_RUNS_LISTED];
    char id[UUID_SIZE];
    size_t n;
    arena_init(&a, 1 << 20);
    for (int i = 0; i < GOOSE_RUNS_LISTED + 3; i++) {
        assert_int_equal(begin(s, id, 1), 0);
        assert_int_equal(end(s, id, SERVER), 0);
    }
    assert_int_equal(goose_row_list(s->db, &a, rows, &n), 0);
    assert_int_equal(n, GOOSE_RUNS_LISTED);
    assert_null(rows[0].output);
    arena_free(&a);
}

#define T(test) cmocka_unit_test_setup_teardown(test, store_set_up_migrated, store_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {T(from_beginning_to_end),
                                       T(cancelling),
                                       T(one_whose_lease_is_over_makes_room),
                                       T(what_belongs_to_a_run_is_there_with_it_or_neither),
                                       T(of_many_at_once_as_many_as_may),
                                       T(the_duty_marks_the_dead),
                                       T(the_list_has_the_latest)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
