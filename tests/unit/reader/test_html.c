/* SPDX-License-Identifier: MIT */
#include "corpora.h"

#include "base/cleanup.h"

static void test_headings_make_sections(void **state)
{
    struct corpus c;
    (void)state;
    read_text(&c, "profile.html",
              "<!doctype html><html><head><title>Mia &amp; friends</title><style>p{color:red}</style>"
              "<script>var x='<p>no</p>';</script></head><body><h1>Mia</h1><p>I paint&nbsp;in   <b>oil</b>."
              "<p>And dance &#128522;<ul><li>one<li>two</ul><h2>Prices</h2><table><tr><td>Custom<td>40"
              "</table><noscript>no</noscript></body></html>");
    assert_int_equal(c.n, 2);
    const struct draft *first = &c.drafts[0], *second = &c.drafts[1];
    assert_int_equal(first->kind, NODE_PERSONA);
    assert_string_equal(first->title, "Mia & friends: Mia");
    assert_non_null(strstr(first->content, "oil"));
    assert_non_null(strstr(first->content, "\xF0\x9F\x98\x8A"));
    assert_null(strstr(first->content, "no</p>"));
    assert_null(strstr(first->content, "color"));
    assert_string_equal(second->title, "Mia & friends: Prices");
    assert_non_null(strstr(second->content, "Custom"));
    assert_null(strstr(second->content, "no"));
    corpus_free(&c);
}

static void test_other_encodings_are_not_the_pages_affair(void **state)
{
    struct corpus c;
    (void)state;
    read_text(&c, "a.html", "<meta charset='utf-16'><p>caf\xC3\xA9 <p>caf\xC3\xA9");
    assert_non_null(strstr(c.drafts[0].content, "caf\xC3\xA9"));
    corpus_free(&c);
    read_text(&c, "a.html", "<meta charset='koi8-r'><p>caf\xE9 alone");
    assert_non_null(strstr(c.drafts[0].content, "caf\xC3\xA9 alone"));
    corpus_free(&c);
}

static void test_hostile_pages(void **state)
{
    static const char *const pieces[] = {
        "<div>",     "<p>",         "<b><i>", "</p>",
        "<script>",  "&#x110000;&", "<!--",   "<a href=\"file:///etc/passwd\">",
        "<![CDATA[", "<table><td>", "<"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        struct corpus c;
        size_t len;
        _cleanup_free_ char *page = repeat(pieces[i], 100000, &len);
        read_bytes(&c, "page.html", page, len);
        corpus_free(&c);
    }
    struct corpus c;
    size_t len;
    _cleanup_free_ char *deep = repeat("<div>", 100000, &len);
    memcpy(deep + len - 4, "text", 4);
    read_bytes(&c, "deep.html", deep, len);
    assert_int_equal(c.n, 0);
    assert_int_equal(c.n_remarks, 1);
    assert_non_null(strstr(c.remarks[0].why, "deep"));
    corpus_free(&c);
}

/* The parser compares each attribute with those before it: this page would take it an hour. */
static void test_a_tag_with_too_many_attributes(void **state)
{
    const size_t size = 8 << 20;
    _cleanup_free_ char *page = malloc(size + 32);
    struct corpus c;
    (void)state;
    assert_non_null(page);
    size_t len = (size_t)sprintf(page, "<p>before<p><a");
    for (unsigned i = 0; len < size - 32; i++)
        len += (size_t)sprintf(page + len, " a%x", i);
    len += (size_t)sprintf(page + len, ">after</a>");
    read_bytes(&c, "page.html", page, len);
    assert_int_equal(c.n, 1);
    assert_string_equal(c.drafts[0].content, "before");
    assert_int_equal(c.n_remarks, 1);
    assert_non_null(strstr(c.remarks[0].why, "attributes"));
    corpus_free(&c);
}

/* Pictures within the page, and long comments. */
static void test_long_tags_are_read(void **state)
{
    struct corpus c;
    size_t n_picture, n_comment;
    (void)state;
    _cleanup_free_ char *picture = repeat("QUJD", 500000, &n_picture), *page = malloc(8 << 20);
    _cleanup_free_ char *comment = repeat("a b ' ", 100000, &n_comment);
    assert_non_null(page);
    int len =
        sprintf(page, "<p class='a' title=\"b > c\">one<img src='data:image/png;base64,%s'><!-- %s --><p>two",
                picture, comment);
    read_bytes(&c, "page.html", page, (size_t)len);
    assert_int_equal(c.n, 1);
    assert_string_equal(c.drafts[0].content, "one\n\ntwo");
    assert_int_equal(c.n_remarks, 0);
    corpus_free(&c);
}

static void test_nothing_is_fetched_or_expanded(void **state)
{
    struct corpus c;
    (void)state;
    read_text(&c, "x.html",
              "<!DOCTYPE html [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><p>before &x; after</p>"
              "<img src='http://127.0.0.1:1/'><iframe src='file:///etc/passwd'></iframe>");
    assert_int_equal(c.n, 1);
    assert_null(strstr(c.drafts[0].content, "root:"));
    corpus_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headings_make_sections),
        cmocka_unit_test(test_other_encodings_are_not_the_pages_affair),
        cmocka_unit_test(test_hostile_pages),
        cmocka_unit_test(test_a_tag_with_too_many_attributes),
        cmocka_unit_test(test_long_tags_are_read),
        cmocka_unit_test(test_nothing_is_fetched_or_expanded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
