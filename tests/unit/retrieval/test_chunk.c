/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "base/text.h"
#include "retrieval/chunk.h"

struct pieces {
    size_t begin[200], len[200], n;
};

static struct pieces cut(const char *text, size_t len)
{
    struct chunker c = {.text = text, .len = len};
    struct pieces p = {0};
    while (chunk_next(&c, &p.begin[p.n], &p.len[p.n]))
        assert_true(++p.n < ARRAY_LEN(p.begin));
    assert_true(p.n > 0);
    assert_int_equal(p.begin[0], 0);
    assert_int_equal(p.begin[p.n - 1] + p.len[p.n - 1], len);
    return p;
}

/* Nothing is lost, and neighbours share CHUNK_OVERLAP characters. */
static void check_overlap(const char *text, const struct pieces *p)
{
    for (size_t i = 1; i < p->n; i++) {
        size_t shared = p->begin[i - 1] + p->len[i - 1] - p->begin[i];
        assert_int_equal(utf8_count(text + p->begin[i], shared), CHUNK_OVERLAP);
        assert_in_range(utf8_count(text + p->begin[i], p->len[i]), CHUNK_OVERLAP, CHUNK_WHOLE);
    }
}

static void short_text_stays_whole(void **state)
{
    (void)state;
    char text[CHUNK_WHOLE];
    memset(text, 'x', sizeof text);
    assert_int_equal(cut("", 0).n, 1);
    assert_int_equal(cut(text, sizeof text).n, 1);
}

/* 24 sentences of 100 characters, with a paragraph's end after each of the places given. */
static size_t make_text(char *ret, const int *paragraphs, size_t n)
{
    size_t at = 0;
    for (int s = 0; s < 24; s++) {
        memset(ret + at, 'a' + s, 98);
        memcpy(ret + at + 98, ". ", 2);
        at += 100;
        for (size_t i = 0; i < n; i++)
            if (paragraphs[i] == s)
                memcpy(ret + at - 2, "\n\n", 2);
    }
    return at;
}

static void pieces_end_with_paragraphs_then_sentences(void **state)
{
    (void)state;
    char text[2400];
    const int paragraphs[] = {6};
    size_t len = make_text(text, paragraphs, 1);
    struct pieces p = cut(text, len);
    assert_int_equal(p.len[0], 700); /* the paragraph */
    assert_int_equal(p.begin[1], 680);
    assert_int_equal(p.begin[1] + p.len[1], 1600); /* the last sentence's end within 1,000 */
    check_overlap(text, &p);
    const int early[] = {2};
    len = make_text(text, early, 1);
    p = cut(text, len);
    assert_int_equal(p.len[0], 1000); /* a paragraph of 300 would make too small a piece */
}

static void text_without_borders_is_cut_between_characters(void **state)
{
    (void)state;
    char text[9000];
    for (size_t i = 0; i + 3 <= sizeof text; i += 3)
        memcpy(text + i, "\xE8\x8C\xB6", 3);
    struct pieces p = cut(text, sizeof text);
    check_overlap(text, &p);
    for (size_t i = 0; i < p.n; i++)
        assert_true(utf8_valid(text + p.begin[i], p.len[i]));
    assert_int_equal(p.len[0], 3000);
}

static void any_bytes_come_to_an_end(void **state)
{
    (void)state;
    uint64_t random = 3;
    static char text[40000];
    for (int round = 0; round < 50; round++) {
        size_t len = random_below(&random, sizeof text);
        for (size_t i = 0; i < len; i++)
            text[i] = (char)random_below(&random, round % 2 ? 256 : 40);
        (void)cut(text, len);
    }
    memset(text, 0x80, sizeof text); /* nothing begins a character */
    assert_int_equal(cut(text, sizeof text).n, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_text_stays_whole),
        cmocka_unit_test(pieces_end_with_paragraphs_then_sentences),
        cmocka_unit_test(text_without_borders_is_cut_between_characters),
        cmocka_unit_test(any_bytes_come_to_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
