/* SPDX-License-Identifier: MIT */
#include "schedule/leader.h"

#include "../db/store.h"

#define LEASE_MS 60000
#define CROWD 8

static struct leader server(struct store *s)
{
    struct leader l;
    leader_init(&l, s->db, "lease", LEASE_MS);
    return l;
}

struct confirm {
    const struct leader *l;
    int64_t now_ms;
};

static int confirm_unit(struct db_conn *c, void *arg)
{
    struct confirm *a = arg;
    return leader_confirm(c, a->l, &a->now_ms);
}

static int confirmed(struct store *s, const struct leader *l)
{
    struct confirm a = {.l = l};
    int r = db_write(s->db, confirm_unit, &a);
    if (r > 0) /* the store runs on this machine */
        assert_in_range(a.now_ms, clock_now_ms() - LEASE_MS, clock_now_ms() + LEASE_MS);
    return r;
}

static void one_holds(void **state)
{
    struct store *s = *state;
    struct leader a = server(s), b = server(s);
    assert_string_not_equal(a.id, b.id);
    assert_false(leader_holds(&a));
    assert_int_equal(confirmed(s, &a), 0);
    assert_int_equal(leader_free(&a), 1);
    assert_int_equal(leader_take(&a), 1);
    assert_true(leader_holds(&a));
    assert_int_equal(confirmed(s, &a), 1);
    assert_int_equal(leader_take(&a), 1); /* again and again */
    assert_int_equal(leader_free(&b), 0);
    assert_int_equal(leader_take(&b), 0);
    assert_false(leader_holds(&b));
    assert_int_equal(confirmed(s, &b), 0);
}

static void released_it_is_free(void **state)
{
    struct store *s = *state;
    struct leader a = server(s), b = server(s);
    assert_int_equal(leader_take(&a), 1);
    assert_int_equal(leader_release(&b), 0); /* not its own */
    assert_int_equal(leader_free(&b), 0);
    assert_int_equal(leader_release(&a), 0);
    assert_false(leader_holds(&a));
    assert_int_equal(confirmed(s, &a), 0);
    assert_int_equal(leader_take(&b), 1);
    assert_int_equal(leader_take(&a), 0);
}

static void run_out_it_is_free(void **state)
{
    struct store *s = *state;
    struct leader a = server(s), b = server(s);
    assert_int_equal(leader_take(&a), 1);
    assert_int_equal(store_exec(s->db, "UPDATE leader_leases SET expires_at = '2026-01-01T00:00:00.000Z'"),
                     0);
    assert_int_equal(confirmed(s, &a), 0);
    assert_int_equal(leader_free(&b), 1);
    assert_int_equal(leader_take(&b), 1);
    assert_int_equal(confirmed(s, &b), 1);
    assert_int_equal(leader_take(&a), 0);
    assert_false(leader_holds(&a));
}

/* The clock was set back by a year since the lease was taken. */
static void what_ends_in_a_year_binds_nobody(void **state)
{
    struct store *s = *state;
    struct leader a = server(s), b = server(s);
    assert_int_equal(leader_take(&a), 1);
    assert_int_equal(store_exec(s->db, "UPDATE leader_leases SET expires_at = '2199-01-01T00:00:00.000Z'"),
                     0);
    assert_int_equal(confirmed(s, &a), 0);
    assert_int_equal(leader_take(&b), 1);
    assert_int_equal(leader_take(&a), 0);
}

/* The store still shows the lease as held when its holder has stopped. */
static void a_holder_stops_before_its_lease_ends(void **state)
{
    struct store *s = *state;
    struct leader a = server(s);
    assert_int_equal(leader_take(&a), 1);
    assert_true(a.until_ms < clock_monotonic_ms() + LEASE_MS - LEASE_MS / 10);
    a.until_ms = clock_monotonic_ms();
    assert_false(leader_holds(&a));
    assert_int_equal(confirmed(s, &a), 1);
}

struct racer {
    pthread_t thread;
    struct leader leader;
    int result;
};

static void *race(void *arg)
{
    struct racer *r = arg;
    r->result = leader_take(&r->leader);
    return NULL;
}

static void of_many_at_once_one_takes_it(void **state)
{
    struct store *s = *state;
    struct racer racers[CROWD];
    for (int round = 0; round < 5; round++) {
        int winners = 0;
        for (int i = 0; i < CROWD; i++) {
            racers[i].leader = server(s);
            assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
        }
        for (int i = 0; i < CROWD; i++) {
            pthread_join(racers[i].thread, NULL);
            assert_true(racers[i].result >= 0);
            winners += racers[i].result;
        }
        assert_int_equal(winners, 1);
        assert_int_equal(store_exec(s->db, "UPDATE leader_leases SET expires_at = NULL"), 0);
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, store_set_up_migrated, store_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(one_holds),
        T(released_it_is_free),
        T(run_out_it_is_free),
        T(what_ends_in_a_year_binds_nobody),
        T(a_holder_stops_before_its_lease_ends),
        T(of_many_at_once_one_takes_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
