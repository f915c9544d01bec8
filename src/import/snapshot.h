/* SPDX-License-Identifier: MIT */
/* A private copy of a SQLite database that belongs to somebody else, taken without writing a byte beside it.
 *
 * SQLite itself can't read a database without writing: a write-ahead log wants its index made, a hot journal
 * wants to be rolled back. So the file and its companions are copied, and only the copy is opened. Whether it
 * is of one moment is judged by the files: none of them may have changed from before the copying to after it.
 */
#ifndef IMPORT_SNAPSHOT_H
#define IMPORT_SNAPSHOT_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct snapshot;

/* Copies the database at `path` into a new directory (0700) within `dir`. 0; -ENOENT no such file, -EBUSY it
 * was written to all the while, -EINVAL it is no regular file, or what the system says. Waits at most 5 s. */
int snapshot_take(const char *path, const char *dir, struct snapshot **ret);

/* Takes the copy out of the file system; who has it open reads on, and a process that is killed from then on
 * leaves nothing behind. (What one killed before has left is removed by the next snapshot in that directory.)
 */
void snapshot_hide(struct snapshot *s);

/* Removes the copy. */
void snapshot_free(struct snapshot *s);
DEFINE_CLEANUP(struct snapshot *, snapshot_free);

/* The path of the copy. */
const char *snapshot_path(const struct snapshot *s);

/* The directory the copy lies in; what else is put there is removed with it. */
const char *snapshot_dir(const struct snapshot *s);

/* Whether the original still is what was copied. */
bool snapshot_current(const struct snapshot *s);

/* The process that holds any of SQLite's locks on the file at `path`: its id, 0 nobody, -1 a process that
 * can't be named, or negative errno below that (-ENOENT …). In WAL mode whoever has the database open holds
 * one. */
pid_t snapshot_holder(const char *path);

#endif
