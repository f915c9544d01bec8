/* SPDX-License-Identifier: MIT */
/* Reads a file of an export twice, and looks at what the store and the index rely on. */
#ifndef FUZZ_EXPORT_H
#define FUZZ_EXPORT_H

#include "fuzz.h"

#include "base/text.h"
#include "reader/edges.h"
#include "reader/formats.h"

#include <stdlib.h>
#include <string.h>

static inline void fuzz_check(bool holds)
{
    if (!holds)
        abort();
}

static inline void fuzz_check_draft(const struct draft *d)
{
    fuzz_check(utf8_valid(d->title, strlen(d->title)) && utf8_valid(d->content, strlen(d->content)));
    fuzz_check(strlen(d->title) > 0 && strlen(d->title) <= TITLE_MAX && strlen(d->content) > 0);
    fuzz_check(strlen(d->key) == KEY_SIZE - 1 && d->tags[0] == '[');
}

static inline void fuzz_check_edges(const struct corpus *c)
{
    struct corpus_edge *edges = NULL;
    size_t n = 0;
    fuzz_check(corpus_edges(c, &edges, &n) == 0);
    for (size_t i = 0; i < n; i++)
        fuzz_check(edges[i].to < edges[i].from && edges[i].from < c->n && edges[i].weight > 0 &&
                   edges[i].weight <= 1);
    free(edges);
}

static inline int fuzz_export(const char *name, const uint8_t *data, size_t size)
{
    struct corpus c, again;
    corpus_init(&c);
    corpus_init(&again);
    fuzz_check(format_read_file(&c, name, 1, (const char *)data, size) == 0);
    fuzz_check(format_read_file(&again, name, 1, (const char *)data, size) == 0);
    fuzz_check(c.n == again.n);
    for (size_t i = 0; i < c.n; i++) {
        fuzz_check_draft(&c.drafts[i]);
        fuzz_check(strcmp(c.drafts[i].key, again.drafts[i].key) == 0);
    }
    fuzz_check_edges(&c);
    corpus_free(&c);
    corpus_free(&again);
    return 0;
}

#endif
