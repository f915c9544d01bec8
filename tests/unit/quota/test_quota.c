/* SPDX-License-Identifier: MIT */
/* The engine on a real store: who passes, what is counted where, and what comes back. */
#include "../auth/people.h"

#include "quota/quota.h"

#include <stdatomic.h>

#define MARCH INT64_C(1773360000000) /* 2026-03-13T00:00:00Z */
#define DAY INT64_C(86400000)
#define HOUR INT64_C(3600000)

struct world {
    struct store *store;
    struct db *db;
    struct config cfg;
    struct quota *q;
    char user[UUID_SIZE];
};

static int world_make(void **state, const char *tiers_file)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    log_configure(LOG_ERROR, true);
    assert_int_equal(people_set_up((void **)&w->store), 0);
    w->db = w->store->db;
    w->cfg = (struct config){.tiers_file = tiers_file};
    assert_int_equal(quota_open(&w->cfg, w->db, &w->q), 0);
    memcpy(w->user, person(w->db, "anna@example.com", "Creator").user_id, UUID_SIZE);
    run_sql(w->db, "UPDATE directus_users SET subscription_start = '2026-01-10T09:00:00.000Z'");
    *state = w;
    return 0;
}

static int set_up(void **state)
{
    return world_make(state, TIERS_DEFAULT_PATH);
}

static int set_up_with_messages(void **state)
{
    return world_make(state, "tests/fuzz/corpus/tiers/chat");
}

static int tear_down(void **state)
{
    struct world *w = *state;
    void *store = w->store;
    quota_close(w->q);
    free(w);
    return store_tear_down(&store);
}

static struct quota_ask ask(struct world *w, enum feature feature, int64_t amount)
{
    return (struct quota_ask){.user_id = w->user, .feature = feature, .amount = amount, .now_ms = MARCH};
}

struct taking {
    struct quota *q;
    const struct quota_ask *ask;
    struct quota_outcome *out;
};

static int take_unit(struct db_conn *c, void *arg)
{
    struct taking *t = arg;
    return quota_take_in(t->q, c, t->ask, t->out);
}

/* In a unit of its own; what fails is a refusal, but for mistakes of the caller. */
static int take_asked(struct world *w, const struct quota_ask *a, struct quota_outcome *out)
{
    int r = db_write(w->db, take_unit, &(struct taking){w->q, a, out});
    if (r < 0)
        quota_fail(w->q, a->feature, out);
    quota_forget(w->q, a->user_id);
    return r == -ENOENT || r == -EINVAL ? r : 0;
}

static struct quota_outcome take(struct world *w, enum feature feature, int64_t amount)
{
    struct quota_ask a = ask(w, feature, amount);
    struct quota_outcome out;
    assert_int_equal(take_asked(w, &a, &out), 0);
    return out;
}

static int64_t counted(struct world *w)
{
    return store_int(w->db, "SELECT coalesce(sum(count), 0) FROM user_usage_counts");
}

static void set_tier(struct world *w, const char *tier)
{
    run_sql(w->db, "UPDATE directus_users SET subscription_tier = %s", tier);
}

#define assert_outcome(out, reason_, limit_, used_, remaining_) \
    do { \
        struct quota_outcome o_ = (out); \
        assert_int_equal(o_.reason, reason_); \
        assert_int_equal(o_.allowed, (reason_) == QUOTA_ALLOWED); \
        assert_int_equal(o_.limit, limit_); \
        assert_int_equal(o_.used, used_); \
        assert_int_equal(o_.remaining, remaining_); \
    } while (0)

/* ---- taking */

static void units_are_counted_up_to_the_limit(void **state)
{
    struct world *w = *state;
    assert_outcome(take(w, FEATURE_CAPTIONS, 1), QUOTA_ALLOWED, 3, 1, 2);
    assert_outcome(take(w, FEATURE_CAPTIONS, 2), QUOTA_ALLOWED, 3, 3, 0);
    struct quota_outcome out = take(w, FEATURE_CAPTIONS, 1);
    assert_outcome(out, QUOTA_LIMIT_REACHED, 3, 3, 0);
    assert_string_equal(out.label, "caption generation");
    assert_int_equal(out.resets_ms, MARCH + 28 * DAY); /* April 10 */
    assert_outcome(take(w, FEATURE_TAXONOMY, 1), QUOTA_ALLOWED, 10, 1, 9);
    assert_int_equal(counted(w), 4);
}

