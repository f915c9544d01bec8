/* SPDX-License-Identifier: MIT */
/* genie user: accounts from the command line, made by the same function as registration. It works beside a
 * running server, whose caches see the change at once. A password comes by standard input, or (for scripts,
 * with a warning, since other users can see arguments, if only for a moment) as an option, or is made up and
 * printed once. */
#include "cmd/user.h"

#include "auth/passwords.h"
#include "auth/token.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "quota/tiers.h"

#include <errno.h>
#include <string.h>

#define MADE_PASSWORD 20
#define TEXTS_MAX (64 * 1024)
#define LONGEST_TTL_MS (INT64_C(365) * 24 * 3600 * 1000)

/* ---- options */

static const struct {
    const char *name;
    size_t offset;
} text_options[] = {
    {"--email", offsetof(struct user_options, email)},
    {"--password", offsetof(struct user_options, password)},
    {"--role", offsetof(struct user_options, role)},
    {"--tier", offsetof(struct user_options, tier)},
    {"--onboarding", offsetof(struct user_options, onboarding)},
    {"--first-name", offsetof(struct user_options, first_name)},
    {"--ttl", offsetof(struct user_options, ttl)},
    {"--output", offsetof(struct user_options, output)},
};

static const struct {
    const char *name;
    size_t offset;
} flags[] = {
    {"--password-stdin", offsetof(struct user_options, password_stdin)},
    {"--yes", offsetof(struct user_options, yes)},
    {"--force", offsetof(struct user_options, force)},
    {"--all", offsetof(struct user_options, all)},
};

static bool is_taken(const char *const *takes, const char *name)
{
    for (; *takes; takes++)
        if (strcmp(*takes, name) == 0)
            return true;
    return false;
}

/* Where the value of a text option goes, or NULL. */
static const char **text_option(struct user_options *o, const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(text_options); i++)
        if (strcmp(text_options[i].name, name) == 0)
            return (const char **)((char *)o + text_options[i].offset);
    return NULL;
}

static void set_flag(struct user_options *o, const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(flags); i++)
        if (strcmp(flags[i].name, name) == 0)
            *(bool *)((char *)o + flags[i].offset) = true;
}

/* Reads "--name value" and "--name=value": CMD_OK, or CMD_USAGE with a message printed. */
static int read_options(struct user_options *o, const char *const *takes, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        char *equals = str_has_prefix(argv[i], "--") ? strchr(argv[i], '=') : NULL;
        if (equals)
            *equals = '\0';
        const char **to = text_option(o, argv[i]);
        if (!is_taken(takes, argv[i]))
            return cmd_usage_error("unknown option '%s'", argv[i]);
        if (!to && equals)
            return cmd_usage_error("%s takes no value", argv[i]);
        if (!to)
            set_flag(o, argv[i]);
        else if (equals)
            *to = equals + 1;
        else if (i + 1 < argc)
            *to = argv[++i];
        else
            return cmd_usage_error("%s wants a value", argv[i]);
    }
    return CMD_OK;
}

static int check_email(struct user_run *run)
{
    if (!run->options.email)
        return cmd_usage_error("--email is needed");
    if (account_email(run->options.email, run->email) < 0)
        return cmd_usage_error("'%s' is not an e-mail address", run->options.email);
    return CMD_OK;
}

/* ---- passwords */

static int read_stdin_line(struct user_run *run, const char **ret)
{
    char line[PASSWORD_MAX_BYTES + 2];
    if (!fgets(line, sizeof line, stdin))
        return cmd_fail("no password came by standard input");
    line[strcspn(line, "\r\n")] = '\0';
    *ret = arena_strdup(&run->arena, line);
    wipe(line, sizeof line);
    return *ret ? CMD_OK : cmd_fail("out of memory");
}

