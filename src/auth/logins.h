/* SPDX-License-Identifier: MIT */
/* Log-in, refresh and log-out as Directus does them, on its own table of sessions: a refresh token of 64
 * random characters that is good for 7 days and is replaced at each use; an access token of 15 minutes; or,
 * in session mode, one token of a day that is alive only while its session row is. Blocking; workers only. */
#ifndef AUTH_LOGINS_H
#define AUTH_LOGINS_H

#include "auth/identity.h"
#include "auth/token.h"

#define LOGIN_ACCESS_TTL_S (15 * 60)
#define LOGIN_REFRESH_TTL_S (7 * 24 * 3600)
#define LOGIN_SESSION_TTL_S (24 * 3600)
/* A replaced session token is honoured for a moment more: a page may have sent several requests with it. */
#define LOGIN_SESSION_GRACE_S 10
#define REFRESH_TOKEN_LEN 64

struct logins;

/* cfg, db and auth must outlive it. 0 or negative errno with a log line. */
int logins_open(const struct config *cfg, struct db *db, struct auth *auth, struct logins **ret);
void logins_close(struct logins *logins);

/* Why somebody isn't let in. */
enum login_refusal {
    LOGIN_OK,
    LOGIN_BAD_CREDENTIALS, /* no such account, wrong password, no or an expired session */
    LOGIN_SUSPENDED,
    LOGIN_NEEDS_OTP,      /* the account has a second factor, which only Directus itself can ask for */
    LOGIN_OTHER_PROVIDER, /* the account belongs to a single sign-on provider */
    LOGIN_WAIT,           /* too many attempts: wait_ms says how long */
    LOGIN_BUSY,           /* too many passwords are being checked */
    LOGIN_STORE_FAILED,
};

struct login_client {
    const char *ip, *user_agent, *origin; /* each may be NULL */
};

/* What a client gets. */
struct login_grant {
    enum login_refusal refusal; /* LOGIN_OK: the rest is filled in */
    int64_t wait_ms;
    const char *access_token; /* in the given arena */
    char refresh_token[REFRESH_TOKEN_LEN + 1];
    int64_t lifetime_s; /* of the access token */
};

/* Checks e-mail and password and begins a session. session: in session mode. */
void login(struct logins *logins, struct arena *a, const char *email, const char *password, bool session,
           const struct login_client *client, struct login_grant *ret);

/* Hashes a new password (ret: PASSWORD_HASH_SIZE bytes) on the threads that check log-ins, behind the same
 * queue: 0, -EBUSY (the queue is full), -EINVAL (empty or too long), -ENOMEM. */
int login_hash_password(struct logins *logins, const char *password, char *ret);

/* Trades a refresh token for a new one and an access token. */
void login_refresh(struct logins *logins, struct arena *a, const char *refresh_token, bool session,
                   const struct login_client *client, struct login_grant *ret);

/* Ends the session; 0 also when there is none; or the store's error. */
int login_end(struct logins *logins, const char *refresh_token);

/* The session that a session-mode access token is bound to, "" if the token isn't valid or has none (ret:
 * TOKEN_SESSION_MAX + 1 bytes). Pure. */
void login_session_of(struct logins *logins, const char *access_token, char *ret);

#endif
