/* SPDX-License-Identifier: MIT */
/* The numbers of nodes stand in the file, so that reading by them gives the order that they were written in.
 * `form` is raised when the tables change. */
#include "taxonomy/duck.h"

#include "taxonomy/duck_lib.h"

#include <errno.h>

#ifdef HAVE_DUCKDB

#include "base/clock.h"
#include "base/keep.h"
#include "base/log.h"
#include "base/text.h"
#include "base/uuid.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define FORM 1
#define PATH_BYTES_MAX 4096
#define LEFT_OVER_S 3600

static const char schema[] =
    "CREATE TABLE meta (form INTEGER, stamp VARCHAR);"
    "CREATE TABLE nodes (node INTEGER, id VARCHAR, type VARCHAR, name VARCHAR, "
    "dimension VARCHAR);"
    "CREATE TABLE edges (source INTEGER, target INTEGER, type VARCHAR, weight DOUBLE);"
    "CREATE TABLE aliases (term VARCHAR, node INTEGER, weight DOUBLE);";

static int run_sql(const struct duck_db *db, const char *sql)
{
    const struct duck_lib *lib = duck_lib();
    duckdb_result result;
    bool failed = lib->query(db->connection, sql, &result) != DuckDBSuccess;
    if (failed)
        log_event(LOG_WARN, "DuckDB refused a statement", LOG_S("error", lib->result_error(&result)));
    lib->destroy_result(&result);
    return failed ? -EIO : 0;
}

/* ---- writing */

typedef void (*append_fn)(const struct duck_lib *lib, duckdb_appender to, const struct taxonomy_rows *rows,
                          size_t i);

static void append_text(const struct duck_lib *lib, duckdb_appender to, const char *text)
{
    if (text)
        (void)lib->append_varchar(to, text);
    else
        (void)lib->append_null(to);
}

static void append_node(const struct duck_lib *lib, duckdb_appender to, const struct taxonomy_rows *rows,
                        size_t i)
{
    const struct taxonomy_node *n = &rows->nodes[i];
    (void)lib->append_int32(to, (int32_t)i);
    append_text(lib, to, n->id);
    append_text(lib, to, taxonomy_type_name(n->type));
    append_text(lib, to, n->name);
    append_text(lib, to, n->dimension);
}

static void append_edge(const struct duck_lib *lib, duckdb_appender to, const struct taxonomy_rows *rows,
                        size_t i)
{
    const struct taxonomy_edge *e = &rows->edges[i];
    (void)lib->append_int32(to, (int32_t)e->source);
    (void)lib->append_int32(to, (int32_t)e->target);
    append_text(lib, to, taxonomy_relation_info(e->relation)->name);
    (void)lib->append_double(to, e->weight);
}

static void append_alias(const struct duck_lib *lib, duckdb_appender to, const struct taxonomy_rows *rows,
                         size_t i)
{
    const struct taxonomy_alias *a = &rows->aliases[i];
    append_text(lib, to, a->term);
    (void)lib->append_int32(to, (int32_t)a->node);
    (void)lib->append_double(to, a->weight);
}

static void append_meta(const struct duck_lib *lib, duckdb_appender to, const struct taxonomy_rows *rows,
                        size_t i)
{
    (void)i;
    (void)lib->append_int32(to, FORM);
    append_text(lib, to, rows->stamp);
}

/* A value that can't be appended leaves its row short, so the row's end tells. */
static int append_rows(const struct duck_db *db, const char *table, const struct taxonomy_rows *rows,
                       size_t n, append_fn append)
{
    const struct duck_lib *lib = duck_lib();
    duckdb_appender to = NULL;
    bool failed = lib->appender_create(db->connection, NULL, table, &to) != DuckDBSuccess;
    for (size_t i = 0; i < n && !failed; i++) {
        append(lib, to, rows, i);
        failed = lib->appender_end_row(to) != DuckDBSuccess;
    }
    if (failed)
        log_event(LOG_WARN, "DuckDB refused a row", LOG_S("table", table),
                  LOG_S("error", to ? lib->appender_error(to) : NULL));
    if (lib->appender_destroy(&to) != DuckDBSuccess) /* which flushes */
        failed = true;
    return failed ? -EIO : 0;
}

