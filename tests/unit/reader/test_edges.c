/* SPDX-License-Identifier: MIT */
#include "corpora.h"

#include "reader/edges.h"

static double weight_of(const struct corpus_edge *edges, size_t n, const struct corpus *c, const char *from,
                        const char *to)
{
    const struct draft *a = draft_of(c, from), *b = draft_of(c, to);
    for (size_t i = 0; i < n; i++)
        if (&c->drafts[edges[i].from] == a && &c->drafts[edges[i].to] == b)
            return edges[i].weight;
    return 0;
}

static void test_what_belongs_together(void **state)
{
    struct corpus c;
    struct corpus_edge *edges;
    size_t n;
    (void)state;
    corpus_init(&c);
    static const char messages[] =
        "{\"messages\":[{\"from\":\"Anna\",\"text\":\"m one\"},{\"from\":\"Mia\",\"text\":"
        "\"m two\"},{\"from\":\"Anna\",\"text\":\"m three\"}]}",
                      posts[] =
                          "[{\"text\":\"p one\",\"tags\":[\"rare\",\"common\"]},{\"text\":\"p two\",\"tags\":"
                          "[\"common\"]},{\"text\":\"p three\",\"tags\":[\"rare\"]}]",
                      notes[] = "# A\nn one\n# B\nn two\n";
    assert_int_equal(format_read_file(&c, "messages.json", 1, messages, sizeof messages - 1), 0);
    assert_int_equal(format_read_file(&c, "posts.json", 2, posts, sizeof posts - 1), 0);
    assert_int_equal(format_read_file(&c, "notes.md", 3, notes, sizeof notes - 1), 0);
    assert_int_equal(corpus_edges(&c, &edges, &n), 0);
    assert_float_equal(weight_of(edges, n, &c, "m two", "m one"), EDGE_THREAD, 0);
    assert_float_equal(weight_of(edges, n, &c, "m three", "m two"), EDGE_THREAD, 0);
    assert_float_equal(weight_of(edges, n, &c, "m three", "m one"), EDGE_AUTHOR, 0);
    assert_float_equal(weight_of(edges, n, &c, "p three", "p one"), EDGE_TAG + EDGE_TAG_RARE / 2, 1e-9);
    assert_float_equal(weight_of(edges, n, &c, "p two", "p one"), EDGE_TAG + EDGE_TAG_RARE / 2, 1e-9);
    assert_float_equal(weight_of(edges, n, &c, "n two", "n one"), EDGE_SECTION, 0);
    assert_float_equal(weight_of(edges, n, &c, "n one", "p three"), 0, 0);
    free(edges);
    corpus_free(&c);
}

static void test_there_are_few_of_a_node(void **state)
{
    struct corpus c;
    struct corpus_edge *edges;
    size_t n, back[600] = {0}, to[600] = {0};
    char text[128];
    (void)state;
    corpus_init(&c);
    for (int i = 0; i < 600; i++) {
        int len = snprintf(text, sizeof text,
                           "{\"text\":\"post %d\",\"author\":\"x\",\"tags\":\"a%d,b%d,c%d,d%d\"}", i, i / 12,
                           i / 11, i / 10, i / 9);
        assert_int_equal(format_read_file(&c, "posts.json", 1, text, (size_t)len), 0);
    }
    assert_int_equal(c.n, 600);
    assert_int_equal(corpus_edges(&c, &edges, &n), 0);
    assert_true(n > 600);
    for (size_t i = 0; i < n; i++) {
        assert_true(edges[i].to < edges[i].from && edges[i].from < 600);
        assert_true(++back[edges[i].from] <= EDGES_BACK);
        assert_true(++to[edges[i].to] <= EDGES_TO);
        for (size_t k = i; k-- > 0 && edges[k].from == edges[i].from;)
            assert_int_not_equal(edges[k].to, edges[i].to);
    }
    free(edges);
    corpus_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_belongs_together),
        cmocka_unit_test(test_there_are_few_of_a_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
