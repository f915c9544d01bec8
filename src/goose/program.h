/* SPDX-License-Identifier: MIT */
/* Private to src/goose: the Goose program and what it is given. It is found at each use, so that it can be
 * installed while the server runs. Its environment is clean but for what is listed here and in GOOSE_ENV. */
#ifndef GOOSE_PROGRAM_H
#define GOOSE_PROGRAM_H

#include "base/arena.h"
#include "base/config.h"

#define RECIPE_MAX ((size_t)256 * 1024)

struct program {
    const char *path;       /* of the program, absolute */
    const char *root;       /* <data dir>/goose, absolute */
    const char *const *env; /* for struct process_spec */
};

/* Finds it and makes its directories; texts in the arena. 0; -ENOENT no such program; or negative errno. */
int program_find(const struct config *cfg, struct arena *a, struct program *ret);

/* The working directory of a run, made. NULL with errno. */
const char *program_dir(const struct program *p, struct arena *a, const char *run_id);

/* Removes what we put there, and the directory where nothing else is in it. */
void program_tidy(const char *dir, struct arena *a);

/* Writes a recipe of the operator's, with the instructions as its prompt, into a run's directory; returns its
 * path in the arena, or NULL with *ret_r: -ENOENT no such recipe, -EINVAL it is no JSON object, or another
 * negative errno. */
const char *program_recipe(const struct program *p, struct arena *a, const char *dir, const char *name,
                           const char *instructions, int *ret_r);

/* Whether each name in GOOSE_ENV may be passed on: NULL, or the first that may not, in the arena. */
const char *program_bad_variable(const struct config *cfg, struct arena *a);

#endif
