/* SPDX-License-Identifier: MIT */
#include "people.h"

#define NOW 1800000000
#define USER "11111111-2222-4333-8444-555555555555"
#define ADMIN "99999999-2222-4333-8444-555555555555"

static const struct token_keys keys = {.directus = DIRECTUS_KEY, .anythingllm = NATIVE_KEY};

static int verify(const char *token, struct token_claims *ret)
{
    return token_verify(token, &keys, NOW, ret);
}

/* Verifies a payload after `change` was merged into it (JSON text; null removes a claim). */
static int verify_changed(json_t *payload, const char *change, const char *key)
{
    struct token_claims claims;
    json_t *changes = json_loads(change, 0, NULL), *value;
    const char *name;
    assert_non_null(changes);
    json_object_foreach (changes, name, value)
        if (json_is_null(value))
            (void)json_object_del(payload, name);
        else
            assert_int_equal(json_object_set(payload, name, value), 0);
    char *token = sign_any(payload, JWT_ALG_HS256, key);
    int r = verify(token, &claims);
    free(token);
    json_decref(changes);
    json_decref(payload);
    return r;
}

static void good_directus_token(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 65536);
    struct token_spec spec = {.user_id = USER,
                              .role_id = ADMIN,
                              .app_access = true,
                              .session = "abc",
                              .now_s = NOW,
                              .lifetime_s = 900};
    const char *token = token_sign(&a, &keys, &spec);
    struct token_claims c;
    assert_non_null(token);
    assert_int_equal(verify(token, &c), 0);
    assert_int_equal(c.kind, TOKEN_DIRECTUS);
    assert_string_equal(c.user_id, USER);
    assert_string_equal(c.session, "abc");
    assert_string_equal(c.jti, "");
    assert_string_equal(c.impersonated_by, "");
    assert_int_equal(c.expires_s, NOW + 900);
    assert_int_equal(token_verify(token, &keys, NOW + 899, &c), 0);
    assert_int_equal(token_verify(token, &keys, NOW + 900, &c), -EKEYEXPIRED);
    arena_free(&a);
}

static void signed_payload_is_directus(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 65536);
    struct token_spec spec = {.user_id = USER, .admin_access = true, .now_s = NOW, .lifetime_s = 60};
    const char *token = token_sign(&a, &keys, &spec);
    jwt_t *jwt;
    assert_int_equal(jwt_decode(&jwt, token, (const unsigned char *)DIRECTUS_KEY, (int)strlen(DIRECTUS_KEY)),
                     0);
    char *text = jwt_get_grants_json(jwt, NULL);
    json_t *payload = json_loads(text, 0, NULL),
           *expected = json_pack("{s:s, s:n, s:b, s:b, s:i, s:i, s:s}", "id", USER, "role", "app_access", 0,
                                 "admin_access", 1, "iat", NOW, "exp", NOW + 60, "iss", "directus");
    assert_true(json_equal(payload, expected));
    json_decref(payload);
    json_decref(expected);
    free(text);
    jwt_free(jwt);
    arena_free(&a);
}

/* What a balancer routes by: the same for every token of a user, different for two users. */
static void the_user_stands_first(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 65536);
    struct token_spec
        one = {.user_id = USER, .admin_access = true, .now_s = NOW, .lifetime_s = 60},
        two = {.user_id = USER, .role_id = ADMIN, .session = "abc", .now_s = NOW + 9, .lifetime_s = 6},
        other = {.user_id = "ffffffff-ffff-4fff-8fff-ffffffffffff", .now_s = NOW, .lifetime_s = 60};
    const char *first = strchr(token_sign(&a, &keys, &one), '.'),
               *second = strchr(token_sign(&a, &keys, &two), '.'),
               *third = strchr(token_sign(&a, &keys, &other), '.');
    assert_memory_equal(first, ".eyJpZCI6I", 10);
    assert_memory_equal(first, second, 57);
    assert_memory_not_equal(first, third, 57);
    arena_free(&a);
}

static void claims_of_an_impersonation(void **state)
{
    (void)state;
    json_t *payload = directus_payload(USER, NOW);
    (void)json_object_set_new(payload, "jti", json_string("one"));
    (void)json_object_set_new(payload, "impersonated_by", json_string(ADMIN));
    char *token = sign_any(payload, JWT_ALG_HS256, DIRECTUS_KEY);
    struct token_claims c;
    assert_int_equal(verify(token, &c), 0);
    assert_string_equal(c.jti, "one");
    assert_string_equal(c.impersonated_by, ADMIN);
    free(token);
    json_decref(payload);
}

