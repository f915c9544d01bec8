/* SPDX-License-Identifier: MIT */
/* BM25 over documents of several fields: a field's weight multiplies how often a term counts there, and how
 * long the field counts (as if its text stood there that many times). Statistics come from the documents
 * added and from nothing else. score = Σ over terms of idf × tf (K1 + 1) / (tf + K1 (1 − B + B length /
 * average length)), idf = ln(1 + (N − df + 0.5) / (df + 0.5)). */
#ifndef RETRIEVAL_BM25_H
#define RETRIEVAL_BM25_H

#include "retrieval/lexicon.h"
#include "retrieval/postings.h"
#include "retrieval/terms.h"

#define BM25_K1 1.2
#define BM25_B 0.75

struct bm25_builder {
    struct lexicon *lexicon; /* gets the terms; borrowed */
    struct terms *cutter;    /* borrowed */
    struct occurrence *all;  /* weight = weighted count, until the end */
    size_t n, cap;
    uint32_t *latest; /* by term: its last place in `all` */
    uint32_t latest_cap;
    float *length; /* by document */
    uint32_t docs, docs_cap;
};

/* The builder starts as {.lexicon = …, .cutter = …}. Adds a document, numbered from 0: 0 or -ENOMEM. */
int bm25_add_doc(struct bm25_builder *b);

/* Adds a field's text to the newest document: 0 or -ENOMEM. weight > 0. */
int bm25_add_text(struct bm25_builder *b, const char *text, size_t len, float weight);

/* The finished index: 0 or -ENOMEM. The builder is to be freed either way. */
int bm25_build(struct bm25_builder *b, struct postings *ret);
void bm25_free(struct bm25_builder *b);

#endif
