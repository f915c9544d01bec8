/* SPDX-License-Identifier: MIT */
#include "people.h"

#include "auth/sync.h"

static const struct config cfg = {.directus_secret = DIRECTUS_KEY, .jwt_secret = NATIVE_KEY};

struct world {
    struct store *store;
    struct auth *auth;
    struct account anna, ben;
};

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_int_equal(people_set_up((void **)&w->store), 0);
    assert_int_equal(auth_open(&cfg, w->store->db, &w->auth), 0);
    w->anna = person(w->store->db, "anna@example.com", NULL);
    w->ben = person(w->store->db, "ben@example.com", "Viewer");
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

static struct sync_user user(const char *id)
{
    struct sync_user u = {.outcome = SYNC_DONE};
    memcpy(u.user_id, id, UUID_SIZE);
    return u;
}

static void look_at(struct world *w, struct sync_user *users, size_t n, bool status)
{
    struct sync_ask ask = {users, n, status};
    assert_int_equal(sync_users(w->auth, w->store->db, &ask), 0);
}

static int64_t native(struct world *w, const char *what)
{
    char sql[160];
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM users WHERE id = %lld AND %s",
                   (long long)w->anna.anythingllm_user_id, what);
    return store_int(w->store->db, sql);
}

static void roles_by_rights_and_viewers_by_name(void **state)
{
    struct world *w = *state;
    struct sync_user users[] = {user(w->anna.user_id), user(w->ben.user_id)};
    look_at(w, users, 2, false);
    assert_string_equal(users[0].role, "default");
    assert_false(users[0].read_only);
    assert_true(users[1].read_only);
    run_sql(w->store->db,
            "INSERT INTO directus_access (id, \"user\", policy) VALUES "
            "('00000000-0000-4000-a000-000000000001', '%s', '" ADMIN_POLICY "')",
            w->anna.user_id);
    look_at(w, users, 2, false);
    assert_string_equal(users[0].role, "admin");
    assert_int_equal(native(w, "role = 'admin'"), 1);
    assert_int_equal(users[0].anythingllm_user_id, w->anna.anythingllm_user_id);
    /* rights that an address must earn make nobody an admin there, where no address is looked at */
    run_sql(w->store->db,
            "UPDATE directus_policies SET ip_access = '192.0.2.0/24' WHERE id = '" ADMIN_POLICY "'");
    look_at(w, users, 1, false);
    assert_int_equal(native(w, "role = 'default'"), 1);
}

static void who_is_skipped(void **state)
{
    struct world *w = *state;
    static const char nobody[] = "00000000-0000-4000-a000-00000000000f";
    static const char alone[] = "00000000-0000-4000-a000-00000000000e";
    run_sql(w->store->db,
            "INSERT INTO directus_users (id, email, status) VALUES ('%s', 'x@example.com', 'active')", alone);
    struct sync_user users[] = {
        user(nobody), {.outcome = SYNC_INVALID_ID}, user(alone), user(w->anna.user_id)};
    look_at(w, users, 4, true);
    assert_int_equal(users[0].outcome, SYNC_NO_SUCH_USER);
    assert_int_equal(users[1].outcome, SYNC_INVALID_ID);
    assert_int_equal(users[2].outcome, SYNC_NO_ANYTHINGLLM_USER);
    assert_int_equal(users[3].outcome, SYNC_DONE);
}

static void a_suspension_follows_the_status_alone(void **state)
{
    struct world *w = *state;
    struct sync_user users[] = {user(w->anna.user_id)};
    run_sql(w->store->db, "UPDATE directus_users SET status = 'archived' WHERE id = '%s'", w->anna.user_id);
    look_at(w, users, 1, false);
    assert_int_equal(native(w, "suspended = 0"), 1);
    look_at(w, users, 1, true);
    assert_int_equal(native(w, "suspended = 1"), 1);
    run_sql(w->store->db, "UPDATE directus_users SET status = 'active' WHERE id = '%s'", w->anna.user_id);
    look_at(w, users, 1, false);
    assert_int_equal(native(w, "suspended = 1"), 1);
    look_at(w, users, 1, true);
    assert_int_equal(native(w, "suspended = 0"), 1);
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {T(roles_by_rights_and_viewers_by_name), T(who_is_skipped),
                                       T(a_suspension_follows_the_status_alone)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