/* The password that was given, or a new one (then *ret_made). */
static int choose_password(struct user_run *run, const char **ret, bool *ret_made)
{
    const struct user_options *o = &run->options;
    *ret_made = false;
    if (o->password && o->password_stdin)
        return cmd_usage_error("give either --password or --password-stdin");
    if (o->password_stdin) {
        int r = read_stdin_line(run, ret);
        if (r != CMD_OK)
            return r;
    } else if (o->password) {
        *ret = arena_strdup(&run->arena, o->password);
        wipe((char *)(uintptr_t)o->password,
             strlen(o->password)); /* in the argument vector, which others see */
        (void)fputs("genie: warning: others on this machine can see --password; --password-stdin is safer\n",
                    stderr);
        if (!*ret)
            return cmd_fail("out of memory");
    } else {
        char *made = arena_alloc(&run->arena, MADE_PASSWORD + 1);
        if (!made)
            return cmd_fail("out of memory");
        random_text("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789", made, MADE_PASSWORD);
        *ret = made;
        *ret_made = true;
    }
    if (utf8_count(*ret, strlen(*ret)) < ACCOUNT_PASSWORD_LEAST || strlen(*ret) > PASSWORD_MAX_BYTES)
        return cmd_fail("a password has from %d characters to %d bytes", ACCOUNT_PASSWORD_LEAST,
                        PASSWORD_MAX_BYTES);
    return CMD_OK;
}

static int hash_password(const char *password, char *ret)
{
    _cleanup_(passwords_closeP) struct passwords *hashers = NULL;
    if (passwords_open(1, &hashers) < 0 || password_hash(hashers, password, ret) < 0)
        return cmd_fail("the password can't be hashed: out of memory");
    return CMD_OK;
}

/* ---- verbs */

int user_fail_store(int r)
{
    return cmd_fail("the store failed: %s", strerror(-r));
}

struct add_arg {
    struct account_spec spec;
    struct account account;
};

static int add_unit(struct db_conn *c, void *arg)
{
    struct add_arg *a = arg;
    return account_create(c, &a->spec, &a->account);
}

static int print_added(const struct user_run *run, const struct add_arg *a, const char *made)
{
    if (!run->env->json) {
        printf("Added %s (%s).\n", run->email, a->account.user_id);
        if (made)
            printf("Password (shown only now): %s\n", made);
        return CMD_OK;
    }
    _cleanup_json_ json_t *out =
        json_pack("{s:s, s:s, s:I, s:s*}", "id", a->account.user_id, "email", run->email,
                  "anythingllm_user_id", (json_int_t)a->account.anythingllm_user_id, "password", made);
    return out && json_dumpf(out, stdout, JSON_COMPACT) == 0 && putchar('\n') == '\n' ? CMD_OK : CMD_FAILED;
}

/* The tier that --tier names by the tiers file, aliases too. */
static int choose_tier(struct user_run *run, const char **ret)
{
    _cleanup_(tiers_unrefP) struct tiers *tiers = NULL;
    char error[TIERS_ERROR_MAX];
    enum tier tier;
    if (tiers_load(&run->env->load.config, &tiers, NULL, error) < 0)
        return cmd_fail("%s", error);
    if (tiers_named(tiers, run->options.tier, &tier) < 0)
        return cmd_usage_error("there is no tier '%s': starter, creator, pro or studio", run->options.tier);
    *ret = tier_name(tier);
    return CMD_OK;
}

static int user_add(struct user_run *run)
{
    const struct user_options *o = &run->options;
    struct add_arg a = {
        .spec = {
            .email = run->email, .role = o->role, .onboarding = o->onboarding, .first_name = o->first_name}};
    char hash[PASSWORD_HASH_SIZE];
    const char *password;
    bool made;
    int r = o->tier ? choose_tier(run, &a.spec.tier) : CMD_OK;
    if (r != CMD_OK)
        return r;
    if (o->onboarding && !account_onboarding_valid(o->onboarding))
        return cmd_usage_error("there is no onboarding state '%s'", o->onboarding);
    if (o->first_name && (!utf8_valid(o->first_name, strlen(o->first_name)) ||
                          utf8_count(o->first_name, strlen(o->first_name)) > ACCOUNT_FIRST_NAME_MOST))
        return cmd_usage_error("--first-name is too long, or not UTF-8");
    r = choose_password(run, &password, &made);
    if (r != CMD_OK)
        return r;
    r = hash_password(password, hash);
    if (r != CMD_OK)
        return r;
    a.spec.password_hash = hash;
    r = db_write(run->db, add_unit, &a);
    if (r == -EEXIST)
        return cmd_fail("there is an account for %s already", run->email);
    if (r == -ENOENT)
        return cmd_fail("there is no role '%s'", o->role ? o->role : "Creator");
    return r < 0 ? user_fail_store(r) : print_added(run, &a, made ? password : NULL);
}

