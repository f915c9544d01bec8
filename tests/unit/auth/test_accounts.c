/* SPDX-License-Identifier: MIT */
#include "people.h"

#define CROWD 16

static int64_t count(struct db *db, const char *table)
{
    char sql[128];
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", table);
    return store_int(db, sql);
}

struct create_arg {
    struct account_spec spec;
    struct account account;
};

static int create_unit(struct db_conn *c, void *arg)
{
    struct create_arg *a = arg;
    return account_create(c, &a->spec, &a->account);
}

static int create(struct db *db, struct account_spec spec)
{
    return db_write(db, create_unit, &(struct create_arg){.spec = spec});
}

static void emails(void **state)
{
    (void)state;
    static const char *const good[] = {"a@b.co", "Anna.Lind+x@Example.COM", "ü@example.com", "1@2.3"};
    static const char *const bad[] = {"",         "a",        "@b.co",      "a@",       "a@b",
                                      "a@.co",    "a@b.",     "a@b@c.co",   "a b@c.co", "a\n@c.co",
                                      "a,b@c.co", "<a@b.co>", "a@b.co\x7f", "\xff@b.co"};
    char ret[ACCOUNT_EMAIL_MAX + 1], longest[300];
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_int_equal(account_email(good[i], ret), 0);
    assert_int_equal(account_email("Anna@Example.COM", ret), 0);
    assert_string_equal(ret, "anna@example.com");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (account_email(bad[i], ret) != -EINVAL)
            fail_msg("'%s' is taken", bad[i]);
    memset(longest, 'a', sizeof longest);
    memcpy(longest + ACCOUNT_EMAIL_MAX - 5, "@b.co", 6);
    assert_int_equal(account_email(longest, ret), 0);
    memcpy(longest + ACCOUNT_EMAIL_MAX - 5, "a@b.co", 7);
    assert_int_equal(account_email(longest, ret), -EINVAL);
}

static void usernames(void **state)
{
    (void)state;
    static const struct {
        const char *email, *expected;
    } cases[] = {
        {"anna@example.com", "anna@example.com"},
        {"Anna+x@Example.com", "anna-x@example.com"},
        {"1anna@example.com", "u1anna@example.com"},
        {"_a@b.co", "u_a@b.co"},
        {"ü@b.co", "u--@b.co"},
        {"a.b-c_d@e.f", "a.b-c_d@e.f"},
    };
    char ret[ACCOUNT_NAME_MAX + 1], longest[300];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        account_username(cases[i].email, ret);
        assert_string_equal(ret, cases[i].expected);
    }
    memset(longest, '9', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    account_username(longest, ret);
    assert_int_equal(strlen(ret), ACCOUNT_NAME_MAX);
}

static void whole_account(void **state)
{
    struct store *s = *state;
    struct create_arg a = {.spec = {.email = "anna@example.com",
                                    .password_hash = "$argon2id$x",
                                    .first_name = "Anna",
                                    .tier = "pro"}};
    assert_int_equal(db_write(s->db, create_unit, &a), 0);
    char sql[1024];
    (void)snprintf(
        sql, sizeof sql,
        "SELECT count(*) FROM directus_users u JOIN directus_roles r ON r.id = u.role JOIN users a"
        " ON a.id = u.anythingllm_user_id JOIN user_personas p ON p.user_id = u.id JOIN workspace_users wu"
        " ON wu.user_id = a.id JOIN workspaces w ON w.id = wu.workspace_id WHERE u.id = '%s'"
        " AND u.email = 'anna@example.com' AND u.password = '$argon2id$x' AND u.first_name = 'Anna'"
        " AND r.name = 'Creator' AND u.status = 'active' AND u.subscription_tier = 'pro'"
        " AND u.subscription_start IS NOT NULL AND a.username = 'anna@example.com' AND a.role = 'default'"
        " AND p.onboarding_state = 'EXTENSION_INSTALL' AND w.slug = 'anna-example-com'"
        " AND w.name = 'Anna''s workspace' AND w.\"openAiPrompt\" ="
        " (SELECT value FROM system_config WHERE key = 'prime_directive') AND w.\"chatMode\" = 'automatic'"
        " AND a.id = %lld AND w.id = %lld",
        a.account.user_id, (long long)a.account.anythingllm_user_id, (long long)a.account.workspace_id);
    assert_int_equal(store_int(s->db, sql), 1);
}

