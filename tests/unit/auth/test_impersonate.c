/* SPDX-License-Identifier: MIT */
#include "people.h"

#include "auth/impersonate.h"

static const struct config cfg = {.directus_secret = DIRECTUS_KEY, .jwt_secret = NATIVE_KEY};

struct world {
    struct store *store;
    struct auth *auth;
    struct arena a;
    struct account anna, admin;
    struct identity who; /* the admin */
};

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_int_equal(people_set_up((void **)&w->store), 0);
    assert_int_equal(auth_open(&cfg, w->store->db, &w->auth), 0);
    store_await_listening(w->store->db);
    arena_init(&w->a, 1 << 20);
    w->anna = person(w->store->db, "anna@example.com", NULL);
    w->admin = person(w->store->db, "admin@example.com", "Administrator");
    w->who.admin = true;
    memcpy(w->who.user_id, w->admin.user_id, UUID_SIZE);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    arena_free(&w->a);
    auth_close(w->auth);
    void *store = w->store;
    free(w);
    return store_tear_down(&store);
}

static struct impersonation begin(struct world *w, const char *user_id)
{
    struct impersonation i = {.admin = &w->who, .arena = &w->a, .ip = "192.0.2.1", .request_id = "rq"};
    memcpy(i.user_id, user_id, UUID_SIZE);
    assert_int_equal(impersonation_begin(w->store->db, &cfg, &i), 0);
    assert_true((i.outcome == IMPERSONATION_OK) == (i.token != NULL));
    return i;
}

static enum error_id resolve(struct world *w, const char *token)
{
    struct identity *who = NULL;
    enum error_id error = ERR_NONE;
    if (auth_resolve(w->auth, token, "192.0.2.1", &who, &error) == 0) {
        assert_string_equal(who->user_id, w->anna.user_id);
        assert_string_equal(who->impersonated_by, w->admin.user_id);
        assert_non_null(who->impersonation);
        assert_false(who->admin);
    }
    identity_unref(who);
    return error;
}

static void a_token_that_counts_until_it_is_ended(void **state)
{
    struct world *w = *state;
    int64_t ended;
    struct impersonation one = begin(w, w->anna.user_id), two = begin(w, w->anna.user_id);
    assert_string_equal(one.role, "Creator");
    assert_string_not_equal(one.id, two.id);
    assert_int_equal(resolve(w, one.token), ERR_NONE);
    assert_int_equal(resolve(w, two.token), ERR_NONE);
    assert_int_equal(impersonation_end(w->auth, w->store->db, one.id, w->anna.user_id, &ended), 0);
    assert_int_equal(ended, 1);
    assert_int_equal(resolve(w, one.token), ERR_UNAUTHORIZED);
    assert_int_equal(resolve(w, two.token), ERR_NONE);
    assert_int_equal(impersonation_end(w->auth, w->store->db, NULL, w->anna.user_id, &ended), 0);
    assert_int_equal(ended, 1);
    assert_int_equal(resolve(w, two.token), ERR_UNAUTHORIZED);
    assert_int_equal(impersonation_end(w->auth, w->store->db, NULL, w->anna.user_id, &ended), 0);
    assert_int_equal(ended, 0);
}

static void who_can_not_be(void **state)
{
    struct world *w = *state;
    struct account other = person(w->store->db, "other@example.com", "Administrator");
    assert_int_equal(begin(w, w->admin.user_id).outcome, IMPERSONATION_OF_ADMIN);
    assert_int_equal(begin(w, other.user_id).outcome, IMPERSONATION_OF_ADMIN);
    assert_int_equal(begin(w, "00000000-0000-4000-a000-00000000000f").outcome, IMPERSONATION_NO_SUCH_USER);
    static const char *const statuses[] = {"draft", "invited", "suspended", "archived"};
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
        run_sql(w->store->db, "UPDATE directus_users SET status = '%s' WHERE id = '%s'", statuses[i],
                w->anna.user_id);
        assert_int_equal(begin(w, w->anna.user_id).outcome, IMPERSONATION_OF_INACTIVE);
    }
    run_sql(w->store->db, "UPDATE directus_users SET status = 'active' WHERE id = '%s'", w->anna.user_id);
    run_sql(w->store->db, "UPDATE users SET suspended = 1 WHERE id = %lld",
            (long long)w->anna.anythingllm_user_id);
    assert_int_equal(begin(w, w->anna.user_id).outcome, IMPERSONATION_OF_INACTIVE);
    assert_int_equal(store_int(w->store->db, "SELECT count(*) FROM impersonations"), 0);
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {T(a_token_that_counts_until_it_is_ended), T(who_can_not_be)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
