/* SPDX-License-Identifier: MIT */
/* The skill files of a folder, in the order of their paths. A folder that holds a SKILL.md is one skill, and
 * whatever else lies in it is left alone; elsewhere each *.md is one. Links and hidden names are not
 * followed. */
#ifndef SKILLS_FOLDER_H
#define SKILLS_FOLDER_H

#include "base/arena.h"

#include <stddef.h>

#define FOLDER_FILES_MAX 20000
#define FOLDER_DEPTH_MAX 8

struct folder {
    const char **paths; /* relative to the folder; in the arena */
    size_t n;
};

/* 0; -E2BIG for more than FOLDER_FILES_MAX; -ENOMEM; or the error of opening it (-ENOENT, -ENOTDIR …). */
int folder_list(struct arena *a, const char *dir, struct folder *ret);

/* A file of it into the arena: 0; -EFBIG above `max` bytes; -ENOMEM; or another errno. */
int folder_read(struct arena *a, const char *dir, const char *path, size_t max, char **ret, size_t *ret_len);

#endif
