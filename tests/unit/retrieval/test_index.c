/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "base/text.h"
#include "retrieval/chunk.h"

#include <errno.h>
#include <math.h>

static float received(const struct index *x, const char *from, const char *to)
{
    struct graph_scratch *s = graph_scratch_new(x->n_nodes);
    struct graph_hit seed = {.potential = 1}, hits[16];
    float potential = 0;
    for (uint32_t n = 0; n < x->n_nodes; n++)
        if (strcmp(x->nodes[n].id, from) == 0)
            seed.node = n;
    size_t n = graph_propagate(x->graph, s, &seed, 1, NULL, hits, ARRAY_LEN(hits));
    for (size_t i = 0; i < n; i++)
        if (hits[i].hops == 1 && strcmp(x->nodes[hits[i].node].id, to) == 0)
            potential = hits[i].potential;
    graph_scratch_free(s);
    return potential;
}

#define NEAR(a, b) assert_true(fabsf((a) - (b)) < 1e-6f)

static void an_edge_carries_both_ways(void **state)
{
    (void)state;
    struct index_builder *b = index_begin(NULL, 0);
    add_text_node(b, "a", "one", "");
    add_text_node(b, "b", "two", "");
    add_text_node(b, "c", "three", "");
    add_text_node(b, "d", "four", "");
    assert_int_equal(index_add_edge(b, "a", "b", 0.4), 0);
    assert_int_equal(index_add_edge(b, "c", "d", 0.5), 0);
    assert_int_equal(index_add_edge(b, "d", "c", 0.2), 0); /* its own weight for the way back */
    assert_int_equal(index_add_edge(b, "b", "d", 0.6), 0);
    assert_int_equal(index_add_edge(b, "d", "b", 0), 0); /* which may be none */
    assert_int_equal(index_add_edge(b, "a", "nobody", 1), 0);
    assert_int_equal(index_add_edge(b, "b", "b", 1), 0);
    assert_int_equal(index_add_edge(b, "a", "c", -1), 0);
    assert_int_equal(index_add_edge(b, "a", "d", (double)NAN), 0);
    struct index *x = finish(b);
    NEAR(received(x, "a", "b"), 0.4f * 0.85f);
    NEAR(received(x, "b", "a"), 0.4f * 0.85f);
    NEAR(received(x, "c", "d"), 0.5f * 0.85f);
    NEAR(received(x, "d", "c"), 0.2f * 0.85f);
    NEAR(received(x, "b", "d"), 0.6f * 0.85f);
    NEAR(received(x, "d", "b"), 0);
    NEAR(received(x, "a", "c"), 0);
    NEAR(received(x, "a", "d"), 0);
    index_free(x);
}