static int find_unit(struct db_conn *c, void *arg)
{
    struct user_found *f = arg;
    int r = account_find(c, f->email, f->arena, &f->info);
    return r < 0 ? r : rights_load(c, f->info.user_id, f->info.role_id, NULL, &f->rights);
}

int user_find(struct user_run *run, struct user_found *f)
{
    *f = (struct user_found){.email = run->email, .arena = &run->arena};
    int r = db_read(run->db, find_unit, f);
    if (r == -ENOENT)
        return cmd_fail("there is no account for %s", run->email);
    return r < 0 ? user_fail_store(r) : CMD_OK;
}

static int user_token(struct user_run *run)
{
    struct user_found f;
    int64_t ttl_ms = 15 * 60 * 1000;
    const struct config *cfg = &run->env->load.config;
    if (run->options.ttl && (parse_duration(run->options.ttl, &ttl_ms) < 0 || ttl_ms > LONGEST_TTL_MS))
        return cmd_usage_error("--ttl wants a time such as 90s, 15m, 12h or 7d, at most a year");
    int r = user_find(run, &f);
    if (r != CMD_OK)
        return r;
    if (!str_equal(f.info.status, "active"))
        return cmd_fail("the account of %s is %s", run->email, f.info.status);
    struct token_spec spec = {.user_id = f.info.user_id,
                              .role_id = f.info.role_id,
                              .now_s = clock_now_ms() / 1000,
                              .app_access = f.rights.app || f.rights.admin,
                              .admin_access = f.rights.admin,
                              .lifetime_s = ttl_ms / 1000};
    struct token_keys keys = {.directus = cfg->directus_secret};
    const char *token = token_sign(&run->arena, &keys, &spec);
    if (!token)
        return cmd_fail("the token can't be signed");
    printf("%s\n", token);
    return CMD_OK;
}

static void print_account(void *ctx, const struct account_info *a)
{
    (void)ctx;
    printf("%-36s  %-32s  %-14s  %-8s  %-10s  %s\n", a->user_id, a->email ? a->email : "-",
           a->role ? a->role : "-", a->tier ? a->tier : "-", a->status ? a->status : "-",
           a->onboarding ? a->onboarding : "-");
}

static void append_account(void *ctx, const struct account_info *a)
{
    (void)json_array_append_new(ctx, json_pack("{s:s, s:s?, s:s?, s:s?, s:s?, s:s?, s:s?, s:I, s:s?, s:s?}",
                                               "id", a->user_id, "email", a->email, "first_name",
                                               a->first_name, "role", a->role, "tier", a->tier, "status",
                                               a->status, "onboarding_state", a->onboarding,
                                               "anythingllm_user_id", (json_int_t)a->anythingllm_user_id,
                                               "workspace", a->workspace, "last_access", a->last_access));
}

static int list_unit(struct db_conn *c, void *arg)
{
    return account_each(c, arg ? append_account : print_account, arg);
}

static int user_list(struct user_run *run)
{
    _cleanup_json_ json_t *all = run->env->json ? json_array() : NULL;
    if (!all)
        printf("%-36s  %-32s  %-14s  %-8s  %-10s  %s\n", "ID", "E-MAIL", "ROLE", "TIER", "STATUS",
               "ONBOARDING");
    int r = db_read(run->db, list_unit, all);
    if (r < 0)
        return user_fail_store(r);
    if (all && (json_dumpf(all, stdout, JSON_INDENT(2)) < 0 || putchar('\n') != '\n'))
        return cmd_fail("can't write the output");
    return CMD_OK;
}

struct change_arg {
    const char *user_id, *hash;
    bool admin, suspended;
};

