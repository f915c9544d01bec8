/* SPDX-License-Identifier: MIT */
/* What the files of `genie user` share; private to src/cmd. */
#ifndef CMD_USER_H
#define CMD_USER_H

#include "auth/accounts.h"
#include "auth/rights.h"
#include "cmd/cmd.h"

struct user_options {
    const char *email, *password, *role, *tier, *onboarding, *first_name, *ttl, *output;
    bool password_stdin, yes, force, all;
};

/* One run of a verb. */
struct user_run {
    struct cmd_env *env;
    struct user_options options;
    char email[ACCOUNT_EMAIL_MAX + 1]; /* checked, where the verb wants one */
    struct db *db;
    struct arena arena;
};

struct user_found {
    const char *email;
    struct arena *arena;
    struct account_info info;
    struct rights rights;
};

/* The account that --email names: CMD_OK, or CMD_FAILED with the sentence printed. */
int user_find(struct user_run *run, struct user_found *ret);

/* "the store failed: …". */
int user_fail_store(int r);

int user_delete(struct user_run *run);
int user_export(struct user_run *run);

#endif
