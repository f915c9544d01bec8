/* SPDX-License-Identifier: MIT */
#include "retrieval/dense.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define STRIDE 32 /* rows are padded with zeros to whole vector registers */
#define LEVELS 127.0f

int vectors_init(struct vectors *v, uint32_t nodes, size_t dim)
{
    if (dim == 0 || dim > VECTOR_DIM_MAX)
        return -EINVAL;
    *v = (struct vectors){.nodes = nodes, .dim = dim, .stride = (dim + STRIDE - 1) / STRIDE * STRIDE};
    v->data = calloc(nodes ? nodes : 1, v->stride);
    v->scale = calloc(nodes ? nodes : 1, sizeof *v->scale);
    if (v->data && v->scale)
        return 0;
    vectors_free(v);
    return -ENOMEM;
}

void vectors_free(struct vectors *v)
{
    free(v->data);
    free(v->scale);
    *v = (struct vectors){0};
}

size_t vectors_bytes(const struct vectors *v)
{
    return v->nodes * (v->stride + sizeof *v->scale);
}

/* Rounds the vector to `ret` and returns what to multiply by to get unit length back; 0 if it has no
 * direction. */
static float quantise(const float *values, size_t dim, int8_t *ret)
{
    double square = 0;
    float largest = 0;
    for (size_t i = 0; i < dim; i++) {
        square += (double)values[i] * values[i];
        largest = fmaxf(largest, fabsf(values[i]));
    }
    if (!isfinite(square) || largest < 1e-30f)
        return 0;
    for (size_t i = 0; i < dim; i++)
        ret[i] = (int8_t)lrintf(values[i] / largest * LEVELS);
    return (float)(largest / LEVELS / sqrt(square));
}

void vectors_set(struct vectors *v, uint32_t node, const float *values)
{
    bool had = v->scale[node] > 0;
    v->scale[node] = quantise(values, v->dim, v->data + node * v->stride);
    bool has = v->scale[node] > 0;
    v->present = v->present - had + has;
}

/* n is a multiple of STRIDE; the sum of 16,384 products of bytes fits. Compilers make vector code of this. */
static int32_t dot(const int8_t *a, const int8_t *b, size_t n)
{
    int32_t sum = 0;
    for (size_t block = 0; block < n; block += STRIDE)
        for (size_t i = 0; i < STRIDE; i++)
            sum += (int32_t)a[block + i] * b[block + i];
    return sum;
}

void vectors_rank(const struct vectors *v, const float *question, int8_t *work, struct ranking *ret)
{
    memset(work, 0, v->stride);
    float scale = quantise(question, v->dim, work);
    for (uint32_t node = 0; node < v->nodes; node++) {
        float both = scale * v->scale[node];
        if (!(both > 0))
            continue;
        float cosine = (float)dot(work, v->data + node * v->stride, v->stride) * both;
        if (cosine > 0)
            ranking_offer(ret, (struct ranked){.node = node, .score = cosine});
    }
}

static bool has_tag(const struct overlap_builder *b, uint32_t term)
{
    for (size_t i = b->first; i < b->n; i++)
        if (b->all[i].term == term)
            return true;
    return false;
}

static int add_term(struct overlap_builder *b, uint32_t node, uint32_t term)
{
    if (b->n == b->cap) {
        size_t cap = b->cap ? b->cap * 2 : 256;
        struct occurrence *all = realloc(b->all, cap * sizeof *all);
        if (!all)
            return -ENOMEM;
        b->all = all;
        b->cap = cap;
    }
    b->all[b->n++] = (struct occurrence){term, node, 1};
    return 0;
}

int overlap_add(struct overlap_builder *b, uint32_t node, const char *tag, size_t len)
{
    const char *term;
    size_t n;
    terms_begin(b->cutter, tag, len);
    while (terms_next(b->cutter, &term, &n)) {
        uint32_t id = lexicon_add(b->lexicon, term, n);
        if (id == LEXICON_NONE)
            return -ENOMEM;
        if (has_tag(b, id))
            continue;
        int r = add_term(b, node, id);
        if (r < 0)
            return r;
    }
    return 0;
}

void overlap_end_node(struct overlap_builder *b, float node_weight)
{
    float each = node_weight / sqrtf((float)(b->n - b->first));
    for (size_t i = b->first; i < b->n; i++)
        b->all[i].weight = each;
    if (!(node_weight > 0))
        b->n = b->first;
    b->first = b->n;
}

int overlap_build(struct overlap_builder *b, struct postings *ret)
{
    return postings_build(b->lexicon->n, b->all, b->n, ret);
}

void overlap_free(struct overlap_builder *b)
{
    free(b->all);
    *b = (struct overlap_builder){0};
}
