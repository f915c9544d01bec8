/* SPDX-License-Identifier: MIT */
/* Vectors against cosines in full precision, tag overlap by hand, and the stored form of vectors. */
#include "check.h"

#include "base/text.h"
#include "retrieval/dense.h"
#include "retrieval/embedding.h"

#include <errno.h>
#include <math.h>

#define DIM 100
#define NODES 60

static double cosine(const float *a, const float *b)
{
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < DIM; i++) {
        ab += (double)a[i] * b[i];
        aa += (double)a[i] * a[i];
        bb += (double)b[i] * b[i];
    }
    return ab / sqrt(aa * bb);
}

static void cosines_are_near_the_exact_ones(void **state)
{
    (void)state;
    static float node[NODES][DIM], question[DIM];
    uint64_t random = 5;
    struct vectors v;
    struct ranking found;
    assert_int_equal(vectors_init(&v, NODES, DIM), 0);
    int8_t work[DIM + 64];
    assert_true(v.stride <= sizeof work);
    for (size_t i = 0; i < DIM; i++)
        question[i] = (float)random_below(&random, 2001) / 1000 - 1;
    for (uint32_t n = 0; n < NODES; n++) {
        for (size_t i = 0; i < DIM; i++)
            node[n][i] =
                ((float)random_below(&random, 2001) / 1000 - 1) * (float)(n + 1) + question[i] * (float)n;
        vectors_set(&v, n, node[n]);
    }
    assert_int_equal(v.present, NODES);
    ranking_begin(&found, RANKING_MAX);
    vectors_rank(&v, question, work, &found);
    assert_in_range(found.n, NODES - 3, NODES);
    for (size_t i = 0; i < found.n; i++)
        assert_true(fabs((double)found.item[i].score - cosine(question, node[found.item[i].node])) < 0.01);
    vectors_free(&v);
}

static void vectors_without_direction_are_left_out(void **state)
{
    (void)state;
    float nothing[4] = {0}, odd[4] = {1, NAN, 0, 0}, endless[4] = {INFINITY, 0, 0, 0},
          right[4] = {0, 1e-20f, 0, 0}, opposite[4] = {0, -3, 0, 0};
    const float *given[] = {nothing, odd, endless, right, opposite};
    struct vectors v;
    struct ranking found;
    int8_t work[64];
    assert_int_equal(vectors_init(&v, ARRAY_LEN(given), 4), 0);
    for (uint32_t n = 0; n < ARRAY_LEN(given); n++)
        vectors_set(&v, n, given[n]);
    assert_int_equal(v.present, 2);
    ranking_begin(&found, 10);
    vectors_rank(&v, right, work, &found);
    assert_int_equal(found.n, 1); /* what points away is not near */
    assert_int_equal(found.item[0].node, 3);
    assert_true(fabsf(found.item[0].score - 1) < 0.01f);
    ranking_begin(&found, 10);
    vectors_rank(&v, nothing, work, &found);
    assert_int_equal(found.n, 0);
    vectors_set(&v, 3, nothing);
    assert_int_equal(v.present, 1);
    vectors_free(&v);
    assert_int_equal(vectors_init(&v, 1, 0), -EINVAL);
    assert_int_equal(vectors_init(&v, 1, VECTOR_DIM_MAX + 1), -EINVAL);
}

static void add_tags(struct overlap_builder *b, uint32_t node, const char *const *tags, size_t n,
                     float weight)
{
    for (size_t i = 0; i < n; i++)
        assert_int_equal(overlap_add(b, node, tags[i], strlen(tags[i])), 0);
    overlap_end_node(b, weight);
}

static void tag_overlap_is_as_by_hand(void **state)
{
    (void)state;
    struct lexicon lexicon = {0};
    struct overlap_builder b = {.lexicon = &lexicon, .cutter = terms_new()};
    struct postings p;
    struct tally t;
    const char *first[] = {"Berlin", "win-back", "wins"}, *second[] = {"berlin"},
               *third[] = {"berlin", "dance"};
    add_tags(&b, 0, first, 3, 0.6f); /* berlin, win, back: three terms */
    add_tags(&b, 1, second, 1, 0.5f);
    add_tags(&b, 2, third, 2, 0); /* a node without weight counts for nothing */
    add_tags(&b, 3, NULL, 0, 1);
    assert_int_equal(overlap_build(&b, &p), 0);
    assert_int_equal(tally_init(&t, 4), 0);
    postings_add(&p, lexicon_find(&lexicon, "berlin", 6), &t);
    postings_add(&p, lexicon_find(&lexicon, "win", 3), &t);
    assert_int_equal(t.n, 2);
    assert_true(fabsf(t.score[0] - 0.6f * 2 / sqrtf(3)) < 1e-6f);
    assert_true(fabsf(t.score[1] - 0.5f) < 1e-6f);
    tally_free(&t);
    postings_free(&p);
    terms_free(b.cutter);
    overlap_free(&b);
    lexicon_free(&lexicon);
}

static void stored_vectors_prove_whose_they_are(void **state)
{
    (void)state;
    const float values[] = {1.5f, -2.25f, 0};
    uint64_t fingerprint = embedding_fingerprint("model", "text");
    _cleanup_buf_ struct buf blob = BUF_INIT(1000);
    assert_int_equal(embedding_encode(&blob, fingerprint, values, 3), 0);
    assert_int_equal(blob.len, 8 + 12);
    const void *bytes;
    size_t dim;
    float back[3];
    assert_int_equal(embedding_decode(blob.data, blob.len, fingerprint, &bytes, &dim), 0);
    assert_int_equal(dim, 3);
    embedding_floats(bytes, dim, back);
    assert_memory_equal(back, values, sizeof values);
    assert_int_equal(
        embedding_decode(blob.data, blob.len, embedding_fingerprint("model", "text!"), &bytes, &dim),
        -ESTALE);
    assert_int_equal(
        embedding_decode(blob.data, blob.len, embedding_fingerprint("modelt", "ext"), &bytes, &dim), -ESTALE);
    assert_int_equal(embedding_decode(blob.data, blob.len - 1, fingerprint, &bytes, &dim), -EINVAL);
    assert_int_equal(embedding_decode(blob.data, 8, fingerprint, &bytes, &dim), -EINVAL);
    assert_int_equal(embedding_decode(NULL, 0, fingerprint, &bytes, &dim), -EINVAL);
}

static void the_embedded_text_is_bounded_and_well_formed(void **state)
{
    (void)state;
    char out[EMBEDDING_TEXT_MAX + 1], content[5000];
    assert_int_equal(embedding_text("Title", "", "Content", out), 13);
    assert_string_equal(out, "Title\nContent");
    assert_int_equal(embedding_text(" ", "", "", out), 0);
    for (size_t i = 0; i + 2 < sizeof content; i += 2)
        memcpy(content + i, "\xC3\xA9", 3);
    size_t len = embedding_text("Title", "a, b", content, out);
    assert_in_range(len, EMBEDDING_TEXT_MAX - 1, EMBEDDING_TEXT_MAX);
    assert_true(utf8_valid(out, len));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cosines_are_near_the_exact_ones),
        cmocka_unit_test(vectors_without_direction_are_left_out),
        cmocka_unit_test(tag_overlap_is_as_by_hand),
        cmocka_unit_test(stored_vectors_prove_whose_they_are),
        cmocka_unit_test(the_embedded_text_is_bounded_and_well_formed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