static int passwd_unit(struct db_conn *c, void *arg)
{
    const struct change_arg *ch = arg;
    return account_set_password(c, ch->user_id, ch->hash);
}

static int user_passwd(struct user_run *run)
{
    struct user_found f;
    char hash[PASSWORD_HASH_SIZE];
    const char *password;
    bool made;
    int r = user_find(run, &f);
    if (r == CMD_OK)
        r = choose_password(run, &password, &made);
    if (r == CMD_OK)
        r = hash_password(password, hash);
    if (r != CMD_OK)
        return r;
    r = db_write(run->db, passwd_unit, &(struct change_arg){.user_id = f.info.user_id, .hash = hash});
    if (r < 0)
        return user_fail_store(r);
    printf("The password of %s is changed; every session has ended.\n", run->email);
    if (made)
        printf("Password (shown only now): %s\n", password);
    return CMD_OK;
}

static int suspend_unit(struct db_conn *c, void *arg)
{
    const struct change_arg *ch = arg;
    int r = ch->suspended && ch->admin ? rights_leave_admin(c, ch->user_id) : 0;
    return r < 0 ? r : account_set_suspended(c, ch->user_id, ch->suspended);
}

static int set_suspended(struct user_run *run, bool suspended)
{
    struct user_found f;
    int r = user_find(run, &f);
    if (r != CMD_OK)
        return r;
    struct change_arg change = {.user_id = f.info.user_id, .admin = f.rights.admin, .suspended = suspended};
    r = db_write(run->db, suspend_unit, &change);
    if (r == -EPERM)
        return cmd_fail("%s is the last active account with admin rights; make another one first",
                        run->email);
    if (r < 0)
        return user_fail_store(r);
    printf("%s is %s.\n", run->email, suspended ? "suspended; every session has ended" : "active");
    return CMD_OK;
}

static int user_suspend(struct user_run *run)
{
    return set_suspended(run, true);
}

static int user_unsuspend(struct user_run *run)
{
    return set_suspended(run, false);
}

/* ---- adopting */

struct adopt_arg {
    const char *user_id, *email, *onboarding;
    struct account account;
    unsigned made;
};

static int adopt_unit(struct db_conn *c, void *arg)
{
    struct adopt_arg *a = arg;
    return account_adopt(c, a->user_id, a->onboarding, &a->account, &a->made);
}

static int show_adopted(const struct user_run *run, const struct adopt_arg *a, json_t *all)
{
    static const struct {
        unsigned half;
        const char *name;
    } halves[] = {
        {ACCOUNT_NATIVE_USER, "user"}, {ACCOUNT_PERSONA, "persona"}, {ACCOUNT_WORKSPACE, "workspace"}};
    _cleanup_json_ json_t *made = json_array();
    char text[64] = "";
    for (size_t i = 0; i < ARRAY_LEN(halves); i++)
        if (a->made & halves[i].half) {
            (void)json_array_append_new(made, json_string(halves[i].name));
            (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", text[0] ? ", " : "",
                           halves[i].name);
        }
    if (run->env->json)
        return json_array_append_new(
            all, json_pack("{s:s, s:s?, s:I, s:O}", "id", a->user_id, "email", a->email,
                           "anythingllm_user_id", (json_int_t)a->account.anythingllm_user_id, "made", made));
    printf("%-36s  %-32s  %s\n", a->user_id, a->email ? a->email : "-",
           text[0] ? text : "nothing was missing");
    return 0;
}

static int collect_adoptee(void *ctx, const char *user_id, const char *email)
{
    json_t *who = json_pack("{s:s, s:s?}", "id", user_id, "email", email);
    return json_array_append_new(ctx, who) < 0 ? -ENOMEM : 0;
}

static int unadopted_unit(struct db_conn *c, void *arg)
{
    (void)json_array_clear(arg);
    return account_each_unadopted(c, collect_adoptee, arg);
}

