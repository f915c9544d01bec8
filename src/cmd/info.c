/* SPDX-License-Identifier: MIT */
/* The small subcommands that only show something: config, openapi, version, and migrate. */
#include "api/app.h"
#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "directus/tiers.h"
#include "http/openapi.h"
#include "items/access.h"
#include "quota/tiers.h"

#include <string.h>

#define OUTPUT_MAX (8 * 1024 * 1024)

static int print(struct buf *out, int r)
{
    if (r < 0 || !buf_str(out))
        return cmd_fail("out of memory");
    (void)fwrite(out->data, 1, out->len, stdout);
    return fflush(stdout) == 0 ? CMD_OK : cmd_fail("can't write the output");
}

static int print_error_docs(struct buf *out)
{
    (void)buf_adds(
        out,
        "# Errors\n\nPrinted by `genie config --errors`; the table in `src/base/error.h` is the source.\n\n"
        "| status | code | sentence |\n|---|---|---|\n");
    for (int id = ERR_NONE + 1; id < ERROR_COUNT; id++) {
        const struct error_info *info = error_info((enum error_id)id);
        (void)buf_addf(out, "| %d | `%s` | %s |\n", info->status, info->code, info->sentence);
    }
    return out->failed ? -1 : 0;
}

/* The file that a server started here would use; so a new one can be checked before it is loaded. */
static int print_tiers(struct cmd_env *env, struct buf *out)
{
    char error[TIERS_ERROR_MAX];
    _cleanup_(tiers_unrefP) struct tiers *tiers = NULL;
    if (config_load(&env->load, env->overrides) < 0)
        return cmd_fail("%s", env->load.error);
    if (tiers_load(&env->load.config, &tiers, NULL, error) < 0)
        return cmd_fail("%s", error);
    return print(out, tiers_print(tiers, out));
}

int cmd_settings(struct cmd_env *env, int argc, char **argv)
{
    _cleanup_buf_ struct buf out = BUF_INIT(OUTPUT_MAX);
    if (argc == 2 && strcmp(argv[1], "--docs") == 0)
        return print(&out, config_print_docs(&out));
    if (argc == 2 && strcmp(argv[1], "--errors") == 0)
        return print(&out, print_error_docs(&out));
    if (argc == 2 && strcmp(argv[1], "--access") == 0)
        return print(&out, access_print_docs(&out));
    if (argc == 2 && strcmp(argv[1], "--tiers") == 0)
        return print_tiers(env, &out);
    if (argc > 1)
        return cmd_usage_error("unknown option '%s'", argv[1]);
    if (config_load(&env->load, env->overrides) < 0)
        return cmd_fail("%s", env->load.error);
    return print(&out, config_print(&env->load.config, env->json, &out));
}

int cmd_openapi(struct cmd_env *env, int argc, char **argv)
{
    struct route_set *routes;
    (void)env;
    if (argc > 1)
        return cmd_usage_error("unknown option '%s'", argv[1]);
    if (routes_compile(api_route_tables(false), &routes) < 0)
        return cmd_fail("the route table is inconsistent");
    _cleanup_json_ json_t *document = openapi_document(routes);
    routes_free(routes);
    if (!document || json_dumpf(document, stdout, JSON_INDENT(2)) < 0)
        return cmd_fail("out of memory");
    return putchar('\n') == '\n' ? CMD_OK : CMD_FAILED;
}

int cmd_version(struct cmd_env *env, int argc, char **argv)
{
    (void)env, (void)argc, (void)argv;
    printf("genie %s\n", GENIE_VERSION);
    return CMD_OK;
}

static int register_tiers(struct cmd_env *env, struct db *db)
{
    char error[TIERS_ERROR_MAX];
    enum directus_tiers outcome;
    _cleanup_(tiers_unrefP) struct tiers *tiers = NULL;
    int r = directus_manages_store(db);
    if (r == 0)
        return CMD_OK;
    if (r > 0 && tiers_load(&env->load.config, &tiers, NULL, error) < 0)
        return cmd_fail("%s", error);
    if (r > 0)
        r = directus_register_tiers(db, tiers, &outcome);
    if (r < 0)
        return cmd_fail("the store in %s can't be used: %s", cmd_store_name(env), strerror(-r));
    if (outcome == DIRECTUS_TIERS_CHANGED)
        puts("The permission for the extended fields at Directus names the tiers of the tiers file now.\n"
             "Directus must be restarted to see it.");
    else if (outcome == DIRECTUS_TIERS_KEPT)
        puts("The permission for the extended fields was changed or removed at Directus, and stays so: "
             "the tiers that the tiers file names are not in it.");
    return CMD_OK;
}

int cmd_migrate(struct cmd_env *env, int argc, char **argv)
{
    if (argc > 1)
        return cmd_usage_error("unknown option '%s'", argv[1]);
    _cleanup_(db_closeP) struct db *db = NULL;
    if (cmd_open_store(env, &db) < 0)
        return CMD_FAILED;
    printf("The store in %s is up to date.\n", cmd_store_name(env));
    const struct directus_report *added = &env->registered;
    if (added->collections + added->fields + added->relations + added->permissions > 0)
        printf("Registered with Directus: %d collections, %d fields, %d relations, %d permissions.\n"
               "Directus must be restarted to see them.\n",
               added->collections, added->fields, added->relations, added->permissions);
    return register_tiers(env, db);
}
