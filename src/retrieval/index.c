/* SPDX-License-Identifier: MIT */
#include "retrieval/index.h"

#include "base/json.h"
#include "base/text.h"
#include "retrieval/chunk.h"
#include "retrieval/embedding.h"
#include "retrieval/gate.h"

#include <errno.h>
#include <string.h>

#define TITLE_MAX 1000     /* bytes */
#define NAME_MAX_BYTES 200 /* of an id or a kind */
#define TAGS_MAX 64        /* of one node */
#define TAG_MAX 200        /* bytes */
#define ARENA_MAX (4 * INDEX_TEXT_MAX)

struct index_builder {
    struct index *index;
    const char *model;
    size_t dim;
    struct terms *cutter;
    struct lexicon ids; /* of nodes; an id's number is the node's */
    struct bm25_builder text;
    struct overlap_builder tags;
    uint32_t nodes_cap, units_cap;
    float *vectors;         /* as they come: dim floats a node that has one … */
    uint32_t *vector_nodes; /* … and whose they are */
    uint32_t n_vectors, vectors_cap;
    struct graph_edge *edges;
    size_t n_edges, edges_cap;
    size_t text_bytes;
};

/* Makes room for one more item in a growing array: its new place, or NULL without memory. */
static void *grow(void *array, size_t item, uint32_t n, uint32_t *cap)
{
    if (n < *cap)
        return array;
    uint32_t wanted = *cap ? *cap * 2 : 32;
    void *grown = realloc(array, wanted * item);
    if (grown)
        *cap = wanted;
    return grown;
}

struct index_builder *index_begin(const char *model, size_t dim)
{
    _cleanup_(index_builder_freeP) struct index_builder *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    b->model = model;
    b->dim = dim;
    b->cutter = terms_new();
    b->index = calloc(1, sizeof *b->index);
    if (!b->cutter || !b->index)
        return NULL;
    arena_init(&b->index->texts, ARENA_MAX);
    b->text = (struct bm25_builder){.lexicon = &b->index->lexicon, .cutter = b->cutter};
    b->tags = (struct overlap_builder){.lexicon = &b->index->lexicon, .cutter = b->cutter};
    return TAKE_PTR(b);
}

void index_builder_free(struct index_builder *b)
{
    if (!b)
        return;
    index_free(b->index);
    terms_free(b->cutter);
    lexicon_free(&b->ids);
    bm25_free(&b->text);
    overlap_free(&b->tags);
    free(b->vectors);
    free(b->vector_nodes);
    free(b->edges);
    free(b);
}

void index_free(struct index *x)
{
    if (!x)
        return;
    arena_free(&x->texts);
    free(x->nodes);
    free(x->units);
    lexicon_free(&x->lexicon);
    postings_free(&x->text);
    postings_free(&x->tags);
    vectors_free(&x->vectors);
    graph_unref(x->graph);
    free(x);
}

/* Copies a text that may be NULL, cut to a maximum, with a question mark for each malformed byte, so that
 * whatever comes out of an index is well-formed. NULL without memory. */
static const char *keep(struct index_builder *b, const char *s, size_t max, size_t *ret_len)
{
    size_t len = s ? strlen(s) : 0;
    *ret_len = utf8_floor(s ? s : "", len, max);
    char *copy = arena_strndup(&b->index->texts, s ? s : "", *ret_len);
    if (copy)
        utf8_repair(copy, *ret_len);
    return copy;
}

/* Adds the node's tags to the tag index, and gives them as one text. */
static int add_tags(struct index_builder *b, uint32_t node, const struct node_row *row, struct buf *out)
{
    _cleanup_json_ json_t *tags = row->tags ? json_parse(row->tags, strlen(row->tags)) : NULL;
    size_t n = json_array_size(tags) < TAGS_MAX ? json_array_size(tags) : TAGS_MAX;
    for (size_t i = 0; i < n; i++) {
        const char *tag = json_string_value(json_array_get(tags, i));
        if (!tag)
            continue;
        size_t len = utf8_floor(tag, strlen(tag), TAG_MAX);
        int r = overlap_add(&b->tags, node, tag, len);
        if (r == 0 && out->len > 0)
            r = buf_adds(out, ", ");
        if (r == 0)
            r = buf_add(out, tag, len);
        if (r < 0)
            return r;
    }
    overlap_end_node(&b->tags, row->weight < 1 ? (float)row->weight : 1.0f);
    return 0;
}

