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

#define ONBOARDING_WITHDRAWN "withdrawn: an admin set onboarding back"
#define ONBOARDING_WITHDRAWN_MOST 4
#define ONBOARDING_JOB_ID_SIZE 129

struct onboarding_change {
    const char *user_id;
    enum onboarding_state to;
    bool any; /* an admin's: any state; a step before PROCESSING withdraws the user's jobs */

    /* out */
    char persona_id[UUID_SIZE];
    /* Those whose rows ended with the reason ONBOARDING_WITHDRAWN (more than that are not listed): once the
     * unit is done, their queue is told. */
    char withdrawn[ONBOARDING_WITHDRAWN_MOST][ONBOARDING_JOB_ID_SIZE];
    size_t n_withdrawn;
};

/* Changes the state, and makes the persona where there is none: 0, -ENOENT no such user, -EPERM no such step,
 * or the store's error. */
int onboarding_change(struct db_conn *c, struct onboarding_change *change);

/* Why the user's last export came to nothing, in ret (ONBOARDING_REASON_SIZE bytes): 1; 0 where nothing is to
 * be told; or the store's error. It is forgotten with the next change of state. */
#define ONBOARDING_REASON_SIZE 513
int onboarding_read_reason(struct db_conn *c, const char *user_id, char *ret);

struct onboarding_end {
    const char *user_id, *job_id;
    bool good;
    const char *reason; /* of an end that isn't, a sentence for the user */
};

/* Inside the unit in which the job ends: PROCESSING becomes COMPLETE, or DATA_COLLECTION again with the
 * reason, so that nobody is stuck. Any other state stays, and so does PROCESSING by another job. Twice is as
 * once. 0 or the store's error. */
int onboarding_end(struct db_conn *c, const struct onboarding_end *end);

/* Whether the user has a job of onboarding that hasn't ended: 1, 0, or the store's error. */
int onboarding_has_job(struct db_conn *c, const char *user_id);

#endif
