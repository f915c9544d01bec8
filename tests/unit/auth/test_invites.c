/* SPDX-License-Identifier: MIT */
#include "people.h"

#include "auth/invites.h"

#include <pthread.h>

#define CROWD 8
#define WEEK_MS (INT64_C(7) * 24 * 3600 * 1000)

struct making {
    int64_t lifetime_ms;
    char code[INVITE_CODE_LEN + 1];
};

static int create_unit(struct db_conn *c, void *arg)
{
    struct making *m = arg;
    return invite_create(c, m->lifetime_ms, m->code);
}

static struct making make(struct db *db, int64_t lifetime_ms)
{
    struct making m = {.lifetime_ms = lifetime_ms};
    assert_int_equal(db_write(db, create_unit, &m), 0);
    return m;
}

static int is_good_unit(struct db_conn *c, void *arg)
{
    return invite_is_good(c, arg);
}

static int claim_unit(struct db_conn *c, void *arg)
{
    int r = invite_claim(c, arg);
    return r > 0 ? invite_claimed_by(c, arg, 1) : r < 0 ? r : -ENOENT;
}

static int revoke_unit(struct db_conn *c, void *arg)
{
    return invite_revoke(c, arg);
}

static void codes_have_the_form(void **state)
{
    struct store *s = *state;
    struct making a = make(s->db, WEEK_MS), b = make(s->db, WEEK_MS);
    assert_string_not_equal(a.code, b.code);
    assert_int_equal(strlen(a.code), 31);
    for (size_t i = 0; i < 31; i++)
        if (i % 8 == 7)
            assert_int_equal(a.code[i], '-');
        else
            assert_non_null(strchr("0123456789ABCDEFGHJKMNPQRSTVWXYZ", a.code[i]));
}

static void a_code_is_good_once(void **state)
{
    struct store *s = *state;
    struct making m = make(s->db, WEEK_MS);
    assert_int_equal(db_read(s->db, is_good_unit, m.code), 1);
    assert_int_equal(db_write(s->db, claim_unit, m.code), 0);
    assert_int_equal(db_read(s->db, is_good_unit, m.code), 0);
    assert_int_equal(db_write(s->db, claim_unit, m.code), -ENOENT);
    assert_int_equal(db_write(s->db, revoke_unit, m.code), -EEXIST);
    assert_int_equal(store_int(s->db, "SELECT \"claimedBy\" FROM invites"), 1);
}

static void what_is_not_good(void **state)
{
    struct store *s = *state;
    struct making expired = make(s->db, WEEK_MS), withdrawn = make(s->db, 0);
    run_sql(s->db, "UPDATE invites SET expires_at = '2020-01-01T00:00:00.000Z' WHERE code = '%s'",
            expired.code);
    assert_int_equal(db_read(s->db, is_good_unit, withdrawn.code), 1);
    assert_int_equal(db_write(s->db, revoke_unit, withdrawn.code), 0);
    assert_int_equal(db_write(s->db, revoke_unit, withdrawn.code), 0);
    char unknown[] = "0000000-0000000-0000000-0000000", empty[] = "";
    char *const bad[] = {expired.code, withdrawn.code, unknown, empty};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(db_read(s->db, is_good_unit, bad[i]), 0);
        assert_int_equal(db_write(s->db, claim_unit, bad[i]), -ENOENT);
    }
    assert_int_equal(db_write(s->db, revoke_unit, unknown), -ENOENT);
}

static void made_by_the_oldest_admin(void **state)
{
    struct store *s = *state;
    struct making m = make(s->db, 0);
    assert_int_equal(store_int(s->db, "SELECT max(\"createdBy\") FROM invites"), 0);
    struct account creator = person(s->db, "c@b.co", NULL), admin = person(s->db, "a@b.co", "Administrator");
    (void)person(s->db, "z@b.co", "Administrator");
    assert_true(creator.anythingllm_user_id != admin.anythingllm_user_id);
    m = make(s->db, 0);
    (void)m;
    assert_int_equal(store_int(s->db, "SELECT max(\"createdBy\") FROM invites"), admin.anythingllm_user_id);
}

struct seen {
    int n;
    char statuses[256], claimed_by[64];
};

static void see(void *ctx, const struct invite_info *i)
{
    struct seen *s = ctx;
    size_t len = strlen(s->statuses);
    s->n++;
    (void)snprintf(s->statuses + len, sizeof s->statuses - len, "%s ", i->status);
    if (i->claimed_by)
        (void)snprintf(s->claimed_by, sizeof s->claimed_by, "%s", i->claimed_by);
}

static int each_unit(struct db_conn *c, void *arg)
{
    return invite_each(c, see, arg);
}

static void are_listed(void **state)
{
    struct store *s = *state;
    struct account a = person(s->db, "a@b.co", NULL);
    struct making used = make(s->db, WEEK_MS), withdrawn = make(s->db, WEEK_MS), expired = make(s->db, 1);
    (void)make(s->db, 0);
    assert_int_equal(db_write(s->db, claim_unit, used.code), 0);
    run_sql(s->db, "UPDATE invites SET \"claimedBy\" = %lld WHERE code = '%s'",
            (long long)a.anythingllm_user_id, used.code);
    assert_int_equal(db_write(s->db, revoke_unit, withdrawn.code), 0);
    run_sql(s->db, "UPDATE invites SET expires_at = '2020-01-01T00:00:00.000Z' WHERE code = '%s'",
            expired.code);
    struct seen seen = {0};
    assert_int_equal(db_read(s->db, each_unit, &seen), 0);
    assert_int_equal(seen.n, 4);
    assert_string_equal(seen.statuses, "pending expired disabled claimed ");
    assert_string_equal(seen.claimed_by, "a@b.co");
}

struct claimer {
    struct db *db;
    char *code;
    int result;
};

static void *claim(void *arg)
{
    struct claimer *k = arg;
    k->result = db_write(k->db, claim_unit, k->code);
    return NULL;
}

static void of_a_crowd_one_gets_it(void **state)
{
    struct store *s = *state;
    struct making m = make(s->db, WEEK_MS);
    struct claimer crowd[CROWD];
    pthread_t threads[CROWD];
    int got = 0;
    for (int i = 0; i < CROWD; i++) {
        crowd[i] = (struct claimer){s->db, m.code, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, claim, &crowd[i]), 0);
    }
    for (int i = 0; i < CROWD; i++) {
        (void)pthread_join(threads[i], NULL);
        assert_true(crowd[i].result == 0 || crowd[i].result == -ENOENT);
        got += crowd[i].result == 0;
    }
    assert_int_equal(got, 1);
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, people_set_up, store_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(codes_have_the_form), STORE_TEST(a_code_is_good_once),
        STORE_TEST(what_is_not_good),    STORE_TEST(made_by_the_oldest_admin),
        STORE_TEST(are_listed),          STORE_TEST(of_a_crowd_one_gets_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
