/* SPDX-License-Identifier: MIT */
/* Who asks. A token (Directus JWT, Directus static token, AnythingLLM JWT) is verified, then the user's row
 * is loaded and bridged to the AnythingLLM user; rights come from the database. Loaded identities are cached
 * for at most IDENTITY_CACHE_MS, and dropped at once on a write of ours to that user. Thread-safe. */
#ifndef AUTH_IDENTITY_H
#define AUTH_IDENTITY_H

#include "base/config.h"
#include "base/error.h"
#include "base/uuid.h"
#include "db/db.h"

#define IDENTITY_CACHE_MS 5000

/* Immutable and reference-counted; texts live as long as it does. */
struct identity {
    char user_id[UUID_SIZE];
    const char *email;           /* may be NULL */
    const char *first_name;      /* may be NULL */
    const char *role_id;         /* may be NULL */
    const char *role_name;       /* may be NULL */
    const char *tier;            /* may be NULL */
    int64_t anythingllm_user_id; /* 0 = not bridged */
    bool admin;                  /* by policies, not by claim */
    bool app_access;
    bool read_only;              /* the Viewer role */
    const char *impersonated_by; /* user id of the admin behind an impersonation token, else NULL */
    const char *impersonation;   /* the id of that impersonation, else NULL */
    const char *session;         /* the directus_sessions token that the JWT names, else NULL */
};

struct auth;

int auth_open(const struct config *cfg, struct db *db, struct auth **ret);
void auth_close(struct auth *auth);

/* The two halves that http/server.h asks for (struct http_auth): memory only; then with the store. */
int auth_lookup(struct auth *auth, const char *token, struct identity **ret, enum error_id *ret_error);
int auth_resolve(struct auth *auth, const char *token, const char *client_ip, struct identity **ret,
                 enum error_id *ret_error);

/* A copy on the heap, its texts with it, holding one reference; NULL without memory. */
struct identity *identity_make(const struct identity *from);

struct identity *identity_ref(struct identity *who);
void identity_unref(struct identity *who);
DEFINE_CLEANUP(struct identity *, identity_unref);

/* Forgets what is cached of a user; NULL = of everybody. */
void auth_forget(struct auth *auth, const char *user_id);

#endif