static int add_unit(struct index_builder *b, const struct index_node *node, uint32_t number, size_t begin,
                    size_t len)
{
    struct index *x = b->index;
    struct index_unit *units = grow(x->units, sizeof *units, x->n_units, &b->units_cap);
    if (!units)
        return -ENOMEM;
    x->units = units;
    units[x->n_units++] = (struct index_unit){.node = number, .begin = (uint32_t)begin};
    int r = bm25_add_doc(&b->text);
    if (r == 0)
        r = bm25_add_text(&b->text, node->title, strlen(node->title), WEIGHT_TITLE);
    if (r == 0)
        r = bm25_add_text(&b->text, node->tags, strlen(node->tags), WEIGHT_TAGS);
    if (r == 0)
        r = bm25_add_text(&b->text, node->content + begin, len, WEIGHT_CONTENT);
    return r;
}

static int add_units(struct index_builder *b, struct index_node *node, uint32_t number)
{
    struct chunker c = {.text = node->content, .len = node->content_len};
    size_t begin, len;
    node->first_unit = b->index->n_units;
    while (chunk_next(&c, &begin, &len)) {
        int r = add_unit(b, node, number, begin, len);
        if (r < 0)
            return r;
    }
    return 0;
}

static int keep_vector(struct index_builder *b, uint32_t node, const void *bytes)
{
    if (b->n_vectors == b->vectors_cap) {
        uint32_t cap = b->vectors_cap ? b->vectors_cap * 2 : 32;
        float *vectors = realloc(b->vectors, cap * b->dim * sizeof *vectors);
        if (!vectors)
            return -ENOMEM;
        b->vectors = vectors;
        uint32_t *owners = realloc(b->vector_nodes, cap * sizeof *owners);
        if (!owners)
            return -ENOMEM;
        b->vector_nodes = owners;
        b->vectors_cap = cap;
    }
    embedding_floats(bytes, b->dim, b->vectors + b->n_vectors * b->dim);
    b->vector_nodes[b->n_vectors++] = node;
    return 0;
}

/* Takes the stored vector if it is one of this model, this text and the length that the others have. */
static int add_vector(struct index_builder *b, struct index_node *node, uint32_t number,
                      const struct node_row *row)
{
    char text[EMBEDDING_TEXT_MAX + 1];
    const void *bytes;
    size_t dim;
    if (!b->model || embedding_text(node->title, node->tags, node->content, text) == 0)
        return 0;
    int r = embedding_decode(row->embedding, row->embedding_len, embedding_fingerprint(b->model, text),
                             &bytes, &dim);
    if (r == 0 && b->dim == 0)
        b->dim = dim;
    node->lacks_vector = r < 0 || dim != b->dim;
    b->index->n_lacking += node->lacks_vector;
    return node->lacks_vector ? 0 : keep_vector(b, number, bytes);
}

/* The texts of a row in the index's memory. */
static int copy_texts(struct index_builder *b, const struct node_row *row, struct index_node *ret)
{
    size_t len, content_len;
    ret->id = keep(b, row->id, NAME_MAX_BYTES, &len);
    ret->kind = keep(b, row->kind, NAME_MAX_BYTES, &len);
    ret->title = keep(b, row->title, TITLE_MAX, &len);
    ret->content = keep(b, row->content, INDEX_CONTENT_MAX, &content_len);
    ret->content_len = (uint32_t)content_len;
    return ret->id && ret->kind && ret->title && ret->content ? 0 : -ENOMEM;
}

int index_add_node(struct index_builder *b, const struct node_row *row)
{
    struct index *x = b->index;
    _cleanup_buf_ struct buf tags = BUF_INIT((size_t)TAGS_MAX * (TAG_MAX + 2));
    struct index_node node = {0};
    if (x->n_nodes >= INDEX_NODES_MAX || b->text_bytes >= INDEX_TEXT_MAX)
        return -ENOBUFS;
    struct index_node *nodes = grow(x->nodes, sizeof *nodes, x->n_nodes, &b->nodes_cap);
    if (!nodes)
        return -ENOMEM;
    x->nodes = nodes;
    uint32_t number = x->n_nodes;
    uint32_t id = lexicon_add(&b->ids, row->id, strlen(row->id));
    if (id != number)
        return id == LEXICON_NONE ? -ENOMEM : -EEXIST;
    int r = copy_texts(b, row, &node);
    if (r == 0)
        r = add_tags(b, number, row, &tags);
    node.tags = r == 0 ? arena_strdup(&x->texts, buf_str(&tags)) : NULL;
    if (r == 0 && !node.tags)
        r = -ENOMEM;
    if (r == 0)
        r = add_units(b, &node, number);
    if (r < 0)
        return r;
    node.entropy = (float)gate_node_entropy(b->cutter, node.title, node.content, node.content_len);
    r = node.entropy < 0 ? -ENOMEM : 0;
    if (r == 0)
        r = add_vector(b, &node, number, row);
    if (r < 0)
        return r;
    b->text_bytes += strlen(node.title) + node.content_len + tags.len;
    x->nodes[x->n_nodes++] = node;
    return 0;
}

