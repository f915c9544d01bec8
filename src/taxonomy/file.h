/* SPDX-License-Identifier: MIT */
/* A taxonomy as a file: one JSON object with `nodes` and `edges`, and maybe `dimensions` (docs/taxonomy.md
 * has the form). Reading it checks everything that can be checked without the store; what is wrong is told
 * with its place. */
#ifndef TAXONOMY_FILE_H
#define TAXONOMY_FILE_H

#include "base/arena.h"
#include "taxonomy/names.h"

#define TAXONOMY_FILE_BYTES_MAX ((size_t)32 << 20)
#define TAXONOMY_TEXT_MAX 1000 /* bytes of a description */
#define TAXONOMY_ALIASES_MAX 32
#define TAXONOMY_ERROR_MAX 320

struct taxonomy_file_dimension {
    const char *name;
    const char *description; /* NULL: not said */
};

struct taxonomy_file_node {
    enum taxonomy_type type;
    const char *name;
    const char *description, *dimension; /* NULL: not said */
    const char **aliases;
    size_t n_aliases;
};

/* An end of an edge: a node of the file or of the store, of one of these types (bits 1 << type). */
struct taxonomy_end {
    unsigned types;
    const char *name;
};

struct taxonomy_file_edge {
    enum taxonomy_relation relation;
    struct taxonomy_end source, target;
    double weight; /* 0..1 */
};

/* All names are in normal form. */
struct taxonomy_file {
    struct arena arena;
    struct taxonomy_file_dimension *dimensions;
    struct taxonomy_file_node *nodes;
    struct taxonomy_file_edge *edges;
    size_t n_dimensions, n_nodes, n_edges;
};

/* Reads a file's text. 0, or -EINVAL or -ENOMEM with a sentence in error (TAXONOMY_ERROR_MAX). To be freed
 * after success. */
int taxonomy_file_parse(const char *text, size_t len, struct taxonomy_file *ret, char *error);
void taxonomy_file_free(struct taxonomy_file *f);

/* The same from a path; the sentence names it. Other negative errnos where it can't be read. */
int taxonomy_file_read(const char *path, struct taxonomy_file *ret, char *error);

#endif