/* An AnythingLLM user that came by itself: with a workspace it gets no other, without one it does. */
static void account_for_a_user_that_is_there(void **state)
{
    struct store *s = *state;
    assert_int_equal(store_exec(s->db, "INSERT INTO users (id, username, password) VALUES (7, 'seven', '!')"),
                     0);
    assert_int_equal(store_exec(s->db, "INSERT INTO users (id, username, password) VALUES (8, 'eight', '!')"),
                     0);
    assert_int_equal(store_exec(s->db, "INSERT INTO workspaces (id, name, slug) VALUES (70, 'Old', 'old')"),
                     0);
    assert_int_equal(store_exec(s->db, "INSERT INTO workspace_users (user_id, workspace_id) VALUES (7, 70)"),
                     0);
    struct create_arg seven = {
        .spec = {.email = "seven@b.co", .status = "suspended", .anythingllm_user_id = 7}};
    struct create_arg eight = {.spec = {.email = "eight@b.co", .anythingllm_user_id = 8}};
    assert_int_equal(db_write(s->db, create_unit, &seven), 0);
    assert_int_equal(db_write(s->db, create_unit, &eight), 0);
    assert_int_equal(seven.account.anythingllm_user_id, 7);
    assert_int_equal(seven.account.workspace_id, 70);
    assert_int_equal(count(s->db, "users"), 2);
    assert_int_equal(count(s->db, "workspaces"), 2);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM directus_users WHERE password IS NULL"), 2);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM directus_users WHERE status = 'suspended'"), 1);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM workspace_users WHERE user_id = 8"), 1);
}

static void nothing_is_left_of_a_failure(void **state)
{
    struct store *s = *state;
    assert_int_equal(create(s->db, (struct account_spec){.email = "anna@example.com", .password_hash = "!"}),
                     0);
    assert_int_equal(create(s->db, (struct account_spec){.email = "ANNA@example.com", .password_hash = "!"}),
                     -EEXIST);
    assert_int_equal(
        create(s->db, (struct account_spec){.email = "b@b.co", .password_hash = "!", .role = "King"}),
        -ENOENT);
    assert_int_equal(
        create(s->db,
               (struct account_spec){.email = "b@b.co", .password_hash = "!", .onboarding = "NOWHERE"}),
        -EDOM);
    assert_int_equal(store_exec(s->db, "ALTER TABLE workspace_users RENAME TO away"), 0);
    assert_true(create(s->db, (struct account_spec){.email = "b@b.co", .password_hash = "!"}) < 0);
    assert_int_equal(store_exec(s->db, "ALTER TABLE away RENAME TO workspace_users"), 0);
    static const char *const tables[] = {"directus_users", "users", "user_personas", "workspaces",
                                         "workspace_users"};
    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        assert_int_equal(count(s->db, tables[i]), 1);
}

/* These e-mails become one user name and one slug. */
static void names_are_made_unique(void **state)
{
    struct store *s = *state;
    static const char *const emails_[] = {"a+b@c.co", "a#b@c.co", "a!b@c.co", "a*b@c.co"};
    for (size_t i = 0; i < ARRAY_LEN(emails_); i++)
        assert_int_equal(create(s->db, (struct account_spec){.email = emails_[i], .password_hash = "!"}), 0);
    assert_int_equal(
        store_int(s->db, "SELECT count(DISTINCT username) FROM users WHERE username LIKE 'a-b@c.co%'"), 4);
    assert_int_equal(
        store_int(s->db, "SELECT count(DISTINCT slug) FROM workspaces WHERE slug LIKE 'a-b-c-co%'"), 4);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM users WHERE username = 'a-b@c.co'"), 1);
}

