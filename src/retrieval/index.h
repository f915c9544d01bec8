/* SPDX-License-Identifier: MIT */
/* One user's nodes, ready to be searched: texts, terms with the statistics of that user alone, tags, vectors,
 * graph. Built once and never changed, so any number of threads may read it.
 *
 * A node with long content is searched in chunks (units); its score is that of its best chunk. An edge says
 * that two nodes belong together, so it carries both ways; where a row for the opposite way exists, that
 * row's weight counts there. */
#ifndef RETRIEVAL_INDEX_H
#define RETRIEVAL_INDEX_H

#include "base/arena.h"
#include "graph/graph.h"
#include "retrieval/bm25.h"
#include "retrieval/dense.h"

#include <stdbool.h>

#define INDEX_NODES_MAX 50000
#define INDEX_EDGES_MAX 500000
#define INDEX_TEXT_MAX ((size_t)16 << 20)    /* bytes of all texts */
#define INDEX_CONTENT_MAX ((size_t)64 << 10) /* bytes of one node's content; the rest is not searched */
#define PASSAGE_CHARS 4000

#define WEIGHT_TITLE 3.0f
#define WEIGHT_TAGS 2.0f
#define WEIGHT_CONTENT 1.0f

struct index_node {
    const char *id, *kind, *title, *content;
    const char *tags; /* as one text, ", " between them */
    uint32_t content_len;
    uint32_t first_unit;
    float entropy;
    bool lacks_vector; /* an embedder is there, but the stored vector is none of this text's */
};

struct index_unit {
    uint32_t node, begin; /* where it begins in the content */
};

struct index {
    struct arena texts;
    struct index_node *nodes;
    struct index_unit *units;
    uint32_t n_nodes, n_units, n_lacking;
    struct lexicon lexicon;
    struct postings text; /* over units */
    struct postings tags; /* over nodes */
    struct vectors vectors;
    struct graph *graph;
    size_t bytes; /* memory that it holds */
};

/* A row of user_nodes; everything is copied. Texts may be NULL. */
struct node_row {
    const char *id, *kind, *title, *content;
    const char *tags; /* JSON array of texts; anything else is no tags */
    double weight;
    const void *embedding;
    size_t embedding_len;
};

struct index_builder;

/* model: name of the embedder, NULL where there is none; dim: length of its vectors, 0 if not known yet. NULL
 * without memory. */
struct index_builder *index_begin(const char *model, size_t dim);
void index_builder_free(struct index_builder *b);
DEFINE_CLEANUP(struct index_builder *, index_builder_free);

/* 0, -ENOBUFS when the index is full (the node is left out), -EEXIST for an id that is there already, or
 * -ENOMEM. Nodes that come earlier win ties. */
int index_add_node(struct index_builder *b, const struct node_row *row);

/* After all nodes. An edge to a node that was not added is ignored. 0, -ENOBUFS or -ENOMEM. */
int index_add_edge(struct index_builder *b, const char *source, const char *target, double weight);

/* The finished index: 0 or -ENOMEM. The builder is to be freed either way. */
int index_finish(struct index_builder *b, struct index **ret);
void index_free(struct index *x);
DEFINE_CLEANUP(struct index *, index_free);

/* What of a node goes into a prompt: its content, and of a long one the PASSAGE_CHARS around `unit`. */
const char *index_passage(const struct index *x, uint32_t node, uint32_t unit, size_t *ret_len);

#endif
