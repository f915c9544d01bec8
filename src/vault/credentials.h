/* SPDX-License-Identifier: MIT */
/* Platform credentials, in platform_connections. Each call is one unit of the store together with its audit
 * row: where the row can't be written nothing is stored and nothing revealed. A call returns what became of
 * it, or the store's negative errno; then nothing was done. Any thread that may wait. */
#ifndef VAULT_CREDENTIALS_H
#define VAULT_CREDENTIALS_H

#include "base/clock.h"
#include "base/uuid.h"
#include "db/db.h"
#include "vault/vault.h"

enum credentials_outcome {
    CREDENTIALS_OK,
    CREDENTIALS_NOT_FOUND,      /* no such record, or somebody else's */
    CREDENTIALS_NONE_STORED,    /* the record holds none */
    CREDENTIALS_DECRYPT_FAILED, /* altered, or sealed under a key or for a record that isn't this one */
    CREDENTIALS_FORBIDDEN,      /* not with a token of this kind */
    CREDENTIALS_READ_ONLY,      /* not with an account that may only read */
    CREDENTIALS_CONFLICT,       /* another record of the owner has that platform and username */
    CREDENTIALS_NO_KEY,         /* the installation has no key */
    CREDENTIALS_FAILED,         /* the text can't be sealed */
};

enum credentials_action {
    CREDENTIALS_STORE,
    CREDENTIALS_REVEAL,
    CREDENTIALS_CREATE,
    CREDENTIALS_UPDATE,
};

/* Who calls. */
struct credentials_caller {
    struct db *db;
    const struct vault *vault; /* NULL: the installation has no key */
    const char *actor;         /* for the audit */
    const char *user_id;       /* whose records; NULL for a service */
    bool any_record;           /* an administrator or a service */
    bool may_reveal;
    const char *ip, *request_id;
};

/* What a writing call is about. */
struct credentials_input {
    const char *record_id; /* of store and update; any case */
    const char *platform;  /* of create */
    const char *username;  /* of create and update; NULL = none, or unchanged */
    const char *plain;     /* compact JSON */
    size_t len;
};

/* What it left behind. */
struct credentials_record {
    char id[UUID_SIZE];
    char updated_at[ISO_TIME_LEN];
    bool existed;
};

/* Seals and writes: into a record that exists (store, update), or into the one of that platform and username,
 * which is made where there is none (create; two at once make one). action is none of reveal. */
int credentials_write(const struct credentials_caller *who, enum credentials_action action,
                      const struct credentials_input *in, struct credentials_record *ret);

/* Opens what is stored in a record; the text is appended to `to` (which should be secret). */
int credentials_reveal(const struct credentials_caller *who, const char *record_id, struct buf *to);

/* Notes a call that was refused before it was looked at. 0 or the store's error. */
int credentials_refused(const struct credentials_caller *who, enum credentials_action action,
                        enum credentials_outcome why);

#endif
