/* SPDX-License-Identifier: MIT */
/* How long the stages of retrieval take over one user's index, and what it holds: retrieval_bench [NODES
 * [VECTOR_DIM]]. Texts are made of words whose frequencies fall off as in written language; half of a
 * question's words are common. */
#include "base/clock.h"
#include "retrieval/embedding.h"
#include "retrieval/search.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VOCABULARY 20000
#define WORDS_A_NODE 60
#define EDGES_A_NODE 4
#define QUESTIONS 2000

static uint64_t state = 88172645463325252u;

static double random_unit(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (double)(state >> 11) / 9007199254740992.0;
}

static uint32_t below(uint32_t n)
{
    return (uint32_t)(random_unit() * n);
}

/* Word r with a probability of about 1/r. */
static int add_word(char *to, size_t room)
{
    uint32_t rank = (uint32_t)exp(random_unit() * log(VOCABULARY));
    return snprintf(to, room, "w%c%u%c ", 'a' + (char)(rank % 26), rank, 'k');
}

static void make_text(char *to, size_t room, int words)
{
    size_t at = 0;
    for (int i = 0; i < words && at + 16 < room; i++)
        at += (size_t)add_word(to + at, room - at);
}

static void die(const char *what)
{
    fprintf(stderr, "retrieval_bench: %s\n", what);
    exit(1);
}

static void add_node(struct index_builder *b, uint32_t number, size_t dim)
{
    static float vector[VECTOR_DIM_MAX];
    static char title[64], content[WORDS_A_NODE * 16], tags[64], text[EMBEDDING_TEXT_MAX + 1], plain[64];
    char id[16];
    (void)snprintf(id, sizeof id, "n%u", number);
    make_text(title, sizeof title, 3);
    make_text(content, sizeof content, WORDS_A_NODE);
    (void)snprintf(tags, sizeof tags, "[\"tag%u\", \"tag%u\"]", below(200), 200 + below(200));
    struct node_row row = {id, "content", title, content, tags, random_unit(), NULL, 0};
    _cleanup_buf_ struct buf blob = BUF_INIT(sizeof vector + 16);
    if (dim > 0) {
        (void)snprintf(plain, sizeof plain, "%.*s, %.*s", (int)strcspn(tags + 2, "\""), tags + 2,
                       (int)strcspn(strchr(tags, ',') + 3, "\""), strchr(tags, ',') + 3);
        for (size_t i = 0; i < dim; i++)
            vector[i] = (float)random_unit() - 0.45f;
        (void)embedding_text(title, plain, content, text);
        if (embedding_encode(&blob, embedding_fingerprint("bench", text), vector, dim) < 0)
            die("out of memory");
        row.embedding = blob.data;
        row.embedding_len = blob.len;
    }
    if (index_add_node(b, &row) < 0)
        die("the index does not take so many nodes");
}

static struct index *make_index(uint32_t nodes, size_t dim)
{
    char source[16], target[16];
    struct index_builder *b = index_begin(dim ? "bench" : NULL, dim);
    struct index *x = NULL;
    if (!b)
        die("out of memory");
    for (uint32_t i = 0; i < nodes; i++)
        add_node(b, i, dim);
    for (uint32_t i = 0; i < nodes * EDGES_A_NODE; i++) {
        (void)snprintf(source, sizeof source, "n%u", i / EDGES_A_NODE);
        (void)snprintf(target, sizeof target, "n%u", below(nodes));
        if (index_add_edge(b, source, target, random_unit()) < 0)
            die("the index does not take so many edges");
    }
    if (index_finish(b, &x) < 0)
        die("out of memory");
    index_builder_free(b);
    if (x->n_lacking > 0)
        die("vectors were not taken");
    return x;
}

static int by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void print_times(const char *name, int64_t *us, size_t n)
{
    qsort(us, n, sizeof *us, by_time);
    printf("  %-12s median %6lld us, p99 %6lld us\n", name, (long long)us[n / 2],
           (long long)us[n * 99 / 100]);
}

