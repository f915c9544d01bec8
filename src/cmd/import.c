/* SPDX-License-Identifier: MIT */
/* genie import: another installation's data, or an embedded store's, into the store. What is taken and what
 * is left is printed as a table, or with --json as one object. */
#include "base/json.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/progress.h"
#include "import/anythingllm.h"
#include "import/carry.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define TEXTS_MAX (1024 * 1024)

/* Steps whose total isn't known (total 0) are short. */
static void show_progress(void *ctx, const char *what, int64_t done, int64_t total)
{
    struct progress *bar = ctx;
    bar->what = what;
    if (total > 0)
        progress_show(bar, done, total);
}

/* Prints the object; takes it over. */
static int print_json(json_t *out)
{
    int r = out ? json_dumpf(out, stdout, JSON_INDENT(2)) : -1;
    json_decref(out);
    return r == 0 && putchar('\n') == '\n' && fflush(stdout) == 0 ? CMD_OK
                                                                  : cmd_fail("can't write the output");
}

/* ---- anythingllm */

/* Reads "--name value" and "--name=value"; the one argument without a dash is the file. */
static int read_options(struct anythingllm_options *o, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        const char **to = NULL;
        bool *flag = NULL;
        char *equals = str_has_prefix(argv[i], "--") ? strchr(argv[i], '=') : NULL;
        if (equals)
            *equals = '\0';
        if (!str_has_prefix(argv[i], "--") && !o->file) {
            o->file = argv[i];
            continue;
        }
        if (strcmp(argv[i], "--documents") == 0)
            to = &o->documents;
        else if (strcmp(argv[i], "--owner") == 0)
            to = &o->owner;
        else if (strcmp(argv[i], "--accounts") == 0)
            flag = &o->accounts;
        else if (strcmp(argv[i], "--admins") == 0)
            flag = &o->admins;
        if ((!to && !flag) || (flag && equals))
            return cmd_usage_error(flag ? "%s takes no value" : "unknown option '%s'", argv[i]);
        if (flag)
            *flag = true;
        else if (equals)
            *to = equals + 1;
        else if (i + 1 < argc)
            *to = argv[++i];
        else
            return cmd_usage_error("%s wants a value", argv[i]);
    }
    return o->file ? CMD_OK : cmd_usage_error("import anythingllm wants the database file");
}

static int check_folder(const char *path)
{
    struct stat st;
    if (path && (stat(path, &st) < 0 || !S_ISDIR(st.st_mode)))
        return cmd_fail("%s is no directory", path);
    return CMD_OK;
}

static void print_notes(const struct anythingllm_options *o, const struct anythingllm_result *result)
{
    const json_t *account;
    size_t i;
    json_array_foreach (result->accounts, i, account)
        printf("%s%s (%s, %s)\n",
               i == 0 ? "\nAccounts without a password (`genie user passwd --email E` sets one):\n" : "",
               json_str(account, "email", ""), json_str(account, "username", ""),
               json_str(account, "role", ""));
    if (result->unlinked > 0 && !o->accounts)
        printf("\n%lld users have no account here: --accounts makes one for each.\n",
               (long long)result->unlinked);
    if (result->nobodys > 0)
        printf("\n%lld exchanges belong to no user: --owner EMAIL gives them to an account.\n",
               (long long)result->nobodys);
}

static int print_result(const struct cmd_env *env, const struct anythingllm_options *o,
                        const struct anythingllm_result *result)
{
    if (env->json)
        return print_json(json_pack("{s:s, s:o, s:O, s:I, s:I}", "source", result->identity, "tables",
                                    report_json(&result->report), "accounts", result->accounts, "unlinked",
                                    (json_int_t)result->unlinked, "nobodys", (json_int_t)result->nobodys));
    report_print(&result->report, stdout);
    print_notes(o, result);
    return fflush(stdout) == 0 ? CMD_OK : cmd_fail("can't write the output");
}

static int import_anythingllm(struct cmd_env *env, int argc, char **argv)
{
    struct progress bar;
    struct anythingllm_options options = {.progress = show_progress, .ctx = &bar};
    struct anythingllm_result *result;
    _cleanup_(db_closeP) struct db *db = NULL;
    int code = read_options(&options, argc, argv);
    if (code == CMD_OK)
        code = check_folder(options.documents);
    if (code != CMD_OK)
        return code;
    if (cmd_open_store(env, &db) < 0)
        return CMD_FAILED;
    options.work_dir = env->load.config.data_dir;
    result = calloc(1, sizeof *result);
    if (!result)
        return cmd_fail("out of memory");
    progress_begin(&bar, "");
    int r = anythingllm_import(db, &options, result);
    progress_end(&bar);
    code = r < 0 ? cmd_fail("%s", result->error) : CMD_OK;
    if (result->report.n_tables > 0 && print_result(env, &options, result) != CMD_OK)
        code = CMD_FAILED;
    json_decref(result->accounts);
    free(result);
    return code;
}

/* ---- embedded */

/* The settings that go with the data, by their names alone. */
static void print_secrets(const struct carry_result *result)
{
    const char *at;
    size_t len;
    if (!result->secrets[0])
        return;
    printf("\nThese come along, as they stand in %s/secrets.env, in every server's environment:\n\n",
           result->dir);
    for (const char *list = result->secrets; list_next(&list, &at, &len);)
        printf("  %.*s=…\n", (int)len, at);
}

static int print_carried(const struct cmd_env *env, const struct carry_result *result)
{
    if (env->json)
        return print_json(
            json_pack("{s:o, s:s}", "tables", report_json(&result->report), "secrets", result->secrets));
    report_print(&result->report, stdout);
    print_secrets(result);
    printf("\nThe store is in DATABASE_URL now. %s stays as it was; nothing may serve it any more.\n",
           result->dir);
    return fflush(stdout) == 0 ? CMD_OK : cmd_fail("can't write the output");
}

static int import_embedded(struct cmd_env *env, int argc, char **argv)
{
    _cleanup_(db_closeP) struct db *db = NULL;
    if (argc != 1 || str_has_prefix(argv[0], "--"))
        return cmd_usage_error(
            "import embedded wants the data directory of the embedded store, and nothing else");
    if (config_load(&env->load, env->overrides) < 0)
        return cmd_fail("%s", env->load.error);
    if (!env->load.config.database_url) /* before anything is made */
        return cmd_fail("DATABASE_URL must name the PostgreSQL database that the store is carried into");
    config_free(&env->load);
    if (cmd_open_store(env, &db) < 0)
        return CMD_FAILED;
    struct progress bar;
    struct carry_options options = {
        .dir = argv[0], .config = &env->load.config, .progress = show_progress, .ctx = &bar};
    struct carry_result *result = calloc(1, sizeof *result);
    if (!result)
        return cmd_fail("out of memory");
    progress_begin(&bar, "");
    int r = carry_embedded(db, &options, result);
    progress_end(&bar);
    int code = r < 0 ? cmd_fail("%s", result->error) : print_carried(env, result);
    free(result);
    return code;
}

int cmd_import(struct cmd_env *env, int argc, char **argv)
{
    if (argc >= 2 && strcmp(argv[1], "anythingllm") == 0)
        return import_anythingllm(env, argc - 2, argv + 2);
    if (argc >= 2 && strcmp(argv[1], "embedded") == 0)
        return import_embedded(env, argc - 2, argv + 2);
    return argc < 2 ? cmd_usage_error("import wants one of anythingllm, embedded")
                    : cmd_usage_error("there is no 'import %s'", argv[1]);
}
