/* SPDX-License-Identifier: MIT */
/* Files into rows: new, changed and unchanged ones, duplicates, relations to nobody, folders of others. */
#include "../db/store.h"
#include "../support/temp_dir.h"

#include "skills/folder.h"
#include "skills/import.h"
#include "skills/skills.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int set_up(void **state)
{
    log_configure(LOG_ERROR, false);
    return store_set_up_migrated(state);
}

static struct skill_text text_of(const char *path, const char *text)
{
    return (struct skill_text){path, text, strlen(text)};
}

static void import_texts(struct store *s, const struct skill_text *texts, size_t n, struct skills_import *ret)
{
    assert_int_equal(skills_import_texts(s->db, texts, n, ret), 0);
}

static void assert_counts(const struct skills_import *i, size_t added, size_t changed, size_t unchanged,
                          size_t skipped)
{
    assert_int_equal(i->counts[SKILL_ADDED], added);
    assert_int_equal(i->counts[SKILL_CHANGED], changed);
    assert_int_equal(i->counts[SKILL_UNCHANGED], unchanged);
    assert_int_equal(i->counts[SKILL_SKIPPED], skipped);
}

#define ONE \
    "---\nname: one\ndescription: first\ntags: [a, b]\nrelated: [{name: two, weight: 0.25}, " \
    "nobody]\n---\nText"
#define TWO "---\nname: two\ndescription: second\n---\nText"

static void skills_are_upserted_by_name(void **state)
{
    struct store *s = *state;
    struct skill_text texts[] = {text_of("01-core-development/one.md", ONE), text_of("x/two.md", TWO)};
    struct skills_import i;
    import_texts(s, texts, 2, &i);
    assert_counts(&i, 2, 0, 0, 0);
    assert_int_equal(i.relations, 1);
    assert_int_equal(i.items[0].skill.n_notes, 1);
    assert_int_equal(i.items[0].skill.notes[0].line, 5);
    assert_non_null(strstr(i.items[0].skill.notes[0].why, "'nobody'"));
    skills_import_free(&i);

    import_texts(s, texts, 2, &i);
    assert_counts(&i, 0, 0, 2, 0);
    skills_import_free(&i);

    texts[1] = text_of("two.md", "---\nname: two\ndescription: second\nrelated: [one]\n---\nText");
    import_texts(s, texts, 2, &i);
    assert_counts(&i, 0, 1, 1, 0); /* a relation is a change */
    skills_import_free(&i);

    struct skill_set *set = NULL;
    assert_int_equal(skills_load(s->db, &set), 0);
    assert_int_equal(set->n_skills, 2);
    assert_string_equal(set->skills[0].category, "01-core-development");
    assert_string_equal(set->skills[1].category, SKILLS_OWN_CATEGORY);
    assert_int_equal(set->skills[0].n_tags, 2);
    skill_set_unref(set);
}

static void what_is_no_skill_and_second_names_are_skipped(void **state)
{
    struct store *s = *state;
    const struct skill_text texts[] = {
        text_of("a.md", TWO), text_of("b.md", "# Readme"),
        text_of("c.md", "---\nother: x\nname: two\ndescription: y\n---\nText")};
    struct skills_import i;
    import_texts(s, texts, 3, &i);
    assert_counts(&i, 1, 0, 0, 2);
    assert_int_equal(i.items[1].fault.line, 1);
    assert_int_equal(i.items[2].fault.line, 3);
    assert_non_null(strstr(i.items[2].fault.why, "a.md"));
    json_t *report = skills_import_json(&i);
    assert_int_equal(json_array_size(json_object_get(report, "skipped")), 2);
    json_decref(report);
    skills_import_free(&i);
}

static void the_shipped_skills_make_a_graph(void **state)
{
    struct store *s = *state;
    struct skills_import i;
    struct skill_set *set = NULL;
    assert_int_equal(skills_import_shipped(s->db, &i), 0);
    assert_true(i.counts[SKILL_ADDED] >= 40);
    assert_counts(&i, i.n, 0, 0, 0);
    for (size_t k = 0; k < i.n; k++)
        assert_int_equal(i.items[k].skill.n_notes, 0); /* no relation leads nowhere */
    skills_import_free(&i);
    assert_int_equal(skills_load(s->db, &set), 0);
    assert_int_equal(set->n_categories, 11);
    for (uint32_t k = 0; k < set->n_skills; k++) {
        assert_true(set->skills[k].n_tags >= 3);
        assert_true(strlen(set->skills[k].content) > 600);
    }
    skill_set_unref(set);
}

