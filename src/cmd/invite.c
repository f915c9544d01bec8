/* SPDX-License-Identifier: MIT */
/* genie invite: the codes that registration wants. It works beside running servers. `create` prints codes and
 * nothing else, one a line, for scripts. */
#include "auth/invites.h"
#include "base/json.h"
#include "base/text.h"
#include "cmd/cmd.h"

#include <errno.h>
#include <string.h>

#define COUNT_MOST 1000
#define EXPIRES_DEFAULT "7d"
#define LONGEST_MS (INT64_C(3650) * 24 * 3600 * 1000)

typedef char invite_code[INVITE_CODE_LEN + 1];

static int fail_store(int r)
{
    return cmd_fail("the store failed: %s", strerror(-r));
}

static int print_json(const json_t *value)
{
    bool done = value && json_dumpf(value, stdout, JSON_INDENT(2)) == 0 && putchar('\n') == '\n';
    return done ? CMD_OK : cmd_fail("can't write the output");
}

/* ---- create */

struct creating {
    int64_t count, lifetime_ms;
    invite_code codes[COUNT_MOST];
};

static int create_unit(struct db_conn *c, void *arg)
{
    struct creating *k = arg;
    int r = 0;
    for (int64_t i = 0; i < k->count && r == 0; i++)
        r = invite_create(c, k->lifetime_ms, k->codes[i]);
    return r;
}

static int print_codes(const struct cmd_env *env, const struct creating *k)
{
    _cleanup_json_ json_t *all = json_array();
    for (int64_t i = 0; i < k->count; i++)
        if (!env->json)
            printf("%s\n", k->codes[i]);
        else if (json_array_append_new(all, json_string(k->codes[i])) < 0)
            return cmd_fail("out of memory");
    return env->json ? print_json(all) : CMD_OK;
}

static int read_lifetime(const char *given, int64_t *ret_ms)
{
    *ret_ms = 0;
    if (strcmp(given, "never") == 0)
        return CMD_OK;
    if (parse_duration(given, ret_ms) < 0 || *ret_ms <= 0 || *ret_ms > LONGEST_MS)
        return cmd_usage_error("--expires wants a time such as 12h or 7d, at most 3650d, or never");
    return CMD_OK;
}

static int read_create(struct creating *k, int argc, char **argv)
{
    const char *expires = EXPIRES_DEFAULT, *count = "1";
    for (int i = 0; i < argc; i++) {
        const char **to = strcmp(argv[i], "--expires") == 0 ? &expires
                          : strcmp(argv[i], "--count") == 0 ? &count
                                                            : NULL;
        if (!to)
            return cmd_usage_error("unknown option '%s'", argv[i]);
        if (++i == argc)
            return cmd_usage_error("%s wants a value", argv[i - 1]);
        *to = argv[i];
    }
    if (parse_int(count, 1, COUNT_MOST, &k->count) < 0)
        return cmd_usage_error("--count wants a number from 1 to %d", COUNT_MOST);
    return read_lifetime(expires, &k->lifetime_ms);
}

static int invite_create_codes(struct cmd_env *env, int argc, char **argv)
{
    static struct creating k;
    _cleanup_(db_closeP) struct db *db = NULL;
    int r = read_create(&k, argc, argv);
    if (r != CMD_OK)
        return r;
    if (cmd_open_store(env, &db) < 0)
        return CMD_FAILED;
    r = db_write(db, create_unit, &k);
    return r < 0 ? fail_store(r) : print_codes(env, &k);
}

/* ---- list */

#define LIST_FORM "%-31s  %-8s  %-24s  %-24s  %s\n"

static void print_invite(void *ctx, const struct invite_info *i)
{
    (void)ctx;
    printf(LIST_FORM, i->code, i->status, i->created_at, i->expires_at ? i->expires_at : "never",
           i->claimed_by ? i->claimed_by : "-");
}

static void append_invite(void *ctx, const struct invite_info *i)
{
    (void)json_array_append_new(ctx, json_pack("{s:s, s:s, s:s, s:s?, s:s?, s:I}", "code", i->code, "status",
                                               i->status, "created_at", i->created_at, "expires_at",
                                               i->expires_at, "claimed_by", i->claimed_by, "created_by",
                                               (json_int_t)i->created_by));
}

static int list_unit(struct db_conn *c, void *arg)
{
    return invite_each(c, arg ? append_invite : print_invite, arg);
}

static int invite_list(struct cmd_env *env, int argc, char **argv)
{
    _cleanup_(db_closeP) struct db *db = NULL;
    _cleanup_json_ json_t *all = env->json ? json_array() : NULL;
    if (argc > 0)
        return cmd_usage_error("unknown option '%s'", argv[0]);
    if (cmd_open_store(env, &db) < 0)
        return CMD_FAILED;
    if (!all)
        printf(LIST_FORM, "CODE", "STATUS", "CREATED", "EXPIRES", "USED BY");
    int r = db_read(db, list_unit, all);
    if (r < 0)
        return fail_store(r);
    return all ? print_json(all) : CMD_OK;
}

/* ---- revoke */

static int revoke_unit(struct db_conn *c, void *arg)
{
    return invite_revoke(c, arg);
}

static int invite_revoke_code(struct cmd_env *env, int argc, char **argv)
{
    _cleanup_(db_closeP) struct db *db = NULL;
    if (argc != 1)
        return cmd_usage_error("invite revoke wants one code");
    if (cmd_open_store(env, &db) < 0)
        return CMD_FAILED;
    int r = db_write(db, revoke_unit, argv[0]);
    if (r == -ENOENT)
        return cmd_fail("there is no such invite");
    if (r == -EEXIST)
        return cmd_fail("this invite has been used already");
    if (r < 0)
        return fail_store(r);
    printf("The invite is withdrawn.\n");
    return CMD_OK;
}

int cmd_invite(struct cmd_env *env, int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(struct cmd_env *env, int argc, char **argv);
    } verbs[] = {{"create", invite_create_codes}, {"list", invite_list}, {"revoke", invite_revoke_code}};
    if (argc < 2)
        return cmd_usage_error("invite wants one of create, list, revoke");
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (strcmp(verbs[i].name, argv[1]) == 0)
            return verbs[i].run(env, argc - 2, argv + 2);
    return cmd_usage_error("there is no 'invite %s'", argv[1]);
}
