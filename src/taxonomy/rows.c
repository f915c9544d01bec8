/* SPDX-License-Identifier: MIT */
#include "taxonomy/rows.h"

#include "base/log.h"
#include "retrieval/lexicon.h"

#include <errno.h>
#include <string.h>

#define FIRST_CAP 256

void taxonomy_rows_init(struct taxonomy_rows *rows)
{
    *rows = (struct taxonomy_rows){.most_nodes = TAXONOMY_NODES_MAX, .most_edges = TAXONOMY_EDGES_MAX};
    arena_init(&rows->arena, TAXONOMY_ROWS_BYTES_MAX);
}

void taxonomy_rows_free(struct taxonomy_rows *rows)
{
    arena_free(&rows->arena);
    free(rows->nodes);
    free(rows->edges);
    free(rows->aliases);
    *rows = (struct taxonomy_rows){0};
}

/* Room for one more of `size` bytes: the array, or NULL. */
static void *grow(void *items, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return items;
    size_t wanted = *cap ? *cap * 2 : FIRST_CAP;
    void *grown = realloc(items, wanted * size);
    if (grown)
        *cap = wanted;
    return grown;
}

int taxonomy_rows_add_node(struct taxonomy_rows *rows, const struct taxonomy_node *node)
{
    if (rows->n_nodes >= rows->most_nodes)
        return -ENOBUFS;
    void *items = grow(rows->nodes, rows->n_nodes, &rows->cap_nodes, sizeof *node);
    if (!items)
        return -ENOMEM;
    rows->nodes = items;
    struct taxonomy_node *to = &rows->nodes[rows->n_nodes];
    *to = (struct taxonomy_node){arena_strdup(&rows->arena, node->id), arena_strdup(&rows->arena, node->name),
                                 arena_strdup(&rows->arena, node->dimension), node->type};
    if (!to->id || !to->name || (node->dimension && !to->dimension))
        return -ENOMEM;
    rows->n_nodes++;
    return 0;
}

int taxonomy_rows_add_edge(struct taxonomy_rows *rows, const struct taxonomy_edge *edge)
{
    if (rows->n_edges >= rows->most_edges)
        return -ENOBUFS;
    void *items = grow(rows->edges, rows->n_edges, &rows->cap_edges, sizeof *edge);
    if (!items)
        return -ENOMEM;
    rows->edges = items;
    rows->edges[rows->n_edges++] = *edge;
    return 0;
}

int taxonomy_rows_add_alias(struct taxonomy_rows *rows, const struct taxonomy_alias *alias)
{
    if (rows->n_aliases >= rows->most_nodes)
        return -ENOBUFS;
    void *items = grow(rows->aliases, rows->n_aliases, &rows->cap_aliases, sizeof *alias);
    if (!items)
        return -ENOMEM;
    rows->aliases = items;
    struct taxonomy_alias *to = &rows->aliases[rows->n_aliases];
    *to = (struct taxonomy_alias){arena_strdup(&rows->arena, alias->term), alias->node, alias->weight};
    if (!to->term)
        return -ENOMEM;
    rows->n_aliases++;
    return 0;
}

/* ---- order: by bytes, whatever the store's collation */

static int by_type_and_name(const void *a, const void *b)
{
    const struct taxonomy_node *x = a, *y = b;
    if (x->type != y->type)
        return x->type < y->type ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int compare(uint32_t a, uint32_t b)
{
    return (a > b) - (a < b);
}

static int by_ends(const void *a, const void *b)
{
    const struct taxonomy_edge *x = a, *y = b;
    int r = compare(x->source, y->source);
    if (r == 0)
        r = compare(x->target, y->target);
    return r ? r : compare(x->relation, y->relation);
}

static int by_node(const void *a, const void *b)
{
    const struct taxonomy_alias *x = a, *y = b;
    int r = compare(x->node, y->node);
    return r ? r : strcmp(x->term, y->term);
}

static void sort(void *items, size_t n, size_t size, int (*order)(const void *, const void *))
{
    if (n > 1)
        qsort(items, n, size, order);
}

/* ---- from the store */

struct reading {
    struct taxonomy_rows *rows;
    struct lexicon ids; /* of the nodes, in their order */
    bool full;
};

/* A node by its id; false where there is none. */
static bool find_node(const struct reading *in, const char *id, uint32_t *ret)
{
    uint32_t found = lexicon_find(&in->ids, id, strlen(id));
    if (found == LEXICON_NONE)
        return false;
    *ret = found;
    return true;
}

static int take_node(struct reading *in, struct db_rows *rows)
{
    int type = taxonomy_type_find(db_text(rows, 1));
    struct taxonomy_node node = {
        .id = db_text(rows, 0), .name = db_text(rows, 2), .dimension = db_text(rows, 3)};
    if (type < 0)
        return 0;
    node.type = (enum taxonomy_type)type;
    return taxonomy_rows_add_node(in->rows, &node);
}

static int take_edge(struct reading *in, struct db_rows *rows)
{
    int relation = taxonomy_relation_find(db_text(rows, 0));
    struct taxonomy_edge edge = {.weight = db_real(rows, 3)};
    if (relation < 0 || !find_node(in, db_text(rows, 1), &edge.source) ||
        !find_node(in, db_text(rows, 2), &edge.target))
        return 0;
    edge.relation = (enum taxonomy_relation)relation;
    return taxonomy_rows_add_edge(in->rows, &edge);
}

static int take_alias(struct reading *in, struct db_rows *rows)
{
    struct taxonomy_alias alias = {.term = db_text(rows, 0), .weight = db_real(rows, 2)};
    return find_node(in, db_text(rows, 1), &alias.node) ? taxonomy_rows_add_alias(in->rows, &alias) : 0;
}

static int take_all(struct reading *in, struct db_conn *c, const char *sql,
                    int (*take)(struct reading *, struct db_rows *))
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c, sql, DB_NO_ARGS, &rows);
    while (r >= 0 && (r = db_next(rows)) > 0)
        r = take(in, rows);
    return r;
}