static void wrong_directus_claims(void **state)
{
    (void)state;
    static const struct {
        const char *change;
        int expected;
    } cases[] = {
        {"{}", 0},
        {"{\"iss\":null}", -EACCES},
        {"{\"iss\":\"someone\"}", -EACCES},
        {"{\"iss\":1}", -EACCES},
        {"{\"exp\":null}", -EACCES},
        {"{\"exp\":\"1900000000\"}", -EACCES},
        {"{\"exp\":1900000000.5}", -EACCES},
        {"{\"exp\":1799999999}", -EKEYEXPIRED},
        {"{\"exp\":1800000000}", -EKEYEXPIRED},
        {"{\"exp\":-1}", -EKEYEXPIRED},
        {"{\"iat\":1800000060}", 0},
        {"{\"iat\":1800000061}", -EACCES},
        {"{\"iat\":\"now\"}", -EACCES},
        {"{\"share\":\"x\"}", -EACCES},
        {"{\"share\":false}", -EACCES},
        {"{\"id\":null}", -EACCES},
        {"{\"id\":\"1\"}", -EACCES},
        {"{\"id\":7}", -EACCES},
        {"{\"id\":\"11111111-2222-4333-8444-55555555555\"}", -EACCES},
        {"{\"id\":\"11111111-2222-4333-8444-5555555555555\"}", -EACCES},
        {"{\"id\":\"11111111-2222-4333-8444-55555555555g\"}", -EACCES},
        {"{\"session\":7}", -EACCES},
        {"{\"session\":\"\"}", -EACCES},
        {"{\"jti\":{}}", -EACCES},
        {"{\"impersonated_by\":\"" ADMIN "\"}", -EACCES},
        {"{\"impersonated_by\":\"root\",\"jti\":\"j\"}", -EACCES},
        {"{\"impersonated_by\":\"" ADMIN "\",\"jti\":\"j\"}", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (verify_changed(directus_payload(USER, NOW), cases[i].change, DIRECTUS_KEY) != cases[i].expected)
            fail_msg("%s: not %d", cases[i].change, cases[i].expected);
}

static void native_tokens(void **state)
{
    (void)state;
    static const struct {
        const char *change;
        int expected;
    } cases[] = {
        {"{}", 0},
        {"{\"id\":null}", -EACCES},
        {"{\"id\":0}", -EACCES},
        {"{\"id\":-3}", -EACCES},
        {"{\"id\":\"7\"}", -EACCES},
        {"{\"id\":\"" USER "\"}", -EACCES},
        {"{\"username\":null}", -EACCES},
        {"{\"username\":\"\"}", -EACCES},
        {"{\"exp\":null}", -EACCES},
        {"{\"exp\":1799999999}", -EKEYEXPIRED},
        {"{\"iat\":1800000061}", -EACCES},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (verify_changed(native_payload(7, NOW), cases[i].change, NATIVE_KEY) != cases[i].expected)
            fail_msg("%s: not %d", cases[i].change, cases[i].expected);
    json_t *payload = native_payload(7, NOW);
    char *token = sign_any(payload, JWT_ALG_HS256, NATIVE_KEY);
    struct token_claims c;
    assert_int_equal(verify(token, &c), 0);
    assert_int_equal(c.kind, TOKEN_ANYTHINGLLM);
    assert_int_equal(c.anythingllm_id, 7);
    free(token);
    json_decref(payload);
}

/* A key of one kind never opens the other kind's payload. */
static void kinds_do_not_mix(void **state)
{
    (void)state;
    assert_int_equal(verify_changed(directus_payload(USER, NOW), "{}", NATIVE_KEY), -EACCES);
    assert_int_equal(verify_changed(native_payload(7, NOW), "{}", DIRECTUS_KEY), -EACCES);
}

static void only_hs256(void **state)
{
    (void)state;
    static const jwt_alg_t others[] = {JWT_ALG_NONE, JWT_ALG_HS384, JWT_ALG_HS512};
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        json_t *payload = directus_payload(USER, NOW);
        char *token = sign_any(payload, others[i], DIRECTUS_KEY);
        struct token_claims c;
        assert_int_equal(verify(token, &c), -EACCES);
        free(token);
        json_decref(payload);
    }
}

static void every_byte_matters(void **state)
{
    (void)state;
    static const char replacements[] = "AZaz09-_.=+/ ";
    json_t *payload = directus_payload(USER, NOW);
    char *token = sign_any(payload, JWT_ALG_HS256, DIRECTUS_KEY);
    struct token_claims c;
    for (size_t i = 0; token[i]; i++) {
        char kept = token[i];
        for (const char *to = replacements; *to; to++) {
            token[i] = *to;
            if (*to != kept && verify(token, &c) == 0)
                fail_msg("byte %zu may become %c", i, *to);
        }
        token[i] = (char)(kept ^ 1);
        assert_int_equal(verify(token, &c), -EACCES);
        token[i] = '\0';
        assert_int_equal(verify(token, &c), -EACCES);
        token[i] = kept;
    }
    assert_int_equal(verify(token, &c), 0);
    free(token);
    json_decref(payload);
}

static void keys_rotate(void **state)
{
    (void)state;
    static const struct token_keys old = {.directus = "old-old-old"},
                                   both = {.directus = "new-new-new, old-old-old"},
                                   new = {.directus = "new-new-new"}, none = {0};
    struct arena a;
    arena_init(&a, 65536);
    struct token_spec spec = {.user_id = USER, .now_s = NOW, .lifetime_s = 60};
    const char *by_old = token_sign(&a, &old, &spec), *by_both = token_sign(&a, &both, &spec);
    struct token_claims c;
    assert_int_equal(token_verify(by_old, &both, NOW, &c), 0);
    assert_int_equal(token_verify(by_both, &new, NOW, &c), 0);
    assert_int_equal(token_verify(by_both, &old, NOW, &c), -EACCES);
    assert_int_equal(token_verify(by_old, &new, NOW, &c), -EACCES);
    assert_int_equal(token_verify(by_old, &none, NOW, &c), -EACCES);
    assert_null(token_sign(&a, &none, &spec));
    arena_free(&a);
}

static char *token_of_size(size_t filler)
{
    json_t *payload = directus_payload(USER, NOW);
    char *text = calloc(1, filler + 1);
    memset(text, 'x', filler);
    (void)json_object_set_new(payload, "filler", json_string(text));
    char *token = sign_any(payload, JWT_ALG_HS256, DIRECTUS_KEY);
    free(text);
    json_decref(payload);
    return token;
}

static void long_tokens(void **state)
{
    (void)state;
    char *fits = token_of_size(11000), *too_long = token_of_size(12000);
    struct token_claims c;
    assert_true(strlen(fits) > 14 * 1024 && strlen(fits) <= TOKEN_MAX_BYTES);
    assert_true(strlen(too_long) > TOKEN_MAX_BYTES);
    assert_int_equal(verify(fits, &c), 0);
    assert_int_equal(verify(too_long, &c), -EACCES);
    free(fits);
    free(too_long);
}

static void what_is_no_jwt(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        ".",
                                        "..",
                                        "a.b.c",
                                        "eyJ",
                                        "eyJ.eyJ",
                                        "eyJ..",
                                        "eyJhbGciOiJIUzI1NiJ9..",
                                        "eyJhbGciOiJIUzI1NiJ9.e30.",
                                        "Bearer x"};
    struct token_claims c;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        assert_int_equal(verify(texts[i], &c), -EACCES);
    assert_false(token_is_jwt("a-static-token"));
    assert_true(token_is_jwt("eyJhbGciOiJIUzI1NiJ9.e30.x"));
}

/* Whoever signed it, and whether it still counts or not. */
static void what_impersonates(void **state)
{
    static const struct {
        const char *payload;
        bool impersonates;
    } cases[] = {
        {"{\"impersonated_by\":\"x\"}", true},
        {"{\"impersonated_by\":null}", true},
        {"{\"impersonated\\u005fby\":\"x\"}", true},
        {"{\"id\":\"impersonated_by\"}", false},
        {"{}", false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_t *payload = json_loads(cases[i].payload, 0, NULL);
        char *token = sign_any(payload, JWT_ALG_HS256, "0123456789abcdef0123456789abcdef");
        assert_int_equal(token_impersonates(token), cases[i].impersonates);
        free(token);
        json_decref(payload);
    }
    static const char *const texts[] = {"", ".", "a.b", "a.b.c", "static", "a.!!!.c", "a.e30.c"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        assert_false(token_impersonates(texts[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_directus_token),   cmocka_unit_test(signed_payload_is_directus),
        cmocka_unit_test(the_user_stands_first), cmocka_unit_test(claims_of_an_impersonation),
        cmocka_unit_test(wrong_directus_claims), cmocka_unit_test(native_tokens),
        cmocka_unit_test(kinds_do_not_mix),      cmocka_unit_test(only_hs256),
        cmocka_unit_test(every_byte_matters),    cmocka_unit_test(keys_rotate),
        cmocka_unit_test(long_tokens),           cmocka_unit_test(what_is_no_jwt),
        cmocka_unit_test(what_impersonates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
