/* SPDX-License-Identifier: MIT */
/* Tokens of any bytes; and payloads of any bytes under a good signature, since the claims are read only
 * behind one. */
#include "fuzz.h"

#include "auth/token.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY "fuzz-key-fuzz-key-fuzz-key-fuzz-key"
#define NOW 1800000000
#define PAYLOAD_MAX 8192

static const struct token_keys keys = {.directus = KEY ",other", .anythingllm = "other," KEY};

/* base64url without padding; returns its length. */
static size_t encode(const uint8_t *data, size_t len, char *ret)
{
    size_t n = (size_t)EVP_EncodeBlock((unsigned char *)ret, data, (int)len);
    while (n > 0 && ret[n - 1] == '=')
        n--;
    for (size_t i = 0; i < n; i++)
        ret[i] = (char)(ret[i] == '+' ? '-' : ret[i] == '/' ? '_' : ret[i]);
    return n;
}

static void verify_signed(const uint8_t *payload, size_t size)
{
    static const char head[] = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.";
    char token[sizeof head + PAYLOAD_MAX * 4 / 3 + 128];
    uint8_t mac[EVP_MAX_MD_SIZE];
    unsigned mac_len;
    size_t n = sizeof head - 1;
    memcpy(token, head, n);
    n += encode(payload, size, token + n);
    if (!HMAC(EVP_sha256(), KEY, (int)strlen(KEY), (const uint8_t *)token, n, mac, &mac_len))
        abort();
    token[n++] = '.';
    n += encode(mac, mac_len, token + n);
    token[n] = '\0';
    struct token_claims claims;
    if (token_verify(token, &keys, NOW, &claims) == 0 && claims.expires_s <= NOW)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    struct token_claims claims;
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    (void)token_is_jwt(text);
    (void)token_verify(text, &keys, NOW, &claims);
    if (size <= PAYLOAD_MAX)
        verify_signed(data, size);
    free(text);
    return 0;
}
