/* SPDX-License-Identifier: MIT */
/* Sealed texts of any bytes: none opens, and one that is read is written back as it was. */
#include "fuzz.h"

#include "vault/sealed.h"

#include <stdlib.h>
#include <string.h>

#define KEY "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define RECORD "11111111-2222-4333-8444-555555555555"

static const struct vault *vault(void)
{
    static struct vault *v;
    char why[256];
    const struct config cfg = {.credentials_enc_key_b64 = KEY,
                               .credentials_key_id = "k1",
                               .credentials_old_keys = "old=" KEY,
                               .credentials_format = "v2"};
    if (!v && vault_open(&cfg, &v, why, sizeof why) < 0)
        abort();
    return v;
}

/* What is read says all that there is: written anew it is the same, up to its wrapping. */
static void write_back(const char *text, const struct sealed *s)
{
    _cleanup_buf_ struct buf out = BUF_INIT(VAULT_SEALED_MAX);
    uint8_t *data = malloc(s->len);
    if (!data)
        abort();
    sealed_bytes(s->hex, data, s->len);
    struct sealed again;
    if (sealed_write(&out, s, data) < 0 || sealed_parse(out.data, &again) < 0 || again.len != s->len ||
        again.format != s->format || memcmp(again.hex, s->hex, 2 * s->len) != 0)
        abort();
    if (s->bare && strncmp(out.data + strlen("{\"enc\":\""), text, strlen(text)) != 0)
        abort();
    free(data);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    _cleanup_buf_ struct buf plain = BUF_INIT_SECRET(VAULT_PLAIN_MAX);
    struct sealed s;
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    memcpy(text, bytes, size);
    text[size] = '\0';
    if (sealed_parse(text, &s) == 0)
        write_back(text, &s);
    if (vault_unseal(vault(), RECORD, text, &plain, NULL) == 0)
        abort(); /* nothing in the corpus was sealed under this key for this record */
    free(text);
    return 0;
}