static void write_file(const char *dir, const char *name, const char *text)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void folders_are_walked_in_order(void **state)
{
    (void)state;
    char dir[] = "/tmp/genie-skills-XXXXXX", path[128];
    struct arena a;
    struct folder f;
    assert_non_null(mkdtemp(dir));
    for (size_t i = 0; i < 4; i++) {
        static const char *const made[] = {"z", "b", "b/references", ".git"};
        (void)snprintf(path, sizeof path, "%s/%s", dir, made[i]);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    static const char *const files[] = {
        "z/one.MD",  "z/two.txt", "b/SKILL.md", "b/other.md", "b/references/deep.md",
        ".git/x.md", "a.md",      ".hidden.md"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        write_file(dir, files[i], TWO);
    (void)snprintf(path, sizeof path, "%s/link.md", dir);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    arena_init(&a, 4 * 1024 * 1024);
    (void)snprintf(path, sizeof path, "%s//", dir);
    assert_int_equal(folder_list(&a, path, &f), 0);
    assert_int_equal(f.n, 3);
    assert_string_equal(f.entries[0].path, "a.md");
    assert_string_equal(f.entries[1].path, "b/SKILL.md");
    assert_string_equal(f.entries[2].path, "z/one.MD");
    char *text;
    size_t len;
    assert_int_equal(folder_read(&a, dir, "a.md", 10, &text, &len), -EFBIG);
    assert_int_equal(folder_read(&a, dir, "link.md", 1000, &text, &len), -ELOOP);
    assert_int_equal(folder_read(&a, dir, "a.md", 1000, &text, &len), 0);
    assert_string_equal(text, TWO);
    assert_int_equal(folder_list(&a, "/nowhere", &f), -ENOENT);
    assert_int_equal(folder_list(&a, "/etc/passwd", &f), -ENOTDIR);
    arena_free(&a);
    remove_dir(dir);
}

static void make_folders(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
        *slash = '/';
    }
}

static const struct import_item *item_of(const struct skills_import *i, const char *path)
{
    for (size_t k = 0; k < i->n; k++)
        if (strcmp(i->items[k].path, path) == 0)
            return &i->items[k];
    fail_msg("nothing is told of %s", path);
    return NULL;
}

#define EUROS_5 "\u20ac\u20ac\u20ac\u20ac\u20ac"
#define EUROS_20 EUROS_5 EUROS_5 EUROS_5 EUROS_5
#define EUROS_60 EUROS_20 EUROS_20 EUROS_20 /* longer than any reason, which is cut within one */

/* Names and texts that no report could hold as they are: one of them cost the whole import before. */
static void a_folder_of_strangers_is_told_of_whole(void **state)
{
    struct store *s = *state;
    static const struct {
        const char *path, *text, *shown, *reason; /* reason: NULL = taken */
    } files[] = {
        {"01-caf\xe9/SKILL.md", "---\nname: latin\ndescription: x\n---\nText", "01-caf?/SKILL.md", NULL},
        {"\x1b[31mred.md", "# Readme", "?[31mred.md", "there is no front matter"},
        {"link.md", "---\nname: link\ndescription: x\nrelated: [xx" EUROS_60 ", \"\\e[31mred\"]\n---\nText",
         "link.md", NULL},
        {"key.md", "---\nxx" EUROS_60 ": 1\nxx" EUROS_60 ": 2\n---\nText", "key.md", "stands there twice"},
        {"1/2/3/4/5/6/7/8.md", "---\nname: eight\ndescription: x\n---\nText", "1/2/3/4/5/6/7/8.md", NULL},
        {"1/2/3/4/5/6/7/8/9.md", TWO, "1/2/3/4/5/6/7/8/9.md", "deeper than 8 levels"},
        {"1/2/3/4/5/6/7/8/9/10.md", TWO, "1/2/3/4/5/6/7/8/9", "deeper than 8 levels"},
    };
    char dir[] = "/tmp/genie-skills-XXXXXX", path[256];
    struct skills_import i;
    assert_non_null(mkdtemp(dir));
    for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, files[k].path);
        make_folders(path);
        write_file(dir, files[k].path, files[k].text);
    }
    assert_int_equal(skills_import_folder(s->db, dir, NULL, NULL, &i), 0);
    assert_counts(&i, 3, 0, 0, 4);
    for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
        const struct import_item *item = item_of(&i, files[k].shown);
        assert_int_equal(item->outcome == SKILL_SKIPPED, files[k].reason != NULL);
        if (files[k].reason)
            assert_non_null(strstr(item->fault.why, files[k].reason));
    }
    assert_string_equal(item_of(&i, "link.md")->skill.notes[1].why,
                        "there is no skill '?[31mred', so that relation was left out");
    json_t *report = skills_import_json(&i);
    assert_non_null(report);
    assert_int_equal(json_array_size(json_object_get(report, "skipped")), 4);
    assert_int_equal(json_array_size(json_object_get(report, "notes")), 2);
    json_decref(report);
    skills_import_free(&i);
    remove_dir(dir);
}

#define CANT_STEP_DOWN 77

/* As somebody who may not read all of it; root may, so it steps down in a process of its own. */
static void what_may_not_be_read_is_told(void **state)
{
    (void)state;
    char dir[] = "/tmp/genie-skills-XXXXXX", path[128];
    int status = -1;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/closed", dir);
    assert_int_equal(chmod(dir, 0755) | mkdir(path, 0), 0);
    pid_t child = fork();
    if (child == 0) {
        struct arena a;
        struct folder f;
        arena_init(&a, 4 * 1024 * 1024);
        bool stepped_down = geteuid() != 0 || seteuid(65534) == 0;
        int r = stepped_down ? folder_list(&a, dir, &f) : -EPERM;
        bool told =
            r == 0 && f.n == 1 && strcmp(f.entries[0].path, "closed") == 0 && f.entries[0].error == -EACCES;
        _exit(!stepped_down ? CANT_STEP_DOWN : told ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(rmdir(path) | rmdir(dir), 0);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == CANT_STEP_DOWN)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, store_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(skills_are_upserted_by_name),
        TEST(what_is_no_skill_and_second_names_are_skipped),
        TEST(the_shipped_skills_make_a_graph),
        cmocka_unit_test(folders_are_walked_in_order),
        TEST(a_folder_of_strangers_is_told_of_whole),
        cmocka_unit_test(what_may_not_be_read_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
