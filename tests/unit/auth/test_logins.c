/* SPDX-License-Identifier: MIT */
/* Hashing is slow on purpose, so the hash is made once per world and given to every account. */
#include "people.h"

#include "auth/logins.h"
#include "auth/passwords.h"

#define PASSWORD "correct horse battery"

struct world {
    struct store *store;
    struct db *db;
    struct auth *auth;
    struct logins *logins;
    struct arena arena;
    char hash[PASSWORD_HASH_SIZE];
};

static const struct config cfg = {
    .directus_secret = DIRECTUS_KEY, .jwt_secret = NATIVE_KEY, .worker_threads = 8};
static const struct token_keys keys = {.directus = DIRECTUS_KEY};
static const struct login_client client = {.ip = "192.0.2.7", .user_agent = "test", .origin = "http://here"};

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    struct passwords *p;
    assert_int_equal(people_set_up((void **)&w->store), 0);
    w->db = w->store->db;
    arena_init(&w->arena, 4 * 1024 * 1024);
    assert_int_equal(auth_open(&cfg, w->db, &w->auth), 0);
    assert_int_equal(logins_open(&cfg, w->db, w->auth, &w->logins), 0);
    assert_int_equal(passwords_open(1, &p), 0);
    assert_int_equal(password_hash(p, PASSWORD, w->hash), 0);
    passwords_close(p);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    logins_close(w->logins);
    auth_close(w->auth);
    arena_free(&w->arena);
    void *store = w->store;
    free(w);
    return store_tear_down(&store);
}

/* An account that PASSWORD opens. */
static struct account member(struct world *w, const char *email)
{
    struct account a = person(w->db, email, NULL);
    run_sql(w->db, "UPDATE directus_users SET password = '%s' WHERE id = '%s'", w->hash, a.user_id);
    return a;
}

static enum login_refusal log_in(struct world *w, const char *email, const char *password, bool session,
                                 struct login_grant *ret)
{
    login(w->logins, &w->arena, email, password, session, &client, ret);
    return ret->refusal;
}

static enum login_refusal refresh(struct world *w, const char *token, bool session, struct login_grant *ret)
{
    login_refresh(w->logins, &w->arena, token, session, &client, ret);
    return ret->refusal;
}

static int resolves(struct world *w, const char *token)
{
    struct identity *who = NULL;
    enum error_id error;
    int r = auth_lookup(w->auth, token, &who, &error);
    if (r == -EAGAIN)
        r = auth_resolve(w->auth, token, client.ip, &who, &error);
    identity_unref(who);
    return r;
}

static void life_of_a_login(void **state)
{
    struct world *w = *state;
    struct account a = member(w, "life@example.com");
    struct login_grant first, second, third;
    struct token_claims claims;
    assert_int_equal(log_in(w, "Life@Example.com", PASSWORD, false, &first), LOGIN_OK);
    assert_int_equal(first.lifetime_s, 900);
    assert_int_equal(strlen(first.refresh_token), 64);
    assert_int_equal(token_verify(first.access_token, &keys, clock_now_ms() / 1000, &claims), 0);
    assert_string_equal(claims.user_id, a.user_id);
    assert_string_equal(claims.session, "");
    assert_int_equal(resolves(w, first.access_token), 0);

    assert_int_equal(refresh(w, first.refresh_token, false, &second), LOGIN_OK);
    assert_string_not_equal(first.refresh_token, second.refresh_token);
    assert_int_equal(resolves(w, second.access_token), 0);
    assert_int_equal(refresh(w, first.refresh_token, false, &third),
                     LOGIN_BAD_CREDENTIALS); /* it was replaced */

    assert_int_equal(login_end(w->logins, second.refresh_token), 0);
    assert_int_equal(refresh(w, second.refresh_token, false, &third), LOGIN_BAD_CREDENTIALS);
    assert_int_equal(login_end(w->logins, second.refresh_token), 0);
    assert_int_equal(login_end(w->logins, ""), 0);
}

static void rows_of_a_session(void **state)
{
    struct world *w = *state;
    struct account a = member(w, "rows@example.com");
    struct login_grant grant;
    char sql[512], from[ISO_TIME_LEN], to[ISO_TIME_LEN];
    const int64_t day_ms = INT64_C(24) * 3600 * 1000;
    clock_format_iso(clock_now_ms() + 7 * day_ms - 3600 * 1000, from);
    clock_format_iso(clock_now_ms() + 7 * day_ms + 3600 * 1000, to);
    assert_int_equal(log_in(w, "rows@example.com", PASSWORD, false, &grant), LOGIN_OK);
    (void)snprintf(sql, sizeof sql,
                   "SELECT count(*) FROM directus_sessions s JOIN directus_users u ON u.id = s.\"user\""
                   " WHERE s.token = '%s' AND u.id = '%s' AND s.ip = '192.0.2.7' AND s.user_agent = 'test'"
                   " AND s.origin = 'http://here' AND u.last_access IS NOT NULL AND s.expires > '%s'"
                   " AND s.expires < '%s'",
                   grant.refresh_token, a.user_id, from, to);
    assert_int_equal(store_int(w->db, sql), 1);
    run_sql(w->db, "UPDATE directus_sessions SET expires = '2001-01-01T00:00:00.000Z' WHERE token = '%s'",
            grant.refresh_token);
    struct login_grant again;
    assert_int_equal(refresh(w, grant.refresh_token, false, &again), LOGIN_BAD_CREDENTIALS);
    assert_int_equal(log_in(w, "rows@example.com", PASSWORD, false, &again), LOGIN_OK);
    assert_int_equal(store_int(w->db, "SELECT count(*) FROM directus_sessions WHERE expires < '2002-01-01'"),
                     0);
}