static int write_tables(const struct duck_db *db, const struct taxonomy_rows *rows)
{
    int r = run_sql(db, schema);
    if (r == 0)
        r = run_sql(db, "BEGIN");
    if (r == 0)
        r = append_rows(db, "meta", rows, 1, append_meta);
    if (r == 0)
        r = append_rows(db, "nodes", rows, rows->n_nodes, append_node);
    if (r == 0)
        r = append_rows(db, "edges", rows, rows->n_edges, append_edge);
    if (r == 0)
        r = append_rows(db, "aliases", rows, rows->n_aliases, append_alias);
    if (r == 0)
        r = run_sql(db, "COMMIT");
    return r == 0 ? run_sql(db, "CHECKPOINT") : r;
}

/* Flushed, then in the place of the old one. */
static int put_in_place(const char *made, const char *path)
{
    _cleanup_close_ int fd = open(made, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fchmod(fd, 0600) < 0 || fsync(fd) < 0)
        return -errno;
    return rename(made, path) < 0 ? -errno : keep_directory_of(path);
}

/* What a process that was killed while it wrote has left: nobody writes for an hour. */
static void remove_left_over(const char *path)
{
    char folder[PATH_BYTES_MAX];
    const char *slash = strrchr(path, '/');
    (void)snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + 1 : 2, slash ? path : "./");
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        struct stat st;
        bool ours = str_has_prefix(entry->d_name, DUCK_FILE ".") && strstr(entry->d_name, ".tmp");
        if (ours && fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            st.st_mtim.tv_sec < clock_now_ms() / 1000 - LEFT_OVER_S)
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
    }
    if (dir)
        (void)closedir(dir);
}

int duck_write(const char *path, const struct taxonomy_rows *rows, struct taxonomy_rows *ret)
{
    char made[PATH_BYTES_MAX], log[PATH_BYTES_MAX + 8], id[UUID_SIZE];
    struct duck_db db;
    uuid_make(id);
    if (snprintf(made, sizeof made, "%s.%s.tmp", path, id) >= (int)sizeof made)
        return -ENAMETOOLONG;
    (void)snprintf(log, sizeof log, "%s.wal", made);
    remove_left_over(path);
    int r = duck_open(made, false, &db);
    if (r == 0) {
        r = write_tables(&db, rows);
        duck_close(&db);
    }
    if (r == 0 && ret)
        r = duck_read(made, ret);
    if (r == 0) {
        r = put_in_place(made, path);
        if (r < 0 && ret)
            taxonomy_rows_free(ret);
    }
    if (r < 0)
        (void)log_error(r, "the taxonomy can't be kept as a DuckDB file");
    (void)unlink(log);
    if (r < 0)
        (void)unlink(made);
    return r;
}

/* ---- reading */

/* A chunk of a result with the row that is read; columns from 0. */
struct cursor {
    const struct duck_lib *lib;
    duckdb_data_chunk chunk;
    idx_t row;
};

static void *cell(const struct cursor *c, idx_t column, size_t size)
{
    duckdb_vector vector = c->lib->data_chunk_get_vector(c->chunk, column);
    uint64_t *validity = c->lib->vector_get_validity(vector);
    if (validity && !c->lib->validity_row_is_valid(validity, c->row))
        return NULL;
    return (char *)c->lib->vector_get_data(vector) + c->row * size;
}

static int32_t cell_int(const struct cursor *c, idx_t column)
{
    const int32_t *at = cell(c, column, sizeof *at);
    return at ? *at : -1;
}

static double cell_real(const struct cursor *c, idx_t column)
{
    const double *at = cell(c, column, sizeof *at);
    return at ? *at : 0;
}

/* The text of a cell, which has no zero at its end there; NULL for none, or without memory. */
static const char *cell_text(const struct cursor *c, idx_t column, struct arena *a)
{
    duckdb_string_t *at = cell(c, column, sizeof *at);
    return at ? arena_strndup(a, c->lib->string_t_data(at), c->lib->string_t_length(*at)) : NULL;
}

typedef int (*take_fn)(const struct cursor *c, struct arena *texts, struct taxonomy_rows *to);

static int take_meta(const struct cursor *c, struct arena *texts, struct taxonomy_rows *to)
{
    const char *stamp = cell_text(c, 1, texts);
    if (cell_int(c, 0) != FORM || !stamp || strlen(stamp) >= TAXONOMY_STAMP_SIZE)
        return -ESTALE;
    (void)snprintf(to->stamp, sizeof to->stamp, "%s", stamp);
    return 0;
}

static int take_node(const struct cursor *c, struct arena *texts, struct taxonomy_rows *to)
{
    int type = taxonomy_type_find(cell_text(c, 2, texts));
    struct taxonomy_node node = {
        .id = cell_text(c, 1, texts), .name = cell_text(c, 3, texts), .dimension = cell_text(c, 4, texts)};
    if (type < 0 || !node.id || !node.name || cell_int(c, 0) != (int32_t)to->n_nodes)
        return -ESTALE;
    node.type = (enum taxonomy_type)type;
    return taxonomy_rows_add_node(to, &node);
}

