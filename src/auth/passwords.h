/* SPDX-License-Identifier: MIT */
/* Password hashes: argon2id in exactly the form that Directus writes and reads. A hash costs 64 MiB and about
 * a tenth of a second, so at most PASSWORD_HASHERS run at a time, on threads of their own with a lower
 * priority, behind a short queue; a flood of log-ins is refused instead of slowing everything else.
 * Thread-safe; calls block. */
#ifndef AUTH_PASSWORDS_H
#define AUTH_PASSWORDS_H

#include "base/cleanup.h"

#define PASSWORD_HASHERS 2
#define PASSWORD_HASH_SIZE 128
#define PASSWORD_MAX_BYTES 1024 /* longer ones are refused before hashing */

struct passwords;

/* waiting: most calls that may wait for a hasher. 0 or negative errno. */
int passwords_open(int waiting, struct passwords **ret);

/* Waits for what is in work. */
void passwords_close(struct passwords *p);
DEFINE_CLEANUP(struct passwords *, passwords_close);

/* Hashes into ret (PASSWORD_HASH_SIZE): 0, -EBUSY (the queue is full), -EINVAL (too long or empty), -ENOMEM.
 */
int password_hash(struct passwords *p, const char *password, char *ret);

/* Whether the password fits a "$argon2…" hash: 0, -EACCES (no, or the hash is of another form), -EBUSY,
 * -ENOMEM. A NULL hash costs the same time and never fits: so unknown accounts answer as slowly as known
 * ones. */
int password_verify(struct passwords *p, const char *hash, const char *password);

#endif
