/* SPDX-License-Identifier: MIT */
/* The taxonomy as rows in memory: what is read from the store, or from the file that DuckDB keeps, before
 * anything is built of it. In order, so that both sources give the same: nodes by type and name, edges by
 * their ends, aliases by their node. */
#ifndef TAXONOMY_ROWS_H
#define TAXONOMY_ROWS_H

#include "db/db.h"
#include "taxonomy/names.h"

#define TAXONOMY_NODES_MAX 200000
#define TAXONOMY_EDGES_MAX 2000000
#define TAXONOMY_ROWS_BYTES_MAX ((size_t)128 << 20)

/* What the tables held when they were read: how many rows of each, and when the newest was written. */
#define TAXONOMY_STAMP_SIZE 256

struct taxonomy_node {
    const char *id, *name;
    const char *dimension; /* its name, or NULL */
    enum taxonomy_type type;
};

struct taxonomy_edge {
    uint32_t source, target;
    enum taxonomy_relation relation;
    double weight;
};

struct taxonomy_alias {
    const char *term;
    uint32_t node;
    double weight;
};

struct taxonomy_rows {
    struct arena arena; /* of the texts */
    struct taxonomy_node *nodes;
    struct taxonomy_edge *edges;
    struct taxonomy_alias *aliases;
    size_t n_nodes, n_edges, n_aliases;
    size_t cap_nodes, cap_edges, cap_aliases;
    size_t most_nodes, most_edges; /* there are at most as many aliases as nodes */
    char stamp[TAXONOMY_STAMP_SIZE];
};

void taxonomy_rows_init(struct taxonomy_rows *rows);
void taxonomy_rows_free(struct taxonomy_rows *rows);

/* Add one; texts are copied. 0, -ENOBUFS where there are too many, or -ENOMEM. */
int taxonomy_rows_add_node(struct taxonomy_rows *rows, const struct taxonomy_node *node);
int taxonomy_rows_add_edge(struct taxonomy_rows *rows, const struct taxonomy_edge *edge);
int taxonomy_rows_add_alias(struct taxonomy_rows *rows, const struct taxonomy_alias *alias);

/* Reads all of it from the store, in one snapshot, with its stamp: 0, -ENOMEM or the store's error. Of more
 * than the maxima what fits is read, of edges the hierarchy and then the heaviest, and the log says so. rows
 * is initialised by the call, and to be freed after success. */
int taxonomy_rows_read(struct db *db, struct taxonomy_rows *ret);

/* The same with maxima of one's own. */
int taxonomy_rows_read_most(struct db *db, size_t nodes, size_t edges, struct taxonomy_rows *ret);

/* The stamp alone. ret holds TAXONOMY_STAMP_SIZE. */
int taxonomy_stamp_read(struct db *db, char *ret);

#endif
