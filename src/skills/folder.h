/* SPDX-License-Identifier: MIT */
/* The skill files of a folder, in the order of their paths. A folder that holds a SKILL.md is one skill, and
 * whatever else lies in it is left alone; elsewhere each *.md is one. Links and hidden names are not
 * followed. What can't be gone into is listed with the reason, so that nothing is left out in silence. */
#ifndef SKILLS_FOLDER_H
#define SKILLS_FOLDER_H

#include "base/arena.h"

#include <stddef.h>

#define FOLDER_FILES_MAX 20000
#define FOLDER_DEPTH_MAX 8

struct folder_entry {
    const char *path; /* relative to the folder, as its bytes are; in the arena */
    int error; /* 0: a file to be read; -EXDEV: it lies deeper than FOLDER_DEPTH_MAX; or another errno */
};

struct folder {
    struct folder_entry *entries;
    size_t n;
};

/* 0; -E2BIG for more than FOLDER_FILES_MAX entries; -ENOMEM; or the error of opening it (-ENOENT, -ENOTDIR
 * …). */
int folder_list(struct arena *a, const char *dir, struct folder *ret);

/* A file of it into the arena: 0; -EFBIG above `max` bytes; -ENOMEM; or another errno. */
int folder_read(struct arena *a, const char *dir, const char *path, size_t max, char **ret, size_t *ret_len);

#endif
