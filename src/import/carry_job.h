/* SPDX-License-Identifier: MIT */
/* One run of `genie import embedded`; private to src/import. */
#ifndef IMPORT_CARRY_JOB_H
#define IMPORT_CARRY_JOB_H

#include "base/json.h"
#include "import/carry.h"
#include "import/catalogue.h"
#include "import/snapshot.h"
#include "import/source.h"

struct carry {
    const struct carry_options *options;
    struct carry_result *result;
    struct snapshot *copy;
    struct source *source;
    sqlite3 *from, *fresh; /* the store, and one that holds the seeds alone */
    struct arena arena;    /* of the catalogue */
    struct catalogue catalogue;
    bool directus;    /* a Directus manages the target: its own tables are its own */
    json_t *role_ids; /* there: of a role here, the one of the same name there */
    int64_t done, total;
    char store_path[4096];
};

/* Sets the sentence and returns r. */
int carry_fail(struct carry *k, int r, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Whether the table stays Directus's: nothing of it is carried. */
bool carry_skips(const struct carry *k, const struct catalogue_table *t);

/* Prepares a statement on one of our SQLite connections; the caller finalizes. 0 or negative errno. */
int carry_prepare(struct carry *k, sqlite3 *db, const char *sql, sqlite3_stmt **ret);

/* In a unit on the target: looks whether it holds more than seeds, and at what Directus has of its own. 0, or
 * negative errno with the sentence set (carry_check.c). */
int carry_check_target(struct db_conn *c, struct carry *k);

/* In a unit: which types the target's columns have (carry_check.c). */
int carry_read_types(struct db_conn *c, struct carry *k);

/* In a unit: all rows of a table, but for late references; then those (carry_rows.c). */
int carry_insert(struct db_conn *c, struct carry *k, const struct catalogue_table *t);
int carry_set_late(struct db_conn *c, struct carry *k, const struct catalogue_table *t);

#endif
