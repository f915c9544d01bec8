/* SPDX-License-Identifier: MIT */
#include "people.h"

#include "base/uuid.h"

struct world {
    struct store *store;
    struct db *db;
    struct auth *auth;
    struct account anna, admin;
    int64_t now_s;
};

static const struct config cfg = {.directus_secret = DIRECTUS_KEY, .jwt_secret = NATIVE_KEY};

#define ACCESS "00000000-0000-4000-a000-000000000001"

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_int_equal(people_set_up((void **)&w->store), 0);
    w->db = w->store->db;
    assert_int_equal(auth_open(&cfg, w->db, &w->auth), 0);
    store_await_listening(w->db);
    w->anna = person(w->db, "anna@example.com", NULL);
    w->admin = person(w->db, "admin@example.com", "Administrator");
    w->now_s = clock_now_ms() / 1000;
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    auth_close(w->auth);
    void *store = w->store;
    free(w);
    return store_tear_down(&store);
}

static char *token_with(struct world *w, const char *user_id, const char *claim, const char *value)
{
    json_t *payload = directus_payload(user_id, w->now_s);
    if (claim)
        (void)json_object_set_new(payload, claim, json_string(value));
    char *token = sign_any(payload, JWT_ALG_HS256, DIRECTUS_KEY);
    json_decref(payload);
    return token;
}

static char *token_for(struct world *w, const char *user_id)
{
    return token_with(w, user_id, NULL, NULL);
}

/* Resolves: ERR_NONE and (if asked) the identity, or why not. */
static enum error_id resolve_from(struct world *w, const char *token, const char *ip, struct identity **ret)
{
    struct identity *who = NULL;
    enum error_id error = ERR_NONE;
    int r = auth_resolve(w->auth, token, ip, &who, &error);
    assert_true(r == 0 ? error == ERR_NONE && who : r == -EACCES && error != ERR_NONE && !who);
    if (ret)
        *ret = who;
    else
        identity_unref(who);
    return error;
}

static enum error_id resolve(struct world *w, const char *token)
{
    return resolve_from(w, token, "192.0.2.1", NULL);
}

static int lookup(struct world *w, const char *token)
{
    struct identity *who = NULL;
    enum error_id error = ERR_NONE;
    int r = auth_lookup(w->auth, token, &who, &error);
    identity_unref(who);
    return r;
}

static void knows_a_creator(void **state)
{
    struct world *w = *state;
    char *token = token_for(w, w->anna.user_id);
    struct identity *who;
    assert_int_equal(lookup(w, token), -EAGAIN);
    assert_int_equal(resolve_from(w, token, NULL, &who), ERR_NONE);
    assert_string_equal(who->user_id, w->anna.user_id);
    assert_string_equal(who->email, "anna@example.com");
    assert_null(who->first_name);
    assert_string_equal(who->role_name, "Creator");
    assert_string_equal(who->tier, "starter");
    assert_int_equal(who->anythingllm_user_id, w->anna.anythingllm_user_id);
    assert_true(who->app_access);
    assert_false(who->admin);
    assert_false(who->read_only);
    assert_null(who->impersonated_by);
    assert_null(who->session);
    assert_int_equal(lookup(w, token), 0);
    identity_unref(who);
    free(token);
}

/* Without this its body, however large, would be taken in before. */
static void a_bad_token_is_told_at_once(void **state)
{
    struct world *w = *state;
    json_t *payload = directus_payload(w->anna.user_id, w->now_s);
    char *forged = sign_any(payload, JWT_ALG_HS256, "another-key-another-key-another-key");
    (void)json_object_set_new(payload, "exp", json_integer(w->now_s - 1));
    char *late = sign_any(payload, JWT_ALG_HS256, DIRECTUS_KEY);
    assert_int_equal(lookup(w, forged), -EACCES);
    assert_int_equal(lookup(w, late), -EACCES);
    assert_int_equal(lookup(w, "eyJ.e.x"), -EACCES);
    assert_int_equal(lookup(w, "a-static-token"), -EAGAIN); /* only the store knows */
    json_decref(payload);
    free(forged);
    free(late);
}

static void knows_roles(void **state)
{
    struct world *w = *state;
    struct account viewer = person(w->db, "viewer@example.com", "Viewer");
    char *of_admin = token_for(w, w->admin.user_id), *of_viewer = token_for(w, viewer.user_id);
    struct identity *who;
    assert_int_equal(resolve_from(w, of_admin, NULL, &who), ERR_NONE);
    assert_true(who->admin && who->app_access && !who->read_only);
    identity_unref(who);
    assert_int_equal(resolve_from(w, of_viewer, NULL, &who), ERR_NONE);
    assert_true(!who->admin && who->app_access && who->read_only);
    identity_unref(who);
    free(of_admin);
    free(of_viewer);
}

