/* SPDX-License-Identifier: MIT */
/* libjwt checks the signature; the claims are then read from its JSON by our own typed rules, since its
 * getters turn a wrong type into 0 or NULL. Only HS256 is taken: a key of ours must never serve another
 * algorithm. */
#include "auth/token.h"

#include "base/json.h"
#include "base/text.h"

#include <errno.h>
#include <jwt.h>
#include <openssl/hmac.h>
#include <string.h>

#define KEY_MAX_BYTES 4096

DEFINE_CLEANUP(jwt_t *, jwt_free);

bool token_is_jwt(const char *token)
{
    const char *dot = strchr(token, '.');
    return str_has_prefix(token, "eyJ") && dot && strchr(dot + 1, '.');
}

/* base64url, as JWTs have it. */
static json_t *read_payload(struct arena *a, const char *text, size_t len)
{
    size_t size = 0;
    char *plain = arena_alloc(a, len + 4); /* zeroed */
    if (!plain)
        return NULL;
    for (size_t i = 0; i < len; i++)
        plain[i] = (char)(text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i]);
    for (; len % 4 != 0; len++)
        plain[len] = '=';
    const uint8_t *json = base64_decode(a, plain, &size);
    return json ? json_parse((const char *)json, size) : NULL;
}

bool token_impersonates(const char *token)
{
    struct arena a;
    const char *dot = strchr(token, '.');
    if (!dot || strnlen(token, TOKEN_MAX_BYTES + 1) > TOKEN_MAX_BYTES)
        return false;
    arena_init(&a, 4 * TOKEN_MAX_BYTES);
    size_t len = strcspn(dot + 1, ".=");
    _cleanup_json_ json_t *payload = read_payload(&a, dot + 1, len);
    bool found = json_object_get(payload, "impersonated_by") != NULL;
    arena_free(&a);
    return found;
}

/* The payload of a token signed with this key, or NULL. */
static json_t *open_signed(const char *token, const char *key, size_t key_len)
{
    _cleanup_(jwt_freeP) jwt_t *jwt = NULL;
    if (key_len > KEY_MAX_BYTES || jwt_decode(&jwt, token, (const unsigned char *)key, (int)key_len) != 0)
        return NULL;
    /* libjwt takes the name in any letter case, the standard does not */
    if (jwt_get_alg(jwt) != JWT_ALG_HS256 || !str_equal(jwt_get_header(jwt, "alg"), "HS256"))
        return NULL;
    _cleanup_free_ char *payload = jwt_get_grants_json(jwt, NULL);
    return payload ? json_parse(payload, strlen(payload)) : NULL;
}

static json_t *open_with_any(const char *token, const char *keys)
{
    const char *key;
    size_t len;
    json_t *payload = NULL;
    while (!payload && keys && list_next(&keys, &key, &len))
        payload = open_signed(token, key, len);
    if (payload && !json_is_object(payload)) {
        json_decref(payload);
        return NULL;
    }
    return payload;
}

/* `exp` must be there and ahead, `iat` (where given) not far ahead. */
static int check_times(const json_t *payload, int64_t now_s, int64_t *ret_expires_s)
{
    const json_t *exp = json_object_get(payload, "exp"), *iat = json_object_get(payload, "iat");
    if (!json_is_integer(exp) || (iat && !json_is_integer(iat)))
        return -EACCES;
    if (iat && json_integer_value(iat) > now_s + TOKEN_SKEW_S)
        return -EACCES;
    if (json_integer_value(exp) <= now_s)
        return -EKEYEXPIRED;
    *ret_expires_s = json_integer_value(exp);
    return 0;
}

/* Copies an optional text claim; a wrong type, an empty text or a longer one is an error. */
static int copy_claim(const json_t *payload, const char *name, char *ret, size_t max)
{
    const json_t *value = json_object_get(payload, name);
    if (!value)
        return 0;
    size_t len = json_string_length(value);
    if (!json_is_string(value) || len == 0 || len > max || strlen(json_string_value(value)) != len)
        return -EACCES;
    memcpy(ret, json_string_value(value), len + 1);
    return 0;
}

