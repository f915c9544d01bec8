/* SPDX-License-Identifier: MIT */
/* Directories of the tests' own. */
#ifndef TESTS_UNIT_SUPPORT_TEMP_DIR_H
#define TESTS_UNIT_SUPPORT_TEMP_DIR_H

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

static inline int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

/* With all that is in it. */
static inline void remove_dir(const char *dir)
{
    assert_int_equal(nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
}

#endif
