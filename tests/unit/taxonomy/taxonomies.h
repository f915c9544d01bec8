/* SPDX-License-Identifier: MIT */
/* What tests of the taxonomy share: a store, files in C strings, and rows read back. */
#ifndef TESTS_UNIT_TAXONOMY_TAXONOMIES_H
#define TESTS_UNIT_TAXONOMY_TAXONOMIES_H

#include "../db/store.h"

#include "taxonomy/import.h"

#include <errno.h>

/* JSON with single quotes, imported: the result, with what it came to in *run. */
static inline int import_text(struct db *db, const char *text, struct taxonomy_import *run)
{
    struct taxonomy_file file;
    char *json = strdup(text);
    assert_non_null(json);
    for (char *c = json; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    if (taxonomy_file_parse(json, strlen(json), &file, run->error) < 0)
        fail_msg("%s", run->error);
    int r = taxonomy_import(db, &file, run);
    taxonomy_file_free(&file);
    free(json);
    return r;
}

static inline void import_sample(struct db *db)
{
    struct taxonomy_file sample;
    struct taxonomy_import run = {0};
    assert_int_equal(taxonomy_sample(&sample), 0);
    assert_int_equal(taxonomy_import(db, &sample, &run), 0);
    taxonomy_file_free(&sample);
}

#endif
