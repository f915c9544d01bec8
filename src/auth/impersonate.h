/* SPDX-License-Identifier: MIT */
/* An admin acting as somebody else, for a quarter of an hour at most. Each impersonation is a row of
 * impersonations, written before its token exists, and a trail for ever. The token counts as long as that row
 * is open and both sides are what they have to be, which identity_load looks at. Blocking; workers only. */
#ifndef AUTH_IMPERSONATE_H
#define AUTH_IMPERSONATE_H

#include "auth/identity.h"

#define IMPERSONATION_TTL_S (15 * 60)

enum impersonation_outcome {
    IMPERSONATION_OK,
    IMPERSONATION_NO_SUCH_USER,
    IMPERSONATION_OF_ADMIN, /* oneself included */
    IMPERSONATION_OF_INACTIVE,
};

struct impersonation {
    const struct identity *admin;
    char user_id[UUID_SIZE];              /* whom; in lower case */
    const char *reason, *ip, *request_id; /* each may be NULL */

    /* out; texts in the arena */
    struct arena *arena;
    enum impersonation_outcome outcome;
    char id[UUID_SIZE];
    const char *email, *role_id, *role; /* each may be NULL */
    const char *token;                  /* of IMPERSONATION_OK */
};

/* Begins one: 0 and the outcome, the store's error, or -ENOMEM. */
int impersonation_begin(struct db *db, const struct config *cfg, struct impersonation *i);

/* Ends the impersonation with this id, or (id NULL) every one of this user: 0 and how many were open, or the
 * store's error. Their tokens are refused from the next request on; by other servers, as soon as they hear
 * of the write. */
int impersonation_end(struct auth *auth, struct db *db, const char *id, const char *user_id,
                      int64_t *ret_ended);

#endif
