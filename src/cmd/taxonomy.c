/* SPDX-License-Identifier: MIT */
/* genie taxonomy: brings in the taxonomy of tags, counts what is there, and shows what a term leads to. It
 * works beside running servers, which see the change within seconds. */
#include "taxonomy/taxonomy.h"

#include "base/json.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/progress.h"
#include "taxonomy/duck.h"
#include "taxonomy/import.h"

#include <errno.h>
#include <string.h>

#define TEXTS_MAX ((size_t)1 << 20)

static int fail_store(int r)
{
    return cmd_fail("the store failed: %s", strerror(-r));
}

/* Prints the object; takes it over. */
static int print_json(json_t *out)
{
    int r = out ? json_dumpf(out, stdout, JSON_INDENT(2)) : -1;
    json_decref(out);
    return r == 0 && putchar('\n') == '\n' && fflush(stdout) == 0 ? CMD_OK
                                                                  : cmd_fail("can't write the output");
}

/* ---- import */

struct line {
    const char *name;
    const struct taxonomy_counts *counts;
};

static int print_import(const struct cmd_env *env, const struct taxonomy_import *run)
{
    const struct line lines[] = {{"dimensions", &run->dimensions},
                                 {"nodes", &run->nodes},
                                 {"aliases", &run->aliases},
                                 {"edges", &run->edges}};
    json_t *all = env->json ? json_object() : NULL;
    if (!env->json)
        printf("%-12s  %8s  %8s  %8s\n", "", "READ", "ADDED", "UPDATED");
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        const struct taxonomy_counts *n = lines[i].counts;
        if (env->json)
            (void)json_object_set_new(all, lines[i].name,
                                      json_pack("{s:I, s:I, s:I}", "read", (json_int_t)n->read, "added",
                                                (json_int_t)n->added, "updated", (json_int_t)n->updated));
        else
            printf("%-12s  %8lld  %8lld  %8lld\n", lines[i].name, (long long)n->read, (long long)n->added,
                   (long long)n->updated);
    }
    return env->json ? print_json(all) : CMD_OK;
}

static int import_file(struct cmd_env *env, const struct taxonomy_file *file)
{
    struct progress bar;
    struct taxonomy_import run = {.progress = progress_show, .ctx = &bar};
    _cleanup_(db_closeP) struct db *db = NULL;
    if (cmd_open_store(env, &db) < 0)
        return CMD_FAILED;
    progress_begin(&bar, "importing");
    int r = taxonomy_import(db, file, &run);
    progress_end(&bar);
    if (r == -EINVAL && run.error[0])
        return cmd_fail("%s; nothing was imported", run.error);
    return r < 0 ? fail_store(r) : print_import(env, &run);
}

static int taxonomy_import_command(struct cmd_env *env, int argc, char **argv)
{
    struct taxonomy_file file;
    char error[TAXONOMY_ERROR_MAX] = "out of memory";
    if (argc != 1)
        return cmd_usage_error("taxonomy import wants one file, or --sample");
    bool sample = str_equal(argv[0], "--sample");
    if (!sample && str_has_prefix(argv[0], "--"))
        return cmd_usage_error("unknown option '%s'", argv[0]);
    int r = sample ? taxonomy_sample(&file) : taxonomy_file_read(argv[0], &file, error);
    if (r < 0)
        return cmd_fail("%s", error);
    int code = import_file(env, &file);
    taxonomy_file_free(&file);
    return code;
}

/* ---- stats */

static const struct {
    const char *name, *sql; /* gives name and count */
} counts[] = {
    {"nodes", "SELECT type, count(*) FROM taxonomy_nodes GROUP BY type ORDER BY type"},
    {"edges", "SELECT type, count(*) FROM taxonomy_edges GROUP BY type ORDER BY type"},
    {"tags_by_dimension",
     "SELECT COALESCE(d.name, '-'), count(*) FROM taxonomy_nodes n LEFT JOIN taxonomy_dimensions d "
     "ON d.id = n.dimension_id WHERE n.type = 'tag' GROUP BY d.name ORDER BY d.name"},
    {"other", "SELECT 'aliases', count(*) FROM taxonomy_mapping UNION ALL "
              "SELECT 'tag sets to learn from', count(*) FROM taxonomy_tag_sets"},
};

static int read_counts(struct db_conn *c, void *arg)
{
    json_t *all = arg;
    int r = 0;
    (void)json_object_clear(all);
    for (size_t i = 0; i < ARRAY_LEN(counts) && r >= 0; i++) {
        _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
        json_t *group = json_object();
        if (json_object_set_new(all, counts[i].name, group) < 0)
            return -ENOMEM;
        r = db_query(c, counts[i].sql, DB_NO_ARGS, &rows);
        while (r >= 0 && (r = db_next(rows)) > 0)
            (void)json_object_set_new(group, db_text(rows, 0), json_integer(db_int(rows, 1)));
    }
    return r;
}

