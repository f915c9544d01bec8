/* SPDX-License-Identifier: MIT */
/* What the stages find: on a labelled set, stage by stage; on the demo data; and rules of their working
 * together. */
#include "check.h"

#include <math.h>

#define FIRST 5 /* recall is measured among so many */

struct quality {
    double recall, reciprocal_rank; /* means over the questions */
};

static bool is_wanted(const json_t *wanted, const char *id)
{
    for (size_t i = 0; i < json_array_size(wanted); i++)
        if (strcmp(json_string_value(json_array_get(wanted, i)), id) == 0)
            return true;
    return false;
}

static void add_answer(const struct index *x, const struct ranking *found, const json_t *wanted,
                       struct quality *sum)
{
    size_t hits = 0, first = 0;
    for (size_t i = 0; i < found->n; i++) {
        if (!is_wanted(wanted, x->nodes[found->item[i].node].id))
            continue;
        if (first == 0)
            first = i + 1;
        hits += i < FIRST;
    }
    sum->recall += (double)hits / (double)json_array_size(wanted);
    sum->reciprocal_rank += first ? 1.0 / (double)first : 0;
}

static void measure(const json_t *corpus, struct quality *ret)
{
    struct index *x = index_of_corpus(corpus, "id");
    struct search *s = search_new(x);
    const json_t *question, *questions = json_object_get(corpus, "questions");
    size_t i;
    json_array_foreach (questions, i, question) {
        search_run(x, s, json_string_value(json_array_get(question, 0)), NULL, NULL);
        for (int stage = 0; stage < STAGE_COUNT; stage++)
            add_answer(x, &s->stage[stage], json_array_get(question, 1), &ret[stage]);
    }
    for (int stage = 0; stage < STAGE_COUNT; stage++) {
        ret[stage].recall /= (double)i;
        ret[stage].reciprocal_rank /= (double)i;
    }
    search_free(s);
    index_free(x);
}

static json_t *load(const char *path)
{
    json_error_t error;
    json_t *corpus = json_load_file(path, 0, &error);
    if (!corpus)
        fail_msg("%s:%d: %s", path, error.line, error.text);
    return corpus;
}

static void measure_file(const char *path, size_t nodes, size_t questions, struct quality *ret)
{
    static const char *const names[] = {"bm25", "dense (tags)", "fused", "propagated", "gated"};
    _cleanup_json_ json_t *corpus = load(path);
    assert_true(json_array_size(json_object_get(corpus, "nodes")) >= nodes);
    assert_true(json_array_size(json_object_get(corpus, "questions")) >= questions);
    measure(corpus, ret);
    print_message("%s\n", path);
    for (int i = 0; i < STAGE_COUNT; i++)
        print_message("%-12s recall@%d %.3f, mean reciprocal rank %.3f\n", names[i], FIRST, ret[i].recall,
                      ret[i].reciprocal_rank);
}

/* docs/retrieval.md has the figures. */
static void the_stages_find_what_was_labelled(void **state)
{
    (void)state;
    struct quality q[STAGE_COUNT] = {0};
    measure_file("tests/unit/retrieval/labelled.json", 40, 25, q);
    assert_true(q[STAGE_BM25].recall >= 0.84);
    assert_true(q[STAGE_BM25].reciprocal_rank >= 0.83);
    assert_true(q[STAGE_DENSE].recall >= 0.40);
    assert_true(q[STAGE_RRF].recall >= q[STAGE_BM25].recall);       /* tags add what words miss */
    assert_true(q[STAGE_PROPAGATION].recall > q[STAGE_RRF].recall); /* and edges what both miss */
    assert_true(q[STAGE_ENTROPY].recall >= q[STAGE_PROPAGATION].recall);
    assert_true(q[STAGE_ENTROPY].recall >= 0.90);
    assert_true(q[STAGE_ENTROPY].reciprocal_rank >= 0.82);
}