static void session_mode(void **state)
{
    struct world *w = *state;
    (void)member(w, "session@example.com");
    struct login_grant first, second, again, third;
    char session[TOKEN_SESSION_MAX + 1];
    assert_int_equal(log_in(w, "session@example.com", PASSWORD, true, &first), LOGIN_OK);
    assert_int_equal(first.lifetime_s, 24 * 3600);
    login_session_of(w->logins, first.access_token, session);
    assert_string_equal(session, first.refresh_token);
    assert_int_equal(resolves(w, first.access_token), 0);

    assert_int_equal(refresh(w, session, true, &second), LOGIN_OK);
    assert_string_not_equal(second.refresh_token, first.refresh_token);
    assert_int_equal(resolves(w, first.access_token), 0); /* still, for a moment */
    assert_int_equal(resolves(w, second.access_token), 0);
    assert_int_equal(refresh(w, session, true, &again), LOGIN_OK); /* a second tab: the same successor */
    assert_string_equal(again.refresh_token, second.refresh_token);

    assert_int_equal(login_end(w->logins, second.refresh_token), 0);
    assert_int_equal(resolves(w, second.access_token), -EACCES);
    assert_int_equal(resolves(w, again.access_token), -EACCES);
    assert_int_equal(resolves(w, first.access_token), -EACCES);
    assert_int_equal(refresh(w, session, true, &third), LOGIN_BAD_CREDENTIALS);
    login_session_of(w->logins, "nonsense", session);
    assert_string_equal(session, "");
}

static void who_is_not_let_in(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *set;
        enum login_refusal expected;
    } cases[] = {
        {"status = 'suspended'", LOGIN_SUSPENDED},
        {"status = 'archived'", LOGIN_SUSPENDED},
        {"status = 'draft'", LOGIN_BAD_CREDENTIALS},
        {"status = 'active', tfa_secret = 'x'", LOGIN_NEEDS_OTP},
        {"tfa_secret = NULL, provider = 'google'", LOGIN_OTHER_PROVIDER},
        {"provider = 'default'", LOGIN_OK},
        {"password = NULL", LOGIN_BAD_CREDENTIALS},
    };
    struct account a = member(w, "barred@example.com");
    struct login_grant grant;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        run_sql(w->db, "UPDATE directus_users SET %s WHERE id = '%s'", cases[i].set, a.user_id);
        if (log_in(w, "barred@example.com", PASSWORD, false, &grant) != cases[i].expected)
            fail_msg("%s: %d", cases[i].set, grant.refusal);
        assert_true(grant.refusal == LOGIN_OK || !grant.access_token);
        logins_close(w->logins); /* a fresh back-off for the next case */
        assert_int_equal(logins_open(&cfg, w->db, w->auth, &w->logins), 0);
    }
}

/* Only who knows the password learns what is wrong with the account. */
static void wrong_password_tells_nothing(void **state)
{
    struct world *w = *state;
    struct account a = member(w, "silent@example.com");
    struct login_grant grant;
    assert_int_equal(log_in(w, "silent@example.com", "wrong", false, &grant), LOGIN_BAD_CREDENTIALS);
    run_sql(w->db, "UPDATE directus_users SET status = 'suspended', tfa_secret = 'x' WHERE id = '%s'",
            a.user_id);
    assert_int_equal(log_in(w, "silent@example.com", "wrong", false, &grant), LOGIN_BAD_CREDENTIALS);
    assert_int_equal(log_in(w, "nobody@example.com", PASSWORD, false, &grant), LOGIN_BAD_CREDENTIALS);
    assert_int_equal(log_in(w, "not an address", PASSWORD, false, &grant), LOGIN_BAD_CREDENTIALS);
    assert_int_equal(log_in(w, "", "", false, &grant), LOGIN_BAD_CREDENTIALS);
}

static void suspended_while_logged_in(void **state)
{
    struct world *w = *state;
    struct account a = member(w, "later@example.com");
    struct login_grant grant, again;
    assert_int_equal(log_in(w, "later@example.com", PASSWORD, false, &grant), LOGIN_OK);
    run_sql(w->db, "UPDATE users SET suspended = 1 WHERE id = %lld", (long long)a.anythingllm_user_id);
    assert_int_equal(refresh(w, grant.refresh_token, false, &again), LOGIN_SUSPENDED);
    run_sql(w->db, "UPDATE users SET suspended = 0 WHERE id = %lld", (long long)a.anythingllm_user_id);
    assert_int_equal(refresh(w, grant.refresh_token, false, &again),
                     LOGIN_OK); /* its session was left alone */
}

