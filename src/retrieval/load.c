/* SPDX-License-Identifier: MIT */
#include "retrieval/load.h"

#include "base/log.h"

#include <errno.h>

struct load {
    const char *user_id, *model;
    size_t dim;
    struct index_builder *builder;
    bool full;
};

/* Vectors are read only where there is an embedder to compare them with. */
static const char nodes_sql[] = "SELECT id, node_type, title, content, tags, weight FROM user_nodes "
                                "WHERE user_id = ?1 AND status = 'active' ORDER BY weight DESC, id";
static const char nodes_and_vectors_sql[] =
    "SELECT id, node_type, title, content, tags, weight, embedding FROM user_nodes "
    "WHERE user_id = ?1 AND status = 'active' ORDER BY weight DESC, id";
static const char edges_sql[] = "SELECT source, target, weight FROM user_node_edges WHERE user_id = ?1 "
                                "ORDER BY source, target";

static int add_node(struct load *l, struct db_rows *rows)
{
    struct node_row row = {
        .id = db_text(rows, 0),
        .kind = db_text(rows, 1),
        .title = db_text(rows, 2),
        .content = db_text(rows, 3),
        .tags = db_text(rows, 4),
        .weight = db_real(rows, 5),
    };
    if (l->model)
        row.embedding = db_blob(rows, 6, &row.embedding_len);
    return index_add_node(l->builder, &row);
}

static int add_edge(struct load *l, struct db_rows *rows)
{
    return index_add_edge(l->builder, db_text(rows, 0), db_text(rows, 1), db_real(rows, 2));
}

/* Feeds the rows of a query to the builder, until it is full. */
static int add_rows(struct load *l, struct db_conn *c, const char *sql,
                    int (*add)(struct load *, struct db_rows *))
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c, sql, DB_ARGS(DB_TEXT(l->user_id)), &rows);
    while (r >= 0 && (r = db_next(rows)) > 0) {
        r = add(l, rows);
        if (r == -ENOBUFS) {
            l->full = true;
            return 0;
        }
    }
    return r;
}

static int load_rows(struct db_conn *c, void *arg)
{
    struct load *l = arg;
    l->builder = index_begin(l->model, l->dim);
    if (!l->builder)
        return -ENOMEM;
    int r = add_rows(l, c, l->model ? nodes_and_vectors_sql : nodes_sql, add_node);
    return r < 0 ? r : add_rows(l, c, edges_sql, add_edge);
}

int index_load(struct db *db, const char *user_id, const char *model, size_t dim, struct index **ret)
{
    struct load l = {.user_id = user_id, .model = model, .dim = dim};
    int r = db_read(db, load_rows, &l);
    if (r >= 0)
        r = index_finish(l.builder, ret);
    index_builder_free(l.builder);
    if (r >= 0 && l.full)
        log_event(LOG_WARN, "a user has more nodes or edges than are searched", LOG_S("user", user_id),
                  LOG_N("nodes", (*ret)->n_nodes));
    return r < 0 ? r : 0;
}
