/* SPDX-License-Identifier: MIT */
/* All rows that are there are read once into a table by key, so that each row of the file is compared in
 * memory, and written only where something is new. The unit may be run again, so everything it works out
 * begins in it. */
#include "taxonomy/import.h"

#include "base/clock.h"
#include "base/text.h"
#include "base/uuid.h"
#include "taxonomy/taxonomy_sample.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1 /* else uthash ends the process */
#include <uthash.h>

#define ARENA_MAX ((size_t)512 << 20)
#define PROGRESS_EVERY 256
#define KEY_MAX (2 * TAXONOMY_NAME_MAX + 64)

/* A row of the store, by a key that begins with what kind it is. */
struct row {
    UT_hash_handle hh;
    char id[UUID_SIZE];
    const char *description, *dimension_id; /* of a node; of a dimension its description */
    double weight;
    char key[];
};

struct work {
    const struct taxonomy_file *file;
    struct taxonomy_import *run;
    struct db_conn *c;
    struct arena arena;
    struct row *rows;
    char now[ISO_TIME_LEN];
    int64_t done, total;
};

static void release(struct work *w)
{
    HASH_CLEAR(hh, w->rows);
    arena_free(&w->arena);
}

static int fail(struct work *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int fail(struct work *w, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    text_vprintf(w->run->error, TAXONOMY_ERROR_MAX, fmt, ap);
    text_make_printable(w->run->error);
    va_end(ap);
    return -EINVAL;
}

static void advance(struct work *w)
{
    if (++w->done % PROGRESS_EVERY == 0 && w->run->progress)
        w->run->progress(w->run->ctx, w->done, w->total);
}

/* ---- the table of what is there */

static struct row *find(struct work *w, const char *key)
{
    struct row *row = NULL;
    HASH_FIND_STR(w->rows, key, row);
    return row;
}

static struct row *add(struct work *w, const char *key, const char *id)
{
    size_t len = strlen(key);
    struct row *row = arena_alloc(&w->arena, sizeof *row + len + 1);
    if (!row)
        return NULL;
    memcpy(row->key, key, len + 1);
    (void)snprintf(row->id, sizeof row->id, "%s", id);
    HASH_ADD_KEYPTR(hh, w->rows, row->key, len, row);
    return row->hh.tbl ? row : NULL;
}

static struct row *add_new(struct work *w, const char *key)
{
    char id[UUID_SIZE];
    uuid_make(id);
    return add(w, key, id);
}

/* Each query gives an id and the key's parts, then what is compared. */
static int read_known(struct work *w, const char *sql, const char *form)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    char key[KEY_MAX];
    int r = db_query(w->c, sql, DB_NO_ARGS, &rows);
    while (r >= 0 && (r = db_next(rows)) > 0) {
        /* one that another program wrote longer than names may be is nothing that a file could name */
        int len = snprintf(key, sizeof key, "%s:%s:%s:%s", form, db_text(rows, 1), db_text(rows, 2),
                           db_text(rows, 3));
        if (len >= (int)sizeof key)
            continue;
        struct row *row = add(w, key, db_text(rows, 0));
        if (!row)
            return -ENOMEM;
        row->description = db_text_dup(rows, 4, &w->arena);
        row->dimension_id = db_text_dup(rows, 5, &w->arena);
        row->weight = db_real(rows, 6);
    }
    return r;
}

static const struct {
    const char *form, *sql;
} known[] = {
    {"dimension",
     "SELECT id, name, '', '', description, NULL, CAST(0 AS double precision) FROM taxonomy_dimensions"},
    {"node",
     "SELECT id, type, name, '', description, dimension_id, CAST(0 AS double precision) FROM taxonomy_nodes"},
    {"edge", "SELECT id, source, type, target, NULL, NULL, weight FROM taxonomy_edges"},
    {"alias", "SELECT id, term, node_id, '', NULL, NULL, weight FROM taxonomy_mapping"},
};

/* ---- dimensions and nodes */

