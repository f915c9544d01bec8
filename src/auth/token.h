/* SPDX-License-Identifier: MIT */
/* Tokens as text: what a well-formed, correctly signed and unexpired one says. Nothing here knows users or
 * the store. Pure and thread-safe. */
#ifndef AUTH_TOKEN_H
#define AUTH_TOKEN_H

#include "base/arena.h"
#include "base/uuid.h"

#include <stdbool.h>
#include <stdint.h>

#define TOKEN_MAX_BYTES (15 * 1024)
#define TOKEN_SKEW_S 60 /* how far in the future `iat` may lie */
#define TOKEN_SESSION_MAX 128
#define TOKEN_JTI_MAX 64

enum token_kind { TOKEN_DIRECTUS, TOKEN_ANYTHINGLLM };

struct token_claims {
    enum token_kind kind;
    char user_id[UUID_SIZE]; /* of a Directus token, in lower case */
    int64_t anythingllm_id;  /* of an AnythingLLM token */
    int64_t expires_s;       /* seconds since the epoch */
    char session[TOKEN_SESSION_MAX + 1];
    char jti[TOKEN_JTI_MAX + 1];
    char impersonated_by[UUID_SIZE]; /* each of the three "" where the claim is absent */
};

/* Keys are lists, newest first, comma separated; a NULL or empty list verifies nothing. */
struct token_keys {
    const char *directus;    /* DIRECTUS_SECRET */
    const char *anythingllm; /* JWT_SECRET */
};

/* Whether the text has the form of a JWT at all (three parts, a JSON object's beginning): such a one is never
 * looked up as a static token. */
bool token_is_jwt(const char *token);

/* Whether the text is a JWT that says `impersonated_by`, whoever signed it and whether it still counts. */
bool token_impersonates(const char *token);

/* Verifies against every key of both kinds: 0 and *ret; -EKEYEXPIRED for a good token whose time is over;
 * -EACCES for everything else that is wrong; -ENOMEM. */
int token_verify(const char *token, const struct token_keys *keys, int64_t now_s, struct token_claims *ret);

/* What goes into a Directus access token. */
struct token_spec {
    const char *user_id;
    const char *role_id; /* may be NULL */
    bool app_access, admin_access;
    const char *session; /* NULL = not bound to a session */
    /* Of an impersonation: its id, and the admin behind it. Both or neither. */
    const char *jti, *impersonated_by;
    int64_t now_s, lifetime_s;
};

/* A Directus token signed with the newest key, in the arena; NULL without a key or memory. */
char *token_sign(struct arena *a, const struct token_keys *keys, const struct token_spec *spec);

#endif