/* Each stage must earn its place: what it leaves is no worse than what the one before it left. */
static void assert_no_worse(const struct quality *q)
{
    static const enum retrieval_stage order[] = {STAGE_BM25, STAGE_RRF, STAGE_PROPAGATION, STAGE_ENTROPY};
    for (size_t i = 1; i < ARRAY_LEN(order); i++) {
        const struct quality *before = &q[order[i - 1]], *after = &q[order[i]];
        if (after->recall < before->recall - 1e-9 || after->reciprocal_rank < before->reciprocal_rank - 1e-9)
            fail_msg("stage %d makes it worse", (int)order[i]);
    }
}

static void no_stage_makes_it_worse(void **state)
{
    (void)state;
    struct quality q[STAGE_COUNT] = {0}, larger[STAGE_COUNT] = {0};
    measure_file("tests/unit/retrieval/labelled.json", 40, 25, q);
    assert_no_worse(q);
    measure_file("tests/unit/retrieval/labelled_coach.json", 120, 40, larger);
    assert_no_worse(larger);
    assert_true(larger[STAGE_RRF].recall > larger[STAGE_BM25].recall);
    assert_true(larger[STAGE_PROPAGATION].recall > larger[STAGE_RRF].recall);
    assert_true(larger[STAGE_ENTROPY].recall >= 0.90 && larger[STAGE_ENTROPY].reciprocal_rank >= 0.94);
}

static void the_demo_answers_typical_questions(void **state)
{
    (void)state;
    static const struct {
        const char *question, *wanted;
        size_t place; /* or better */
    } questions[] = {
        {"What do my fans in Berlin like?", "fan-lena", 3},
        {"What do my fans in Berlin like?", "fan-jonas", 3},
        {"What do my fans in Berlin like?", "fan-aylin", 3},
        {"When should I post on instagram?", "ig-times", 1},
        {"Recall what you know about my launch plan", "launch-plan", 1},
        {"How much is a custom video?", "custom-videos", 1},
        {"Which hashtags work on Instagram?", "ig-tags", 1},
        {"How do I win back former subscribers?", "slow-month", 2},
        {"Who should hear first about Morning Flow?", "fan-marcus", 3},
        {"What does Kenji usually order?", "fan-kenji", 2},
        {"What should I write in the welcome message?", "of-page", 2},
        {"Which photo set sells best?", "rooftop-set", 2},
        {"Can beginners take part?", "faq-beginners", 1},
        {"Ideas for a new video", "ideas", 2},
    };
    _cleanup_json_ json_t *corpus = load("src/api/assets/demo.json");
    struct index *x = index_of_corpus(corpus, "key");
    struct search *s = search_new(x);
    assert_true(x->n_nodes >= 30);
    assert_true(json_array_size(json_object_get(corpus, "edges")) >= 60);
    assert_int_equal(json_array_size(json_object_get(corpus, "fans")), 12);
    for (size_t i = 0; i < ARRAY_LEN(questions); i++) {
        search_run(x, s, questions[i].question, NULL, NULL);
        size_t place = place_of(x, &s->stage[STAGE_ENTROPY], questions[i].wanted);
        if (place == 0 || place > questions[i].place)
            fail_msg("%s: %s stands at %zu", questions[i].question, questions[i].wanted, place);
    }
    search_free(s);
    index_free(x);
}

static void the_gate_drops_noise_that_was_found(void **state)
{
    (void)state;
    _cleanup_json_ json_t *corpus = load("tests/unit/retrieval/labelled.json");
    struct index *x = index_of_corpus(corpus, "id");
    struct search *s = search_new(x);
    search_run(x, s, "test my shop", NULL, NULL);
    assert_int_equal(place_of(x, &s->stage[STAGE_PROPAGATION], "junk-1"), 1);
    assert_int_equal(place_of(x, &s->stage[STAGE_ENTROPY], "junk-1"), 0);
    search_free(s);
    index_free(x);
}

