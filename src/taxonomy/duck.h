/* SPDX-License-Identifier: MIT */
/* The taxonomy's graph as a DuckDB file. libduckdb is opened when it is first needed and not before, since it
 * is large; a program that was built without its header has none. The file is only ever opened for reading:
 * it is written under another name and then takes the place of the old one, so that any number of processes
 * may share a data directory. Its tables (docs/taxonomy.md) may be read with any DuckDB.
 *
 * Errors are negative errnos; what DuckDB says is logged where it is told. Thread-safe. */
#ifndef TAXONOMY_DUCK_H
#define TAXONOMY_DUCK_H

#include "taxonomy/rows.h"

#include <stdbool.h>

#define DUCK_FILE "taxonomy.duckdb"

/* Whether this program could use libduckdb at all. */
bool duck_is_built_in(void);

/* Opens the library unless it is open: 0, -ENOTSUP where the program was built without, -ENOENT where none is
 * found, -ELIBBAD where one can't be used (logged once). path: DUCKDB_LIB; NULL looks beside the program,
 * where the set-up put it, and among the system's; "none" is -ENOENT. */
int duck_load(const char *path);

/* The library's version, or NULL while it isn't open. */
const char *duck_version(void);

/* Gives back the memory that the library's code takes, until it is next used, which is when a graph changes.
 * At any time, on any thread. */
void duck_rest(void);

/* The stamp of the rows that a file holds; ret holds TAXONOMY_STAMP_SIZE. 0, -ENOENT where there is no file,
 * -ESTALE for one of another form, or -EIO. */
int duck_read_stamp(const char *path, char *ret);

/* Reads a file's rows: 0, as above, or -ENOMEM. rows is initialised by the call, and to be freed after
 * success. */
int duck_read(const char *path, struct taxonomy_rows *ret);

/* Makes the file anew, durably, or leaves the old one: 0, or negative errno with a log line. ret (NULL:
 * nothing is wanted): the rows as they are read back from it, which another process's file can't be in the
 * way of; to be freed after success. */
int duck_write(const char *path, const struct taxonomy_rows *rows, struct taxonomy_rows *ret);

#endif
