/* SPDX-License-Identifier: MIT */
/* BM25 against figures worked out by hand, and the term table under it. */
#include "check.h"

#include "retrieval/bm25.h"

#include <math.h>

struct corpus {
    struct lexicon lexicon;
    struct bm25_builder builder;
    struct postings postings;
};

static void begin(struct corpus *c)
{
    *c = (struct corpus){0};
    c->builder = (struct bm25_builder){.lexicon = &c->lexicon, .cutter = terms_new()};
    assert_non_null(c->builder.cutter);
}

static void add_field(struct corpus *c, const char *text, float weight)
{
    assert_int_equal(bm25_add_text(&c->builder, text, strlen(text), weight), 0);
}

static void add_doc(struct corpus *c, const char *text)
{
    assert_int_equal(bm25_add_doc(&c->builder), 0);
    add_field(c, text, 1);
}

static void build(struct corpus *c)
{
    assert_int_equal(bm25_build(&c->builder, &c->postings), 0);
}

static void end(struct corpus *c)
{
    terms_free(c->builder.cutter);
    bm25_free(&c->builder);
    postings_free(&c->postings);
    lexicon_free(&c->lexicon);
}

static float score(const struct corpus *c, const char *const *terms, size_t n, uint32_t doc)
{
    struct tally t;
    assert_int_equal(tally_init(&t, c->builder.docs), 0);
    for (size_t i = 0; i < n; i++)
        postings_add(&c->postings, lexicon_find(&c->lexicon, terms[i], strlen(terms[i])), &t);
    float found = t.score[doc];
    tally_clear(&t);
    for (uint32_t d = 0; d < c->builder.docs; d++)
        assert_true(t.score[d] == 0);
    tally_free(&t);
    return found;
}

#define NEAR(a, b) assert_true(fabs((double)(a) - (b)) < 1e-5)

/* Lengths 3, 2, 1, so the average is 2. */
static void scores_are_as_by_hand(void **state)
{
    (void)state;
    struct corpus c;
    const char *cat[] = {"cat"}, *both[] = {"cat", "dog"}, *none[] = {"bird"};
    begin(&c);
    add_doc(&c, "cat cat dog");
    add_doc(&c, "cat fish");
    add_doc(&c, "fish");
    build(&c);
    /* idf(cat) = ln(1 + 1.5/2.5) = 0.4700036; doc 0: tf 2, 1.2 × (0.25 + 0.75 × 3/2) = 1.65;
     * 0.4700036 × 2 × 2.2 / 3.65 = 0.5665797 */
    NEAR(score(&c, cat, 1, 0), 0.5665797);
    /* doc 1 has the average length: 0.4700036 × 2.2 / 2.2 */
    NEAR(score(&c, cat, 1, 1), 0.4700036);
    NEAR(score(&c, cat, 1, 2), 0);
    /* idf(dog) = ln(1 + 2.5/1.5) = 0.9808293; 0.9808293 × 2.2 / 2.65 = 0.8142734 */
    NEAR(score(&c, both, 2, 0), 0.5665797 + 0.8142734);
    NEAR(score(&c, none, 1, 0), 0);
    end(&c);
}

static void a_title_counts_as_if_it_stood_there_three_times(void **state)
{
    (void)state;
    struct corpus weighted, plain;
    const char *cat[] = {"cat"};
    begin(&weighted);
    assert_int_equal(bm25_add_doc(&weighted.builder), 0);
    add_field(&weighted, "cat", 3);
    add_field(&weighted, "dog", 1);
    add_doc(&weighted, "bird");
    build(&weighted);
    begin(&plain);
    add_doc(&plain, "cat cat cat dog");
    add_doc(&plain, "bird");
    build(&plain);
    NEAR(score(&weighted, cat, 1, 0), score(&plain, cat, 1, 0));
    end(&weighted);
    end(&plain);
}

static void nothing_is_an_index_too(void **state)
{
    (void)state;
    struct corpus c;
    begin(&c);
    build(&c);
    assert_int_equal(c.postings.terms, 0);
    end(&c);
    begin(&c);
    add_doc(&c, "");
    build(&c);
    const char *cat[] = {"cat"};
    NEAR(score(&c, cat, 1, 0), 0);
    end(&c);
}

static void the_lexicon_knows_what_was_added(void **state)
{
    (void)state;
    struct lexicon l = {0};
    char term[16];
    assert_int_equal(lexicon_find(&l, "a", 1), LEXICON_NONE);
    for (uint32_t i = 0; i < 5000; i++) {
        int n = snprintf(term, sizeof term, "t%u", i);
        assert_int_equal(lexicon_add(&l, term, (size_t)n), i);
    }
    for (uint32_t i = 0; i < 5000; i++) {
        int n = snprintf(term, sizeof term, "t%u", i);
        assert_int_equal(lexicon_find(&l, term, (size_t)n), i);
        assert_int_equal(lexicon_add(&l, term, (size_t)n), i);
    }
    assert_int_equal(lexicon_find(&l, "t", 1), LEXICON_NONE);
    assert_int_equal(lexicon_find(&l, "t5000", 5), LEXICON_NONE);
    lexicon_free(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_are_as_by_hand),
        cmocka_unit_test(a_title_counts_as_if_it_stood_there_three_times),
        cmocka_unit_test(nothing_is_an_index_too),
        cmocka_unit_test(the_lexicon_knows_what_was_added),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
