/* SPDX-License-Identifier: MIT */
/* SHA-256 of what comes in pieces. Not thread-safe. */
#ifndef OPS_DIGEST_H
#define OPS_DIGEST_H

#include "base/cleanup.h"
#include "base/text.h"
#include "ops/manifest.h"

#include <errno.h>
#include <openssl/evp.h>

DEFINE_CLEANUP(EVP_MD_CTX *, EVP_MD_CTX_free);
#define _cleanup_digest_ _cleanup_(EVP_MD_CTX_freeP)

/* NULL without memory. */
static inline EVP_MD_CTX *digest_begin(void)
{
    EVP_MD_CTX *d = EVP_MD_CTX_new();
    if (d && EVP_DigestInit_ex(d, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(d);
        return NULL;
    }
    return d;
}

/* In hexadecimal; ret holds SHA256_HEX + 1. 0 or -EIO. */
static inline int digest_end(EVP_MD_CTX *d, char *ret)
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (EVP_DigestFinal_ex(d, bytes, &len) != 1 || len != SHA256_BYTES)
        return -EIO;
    hex_encode(bytes, len, ret);
    return 0;
}

#endif
