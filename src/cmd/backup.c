/* SPDX-License-Identifier: MIT */
/* genie backup: everything an installation needs to come back, in one file, beside a running server. */
#include "ops/backup.h"

#include "base/data_lock.h"
#include "base/json.h"
#include "cmd/cmd.h"
#include "cmd/progress.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

static int read_options(struct backup_options *o, const char **ret_path, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--force") == 0)
            o->force = true;
        else if (strcmp(argv[i], "--files-only") == 0)
            o->files_only = true;
        else if (strcmp(argv[i], "-") != 0 && argv[i][0] == '-')
            return cmd_usage_error("unknown option '%s'", argv[i]);
        else if (*ret_path)
            return cmd_usage_error("backup wants one file");
        else
            *ret_path = argv[i];
    }
    return *ret_path ? CMD_OK : cmd_usage_error("backup wants a file, or - for standard output");
}

static int print_summary(const struct cmd_env *env, const char *path, const struct backup_summary *s)
{
    char bytes[32], size[32];
    if (env->json) {
        _cleanup_json_ json_t *out =
            json_pack("{s:s, s:I, s:b, s:I, s:I, s:I, s:I}", "file", path, "schema", (json_int_t)s->schema,
                      "secrets", s->secrets, "files", (json_int_t)s->files, "skipped", (json_int_t)s->skipped,
                      "bytes", (json_int_t)s->bytes, "size", (json_int_t)s->size);
        return out && json_dumpf(out, stdout, JSON_COMPACT) == 0 && putchar('\n') == '\n' ? CMD_OK
                                                                                          : CMD_FAILED;
    }
    progress_bytes(s->bytes, bytes);
    progress_bytes(s->size, size);
    if (s->skipped)
        (void)fprintf(stderr,
                      "genie: warning: %zu entries below files/ and onboarding/ are neither files nor "
                      "directories, and are "
                      "not in the backup\n",
                      s->skipped);
    printf("%s: %s%s%zu stored files, %s, in %s.\n", path, s->schema ? "the database, " : "",
           s->secrets ? "secrets, " : "", s->files, bytes, size);
    return CMD_OK;
}

static int check_place(const struct config *cfg, const struct backup_options *o)
{
    if (cfg->database_url && !o->files_only)
        return cmd_fail(
            "the database is a PostgreSQL, which has a backup of its own: pg_dump --format=custom "
            "(docs/backup.md); --files-only keeps the stored files and the secrets");
    if (!o->path && isatty(STDOUT_FILENO))
        return cmd_fail(
            "a backup isn't written to a terminal; name a file, or send standard output somewhere");
    return CMD_OK;
}

int cmd_backup(struct cmd_env *env, int argc, char **argv)
{
    struct backup_options o = {0};
    const char *path = NULL;
    int r = read_options(&o, &path, argc, argv);
    if (r != CMD_OK)
        return r;
    if (env->json && strcmp(path, "-") == 0)
        return cmd_usage_error("--json and - both want standard output");
    if (config_load(&env->load, env->overrides) < 0)
        return cmd_fail("%s", env->load.error);
    o.path = strcmp(path, "-") == 0 ? NULL : path;
    o.data_dir = env->load.config.data_dir;
    r = check_place(&env->load.config, &o);
    if (r != CMD_OK)
        return r;
    r = data_lock(o.data_dir, false, &env->data_lock);
    if (r < 0)
        return r == -EWOULDBLOCK ? cmd_fail("a restore is replacing %s", o.data_dir)
                                 : cmd_fail("%s can't be used: %s", o.data_dir, strerror(-r));
    struct progress bar;
    struct backup_summary summary;
    struct ops_error error = {0};
    progress_begin(&bar, "backup");
    o.progress = progress_show;
    o.ctx = &bar;
    (void)signal(SIGXFSZ, SIG_IGN); /* a limit on file sizes is an error of the write */
    r = backup_write(&o, &summary, &error);
    progress_end(&bar);
    if (r < 0)
        return cmd_fail("%s", error.text);
    return o.path ? print_summary(env, path, &summary) : CMD_OK;
}
