/* SPDX-License-Identifier: MIT */
/* The skill graph and the questions to it, by figures worked out by hand. */
#include "check.h"

#include "skills/ask.h"
#include "skills/dump.h"

#include <errno.h>
#include <math.h>

#define NEAR(a, b) assert_true(fabs((double)(a) - (double)(b)) < 1e-5)

struct world {
    struct skill_set *set;
    struct skill_scratch *scratch;
};

static struct skill_set *make(const struct skill_row *rows, size_t n, const struct skill_edge_row *edges,
                              size_t n_edges)
{
    struct skill_set *set = NULL;
    struct skill_set_builder *b = skill_set_begin();
    assert_non_null(b);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(skill_set_add(b, &rows[i]), 0);
    for (size_t i = 0; i < n_edges; i++)
        assert_int_equal(skill_set_add_edge(b, &edges[i]), 0);
    assert_int_equal(skill_set_finish(b, &set), 0);
    skill_set_builder_free(b);
    return set;
}

/* Given in no order; ids are the letters. */
static const struct skill_row four[] = {
    {"d", "welcome-fans", "11-fans", "Greets people", "[\"messages\", \"fans\"]", "Say hello to them.", "",
     0},
    {"a", "write-captions", "01-writing", "Drafts short lines", "[\"captions\"]", "Count the characters.", "",
     0},
    {"b", "win-back", "11-fans", "Writes to those who left", "[\"messages\", \"fans\"]", "Be kind.", "", 0},
    {"c", "price-plans", "08-business", "Sets a price", "[]", "Think of fans.", "", 0},
};
static const struct skill_edge_row stated[] = {
    {"a", "c", "related", 0.9}, {"b", "d", "follows", 0.4}, {"d", "b", "follows", 0.8},
    {"a", "zz", "related", 1},  {"a", "a", "related", 1},
};

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->set = make(four, 4, stated, 5);
    w->scratch = skill_scratch_take(w->set);
    assert_non_null(w->scratch);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    skill_scratch_give(w->set, w->scratch);
    skill_set_unref(w->set);
    free(w);
    return 0;
}

static uint32_t node(const struct skill_set *set, const char *name)
{
    for (uint32_t v = 0; v < graph_nodes(set->graph); v++)
        if (strcmp(skill_set_node_name(set, v), name) == 0)
            return v;
    fail_msg("no node %s", name);
    return 0;
}

/* The weight of an edge, 0 where there is none. */
static float weight(const struct skill_set *set, const char *from, const char *to, const char *kind)
{
    struct graph_neighbours near = graph_neighbours(set->graph, node(set, from));
    for (uint32_t i = 0; i < near.n; i++)
        if (near.arc[i].to == node(set, to) && strcmp(skill_set_edge_name(set, near.kind[i]), kind) == 0)
            return near.arc[i].weight;
    return 0;
}

static void nodes_and_edges_are_as_defined(void **state)
{
    const struct skill_set *set = ((struct world *)*state)->set;
    assert_int_equal(graph_nodes(set->graph), 4 + 3 + 3);
    assert_string_equal(skill_set_node_name(set, 0), "price-plans");
    assert_string_equal(skill_set_node_kind(set, 4), "category");
    assert_string_equal(skill_set_node_kind(set, 9), "tag");
    NEAR(weight(set, "write-captions", "price-plans", "related"), 0.9);
    NEAR(weight(set, "price-plans", "write-captions", "related"), 0.9);
    NEAR(weight(set, "win-back", "welcome-fans", "follows"), 0.4); /* each way has its own row */
    NEAR(weight(set, "welcome-fans", "win-back", "follows"), 0.8);
    NEAR(weight(set, "win-back", "11-fans", "category"), 0.6);
    NEAR(weight(set, "11-fans", "win-back", "category"), 0.6);
    NEAR(weight(set, "write-captions", "captions", "tag"), 1);
    NEAR(weight(set, "fans", "win-back", "tag"), log(3) / log(5));
    NEAR(weight(set, "fans", "messages", "co-occurrence"), 1); /* 2 of 4, never apart */
    NEAR(weight(set, "captions", "fans", "co-occurrence"), 0);
}