/* The same, of as many as there may be. */
static int take_most(struct reading *in, struct db_conn *c, const char *sql,
                     int (*take)(struct reading *, struct db_rows *))
{
    int r = take_all(in, c, sql, take);
    if (r != -ENOBUFS)
        return r;
    in->full = true;
    return 0;
}

#define EDGES_SQL "SELECT type, source, target, weight FROM taxonomy_edges"

/* In no order, since few taxonomies have too many, and sorting takes longer than reading. */
static int take_edges(struct reading *in, struct db_conn *c)
{
    int r = take_all(in, c, EDGES_SQL, take_edge);
    if (r != -ENOBUFS)
        return r;
    in->rows->n_edges = 0;
    return take_most(in, c,
                     EDGES_SQL " ORDER BY CASE WHEN type = 'CO_OCCURS' THEN 1 ELSE 0 END, weight DESC, id",
                     take_edge);
}

/* Sorted first: from then on a node is its place. */
static int number_nodes(struct reading *in)
{
    struct taxonomy_rows *rows = in->rows;
    sort(rows->nodes, rows->n_nodes, sizeof *rows->nodes, by_type_and_name);
    for (size_t i = 0; i < rows->n_nodes; i++)
        if (lexicon_add(&in->ids, rows->nodes[i].id, strlen(rows->nodes[i].id)) != i)
            return -ENOMEM;
    return 0;
}

static int read_stamp(struct db_conn *c, char *ret)
{
    static const char *const tables[] = {
        "SELECT count(*), max(date_updated) FROM taxonomy_nodes",
        "SELECT count(*), max(date_updated) FROM taxonomy_edges",
        "SELECT count(*), max(date_updated) FROM taxonomy_mapping",
        "SELECT count(*), max(date_updated) FROM taxonomy_dimensions",
    };
    size_t len = 0;
    int r = 0;
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
        r = db_query(c, tables[i], DB_NO_ARGS, &rows);
        if (r >= 0)
            r = db_next(rows);
        if (r <= 0)
            return r < 0 ? r : -EIO;
        const char *newest = db_text(rows, 1);
        len += (size_t)snprintf(ret + len, TAXONOMY_STAMP_SIZE - len, "%s%lld %.40s", i ? ", " : "",
                                (long long)db_int(rows, 0), newest ? newest : "-");
    }
    return 0;
}

static int stamp_unit(struct db_conn *c, void *ret)
{
    return read_stamp(c, ret);
}

int taxonomy_stamp_read(struct db *db, char *ret)
{
    char stamp[TAXONOMY_STAMP_SIZE];
    int r = db_read(db, stamp_unit, stamp);
    if (r >= 0)
        memcpy(ret, stamp, sizeof stamp);
    return r < 0 ? r : 0;
}

static int read_unit(struct db_conn *c, void *arg)
{
    struct reading *in = arg;
    int r = read_stamp(c, in->rows->stamp);
    if (r >= 0)
        r = take_most(in, c,
                      "SELECT n.id, n.type, n.name, d.name FROM taxonomy_nodes n "
                      "LEFT JOIN taxonomy_dimensions d ON d.id = n.dimension_id",
                      take_node);
    if (r >= 0)
        r = number_nodes(in);
    if (r >= 0)
        r = take_edges(in, c);
    return r < 0 ? r : take_most(in, c, "SELECT term, node_id, weight FROM taxonomy_mapping", take_alias);
}

int taxonomy_rows_read_most(struct db *db, size_t nodes, size_t edges, struct taxonomy_rows *ret)
{
    struct reading in = {.rows = ret};
    taxonomy_rows_init(ret);
    ret->most_nodes = nodes;
    ret->most_edges = edges;
    int r = db_read(db, read_unit, &in);
    lexicon_free(&in.ids);
    if (r < 0) {
        taxonomy_rows_free(ret);
        return r;
    }
    if (in.full)
        log_event(LOG_WARN, "the taxonomy is larger than what is read of it", LOG_N("nodes", ret->n_nodes),
                  LOG_N("edges", ret->n_edges));
    sort(ret->edges, ret->n_edges, sizeof *ret->edges, by_ends);
    sort(ret->aliases, ret->n_aliases, sizeof *ret->aliases, by_node);
    return 0;
}

int taxonomy_rows_read(struct db *db, struct taxonomy_rows *ret)
{
    return taxonomy_rows_read_most(db, TAXONOMY_NODES_MAX, TAXONOMY_EDGES_MAX, ret);
}
