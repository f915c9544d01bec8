/* SPDX-License-Identifier: MIT */
/* Private to src/vault. The keys of the installation. */
#ifndef VAULT_KEYS_H
#define VAULT_KEYS_H

#include "vault/vault.h"

#include <stdint.h>

#define KEY_BYTES 32
#define KEYS_OLD_MAX 16
#define KEYS_MAX (KEYS_OLD_MAX + 1)

struct vault_key {
    char id[VAULT_KEY_ID_MAX + 1];
    uint8_t bytes[KEY_BYTES];
};

/* In pages of its own. */
struct vault {
    enum vault_format format;
    size_t n;
    struct vault_key keys[KEYS_MAX]; /* the current one first */
};

#endif
