/* SPDX-License-Identifier: MIT */
/* genie credentials: how credentials are sealed, and moving them to the current key. Servers may run. */
#include "base/json.h"
#include "cmd/cmd.h"
#include "cmd/progress.h"
#include "vault/rotate.h"

#include <errno.h>
#include <string.h>

#define KINDS_MAX 256
#define SENTENCE 256

/* ---- rotate */

static int print_rotation(const struct cmd_env *env, const struct rotation *r)
{
    if (!env->json) {
        printf(
            "%lld rows: %lld rotated, %lld were current, %lld can't be decrypted, %lld changed meanwhile.\n",
            (long long)r->rows, (long long)r->rotated, (long long)r->current, (long long)r->failed,
            (long long)r->behind);
        return CMD_OK;
    }
    _cleanup_json_ json_t *out = json_pack(
        "{s:I, s:I, s:I, s:I, s:I}", "rows", (json_int_t)r->rows, "rotated", (json_int_t)r->rotated,
        "current", (json_int_t)r->current, "failed", (json_int_t)r->failed, "behind", (json_int_t)r->behind);
    return out && json_dumpf(out, stdout, JSON_COMPACT) == 0 && putchar('\n') == '\n' ? CMD_OK : CMD_FAILED;
}

static int rotate(struct cmd_env *env, const struct vault *v, struct db *db)
{
    struct rotation sum;
    struct progress bar;
    progress_begin(&bar, "rotating");
    int r = vault_rotate(v, db, progress_show, &bar, &sum);
    progress_end(&bar);
    if (r < 0)
        return cmd_fail("the store failed: %s; what was rotated stays so, run it again for the rest",
                        strerror(-r));
    if (print_rotation(env, &sum) != CMD_OK)
        return CMD_FAILED;
    if (sum.failed > 0)
        return cmd_fail("%lld rows can't be decrypted with any key of ours and were left as they are; see "
                        "`genie credentials status`",
                        (long long)sum.failed);
    if (sum.behind > 0)
        return cmd_fail("%lld rows were written by others meanwhile; run it again", (long long)sum.behind);
    return CMD_OK;
}

/* ---- status */

struct kind {
    struct sealed_status like;
    int64_t rows;
};

struct census {
    const struct cmd_env *env;
    struct kind kinds[KINDS_MAX]; /* 2 tables × 2 formats × 2 forms × 17 keys, and what is unreadable */
    size_t n;
    int64_t unreadable;
};

static bool same_kind(const struct sealed_status *a, const struct sealed_status *b)
{
    return strcmp(a->table, b->table) == 0 && a->readable == b->readable &&
           (!a->readable || (a->label.format == b->label.format && a->label.bare == b->label.bare &&
                             strcmp(a->label.key_id, b->label.key_id) == 0));
}

static void count_one(void *ctx, const struct sealed_status *s)
{
    struct census *all = ctx;
    size_t i = 0;
    if (!s->readable) {
        all->unreadable++;
        (void)fprintf(stderr, "genie: %s %s can't be decrypted\n", s->table, s->record_id);
    }
    while (i < all->n && !same_kind(&all->kinds[i].like, s))
        i++;
    if (i == KINDS_MAX)
        abort(); /* more kinds than there can be */
    if (i == all->n)
        all->kinds[all->n++] = (struct kind){.like = *s};
    all->kinds[i].rows++;
}

static const char *format_name(const struct sealed_status *s)
{
    if (!s->readable)
        return "unreadable";
    if (s->label.format == VAULT_V2)
        return s->label.bare ? "v2 bare" : "v2";
    return s->label.bare ? "v1 bare" : "v1";
}

static int print_census(const struct census *all)
{
    _cleanup_json_ json_t *out = json_array();
    if (!all->env->json)
        printf("%-22s  %-10s  %-32s  %-7s  %s\n", "TABLE", "FORMAT", "KEY", "CURRENT", "ROWS");
    for (size_t i = 0; i < all->n; i++) {
        const struct kind *k = &all->kinds[i];
        const char *key = k->like.readable ? k->like.label.key_id : NULL;
        bool current = k->like.readable && k->like.label.current;
        if (!all->env->json)
            printf("%-22s  %-10s  %-32s  %-7s  %lld\n", k->like.table, format_name(&k->like), key ? key : "-",
                   current ? "yes" : "no", (long long)k->rows);
        else if (json_array_append_new(out, json_pack("{s:s, s:s, s:s?, s:b, s:I}", "table", k->like.table,
                                                      "format", format_name(&k->like), "key", key, "current",
                                                      (int)current, "rows", (json_int_t)k->rows)) < 0)
            return cmd_fail("out of memory");
    }
    if (all->env->json && (json_dumpf(out, stdout, JSON_INDENT(2)) < 0 || putchar('\n') != '\n'))
        return cmd_fail("can't write the output");
    return all->unreadable > 0 ? CMD_FAILED : CMD_OK;
}

static int status(struct cmd_env *env, const struct vault *v, struct db *db)
{
    struct census all = {.env = env};
    int r = vault_inspect(v, db, count_one, &all);
    return r < 0 ? cmd_fail("the store failed: %s", strerror(-r)) : print_census(&all);
}

/* ---- the command */

static const struct {
    const char *name;
    int (*run)(struct cmd_env *env, const struct vault *v, struct db *db);
} verbs[] = {
    {"rotate", rotate},
    {"status", status},
};

static int run_verb(struct cmd_env *env, size_t verb)
{
    _cleanup_(db_closeP) struct db *db = NULL;
    _cleanup_(vault_closeP) struct vault *v = NULL;
    char why[SENTENCE] = "out of memory";
    if (cmd_open_store(env, &db) < 0)
        return CMD_FAILED;
    if (vault_open(&env->load.config, &v, why, sizeof why) < 0)
        return cmd_fail("%s", why);
    if (!v)
        return cmd_fail("CREDENTIALS_ENC_KEY_B64 is unset, so there is no key");
    return verbs[verb].run(env, v, db);
}

int cmd_credentials(struct cmd_env *env, int argc, char **argv)
{
    if (argc < 2)
        return cmd_usage_error("credentials wants rotate or status");
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (strcmp(verbs[i].name, argv[1]) == 0)
            return argc > 2 ? cmd_usage_error("unknown option '%s'", argv[2]) : run_verb(env, i);
    return cmd_usage_error("there is no 'credentials %s'", argv[1]);
}