static void ask(const struct index *x, size_t dim)
{
    static const char *const names[] = {"bm25", "dense", "rrf", "propagation", "entropy"};
    static int64_t us[STAGE_COUNT + 1][QUESTIONS];
    static float vector[VECTOR_DIM_MAX];
    struct search *s = search_new(x);
    char question[128];
    if (!s)
        die("out of memory");
    for (size_t i = 0; i < QUESTIONS; i++) {
        int64_t stage_us[STAGE_COUNT];
        make_text(question, sizeof question - 16, 6);
        (void)snprintf(question + strlen(question), 16, "tag%u", below(400));
        for (size_t k = 0; k < dim; k++)
            vector[k] = (float)random_unit() - 0.45f;
        int64_t begin = clock_monotonic_us();
        search_run(x, s, question, dim ? vector : NULL, stage_us);
        us[STAGE_COUNT][i] = clock_monotonic_us() - begin;
        for (int k = 0; k < STAGE_COUNT; k++)
            us[k][i] = stage_us[k];
    }
    for (int k = 0; k < STAGE_COUNT; k++)
        print_times(names[k], us[k], QUESTIONS);
    print_times("all", us[STAGE_COUNT], QUESTIONS);
    search_free(s);
}

/* A graph of the size of the skill graph: everything is within reach. */
static void walk(uint32_t nodes, size_t n_edges)
{
    static int64_t ns[QUESTIONS];
    struct graph_edge *edges = calloc(n_edges, sizeof *edges);
    struct graph *g = NULL;
    struct graph_scratch *s = graph_scratch_new(nodes);
    struct graph_hit seeds[16], hits[64];
    if (!edges || !s)
        die("out of memory");
    for (size_t i = 0; i < n_edges; i++)
        edges[i] = (struct graph_edge){below(nodes), below(nodes), (float)random_unit(), 0};
    if (graph_build(nodes, edges, n_edges, &g) < 0)
        die("out of memory");
    for (size_t i = 0; i < QUESTIONS; i++) {
        for (size_t k = 0; k < 16; k++)
            seeds[k] = (struct graph_hit){.node = below(nodes), .potential = (float)random_unit()};
        int64_t begin = clock_monotonic_us();
        for (int round = 0; round < 10; round++)
            (void)graph_propagate(g, s, seeds, 16, NULL, hits, 64);
        ns[i] = (clock_monotonic_us() - begin) * 100;
    }
    qsort(ns, QUESTIONS, sizeof *ns, by_time);
    printf("propagation over %u nodes and %zu edges, 16 seeds: median %.1f us\n", nodes, n_edges,
           (double)ns[QUESTIONS / 2] / 1000);
    free(edges);
    graph_unref(g);
    graph_scratch_free(s);
}

int main(int argc, char **argv)
{
    long nodes = argc > 1 ? atol(argv[1]) : 10000, dim = argc > 2 ? atol(argv[2]) : 768;
    if (nodes < 1 || nodes > INDEX_NODES_MAX || dim < 1 || dim > VECTOR_DIM_MAX)
        die("usage: retrieval_bench [NODES [VECTOR_DIM]]");
    size_t dims[] = {0, (size_t)dim};
    for (size_t i = 0; i < ARRAY_LEN(dims); i++) {
        int64_t begin = clock_monotonic_us();
        struct index *x = make_index((uint32_t)nodes, dims[i]);
        printf("%ld nodes, %s: made in %lld ms, %.1f MB, %u terms\n", nodes,
               dims[i] ? "with vectors" : "tag overlap", (long long)(clock_monotonic_us() - begin) / 1000,
               (double)x->bytes / 1e6, x->lexicon.n);
        ask(x, dims[i]);
        index_free(x);
    }
    walk(252, 12880);
    return 0;
}