static void role_of_an_admin(void **state)
{
    struct store *s = *state;
    struct account admin = person(s->db, "admin@example.com", "Administrator");
    char sql[128];
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM users WHERE role = 'admin' AND id = %lld",
                   (long long)admin.anythingllm_user_id);
    assert_int_equal(store_int(s->db, sql), 1);
}

static void role_with_policies_goes_first(void **state)
{
    struct store *s = *state;
    run_sql(s->db, "INSERT INTO directus_roles (id, name) VALUES"
                   " ('00000000-0000-4000-8000-000000000001', 'Creator')");
    (void)person(s->db, "anna@example.com", "Creator");
    assert_int_equal(count(s->db, "directus_users WHERE role = '00000000-0000-4000-8000-000000000001'"), 0);
    run_sql(s->db, "UPDATE directus_roles SET name = 'Owners' WHERE name = 'Administrator'");
    (void)person(s->db, "bert@example.com", "Administrator");
    assert_int_equal(count(s->db, "users WHERE role = 'admin'"), 1);
}

/* ---- adopting */

#define ADA "00000000-0000-4000-8000-0000000000a1"

struct adopt_arg {
    const char *user_id;
    struct account account;
    unsigned made;
};

static int adopt_unit(struct db_conn *c, void *arg)
{
    struct adopt_arg *a = arg;
    return account_adopt(c, a->user_id, "COMPLETE", &a->account, &a->made);
}

static unsigned adopt(struct store *s, const char *user_id, int64_t *ret_native)
{
    struct adopt_arg a = {.user_id = user_id};
    assert_int_equal(db_write(s->db, adopt_unit, &a), 0);
    *ret_native = a.account.anythingllm_user_id;
    return a.made;
}

static int count_visit(void *ctx, const char *user_id, const char *email)
{
    (void)user_id, (void)email;
    return ++*(int *)ctx < 2 ? 0 : -E2BIG;
}

static int unadopted_unit(struct db_conn *c, void *arg)
{
    return account_each_unadopted(c, count_visit, arg);
}

static void missing_halves_are_made(void **state)
{
    struct store *s = *state;
    int64_t native, again;
    int seen = 0;
    (void)person(s->db, "whole@example.com", "Creator");
    run_sql(s->db, "INSERT INTO directus_users (id, email) VALUES ('" ADA "', 'Ada@example.com')");
    assert_int_equal(db_read(s->db, unadopted_unit, &seen), 0);
    assert_int_equal(seen, 1);
    assert_int_equal(adopt(s, ADA, &native), ACCOUNT_NATIVE_USER | ACCOUNT_PERSONA | ACCOUNT_WORKSPACE);
    assert_int_equal(adopt(s, ADA, &again), 0);
    assert_int_equal(native, again);
    run_sql(s->db, "DELETE FROM workspaces WHERE slug = 'ada-example-com'");
    assert_int_equal(adopt(s, ADA, &again), ACCOUNT_WORKSPACE);
    assert_int_equal(native, again);
    run_sql(s->db, "DELETE FROM user_personas WHERE user_id = '" ADA "'");
    assert_int_equal(adopt(s, ADA, &again), ACCOUNT_PERSONA);
    run_sql(s->db, "DELETE FROM users WHERE username = 'ada@example.com'");
    assert_int_equal(adopt(s, ADA, &again), ACCOUNT_NATIVE_USER | ACCOUNT_WORKSPACE);
    assert_int_equal(
        store_int(s->db,
                  "SELECT count(*) FROM directus_users u JOIN users n ON n.id = u.anythingllm_user_id"
                  " JOIN workspace_users w ON w.user_id = n.id JOIN user_personas p ON p.user_id = u.id"
                  " WHERE u.email = 'Ada@example.com' AND n.role = 'default'"
                  " AND p.onboarding_state = 'COMPLETE' AND u.subscription_start IS NOT NULL"),
        1);
    seen = 0;
    assert_int_equal(db_read(s->db, unadopted_unit, &seen), 0);
    assert_int_equal(seen, 0);
}

