/* SPDX-License-Identifier: MIT */
/* What a backup says of itself: lines of text, the archive's last member.
 *
 *     genie-backup 1
 *     program 0.1.0
 *     schema 3                       (absent where there is no database in it)
 *     created 2026-03-13T10:22:00.123Z
 *     member <SHA-256> <size> <name> (one each, in the order of the archive)
 *     end <members> <bytes>
 *
 * A name is genie.db, secrets.env, or files/… or onboarding/… of plain parts. Reading takes any bytes;
 * nothing in them is believed beyond what is checked here. Not thread-safe. */
#ifndef OPS_MANIFEST_H
#define OPS_MANIFEST_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

#define MANIFEST_NAME "manifest"
#define MANIFEST_MAX ((size_t)256 * 1024 * 1024)
#define MEMBERS_MAX 1000000
#define MEMBER_NAME_MAX 512
#define MEMBER_SIZE_MAX (INT64_C(1) << 50)

#define MEMBER_DATABASE "genie.db"
#define MEMBER_SECRETS "secrets.env"
#define MEMBER_FILES "files/"
#define MEMBER_EXPORTS "onboarding/" /* that wait for their job */

#define SHA256_BYTES 32
#define SHA256_HEX (2 * SHA256_BYTES)

struct member;

struct manifest {
    char program[32];
    char created[32];
    int64_t schema; /* 0: no database */
    int64_t bytes;  /* of all members */
    size_t n;
    struct member *members; /* in order; a hash by name as well */
};

const char *member_name(const struct member *m);
int64_t member_size(const struct member *m);
const char *member_sha(const struct member *m);
const struct member *member_next(const struct member *m);

/* Whether a backup may hold a member of that name: nothing that could lead out of a directory. */
bool member_name_valid(const char *name);

/* Adds one: 0, -EINVAL the name is not valid, -EEXIST, -ERANGE too many or too large, -ENOMEM. */
int manifest_add(struct manifest *m, const char *name, int64_t size, const char *sha);

/* NULL if there is none. */
const struct member *manifest_find(const struct manifest *m, const char *name);

/* Appends the text: 0, -ENOBUFS or -ENOMEM. */
int manifest_write(const struct manifest *m, struct buf *out);

/* Reads the text, which must be exactly one that manifest_write could have made: 0, -EINVAL, -ERANGE or
 * -ENOMEM. `ret` is filled only on success. */
int manifest_parse(const char *text, size_t len, struct manifest *ret);

void manifest_free(struct manifest *m);

#endif
