/* SPDX-License-Identifier: MIT */
/* Private to src/vault. The written form of a sealed text, without any cryptography. */
#ifndef VAULT_SEALED_H
#define VAULT_SEALED_H

#include "vault/vault.h"

#include <stdint.h>

#define SEALED_IV 12
#define SEALED_TAG 16

struct sealed {
    enum vault_format format;
    bool bare;
    char key_id[VAULT_KEY_ID_MAX + 1]; /* "" in v1 */
    uint8_t iv[SEALED_IV], tag[SEALED_TAG];
    const char *hex; /* the ciphertext, inside the text that was read */
    size_t len;      /* of the ciphertext in bytes, at least 1 */
};

/* 0 or -EBADMSG. Pure; allocates nothing. */
int sealed_parse(const char *text, struct sealed *ret);

/* Decodes 2 * len digits that sealed_parse has checked. */
void sealed_bytes(const char *hex, uint8_t *ret, size_t len);

/* Whether s may name a key: 1 to VAULT_KEY_ID_MAX letters, digits, dots, dashes, underscores. */
bool sealed_key_id_valid(const char *s, size_t len);

/* Appends the wrapped form; data holds s->len bytes of ciphertext. 0, -ENOBUFS or -ENOMEM. */
int sealed_write(struct buf *to, const struct sealed *s, const uint8_t *data);

#endif