/* Whom to adopt, as a list of {id, email}. */
static int choose_adoptees(struct user_run *run, json_t *people)
{
    struct user_found f;
    if (run->options.all) {
        int r = db_read(run->db, unadopted_unit, people);
        return r < 0 ? user_fail_store(r) : CMD_OK;
    }
    int r = user_find(run, &f);
    if (r == CMD_OK && collect_adoptee(people, f.info.user_id, f.info.email) < 0)
        return cmd_fail("out of memory");
    return r;
}

/* One unit a user: what went well stays when a later one fails. */
static int adopt_each(struct user_run *run, const json_t *people, json_t *shown)
{
    size_t i;
    const json_t *who;
    json_array_foreach (people, i, who) {
        struct adopt_arg a = {.user_id = json_str(who, "id", ""),
                              .email = json_str(who, "email", NULL),
                              .onboarding = run->options.onboarding};
        int r = db_write(run->db, adopt_unit, &a);
        if (r == -ENOENT) /* gone meanwhile */
            continue;
        if (r < 0)
            return user_fail_store(r);
        if (show_adopted(run, &a, shown) < 0)
            return cmd_fail("out of memory");
    }
    return CMD_OK;
}

static int user_adopt(struct user_run *run)
{
    const struct user_options *o = &run->options;
    _cleanup_json_ json_t *people = json_array(), *shown = json_array();
    if (o->all == (o->email != NULL))
        return cmd_usage_error("adopt wants either --email or --all");
    if (o->onboarding && !account_onboarding_valid(o->onboarding))
        return cmd_usage_error("there is no onboarding state '%s'", o->onboarding);
    if (o->email && check_email(run) != CMD_OK)
        return CMD_USAGE;
    int r = choose_adoptees(run, people);
    if (r != CMD_OK)
        return r;
    if (!run->env->json)
        printf("%-36s  %-32s  %s\n", "ID", "E-MAIL", "MADE");
    r = adopt_each(run, people, shown);
    if (run->env->json && (json_dumpf(shown, stdout, JSON_INDENT(2)) < 0 || putchar('\n') != '\n'))
        return cmd_fail("can't write the output");
    return r;
}

static const struct verb {
    const char *name;
    int (*run)(struct user_run *run);
    const char *const *takes; /* options; the first is --email where one is needed */
} verbs[] = {
    {"add", user_add,
     (const char *const[]){"--email", "--password", "--password-stdin", "--role", "--tier", "--onboarding",
                           "--first-name", NULL}},
    {"token", user_token, (const char *const[]){"--email", "--ttl", NULL}},
    {"adopt", user_adopt, (const char *const[]){"--all", "--email", "--onboarding", NULL}},
    {"list", user_list, (const char *const[]){NULL}},
    {"passwd", user_passwd, (const char *const[]){"--email", "--password", "--password-stdin", NULL}},
    {"suspend", user_suspend, (const char *const[]){"--email", NULL}},
    {"unsuspend", user_unsuspend, (const char *const[]){"--email", NULL}},
    {"export", user_export, (const char *const[]){"--email", "--output", "--force", NULL}},
    {"delete", user_delete, (const char *const[]){"--email", "--yes", NULL}},
};

static int run_verb(struct cmd_env *env, const struct verb *verb, int argc, char **argv)
{
    struct user_run run = {.env = env};
    int r = read_options(&run.options, verb->takes, argc, argv);
    if (r == CMD_OK && str_equal(verb->takes[0], "--email"))
        r = check_email(&run);
    if (r != CMD_OK)
        return r;
    _cleanup_(db_closeP) struct db *db = NULL;
    if (cmd_open_store(env, &db) < 0)
        return CMD_FAILED;
    run.db = db;
    arena_init(&run.arena, TEXTS_MAX);
    r = verb->run(&run);
    arena_free(&run.arena);
    return r;
}

int cmd_user(struct cmd_env *env, int argc, char **argv)
{
    if (argc < 2)
        return cmd_usage_error(
            "user wants one of add, token, adopt, list, passwd, suspend, unsuspend, export, delete");
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (strcmp(verbs[i].name, argv[1]) == 0)
            return run_verb(env, &verbs[i], argc - 2, argv + 2);
    return cmd_usage_error("there is no 'user %s'", argv[1]);
}