static void what_would_pass_the_limit_counts_nothing(void **state)
{
    struct world *w = *state;
    assert_outcome(take(w, FEATURE_CAPTIONS, 4), QUOTA_LIMIT_REACHED, 3, 0, 3);
    assert_outcome(take(w, FEATURE_CAPTIONS, 1), QUOTA_ALLOWED, 3, 1, 2);
    assert_outcome(take(w, FEATURE_CAPTIONS, 3), QUOTA_LIMIT_REACHED, 3, 1, 2);
    assert_outcome(take(w, FEATURE_CAPTIONS, 1000000000), QUOTA_LIMIT_REACHED, 3, 1, 2);
    assert_int_equal(counted(w), 1);
}

static void unlimited_still_counts(void **state)
{
    struct world *w = *state;
    set_tier(w, "'elite'");
    assert_outcome(take(w, FEATURE_CAPTIONS, 1000), QUOTA_ALLOWED, -1, 1000, -1);
    assert_outcome(take(w, FEATURE_CAPTIONS, 1), QUOTA_ALLOWED, -1, 1001, -1);
    set_tier(w, "'pro'");
    assert_outcome(take(w, FEATURE_CAPTIONS, 1), QUOTA_LIMIT_REACHED, 200, 1001, 0);
}

static void a_changed_tier_counts_at_once(void **state)
{
    struct world *w = *state;
    (void)take(w, FEATURE_CAPTIONS, 3);
    set_tier(w, "'creator'");
    assert_outcome(take(w, FEATURE_CAPTIONS, 1), QUOTA_ALLOWED, 50, 4, 46);
    set_tier(w, "NULL");
    assert_outcome(take(w, FEATURE_CAPTIONS, 1), QUOTA_LIMIT_REACHED, 3, 4, 0);
    set_tier(w, "'no such plan'");
    assert_outcome(take(w, FEATURE_CAPTIONS, 1), QUOTA_LIMIT_REACHED, 3, 4, 0);
}

static void administrators_count_like_anybody(void **state)
{
    struct world *w = *state;
    memcpy(w->user, person(w->db, "admin@example.com", "Administrator").user_id, UUID_SIZE);
    (void)take(w, FEATURE_CAPTIONS, 3);
    assert_outcome(take(w, FEATURE_CAPTIONS, 1), QUOTA_LIMIT_REACHED, 3, 3, 0);
}

static void each_cycle_has_its_own_count(void **state)
{
    struct world *w = *state;
    struct quota_ask a = ask(w, FEATURE_CAPTIONS, 3);
    struct quota_outcome out;
    assert_true(take(w, FEATURE_CAPTIONS, 3).allowed);
    a.now_ms = MARCH + 28 * DAY - 1; /* the last moment of the cycle */
    assert_int_equal(take_asked(w, &a, &out), 0);
    assert_false(out.allowed);
    a.now_ms++;
    assert_int_equal(take_asked(w, &a, &out), 0);
    assert_true(out.allowed);
    run_sql(w->db, "UPDATE directus_users SET subscription_period = 'yearly'");
    assert_outcome(take(w, FEATURE_CAPTIONS, 1), QUOTA_ALLOWED, 3, 1, 2); /* since January 10 */
    assert_int_equal(store_int(w->db, "SELECT count(*) FROM user_usage_counts"), 3);
}

static void mistakes_are_told_apart_from_refusals(void **state)
{
    struct world *w = *state;
    struct quota_outcome out;
    struct quota_ask nobody = ask(w, FEATURE_CAPTIONS, 1), level = ask(w, FEATURE_SCHEDULED_POSTS, 1),
                     none = ask(w, FEATURE_CAPTIONS, 0);
    nobody.user_id = "00000000-0000-4000-8000-000000000000";
    assert_int_equal(take_asked(w, &nobody, &out), -ENOENT);
    assert_false(out.allowed);
    assert_int_equal(take_asked(w, &level, &out), -EINVAL);
    assert_int_equal(take_asked(w, &none, &out), -EINVAL);
    assert_int_equal(counted(w), 0);
}

