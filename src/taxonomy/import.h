/* SPDX-License-Identifier: MIT */
/* Brings a taxonomy's file into the store, all of it or nothing: nodes by type and name, edges by their ends
 * and type, dimensions by name, aliases by term and node. What is there already is brought up to date; what
 * the file doesn't name stays. */
#ifndef TAXONOMY_IMPORT_H
#define TAXONOMY_IMPORT_H

#include "db/db.h"
#include "taxonomy/file.h"

struct taxonomy_counts {
    int64_t read, added, updated; /* what is left was there as it is */
};

struct taxonomy_import {
    void (*progress)(void *ctx, int64_t done, int64_t total); /* may be NULL; on the store's thread */
    void *ctx;
    /* out */
    struct taxonomy_counts dimensions, nodes, edges, aliases;
    char error[TAXONOMY_ERROR_MAX]; /* of -EINVAL: a sentence with the place */
};

/* 0, -EINVAL for an edge whose ends aren't there or could be several nodes, or the store's error. Dimensions
 * that a node names are made. */
int taxonomy_import(struct db *db, const struct taxonomy_file *file, struct taxonomy_import *run);

/* The same inside a unit of the caller's. */
int taxonomy_import_in(struct db_conn *c, const struct taxonomy_file *file, struct taxonomy_import *run);

/* How many nodes there are; negative errno. */
int taxonomy_count_nodes(struct db_conn *c, int64_t *ret);

/* The neutral sample that comes with the program, of our own writing. 0 or -ENOMEM; to be freed. */
int taxonomy_sample(struct taxonomy_file *ret);

#endif
