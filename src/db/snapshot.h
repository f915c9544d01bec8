/* SPDX-License-Identifier: MIT */
/* Copies of an embedded store, made while servers write to it, and looks at such a copy. They work on files,
 * beside the store's own connections, and may run in any thread. */
#ifndef DB_SNAPSHOT_H
#define DB_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

/* Why something failed, for a person; no secrets. */
struct db_why {
    char text[256];
};

/* Copies the database `path` into `to`, a file that exists and is empty: one moment of it, whatever is
 * written meanwhile. The copy stands by itself, without a log beside it. progress (may be NULL) hears of
 * pages now and then. 0, -ENOENT there is no database, -ENOSPC, -ETIMEDOUT, -ENOMEM, -EBADMSG it is damaged,
 * or -EIO, with *ret_why. */
int db_snapshot(const char *path, const char *to, void (*progress)(void *ctx, int64_t done, int64_t total),
                void *ctx, struct db_why *ret_why);

/* Looks through a copy: 0 and the version of its schema, -EBADMSG it is damaged or no database of ours, or
 * negative errno, with *ret_why. Writes nothing. */
int db_snapshot_check(const char *path, int64_t *ret_schema, struct db_why *ret_why);

/* Up to which version this program knows the schema. */
int64_t db_schema_newest(void);

#endif