static void what_is_free_is_allowed_and_not_counted(void **state)
{
    struct world *w = *state;
    assert_outcome(take(w, FEATURE_FREE, 5), QUOTA_ALLOWED, -1, 0, -1);
    assert_outcome(take(w, FEATURE_CHAT, 5), QUOTA_ALLOWED, -1, 0, -1);
    assert_int_equal(counted(w), 0);
}

static void messages_are_counted_where_the_tier_names_them(void **state)
{
    struct world *w = *state;
    assert_true(quota_counts(w->q, FEATURE_CHAT));
    assert_outcome(take(w, FEATURE_CHAT, 20), QUOTA_ALLOWED, 20, 20, 0);
    assert_outcome(take(w, FEATURE_CHAT, 1), QUOTA_LIMIT_REACHED, 20, 20, 0);
    set_tier(w, "'gold'"); /* pro, which doesn't */
    assert_outcome(take(w, FEATURE_CHAT, 1), QUOTA_ALLOWED, -1, 0, -1);
    assert_int_equal(counted(w), 20);
}

static void failures_refuse(void **state)
{
    struct world *w = *state;
    struct quota_outcome out;
    run_sql(w->db, "ALTER TABLE user_usage_counts RENAME TO gone");
    log_configure(LOG_ERROR + 1, true); /* the store says what is wrong */
    assert_outcome(take(w, FEATURE_CAPTIONS, 1), QUOTA_CHECK_FAILED, -1, 0, 0);
    quota_can_perform(w->q, w->user, "post_creations", &out);
    assert_outcome(out, QUOTA_CHECK_FAILED, -1, 0, 0);
    run_sql(w->db, "ALTER TABLE gone RENAME TO user_usage_counts");
    assert_outcome(take(w, FEATURE_CAPTIONS, 1), QUOTA_ALLOWED, 3, 1, 2);
    if (!store_is_postgres()) { /* there the column's type refuses it */
        run_sql(w->db, "UPDATE directus_users SET subscription_start = 'soon'");
        assert_outcome(take(w, FEATURE_CAPTIONS, 1), QUOTA_CHECK_FAILED, -1, 0, 0);
    }
    assert_int_equal(counted(w), 1);
}

static void asking_counts_nothing(void **state)
{
    struct world *w = *state;
    struct quota_outcome out;
    quota_can_perform(w->q, w->user, "apply_watermark", &out);
    assert_outcome(out, QUOTA_ALLOWED, 5, 0, 5);
    quota_can_perform(w->q, w->user, "ytdlp_info", &out);
    assert_outcome(out, QUOTA_ALLOWED, -1, 0, -1);
    quota_can_perform(w->q, w->user, "scheduled_queue_size", &out);
    assert_outcome(out, QUOTA_ALLOWED, 3, 0, 3);
    quota_can_perform(w->q, w->user, "make_coffee", &out);
    assert_int_equal(out.reason, QUOTA_CHECK_FAILED);
    quota_can_perform(w->q, "00000000-0000-4000-8000-000000000000", "post_creations", &out);
    assert_int_equal(out.reason, QUOTA_CHECK_FAILED);
    assert_int_equal(counted(w), 0);
}

/* ---- many at once */

#define THREADS 8
#define EACH 8
#define ROUNDS 12

struct crowd {
    struct world *w;
    atomic_int passed;
    int kind;
    char hold[UUID_SIZE];
};

static int add_post(struct db_conn *c, void *arg)
{
    struct crowd *crowd = arg;
    char id[UUID_SIZE];
    struct quota_outcome out;
    struct quota_ask a = ask(crowd->w, FEATURE_SCHEDULED_POSTS, 1);
    int r = quota_level_in(crowd->w->q, c, &a, &out);
    if (r < 0 || !out.allowed)
        return r < 0 ? r : 0;
    uuid_make(id);
    r = db_exec(c,
                "INSERT INTO scheduled_posts (id, user_id, platform, status, scheduled_time)"
                " VALUES (?1, ?2, 'x', 'scheduled', '2027-01-01T00:00:00.000Z')",
                DB_ARGS(DB_TEXT(id), DB_TEXT(crowd->w->user)), NULL);
    return r < 0 ? r : 1;
}