static void who_cannot_be_adopted(void **state)
{
    struct store *s = *state;
    int seen = 0;
    struct adopt_arg nobody = {.user_id = "00000000-0000-4000-8000-000000000009"};
    assert_int_equal(db_write(s->db, adopt_unit, &nobody), -ENOENT);
    for (int i = 1; i <= 3; i++)
        run_sql(s->db,
                "INSERT INTO directus_users (id, status) VALUES"
                " ('00000000-0000-4000-8000-0000000000b%d', '%s')",
                i, i == 3 ? "suspended" : "active");
    assert_int_equal(db_read(s->db, unadopted_unit, &seen), -E2BIG);
    int64_t native;
    assert_int_not_equal(adopt(s, "00000000-0000-4000-8000-0000000000b1", &native), 0);
    seen = 0;
    assert_int_equal(db_read(s->db, unadopted_unit, &seen), 0);
    assert_int_equal(seen, 1);
}

struct crowd {
    struct db *db;
    pthread_barrier_t *start;
    char email[64];
    int result;
};

static void *crowd_member(void *arg)
{
    struct crowd *c = arg;
    (void)pthread_barrier_wait(c->start);
    c->result = create(c->db, (struct account_spec){.email = c->email, .password_hash = "!"});
    return NULL;
}

/* All at once; fmt makes each one's e-mail from its number. Returns how many got an account. */
static int create_at_once(struct db *db, const char *emails_, int step)
{
    struct crowd crowd[CROWD];
    pthread_t threads[CROWD];
    pthread_barrier_t start;
    int made = 0;
    pthread_barrier_init(&start, NULL, CROWD);
    for (int i = 0; i < CROWD; i++) {
        crowd[i] = (struct crowd){.db = db, .start = &start};
        (void)snprintf(crowd[i].email, sizeof crowd[i].email, "%c%s", emails_[i * step], "@crowd.example");
        assert_int_equal(pthread_create(&threads[i], NULL, crowd_member, &crowd[i]), 0);
    }
    for (int i = 0; i < CROWD; i++) {
        pthread_join(threads[i], NULL);
        assert_true(crowd[i].result == 0 || crowd[i].result == -EEXIST);
        made += crowd[i].result == 0;
    }
    pthread_barrier_destroy(&start);
    return made;
}

static void crowd_wants_one_email(void **state)
{
    struct store *s = *state;
    assert_int_equal(create_at_once(s->db, "a", 0), 1);
    assert_int_equal(count(s->db, "directus_users"), 1);
    assert_int_equal(count(s->db, "users"), 1);
    assert_int_equal(count(s->db, "workspaces"), 1);
}

static void crowd_wants_one_name(void **state)
{
    struct store *s = *state;
    assert_int_equal(create_at_once(s->db, "!#$%&'*+/=?^`{|}", 1), CROWD); /* each becomes u-@crowd.example */
    assert_int_equal(store_int(s->db, "SELECT count(DISTINCT username) FROM users"), CROWD);
    assert_int_equal(store_int(s->db, "SELECT count(DISTINCT slug) FROM workspaces"), CROWD);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM users WHERE username LIKE 'u-@crowd.example%'"),
                     CROWD);
}

struct find_arg {
    struct arena arena;
    const char *email;
    struct account_info info;
};

static int find_unit(struct db_conn *c, void *arg)
{
    struct find_arg *f = arg;
    return account_find(c, f->email, &f->arena, &f->info);
}

static void is_found(void **state)
{
    struct store *s = *state;
    struct account anna = person(s->db, "anna@example.com", NULL);
    struct find_arg f = {.email = "Anna@Example.com"};
    arena_init(&f.arena, 16384);
    assert_int_equal(db_read(s->db, find_unit, &f), 0);
    assert_string_equal(f.info.user_id, anna.user_id);
    assert_string_equal(f.info.role, "Creator");
    assert_string_equal(f.info.status, "active");
    assert_string_equal(f.info.onboarding, "COMPLETE");
    assert_string_equal(f.info.workspace, "anna-example-com");
    assert_int_equal(f.info.anythingllm_user_id, anna.anythingllm_user_id);
    f.email = "bert@example.com";
    assert_int_equal(db_read(s->db, find_unit, &f), -ENOENT);
    arena_free(&f.arena);
}

