/* SPDX-License-Identifier: MIT */
/* libduckdb's C API as a table of functions, filled when the library is opened. Private to the taxonomy and
 * its benchmark; only where the program is built with the library's header (HAVE_DUCKDB). */
#ifndef TAXONOMY_DUCK_LIB_H
#define TAXONOMY_DUCK_LIB_H

#include "taxonomy/duck_config.h"

#ifdef HAVE_DUCKDB

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#include DUCKDB_HEADER
#pragma GCC diagnostic pop

#define DUCK_FUNCTIONS(X) \
    X(library_version) \
    X(create_config) \
    X(set_config) \
    X(destroy_config) \
    X(open_ext) \
    X(close) \
    X(connect) \
    X(disconnect) \
    X(query) \
    X(destroy_result) \
    X(result_error) \
    X(free) \
    X(fetch_chunk) \
    X(destroy_data_chunk) \
    X(data_chunk_get_size) \
    X(data_chunk_get_vector) \
    X(vector_get_data) \
    X(vector_get_validity) \
    X(validity_row_is_valid) \
    X(string_t_length) \
    X(string_t_data) \
    X(appender_create) \
    X(appender_error) \
    X(appender_end_row) \
    X(appender_destroy) \
    X(append_varchar) \
    X(append_int32) \
    X(append_double) \
    X(append_null)

struct duck_lib {
#define X(name) __typeof__(&duckdb_##name) name;
    DUCK_FUNCTIONS(X)
#undef X
};

/* The open library, or NULL before duck_load has succeeded. */
const struct duck_lib *duck_lib(void);

/* A database with one connection. */
struct duck_db {
    duckdb_database database;
    duckdb_connection connection;
};

/* Opens a file (NULL: one in memory) with one thread and bounded memory, and nothing from outside. 0 or -EIO,
 * logged. duck_close is fine for what isn't open. */
int duck_open(const char *path, bool read_only, struct duck_db *ret);
void duck_close(struct duck_db *db);

#endif
#endif
