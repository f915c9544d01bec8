/* SPDX-License-Identifier: MIT */
/* The one read of the store behind an identity; private to src/auth. */
#ifndef AUTH_IDENTITY_LOAD_H
#define AUTH_IDENTITY_LOAD_H

#include "auth/identity.h"
#include "auth/token.h"
#include "base/clock.h"

struct identity_load {
    struct token_claims claims; /* unless static_token */
    const char *static_token;   /* NULL = by claims */
    const char *client_ip;      /* may be NULL */
    char now_iso[ISO_TIME_LEN];
    struct arena texts; /* of `who`; the caller's to free */
    int64_t expires_s;  /* for the caller's own use */

    struct identity who;   /* out */
    enum error_id refused; /* out: ERR_NONE, or why this token is nobody's */
    bool address_bound;    /* out: another client address might get other rights */
};

/* A db_fn over struct identity_load: 0 also for a refusal, negative only when the store fails. */
int identity_load_unit(struct db_conn *c, void *arg);

#endif