/* The hub is tied to all five notes that answer the question, and says nothing about it itself. */
static void a_hub_does_not_pass_the_best_answer(void **state)
{
    (void)state;
    struct index_builder *b = index_begin(NULL, 0);
    char id[16], title[32];
    add_text_node(b, "hub", "Overview", "a page that links to everything else");
    for (int i = 0; i < 5; i++) {
        (void)snprintf(id, sizeof id, "n%d", i);
        (void)snprintf(title, sizeof title, "Tea ceremony %d", i);
        add_text_node(b, id, title, "how the water is poured");
    }
    for (int i = 0; i < 5; i++) {
        (void)snprintf(id, sizeof id, "n%d", i);
        assert_int_equal(index_add_edge(b, "hub", id, 1), 0);
    }
    struct index *x = finish(b);
    struct search *s = search_new(x);
    search_run(x, s, "tea ceremony", NULL, NULL);
    assert_int_equal(s->stage[STAGE_RRF].n, 5);
    assert_int_equal(s->stage[STAGE_PROPAGATION].n, 6);
    assert_int_equal(place_of(x, &s->stage[STAGE_PROPAGATION], "hub"), 6);
    assert_true(s->stage[STAGE_PROPAGATION].item[5].score > 0.1f);
    search_free(s);
    index_free(x);
}

static void fillers_count_only_when_nothing_else_is_asked(void **state)
{
    (void)state;
    struct index_builder *b = index_begin(NULL, 0);
    add_text_node(b, "band", "The Who", "a band that the studio listens to");
    add_text_node(b, "price", "Prices", "what a mug costs");
    struct index *x = finish(b);
    struct search *s = search_new(x);
    search_run(x, s, "who are the?", NULL, NULL);
    assert_int_equal(place_of(x, &s->stage[STAGE_ENTROPY], "band"), 1);
    search_run(x, s, "who is my zebra?", NULL, NULL);
    assert_int_equal(s->stage[STAGE_ENTROPY].n, 0);
    search_free(s);
    index_free(x);
}

static void odd_questions_do_no_harm(void **state)
{
    (void)state;
    struct index_builder *b = index_begin(NULL, 0);
    add_text_node(b, "a", "Tea", "green tea");
    struct index *x = finish(b);
    struct search *s = search_new(x);
    static char huge[200000];
    for (size_t i = 0; i + 8 < sizeof huge; i += 8)
        (void)sprintf(huge + i, "w%06zu ", i / 8);
    search_run(x, s, huge, NULL, NULL);
    assert_int_equal(s->stage[STAGE_ENTROPY].n, 0);
    search_run(x, s, "", NULL, NULL);
    search_run(x, s, "\xFF\xFE tea \xC3", NULL, NULL);
    assert_int_equal(s->stage[STAGE_ENTROPY].n, 1);
    search_free(s);
    index_free(x);
}

static void the_same_question_gives_the_same_answer(void **state)
{
    (void)state;
    _cleanup_json_ json_t *corpus = load("tests/unit/retrieval/labelled.json");
    struct index *x = index_of_corpus(corpus, "id"), *y = index_of_corpus(corpus, "id");
    struct search *s = search_new(x), *t = search_new(y);
    for (int round = 0; round < 3; round++) {
        search_run(x, s, "When are commissions open?", NULL, NULL);
        search_run(y, t, "What is Margaret?", NULL, NULL);
        search_run(y, t, "When are commissions open?", NULL, NULL);
        for (int i = 0; i < STAGE_COUNT; i++) {
            assert_int_equal(s->stage[i].n, t->stage[i].n);
            assert_memory_equal(s->stage[i].item, t->stage[i].item, s->stage[i].n * sizeof *s->stage[i].item);
        }
    }
    search_free(s);
    search_free(t);
    index_free(x);
    index_free(y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_stages_find_what_was_labelled),
        cmocka_unit_test(no_stage_makes_it_worse),
        cmocka_unit_test(the_demo_answers_typical_questions),
        cmocka_unit_test(the_gate_drops_noise_that_was_found),
        cmocka_unit_test(a_hub_does_not_pass_the_best_answer),
        cmocka_unit_test(fillers_count_only_when_nothing_else_is_asked),
        cmocka_unit_test(odd_questions_do_no_harm),
        cmocka_unit_test(the_same_question_gives_the_same_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
