/* SPDX-License-Identifier: MIT */
#include "../auth/people.h"

#include "base/cleanup.h"
#include "onboarding/exports.h"
#include "queue/queue.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOUR_MS (60 * 60 * 1000)

static struct export_place place(struct store *s, const char *user_id)
{
    struct export_place p;
    assert_int_equal(export_place(s->dir, user_id, &p), 0);
    return p;
}

/* A file where an export would be, so many hours old. */
static void fill(const struct export_place *p, int hours)
{
    _cleanup_close_ int fd = open(p->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = clock_now_ms() / 1000 - hours * 3600}};
    assert_int_equal(futimens(fd, times), 0);
}

static bool exists(const struct export_place *p)
{
    return access(p->path, F_OK) == 0;
}

struct enqueuing {
    struct queue *queue;
    struct queue_add add;
};

static int enqueue_unit(struct db_conn *c, void *arg)
{
    struct enqueuing *e = arg;
    return queue_add_in(e->queue, c, &e->add);
}

static void enqueue(struct store *s, const struct export_place *p, const char *user_id)
{
    static const struct config cfg;
    struct export_job job = {p, user_id, "my \"export\".zip", 10, 2, 30};
    struct enqueuing e;
    _cleanup_free_ char *data = export_job_data(&job);
    assert_non_null(data);
    assert_int_equal(queue_open(&cfg, s->db, &e.queue), 0);
    e.add = (struct queue_add){.id = p->job_id,
                               .queue = QUEUE_ONBOARDING,
                               .operation = EXPORT_OPERATION,
                               .user_id = user_id,
                               .data = data};
    assert_int_equal(db_write(s->db, enqueue_unit, &e), 0);
    queue_close(e.queue);
}

static size_t sweep(struct store *s)
{
    size_t removed = 0;
    assert_int_equal(exports_sweep(s->db, s->dir, HOUR_MS, &removed), 0);
    return removed;
}

static int tear_down(void **state)
{
    struct store *s = *state;
    char command[128];
    (void)snprintf(command, sizeof command, "%s/onboarding", s->dir);
    char program[] = "rm", option[] = "-rf", *argv[] = {program, option, command, NULL};
    pid_t pid = fork();
    if (pid == 0) {
        (void)execvp(argv[0], argv);
        _exit(127);
    }
    (void)waitpid(pid, NULL, 0);
    return store_tear_down(state);
}

static int job_data_unit(struct db_conn *c, void *arg)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    assert_int_equal(db_query(c, "SELECT data, state, queue, operation FROM queue_jobs", DB_NO_ARGS, &rows),
                     0);
    assert_int_equal(db_next(rows), 1);
    assert_string_equal(db_text(rows, 1), "waiting");
    assert_string_equal(db_text(rows, 2), "onboarding-jobs");
    assert_string_equal(db_text(rows, 3), EXPORT_OPERATION);
    *(json_t **)arg = json_loads(db_text(rows, 0), 0, NULL);
    return 0;
}

