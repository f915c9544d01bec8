/* SPDX-License-Identifier: MIT */
/* genie doctor: what an installation needs, what is so, and how to mend what isn't well. */
#include "ops/doctor.h"

#include "base/json.h"
#include "base/log.h"
#include "cmd/cmd.h"

#include <signal.h>
#include <string.h>

static int print_json(const struct diagnosis *rows, size_t n)
{
    _cleanup_json_ json_t *all = json_array();
    for (size_t i = 0; i < n; i++) {
        const struct finding *f = &rows[i].finding;
        if (json_array_append_new(all, json_pack("{s:s, s:s, s:s, s:s?}", "name", rows[i].name, "verdict",
                                                 verdict_name(f->verdict), "found", f->found, "mend",
                                                 f->mend[0] ? f->mend : NULL)) < 0)
            return cmd_fail("out of memory, or a finding that isn't UTF-8");
    }
    return json_dumpf(all, stdout, JSON_INDENT(2)) == 0 && putchar('\n') == '\n' ? CMD_OK : CMD_FAILED;
}

static void print_text(const struct diagnosis *rows, size_t n)
{
    static const char *const marks[] = {"  ok", "warn", "FAIL"};
    for (size_t i = 0; i < n; i++) {
        const struct finding *f = &rows[i].finding;
        printf("%s  %-20s  %s\n", marks[f->verdict], rows[i].name, f->found);
        if (f->mend[0])
            printf("%s  %-20s  -> %s\n", "    ", "", f->mend);
    }
}

int cmd_doctor(struct cmd_env *env, int argc, char **argv)
{
    struct diagnosis rows[DOCTOR_MOST];
    bool bad = false, hung;
    if (argc > 1)
        return cmd_usage_error("unknown option '%s'", argv[1]);
    (void)signal(SIGPIPE, SIG_IGN);
    bool loaded = config_load(&env->load, env->overrides) == 0;
    size_t n = doctor_run(&env->load, loaded, rows, &hung);
    for (size_t i = 0; i < n; i++)
        bad |= rows[i].finding.verdict == CHECK_FAIL;
    if (!env->json)
        print_text(rows, n);
    else if (print_json(rows, n) != CMD_OK)
        bad = true;
    if (hung) {
        (void)fflush(stdout);
        _exit(bad ? CMD_FAILED : CMD_OK);
    }
    return bad ? CMD_FAILED : CMD_OK;
}
