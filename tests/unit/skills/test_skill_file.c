/* SPDX-License-Identifier: MIT */
/* Skill files as people and other tools write them: what is good is taken, what isn't is named by its line.
 */
#include "check.h"

#include "base/buf.h"
#include "skills/skill_file.h"

#include <errno.h>

#define HEAD "---\nname: one\ndescription: What it does\n"
#define TAIL "---\nDo this.\n"

struct reading {
    struct arena arena;
    struct skill_file skill;
    struct front_fault fault;
    int r;
};

static struct reading *read_text(const char *text, size_t len)
{
    struct reading *rd = calloc(1, sizeof *rd);
    assert_non_null(rd);
    arena_init(&rd->arena, 16 * 1024 * 1024);
    rd->r = skill_file_read(&rd->arena, text, len, &rd->skill, &rd->fault);
    return rd;
}

static void end(struct reading *rd)
{
    arena_free(&rd->arena);
    free(rd);
}

static void a_whole_file_is_taken(void **state)
{
    (void)state;
    static const char text[] = "---\n"
                               "name: fan-notes   # with a remark\n"
                               "description: >\n  Keeps what fans\n  have told.\n"
                               "category: 11-genie-user-skills\n"
                               "tags: [Fans, 'Long Term', fans, 7, ~]\n"
                               "related:\n  - {name: other, weight: 0.75}\n  - third\n"
                               "license: MIT\n"
                               "metadata: {author: x, deep: {er: [1, 2]}}\n"
                               "---\n\n# Notes\n\nKeep them short.\n\n---\nA line of dashes is text here.\n";
    struct reading *rd = read_text(text, strlen(text));
    assert_int_equal(rd->r, 0);
    assert_string_equal(rd->skill.name, "fan-notes");
    assert_string_equal(rd->skill.description, "Keeps what fans have told.");
    assert_string_equal(rd->skill.category, "11-genie-user-skills");
    assert_int_equal(rd->skill.n_tags, 3);
    assert_string_equal(rd->skill.tags[0], "fans");
    assert_string_equal(rd->skill.tags[1], "long-term");
    assert_string_equal(rd->skill.tags[2], "7");
    assert_int_equal(rd->skill.n_links, 2);
    assert_string_equal(rd->skill.links[0].name, "other");
    assert_true(rd->skill.links[0].weight == 0.75);
    assert_true(rd->skill.links[1].weight == SKILL_LINK_WEIGHT);
    assert_string_equal(rd->skill.content,
                        "# Notes\n\nKeep them short.\n\n---\nA line of dashes is text here.");
    assert_int_equal(rd->skill.n_notes, 0);
    end(rd);
}

static void marks_and_line_ends_of_other_systems_are_fine(void **state)
{
    (void)state;
    static const char text[] =
        "\xEF\xBB\xBF---\r\nname: one\r\ndescription: two\r\ntags: a, b c ,\r\n---\r\nA\r\nB\r\n";
    struct reading *rd = read_text(text, strlen(text));
    assert_int_equal(rd->r, 0);
    assert_string_equal(rd->skill.name, "one");
    assert_string_equal(rd->skill.content, "A\nB");
    assert_int_equal(rd->skill.n_tags, 2);
    assert_string_equal(rd->skill.tags[1], "b-c");
    assert_null(rd->skill.category);
    end(rd);
}

static void what_is_no_skill_is_refused_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int line;
        const char *why;
    } files[] = {
        {"", 1, "first line must be ---"},
        {"# A readme\n", 1, "first line must be ---"},
        {"---\nname: one\n", 1, "second line of ---"},
        {"---\n---\nx", 2, "must be a list of"},
        {"---\n- a\n---\nx", 2, "must be a list of"},
        {"---\njust words\n---\nx", 2, "must be a list of"},
        {"---\ndescription: x\n---\nx", 2, "no 'name'"},
        {"---\nname: ~\ndescription: x\n---\nx", 2, "no 'name'"},
        {"---\nname: ' '\ndescription: x\n---\nx", 2, "no 'name'"},
        {"---\nname: one\n---\nx", 2, "no 'description'"},
        {"---\nname: [one]\ndescription: x\n---\nx", 2, "'name' must be a text"},
        {"---\nname: a/b\ndescription: x\n---\nx", 2, "one line without '/'"},
        {"---\nname: \"a\\nb\"\ndescription: x\n---\nx", 2, "one line without '/'"},
        {"---\nname: one\ndescription: x\nname: two\n---\nx", 4, "'name' stands there twice"},
        {"---\nname: one\ndescription: &a x\n---\nx", 3, "anchors and aliases"},
        {"---\nname: one\ndescription: *a\n---\nx", 3, "anchors and aliases"},
        {"---\nname: one\n\tdescription: x\n---\nx", 3, "no YAML"},
        {"---\nname: one\ndescription: a: b: c\n---\nx", 3, "no YAML"},
        {"---\nname: \"one\ndescription: x\n---\nx", 4, "no YAML"},
        {"---\n? [a]\n: b\n---\nx", 2, "a key must be a text"},
        {"---\nname: one\ndescription: x\na: [[[[[[[[[1]]]]]]]]]\n---\nx", 4, "nested deeper"},
        {HEAD "---\n\n \n", 5, "no text behind"},
        {"---\nname: one\ndescription: caf\xE9\n---\nx", 3, "not UTF-8"},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct reading *rd = read_text(files[i].text, strlen(files[i].text));
        assert_int_equal(rd->r, -EBADMSG);
        if (!strstr(rd->fault.why, files[i].why) || rd->fault.line != files[i].line)
            fail_msg("%s: line %d: %s", files[i].text, rd->fault.line, rd->fault.why);
        end(rd);
    }
    struct reading *rd = read_text("---\nname: o\0e\n---\n", 17);
    assert_int_equal(rd->r, -EBADMSG);
    assert_int_equal(rd->fault.line, 2);
    end(rd);
}

