/* SPDX-License-Identifier: MIT */
#include "media.h"

#include "base/cleanup.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static bool is_there(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

/* A process makes a directory with something in it, and dies without a word. */
static void die_at_work(const struct media *m)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct media_tmp tmp;
        char path[PATH_MAX + 16];
        if (media_tmp_make(&m->cfg, &tmp) < 0)
            _exit(1);
        (void)snprintf(path, sizeof path, "%s/work", tmp.path);
        _exit(mkdir(path, 0700) < 0 || symlink("/etc/passwd", strcat(path, "/link")) < 0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void what_a_dead_process_left_is_removed_and_nothing_else(void **state)
{
    struct media *m = *state;
    struct media_tmp ours;
    struct stat st;
    assert_int_equal(media_tmp_sweep(&m->cfg), 0); /* there is no directory at all */
    assert_int_equal(media_tmp_make(&m->cfg, &ours), 0);
    assert_int_equal(stat(ours.path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    media_write(m, "tmp/upload", "x", 1); /* of another's */
    die_at_work(m);
    die_at_work(m);
    assert_int_equal(media_leftovers(m), 4);
    assert_int_equal(media_tmp_sweep(&m->cfg), 2);
    assert_int_equal(media_tmp_sweep(&m->cfg), 0);
    assert_int_equal(media_leftovers(m), 2);
    assert_true(is_there(ours.path));
    assert_true(is_there("/etc/passwd"));
    media_tmp_remove(&ours);
    assert_false(is_there(ours.path));
}

static void directories_are_below_the_data_directory_unless_named(void **state)
{
    struct media *m = *state;
    struct config cfg = m->cfg;
    struct media_tmp tmp;
    cfg.media_tmp_dir = NULL;
    assert_int_equal(media_tmp_make(&cfg, &tmp), 0);
    assert_non_null(strstr(tmp.path, m->dir));
    media_tmp_remove(&tmp);
    cfg.media_tmp_dir = "/nowhere/at/all";
    assert_int_equal(media_tmp_make(&cfg, &tmp), -ENOENT);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, media_setup, media_teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_a_dead_process_left_is_removed_and_nothing_else),
        TEST(directories_are_below_the_data_directory_unless_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
