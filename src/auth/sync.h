/* SPDX-License-Identifier: MIT */
/* Carries what a Directus says of its users over to their AnythingLLM halves: the role (by admin rights, as
 * everywhere: auth/rights.h), and the suspension. It is read from the store, so a caller says only whom to
 * look at. Blocking; workers only. */
#ifndef AUTH_SYNC_H
#define AUTH_SYNC_H

#include "auth/identity.h"

#define SYNC_USERS_MAX 512 /* of one ask */

enum sync_outcome {
    SYNC_DONE,
    SYNC_INVALID_ID,         /* no UUID; set by the caller, left alone here */
    SYNC_NO_SUCH_USER,       /* not, or not any more, a Directus user */
    SYNC_NO_ANYTHINGLLM_USER /* no account here: it has to be adopted (auth/accounts.h) */
};

struct sync_user {
    char user_id[UUID_SIZE]; /* in lower case */
    enum sync_outcome outcome;
    /* of SYNC_DONE alone */
    int64_t anythingllm_user_id;
    const char *role; /* static: "admin" or "default" */
    bool read_only;
};

struct sync_ask {
    struct sync_user *users;
    size_t n;
    bool status; /* their status was changed, too */
};

/* Looks at the users in one unit: 0, -EINVAL for too many, or the store's error and nothing is changed. What
 * is cached of those that aren't SYNC_INVALID_ID is dropped, here and on the other servers, whatever their
 * outcome. */
int sync_users(struct auth *auth, struct db *db, struct sync_ask *ask);

#endif
