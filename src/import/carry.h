/* SPDX-License-Identifier: MIT */
/* Carries a whole embedded store into PostgreSQL: every table that the catalogue names, keys kept, in one
 * transaction; so a store is there whole or not at all. docs/import.md says what an operator sees. */
#ifndef IMPORT_CARRY_H
#define IMPORT_CARRY_H

#include "base/config.h"
#include "db/db.h"
#include "import/report.h"

struct carry_options {
    const char *dir; /* data directory of the embedded store */
    const struct config *config;
    /* Tells of progress; may be NULL. */
    void (*progress)(void *ctx, const char *what, int64_t done, int64_t total);
    void *ctx;
};

struct carry_result {
    struct report report;
    const char *dir;
    char secrets[1024]; /* names that stand in its secrets.env, a comma list */
    char error[512];    /* the sentence, where it failed */
};

/* 0, or negative errno with a sentence in ret->error: then nothing has changed. `target` is a PostgreSQL
 * store that was migrated. */
int carry_embedded(struct db *target, const struct carry_options *options, struct carry_result *ret);

#endif