static void collect(void *ctx, const struct account_info *account)
{
    char *all = ctx;
    strcat(all, account->email);
    strcat(all, " ");
}

static int each_unit(struct db_conn *c, void *arg)
{
    return account_each(c, collect, arg);
}

static void are_listed(void **state)
{
    struct store *s = *state;
    char all[256] = "";
    (void)person(s->db, "b@example.com", NULL);
    (void)person(s->db, "a@example.com", "Viewer");
    assert_int_equal(db_read(s->db, each_unit, all), 0);
    assert_string_equal(all, "a@example.com b@example.com ");
}

struct change_arg {
    const char *user_id;
    int suspended; /* -1: set a password */
};

static int change_unit(struct db_conn *c, void *arg)
{
    struct change_arg *ch = arg;
    if (ch->suspended < 0)
        return account_set_password(c, ch->user_id, "$argon2id$new");
    return account_set_suspended(c, ch->user_id, ch->suspended != 0);
}

static int change(struct db *db, const char *user_id, int suspended)
{
    return db_write(db, change_unit, &(struct change_arg){user_id, suspended});
}

static void changes_end_sessions(void **state)
{
    struct store *s = *state;
    struct account anna = person(s->db, "anna@example.com", NULL),
                   bert = person(s->db, "bert@example.com", NULL);
    for (int suspended = -1; suspended <= 1; suspended += 2) {
        run_sql(s->db,
                "INSERT INTO directus_sessions (token, \"user\", expires) VALUES ('a', '%s', '2999-01-01'), "
                "('b', '%s',"
                " '2999-01-01')",
                anna.user_id, bert.user_id);
        assert_int_equal(change(s->db, anna.user_id, suspended), 0);
        assert_int_equal(count(s->db, "directus_sessions WHERE token = 'a'"), 0);
        assert_int_equal(count(s->db, "directus_sessions WHERE token = 'b'"), 1);
        assert_int_equal(store_exec(s->db, "DELETE FROM directus_sessions"), 0);
    }
    assert_int_equal(count(s->db, "directus_users WHERE password = '$argon2id$new'"), 1);
    assert_int_equal(count(s->db, "directus_users WHERE status = 'suspended'"), 1);
    assert_int_equal(count(s->db, "users WHERE suspended = 1"), 1);
    assert_int_equal(change(s->db, anna.user_id, 0), 0);
    assert_int_equal(count(s->db, "directus_users WHERE status = 'active'"), 2);
    assert_int_equal(count(s->db, "users WHERE suspended = 1"), 0);
    for (int suspended = -1; suspended <= 1; suspended++)
        assert_int_equal(change(s->db, "00000000-0000-4000-8000-000000000000", suspended), -ENOENT);
}

#define STORE_TEST(fn) cmocka_unit_test_setup_teardown(fn, people_set_up, store_tear_down)

int main(void)
{
    log_configure(LOG_ERROR + 1, false); /* one test breaks the store on purpose */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(emails),
        cmocka_unit_test(usernames),
        STORE_TEST(whole_account),
        STORE_TEST(account_for_a_user_that_is_there),
        STORE_TEST(nothing_is_left_of_a_failure),
        STORE_TEST(names_are_made_unique),
        STORE_TEST(role_of_an_admin),
        STORE_TEST(role_with_policies_goes_first),
        STORE_TEST(missing_halves_are_made),
        STORE_TEST(who_cannot_be_adopted),
        STORE_TEST(crowd_wants_one_email),
        STORE_TEST(crowd_wants_one_name),
        STORE_TEST(is_found),
        STORE_TEST(are_listed),
        STORE_TEST(changes_end_sessions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
