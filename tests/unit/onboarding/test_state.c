/* SPDX-License-Identifier: MIT */
#include "../auth/people.h"

#include "onboarding/state.h"

#include <pthread.h>

#define CROWD 8

static int change_unit(struct db_conn *c, void *arg)
{
    return onboarding_change(c, arg);
}

static int change(struct db *db, const char *user_id, enum onboarding_state to, bool any)
{
    return db_write(db, change_unit, &(struct onboarding_change){.user_id = user_id, .to = to, .any = any});
}

struct reading {
    const char *user_id;
    enum onboarding_state state;
    int found, has_job;
};

static int read_unit(struct db_conn *c, void *arg)
{
    struct reading *r = arg;
    r->found = onboarding_read(c, r->user_id, &r->state, NULL);
    r->has_job = r->found < 0 ? r->found : onboarding_has_job(c, r->user_id);
    return r->has_job < 0 ? r->has_job : 0;
}

static struct reading look(struct db *db, const char *user_id)
{
    struct reading r = {.user_id = user_id};
    assert_int_equal(db_read(db, read_unit, &r), 0);
    return r;
}

static void names(void **state)
{
    (void)state;
    enum onboarding_state found;
    for (int i = ONBOARDING_EXTENSION; i <= ONBOARDING_COMPLETE; i++) {
        assert_int_equal(onboarding_state_find(onboarding_state_name(i), &found), 0);
        assert_int_equal(found, i);
    }
    assert_int_equal(onboarding_state_find("complete", &found), -EINVAL);
    assert_int_equal(onboarding_state_find(NULL, &found), -EINVAL);
}

static void steps_of_a_creator(void **state)
{
    struct store *s = *state;
    struct account a = person(s->db, "a@b.co", NULL);
    for (int from = ONBOARDING_EXTENSION; from <= ONBOARDING_COMPLETE; from++)
        for (int to = ONBOARDING_EXTENSION; to <= ONBOARDING_COMPLETE; to++) {
            run_sql(s->db, "UPDATE user_personas SET onboarding_state = '%s'", onboarding_state_name(from));
            bool may = to == from || to == from + 1;
            assert_int_equal(change(s->db, a.user_id, to, false), may ? 0 : -EPERM);
            assert_int_equal(look(s->db, a.user_id).state, may ? to : from);
            assert_int_equal(change(s->db, a.user_id, to, true), 0);
            assert_int_equal(look(s->db, a.user_id).state, to);
        }
}

static void a_missing_persona_is_made(void **state)
{
    struct store *s = *state;
    struct account a = person(s->db, "a@b.co", NULL);
    run_sql(s->db, "DELETE FROM user_personas");
    assert_int_equal(look(s->db, a.user_id).found, 0);
    assert_int_equal(look(s->db, a.user_id).state, ONBOARDING_EXTENSION);
    assert_int_equal(change(s->db, a.user_id, ONBOARDING_PROCESSING, false), -EPERM);
    assert_int_equal(look(s->db, a.user_id).found, 0);
    assert_int_equal(change(s->db, a.user_id, ONBOARDING_DATA, false), 0);
    assert_int_equal(look(s->db, a.user_id).state, ONBOARDING_DATA);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM user_personas"), 1);
    assert_int_equal(change(s->db, "8c7d7f0e-0000-4000-8000-000000000000", ONBOARDING_DATA, true), -ENOENT);
}

static void add_job(struct db *db, const char *id, const char *user_id, const char *state)
{
    run_sql(db,
            "INSERT INTO queue_jobs (id, queue, operation, user_id, state) VALUES"
            " ('%s', 'onboarding-jobs', 'process_export', '%s', '%s')",
            id, user_id, state);
}

static void setting_back_withdraws_jobs(void **state)
{
    struct store *s = *state;
    struct account a = person(s->db, "a@b.co", NULL), b = person(s->db, "b@b.co", NULL);
    static const char *const states[] = {"waiting", "prioritized", "delayed", "active"};
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "job%zu", i);
        add_job(s->db, id, a.user_id, states[i]);
        assert_int_equal(look(s->db, a.user_id).has_job, 1);
        assert_int_equal(change(s->db, a.user_id, ONBOARDING_PROCESSING, true), 0);
        assert_int_equal(look(s->db, a.user_id).has_job, 1);
        assert_int_equal(change(s->db, a.user_id, ONBOARDING_DATA, true), 0);
        assert_int_equal(look(s->db, a.user_id).has_job, 0);
    }
    add_job(s->db, "done", a.user_id, "completed");
    add_job(s->db, "other", b.user_id, "waiting");
    assert_int_equal(change(s->db, a.user_id, ONBOARDING_EXTENSION, true), 0);
    assert_int_equal(store_int(s->db,
                               "SELECT count(*) FROM queue_jobs WHERE state = 'failed' AND error IS NOT "
                               "NULL AND finished_at IS NOT NULL"),
                     4);
    assert_int_equal(look(s->db, b.user_id).has_job, 1);
}

struct walker {
    struct db *db;
    const char *user_id;
    int moved;
};

/* A step that is refused when somebody else was faster: only a step from the state below counts. */
static int step_unit(struct db_conn *c, void *arg)
{
    struct walker *w = arg;
    enum onboarding_state state;
    struct onboarding_change change = {.user_id = w->user_id};
    int r = onboarding_read(c, w->user_id, &state, NULL);
    if (r < 0 || state == ONBOARDING_COMPLETE)
        return r < 0 ? r : -EPERM;
    change.to = state + 1;
    return onboarding_change(c, &change);
}

static void *walk(void *arg)
{
    struct walker *w = arg;
    int r;
    while ((r = db_write(w->db, step_unit, w)) == 0)
        w->moved++;
    assert_int_equal(r, -EPERM);
    return NULL;
}

static void a_crowd_takes_each_step_once(void **state)
{
    struct store *s = *state;
    struct account a = person(s->db, "a@b.co", NULL);
    struct walker crowd[CROWD];
    pthread_t threads[CROWD];
    int moved = 0;
    run_sql(s->db, "DELETE FROM user_personas");
    for (int i = 0; i < CROWD; i++) {
        crowd[i] = (struct walker){s->db, a.user_id, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, walk, &crowd[i]), 0);
    }
    for (int i = 0; i < CROWD; i++) {
        (void)pthread_join(threads[i], NULL);
        moved += crowd[i].moved;
    }
    assert_int_equal(moved, ONBOARDING_COMPLETE);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM user_personas"), 1);
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, people_set_up, store_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        STORE_TEST(steps_of_a_creator),
        STORE_TEST(a_missing_persona_is_made),
        STORE_TEST(setting_back_withdraws_jobs),
        STORE_TEST(a_crowd_takes_each_step_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
