/* SPDX-License-Identifier: MIT */
#include "corpora.h"

static const struct source posts = {
    .name = "posts.json", .title = "posts", .kind = NODE_CONTENT, .number = 1};

static void add(struct corpus *c, const struct record *r)
{
    struct record whole = *r;
    whole.text_len = strlen(r->text);
    assert_int_equal(corpus_add(c, &posts, &whole), 0);
}

static void test_titles(void **state)
{
    static const struct {
        struct record record;
        const char *title;
    } cases[] = {
        {{.text = "Short"}, "Short"},
        {{.text = "One\ntwo   three\n\nfour"}, "One two three"},
        {{.text = "a", .title = "Given", .author = "Mia"}, "Given, by Mia"},
        {{.text = "b", .author = "Mia", .date = "1772359200"}, "Post by Mia (2026-03-01)"},
        {{.text = "c", .date = "2026-03-01T23:30:00-02:00"}, "c (2026-03-02)"},
        {{.text = "d", .date = "some day"}, "d (some day)"},
        {{.text = "This text is rather long, longer than what a title that stands for it may be"},
         "This text is rather long, longer than what a title that\xE2\x80\xA6"},
    };
    struct corpus c;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        corpus_init(&c);
        add(&c, &cases[i].record);
        assert_string_equal(c.drafts[0].title, cases[i].title);
        corpus_free(&c);
    }
}

static void test_the_same_thing_once(void **state)
{
    struct corpus c;
    (void)state;
    corpus_init(&c);
    add(&c, &(struct record){.text = "same"});
    add(&c, &(struct record){.text = " same\n"});
    add(&c, &(struct record){.text = "same", .kind = NODE_NOTE});
    add(&c, &(struct record){.text = "same", .date = "2026-01-01"});
    add(&c, &(struct record){.text = " \n"});
    assert_int_equal(c.n, 3);
    assert_int_equal(c.counts.duplicates, 1);
    assert_int_equal(c.counts.without_text, 1);
    corpus_free(&c);
}

static void test_it_ends_when_it_is_full(void **state)
{
    struct corpus c;
    char text[32];
    (void)state;
    corpus_init(&c);
    for (int i = 0; i < CORPUS_NODES_MAX + 10; i++) {
        (void)snprintf(text, sizeof text, "text %d", i);
        add(&c, &(struct record){.text = text});
    }
    assert_int_equal(c.n, CORPUS_NODES_MAX);
    assert_int_equal(c.counts.left_out, 10);
    assert_true(corpus_is_full(&c));
    corpus_free(&c);
}

/* Within a file too. */
static void test_readers_look_at_the_cancel(void **state)
{
    static const struct {
        const char *name, *piece;
    } files[] = {{"a.json", "{\"text\":\"a\"}\n"},
                 {"a.csv", "text,b\n"},
                 {"a.md", "# a\nb\n"},
                 {"a.html", "<h1>a</h1>b"},
                 {"a.txt", "some words "}};
    struct cancel cancel = {.raised = true};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct corpus c;
        size_t len;
        _cleanup_free_ char *text = repeat(files[i].piece, 100000, &len);
        corpus_init(&c);
        c.cancel = &cancel;
        assert_int_equal(format_read_file(&c, files[i].name, 1, text, len), 0);
        assert_true(c.counts.records + c.counts.without_text < 100);
        corpus_free(&c);
    }
}

static void test_remarks_are_bounded(void **state)
{
    struct corpus c;
    (void)state;
    corpus_init(&c);
    for (int i = 0; i < CORPUS_REMARKS_MAX + 10; i++)
        corpus_remark(&c, "x.json", "broken");
    assert_int_equal(c.n_remarks, CORPUS_REMARKS_MAX);
    corpus_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_titles),
        cmocka_unit_test(test_the_same_thing_once),
        cmocka_unit_test(test_it_ends_when_it_is_full),
        cmocka_unit_test(test_readers_look_at_the_cancel),
        cmocka_unit_test(test_remarks_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
