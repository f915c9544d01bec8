/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "retrieval/terms.h"

/* Cuts a text; terms joined by a bar. */
static const char *cut(const char *text, size_t len)
{
    static char out[4096];
    struct terms *t = terms_new();
    const char *term;
    size_t n, at = 0;
    assert_non_null(t);
    terms_begin(t, text, len);
    while (terms_next(t, &term, &n)) {
        assert_in_range(n, 1, TERM_MAX);
        assert_true(at + n + 2 < sizeof out);
        if (at > 0)
            out[at++] = '|';
        memcpy(out + at, term, n);
        at += n;
    }
    out[at] = '\0';
    terms_free(t);
    return out;
}

#define CUTS(text, terms) assert_string_equal(cut(text, strlen(text)), terms)

static void words_are_lowered_and_stemmed(void **state)
{
    (void)state;
    CUTS("Posting POSTS posted", "post|post|post");
    CUTS("When should I post on Instagram?", "when|should|i|post|on|instagram");
    CUTS("4k video, 9pm, 1,000 fans", "4k|video|9pm|1|000|fan");
    CUTS("win-back #stoneware @lena_n", "win|back|stonewar|lena|n");
}

static void accents_and_apostrophes_go(void **state)
{
    (void)state;
    CUTS("Café CAFE café", "cafe|cafe|cafe");
    CUTS("caf\x65\xCC\x81", "cafe"); /* a combining accent */
    CUTS("Straße Ærø Łódź naïve", "strass|aero|lodz|naiv");
    CUTS("don't don’t fan's fans’ the fan's.", "dont|dont|fan|fan|the|fan");
    CUTS("o'sullivan 'quoted'", "osullivan|quot");
    CUTS("soft\xC2\xADhyphen", "softhyphen");
}

static void other_alphabets_are_lowered(void **state)
{
    (void)state;
    CUTS("ПРИВЕТ Ёлка", "привет|елка");
    CUTS("ΑΘΗΝΑ", "αθηνα");
    CUTS("ＡＢＣ１２", "abc12");
    CUTS("สวัสดี", "สวัสดี");
}

static void ideographs_are_terms_and_pairs(void **state)
{
    (void)state;
    CUTS("茶碗", "茶|碗|茶碗");
    CUTS("東京の茶", "東|京|東京|の|京の|茶|の茶");
    CUTS("茶 碗", "茶|碗"); /* no pair over a gap */
    CUTS("abc茶def", "abc|茶|def");
    CUTS("한국", "한|국|한국");
}

static void anything_else_separates(void **state)
{
    (void)state;
    CUTS("", "");
    CUTS(" \t\n…—!?", "");
    CUTS("a🎉b", "a|b");
    CUTS("one\xFFtwo", "one|two");
    CUTS("\xE8\x8C", ""); /* a cut character */
    CUTS("x\xF8\x88\x80\x80\x80y", "x|y");
    assert_string_equal(cut("a\0b", 3), "a|b");
    assert_string_equal(cut("fan'", 4), "fan");
    assert_string_equal(cut("fan's", 5), "fan");
}

static void long_words_are_cut(void **state)
{
    (void)state;
    char text[1000];
    memset(text, 'z', sizeof text);
    const char *terms = cut(text, sizeof text);
    assert_int_equal(strlen(terms), TERM_MAX);
}

static void fillers_are_known_as_the_stemmer_leaves_them(void **state)
{
    (void)state;
    static const char *const fillers[] = {"what",   "When",  "does",   "because", "very",   "every",
                                          "only",   "don't", "please", "was",     "having", "the",
                                          "before", "whose", "my",     "a"};
    static const char *const others[] = {"fan", "post", "like", "berlin", "price", "th", "b", "new"};
    for (size_t i = 0; i < ARRAY_LEN(fillers); i++) {
        const char *term = cut(fillers[i], strlen(fillers[i]));
        assert_true(term_is_filler(term, strlen(term)));
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_false(term_is_filler(others[i], strlen(others[i])));
    assert_false(term_is_filler("", 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_lowered_and_stemmed),
        cmocka_unit_test(accents_and_apostrophes_go),
        cmocka_unit_test(other_alphabets_are_lowered),
        cmocka_unit_test(ideographs_are_terms_and_pairs),
        cmocka_unit_test(anything_else_separates),
        cmocka_unit_test(long_words_are_cut),
        cmocka_unit_test(fillers_are_known_as_the_stemmer_leaves_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
