/* SPDX-License-Identifier: MIT */
/* Accounts. An account is one person in two systems: a Directus user (who logs in, owns rows) and an
 * AnythingLLM user (who owns workspaces and threads), made together or not at all, with the persona and the
 * workspace that chatting needs. Registration and the command line make accounts with the same function. A
 * Directus user that was made at a Directus has no other half until it is adopted.
 *
 * Functions that take a db_conn run inside the caller's unit; passwords come hashed (auth/passwords.h), since
 * hashing must not happen in a unit. Who changes an account drops cached identities after it (auth_forget).
 */
#ifndef AUTH_ACCOUNTS_H
#define AUTH_ACCOUNTS_H

#include "base/uuid.h"
#include "db/db.h"

#define ACCOUNT_EMAIL_MAX 128      /* what Directus has room for */
#define ACCOUNT_NAME_MAX 64        /* of an AnythingLLM user */
#define ACCOUNT_PASSWORD_LEAST 8   /* characters */
#define ACCOUNT_FIRST_NAME_MOST 50 /* characters, as in Directus */

struct account_spec {
    const char *email;         /* account_email() made it */
    const char *password_hash; /* NULL = none: nobody can log in until one is set */
    const char *first_name;    /* may be NULL */
    const char *role;          /* by name; NULL = Creator */
    const char *tier;          /* a tier's own name; NULL = starter */
    const char *onboarding;    /* a state; NULL = EXTENSION_INSTALL */
    const char *status;        /* NULL = active */
    /* An AnythingLLM user that is there and nobody's yet; 0 = one is made. A workspace is made unless it has
     * one. */
    int64_t anythingllm_user_id;
};

struct account {
    char user_id[UUID_SIZE];
    int64_t anythingllm_user_id;
    int64_t workspace_id;
};

/* Checks an address and copies it in lower case (ret: ACCOUNT_EMAIL_MAX + 1 bytes): 0 or -EINVAL. */
int account_email(const char *given, char *ret);

/* Whether it is one of the onboarding states. */
bool account_onboarding_valid(const char *state);

/* The AnythingLLM user name that an e-mail becomes (ret: ACCOUNT_NAME_MAX + 1 bytes), before it is made
 * unique. */
void account_username(const char *email, char *ret);

/* Makes a name unique under a query of the form SELECT 1 … ?1 that looks for its holder: appends eight random
 * digits where it is taken. `name` has room for max characters and a NUL. 0 or the store's error. */
int account_unique_name(struct db_conn *c, const char *taken_sql, char *name, size_t max);

/* Makes the account: 0; -EEXIST the e-mail is taken; -ENOENT no such role; or the store's error. */
int account_create(struct db_conn *c, const struct account_spec *spec, struct account *ret);

/* What adopting an account had to make. */
enum account_half { ACCOUNT_NATIVE_USER = 1, ACCOUNT_PERSONA = 2, ACCOUNT_WORKSPACE = 4 };

/* Makes whatever a Directus user lacks of an account: 0, with what was made (enum account_half) in *ret_made;
 * -ENOENT no such user; or the store's error. onboarding: of a new persona; NULL = EXTENSION_INSTALL. */
int account_adopt(struct db_conn *c, const char *user_id, const char *onboarding, struct account *ret,
                  unsigned *ret_made);

/* Calls visit for every active Directus user that lacks something of an account, in order of e-mail (may be
 * NULL). Ends with what visit returned, where that is negative. */
int account_each_unadopted(struct db_conn *c, int (*visit)(void *ctx, const char *user_id, const char *email),
                           void *ctx);

/* Whether an account has this address, in either case: 1, 0, or the store's error. */
int account_email_taken(struct db_conn *c, const char *email);

/* What lists show. Texts live in the arena given to the function that filled it. */
struct account_info {
    const char *user_id, *email, *first_name, *role_id, *role, *tier, *status, *onboarding, *workspace,
        *last_access;
    int64_t anythingllm_user_id;
};

/* By e-mail, in either case: 0, -ENOENT, or the store's error. */
int account_find(struct db_conn *c, const char *email, struct arena *a, struct account_info *ret);

/* Calls visit for every account in order of e-mail; what it gets dies when it returns. */
int account_each(struct db_conn *c, void (*visit)(void *ctx, const struct account_info *account), void *ctx);

/* Sets a password and ends every session of the user: 0, -ENOENT, or the store's error. */
int account_set_password(struct db_conn *c, const char *user_id, const char *hash);

/* Suspends (ending every session) or makes active again, in both systems: 0, -ENOENT, or the store's error.
 */
int account_set_suspended(struct db_conn *c, const char *user_id, bool suspended);

#endif
