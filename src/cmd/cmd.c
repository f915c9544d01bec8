/* SPDX-License-Identifier: MIT */
#include "cmd/cmd.h"

#include "base/data_lock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "net/guard.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#define STORE_FILE "genie.db"
#define READ_CONNECTIONS 8

static const struct cmd commands[] = {
    {"serve", cmd_serve, "genie serve [--port N] [--data DIR] [--demo] [--no-worker]", "Run the server"},
    {"worker", cmd_worker, "genie worker [--queues media-jobs,scrape-jobs,onboarding-jobs] [--data DIR]",
     "Do the queues' jobs without a server"},
    {"queue", cmd_queue,
     "genie queue stats [--json]\n"
     "       genie queue jobs [--queue Q] [--state S] [--limit 50] [--json]\n"
     "       genie queue pause|resume media-jobs|scrape-jobs|onboarding-jobs [--json]",
     "Show what is in the queues, and stop one for a while"},
    {"migrate", cmd_migrate, "genie migrate [--data DIR]", "Bring the database's schema up to date"},
    {"user", cmd_user,
     "genie user add --email E [--password-stdin | --password P] [--role Creator] [--tier starter]\n"
     "               [--onboarding COMPLETE] [--first-name N]\n"
     "       genie user token --email E [--ttl 15m]\n"
     "       genie user adopt --email E | --all [--onboarding COMPLETE] [--json]\n"
     "       genie user list [--json]\n"
     "       genie user passwd --email E [--password-stdin | --password P]\n"
     "       genie user suspend|unsuspend --email E\n"
     "       genie user export --email E [--output FILE.tar.gz] [--force]\n"
     "       genie user delete --email E [--yes]",
     "Make and manage users"},
    {"invite", cmd_invite,
     "genie invite create [--expires 7d | --expires never] [--count N] [--json]\n"
     "       genie invite list [--json]\n"
     "       genie invite revoke CODE",
     "Make, list and withdraw the codes that registration wants"},
    {"credentials", cmd_credentials,
     "genie credentials rotate [--json]\n"
     "       genie credentials status [--json]",
     "Re-encrypt credentials with the current key; show how they are encrypted"},
    {"backup", cmd_backup, "genie backup FILE|- [--force] [--files-only] [--json]",
     "Keep database, stored files and secrets in one file, beside a running server"},
    {"restore", cmd_restore, "genie restore FILE [--data DIR] [--force] [--max-size 20G] [--json]",
     "Put a backup in the place of the data directory"},
    {"doctor", cmd_doctor, "genie doctor [--json]",
     "Look at everything an installation needs, and say how to mend it"},
    {"import", cmd_import, CMD_IMPORT_USAGE, "Bring data in"},
    {"skills", cmd_skills, CMD_SKILLS_USAGE, "Bring in skills, print their graph"},
    {"taxonomy", cmd_taxonomy,
     "genie taxonomy import FILE | --sample [--json]\n"
     "       genie taxonomy stats [--json]\n"
     "       genie taxonomy show TERM [--json]",
     "Bring in the taxonomy of tags, count what is there, look a term up"},
    {"config", cmd_settings, "genie config [--json | --docs | --errors | --access | --tiers]",
     "Show the settings and where they stand, or the plans and their limits"},
    {"openapi", cmd_openapi, "genie openapi", "Print the OpenAPI document"},
    {"version", cmd_version, "genie version", "Print the version"},
};

static void print_help(void)
{
    printf("genie %s: a self-hosted agent for content creators\n\nusage: genie COMMAND [OPTIONS]\n\n",
           GENIE_VERSION);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        printf("  %-11s %s\n", commands[i].name, commands[i].summary);
    printf("\nEvery command takes --help, and --data DIR (default ./data).\n");
}

int cmd_fail(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)fputs("genie: ", stderr);
    (void)vfprintf(stderr, fmt, ap);
    (void)fputc('\n', stderr);
    va_end(ap);
    return CMD_FAILED;
}

int cmd_usage_error(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)fputs("genie: ", stderr);
    (void)vfprintf(stderr, fmt, ap);
    (void)fputs(" (see --help)\n", stderr);
    va_end(ap);
    return CMD_USAGE;
}

void cmd_override(struct cmd_env *env, const char *name, const char *value)
{
    size_t n = 0;
    while (n < CMD_MAX_OVERRIDES && env->overrides[n].name && strcmp(env->overrides[n].name, name) != 0)
        n++;
    if (n < CMD_MAX_OVERRIDES)
        env->overrides[n] = (struct setting_override){name, value};
}