static void *push(void *arg)
{
    struct crowd *crowd = arg;
    struct quota_outcome out;
    for (int i = 0; i < EACH; i++) {
        char id[UUID_SIZE];
        struct quota_ask a = ask(crowd->w, FEATURE_CAPTIONS, 1);
        int passed = 0;
        uuid_make(id);
        if (crowd->kind == 0)
            passed = take_asked(crowd->w, &a, &out) == 0 && out.allowed;
        else if (crowd->kind == 1)
            passed = quota_reserve(crowd->w->q, &a, id, 0, &out) == 0 && out.allowed;
        else if (crowd->kind == 2)
            passed = db_write(crowd->w->db, add_post, crowd);
        else
            passed = quota_settle(crowd->w->q, crowd->w->user, crowd->hold, QUOTA_RETURN_ALL);
        assert_true(passed >= 0);
        atomic_fetch_add(&crowd->passed, passed);
    }
    return NULL;
}

/* How many of THREADS * EACH simultaneous calls passed. */
static int crowd(struct world *w, int kind, const char *hold)
{
    struct crowd c = {.w = w, .kind = kind};
    pthread_t threads[THREADS];
    if (hold)
        (void)snprintf(c.hold, sizeof c.hold, "%s", hold);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, push, &c), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    return atomic_load(&c.passed);
}

static void of_many_at_once_as_many_pass_as_are_left(void **state)
{
    struct world *w = *state;
    for (int round = 0; round < ROUNDS; round++) {
        int left = round % 4;
        run_sql(w->db, "DELETE FROM user_usage_counts");
        if (left < 3)
            (void)take(w, FEATURE_CAPTIONS, 3 - left);
        assert_int_equal(crowd(w, round % 2, NULL), left < 3 ? left : 3);
        assert_int_equal(counted(w), 3);
    }
}

static void of_many_posts_at_once_as_many_pass_as_are_left(void **state)
{
    struct world *w = *state;
    for (int round = 0; round < ROUNDS; round++) {
        run_sql(w->db, "DELETE FROM scheduled_posts");
        if (round % 2)
            assert_int_equal(db_write(w->db, add_post, &(struct crowd){.w = w}), 1);
        assert_int_equal(crowd(w, 2, NULL), round % 2 ? 2 : 3);
        assert_int_equal(store_int(w->db, "SELECT count(*) FROM scheduled_posts"), 3);
    }
}

static void of_many_that_give_back_at_once_one_does(void **state)
{
    struct world *w = *state;
    for (int round = 0; round < 5; round++) {
        char hold[UUID_SIZE];
        struct quota_outcome out;
        struct quota_ask a = ask(w, FEATURE_CAPTIONS, 2);
        uuid_make(hold);
        assert_int_equal(quota_reserve(w->q, &a, hold, 0, &out), 0);
        assert_outcome(out, QUOTA_ALLOWED, 3, 2, 1);
        assert_int_equal(crowd(w, 3, hold), 1);
        assert_int_equal(counted(w), 0);
    }
}

/* ---- reservations */

static struct quota_outcome reserve(struct world *w, const char *hold, int64_t amount, int64_t lease_ms)
{
    struct quota_ask a = ask(w, FEATURE_MEDIA, amount);
    struct quota_outcome out;
    assert_int_equal(quota_reserve(w->q, &a, hold, lease_ms, &out), 0);
    return out;
}