/* The claims say admin; the database decides. */
static void claims_give_no_rights(void **state)
{
    struct world *w = *state;
    json_t *payload = directus_payload(w->anna.user_id, w->now_s);
    (void)json_object_set_new(payload, "admin_access", json_true());
    (void)json_object_set_new(payload, "role", json_string("7b0c4a52-52d4-4f0e-9d5c-0f3c6f2b8a01"));
    char *token = sign_any(payload, JWT_ALG_HS256, DIRECTUS_KEY);
    struct identity *who;
    assert_int_equal(resolve_from(w, token, NULL, &who), ERR_NONE);
    assert_false(who->admin);
    assert_string_equal(who->role_name, "Creator");
    identity_unref(who);
    free(token);
    json_decref(payload);
}

static void status_decides(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *status;
        enum error_id expected;
    } cases[] = {
        {"draft", ERR_UNAUTHORIZED},  {"invited", ERR_UNAUTHORIZED}, {"unverified", ERR_UNAUTHORIZED},
        {"suspended", ERR_SUSPENDED}, {"archived", ERR_SUSPENDED},   {"active", ERR_NONE},
    };
    char *token = token_for(w, w->anna.user_id);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        run_sql(w->db, "UPDATE directus_users SET status = '%s' WHERE id = '%s'", cases[i].status,
                w->anna.user_id);
        assert_int_equal(resolve(w, token), cases[i].expected);
    }
    run_sql(w->db, "UPDATE users SET suspended = 1 WHERE id = %lld", (long long)w->anna.anythingllm_user_id);
    assert_int_equal(resolve(w, token), ERR_SUSPENDED);
    free(token);
}

static void nobodys_tokens(void **state)
{
    struct world *w = *state;
    char *unknown = token_for(w, "12345678-1234-4234-8234-123456789012");
    assert_int_equal(resolve(w, unknown), ERR_UNAUTHORIZED);
    assert_int_equal(resolve(w, "no-such-static-token"), ERR_UNAUTHORIZED);
    assert_int_equal(resolve(w, ""), ERR_UNAUTHORIZED);
    assert_int_equal(resolve(w, NULL), ERR_UNAUTHORIZED);
    assert_int_equal(lookup(w, NULL), -EACCES);
    assert_int_equal(lookup(w, ""), -EACCES);
    char *long_one = calloc(1, TOKEN_MAX_BYTES + 2);
    memset(long_one, 'x', TOKEN_MAX_BYTES + 1);
    assert_int_equal(lookup(w, long_one), -EACCES);
    assert_int_equal(resolve(w, long_one), ERR_UNAUTHORIZED);
    free(long_one);
    free(unknown);
}

static void static_tokens(void **state)
{
    struct world *w = *state;
    struct identity *who;
    run_sql(w->db, "UPDATE directus_users SET token = 'static-token-of-anna' WHERE id = '%s'",
            w->anna.user_id);
    assert_int_equal(resolve_from(w, "static-token-of-anna", NULL, &who), ERR_NONE);
    assert_string_equal(who->user_id, w->anna.user_id);
    identity_unref(who);
    assert_int_equal(lookup(w, "static-token-of-anna"), 0);
    assert_int_equal(resolve(w, "static-token-of-ann"), ERR_UNAUTHORIZED);
    assert_int_equal(resolve(w, "static-token-of-anna "), ERR_UNAUTHORIZED);
    /* what looks like a JWT is never one */
    run_sql(w->db, "UPDATE directus_users SET token = 'eyJ.eyJ.x' WHERE id = '%s'", w->anna.user_id);
    assert_int_equal(resolve(w, "eyJ.eyJ.x"), ERR_UNAUTHORIZED);
}

static void native_tokens(void **state)
{
    struct world *w = *state;
    json_t *payload = native_payload(w->anna.anythingllm_user_id, w->now_s),
           *other = native_payload(99999, w->now_s);
    char *token = sign_any(payload, JWT_ALG_HS256, NATIVE_KEY),
         *nobody = sign_any(other, JWT_ALG_HS256, NATIVE_KEY);
    struct identity *who;
    assert_int_equal(resolve_from(w, token, NULL, &who), ERR_NONE);
    assert_string_equal(who->user_id, w->anna.user_id);
    identity_unref(who);
    assert_int_equal(resolve(w, nobody), ERR_UNAUTHORIZED);
    run_sql(w->db, "UPDATE directus_users SET anythingllm_user_id = NULL WHERE id = '%s'", w->anna.user_id);
    assert_int_equal(resolve(w, token), ERR_UNAUTHORIZED);
    free(token);
    free(nobody);
    json_decref(payload);
    json_decref(other);
}

