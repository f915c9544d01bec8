/* SPDX-License-Identifier: MIT */
#include "corpora.h"

#include "base/cleanup.h"
#include "reader/csv.h"

/* All cells of a text as "a|b/c|d/". */
static void cells(const char *text, char *ret, size_t size)
{
    struct csv csv;
    enum csv_cell got;
    size_t n = 0;
    csv_begin(&csv, text, strlen(text));
    while ((got = csv_next(&csv)) == CSV_CELL || got == CSV_LAST)
        n += (size_t)snprintf(ret + n, size - n, "%s%s", csv.cell.data, got == CSV_CELL ? "|" : "/");
    assert_int_equal(got, CSV_END);
    ret[n] = '\0';
    csv_free(&csv);
}

static void test_cells_follow_the_rfc(void **state)
{
    static const struct {
        const char *text, *cells;
    } cases[] = {
        {"a,b\nc,d\n", "a|b/c|d/"},
        {"a,b\r\nc,d", "a|b/c|d/"},
        {"a\rb\r", "a/b/"},
        {"\"a,1\",\"b \"\"q\"\"\nx\",c\n", "a,1|b \"q\"\nx|c/"},
        {"a;b;c\n1,5;2;3\n", "a|b|c/1,5|2|3/"},
        {"sep=;\na;b,c\n", "a|b,c/"},
        {"a\tb\n", "a|b/"},
        {"a,,b\n,,\n", "a||b/|/"},
        {"\"\"\n", "/"},
        {"a \"quoted\" b,c\n", "a \"quoted\" b|c/"},
        {"\"a\"x,b\n", "ax|b/"},
        {"", ""},
    };
    char got[256];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cells(cases[i].text, got, sizeof got);
        if (strcmp(cases[i].text, "a,,b\n,,\n") == 0)
            assert_string_equal(got, "a||b/||/");
        else
            assert_string_equal(got, cases[i].cells);
    }
}

static void test_rows_become_fans(void **state)
{
    struct corpus c;
    (void)state;
    read_text(&c, "fans.csv",
              "display_name,username,total_spend,tags,notes,email\n"
              "Anna,@anna,120,\"vip,berlin\",Loves rope,a@example.com\n"
              "J\xC3\xBCrgen,@j,3,,,\n,,,,,\n");
    assert_int_equal(c.n, 2);
    const struct draft *anna = draft_of(&c, "Loves rope");
    assert_int_equal(anna->kind, NODE_FAN_MEMORY);
    assert_string_equal(anna->title, "Fan Anna");
    assert_string_equal(anna->content, "Loves rope\n\nusername: @anna\ntotal_spend: 120");
    assert_string_equal(anna->tags, "[\"vip\",\"berlin\"]");
    assert_string_equal(draft_of(&c, "username: @j")->title, "Fan J\xC3\xBCrgen");
    assert_int_equal(c.counts.without_text, 1);
    corpus_free(&c);
}

static void test_without_names_every_cell_is_text(void **state)
{
    struct corpus c;
    (void)state;
    read_text(&c, "posts.csv", "2026-01-01,Hello there,12\n2026-01-02,Second,13\n");
    assert_int_equal(c.n, 2);
    assert_non_null(strstr(c.drafts[0].content, "Hello there"));
    corpus_free(&c);
}

static void test_encodings(void **state)
{
    struct corpus c;
    static const char utf16[] = "\xFF\xFEn\0a\0m\0e\0,\0n\0o\0t\0e\0\n\0J\0\xFC\0,\0=\xD8\x0A\xDE\n\0";
    (void)state;
    read_bytes(&c, "fans.csv", utf16, sizeof utf16 - 1);
    assert_string_equal(draft_of(&c, "\xF0\x9F\x98\x8A")->title, "Fan J\xC3\xBC");
    corpus_free(&c);
    read_text(&c, "fans.csv", "name,note\nJ\xFCrgen,na\xEFve \x80\n"); /* Windows-1252 */
    assert_string_equal(draft_of(&c, "na\xC3\xAFve \xE2\x82\xAC")->title, "Fan J\xC3\xBCrgen");
    corpus_free(&c);
    read_text(&c, "fans.csv", "\xEF\xBB\xBFname,note\nAnna,hi\n");
    assert_string_equal(draft_of(&c, "hi")->title, "Fan Anna");
    corpus_free(&c);
}

static void test_a_table_that_is_too_long_is_read_in_part(void **state)
{
    static const char head[] = "name,text,id\nanna,first,";
    char row[2000];
    struct corpus c;
    size_t len;
    (void)state;
    (void)snprintf(row, sizeof row, "anna,this row is there often,%01900d\n", 0); /* ids aren't kept */
    _cleanup_free_ char *rows = repeat(row, (FORMAT_FILE_MAX + (1 << 20)) / strlen(row), &len);
    memcpy(rows, head, strlen(head));
    memcpy(rows + len - strlen(row), "anna,last", 9);
    read_bytes(&c, "fans.csv", rows, len);
    assert_int_equal(c.n, 2);
    assert_string_equal(draft_of(&c, "this row")->content, "this row is there often");
    assert_int_equal(c.counts.files_read, 1);
    assert_int_equal(c.n_remarks, 1);
    assert_non_null(strstr(c.remarks[0].why, "too large"));
    corpus_free(&c);
}

static void test_hostile_tables(void **state)
{
    struct corpus c;
    size_t len;
    (void)state;
    read_text(&c, "posts.csv", "text\nkept\n\"never closed\nmore,\nand more\n");
    assert_int_equal(c.n, 1);
    assert_int_equal(c.n_remarks, 1);
    assert_non_null(strstr(c.remarks[0].why, "quote"));
    corpus_free(&c);

    _cleanup_free_ char *wide = repeat("column,", 200000, &len);
    read_bytes(&c, "wide.csv", wide, len);
    corpus_free(&c);

    _cleanup_free_ char *cell = repeat("x\xC3\xA9", 400000, &len);
    char *table = malloc(len + 16);
    int n = sprintf(table, "text\n\"%s\"\n", cell);
    read_bytes(&c, "cell.csv", table, (size_t)n);
    assert_true(c.n > 1 && c.bytes <= 80 * 1024);
    corpus_free(&c);
    free(table);

    _cleanup_free_ char *quotes = repeat("\"", 1000001, &len);
    read_bytes(&c, "quotes.csv", quotes, len);
    corpus_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cells_follow_the_rfc),
        cmocka_unit_test(test_rows_become_fans),
        cmocka_unit_test(test_without_names_every_cell_is_text),
        cmocka_unit_test(test_encodings),
        cmocka_unit_test(test_a_table_that_is_too_long_is_read_in_part),
        cmocka_unit_test(test_hostile_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