static void a_relation_of_no_weight_carries_nothing(void **state)
{
    (void)state;
    static const struct skill_edge_row edges[] = {
        {"a", "c", "related", 0.7}, {"c", "a", "related", 0}, {"b", "d", "related", 0}};
    struct skill_set *set = make(four, 4, edges, 3);
    NEAR(weight(set, "write-captions", "price-plans", "related"), 0.7);
    NEAR(weight(set, "price-plans", "write-captions", "related"), 0); /* its own row says so */
    NEAR(weight(set, "win-back", "welcome-fans", "related"), 0);
    NEAR(weight(set, "welcome-fans", "win-back", "related"), 0);
    skill_set_unref(set);
}

static void direct_scores_are_counted(void **state)
{
    struct world *w = *state;
    struct skill_activation found;
    skill_activate(w->set, w->scratch, "How do I draft captions?", 10, &found);
    assert_string_equal(w->set->skills[found.hits[0].skill].name, "write-captions");
    NEAR(found.hits[0].direct, 0.3 + 0.2 + 0.1); /* tag, word of the name, "Drafts" */
    assert_int_equal(found.hits[0].hops, 0);
    assert_int_equal(found.seeds, 1);
    /* the relation of 0.9 brings 1.0 × 0.9 × 0.85 */
    assert_string_equal(w->set->skills[found.hits[1].skill].name, "price-plans");
    NEAR(found.hits[1].direct, 0);
    NEAR(found.hits[1].score, 0.765);
    assert_int_equal(found.hits[1].hops, 1);
}

static void an_activation_is_direct_plus_propagated(void **state)
{
    (void)state;
    static const struct skill_row rows[] = {
        {"a", "alpha", "01-x", "", "[]", "", "", 0},
        {"b", "beta", "02-y", "", "[]", "", "", 0},
        {"c", "gamma", "03-z", "", "[]", "", "", 0},
    };
    static const struct skill_edge_row edges[] = {{"a", "b", "related", 0.9}, {"b", "a", "related", 0.01}};
    struct skill_set *set = make(rows, 3, edges, 2);
    struct skill_scratch *s = skill_scratch_take(set);
    struct skill_activation found;
    skill_activate(set, s, "alpha", 10, &found);
    assert_int_equal(found.n, 2);
    /* alpha's category answers: 1 × 0.6 × 0.85 = 0.51, and 0.51 × 0.6 × 0.85 comes back */
    NEAR(found.hits[0].score, 0.765);
    assert_string_equal(set->skills[found.hits[0].skill].name, "beta");
    NEAR(found.hits[1].score, 0.2 + 0.51 * 0.51);
    assert_int_equal(found.fired, 3); /* both, and alpha's category; beta's has 0.39 */
    skill_activate(set, s, "nothing that is known", 10, &found);
    assert_int_equal(found.n + found.seeds + found.fired, 0);
    skill_activate(set, s, "alpha beta gamma", 1, &found);
    assert_int_equal(found.n, 1);
    assert_int_equal(found.seeds, 3);
    skill_scratch_give(set, s);
    skill_set_unref(set);
}

static void ties_go_by_name_and_sixteen_fire(void **state)
{
    (void)state;
    struct skill_row rows[40];
    char text[40][3][32];
    for (int i = 0; i < 40; i++) {
        (void)snprintf(text[i][0], 32, "id%d", i);
        (void)snprintf(text[i][1], 32, "common n%02d", 39 - i);
        (void)snprintf(text[i][2], 32, "%02d-c%d", i, i);
        rows[i] = (struct skill_row){text[i][0], text[i][1], text[i][2], "", "[]", "", "", 0};
    }
    struct skill_set *set = make(rows, 40, NULL, 0);
    struct skill_scratch *s = skill_scratch_take(set);
    struct skill_activation found, again;
    skill_activate(set, s, "common", SKILL_HITS_MOST, &found);
    assert_int_equal(found.seeds, 16);
    assert_int_equal(found.n, 40); /* those that don't fire match, too */
    for (uint32_t i = 0; i < found.n; i++)
        assert_int_equal(found.hits[i].skill, i);
    assert_true(found.hits[15].score > found.hits[16].score);
    skill_activate(set, s, "common", SKILL_HITS_MOST, &again);
    assert_memory_equal(found.hits, again.hits, found.n * sizeof *found.hits);
    skill_scratch_give(set, s);
    skill_set_unref(set);
}

