/* SPDX-License-Identifier: MIT */
/* The states of onboarding, EXTENSION_INSTALL → DATA_COLLECTION → PROCESSING → COMPLETE, which stand in a
 * user's persona. A user without one has not begun. The functions that take a db_conn run inside the caller's
 * unit, and write to the persona's row: of several that change a state at once each decides by what the one
 * before it left. */
#ifndef ONBOARDING_STATE_H
#define ONBOARDING_STATE_H

#include "base/uuid.h"
#include "db/db.h"

enum onboarding_state { ONBOARDING_EXTENSION, ONBOARDING_DATA, ONBOARDING_PROCESSING, ONBOARDING_COMPLETE };

#define ONBOARDING_STATES "EXTENSION_INSTALL|DATA_COLLECTION|PROCESSING|COMPLETE"

const char *onboarding_state_name(enum onboarding_state state);

/* 0, or -EINVAL where no state has that name (NULL has none). */
int onboarding_state_find(const char *name, enum onboarding_state *ret);

/* Whether a creator may take this step: to the next state, or staying. Pure. */
bool onboarding_may_step(enum onboarding_state from, enum onboarding_state to);

/* 1 with the persona's state; 0 where there is no persona (then *ret is the first state); or the store's
 * error. persona_id (UUID_SIZE bytes) may be NULL. */
int onboarding_read(struct db_conn *c, const char *user_id, enum onboarding_state *ret, char *persona_id);

struct onboarding_change {
    const char *user_id;
    enum onboarding_state to;
    bool any; /* an admin's: any state; a step before PROCESSING withdraws the user's jobs */
    char persona_id[UUID_SIZE]; /* out */
};

/* Changes the state, and makes the persona where there is none: 0, -ENOENT no such user, -EPERM no such step,
 * or the store's error. */
int onboarding_change(struct db_conn *c, struct onboarding_change *change);

/* Whether the user has a job of onboarding that hasn't ended: 1, 0, or the store's error. */
int onboarding_has_job(struct db_conn *c, const char *user_id);

#endif
