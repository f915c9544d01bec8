/* SPDX-License-Identifier: MIT */
/* Keys come as base64 in settings, and go into pages that are not swapped out and in no core file. Where the
 * system refuses either (a low limit of locked memory), the server runs all the same. */
#include "vault/keys.h"

#include "base/arena.h"
#include "base/text.h"
#include "vault/sealed.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>

#define TEXTS_MAX (16 * 1024)
#define CURRENT "CREDENTIALS_ENC_KEY_B64"
#define OLD "CREDENTIALS_OLD_KEYS"

/* One reading of the settings. */
struct reading {
    struct vault *v;
    struct arena texts; /* wiped at the end */
    char *error;
    size_t error_size;
};

static int refuse(struct reading *in, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int refuse(struct reading *in, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(in->error, in->error_size, fmt, ap);
    va_end(ap);
    return -EINVAL;
}

static struct vault *vault_new(void)
{
    struct vault *v = mmap(NULL, sizeof *v, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (v == MAP_FAILED)
        return NULL;
    (void)mlock(v, sizeof *v);
    (void)madvise(v, sizeof *v, MADV_DONTDUMP);
    return v;
}

void vault_close(struct vault *v)
{
    wipe(v, sizeof *v);
    (void)munmap(v, sizeof *v);
}

static bool has_key(const struct vault *v, const char *id)
{
    for (size_t i = 0; i < v->n; i++)
        if (strcmp(v->keys[i].id, id) == 0)
            return true;
    return false;
}

/* Adds a key; `setting` is to blame for what is wrong with it. */
static int add_key(struct reading *in, const char *setting, const char *id, const char *base64)
{
    struct vault_key *key = &in->v->keys[in->v->n];
    size_t len = 0;
    const uint8_t *bytes = base64_decode(&in->texts, base64, &len);
    if (!bytes || len != KEY_BYTES)
        return refuse(in, "%s must be %d bytes in base64, as `openssl rand -base64 %d` prints them", setting,
                      KEY_BYTES, KEY_BYTES);
    if (has_key(in->v, id))
        return refuse(in, "%s names the key %s, which there is already", setting, id);
    memcpy(key->id, id, strlen(id) + 1);
    memcpy(key->bytes, bytes, KEY_BYTES);
    in->v->n++;
    return 0;
}

static int add_current(struct reading *in, const struct config *cfg)
{
    const char *id = cfg->credentials_key_id;
    if (!sealed_key_id_valid(id, strlen(id)))
        return refuse(in, "CREDENTIALS_KEY_ID must be 1 to %d letters, digits, dots, dashes or underscores",
                      VAULT_KEY_ID_MAX);
    return add_key(in, CURRENT, id, cfg->credentials_enc_key_b64);
}

/* One keyId=base64. */
static int add_old(struct reading *in, const char *item, size_t len)
{
    const char *equals = memchr(item, '=', len);
    size_t id_len = equals ? (size_t)(equals - item) : 0;
    if (!equals || !sealed_key_id_valid(item, id_len))
        return refuse(in, OLD " must be a comma list of keyId=base64");
    if (in->v->n == KEYS_MAX)
        return refuse(in, OLD " holds more than %d keys", KEYS_OLD_MAX);
    const char *id = arena_strndup(&in->texts, item, id_len);
    const char *base64 = arena_strndup(&in->texts, equals + 1, len - id_len - 1);
    return id && base64 ? add_key(in, OLD, id, base64) : -ENOMEM;
}

static int read_keys(struct reading *in, const struct config *cfg)
{
    const char *list = cfg->credentials_old_keys, *item;
    size_t len;
    int r = add_current(in, cfg);
    while (r == 0 && list && list_next(&list, &item, &len))
        r = add_old(in, item, len);
    in->v->format = str_equal(cfg->credentials_format, "v2") ? VAULT_V2 : VAULT_V1;
    return r;
}

int vault_open(const struct config *cfg, struct vault **ret, char *error, size_t error_size)
{
    struct reading in = {.error = error, .error_size = error_size};
    if (!cfg->credentials_enc_key_b64) {
        *ret = NULL;
        return cfg->credentials_old_keys ? refuse(&in, OLD " is set, but " CURRENT " is not") : 0;
    }
    in.v = vault_new();
    if (!in.v)
        return -ENOMEM;
    arena_init(&in.texts, TEXTS_MAX);
    int r = read_keys(&in, cfg);
    arena_wipe(&in.texts);
    if (r < 0) {
        vault_close(in.v);
        return r;
    }
    *ret = in.v;
    return 0;
}