static void a_reservation_is_kept_or_given_back_once(void **state)
{
    struct world *w = *state;
    assert_outcome(reserve(w, "a-1", 1, 0), QUOTA_ALLOWED, 5, 1, 4);
    assert_outcome(reserve(w, "a-2", 1, 0), QUOTA_ALLOWED, 5, 2, 3);
    assert_int_equal(quota_settle(w->q, w->user, "a-1", QUOTA_KEEP_ALL), 1);
    assert_int_equal(quota_settle(w->q, w->user, "a-1", QUOTA_RETURN_ALL), 0);
    assert_int_equal(quota_settle(w->q, w->user, "a-2", QUOTA_RETURN_ALL), 1);
    assert_int_equal(quota_settle(w->q, w->user, "a-2", QUOTA_RETURN_ALL), 0);
    assert_int_equal(quota_settle(w->q, w->user, "a-2", QUOTA_KEEP_ALL), 0);
    assert_int_equal(quota_settle(w->q, w->user, "never made", QUOTA_RETURN_ALL), 0);
    assert_int_equal(counted(w), 1);
}

static void a_part_may_be_kept(void **state)
{
    struct world *w = *state;
    assert_true(reserve(w, "five", 5, 0).allowed);
    assert_outcome(reserve(w, "more", 1, 0), QUOTA_LIMIT_REACHED, 5, 5, 0);
    assert_int_equal(quota_settle(w->q, w->user, "five", 2), 1);
    assert_int_equal(counted(w), 2);
    assert_int_equal(quota_settle(w->q, w->user, "five", QUOTA_RETURN_ALL), 0);
    assert_int_equal(store_int(w->db, "SELECT amount FROM quota_reservations WHERE status = 'kept'"), 2);
    assert_int_equal(store_int(w->db, "SELECT count(*) FROM quota_reservations"), 1);
}

static void an_id_is_used_once(void **state)
{
    struct world *w = *state;
    struct quota_ask a = ask(w, FEATURE_MEDIA, 1);
    struct quota_outcome out;
    char longest[QUOTA_HOLD_ID_MAX + 2];
    assert_true(reserve(w, "job-1", 1, 0).allowed);
    assert_int_equal(quota_reserve(w->q, &a, "job-1", 0, &out), -EEXIST);
    assert_false(out.allowed);
    memset(longest, 'x', sizeof longest);
    longest[QUOTA_HOLD_ID_MAX + 1] = '\0';
    assert_int_equal(quota_reserve(w->q, &a, longest, 0, &out), -EINVAL);
    longest[QUOTA_HOLD_ID_MAX] = '\0';
    assert_true(reserve(w, longest, 1, 0).allowed);
    assert_int_equal(quota_settle(w->q, w->user, longest, QUOTA_RETURN_ALL), 1);
    assert_int_equal(counted(w), 1);
}

static void what_isn_t_counted_makes_no_hold(void **state)
{
    struct world *w = *state;
    struct quota_ask a = ask(w, FEATURE_FREE, 1);
    struct quota_outcome out;
    assert_int_equal(quota_reserve(w->q, &a, "free-1", 0, &out), 0);
    assert_true(out.allowed);
    assert_int_equal(quota_settle(w->q, w->user, "free-1", QUOTA_RETURN_ALL), 0);
    assert_int_equal(store_int(w->db, "SELECT count(*) FROM quota_reservations"), 0);
}

static void a_unit_goes_back_to_the_cycle_it_was_taken_from(void **state)
{
    struct world *w = *state;
    struct quota_outcome out;
    struct quota_ask april = ask(w, FEATURE_MEDIA, 4);
    assert_true(reserve(w, "march", 1, 0).allowed);
    april.now_ms = MARCH + 30 * DAY;
    assert_int_equal(take_asked(w, &april, &out), 0);
    assert_int_equal(quota_settle(w->q, w->user, "march", QUOTA_RETURN_ALL), 1);
    assert_int_equal(store_int(w->db, "SELECT count FROM user_usage_counts"
                                      " WHERE billing_cycle_start = '2026-03-10T00:00:00.000Z'"),
                     0);
    assert_int_equal(store_int(w->db, "SELECT count FROM user_usage_counts"
                                      " WHERE billing_cycle_start = '2026-04-10T00:00:00.000Z'"),
                     4);
}

