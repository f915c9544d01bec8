/* SPDX-License-Identifier: MIT */
/* genie skills: files into the store, and the graph out of it. A server may run: it takes up what changed. */
#include "base/json.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/progress.h"
#include "skills/dump.h"
#include "skills/import.h"
#include "skills/skills.h"

#include <errno.h>
#include <string.h>

/* Prints the object; takes it over. */
static int print_json(json_t *out, size_t flags)
{
    int r = out ? json_dumpf(out, stdout, flags) : -1;
    json_decref(out);
    return r == 0 && putchar('\n') == '\n' && fflush(stdout) == 0 ? CMD_OK
                                                                  : cmd_fail("can't write the output");
}

/* ---- import */

static int explain(const char *dir, int r)
{
    if (r == -E2BIG)
        return cmd_fail("%s holds too many files", dir);
    if (r == -ENOENT || r == -ENOTDIR || r == -EACCES)
        return cmd_fail("%s can't be read: %s", dir, strerror(-r));
    return cmd_fail("nothing was imported: %s", strerror(-r));
}

static int import(struct cmd_env *env, int argc, char **argv)
{
    struct progress bar;
    struct skills_import report;
    _cleanup_(db_closeP) struct db *db = NULL;
    const char *dir = argc > 0 ? argv[0] : NULL;
    if (argc > 1 || (dir && dir[0] == '-'))
        return cmd_usage_error("skills import wants one folder, or none for the skills that come with genie");
    if (cmd_open_store(env, &db) < 0)
        return CMD_FAILED;
    progress_begin(&bar, "reading");
    int r = dir ? skills_import_folder(db, dir, progress_show, &bar, &report)
                : skills_import_shipped(db, &report);
    progress_end(&bar);
    int code = CMD_OK;
    if (r < 0)
        code = explain(dir ? dir : "the store", r);
    else if (env->json)
        code = print_json(skills_import_json(&report), JSON_INDENT(2));
    else
        skills_import_print(&report, stdout);
    skills_import_free(&report);
    return code == CMD_OK && fflush(stdout) != 0 ? cmd_fail("can't write the output") : code;
}

/* ---- graph */

static int graph(struct cmd_env *env, int argc, char **argv)
{
    _cleanup_(db_closeP) struct db *db = NULL;
    _cleanup_(skill_set_unrefP) struct skill_set *set = NULL;
    bool dot = argc == 1 && str_equal(argv[0], "--dot");
    if ((argc > 0 && !dot) || dot == env->json)
        return cmd_usage_error("skills graph wants one of --dot, --json");
    if (cmd_open_store(env, &db) < 0)
        return CMD_FAILED;
    int r = skills_load(db, &set);
    if (r < 0)
        return cmd_fail("the skills can't be read: %s", strerror(-r));
    if (!dot)
        return print_json(skills_graph_json(set), JSON_COMPACT);
    return skills_graph_dot(set, stdout) == 0 && fflush(stdout) == 0 ? CMD_OK
                                                                     : cmd_fail("can't write the output");
}

int cmd_skills(struct cmd_env *env, int argc, char **argv)
{
    if (argc >= 2 && str_equal(argv[1], "import"))
        return import(env, argc - 2, argv + 2);
    if (argc >= 2 && str_equal(argv[1], "graph"))
        return graph(env, argc - 2, argv + 2);
    return argc < 2 ? cmd_usage_error("skills wants one of import, graph")
                    : cmd_usage_error("there is no 'skills %s'", argv[1]);
}