static void sessions_live_and_die(void **state)
{
    struct world *w = *state;
    char *token = token_with(w, w->anna.user_id, "session", "session-one");
    struct identity *who;
    assert_int_equal(resolve(w, token), ERR_UNAUTHORIZED);
    run_sql(w->db,
            "INSERT INTO directus_sessions (token, \"user\", expires) VALUES ('session-one', '%s', "
            "'2999-01-01T00:00:00.000Z')",
            w->admin.user_id);
    assert_int_equal(resolve(w, token), ERR_UNAUTHORIZED); /* somebody else's */
    run_sql(w->db, "UPDATE directus_sessions SET \"user\" = '%s'", w->anna.user_id);
    assert_int_equal(resolve_from(w, token, NULL, &who), ERR_NONE);
    assert_string_equal(who->session, "session-one");
    identity_unref(who);
    run_sql(w->db, "UPDATE directus_sessions SET expires = '2001-01-01T00:00:00.000Z'");
    assert_int_equal(resolve(w, token), ERR_UNAUTHORIZED);
    free(token);
}

static char *impersonation_token(struct world *w, const char *jti)
{
    json_t *payload = directus_payload(w->anna.user_id, w->now_s);
    (void)json_object_set_new(payload, "jti", json_string(jti));
    (void)json_object_set_new(payload, "impersonated_by", json_string(w->admin.user_id));
    char *token = sign_any(payload, JWT_ALG_HS256, DIRECTUS_KEY);
    json_decref(payload);
    return token;
}

static void impersonation_lives_and_dies(void **state)
{
    struct world *w = *state;
    char *token = impersonation_token(w, "jti-one");
    struct identity *who;
    assert_int_equal(resolve(w, token), ERR_UNAUTHORIZED); /* no row */
    run_sql(w->db,
            "INSERT INTO impersonations (id, impersonator_id, user_id, expires_at) VALUES ('jti-one', '%s', "
            "'%s', '2999-01-01T00:00:00.000Z')",
            w->admin.user_id, w->anna.user_id);
    assert_int_equal(resolve_from(w, token, NULL, &who), ERR_NONE);
    assert_string_equal(who->user_id, w->anna.user_id);
    assert_string_equal(who->impersonated_by, w->admin.user_id);
    assert_false(who->admin);
    identity_unref(who);

    static const struct {
        const char *break_it, *mend_it;
    } deaths[] = {
        {"UPDATE impersonations SET ended_at = '2001-01-01T00:00:00.000Z'",
         "UPDATE impersonations SET ended_at = NULL"},
        {"UPDATE impersonations SET expires_at = '2001-01-01T00:00:00.000Z'",
         "UPDATE impersonations SET expires_at = '2999-01-01T00:00:00.000Z'"},
        {"UPDATE directus_users SET status = 'suspended' WHERE email = 'admin@example.com'",
         "UPDATE directus_users SET status = 'active' WHERE email = 'admin@example.com'"},
        {"UPDATE directus_policies SET admin_access = FALSE",
         "UPDATE directus_policies SET admin_access = TRUE"
         " WHERE id = '" ADMIN_POLICY "'"},
        {"INSERT INTO directus_access (id, \"user\", policy) SELECT '" ACCESS "', id, '" ADMIN_POLICY
         "' FROM directus_users WHERE email = 'anna@example.com'",
         "DELETE FROM directus_access WHERE id = '" ACCESS "'"},
        {"INSERT INTO revoked_tokens (jti, expires_at) VALUES ('jti-one', '2999-01-01T00:00:00.000Z')",
         "DELETE FROM revoked_tokens"},
    };
    for (size_t i = 0; i < ARRAY_LEN(deaths); i++) {
        assert_int_equal(store_exec(w->db, deaths[i].break_it), 0);
        assert_int_equal(resolve(w, token), ERR_UNAUTHORIZED);
        assert_int_equal(store_exec(w->db, deaths[i].mend_it), 0);
        assert_int_equal(resolve(w, token), ERR_NONE);
    }
    free(token);
}

static bool is_admin(struct world *w, const char *token, const char *ip)
{
    struct identity *who;
    assert_int_equal(resolve_from(w, token, ip, &who), ERR_NONE);
    bool admin = who->admin;
    identity_unref(who);
    return admin;
}

