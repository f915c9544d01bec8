/* SPDX-License-Identifier: MIT */
/* Keys, and texts that Node's own crypto sealed under them. */
#ifndef TESTS_UNIT_VAULT_KEYS_H
#define TESTS_UNIT_VAULT_KEYS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "vault/vault.h"

#define KEY "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define OLD_KEY "/+7dzLuqmYh3ZlVEMyIRAP/u3cy7qpmId2ZVRDMiEQA="
#define THIRD_KEY "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="

#define RECORD "11111111-2222-4333-8444-555555555555"
#define OTHER_RECORD "11111111-2222-4333-8444-555555555556"
#define PLAIN "{\"username\":\"anna\",\"password\":\"s3cret ü\"}"

/* createCipheriv('aes-256-gcm', key, iv), with setAAD(RECORD) for v2 */
#define BARE_V1 \
    "v1:a0a1a2a3a4a5a6a7a8a9aaab:c991b1a08d55dfdcc5644ea6f61b6e55:" \
    "9d3a095e20b96cde0f00a5e9251baeb0118e7532e2d6311feb6154e25d915772e115359adb0290817de1"
#define BARE_V1_OLD \
    "v1:b0b1b2b3b4b5b6b7b8b9babb:61da2000df7781d736f1f3604eabb326:" \
    "bf367462c3998281f1077c5863a9073c54162544161bede68ff5c9357429b37420120f8c7eb7f6218cf9"
#define BARE_V2 \
    "v2:k1:c0c1c2c3c4c5c6c7c8c9cacb:5c9db6028510814d293cfd8c25518320:" \
    "7b6a5214120af83ff5bcdf9810cd86382d51cf1d4c836cc95dac396e15475dc58ff5e5c206fb86bfea30"
#define BARE_V2_OLD \
    "v2:old.1:d0d1d2d3d4d5d6d7d8d9dadb:f6f33d374bd1da2cf544224340df46c2:" \
    "50cb01717a5d012ac2552090cc03dfa61c2e2c3d48600ce7677f61ae4ecc39737c8a6d57f1371f108ea9"
#define WRAP(bare) "{\"enc\":\"" bare "\"}"

static inline struct vault *vault_with(const char *key_id, const char *key, const char *old,
                                       const char *format)
{
    struct config cfg = {.credentials_enc_key_b64 = key,
                         .credentials_key_id = key_id,
                         .credentials_old_keys = old,
                         .credentials_format = format};
    struct vault *v = NULL;
    char why[256] = "";
    if (vault_open(&cfg, &v, why, sizeof why) != 0 || !v)
        fail_msg("no vault: %s", why);
    return v;
}

#endif
