/* SPDX-License-Identifier: MIT */
/* Invites, in AnythingLLM's table and form of code; expires_at is ours. A code is good once, while it is
 * pending and has not expired. The functions run inside the caller's unit. */
#ifndef AUTH_INVITES_H
#define AUTH_INVITES_H

#include "db/db.h"

#define INVITE_CODE_LEN 31 /* XXXXXXX-XXXXXXX-XXXXXXX-XXXXXXX, Crockford's base32 in capitals */

/* Makes a code and its row. lifetime_ms: 0 = for ever. Made on behalf of the oldest admin there is. code:
 * INVITE_CODE_LEN + 1 bytes. 0 or the store's error. */
int invite_create(struct db_conn *c, int64_t lifetime_ms, char *code);

/* Whether a code is good now: 1, 0, or the store's error. */
int invite_is_good(struct db_conn *c, const char *code);

/* Uses a code up: 1, 0 where it isn't good, or the store's error. Of several units with one code one gets 1.
 */
int invite_claim(struct db_conn *c, const char *code);

/* Says by whom (an AnythingLLM user) a claimed code was used. */
int invite_claimed_by(struct db_conn *c, const char *code, int64_t anythingllm_user_id);

/* Withdraws a code: 0 (also where it was before); -ENOENT no such code; -EEXIST it has been used; or the
 * store's error. */
int invite_revoke(struct db_conn *c, const char *code);

/* What lists show; dies when visit returns. status: pending, claimed, disabled or expired. */
struct invite_info {
    const char *code, *status, *created_at;
    const char *expires_at; /* NULL = never */
    const char *claimed_by; /* an e-mail address, else a user name; NULL = nobody */
    int64_t created_by;     /* an AnythingLLM user; 0 = nobody that is known */
};

/* Calls visit for every invite, the newest first: 0 or the store's error. */
int invite_each(struct db_conn *c, void (*visit)(void *ctx, const struct invite_info *invite), void *ctx);

#endif
