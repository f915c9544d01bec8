/* SPDX-License-Identifier: MIT */
#include "import/document.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 64 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(&arena);
    return 0;
}

static int parse(const char *json, struct document *ret)
{
    return document_parse(&arena, json, strlen(json), ret);
}

static void a_document_is_its_text_and_its_title(void **state)
{
    (void)state;
    struct document d;
    assert_int_equal(
        parse("{\"title\":\"plan.txt\",\"pageContent\":\"a\\u0000b \\ud83d\",\"wordCount\":2}", &d), 0);
    assert_string_equal(d.title, "plan.txt");
    assert_string_equal(d.text, "a\xEF\xBF\xBD"
                                "b \xEF\xBF\xBD");
    assert_int_equal(parse("{\"pageContent\":\"x\"}", &d), 0);
    assert_string_equal(d.title, "Document");
}

static void what_has_no_text_is_none(void **state)
{
    static const char *const none[] = {
        "", "{}", "[]", "{\"pageContent\":[]}", "{\"pageContent\":\" \\n\"}", "{\"page"};
    struct document d;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(none); i++)
        assert_int_equal(parse(none[i], &d), -EINVAL);
}

static void parts_are_the_whole_text_and_end_where_they_may(void **state)
{
    (void)state;
    size_t len = 10 * DOCUMENT_PART + 77, parts = 0;
    char *text = arena_alloc(&arena, len + 1);
    /* every other character is one of four bytes, then a word ends; a paragraph now and then */
    for (size_t i = 0; i + 12 < len; i += 12)
        memcpy(text + i, i % 8400 ? "abcd\xF0\x9F\x9A\x80 ef " : "abcd\xF0\x9F\x9A\x80 e\n\n", 12);
    len = strlen(text);
    for (size_t at = 0, n; at < len; at += n, parts++) {
        n = document_part(text + at, len - at);
        assert_true(n > 0 && n <= DOCUMENT_PART);
        assert_true(utf8_valid(text + at, n));
        assert_true(at + n == len || text[at + n - 1] == '\n');
    }
    assert_true(parts > 10 && parts < 22);
}

static void text_without_any_space_is_cut_between_characters(void **state)
{
    (void)state;
    size_t len = 3 * DOCUMENT_PART;
    char *text = arena_alloc(&arena, len + 1);
    memset(text, 'x', len);
    for (size_t i = 1; i + 3 <= len; i += 3)
        memcpy(text + i, "\xE2\x82\xAC", 3);
    size_t n = document_part(text, len);
    assert_true(n > DOCUMENT_PART - 4 && n <= DOCUMENT_PART);
    assert_true(utf8_valid(text, n));
}

static void a_docpath_leads_nowhere_but_into_the_folder(void **state)
{
    static const char *const bad[] = {"",       "/etc/passwd", "../secret",        "a/../../secret",
                                      "a/./b",  "a//b",        ".hidden",          "a/link",
                                      "link/x", "a/absent",    "1/2/3/4/5/6/7/8/9"};
    char dir[] = "/tmp/genie-docs-XXXXXX", path[64];
    (void)state;
    assert_non_null(mkdtemp(dir));
    _cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY);
    assert_int_equal(mkdirat(fd, "a", 0700), 0);
    close(openat(fd, "a/good.json", O_WRONLY | O_CREAT, 0600));
    assert_int_equal(symlinkat("/etc/passwd", fd, "a/link"), 0);
    assert_int_equal(symlinkat("/etc", fd, "link"), 0);
    int good = document_open(fd, "a/good.json");
    assert_true(good >= 0);
    close(good);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_true(document_open(fd, bad[i]) < 0);
    (void)unlinkat(fd, "a/good.json", 0);
    (void)unlinkat(fd, "a/link", 0);
    (void)unlinkat(fd, "link", 0);
    (void)unlinkat(fd, "a", AT_REMOVEDIR);
    (void)snprintf(path, sizeof path, "%s", dir);
    assert_int_equal(rmdir(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_document_is_its_text_and_its_title),
        cmocka_unit_test(what_has_no_text_is_none),
        cmocka_unit_test(parts_are_the_whole_text_and_end_where_they_may),
        cmocka_unit_test(text_without_any_space_is_cut_between_characters),
        cmocka_unit_test(a_docpath_leads_nowhere_but_into_the_folder),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
