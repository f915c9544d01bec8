/* SPDX-License-Identifier: MIT */
#include "base/data_lock.h"

#include "base/cleanup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

static char dir[64];

static int set_up(void **state)
{
    (void)state;
    (void)strcpy(dir, "/tmp/genie-lock-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    char path[96];
    (void)snprintf(path, sizeof path, "%s/" DATA_LOCK_FILE, dir);
    (void)unlink(path);
    return rmdir(dir);
}

static void many_share_one_is_alone(void **state)
{
    (void)state;
    int one, two, alone;
    assert_int_equal(data_lock(dir, false, &one), 0);
    assert_int_equal(data_lock(dir, false, &two), 0);
    assert_int_equal(data_lock(dir, true, &alone), -EWOULDBLOCK);
    (void)close(one);
    assert_int_equal(data_lock(dir, true, &alone), -EWOULDBLOCK);
    (void)close(two);
    assert_int_equal(data_lock(dir, true, &alone), 0);
    assert_int_equal(data_lock(dir, false, &one), -EWOULDBLOCK);
    (void)close(alone);
}

static void a_directory_in_its_place_has_a_lock_of_its_own(void **state)
{
    (void)state;
    char aside[96];
    int old, new;
    (void)snprintf(aside, sizeof aside, "%s.aside", dir);
    assert_int_equal(data_lock(dir, true, &old), 0);
    assert_int_equal(rename(dir, aside), 0);
    assert_int_equal(data_lock(dir, false, &new), -ENOENT);
    assert_int_equal(mkdir(dir, 0700), 0);
    assert_int_equal(data_lock(dir, false, &new), 0);
    (void)close(new);
    (void)close(old);
    char path[128];
    (void)snprintf(path, sizeof path, "%s/" DATA_LOCK_FILE, aside);
    (void)unlink(path);
    assert_int_equal(rmdir(aside), 0);
}

/* A link in the lock's place would let somebody make us write elsewhere. */
static void a_link_is_no_lock(void **state)
{
    (void)state;
    char path[96];
    int fd;
    (void)snprintf(path, sizeof path, "%s/" DATA_LOCK_FILE, dir);
    assert_int_equal(symlink("/dev/null", path), 0);
    assert_int_equal(data_lock(dir, false, &fd), -ELOOP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(many_share_one_is_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_directory_in_its_place_has_a_lock_of_its_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_link_is_no_lock, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
