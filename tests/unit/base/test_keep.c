/* SPDX-License-Identifier: MIT */
#include "base/keep.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static char directory[] = "/tmp/genie-keep-XXXXXX";

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return rmdir(directory);
}

static const char *path_of(const char *name)
{
    static char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

/* A file with this text and no name. */
static int nameless(const char *text)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/passing-XXXXXX", directory);
    int fd = mkostemp(path, O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    return fd;
}

static void assert_holds(const char *name, const char *text)
{
    char found[64] = "";
    struct stat st;
    _cleanup_close_ int fd = open(path_of(name), O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(read(fd, found, sizeof found - 1), strlen(text));
    assert_string_equal(found, text);
}

static void a_file_without_a_name_gets_one(void **state)
{
    _cleanup_close_ int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0644),
                        unlinked = nameless("copied");
    (void)state;
    if (fd >= 0) { /* not every file system has such files */
        assert_int_equal(write(fd, "linked", 6), 6);
        assert_int_equal(keep_file(fd, path_of("linked")), 0);
        assert_holds("linked", "linked");
        assert_int_equal(unlink(path_of("linked")), 0);
    }
    assert_int_equal(keep_file(unlinked, path_of("copied")), 0);
    assert_holds("copied", "copied");
    assert_int_equal(unlink(path_of("copied")), 0);
}

static void one_that_has_a_name_is_copied(void **state)
{
    (void)state;
    _cleanup_close_ int fd = open(path_of("first"), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    assert_int_equal(write(fd, "text", 4), 4);
    assert_int_equal(keep_file(fd, path_of("second")), 0);
    assert_int_equal(pwrite(fd, "mine", 4, 0), 4);
    assert_holds("second", "text");
    assert_int_equal(unlink(path_of("first")), 0);
    assert_int_equal(unlink(path_of("second")), 0);
}

static void nothing_is_overwritten_and_nothing_is_left(void **state)
{
    (void)state;
    _cleanup_close_ int fd = nameless("new"),
                        there = open(path_of("there"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(there, "old", 3), 3);
    assert_int_equal(keep_file(fd, path_of("there")), -EEXIST);
    assert_holds("there", "old");
    assert_int_equal(unlink(path_of("there")), 0);
    assert_int_equal(keep_file(fd, path_of("no/such/directory")), -ENOENT);
    assert_int_equal(keep_file(-1, path_of("nothing")), -EBADF);
    assert_int_equal(access(path_of("nothing"), F_OK), -1); /* and tear_down finds the directory empty */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_without_a_name_gets_one),
        cmocka_unit_test(one_that_has_a_name_is_copied),
        cmocka_unit_test(nothing_is_overwritten_and_nothing_is_left),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