static void a_tag_matches_with_all_of_its_words(void **state)
{
    (void)state;
    static const struct skill_row row = {"a", "x", "c", "", "[\"fan-retention\", \"how-to\"]", "", "", 0};
    struct skill_set *set = make(&row, 1, NULL, 0);
    struct skill_scratch *s = skill_scratch_take(set);
    struct skill_activation found;
    skill_activate(set, s, "retention how to", 5, &found);
    assert_int_equal(found.n, 0);
    skill_activate(set, s, "retention of FANS", 5, &found);
    NEAR(found.hits[0].direct, 0.3);
    assert_true(skill_query_holds(set, s, "fan-retention", 13));
    assert_false(skill_query_holds(set, s, "how-to", 6));
    skill_scratch_give(set, s);
    skill_set_unref(set);
}

static void a_search_ranks_and_quotes(void **state)
{
    struct world *w = *state;
    struct arena a;
    size_t n;
    arena_init(&a, 65536);
    const struct skill_score *found = skill_search(w->set, w->scratch, "fans", NULL, &n);
    assert_int_equal(n, 3);
    assert_string_equal(w->set->skills[found[2].skill].name, "price-plans"); /* only in its content */
    assert_string_equal(skill_snippet(w->set, w->scratch, found[2].skill, &a), "Think of fans.");
    assert_string_equal(skill_snippet(w->set, w->scratch, found[0].skill, &a),
                        w->set->skills[found[0].skill].description);
    (void)skill_search(w->set, w->scratch, "fans", "08-business", &n);
    assert_int_equal(n, 1);
    (void)skill_search(w->set, w->scratch, "the of", NULL, &n);
    assert_int_equal(n, 0);
    arena_free(&a);
}

static void a_snippet_is_cut_between_words_and_characters(void **state)
{
    (void)state;
    struct skill_row row = {"a", "x", "c", "", "[]", NULL, "", 0};
    char content[4000] = "";
    for (int i = 0; i < 60; i++)
        (void)strcat(content, "ü\n\n é日本語 ");
    (void)strcat(content, "needle");
    for (int i = 0; i < 60; i++)
        (void)strcat(content, " ß\t日本語");
    row.content = content;
    struct skill_set *set = make(&row, 1, NULL, 0);
    struct skill_scratch *s = skill_scratch_take(set);
    struct arena a;
    size_t n;
    arena_init(&a, 65536);
    (void)skill_search(set, s, "needle", NULL, &n);
    const char *snippet = skill_snippet(set, s, 0, &a);
    assert_non_null(strstr(snippet, " needle "));
    assert_null(strpbrk(snippet, "\n\t"));
    assert_null(strstr(snippet, "  "));
    assert_true(strncmp(snippet, "… ", 4) == 0 && strcmp(snippet + strlen(snippet) - 4, " …") == 0);
    json_t *text = json_string(snippet); /* fails for malformed UTF-8 */
    assert_non_null(text);
    json_decref(text);
    arena_free(&a);
    skill_scratch_give(set, s);
    skill_set_unref(set);
}

static void relations_are_stated_then_shared(void **state)
{
    struct world *w = *state;
    size_t n;
    uint32_t back = skill_set_find(w->set, "win-back");
    const struct skill_related *all = skill_relations(w->set, w->scratch, back, &n);
    assert_int_equal(n, 1); /* also of the same tags and category: the stated relation counts */
    assert_string_equal(all[0].relation, "follows");
    NEAR(all[0].weight, 0.4);
    all = skill_relations(w->set, w->scratch, skill_set_find(w->set, "a"), &n);
    assert_int_equal(n, 1);
    assert_string_equal(w->set->skills[all[0].skill].name, "price-plans");
    assert_int_equal(skill_set_find(w->set, "nobody"), UINT32_MAX);
    assert_int_equal(skill_set_find(w->set, ""), UINT32_MAX);
}

