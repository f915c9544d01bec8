/* SPDX-License-Identifier: MIT */
#include "retrieval/bm25.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define OCCURRENCES_MAX ((size_t)UINT32_MAX / 2)

int bm25_add_doc(struct bm25_builder *b)
{
    if (b->docs == b->docs_cap) {
        uint32_t cap = b->docs_cap ? b->docs_cap * 2 : 64;
        float *length = realloc(b->length, cap * sizeof *length);
        if (!length)
            return -ENOMEM;
        b->length = length;
        b->docs_cap = cap;
    }
    b->length[b->docs++] = 0;
    return 0;
}

static int make_room(struct bm25_builder *b, uint32_t term)
{
    if (b->n == b->cap) {
        size_t cap = b->cap ? b->cap * 2 : 256;
        struct occurrence *all = cap <= OCCURRENCES_MAX ? realloc(b->all, cap * sizeof *all) : NULL;
        if (!all)
            return -ENOMEM;
        b->all = all;
        b->cap = cap;
    }
    if (term >= b->latest_cap) {
        uint32_t cap = term < 128 ? 256 : term * 2;
        uint32_t *latest = realloc(b->latest, cap * sizeof *latest);
        if (!latest)
            return -ENOMEM;
        memset(latest + b->latest_cap, 0, (cap - b->latest_cap) * sizeof *latest);
        b->latest = latest;
        b->latest_cap = cap;
    }
    return 0;
}

/* Counts one more of a term in the newest document. */
static int count_term(struct bm25_builder *b, uint32_t term, float weight)
{
    int r = make_room(b, term);
    if (r < 0)
        return r;
    uint32_t doc = b->docs - 1, at = b->latest[term];
    b->length[doc] += weight;
    if (at < b->n && b->all[at].term == term && b->all[at].doc == doc) {
        b->all[at].weight += weight;
        return 0;
    }
    b->latest[term] = (uint32_t)b->n;
    b->all[b->n++] = (struct occurrence){term, doc, weight};
    return 0;
}

int bm25_add_text(struct bm25_builder *b, const char *text, size_t len, float weight)
{
    const char *term;
    size_t n;
    terms_begin(b->cutter, text, len);
    while (terms_next(b->cutter, &term, &n)) {
        uint32_t id = lexicon_add(b->lexicon, term, n);
        int r = id != LEXICON_NONE ? count_term(b, id, weight) : -ENOMEM;
        if (r < 0)
            return r;
    }
    return 0;
}

static double average_length(const struct bm25_builder *b)
{
    double sum = 0;
    for (uint32_t d = 0; d < b->docs; d++)
        sum += b->length[d];
    return sum > 0 ? sum / b->docs : 1;
}

int bm25_build(struct bm25_builder *b, struct postings *ret)
{
    uint32_t *df = calloc(b->lexicon->n ? b->lexicon->n : 1, sizeof *df);
    if (!df)
        return -ENOMEM;
    for (size_t i = 0; i < b->n; i++)
        df[b->all[i].term]++;
    double average = average_length(b);
    for (size_t i = 0; i < b->n; i++) {
        struct occurrence *o = &b->all[i];
        double holders = df[o->term];
        double idf = log(1 + (b->docs - holders + 0.5) / (holders + 0.5));
        double damping = BM25_K1 * (1 - BM25_B + BM25_B * b->length[o->doc] / average);
        o->weight = (float)(idf * o->weight * (BM25_K1 + 1) / (o->weight + damping));
    }
    free(df);
    return postings_build(b->lexicon->n, b->all, b->n, ret);
}

void bm25_free(struct bm25_builder *b)
{
    free(b->all);
    free(b->latest);
    free(b->length);
    *b = (struct bm25_builder){0};
}