#define LINK "00000000-0000-4000-9000-%012d" /* of a chain of roles */
#define ROLE(n) "00000000-0000-4000-8000-00000000000" #n

static void rights_of_parents(void **state)
{
    struct world *w = *state;
    char *token = token_for(w, w->anna.user_id);
    run_sql(w->db,
            "INSERT INTO directus_roles (id, name, parent) VALUES ('" ROLE(1) "', 'Top', NULL), ('" ROLE(
                2) "', 'Middle', '" ROLE(1) "'), ('" ROLE(3) "', 'Low', '" ROLE(2) "')");
    run_sql(w->db, "UPDATE directus_users SET role = '" ROLE(3) "' WHERE id = '%s'", w->anna.user_id);
    assert_false(is_admin(w, token, NULL));
    run_sql(w->db, "INSERT INTO directus_access (id, role, policy) VALUES ('" ACCESS
                   "', '" ROLE(1) "', '" ADMIN_POLICY "')");
    assert_true(is_admin(w, token, NULL));
    run_sql(w->db,
            "UPDATE directus_access SET role = NULL WHERE id = '" ACCESS "'"); /* the public's policy */
    assert_false(is_admin(w, token, NULL));
    run_sql(w->db, "UPDATE directus_access SET \"user\" = '%s' WHERE id = '" ACCESS "'", w->anna.user_id);
    assert_true(is_admin(w, token, NULL));
    free(token);
}

static void circles_of_roles_end(void **state)
{
    struct world *w = *state;
    char *token = token_for(w, w->anna.user_id);
    run_sql(w->db, "INSERT INTO directus_roles (id, name) VALUES ('" ROLE(1) "', 'A'), ('" ROLE(
                       2) "', 'B'), ('" ROLE(3) "', 'C')");
    run_sql(w->db, "UPDATE directus_roles SET parent = '" ROLE(2) "' WHERE id = '" ROLE(1) "'");
    run_sql(w->db,
            "UPDATE directus_roles SET parent = '" ROLE(1) "' WHERE id IN ('" ROLE(2) "', '" ROLE(3) "')");
    run_sql(w->db, "UPDATE directus_users SET role = '" ROLE(3) "' WHERE id = '%s'", w->anna.user_id);
    assert_false(is_admin(w, token, NULL));
    run_sql(w->db, "INSERT INTO directus_access (id, role, policy) VALUES ('" ACCESS
                   "', '" ROLE(2) "', '" ADMIN_POLICY "')");
    assert_true(is_admin(w, token, NULL));
    run_sql(w->db, "UPDATE directus_roles SET parent = id WHERE id = '" ROLE(3) "'");
    assert_false(is_admin(w, token, NULL));
    free(token);
}

static void deep_chains_give_nothing(void **state)
{
    struct world *w = *state;
    char *token = token_for(w, w->anna.user_id);
    for (int i = 0; i < 40; i++) {
        char parent[64] = "NULL";
        if (i > 0)
            (void)snprintf(parent, sizeof parent, "'" LINK "'", i - 1);
        run_sql(w->db, "INSERT INTO directus_roles (id, name, parent) VALUES ('" LINK "', 'R', %s)", i,
                parent);
    }
    run_sql(w->db,
            "INSERT INTO directus_access (id, role, policy) VALUES ('" ACCESS "', '" LINK "', '" ADMIN_POLICY
            "')",
            0);
    run_sql(w->db, "UPDATE directus_users SET role = '" LINK "' WHERE id = '%s'", 16, w->anna.user_id);
    assert_true(is_admin(w, token, NULL));
    run_sql(w->db, "UPDATE directus_users SET role = '" LINK "' WHERE id = '%s'", 17, w->anna.user_id);
    assert_false(is_admin(w, token, NULL));
    free(token);
}

static void address_bound_rights(void **state)
{
    struct world *w = *state;
    char *token = token_for(w, w->admin.user_id), *of_anna = token_for(w, w->anna.user_id);
    run_sql(w->db,
            "UPDATE directus_policies SET ip_access = '10.0.0.0/8,2001:db8::/32' WHERE id = '" ADMIN_POLICY
            "'");
    assert_true(is_admin(w, token, "10.1.2.3"));
    assert_int_equal(lookup(w, token), -EAGAIN); /* never cached: another address is another answer */
    assert_false(is_admin(w, token, "11.1.2.3"));
    assert_true(is_admin(w, token, "2001:db8::7"));
    assert_false(is_admin(w, token, NULL));
    assert_int_equal(lookup(w, token), -EAGAIN);
    assert_int_equal(resolve(w, of_anna), ERR_NONE);
    assert_int_equal(lookup(w, of_anna), 0); /* nobody else pays for it */
    free(token);
    free(of_anna);
}