static int write_dimension(struct work *w, const char *name, const char *description, const char **ret_id)
{
    char key[KEY_MAX];
    struct taxonomy_counts *n = &w->run->dimensions;
    (void)snprintf(key, sizeof key, "dimension:%s::", name);
    struct row *row = find(w, key);
    if (ret_id)
        *ret_id = row ? row->id : NULL;
    if (row && (!description || str_equal(row->description, description)))
        return 0;
    if (row) {
        n->updated++;
        return db_exec(w->c,
                       "UPDATE taxonomy_dimensions SET description = ?1, date_updated = ?2 WHERE id = ?3",
                       DB_ARGS(DB_TEXT(description), DB_TEXT(w->now), DB_TEXT(row->id)), NULL);
    }
    row = add_new(w, key);
    if (!row)
        return -ENOMEM;
    row->description = description;
    if (ret_id)
        *ret_id = row->id;
    n->added++;
    return db_exec(w->c,
                   "INSERT INTO taxonomy_dimensions (id, name, description, date_created, date_updated) "
                   "VALUES (?1, ?2, ?3, ?4, ?4)",
                   DB_ARGS(DB_TEXT(row->id), DB_TEXT(name), DB_TEXT(description), DB_TEXT(w->now)), NULL);
}

static int insert_node(struct work *w, const char *key, const struct taxonomy_file_node *node,
                       const char *dimension_id)
{
    struct row *row = add_new(w, key);
    if (!row)
        return -ENOMEM;
    w->run->nodes.added++;
    return db_exec(w->c,
                   "INSERT INTO taxonomy_nodes (id, type, name, description, dimension_id, date_created, "
                   "date_updated) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
                   DB_ARGS(DB_TEXT(row->id), DB_TEXT(taxonomy_type_name(node->type)), DB_TEXT(node->name),
                           DB_TEXT(node->description), DB_TEXT(dimension_id), DB_TEXT(w->now)),
                   NULL);
}

/* What the file doesn't say of a node stays. */
static int update_node(struct work *w, struct row *row, const char *description, const char *dimension_id)
{
    description = description ? description : row->description;
    dimension_id = dimension_id ? dimension_id : row->dimension_id;
    if (str_equal(description, row->description) && str_equal(dimension_id, row->dimension_id))
        return 0;
    w->run->nodes.updated++;
    return db_exec(w->c,
                   "UPDATE taxonomy_nodes SET description = ?1, dimension_id = ?2, date_updated = ?3 "
                   "WHERE id = ?4",
                   DB_ARGS(DB_TEXT(description), DB_TEXT(dimension_id), DB_TEXT(w->now), DB_TEXT(row->id)),
                   NULL);
}

static int write_node(struct work *w, const struct taxonomy_file_node *node)
{
    char key[KEY_MAX];
    const char *dimension_id = NULL;
    int r = node->dimension ? write_dimension(w, node->dimension, NULL, &dimension_id) : 0;
    if (r < 0)
        return r;
    (void)snprintf(key, sizeof key, "node:%s:%s:", taxonomy_type_name(node->type), node->name);
    struct row *row = find(w, key);
    return row ? update_node(w, row, node->description, dimension_id)
               : insert_node(w, key, node, dimension_id);
}

static int write_alias(struct work *w, const struct taxonomy_file_node *node, const char *term)
{
    char key[KEY_MAX];
    (void)snprintf(key, sizeof key, "node:%s:%s:", taxonomy_type_name(node->type), node->name);
    const struct row *owner = find(w, key);
    (void)snprintf(key, sizeof key, "alias:%s:%s:", term, owner->id);
    w->run->aliases.read++;
    if (find(w, key))
        return 0;
    struct row *row = add_new(w, key);
    if (!row)
        return -ENOMEM;
    w->run->aliases.added++;
    return db_exec(w->c,
                   "INSERT INTO taxonomy_mapping (id, term, node_id, date_created, date_updated) "
                   "VALUES (?1, ?2, ?3, ?4, ?4)",
                   DB_ARGS(DB_TEXT(row->id), DB_TEXT(term), DB_TEXT(owner->id), DB_TEXT(w->now)), NULL);
}

static int write_nodes(struct work *w)
{
    const struct taxonomy_file *f = w->file;
    int r = 0;
    for (size_t i = 0; i < f->n_dimensions && r == 0; i++)
        r = write_dimension(w, f->dimensions[i].name, f->dimensions[i].description, NULL);
    for (size_t i = 0; i < f->n_nodes && r == 0; i++) {
        r = write_node(w, &f->nodes[i]);
        for (size_t k = 0; k < f->nodes[i].n_aliases && r == 0; k++)
            r = write_alias(w, &f->nodes[i], f->nodes[i].aliases[k]);
        advance(w);
    }
    return r;
}

/* ---- edges */

