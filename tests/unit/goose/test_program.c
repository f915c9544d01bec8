/* SPDX-License-Identifier: MIT */
#include "../support/temp_dir.h"

#include "goose/program.h"

#include "base/json.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

struct place {
    char dir[64];
    struct arena a;
    struct config cfg;
};

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    assert_non_null(p);
    (void)snprintf(p->dir, sizeof p->dir, "/tmp/genie-goose-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    arena_init(&p->a, 16 * RECIPE_MAX);
    p->cfg = (struct config){.data_dir = p->dir, .goose_bin = "sh", .goose_env = "GOOSE_MODEL"};
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    remove_dir(p->dir);
    arena_free(&p->a);
    free(p);
    return 0;
}

static void write_file(struct place *p, const char *name, const char *text, mode_t mode)
{
    int fd = open(arena_printf(&p->a, "%s/%s", p->dir, name), O_WRONLY | O_CREAT | O_TRUNC, mode);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
}

static void found_in_path_or_by_its_path(void **state)
{
    struct place *p = *state;
    struct program program;
    assert_int_equal(program_find(&p->cfg, &p->a, &program), 0);
    assert_int_equal(program.path[0], '/');
    static const char *const missing[] = {"no-such-goose", "/no/such/goose", ""};
    for (size_t i = 0; i < ARRAY_LEN(missing); i++) {
        p->cfg.goose_bin = missing[i];
        assert_int_equal(program_find(&p->cfg, &p->a, &program), -ENOENT);
    }
    write_file(p, "no-program", "text", 0600);
    p->cfg.goose_bin = arena_printf(&p->a, "%s/no-program", p->dir);
    if (geteuid() != 0)
        assert_int_equal(program_find(&p->cfg, &p->a, &program), -ENOENT);
    p->cfg.goose_bin = p->dir;
    assert_int_equal(program_find(&p->cfg, &p->a, &program), -ENOENT);
}

static bool has_line(const char *const *env, const char *line)
{
    for (; *env; env++)
        if (strcmp(*env, line) == 0)
            return true;
    return false;
}

static void only_named_variables_are_passed_on(void **state)
{
    struct place *p = *state;
    struct program program;
    assert_int_equal(setenv("GOOSE_MODEL", "a model", 1), 0);
    assert_int_equal(setenv("GOOSE_OTHER", "another", 1), 0);
    p->cfg.goose_env = "GOOSE_MODEL, GOOSE_UNSET";
    assert_int_equal(program_find(&p->cfg, &p->a, &program), 0);
    assert_true(has_line(program.env, "GOOSE_MODEL=a model"));
    assert_false(has_line(program.env, "GOOSE_OTHER=another"));
    assert_true(has_line(program.env, arena_printf(&p->a, "GOOSE_PATH_ROOT=%s/home", program.root)));
    size_t n = 0;
    while (program.env[n])
        n++;
    assert_int_equal(n, 6);
}

static void secrets_of_ours_are_not(void **state)
{
    static const struct {
        const char *list, *bad;
    } cases[] = {
        {"GOOSE_MODEL,OPENAI_API_KEY,ANTHROPIC_API_KEY", NULL},
        {"", NULL},
        {"GOOSE_MODEL,DIRECTUS_SECRET", "DIRECTUS_SECRET"},
        {"DATABASE_URL", "DATABASE_URL"},
        {"CREDENTIALS_ENC_KEY_B64", "CREDENTIALS_ENC_KEY_B64"},
        {"PATH", "PATH"},
        {"A=b", "A=b"},
        {"LD-PRELOAD", "LD-PRELOAD"},
    };
    struct place *p = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        p->cfg.goose_env = cases[i].list;
        const char *bad = program_bad_variable(&p->cfg, &p->a);
        assert_true(str_equal(bad, cases[i].bad));
    }
}

static void a_recipe_gets_its_prompt(void **state)
{
    struct place *p = *state;
    struct program program;
    int r;
    assert_int_equal(program_find(&p->cfg, &p->a, &program), 0);
    write_file(p, "goose/recipes/full.json", "{\"title\":\"T {{ x }}\",\"prompt\":\"old\"}", 0600);
    write_file(p, "goose/recipes/empty.json", "{}", 0600);
    static const char *const names[] = {"full", "empty"};
    static const char text[] = "Do {{ this }} {%\nand \"that\" \\";
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const char *dir = program_dir(&program, &p->a, names[i]);
        assert_non_null(dir);
        const char *path = program_recipe(&program, &p->a, dir, names[i], text, &r);
        assert_non_null(path);
        char whole[512] = "";
        int fd = open(path, O_RDONLY);
        assert_true(read(fd, whole, sizeof whole - 1) > 0);
        (void)close(fd);
        json_t *recipe = json_parse(whole, strlen(whole));
        assert_string_equal(json_str(recipe, "prompt", ""), text);
        assert_string_equal(json_str(recipe, "title", "none"), i == 0 ? "T {{ x }}" : "none");
        json_decref(recipe);
        assert_null(strstr(strstr(whole, "\"prompt\""), "{{"));
        program_tidy(dir, &p->a);
        assert_int_equal(access(dir, F_OK), -1);
    }
}

static void what_is_no_recipe(void **state)
{
    struct place *p = *state;
    struct program program;
    int r;
    assert_int_equal(program_find(&p->cfg, &p->a, &program), 0);
    const char *dir = program_dir(&program, &p->a, "run");
    write_file(p, "goose/recipes/list.json", "[]", 0600);
    write_file(p, "goose/recipes/text.json", "title: T", 0600);
    assert_int_equal(symlink("/etc/passwd", arena_printf(&p->a, "%s/recipes/link.json", program.root)), 0);
    static const struct {
        const char *name;
        int r;
    } cases[] = {{"none", -ENOENT}, {"list", -EINVAL}, {"text", -EINVAL}, {"link", -ELOOP}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_null(program_recipe(&program, &p->a, dir, cases[i].name, "x", &r));
        assert_int_equal(r, cases[i].r);
    }
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {T(found_in_path_or_by_its_path), T(only_named_variables_are_passed_on),
                                       T(secrets_of_ours_are_not), T(a_recipe_gets_its_prompt),
                                       T(what_is_no_recipe)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
