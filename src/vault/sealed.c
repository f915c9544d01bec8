/* SPDX-License-Identifier: MIT */
/* Strict on purpose: one spelling of each text, so that no byte of it can change without notice. Only the
 * white space around the wrapping object is free, since a JSON column writes its own. */
#include "vault/sealed.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

/* What is left to read. */
struct cursor {
    const char *at;
    size_t left;
};

static void skip_space(struct cursor *c)
{
    while (c->left > 0 && strchr(" \t\r\n", *c->at)) {
        c->at++;
        c->left--;
    }
}

static bool take(struct cursor *c, const char *word)
{
    size_t len = strlen(word);
    if (c->left < len || memcmp(c->at, word, len) != 0)
        return false;
    c->at += len;
    c->left -= len;
    return true;
}

static bool take_token(struct cursor *c, const char *word)
{
    skip_space(c);
    return take(c, word);
}

/* Takes {"enc":" from the front and "} from the back; false if they don't fit together. */
static bool unwrap(struct cursor *c)
{
    if (!take_token(c, "{") || !take_token(c, "\"enc\"") || !take_token(c, ":") || !take_token(c, "\""))
        return false;
    const char *end = memchr(c->at, '"', c->left);
    if (!end)
        return false;
    struct cursor behind = {end + 1, c->left - (size_t)(end - c->at) - 1};
    c->left = (size_t)(end - c->at);
    if (!take_token(&behind, "}"))
        return false;
    skip_space(&behind);
    return behind.left == 0;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool all_hex(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (digit(s[i]) < 0)
            return false;
    return true;
}

void sealed_bytes(const char *hex, uint8_t *ret, size_t len)
{
    for (size_t i = 0; i < len; i++)
        ret[i] = (uint8_t)(digit(hex[2 * i]) << 4 | digit(hex[2 * i + 1]));
}

static bool take_bytes(struct cursor *c, uint8_t *ret, size_t len)
{
    if (c->left < 2 * len || !all_hex(c->at, 2 * len))
        return false;
    sealed_bytes(c->at, ret, len);
    c->at += 2 * len;
    c->left -= 2 * len;
    return take(c, ":");
}

bool sealed_key_id_valid(const char *s, size_t len)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    for (size_t i = 0; i < len; i++)
        if (!memchr(allowed, s[i], sizeof allowed - 1))
            return false;
    return len >= 1 && len <= VAULT_KEY_ID_MAX;
}

static bool take_key_id(struct cursor *c, char *ret)
{
    const char *end = memchr(c->at, ':', c->left);
    size_t len = end ? (size_t)(end - c->at) : 0;
    if (!sealed_key_id_valid(c->at, len))
        return false;
    memcpy(ret, c->at, len);
    ret[len] = '\0';
    c->at += len + 1;
    c->left -= len + 1;
    return true;
}

static bool parse_parts(struct cursor *c, struct sealed *s)
{
    if (take(c, "v1:"))
        s->format = VAULT_V1;
    else if (take(c, "v2:") && take_key_id(c, s->key_id))
        s->format = VAULT_V2;
    else
        return false;
    if (!take_bytes(c, s->iv, SEALED_IV) || !take_bytes(c, s->tag, SEALED_TAG))
        return false;
    s->hex = c->at;
    s->len = c->left / 2;
    return c->left % 2 == 0 && s->len > 0 && s->len <= VAULT_PLAIN_MAX && all_hex(c->at, c->left);
}

int sealed_parse(const char *text, struct sealed *ret)
{
    struct sealed s = {0};
    struct cursor c = {text, strnlen(text, VAULT_SEALED_MAX + 1)};
    if (c.left > VAULT_SEALED_MAX)
        return -EBADMSG;
    s.bare = text[0] == 'v';
    if ((!s.bare && !unwrap(&c)) || !parse_parts(&c, &s))
        return -EBADMSG;
    *ret = s;
    return 0;
}

int sealed_write(struct buf *to, const struct sealed *s, const uint8_t *data)
{
    char iv[2 * SEALED_IV + 1], tag[2 * SEALED_TAG + 1];
    hex_encode(s->iv, SEALED_IV, iv);
    hex_encode(s->tag, SEALED_TAG, tag);
    _cleanup_free_ char *hex = malloc(2 * s->len + 1);
    if (!hex)
        return -ENOMEM;
    hex_encode(data, s->len, hex);
    return buf_addf(to, "{\"enc\":\"v%d:%s%s%s:%s:%s\"}", (int)s->format, s->key_id, s->key_id[0] ? ":" : "",
                    iv, tag, hex);
}
