/* SPDX-License-Identifier: MIT */
/* Private to src/vault. The trail of who asked for which credentials, and what became of it. */
#ifndef VAULT_AUDIT_H
#define VAULT_AUDIT_H

#include "db/db.h"

struct audit {
    const char *record_id; /* NULL where none was named */
    const char *owner;     /* of the record; NULL where there is none */
    const char *actor, *action, *outcome;
    const char *ip, *request_id; /* may be NULL */
};

/* Adds the row; part of the unit whose effect it tells of. 0 or the store's error. */
int audit_write(struct db_conn *c, const struct audit *a);

#endif