int index_add_edge(struct index_builder *b, const char *source, const char *target, double weight)
{
    uint32_t from = lexicon_find(&b->ids, source, strlen(source));
    uint32_t to = lexicon_find(&b->ids, target, strlen(target));
    if (from == LEXICON_NONE || to == LEXICON_NONE || from == to || !(weight >= 0))
        return 0;
    if (b->n_edges >= INDEX_EDGES_MAX)
        return -ENOBUFS;
    if (b->n_edges == b->edges_cap) {
        size_t cap = b->edges_cap ? b->edges_cap * 2 : 64;
        struct graph_edge *edges = realloc(b->edges, cap * sizeof *edges);
        if (!edges)
            return -ENOMEM;
        b->edges = edges;
        b->edges_cap = cap;
    }
    b->edges[b->n_edges++] = (struct graph_edge){from, to, weight < 1 ? (float)weight : 1.0f, 0};
    return 0;
}

static int by_ends(const void *a, const void *b)
{
    const struct graph_edge *x = a, *y = b;
    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    return x->to < y->to ? -1 : x->to > y->to;
}

/* Adds to each edge its opposite, unless that has a row of its own. One of no weight carries nothing, and
 * says so of its way. */
static int build_graph(struct index_builder *b)
{
    size_t n = 0;
    _cleanup_free_ struct graph_edge *all = calloc(2 * b->n_edges + 1, sizeof *all);
    if (!all)
        return -ENOMEM;
    if (b->n_edges > 0)
        qsort(b->edges, b->n_edges, sizeof *b->edges, by_ends);
    for (size_t i = 0; i < b->n_edges; i++) {
        const struct graph_edge *edge = &b->edges[i];
        struct graph_edge opposite = {edge->to, edge->from, edge->weight, 0};
        if (!(edge->weight > 0))
            continue;
        all[n++] = *edge;
        if (!bsearch(&opposite, b->edges, b->n_edges, sizeof opposite, by_ends))
            all[n++] = opposite;
    }
    return graph_build(b->index->n_nodes, all, n, &b->index->graph);
}

static int build_vectors(struct index_builder *b)
{
    if (b->n_vectors == 0)
        return 0;
    int r = vectors_init(&b->index->vectors, b->index->n_nodes, b->dim);
    for (uint32_t i = 0; r == 0 && i < b->n_vectors; i++)
        vectors_set(&b->index->vectors, b->vector_nodes[i], b->vectors + i * b->dim);
    return r;
}

static size_t count_bytes(const struct index_builder *b)
{
    const struct index *x = b->index;
    return sizeof *x + x->texts.total + b->nodes_cap * sizeof *x->nodes + b->units_cap * sizeof *x->units +
           lexicon_bytes(&x->lexicon) + postings_bytes(&x->text) + postings_bytes(&x->tags) +
           vectors_bytes(&x->vectors) + graph_bytes(x->graph);
}

int index_finish(struct index_builder *b, struct index **ret)
{
    int r = bm25_build(&b->text, &b->index->text);
    if (r == 0)
        r = overlap_build(&b->tags, &b->index->tags);
    if (r == 0)
        r = build_vectors(b);
    if (r == 0)
        r = build_graph(b);
    if (r < 0)
        return r;
    b->index->bytes = count_bytes(b);
    *ret = TAKE_PTR(b->index);
    return 0;
}

const char *index_passage(const struct index *x, uint32_t number, uint32_t unit, size_t *ret_len)
{
    const struct index_node *node = &x->nodes[number];
    size_t begin = 0;
    if (chars_to_bytes(node->content, node->content_len, PASSAGE_CHARS) < node->content_len &&
        unit > node->first_unit)
        begin = x->units[unit - 1].begin;
    *ret_len = chars_to_bytes(node->content + begin, node->content_len - begin, PASSAGE_CHARS);
    return node->content + begin;
}