static void a_counter_never_falls_below_nothing(void **state)
{
    struct world *w = *state;
    assert_true(reserve(w, "a", 3, 0).allowed);
    run_sql(w->db, "UPDATE user_usage_counts SET count = 1"); /* by an administrator, say */
    assert_int_equal(quota_settle(w->q, w->user, "a", QUOTA_RETURN_ALL), 1);
    assert_int_equal(counted(w), 0);
    assert_true(reserve(w, "b", 3, 0).allowed);
    run_sql(w->db, "DELETE FROM user_usage_counts");
    assert_int_equal(quota_settle(w->q, w->user, "b", QUOTA_RETURN_ALL), 1);
    assert_int_equal(counted(w), 0);
}

static void a_lease_that_is_over_comes_back_before_anybody_is_refused(void **state)
{
    struct world *w = *state;
    assert_true(reserve(w, "crashed", 3, HOUR).allowed);
    assert_true(reserve(w, "a job's", 2, 0).allowed);
    assert_outcome(reserve(w, "early", 1, 0), QUOTA_LIMIT_REACHED, 5, 5, 0);
    struct quota_ask later = ask(w, FEATURE_MEDIA, 2);
    struct quota_outcome out;
    later.now_ms = MARCH + HOUR + 1;
    assert_int_equal(take_asked(w, &later, &out), 0);
    assert_outcome(out, QUOTA_ALLOWED, 5, 4, 1);
    assert_int_equal(quota_settle(w->q, w->user, "crashed", QUOTA_KEEP_ALL), 0);
    assert_int_equal(quota_settle(w->q, w->user, "a job's", QUOTA_KEEP_ALL), 1);
    assert_int_equal(counted(w), 4);
}

struct job {
    struct world *w;
    const char *id;
    int r; /* what the rest of the unit comes to */
    struct quota_outcome out;
};

static int enqueue(struct db_conn *c, void *arg)
{
    struct job *job = arg;
    struct quota_ask a = ask(job->w, FEATURE_MEDIA, 1);
    int r = quota_reserve_in(job->w->q, c, &a, job->id, 0, &job->out);
    return r < 0 || !job->out.allowed ? r : job->r;
}

static void a_unit_that_fails_leaves_nothing_counted(void **state)
{
    struct world *w = *state;
    struct job bad = {w, "job-1", -ECANCELED, {0}}, good = {w, "job-1", 0, {0}};
    assert_int_equal(db_write(w->db, enqueue, &bad), -ECANCELED);
    assert_int_equal(counted(w), 0);
    assert_int_equal(store_int(w->db, "SELECT count(*) FROM quota_reservations"), 0);
    assert_int_equal(db_write(w->db, enqueue, &good), 0);
    assert_true(good.out.allowed);
    assert_int_equal(counted(w), 1);
}

/* ---- levels */

static void a_level_is_what_there_is(void **state)
{
    struct world *w = *state;
    struct crowd one = {.w = w};
    struct quota_outcome out;
    for (int i = 0; i < 3; i++)
        assert_int_equal(db_write(w->db, add_post, &one), 1);
    assert_int_equal(db_write(w->db, add_post, &one), 0);
    quota_can_perform(w->q, w->user, "scheduled_queue_size", &out);
    assert_outcome(out, QUOTA_LIMIT_REACHED, 3, 3, 0);
    assert_int_equal(out.resets_ms, 0);
    run_sql(w->db, "UPDATE scheduled_posts SET status = 'posted'");
    assert_int_equal(db_write(w->db, add_post, &one), 1);
    set_tier(w, "'studio'");
    for (int i = 0; i < 5; i++)
        assert_int_equal(db_write(w->db, add_post, &one), 1);
    assert_int_equal(counted(w), 0);
}

/* ---- what is shown */