static int read_directus(const json_t *payload, int64_t now_s, struct token_claims *c)
{
    if (strcmp(json_str(payload, "iss", ""), "directus") != 0 || json_object_get(payload, "share"))
        return -EACCES;
    if (copy_claim(payload, "id", c->user_id, UUID_LEN) < 0 || !uuid_valid(c->user_id))
        return -EACCES;
    if (copy_claim(payload, "session", c->session, TOKEN_SESSION_MAX) < 0 ||
        copy_claim(payload, "jti", c->jti, TOKEN_JTI_MAX) < 0 ||
        copy_claim(payload, "impersonated_by", c->impersonated_by, UUID_LEN) < 0)
        return -EACCES;
    if (c->impersonated_by[0] && (!uuid_valid(c->impersonated_by) || !c->jti[0]))
        return -EACCES;
    c->kind = TOKEN_DIRECTUS;
    str_lower(c->user_id);
    str_lower(c->impersonated_by);
    return check_times(payload, now_s, &c->expires_s);
}

static int read_anythingllm(const json_t *payload, int64_t now_s, struct token_claims *c)
{
    c->kind = TOKEN_ANYTHINGLLM;
    c->anythingllm_id = json_int(payload, "id", 0);
    if (c->anythingllm_id <= 0 || json_str(payload, "username", "")[0] == '\0')
        return -EACCES;
    return check_times(payload, now_s, &c->expires_s);
}

int token_verify(const char *token, const struct token_keys *keys, int64_t now_s, struct token_claims *ret)
{
    if (strnlen(token, TOKEN_MAX_BYTES + 1) > TOKEN_MAX_BYTES || !token_is_jwt(token))
        return -EACCES;
    struct token_claims claims = {0};
    _cleanup_json_ json_t *directus = open_with_any(token, keys->directus);
    int r = directus ? read_directus(directus, now_s, &claims) : -EACCES;
    if (r == -EACCES) {
        claims = (struct token_claims){0};
        _cleanup_json_ json_t *native = open_with_any(token, keys->anythingllm);
        r = native ? read_anythingllm(native, now_s, &claims) : -EACCES;
    }
    if (r == 0)
        *ret = claims;
    return r;
}

static int add_claim(json_t *payload, const char *name, const char *value)
{
    return value ? json_object_set_new(payload, name, json_string(value)) : 0;
}

/* In Directus's own order, which puts the user first: a balancer can tell by a token's beginning whose it is
 * (packaging/nginx.conf). libjwt would sort the members. */
static json_t *make_payload(const struct token_spec *spec)
{
    json_t *payload = json_pack("{s:s, s:s?, s:b, s:b}", "id", spec->user_id, "role", spec->role_id,
                                "app_access", spec->app_access, "admin_access", spec->admin_access);
    int failed = !payload || add_claim(payload, "session", spec->session) < 0 ||
                 add_claim(payload, "jti", spec->jti) < 0 ||
                 add_claim(payload, "impersonated_by", spec->impersonated_by) < 0;
    if (!failed)
        failed = json_object_set_new(payload, "iat", json_integer(spec->now_s)) < 0 ||
                 json_object_set_new(payload, "exp", json_integer(spec->now_s + spec->lifetime_s)) < 0 ||
                 json_object_set_new(payload, "iss", json_string("directus")) < 0;
    if (!failed)
        return payload;
    json_decref(payload);
    return NULL;
}

/* Base64 as JWTs have it: two other letters and no padding. */
static char *base64_url(struct arena *a, const void *data, size_t len)
{
    char *text = base64_encode(a, data, len);
    for (char *c = text; c && *c; c++)
        *c = *c == '+' ? '-' : *c == '/' ? '_' : *c == '=' ? '\0' : *c;
    return text;
}

char *token_sign(struct arena *a, const struct token_keys *keys, const struct token_spec *spec)
{
    static const char head[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";
    const char *list = keys->directus ? keys->directus : "", *key;
    size_t key_len;
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned mac_len;
    if (!list_next(&list, &key, &key_len) || key_len > KEY_MAX_BYTES)
        return NULL;
    _cleanup_json_ json_t *payload = make_payload(spec);
    const char *text = payload ? json_text(a, payload) : NULL;
    const char *first = base64_url(a, head, strlen(head)),
               *second = text ? base64_url(a, text, strlen(text)) : NULL;
    const char *body = first && second ? arena_printf(a, "%s.%s", first, second) : NULL;
    if (!body ||
        !HMAC(EVP_sha256(), key, (int)key_len, (const unsigned char *)body, strlen(body), mac, &mac_len))
        return NULL;
    const char *signature = base64_url(a, mac, mac_len);
    return signature ? arena_printf(a, "%s.%s", body, signature) : NULL;
}
