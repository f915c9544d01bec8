/* SPDX-License-Identifier: MIT */
#include "import/snapshot.h"

#include "import/source.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

struct fixture {
    char dir[40], file[64];
    sqlite3 *db;
};

static void run_sql(struct fixture *f, const char *sql)
{
    assert_int_equal(sqlite3_exec(f->db, sql, NULL, NULL, NULL), SQLITE_OK);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    (void)snprintf(f->dir, sizeof f->dir, "/tmp/genie-snap-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->file, sizeof f->file, "%s/a.db", f->dir);
    assert_int_equal(sqlite3_open(f->file, &f->db), SQLITE_OK);
    run_sql(
        f,
        "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; CREATE TABLE t (id INTEGER PRIMARY KEY, v); "
        "INSERT INTO t (v) VALUES ('one')");
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    (void)sqlite3_close(f->db);
    (void)unlink(f->file);
    assert_int_equal(rmdir(f->dir), 0);
    free(f);
    return 0;
}

static int64_t rows_in(struct snapshot *s)
{
    struct source *source = NULL;
    int64_t n = -1;
    assert_int_equal(source_open(snapshot_path(s), &source), 0);
    assert_int_equal(source_int(source, "SELECT count(*) FROM t", &n), 1);
    source_close(source);
    return n;
}

static void a_copy_holds_what_is_in_the_log_and_ends_with_its_directory(void **state)
{
    struct fixture *f = *state;
    struct snapshot *s = NULL;
    char dir[64];
    assert_int_equal(snapshot_take(f->file, f->dir, &s), 0);
    (void)snprintf(dir, sizeof dir, "%s", snapshot_dir(s));
    assert_int_equal(rows_in(s), 1);
    assert_int_equal(access(dir, F_OK), 0);
    snapshot_free(s);
    assert_int_equal(access(dir, F_OK), -1);
}

static void a_hidden_copy_is_read_on(void **state)
{
    struct fixture *f = *state;
    struct snapshot *s = NULL;
    struct source *source = NULL;
    int64_t n = 0;
    assert_int_equal(snapshot_take(f->file, f->dir, &s), 0);
    assert_int_equal(source_open(snapshot_path(s), &source), 0);
    snapshot_hide(s);
    assert_int_equal(access(snapshot_path(s), F_OK), -1);
    assert_int_equal(source_int(source, "SELECT count(*) FROM t", &n), 1);
    assert_int_equal(n, 1);
    source_close(source);
    snapshot_free(s);
}

static void it_is_told_when_the_original_changes(void **state)
{
    struct fixture *f = *state;
    struct snapshot *s = NULL;
    assert_int_equal(snapshot_take(f->file, f->dir, &s), 0);
    assert_true(snapshot_current(s));
    run_sql(f, "INSERT INTO t (v) VALUES ('two')");
    assert_false(snapshot_current(s));
    snapshot_free(s);
}

static void what_a_killed_process_left_goes_with_the_next(void **state)
{
    struct fixture *f = *state;
    struct snapshot *s = NULL;
    char left[64], file[96];
    (void)snprintf(left, sizeof left, "%s/import-abcdef", f->dir);
    (void)snprintf(file, sizeof file, "%s/copy.db", left);
    assert_int_equal(mkdir(left, 0700), 0);
    close(open(file, O_WRONLY | O_CREAT, 0600));
    assert_int_equal(snapshot_take(f->file, f->dir, &s), 0);
    assert_int_equal(access(left, F_OK), -1);
    struct snapshot *other = NULL; /* but not what is in use */
    assert_int_equal(snapshot_take(f->file, f->dir, &other), 0);
    assert_int_equal(access(snapshot_path(s), F_OK), 0);
    snapshot_free(s);
    snapshot_free(other);
}

static void what_is_no_file_is_refused(void **state)
{
    struct fixture *f = *state;
    struct snapshot *s = NULL;
    assert_int_equal(snapshot_take("/nowhere/at/all", f->dir, &s), -ENOENT);
    assert_int_equal(snapshot_take(f->dir, f->dir, &s), -EINVAL);
    assert_int_equal(snapshot_take(f->file, "/nowhere/at/all", &s), -ENOENT);
}

/* SQLite's locks are the process's, so another has to look. */
static void who_has_a_database_open_is_found(void **state)
{
    struct fixture *f = *state;
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(snapshot_holder(f->file) == getppid() ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    (void)sqlite3_close(f->db);
    f->db = NULL;
    assert_int_equal(snapshot_holder(f->file), 0);
    assert_int_equal(snapshot_holder("/nowhere"), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_copy_holds_what_is_in_the_log_and_ends_with_its_directory, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_hidden_copy_is_read_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_is_told_when_the_original_changes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_killed_process_left_goes_with_the_next, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_file_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_has_a_database_open_is_found, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
