/* SPDX-License-Identifier: MIT */
/* One cipher, two formats. Whatever is wrong with a sealed text comes out as the same error after the same
 * kind of work: nobody learns from an answer whether a key, a record or a bit didn't fit. */
#include "vault/vault.h"

#include "base/text.h"
#include "base/uuid.h"
#include "vault/keys.h"
#include "vault/sealed.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

DEFINE_CLEANUP(EVP_CIPHER_CTX *, EVP_CIPHER_CTX_free);

static void additional_data(const struct sealed *s, const char *record_id, const char **ret, size_t *ret_len)
{
    *ret = s->format == VAULT_V2 ? record_id : "";
    *ret_len = strlen(*ret);
}

/* A cipher with key, IV and additional data set; NULL where libcrypto fails. */
static EVP_CIPHER_CTX *cipher_new(const struct vault_key *key, const struct sealed *s, const char *record_id,
                                  int encrypting)
{
    _cleanup_(EVP_CIPHER_CTX_freeP) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    const char *bound;
    size_t bound_len;
    int n;
    additional_data(s, record_id, &bound, &bound_len);
    if (!ctx || EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, NULL, NULL, encrypting) != 1 ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, SEALED_IV, NULL) != 1 ||
        EVP_CipherInit_ex(ctx, NULL, NULL, key->bytes, s->iv, encrypting) != 1)
        return NULL;
    if (bound_len > 0 && EVP_CipherUpdate(ctx, NULL, &n, (const uint8_t *)bound, (int)bound_len) != 1)
        return NULL;
    return TAKE_PTR(ctx);
}

/* Turns s->len bytes of `data` into ciphertext in place and fills s->tag. */
static int encrypt(const struct vault_key *key, const char *record_id, struct sealed *s, uint8_t *data)
{
    _cleanup_(EVP_CIPHER_CTX_freeP) EVP_CIPHER_CTX *ctx = cipher_new(key, s, record_id, 1);
    int n = 0, last = 0;
    if (!ctx || EVP_CipherUpdate(ctx, data, &n, data, (int)s->len) != 1 || n != (int)s->len ||
        EVP_CipherFinal_ex(ctx, data + n, &last) != 1 || last != 0 ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, SEALED_TAG, s->tag) != 1)
        return -EIO;
    return 0;
}

/* The reverse; what stands in `data` counts only if the tag fits. */
static int decrypt(const struct vault_key *key, const char *record_id, const struct sealed *s, uint8_t *data)
{
    _cleanup_(EVP_CIPHER_CTX_freeP) EVP_CIPHER_CTX *ctx = cipher_new(key, s, record_id, 0);
    uint8_t tag[SEALED_TAG];
    int n = 0, last = 0;
    memcpy(tag, s->tag, sizeof tag);
    if (!ctx || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, SEALED_TAG, tag) != 1 ||
        EVP_CipherUpdate(ctx, data, &n, data, (int)s->len) != 1 || n != (int)s->len ||
        EVP_CipherFinal_ex(ctx, data + n, &last) != 1)
        return -EBADMSG;
    return 0;
}

const char *vault_version(const struct vault *v)
{
    return v->format == VAULT_V2 ? "v2" : "v1";
}

int vault_seal(const struct vault *v, const char *record_id, const char *plain, size_t len, struct buf *to)
{
    const struct vault_key *key = &v->keys[0];
    struct sealed s = {.format = v->format, .len = len};
    if (len == 0 || len > VAULT_PLAIN_MAX)
        return -EMSGSIZE;
    if (v->format == VAULT_V2)
        memcpy(s.key_id, key->id, sizeof s.key_id);
    random_bytes(s.iv, sizeof s.iv);
    uint8_t *data = malloc(len);
    if (!data)
        return -ENOMEM;
    memcpy(data, plain, len);
    int r = encrypt(key, record_id, &s, data);
    if (r == 0)
        r = sealed_write(to, &s, data);
    wipe(data, len); /* still plain where the cipher failed */
    free(data);
    return r;
}

/* Tries one key on a fresh copy of the ciphertext. */
static int try_key(const struct vault_key *key, const char *record_id, const struct sealed *s, uint8_t *data)
{
    if (s->format == VAULT_V2 && strcmp(s->key_id, key->id) != 0)
        return -EBADMSG;
    sealed_bytes(s->hex, data, s->len);
    return decrypt(key, record_id, s, data);
}

static struct vault_label label(const struct vault *v, const struct sealed *s, const struct vault_key *key)
{
    struct vault_label l = {.format = s->format, .bare = s->bare};
    memcpy(l.key_id, key->id, sizeof l.key_id);
    l.current = !s->bare && s->format == v->format && key == &v->keys[0];
    return l;
}

int vault_unseal(const struct vault *v, const char *record_id, const char *sealed, struct buf *to,
                 struct vault_label *ret_label)
{
    struct sealed s;
    if (sealed_parse(sealed, &s) < 0)
        return -EBADMSG;
    uint8_t *data = malloc(s.len);
    int r = data ? -EBADMSG : -ENOMEM;
    size_t i = 0;
    for (; i < v->n && r == -EBADMSG; i++)
        r = try_key(&v->keys[i], record_id, &s, data);
    if (r == 0)
        r = buf_add(to, data, s.len);
    if (r == 0 && ret_label)
        *ret_label = label(v, &s, &v->keys[i - 1]);
    if (data)
        wipe(data, s.len);
    free(data);
    return r;
}
