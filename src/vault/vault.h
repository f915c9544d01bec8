/* SPDX-License-Identifier: MIT */
/* Secrets at rest: AES-256-GCM under keys of the installation. A sealed text is
 *
 *   {"enc":"v1:<iv>:<tag>:<ciphertext>"}           any key
 *   {"enc":"v2:<keyId>:<iv>:<tag>:<ciphertext>"}   the named key, bound to one record
 *
 * with a random IV of 12 bytes, a tag of 16 and all parts in lower-case hex; the bare string inside is read
 * as well. v2 has the record's id as additional data, so that what was sealed for one row opens in no other.
 * Thread-safe: nothing changes after vault_open. */
#ifndef VAULT_VAULT_H
#define VAULT_VAULT_H

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"

#include <stdbool.h>
#include <stddef.h>

#define VAULT_KEY_ID_MAX 32
#define VAULT_PLAIN_MAX ((size_t)256 * 1024)                  /* bytes that can be sealed */
#define VAULT_SEALED_MAX (2 * VAULT_PLAIN_MAX + (size_t)1024) /* bytes of a sealed text */

enum vault_format { VAULT_V1 = 1, VAULT_V2 = 2 };

struct vault;

/* What a sealed text says of itself, and which of our keys opens it. */
struct vault_label {
    enum vault_format format;
    bool bare;    /* not wrapped in {"enc":…} */
    bool current; /* in the form and under the key that vault_seal would use now */
    char key_id[VAULT_KEY_ID_MAX + 1];
};

/* Reads the keys of the settings into memory that is locked and left out of core files where the system
 * allows. 0, with *ret NULL where CREDENTIALS_ENC_KEY_B64 is unset; -EINVAL with a sentence that names the
 * setting, or -ENOMEM. */
int vault_open(const struct config *cfg, struct vault **ret, char *error, size_t error_size);

/* Wipes the keys. */
void vault_close(struct vault *v);
DEFINE_CLEANUP(struct vault *, vault_close);

/* The name of the format that vault_seal writes: "v1" or "v2". */
const char *vault_version(const struct vault *v);

/* Seals len bytes (1 to VAULT_PLAIN_MAX) for the record of that id and appends the text: 0, -EMSGSIZE,
 * -ENOBUFS, -ENOMEM or -EIO. */
int vault_seal(const struct vault *v, const char *record_id, const char *plain, size_t len, struct buf *to);

/* Opens a sealed text of that record: 0, the bytes appended to `to` (which should be secret, see buf.h), and
 * *ret_label (may be NULL). -EBADMSG whatever is wrong with it: its form, its key, its record, a bit; -ENOMEM
 * and -ENOBUFS. */
int vault_unseal(const struct vault *v, const char *record_id, const char *sealed, struct buf *to,
                 struct vault_label *ret_label);

#endif