static void the_graph_is_printed(void **state)
{
    const struct skill_set *set = ((struct world *)*state)->set;
    json_t *graph = skills_graph_json(set);
    assert_int_equal(json_array_size(json_object_get(graph, "nodes")), 10);
    assert_int_equal(json_array_size(json_object_get(graph, "edges")), graph_edges(set->graph));
    json_decref(graph);
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);
    assert_int_equal(skills_graph_dot(set, to), 0);
    assert_int_equal(fclose(to), 0);
    assert_non_null(strstr(text, "n0 [shape=box, label=\"price-plans\"];"));
    assert_non_null(strstr(text, "[label=\"related\", weight=0.900, dir=both];"));
    assert_non_null(strstr(text, "[label=\"follows\", weight=0.800];"));
    free(text);
}

static void nothing_is_a_set_as_well(void **state)
{
    (void)state;
    struct skill_set *set = make(NULL, 0, NULL, 0);
    struct skill_scratch *s = skill_scratch_take(set);
    struct skill_activation found;
    size_t n;
    skill_activate(set, s, "anything", 5, &found);
    assert_int_equal(found.n, 0);
    (void)skill_search(set, s, "anything", NULL, &n);
    assert_int_equal(n, 0);
    skill_scratch_give(set, s);
    skill_set_unref(set);
}

static void odd_rows_are_bounded(void **state)
{
    (void)state;
    static const struct skill_row rows[] = {
        {"a", "bad \xFF name", NULL, NULL, "{\"no\": \"list\"}", NULL, NULL, NAN},
        {"b", "b", "c", "d", "[1, \"x\", null, \"x\", \"\"]", "e", "f", 1},
    };
    struct skill_set *set = make(rows, 2, NULL, 0);
    assert_string_equal(set->skills[1].name, "bad ? name");
    assert_int_equal(set->skills[1].n_tags, 0);
    assert_int_equal(set->skills[0].n_tags, 1);
    assert_true(set->skills[1].activation_score == 0); /* JSON has no such number */
    skill_set_unref(set);
}

static void texts_are_bounded(void **state)
{
    (void)state;
    size_t len = SKILL_TEXT_MOST + 100, rows = 0;
    char *text = malloc(len + 1);
    struct skill_set *set = NULL;
    assert_non_null(text);
    memset(text, '.', len); /* no word, so that nothing is indexed */
    text[len] = '\0';
    const struct skill_row row = {"a", "a", "c", "", "[]", text, "", 0};
    struct skill_set_builder *b = skill_set_begin();
    while (skill_set_add(b, &row) == 0)
        rows++;
    assert_int_equal(skill_set_add(b, &row), -ENOBUFS); /* what is there stays of use */
    assert_int_equal(rows, SKILL_TEXTS_MOST / SKILL_TEXT_MOST);
    assert_int_equal(skill_set_finish(b, &set), 0);
    assert_int_equal(set->n_skills, rows);
    assert_int_equal(strlen(set->skills[0].content), SKILL_TEXT_MOST);
    skill_set_builder_free(b);
    skill_set_unref(set);
    free(text);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nodes_and_edges_are_as_defined),
        cmocka_unit_test(a_relation_of_no_weight_carries_nothing),
        TEST(direct_scores_are_counted),
        cmocka_unit_test(an_activation_is_direct_plus_propagated),
        cmocka_unit_test(ties_go_by_name_and_sixteen_fire),
        cmocka_unit_test(a_tag_matches_with_all_of_its_words),
        TEST(a_search_ranks_and_quotes),
        cmocka_unit_test(a_snippet_is_cut_between_words_and_characters),
        TEST(relations_are_stated_then_shared),
        TEST(the_graph_is_printed),
        cmocka_unit_test(nothing_is_a_set_as_well),
        cmocka_unit_test(odd_rows_are_bounded),
        cmocka_unit_test(texts_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
