/* SPDX-License-Identifier: MIT */
/* genie restore: puts a backup in the place of a data directory. */
#include "ops/restore.h"

#include "base/json.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/progress.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#define LARGEST (INT64_C(1) << 50)

/* "500M": bytes, with K, M, G or T for powers of 1024. */
static int parse_size(const char *s, int64_t *ret)
{
    static const char units[] = "KMGT";
    char digits[32];
    size_t len = strlen(s);
    const char *unit = len > 1 ? strchr(units, s[len - 1]) : NULL;
    if (len == 0 || len >= sizeof digits)
        return -EINVAL;
    int shift = unit && *unit ? 10 * (int)(unit - units + 1) : 0;
    (void)snprintf(digits, sizeof digits, "%.*s", (int)(len - (shift > 0)), s);
    int64_t number;
    int r = parse_int(digits, 1, LARGEST >> shift, &number);
    if (r == 0)
        *ret = number * (INT64_C(1) << shift);
    return r;
}

static int read_options(struct restore_options *o, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--force") == 0) {
            o->force = true;
        } else if (strcmp(argv[i], "--max-size") == 0) {
            if (i + 1 >= argc || parse_size(argv[++i], &o->max_size) < 0)
                return cmd_usage_error("--max-size wants a number of bytes, such as 20G");
        } else if (argv[i][0] == '-') {
            return cmd_usage_error("unknown option '%s'", argv[i]);
        } else if (o->path) {
            return cmd_usage_error("restore wants one file");
        } else {
            o->path = argv[i];
        }
    }
    return o->path ? CMD_OK : cmd_usage_error("restore wants a file");
}

static int print_summary(const struct cmd_env *env, const char *dir, const struct restore_summary *s)
{
    char bytes[32];
    if (env->json) {
        _cleanup_json_ json_t *out = json_pack(
            "{s:s, s:s, s:s, s:I, s:I, s:I, s:s?}", "directory", dir, "created", s->created, "program",
            s->program, "schema", (json_int_t)s->schema, "members", (json_int_t)s->members, "bytes",
            (json_int_t)s->bytes, "kept", s->kept[0] ? s->kept : NULL);
        return out && json_dumpf(out, stdout, JSON_COMPACT) == 0 && putchar('\n') == '\n' ? CMD_OK
                                                                                          : CMD_FAILED;
    }
    progress_bytes(s->bytes, bytes);
    printf("%s is the backup of %s (version %s): %zu files, %s%s.\n", dir, s->created, s->program, s->members,
           bytes, s->schema ? "" : ", without a database");
    if (s->kept[0])
        printf("What was there before is in %s; remove it when it isn't needed any more.\n", s->kept);
    return CMD_OK;
}

int cmd_restore(struct cmd_env *env, int argc, char **argv)
{
    struct restore_options o = {0};
    int r = read_options(&o, argc, argv);
    if (r != CMD_OK)
        return r;
    if (config_load(&env->load, env->overrides) < 0)
        return cmd_fail("%s", env->load.error);
    struct progress bar;
    struct restore_summary summary;
    struct ops_error error = {0};
    progress_begin(&bar, "restore");
    o.data_dir = env->load.config.data_dir;
    o.progress = progress_show;
    o.ctx = &bar;
    (void)signal(SIGXFSZ, SIG_IGN); /* a limit on file sizes is an error of the write */
    r = restore_run(&o, &summary, &error);
    progress_end(&bar);
    return r < 0 ? cmd_fail("%s", error.text) : print_summary(env, o.data_dir, &summary);
}