/* The data directory is in use from now on, until the process ends. Without one, config_secrets says why. */
static int share_data(struct cmd_env *env)
{
    const char *dir = env->load.config.data_dir;
    int r = mkdir(dir, 0700) == 0 || errno == EEXIST ? data_lock(dir, false, &env->data_lock) : 0;
    if (r == -EWOULDBLOCK)
        (void)cmd_fail("a restore is replacing %s; try again when it has ended", dir);
    else if (r < 0)
        (void)cmd_fail("%s can't be used: %s", dir, strerror(-r));
    return r;
}

int cmd_config(struct cmd_env *env)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    int r = config_load(&env->load, env->overrides);
    if (r == 0 && share_data(env) < 0)
        return -1;
    if (r < 0 || config_secrets(&env->load) < 0) {
        (void)cmd_fail("%s", env->load.error[0] ? env->load.error : "out of memory");
        return -1;
    }
    enum log_level level = LOG_INFO;
    for (size_t i = 0; i < ARRAY_LEN(levels); i++)
        if (strcmp(levels[i], env->load.config.log_level) == 0)
            level = (enum log_level)i;
    log_configure(level, strcmp(env->load.config.log_format, "json") == 0);
    guard_allow_private(env->load.config.allow_private_urls);
    return 0;
}

const char *cmd_store_name(const struct cmd_env *env)
{
    return env->load.config.database_url ? "DATABASE_URL" : env->load.config.data_dir;
}

static void log_registered(const struct directus_report *added)
{
    log_event(LOG_INFO, "Registered with Directus, which must be restarted to see it",
              LOG_N("collections", added->collections), LOG_N("fields", added->fields),
              LOG_N("relations", added->relations), LOG_N("permissions", added->permissions));
}

int cmd_open_store(struct cmd_env *env, struct db **ret)
{
    if (cmd_config(env) < 0)
        return -1;
    const struct config *cfg = &env->load.config;
    struct db_options options = {
        .path = arena_printf(&env->load.arena, "%s/%s", cfg->data_dir, STORE_FILE),
        .readers = READ_CONNECTIONS,
        .url = cfg->database_url,
        .connections = (int)cfg->database_connections,
    };
    _cleanup_(db_closeP) struct db *db = NULL;
    int r = options.path ? db_open(&options, &db) : -ENOMEM;
    if (r == 0)
        r = db_migrate(db, NULL);
    if (r == 0)
        r = directus_register(db, &env->registered);
    if (r < 0) {
        (void)cmd_fail("the store in %s can't be used: %s", cmd_store_name(env), strerror(-r));
        return -1;
    }
    if (r > 0)
        log_registered(&env->registered);
    *ret = TAKE_PTR(db);
    return 0;
}

/* Takes the common options out of argv; 0, or an exit code with a message printed. */
static int take_common(struct cmd_env *env, int *argc, char **argv, bool *ret_help)
{
    int kept = 1;
    for (int i = 1; i < *argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            *ret_help = true;
        } else if (strcmp(argv[i], "--json") == 0) {
            env->json = true;
        } else if (strcmp(argv[i], "--data") == 0) {
            if (i + 1 >= *argc)
                return cmd_usage_error("--data wants a directory");
            cmd_override(env, "GENIE_DATA_DIR", argv[++i]);
        } else if (str_has_prefix(argv[i], "--data=")) {
            cmd_override(env, "GENIE_DATA_DIR", argv[i] + strlen("--data="));
        } else {
            argv[kept++] = argv[i];
        }
    }
    argv[kept] = NULL;
    *argc = kept;
    return 0;
}

static const struct cmd *find_command(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

/* Secrets must not reach a core file, nor another process of the same user. */
static void forbid_dumps(void)
{
#if !defined(__SANITIZE_ADDRESS__) /* whose leak check attaches to the process */
    (void)prctl(PR_SET_DUMPABLE, 0);
#endif
}

/* What can't be written was not done, as far as a script can tell. */
static int finish_output(int r)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return r;
    return r == CMD_OK ? cmd_fail("can't write the output") : r;
}

int cmd_main(int argc, char **argv)
{
    struct cmd_env env = {.data_lock = -1};
    bool help = false;
    forbid_dumps();
    json_wipe_memory();
    int r = take_common(&env, &argc, argv, &help);
    if (r != 0)
        return r;
    if (argc < 2) {
        print_help();
        return finish_output(help ? CMD_OK : CMD_USAGE);
    }
    const struct cmd *command = find_command(argv[1]);
    if (!command)
        return cmd_usage_error("there is no command '%s'", argv[1]);
    if (help) {
        printf("usage: %s\n\n%s.\n", command->usage, command->summary);
        return finish_output(CMD_OK);
    }
    r = command->run(&env, argc - 1, argv + 1);
    config_free(&env.load);
    closeP(&env.data_lock);
    return finish_output(r);
}
