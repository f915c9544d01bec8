/* SPDX-License-Identifier: MIT */
#include "corpora.h"

#include "base/cleanup.h"

static void test_headings_make_sections(void **state)
{
    struct corpus c;
    (void)state;
    read_text(&c, "notes/launch_plan.md",
              "---\ntitle: \"Launch\"\ntags: [spring, Set]\n---\nFirst words #draft\n\n# Why\r\nBecause.\n\n"
              "Under\n-----\n```\n# no heading\n```\n#hashtag only\n");
    assert_int_equal(c.n, 3);
    assert_string_equal(c.drafts[0].title, "Launch");
    assert_string_equal(c.drafts[0].tags, "[\"spring\",\"set\",\"draft\"]");
    assert_string_equal(c.drafts[1].title, "Launch: Why");
    assert_string_equal(c.drafts[1].content, "Because.");
    assert_string_equal(c.drafts[2].title, "Launch: Under");
    assert_non_null(strstr(c.drafts[2].content, "# no heading"));
    assert_string_equal(c.drafts[2].tags, "[\"spring\",\"set\",\"hashtag\"]");
    assert_int_equal(c.drafts[0].kind, NODE_NOTE);
    corpus_free(&c);
    read_text(&c, "about-me.md", "# Mia\nI paint.\n");
    assert_string_equal(c.drafts[0].title, "Mia");
    assert_int_equal(c.drafts[0].kind, NODE_PERSONA);
    corpus_free(&c);
}

static void test_long_text_is_cut_into_pieces(void **state)
{
    struct corpus c;
    size_t len;
    (void)state;
    _cleanup_free_ char *text = repeat("A sentence about the plan of spring. ", 200, &len);
    char numbered[24];
    for (size_t i = 0; i + 37 < len; i += 37) { /* no two pieces are the same */
        (void)snprintf(numbered, sizeof numbered, "%03zu", i / 37);
        memcpy(text + i + 2, numbered, 3);
    }
    read_bytes(&c, "plan.txt", text, len);
    assert_true(c.n >= 7 && c.n <= 9);
    for (size_t i = 0; i < c.n; i++) {
        assert_true(strlen(c.drafts[i].content) <= 1200);
        assert_int_equal(c.drafts[i].part, i);
    }
    assert_non_null(strstr(c.drafts[0].title, "plan (1/"));
    corpus_free(&c);
}

static void test_hostile_documents(void **state)
{
    static const char *const pieces[] = {"#",      "# \n", "---\n",    "```\n",
                                         "x\n=\n", "\r",   "title:\n", "###### a\n"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        struct corpus c;
        size_t len;
        _cleanup_free_ char *page = repeat(pieces[i], 200000, &len);
        read_bytes(&c, "page.md", page, len);
        corpus_free(&c);
    }
}

static void test_what_is_no_text_is_named(void **state)
{
    struct corpus c;
    static const char elf[] = "\x7F"
                              "ELF\2\1\1\0\0\0\0\0\0\0\0\0\3\0>\0";
    (void)state;
    read_bytes(&c, "program.txt", elf, sizeof elf - 1);
    assert_int_equal(c.n, 0);
    assert_int_equal(c.counts.files_left, 1);
    assert_string_equal(c.remarks[0].name, "program.txt");
    corpus_free(&c);
    read_bytes(&c, "controls.txt", "\1\2\3\4\5\6", 6);
    assert_int_equal(c.n, 0);
    corpus_free(&c);
    read_text(&c, "inner.zip", "PK\3\4");
    assert_non_null(strstr(c.remarks[0].why, "archive"));
    corpus_free(&c);
    read_text(&c, "photo.jpg", "JFIF");
    assert_int_equal(c.counts.files_other, 1);
    assert_int_equal(c.n_remarks, 0);
    corpus_free(&c);
    read_text(&c, "empty.txt", "");
    assert_int_equal(c.n, 0);
    corpus_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headings_make_sections),
        cmocka_unit_test(test_long_text_is_cut_into_pieces),
        cmocka_unit_test(test_hostile_documents),
        cmocka_unit_test(test_what_is_no_text_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