/* What stands in the data directory for this store. */
static const char *graph_file_state(const struct config *cfg, struct db *db)
{
    char path[4096], there[TAXONOMY_STAMP_SIZE], held[TAXONOMY_STAMP_SIZE];
    if (duck_load(cfg->duckdb_lib) < 0)
        return "no libduckdb";
    (void)snprintf(path, sizeof path, "%s/" DUCK_FILE, cfg->data_dir);
    int r = duck_read_stamp(path, there);
    if (r == -ENOENT)
        return "not made yet";
    if (r < 0 || taxonomy_stamp_read(db, held) < 0)
        return "unreadable";
    return strcmp(there, held) == 0 ? "current" : "out of date";
}

static void print_counts(const json_t *all)
{
    const char *group, *name;
    json_t *items, *n;
    json_object_foreach ((json_t *)all, group, items) {
        printf("%s\n", group);
        json_object_foreach (items, name, n)
            printf("  %-24s %8lld\n", name, (long long)json_integer_value(n));
    }
}

static int taxonomy_stats(struct cmd_env *env, int argc, char **argv)
{
    _cleanup_(db_closeP) struct db *db = NULL;
    _cleanup_json_ json_t *all = json_object();
    if (argc > 0)
        return cmd_usage_error("unknown option '%s'", argv[0]);
    if (cmd_open_store(env, &db) < 0)
        return CMD_FAILED;
    int r = all ? db_read(db, read_counts, all) : -ENOMEM;
    if (r < 0)
        return fail_store(r);
    const char *state = graph_file_state(&env->load.config, db);
    if (env->json) {
        (void)json_object_set_new(all, "duckdb", json_string(duck_version() ? duck_version() : "none"));
        (void)json_object_set_new(all, "graph_file", json_string(state));
        return print_json(json_incref(all));
    }
    print_counts(all);
    printf("DuckDB %s, graph file: %s\n", duck_version() ? duck_version() : "none", state);
    return CMD_OK;
}

/* ---- show */

static json_t *terms_json(const struct taxonomy_terms *terms)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < terms->n; i++)
        (void)json_array_append_new(list,
                                    json_pack("{s:s, s:f, s:s?}", "name", terms->items[i].name, "score",
                                              terms->items[i].score, "dimension", terms->items[i].dimension));
    return list;
}

static void print_terms(const char *what, const struct taxonomy_terms *terms)
{
    printf("%s\n", what);
    for (size_t i = 0; i < terms->n; i++)
        printf("  %-32s %5.3f  %s\n", terms->items[i].name, terms->items[i].score,
               terms->items[i].dimension ? terms->items[i].dimension : "");
}

static int print_answer(const struct cmd_env *env, const struct taxonomy_answer *a)
{
    if (env->json)
        return print_json(json_pack("{s:o, s:o, s:o}", "tags", terms_json(&a->tags), "super_concepts",
                                    terms_json(&a->super_concepts), "neighbours",
                                    terms_json(&a->neighbours)));
    print_terms("tags", &a->tags);
    print_terms("super_concepts", &a->super_concepts);
    print_terms("neighbours", &a->neighbours);
    return CMD_OK;
}

static int taxonomy_show(struct cmd_env *env, int argc, char **argv)
{
    struct taxonomy_answer found = {0};
    struct taxonomy *t = NULL;
    struct arena texts;
    _cleanup_(db_closeP) struct db *db = NULL;
    if (argc != 1 || str_has_prefix(argv[0], "--"))
        return cmd_usage_error("taxonomy show wants one term");
    if (cmd_open_store(env, &db) < 0)
        return CMD_FAILED;
    arena_init(&texts, TEXTS_MAX);
    int r = taxonomy_open(&env->load.config, db, &t);
    if (r == 0)
        r = taxonomy_look_up(t, &texts, argv[0], &found);
    int code = r == -EINVAL ? cmd_fail("that is no term of a taxonomy")
               : r < 0      ? fail_store(r)
                            : print_answer(env, &found);
    taxonomy_close(t);
    arena_free(&texts);
    return code;
}

int cmd_taxonomy(struct cmd_env *env, int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(struct cmd_env *env, int argc, char **argv);
    } verbs[] = {{"import", taxonomy_import_command}, {"stats", taxonomy_stats}, {"show", taxonomy_show}};
    if (argc < 2)
        return cmd_usage_error("taxonomy wants one of import, stats, show");
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (strcmp(verbs[i].name, argv[1]) == 0)
            return verbs[i].run(env, argc - 2, argv + 2);
    return cmd_usage_error("there is no 'taxonomy %s'", argv[1]);
}