static bool is_node(const struct taxonomy_rows *rows, int32_t node)
{
    return node >= 0 && (size_t)node < rows->n_nodes;
}

static int take_edge(const struct cursor *c, struct arena *texts, struct taxonomy_rows *to)
{
    int32_t source = cell_int(c, 0), target = cell_int(c, 1);
    int relation = taxonomy_relation_find(cell_text(c, 2, texts));
    double weight = cell_real(c, 3);
    if (relation < 0 || !is_node(to, source) || !is_node(to, target) || !(weight >= 0))
        return -ESTALE;
    return taxonomy_rows_add_edge(to, &(struct taxonomy_edge){(uint32_t)source, (uint32_t)target,
                                                              (enum taxonomy_relation)relation, weight});
}

static int take_alias(const struct cursor *c, struct arena *texts, struct taxonomy_rows *to)
{
    int32_t node = cell_int(c, 1);
    const char *term = cell_text(c, 0, texts);
    if (!term || !is_node(to, node))
        return -ESTALE;
    return taxonomy_rows_add_alias(to, &(struct taxonomy_alias){term, (uint32_t)node, cell_real(c, 2)});
}

static int take_chunk(struct cursor *c, take_fn take, struct taxonomy_rows *to)
{
    struct arena texts;
    int r = 0;
    arena_init(&texts, TAXONOMY_ROWS_BYTES_MAX);
    idx_t n = c->lib->data_chunk_get_size(c->chunk);
    for (c->row = 0; c->row < n && r == 0; c->row++)
        r = take(c, &texts, to);
    arena_free(&texts);
    return r;
}

static int take_all(const struct duck_db *db, const char *sql, take_fn take, struct taxonomy_rows *to)
{
    struct cursor c = {.lib = duck_lib()};
    duckdb_result result;
    int r = 0;
    if (c.lib->query(db->connection, sql, &result) != DuckDBSuccess) {
        log_event(LOG_WARN, "DuckDB can't read the taxonomy", LOG_S("error", c.lib->result_error(&result)));
        r = -ESTALE;
    }
    while (r == 0 && (c.chunk = c.lib->fetch_chunk(result))) {
        r = take_chunk(&c, take, to);
        c.lib->destroy_data_chunk(&c.chunk);
    }
    c.lib->destroy_result(&result);
    return r;
}

static int open_file(const char *path, struct duck_db *ret)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return -ENOENT;
    return S_ISREG(st.st_mode) ? duck_open(path, true, ret) : -EIO;
}

int duck_read_stamp(const char *path, char *ret)
{
    struct taxonomy_rows *rows = calloc(1, sizeof *rows);
    struct duck_db db;
    int r = rows ? open_file(path, &db) : -ENOMEM;
    if (r == 0) {
        r = take_all(&db, "SELECT form, stamp FROM meta", take_meta, rows);
        duck_close(&db);
    }
    if (r == 0)
        memcpy(ret, rows->stamp, sizeof rows->stamp);
    free(rows);
    return r;
}

int duck_read(const char *path, struct taxonomy_rows *ret)
{
    struct duck_db db;
    int r = open_file(path, &db);
    if (r < 0)
        return r;
    taxonomy_rows_init(ret);
    r = take_all(&db, "SELECT form, stamp FROM meta", take_meta, ret);
    if (r == 0)
        r = take_all(&db, "SELECT node, id, type, name, dimension FROM nodes ORDER BY node", take_node, ret);
    if (r == 0)
        r = take_all(&db, "SELECT source, target, type, weight FROM edges ORDER BY rowid", take_edge, ret);
    if (r == 0)
        r = take_all(&db, "SELECT term, node, weight FROM aliases ORDER BY rowid", take_alias, ret);
    duck_close(&db);
    if (r < 0)
        taxonomy_rows_free(ret);
    return r;
}

#else

int duck_read_stamp(const char *path, char *ret)
{
    (void)path;
    (void)ret;
    return -ENOTSUP;
}

int duck_read(const char *path, struct taxonomy_rows *ret)
{
    (void)path;
    (void)ret;
    return -ENOTSUP;
}

int duck_write(const char *path, const struct taxonomy_rows *rows, struct taxonomy_rows *ret)
{
    (void)path;
    (void)rows;
    (void)ret;
    return -ENOTSUP;
}

#endif