static void odd_rows_do_no_harm(void **state)
{
    (void)state;
    struct index_builder *b = index_begin(NULL, 0);
    struct node_row rows[] = {
        {.id = "1", .kind = NULL, .title = NULL, .content = NULL, .tags = NULL, .weight = 1},
        {.id = "2",
         .kind = "k",
         .title = "bad \xFF bytes",
         .content = "cut \xE8\x8C",
         .tags = "{not json",
         .weight = 1},
        {.id = "3",
         .kind = "k",
         .title = "t",
         .content = "c",
         .tags = "[1, null, {\"a\": 2}, \"good\", [\"x\"]]",
         .weight = 1},
        {.id = "4", .kind = "k", .title = "t", .content = "c", .tags = "\"text\"", .weight = (double)NAN},
        {.id = "5", .kind = "k", .title = "t", .content = "c", .tags = "[\"good\"]", .weight = 1e300},
        {.id = "6", .kind = "k", .title = "t", .content = "c", .tags = "[\"good\"]", .weight = 1e-300},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(index_add_node(b, &rows[i]), 0);
    assert_int_equal(index_add_node(b, &rows[0]), -EEXIST);
    struct index *x = finish(b);
    assert_int_equal(x->n_nodes, ARRAY_LEN(rows));
    assert_string_equal(x->nodes[1].title, "bad ? bytes");
    assert_string_equal(x->nodes[1].content, "cut ??");
    assert_string_equal(x->nodes[2].tags, "good");
    assert_string_equal(x->nodes[3].tags, "");
    index_free(x);
}

/* A long text with a word of its own in each part. */
static size_t long_text(char *ret, size_t parts)
{
    uint64_t random = 8;
    size_t at = 0;
    for (size_t i = 0; i < parts; i++) {
        at += (size_t)sprintf(ret + at, "Part %zu tells of keyword%zux and é.", i, i);
        for (int word = 0; word < 80; word++)
            at += (size_t)sprintf(ret + at, " w%u", random_below(&random, 100000));
        at += (size_t)sprintf(ret + at, ".\n\n");
    }
    return at;
}

static void long_content_is_found_and_quoted_where_it_matches(void **state)
{
    (void)state;
    static char text[100000];
    struct index_builder *b = index_begin(NULL, 0);
    (void)long_text(text, 40);
    add_text_node(b, "long", "A long guide", text);
    add_text_node(b, "short", "A note", "nothing here");
    struct index *x = finish(b);
    struct search *s = search_new(x);
    assert_in_range(x->n_units, 20, 60);
    search_run(x, s, "what about keyword30x?", NULL, NULL);
    assert_int_equal(s->stage[STAGE_BM25].n, 1);
    assert_int_equal(s->stage[STAGE_ENTROPY].n, 1);
    size_t len;
    const struct ranked *best = &s->stage[STAGE_ENTROPY].item[0];
    const char *passage = index_passage(x, best->node, best->unit, &len);
    assert_non_null(memmem(passage, len, "keyword30x", 10));
    assert_in_range(utf8_count(passage, len), 1000, PASSAGE_CHARS);
    passage = index_passage(x, best->node, x->nodes[best->node].first_unit, &len);
    assert_ptr_equal(passage, x->nodes[best->node].content);
    assert_int_equal(utf8_count(passage, len), PASSAGE_CHARS);
    assert_true(utf8_valid(passage, len));
    search_free(s);
    index_free(x);
}

static void huge_content_is_bounded(void **state)
{
    (void)state;
    size_t size = 3 * INDEX_CONTENT_MAX;
    char *text = malloc(size + 1);
    for (size_t i = 0; i < size; i += 3)
        memcpy(text + i, "\xE8\x8C\xB6", 3);
    text[size] = '\0';
    struct index_builder *b = index_begin(NULL, 0);
    char id[16];
    int r = 0, n = 0;
    for (; r == 0 && n < 1000; n++) {
        (void)snprintf(id, sizeof id, "%d", n);
        struct node_row row = {.id = id, .title = "t", .content = text, .weight = 1};
        r = index_add_node(b, &row);
    }
    assert_int_equal(r, -ENOBUFS);
    assert_in_range(n, INDEX_TEXT_MAX / INDEX_CONTENT_MAX, INDEX_TEXT_MAX / INDEX_CONTENT_MAX + 2);
    struct index *x = finish(b);
    assert_true(x->nodes[0].content_len <= INDEX_CONTENT_MAX);
    assert_true(utf8_valid(x->nodes[0].content, x->nodes[0].content_len));
    index_free(x);
    free(text);
}

static void an_empty_index_answers_nothing(void **state)
{
    (void)state;
    struct index *x = finish(index_begin(NULL, 0));
    struct search *s = search_new(x);
    int64_t us[STAGE_COUNT];
    assert_non_null(s);
    search_run(x, s, "anything?", NULL, us);
    for (int i = 0; i < STAGE_COUNT; i++)
        assert_int_equal(s->stage[i].n, 0);
    search_free(s);
    index_free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_edge_carries_both_ways),
        cmocka_unit_test(odd_rows_do_no_harm),
        cmocka_unit_test(long_content_is_found_and_quoted_where_it_matches),
        cmocka_unit_test(huge_content_is_bounded),
        cmocka_unit_test(an_empty_index_answers_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