static void guessing_is_slowed(void **state)
{
    struct world *w = *state;
    (void)member(w, "guessed@example.com");
    struct login_grant grant;
    int refused = 0;
    for (int i = 0; i < 12 && refused == 0; i++) {
        assert_true(log_in(w, "guessed@example.com", "wrong", false, &grant) == LOGIN_BAD_CREDENTIALS ||
                    grant.refusal == LOGIN_WAIT);
        refused += grant.refusal == LOGIN_WAIT;
    }
    assert_int_equal(refused, 1);
    assert_true(grant.wait_ms > 0 && grant.wait_ms <= 60 * 1000);
    (void)member(w, "other@example.com");
    assert_int_equal(log_in(w, "other@example.com", PASSWORD, false, &grant), LOGIN_OK); /* others aren't */
}

static enum login_refusal log_in_from(struct world *w, const char *ip, const char *password)
{
    struct login_grant grant;
    login(w->logins, &w->arena, "victim@example.com", password, false, &(struct login_client){.ip = ip},
          &grant);
    return grant.refusal;
}

/* Whoever has many addresses could otherwise take each attempt before the owner. */
static void guessing_locks_no_owner_out(void **state)
{
    struct world *w = *state;
    int refused = 0;
    (void)member(w, "victim@example.com");
    assert_int_equal(log_in_from(w, "192.0.2.7", PASSWORD), LOGIN_OK);
    for (int i = 0; i < 12; i++) {
        char ip[32];
        (void)snprintf(ip, sizeof ip, "198.51.100.%d", i);
        refused += log_in_from(w, ip, "wrong") == LOGIN_WAIT;
    }
    assert_true(refused > 0);
    assert_int_equal(log_in_from(w, "203.0.113.1", PASSWORD), LOGIN_WAIT); /* a stranger still */
    assert_int_equal(log_in_from(w, "192.0.2.7", PASSWORD), LOGIN_OK);
    refused = 0;
    for (int i = 0; i < 12; i++)
        refused += log_in_from(w, "192.0.2.7", "wrong") == LOGIN_WAIT;
    assert_true(refused > 0); /* who sits there gets no more guesses than others */
}

static void sessions_do_not_pile_up(void **state)
{
    struct world *w = *state;
    struct account a = member(w, "many@example.com");
    struct login_grant grant, next;
    char session[TOKEN_SESSION_MAX + 1];
    for (int i = 0; i < 250; i++)
        run_sql(w->db,
                "INSERT INTO directus_sessions (token, \"user\", expires) VALUES ('old-%d', '%s', "
                "'2999-01-01T00:%02d:%02d.000Z')",
                i, a.user_id, i / 60, i % 60);
    assert_int_equal(log_in(w, "many@example.com", PASSWORD, true, &grant), LOGIN_OK);
    assert_int_equal(store_int(w->db, "SELECT count(*) FROM directus_sessions"), 200);
    assert_int_equal(store_int(w->db, "SELECT count(*) FROM directus_sessions WHERE token = 'old-249'"), 1);
    assert_int_equal(store_int(w->db, "SELECT count(*) FROM directus_sessions WHERE token = 'old-0'"), 0);
    assert_int_equal(resolves(w, grant.access_token), 0);
    run_sql(w->db,
            "UPDATE directus_sessions SET expires = '2001-01-01T00:00:00.000Z' WHERE token LIKE 'old-%%'");
    login_session_of(w->logins, grant.access_token, session);
    assert_int_equal(refresh(w, session, true, &next), LOGIN_OK); /* the expired ones go here too */
    assert_int_equal(store_int(w->db, "SELECT count(*) FROM directus_sessions WHERE token LIKE 'old-%'"), 0);
}

static void what_a_client_says_of_itself_is_cut(void **state)
{
    struct world *w = *state;
    struct login_grant grant;
    char origin[4096];
    memset(origin, 'o', sizeof origin - 1);
    origin[sizeof origin - 1] = '\0';
    (void)member(w, "long@example.com");
    login(w->logins, &w->arena, "long@example.com", PASSWORD, false,
          &(struct login_client){.ip = client.ip, .user_agent = "\xff", .origin = origin}, &grant);
    assert_int_equal(grant.refusal, LOGIN_OK);
    assert_int_equal(store_int(w->db, "SELECT length(origin) FROM directus_sessions"), 255);
    assert_int_equal(store_int(w->db, "SELECT user_agent IS NULL FROM directus_sessions"), 1);
}

#define WORLD_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    log_configure(LOG_WARN, false);
    const struct CMUnitTest tests[] = {
        WORLD_TEST(life_of_a_login),
        WORLD_TEST(rows_of_a_session),
        WORLD_TEST(session_mode),
        WORLD_TEST(who_is_not_let_in),
        WORLD_TEST(wrong_password_tells_nothing),
        WORLD_TEST(suspended_while_logged_in),
        WORLD_TEST(guessing_is_slowed),
        WORLD_TEST(guessing_locks_no_owner_out),
        WORLD_TEST(sessions_do_not_pile_up),
        WORLD_TEST(what_a_client_says_of_itself_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