static void usage_is_remembered_and_never_stale_after_a_write_of_ours(void **state)
{
    struct world *w = *state;
    struct quota_usage usage;
    struct quota_ask a = ask(w, FEATURE_CAPTIONS, 1);
    struct quota_outcome out;
    store_await_listening(w->db);
    a.now_ms = 0;
    assert_int_equal(quota_usage_cached(w->q, w->user, &usage), -EAGAIN);
    quota_usage_read(w->q, w->user, &usage);
    assert_true(usage.plan_known && usage.counters_known);
    assert_int_equal(usage.used[FEATURE_CAPTIONS], 0);
    assert_int_equal(quota_usage_cached(w->q, w->user, &usage), 0);
    assert_int_equal(take_asked(w, &a, &out), 0);
    assert_int_equal(quota_usage_cached(w->q, w->user, &usage), -EAGAIN);
    quota_usage_read(w->q, w->user, &usage);
    assert_int_equal(usage.used[FEATURE_CAPTIONS], 1);
    assert_int_equal(quota_reserve(w->q, &a, "h", 0, &out), 0);
    assert_int_equal(quota_usage_cached(w->q, w->user, &usage), -EAGAIN);
    quota_usage_read(w->q, w->user, &usage);
    assert_int_equal(quota_settle(w->q, w->user, "h", QUOTA_RETURN_ALL), 1);
    assert_int_equal(quota_usage_cached(w->q, w->user, &usage), -EAGAIN);
    quota_usage_read(w->q, w->user, &usage);
    assert_int_equal(usage.used[FEATURE_CAPTIONS], 1);
    assert_int_equal(quota_reload(w->q), 0);
    assert_int_equal(quota_usage_cached(w->q, w->user, &usage), -EAGAIN);
}

static void others_writes_are_seen(void **state)
{
    struct world *w = *state;
    struct quota_usage usage;
    store_await_listening(w->db);
    quota_usage_read(w->q, w->user, &usage);
    int64_t version = db_data_version(w->db);
    store_exec_elsewhere(w->store, "UPDATE directus_users SET subscription_tier = 'pro'");
    store_await_change(w->db, version);
    assert_int_equal(quota_usage_cached(w->q, w->user, &usage), -EAGAIN);
    quota_usage_read(w->q, w->user, &usage);
    assert_int_equal(usage.tier, TIER_PRO);
}

static void what_can_t_be_read_is_marked(void **state)
{
    struct world *w = *state;
    struct quota_usage usage;
    (void)take(w, FEATURE_CAPTIONS, 1);
    set_tier(w, "'pro'");
    run_sql(w->db, "ALTER TABLE user_usage_counts RENAME TO gone");
    log_configure(LOG_ERROR + 1, true);
    quota_usage_read(w->q, w->user, &usage);
    assert_true(usage.plan_known && !usage.counters_known);
    assert_int_equal(usage.tier, TIER_PRO);
    assert_int_equal(usage.used[FEATURE_CAPTIONS], 0);
    assert_int_equal(quota_usage_cached(w->q, w->user, &usage), -EAGAIN);
    quota_usage_read(w->q, "00000000-0000-4000-8000-000000000000", &usage);
    assert_false(usage.plan_known || usage.counters_known);
}

static void a_bad_file_is_refused_and_the_old_tiers_stay(void **state)
{
    struct world *w = *state;
    w->cfg.tiers_file = "tests/fuzz/corpus/tiers/empty";
    log_configure(LOG_ERROR + 1, true);
    assert_int_equal(quota_reload(w->q), -EINVAL);
    assert_outcome(take(w, FEATURE_CAPTIONS, 1), QUOTA_ALLOWED, 3, 1, 2);
    assert_false(quota_counts(w->q, FEATURE_CHAT));
    w->cfg.tiers_file = "tests/fuzz/corpus/tiers/chat";
    assert_int_equal(quota_reload(w->q), 0);
    assert_true(quota_counts(w->q, FEATURE_CHAT));
}

static void *keep_reloading(void *arg)
{
    struct world *w = arg;
    for (int i = 0; i < 100; i++)
        assert_int_equal(quota_reload(w->q), 0);
    return NULL;
}

static void tiers_change_under_those_who_ask(void **state)
{
    struct world *w = *state;
    struct quota_usage usage;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, keep_reloading, w), 0);
    for (int i = 0; i < 50; i++) {
        (void)take(w, FEATURE_TAXONOMY, 1);
        if (quota_usage_cached(w->q, w->user, &usage) < 0)
            quota_usage_read(w->q, w->user, &usage);
    }
    pthread_join(thread, NULL);
    assert_int_equal(counted(w), 10);
}