static void forgetting_is_at_once(void **state)
{
    struct world *w = *state;
    char *of_anna = token_for(w, w->anna.user_id), *of_admin = token_for(w, w->admin.user_id);
    assert_int_equal(resolve(w, of_anna), ERR_NONE);
    assert_int_equal(resolve(w, of_admin), ERR_NONE);
    run_sql(w->db, "UPDATE directus_users SET status = 'suspended' WHERE id = '%s'", w->anna.user_id);
    auth_forget(w->auth, w->anna.user_id);
    assert_int_equal(lookup(w, of_anna), -EAGAIN);
    assert_int_equal(lookup(w, of_admin), 0);
    assert_int_equal(resolve(w, of_anna), ERR_SUSPENDED);
    auth_forget(w->auth, NULL);
    assert_int_equal(lookup(w, of_admin), -EAGAIN);
    free(of_anna);
    free(of_admin);
}

/* As the command line beside a server does. */
static void another_process_writes(void **state)
{
    struct world *w = *state;
    char *token = token_for(w, w->anna.user_id);
    assert_int_equal(resolve(w, token), ERR_NONE);
    assert_int_equal(lookup(w, token), 0);
    store_exec_elsewhere(w->store, "UPDATE directus_users SET status = 'suspended'");
    /* the store may take a moment to see it, but no longer than the cache's own limit */
    int r = 0;
    for (int i = 0; i < 1000 && (r = lookup(w, token)) == 0; i++)
        usleep(10000);
    assert_int_equal(r, -EAGAIN);
    assert_int_equal(resolve(w, token), ERR_SUSPENDED);
    free(token);
}

/* Without the store, and so before a body is read. */
static void broken_tokens_are_refused_from_memory(void **state)
{
    struct world *w = *state;
    char *token = token_for(w, w->anna.user_id);
    assert_int_equal(lookup(w, token), -EAGAIN);
    token[strlen(token) - 5] ^= 1;
    assert_int_equal(lookup(w, token), -EACCES);
    assert_int_equal(lookup(w, "maybe-a-static-token"), -EAGAIN);
    free(token);
}

static void store_fails(void **state)
{
    struct world *w = *state;
    char *of_anna = token_for(w, w->anna.user_id), *of_admin = token_for(w, w->admin.user_id);
    assert_int_equal(resolve(w, of_anna), ERR_NONE);
    run_sql(w->db, "ALTER TABLE directus_access RENAME TO away");
    assert_int_equal(resolve(w, of_admin), ERR_STORE_UNAVAILABLE);
    assert_int_equal(lookup(w, of_anna), 0); /* what is cached goes on */
    run_sql(w->db, "ALTER TABLE away RENAME TO directus_access");
    assert_int_equal(resolve(w, of_admin), ERR_NONE);
    free(of_anna);
    free(of_admin);
}

static void expired_tokens(void **state)
{
    struct world *w = *state;
    json_t *payload = directus_payload(w->anna.user_id, w->now_s);
    (void)json_object_set_new(payload, "exp", json_integer(w->now_s - 1));
    char *token = sign_any(payload, JWT_ALG_HS256, DIRECTUS_KEY);
    assert_int_equal(resolve(w, token), ERR_TOKEN_EXPIRED);
    assert_int_equal(lookup(w, token), -EACCES);
    free(token);
    json_decref(payload);
}

#define WORLD_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    log_configure(LOG_ERROR + 1, false); /* one test breaks the store on purpose */
    const struct CMUnitTest tests[] = {
        WORLD_TEST(knows_a_creator),
        WORLD_TEST(a_bad_token_is_told_at_once),
        WORLD_TEST(knows_roles),
        WORLD_TEST(claims_give_no_rights),
        WORLD_TEST(status_decides),
        WORLD_TEST(nobodys_tokens),
        WORLD_TEST(static_tokens),
        WORLD_TEST(native_tokens),
        WORLD_TEST(sessions_live_and_die),
        WORLD_TEST(impersonation_lives_and_dies),
        WORLD_TEST(rights_of_parents),
        WORLD_TEST(circles_of_roles_end),
        WORLD_TEST(deep_chains_give_nothing),
        WORLD_TEST(address_bound_rights),
        WORLD_TEST(forgetting_is_at_once),
        WORLD_TEST(another_process_writes),
        WORLD_TEST(broken_tokens_are_refused_from_memory),
        WORLD_TEST(store_fails),
        WORLD_TEST(expired_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
