/* SPDX-License-Identifier: MIT */
/* A directory of a test's own with small files in it, and looks at what became of it. */
#ifndef TESTS_UNIT_OPS_TREE_H
#define TESTS_UNIT_OPS_TREE_H

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <sys/stat.h>
#include <unistd.h>

#define TREE_PATH 256

struct tree {
    char dir[64];
};

static inline int tree_set_up(void **state)
{
    struct tree *t = calloc(1, sizeof *t);
    assert_non_null(t);
    (void)snprintf(t->dir, sizeof t->dir, "/tmp/genie-tree-XXXXXX");
    assert_non_null(mkdtemp(t->dir));
    *state = t;
    return 0;
}

static inline void tree_remove(const char *path)
{
    char *const roots[] = {(char *)(uintptr_t)path, NULL};
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    FTSENT *at;
    while ((at = fts_read(walk)))
        if (at->fts_info != FTS_D)
            (void)remove(at->fts_accpath);
    (void)fts_close(walk);
}

static inline int tree_tear_down(void **state)
{
    struct tree *t = *state;
    tree_remove(t->dir);
    free(t);
    return 0;
}

/* "<dir>/<name>". ret holds TREE_PATH. */
static inline const char *tree_path(const struct tree *t, const char *name, char *ret)
{
    assert_true(snprintf(ret, TREE_PATH, "%s/%s", t->dir, name) < TREE_PATH);
    return ret;
}

static inline void tree_mkdir(const struct tree *t, const char *name)
{
    char path[TREE_PATH];
    assert_int_equal(mkdir(tree_path(t, name, path), 0700), 0);
}

static inline void tree_write(const struct tree *t, const char *name, const void *data, size_t len)
{
    char path[TREE_PATH];
    FILE *out = fopen(tree_path(t, name, path), "w");
    assert_non_null(out);
    assert_int_equal(fwrite(data, 1, len, out), len);
    assert_int_equal(fclose(out), 0);
}

/* The whole of a file, owned by the caller; NULL if it isn't there. */
static inline char *tree_read(const struct tree *t, const char *name, size_t *ret_len)
{
    char path[TREE_PATH];
    struct stat st;
    FILE *in = fopen(tree_path(t, name, path), "r");
    if (!in)
        return NULL;
    assert_int_equal(fstat(fileno(in), &st), 0);
    char *data = malloc((size_t)st.st_size + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, (size_t)st.st_size, in), st.st_size);
    data[st.st_size] = '\0';
    (void)fclose(in);
    if (ret_len)
        *ret_len = (size_t)st.st_size;
    return data;
}

static inline bool tree_has(const struct tree *t, const char *name)
{
    char path[TREE_PATH];
    return access(tree_path(t, name, path), F_OK) == 0;
}

/* How many entries the directory has. */
static inline int tree_count(const struct tree *t)
{
    int n = 0;
    DIR *dir = opendir(t->dir);
    assert_non_null(dir);
    for (const struct dirent *e; (e = readdir(dir));)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    (void)closedir(dir);
    return n;
}

#endif