static void large_things_are_refused_where_they_get_too_large(void **state)
{
    (void)state;
    static const struct {
        const char *before, *after;
        size_t bytes;
        int line;
        const char *why;
    } files[] = {
        {"---\nname: one\ndescription: ", "\n" TAIL, 1024 * 1024, 3, "front matter is longer"},
        {"---\nname: one\ndescription: ", "\n" TAIL, 20000, 3, "'description' is longer"},
        {"---\ndescription: x\nname: ", "\n" TAIL, 200, 3, "'name' is longer"},
        {HEAD "---\n", "", 70000, 5, "text is longer"},
        {HEAD "x: [", "]\n" TAIL, 0, 0, NULL}, /* an empty list is fine */
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct buf b = BUF_INIT(2 * 1024 * 1024);
        char *filler = malloc(files[i].bytes + 1);
        assert_non_null(filler);
        memset(filler, 'x', files[i].bytes);
        filler[files[i].bytes] = '\0';
        assert_int_equal(buf_adds(&b, files[i].before) | buf_adds(&b, filler) | buf_adds(&b, files[i].after),
                         0);
        struct reading *rd = read_text(b.data, b.len);
        assert_int_equal(rd->r, files[i].why ? -EBADMSG : 0);
        if (files[i].why && (!strstr(rd->fault.why, files[i].why) || rd->fault.line != files[i].line))
            fail_msg("%zu: line %d: %s", i, rd->fault.line, rd->fault.why);
        end(rd);
        free(filler);
        buf_free(&b);
    }
}

static void odd_tags_and_relations_are_left_out_with_a_note(void **state)
{
    (void)state;
    static const char text[] = HEAD "tags:\n"
                                    "  - fine\n"
                                    "  - {a: b}\n"
                                    "  - x/y\n"
                                    "related:\n"
                                    "  - {name: a, weight: 1.5}\n"
                                    "  - {name: b, weight: heavy}\n"
                                    "  - {weight: 0.5}\n"
                                    "  - {name: one}\n"
                                    "  - {name: c, weight: 1}\n" TAIL;
    static const int lines[] = {6, 7, 9, 10, 11, 12};
    struct reading *rd = read_text(text, strlen(text));
    assert_int_equal(rd->r, 0);
    assert_int_equal(rd->skill.n_tags, 1);
    assert_int_equal(rd->skill.n_links, 1);
    assert_string_equal(rd->skill.links[0].name, "c");
    assert_int_equal(rd->skill.n_notes, 6);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(rd->skill.notes[i].line, lines[i]);
    end(rd);
}

static void more_notes_than_are_kept_are_counted(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(4096);
    assert_int_equal(buf_adds(&b, HEAD "tags:\n"), 0);
    for (int i = 0; i < SKILL_NOTES_MAX + 3; i++)
        assert_int_equal(buf_addf(&b, "  - x/%d\n", i), 0);
    assert_int_equal(buf_adds(&b, TAIL), 0);
    struct reading *rd = read_text(b.data, b.len);
    assert_int_equal(rd->r, 0);
    assert_int_equal(rd->skill.n_notes, SKILL_NOTES_MAX + 1);
    assert_int_equal(rd->skill.notes[SKILL_NOTES_MAX].line, 5 + SKILL_NOTES_MAX);
    assert_string_equal(rd->skill.notes[SKILL_NOTES_MAX].why, "and 3 more");
    end(rd);
    buf_free(&b);
}

static void many_values_are_refused(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(1024 * 1024);
    assert_int_equal(buf_adds(&b, HEAD "x: ["), 0);
    for (int i = 0; i < FRONT_NODES_MAX; i++)
        assert_int_equal(buf_adds(&b, "1,"), 0);
    assert_int_equal(buf_adds(&b, "]\n" TAIL), 0);
    struct reading *rd = read_text(b.data, b.len);
    assert_int_equal(rd->r, -EBADMSG);
    assert_int_equal(rd->fault.line, 4);
    assert_non_null(strstr(rd->fault.why, "values"));
    end(rd);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_file_is_taken),
        cmocka_unit_test(marks_and_line_ends_of_other_systems_are_fine),
        cmocka_unit_test(what_is_no_skill_is_refused_with_its_line),
        cmocka_unit_test(large_things_are_refused_where_they_get_too_large),
        cmocka_unit_test(odd_tags_and_relations_are_left_out_with_a_note),
        cmocka_unit_test(more_notes_than_are_kept_are_counted),
        cmocka_unit_test(many_values_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