static void a_job_says_where_its_file_is(void **state)
{
    struct store *s = *state;
    struct account a = person(s->db, "a@b.co", NULL);
    struct export_place p = place(s, a.user_id);
    _cleanup_json_ json_t *data = NULL;
    enqueue(s, &p, a.user_id);
    assert_int_equal(db_read(s->db, job_data_unit, &data), 0);
    const json_t *params = json_object_get(data, "params");
    assert_string_equal(json_str(data, "jobId", ""), p.job_id);
    assert_string_equal(json_str(data, "user_id", ""), a.user_id);
    assert_true(json_is_null(json_object_get(data, "input_file_id")));
    assert_string_equal(json_str(params, "file_path", ""), p.file);
    assert_string_equal(json_str(params, "file_name", ""), "my \"export\".zip");
    assert_true(strlen(json_str(params, "server", "")) > 0);
    assert_int_equal(json_integer_value(json_object_get(params, "unpacked_bytes")), 30);
    struct stat st;
    char own[256];
    (void)snprintf(own, sizeof own, "%s/onboarding/%s", s->dir, a.user_id);
    assert_int_equal(stat(own, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
}

static void the_sweep_takes_orphans_alone(void **state)
{
    struct store *s = *state;
    struct account a = person(s->db, "a@b.co", NULL);
    struct export_place wanted = place(s, a.user_id), orphan = place(s, a.user_id),
                        young = place(s, a.user_id), done = place(s, a.user_id), failed = place(s, a.user_id),
                        strange = place(s, "8c7d7f0e-0000-4000-8000-000000000000"),
                        named = place(s, a.user_id);
    const struct export_place *old[] = {&wanted, &orphan, &done, &failed, &strange};
    for (size_t i = 0; i < ARRAY_LEN(old); i++)
        fill(old[i], 2);
    fill(&young, 0);
    (void)snprintf(named.path + strlen(named.path) - 4, 5, ".txt");
    fill(&named, 2);
    enqueue(s, &wanted, a.user_id);
    enqueue(s, &done, a.user_id);
    enqueue(s, &failed, a.user_id);
    run_sql(s->db, "UPDATE queue_jobs SET state = 'completed' WHERE id = '%s'", done.job_id);
    run_sql(s->db, "UPDATE queue_jobs SET state = 'failed' WHERE id = '%s'", failed.job_id);
    assert_int_equal(sweep(s), 2);
    assert_false(exists(&orphan) || exists(&done));
    assert_true(exists(&wanted) && exists(&young) && exists(&failed) && exists(&strange) && exists(&named));
    assert_int_equal(sweep(s), 0);
}

static bool is_marked(struct store *s, const char *user_id)
{
    char mark[256];
    (void)snprintf(mark, sizeof mark, "%s/onboarding/%s/.deleted", s->dir, user_id);
    return access(mark, F_OK) == 0;
}

static void what_a_deleted_user_left_goes(void **state)
{
    struct store *s = *state;
    struct account a = person(s->db, "a@b.co", NULL), b = person(s->db, "b@b.co", NULL);
    struct export_place of_a = place(s, a.user_id), of_b = place(s, b.user_id);
    size_t removed = 0;
    fill(&of_a, 0);
    fill(&of_b, 0);
    enqueue(s, &of_b, b.user_id);
    assert_int_equal(exports_mark(s->dir, "8c7d7f0e-0000-4000-8000-000000000000"), 0); /* has nothing */
    assert_int_equal(exports_mark(s->dir, a.user_id), 0);
    assert_int_equal(exports_mark(s->dir, b.user_id), 0);
    assert_int_equal(exports_mark(s->dir, b.user_id), 0);
    assert_int_equal(sweep(s), 0); /* both are still there */
    assert_true(exists(&of_a) && exists(&of_b));
    run_sql(s->db, "DELETE FROM directus_users WHERE id = '%s'", a.user_id);
    assert_int_equal(sweep(s), 1); /* as after a crash right behind the unit */
    assert_false(exists(&of_a) || is_marked(s, a.user_id));
    assert_true(exists(&of_b));
    assert_int_equal(exports_forget(s->dir, b.user_id, &removed), 0);
    assert_int_equal(removed, 1);
    assert_false(exists(&of_b) || is_marked(s, b.user_id));
    assert_int_equal(exports_forget(s->dir, b.user_id, &removed), 0);
    assert_int_equal(removed, 0);
}

static void without_exports_there_is_nothing_to_sweep(void **state)
{
    assert_int_equal(sweep(*state), 0);
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, people_set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(a_job_says_where_its_file_is),
        STORE_TEST(the_sweep_takes_orphans_alone),
        STORE_TEST(what_a_deleted_user_left_goes),
        STORE_TEST(without_exports_there_is_nothing_to_sweep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