static int resolve(struct work *w, const struct taxonomy_end *end, size_t i, const char *which,
                   const char **ret_id)
{
    char key[KEY_MAX];
    const struct row *found = NULL;
    for (int type = 0; type < TAXONOMY_TYPES; type++) {
        if (!(end->types & 1u << type))
            continue;
        (void)snprintf(key, sizeof key, "node:%s:%s:", taxonomy_type_name((enum taxonomy_type)type),
                       end->name);
        const struct row *row = find(w, key);
        if (row && found)
            return fail(w, "edges[%zu].%s: there is more than one %s; say tag:%s or category:%s", i, which,
                        end->name, end->name, end->name);
        found = row ? row : found;
    }
    if (!found)
        return fail(w, "edges[%zu].%s: there is no such node: %s", i, which, end->name);
    *ret_id = found->id;
    return 0;
}

static int write_edge(struct work *w, size_t i)
{
    const struct taxonomy_file_edge *edge = &w->file->edges[i];
    const char *type = taxonomy_relation_info(edge->relation)->name, *source, *target;
    char key[KEY_MAX];
    int r = resolve(w, &edge->source, i, "source", &source);
    if (r == 0)
        r = resolve(w, &edge->target, i, "target", &target);
    if (r < 0)
        return r;
    (void)snprintf(key, sizeof key, "edge:%s:%s:%s", source, type, target);
    struct row *row = find(w, key);
    if (row && fabs(row->weight - edge->weight) < 1e-12)
        return 0;
    if (row) {
        row->weight = edge->weight;
        w->run->edges.updated++;
        return db_exec(w->c, "UPDATE taxonomy_edges SET weight = ?1, date_updated = ?2 WHERE id = ?3",
                       DB_ARGS(DB_REAL(edge->weight), DB_TEXT(w->now), DB_TEXT(row->id)), NULL);
    }
    row = add_new(w, key);
    if (!row)
        return -ENOMEM;
    row->weight = edge->weight;
    w->run->edges.added++;
    return db_exec(w->c,
                   "INSERT INTO taxonomy_edges (id, type, source, target, weight, date_created, "
                   "date_updated) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
                   DB_ARGS(DB_TEXT(row->id), DB_TEXT(type), DB_TEXT(source), DB_TEXT(target),
                           DB_REAL(edge->weight), DB_TEXT(w->now)),
                   NULL);
}

static int write_edges(struct work *w)
{
    int r = 0;
    for (size_t i = 0; i < w->file->n_edges && r == 0; i++) {
        r = write_edge(w, i);
        advance(w);
    }
    return r;
}

/* ---- the whole */

int taxonomy_import_in(struct db_conn *c, const struct taxonomy_file *file, struct taxonomy_import *run)
{
    _cleanup_(release) struct work w = {.file = file, .run = run, .c = c};
    w.total = (int64_t)(file->n_nodes + file->n_edges);
    run->dimensions = (struct taxonomy_counts){.read = (int64_t)file->n_dimensions};
    run->nodes = (struct taxonomy_counts){.read = (int64_t)file->n_nodes};
    run->edges = (struct taxonomy_counts){.read = (int64_t)file->n_edges};
    run->aliases = (struct taxonomy_counts){0};
    arena_init(&w.arena, ARENA_MAX);
    int r = db_now_text(c, 0, w.now);
    for (size_t i = 0; i < ARRAY_LEN(known) && r >= 0; i++)
        r = read_known(&w, known[i].sql, known[i].form);
    if (r >= 0)
        r = write_nodes(&w);
    return r >= 0 ? write_edges(&w) : r;
}

struct unit {
    const struct taxonomy_file *file;
    struct taxonomy_import *run;
};

static int import_unit(struct db_conn *c, void *arg)
{
    struct unit *u = arg;
    return taxonomy_import_in(c, u->file, u->run);
}

int taxonomy_import(struct db *db, const struct taxonomy_file *file, struct taxonomy_import *run)
{
    struct unit u = {file, run};
    return db_write_long(db, import_unit, &u);
}

int taxonomy_count_nodes(struct db_conn *c, int64_t *ret)
{
    return db_query_int(c, "SELECT count(*) FROM taxonomy_nodes", DB_NO_ARGS, ret);
}

int taxonomy_sample(struct taxonomy_file *ret)
{
    char error[TAXONOMY_ERROR_MAX];
    return taxonomy_file_parse(taxonomy_sample_data, taxonomy_sample_data_len, ret, error);
}