/* ---- housekeeping */

struct expiry {
    int64_t now_ms;
    int rounds;
};

static int expire_unit(struct db_conn *c, void *arg)
{
    return quota_expire_in(c, ((struct expiry *)arg)->now_ms);
}

/* As the duty does it: until nothing is left. */
static int expire_all(struct world *w, int64_t now_ms)
{
    struct expiry e = {.now_ms = now_ms};
    int r;
    do {
        e.rounds++;
        r = db_write(w->db, expire_unit, &e);
    } while (r > 0);
    assert_int_equal(r, 0);
    return e.rounds;
}

static void leases_that_are_over_are_given_back_and_others_stay(void **state)
{
    struct world *w = *state;
    (void)take(w, FEATURE_CAPTIONS, 1);
    assert_true(reserve(w, "settled", 1, 0).allowed);
    assert_int_equal(quota_settle(w->q, w->user, "settled", QUOTA_KEEP_ALL), 1);
    assert_true(reserve(w, "crashed", 1, HOUR).allowed);
    assert_true(reserve(w, "running", 1, 0).allowed);
    (void)expire_all(w, MARCH - DAY);
    assert_int_equal(counted(w), 4);
    (void)expire_all(w, MARCH + 2 * HOUR);
    assert_int_equal(counted(w), 3);
    assert_int_equal(store_int(w->db, "SELECT count(*) FROM quota_reservations WHERE status = 'held'"), 1);
    (void)expire_all(w, MARCH + 500 * DAY);
    assert_int_equal(counted(w), 3);
    assert_int_equal(quota_settle(w->q, w->user, "running", QUOTA_RETURN_ALL), 1);
}

static void many_leases_are_given_back_in_several_units(void **state)
{
    struct world *w = *state;
    struct quota_ask a = ask(w, FEATURE_MEDIA, 1);
    struct quota_outcome out;
    set_tier(w, "'studio'");
    for (int i = 0; i < 230; i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "hold-%d", i);
        assert_int_equal(quota_reserve(w->q, &a, id, HOUR, &out), 0);
    }
    assert_int_equal(counted(w), 230);
    assert_int_equal(expire_all(w, MARCH + 2 * HOUR), 3);
    assert_int_equal(counted(w), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(units_are_counted_up_to_the_limit),
        TEST(what_would_pass_the_limit_counts_nothing),
        TEST(unlimited_still_counts),
        TEST(a_changed_tier_counts_at_once),
        TEST(administrators_count_like_anybody),
        TEST(each_cycle_has_its_own_count),
        TEST(mistakes_are_told_apart_from_refusals),
        TEST(what_is_free_is_allowed_and_not_counted),
        cmocka_unit_test_setup_teardown(messages_are_counted_where_the_tier_names_them, set_up_with_messages,
                                        tear_down),
        TEST(failures_refuse),
        TEST(asking_counts_nothing),
        TEST(of_many_at_once_as_many_pass_as_are_left),
        TEST(of_many_posts_at_once_as_many_pass_as_are_left),
        TEST(of_many_that_give_back_at_once_one_does),
        TEST(a_reservation_is_kept_or_given_back_once),
        TEST(a_part_may_be_kept),
        TEST(an_id_is_used_once),
        TEST(what_isn_t_counted_makes_no_hold),
        TEST(a_unit_goes_back_to_the_cycle_it_was_taken_from),
        TEST(a_counter_never_falls_below_nothing),
        TEST(a_lease_that_is_over_comes_back_before_anybody_is_refused),
        TEST(a_unit_that_fails_leaves_nothing_counted),
        TEST(a_level_is_what_there_is),
        TEST(usage_is_remembered_and_never_stale_after_a_write_of_ours),
        TEST(others_writes_are_seen),
        TEST(what_can_t_be_read_is_marked),
        TEST(a_bad_file_is_refused_and_the_old_tiers_stay),
        TEST(tiers_change_under_those_who_ask),
        TEST(leases_that_are_over_are_given_back_and_others_stay),
        TEST(many_leases_are_given_back_in_several_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
