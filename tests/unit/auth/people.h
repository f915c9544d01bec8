/* SPDX-License-Identifier: MIT */
/* A migrated store with people in it, and tokens for them. */
#ifndef TESTS_UNIT_AUTH_PEOPLE_H
#define TESTS_UNIT_AUTH_PEOPLE_H

#include "../db/store.h"

#include "auth/accounts.h"
#include "auth/identity.h"
#include "auth/token.h"
#include "base/json.h"
#include "base/text.h"

#include <errno.h>
#include <jwt.h>

#define DIRECTUS_KEY "directus-key-directus-key-directus-key"
#define NATIVE_KEY "native-key-native-key-native-key-native"
#define ADMIN_POLICY "7b0c4a52-52d4-4f0e-9d5c-0f3c6f2b8b01"

static inline int people_set_up(void **state)
{
    return store_set_up_migrated(state);
}

static inline int person_unit(struct db_conn *c, void *arg)
{
    struct {
        struct account_spec spec;
        struct account account;
    } *a = arg;
    return account_create(c, &a->spec, &a->account);
}

/* Makes an account without a password that fits. */
static inline struct account person(struct db *db, const char *email, const char *role)
{
    struct {
        struct account_spec spec;
        struct account account;
    } a = {.spec = {.email = email, .password_hash = "!", .role = role, .onboarding = "COMPLETE"}};
    assert_int_equal(db_write(db, person_unit, &a), 0);
    return a.account;
}

/* Runs SQL made with printf. */
static inline void run_sql(struct db *db, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline void run_sql(struct db *db, const char *fmt, ...)
{
    char sql[2048];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(sql, sizeof sql, fmt, ap);
    va_end(ap);
    assert_int_equal(store_exec(db, sql), 0);
}

/* Signs any payload (owned by the caller) with any algorithm and key, as an attacker could. */
static inline char *sign_any(json_t *payload, jwt_alg_t alg, const char *key)
{
    jwt_t *jwt;
    char *text = json_dumps(payload, JSON_COMPACT);
    assert_non_null(text);
    assert_int_equal(jwt_new(&jwt), 0);
    assert_int_equal(jwt_add_grants_json(jwt, text), 0);
    if (alg == JWT_ALG_NONE)
        assert_int_equal(jwt_set_alg(jwt, alg, NULL, 0), 0);
    else
        assert_int_equal(jwt_set_alg(jwt, alg, (const unsigned char *)key, (int)strlen(key)), 0);
    char *token = jwt_encode_str(jwt);
    assert_non_null(token);
    jwt_free(jwt);
    free(text);
    return token;
}

static inline json_t *directus_payload(const char *user_id, int64_t now_s)
{
    json_t *payload = json_pack("{s:s, s:n, s:b, s:b, s:I, s:I, s:s}", "id", user_id, "role", "app_access", 1,
                                "admin_access", 0, "iat", (json_int_t)now_s, "exp", (json_int_t)(now_s + 900),
                                "iss", "directus");
    assert_non_null(payload);
    return payload;
}

static inline json_t *native_payload(int64_t id, int64_t now_s)
{
    json_t *payload = json_pack("{s:I, s:s, s:I, s:I}", "id", (json_int_t)id, "username", "anna", "iat",
                                (json_int_t)now_s, "exp", (json_int_t)(now_s + 900));
    assert_non_null(payload);
    return payload;
}

#endif
