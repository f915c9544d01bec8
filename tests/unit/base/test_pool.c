/* SPDX-License-Identifier: MIT */
#include "base/pool.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A work that says that it has begun and then waits to be let go. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int arrived, open;
};

#define GATE_INIT \
    { \
        PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0 \
    }

static void wait_at_gate(void *arg)
{
    struct gate *g = arg;
    pthread_mutex_lock(&g->lock);
    g->arrived++;
    pthread_cond_broadcast(&g->changed);
    while (!g->open)
        pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

static void await_arrivals(struct gate *g, int n)
{
    pthread_mutex_lock(&g->lock);
    while (g->arrived < n)
        pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

static void open_gate(struct gate *g)
{
    pthread_mutex_lock(&g->lock);
    g->open = 1;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

static int order[100];
static atomic_int done;

static void note_order(void *arg)
{
    order[atomic_fetch_add(&done, 1)] = (int)(intptr_t)arg;
}

static void one_thread_keeps_the_order_of_arrival(void **state)
{
    struct pool *p;
    (void)state;
    atomic_store(&done, 0);
    assert_int_equal(pool_start("test", 1, 100, &p), 0);
    for (intptr_t i = 0; i < 100; i++)
        assert_int_equal(pool_submit(p, note_order, (void *)i), 0);
    pool_stop(p); /* runs what is queued to its end */
    assert_int_equal(atomic_load(&done), 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(order[i], i);
}

static void a_full_queue_refuses_and_a_free_place_accepts(void **state)
{
    struct gate g = GATE_INIT;
    struct pool *p;
    (void)state;
    atomic_store(&done, 0);
    assert_int_equal(pool_start("test", 2, 3, &p), 0);
    assert_int_equal(pool_load(p), 0);
    assert_int_equal(pool_submit(p, wait_at_gate, &g), 0);
    assert_int_equal(pool_submit(p, wait_at_gate, &g), 0);
    await_arrivals(&g, 2);
    for (intptr_t i = 0; i < 3; i++)
        assert_int_equal(pool_submit(p, note_order, (void *)i), 0);
    assert_int_equal(pool_submit(p, note_order, NULL), -EAGAIN);
    assert_int_equal(pool_load(p), 5);
    open_gate(&g);
    while (pool_load(p) > 0)
        sched_yield();
    assert_int_equal(atomic_load(&done), 3);
    assert_int_equal(pool_submit(p, note_order, NULL), 0);
    pool_stop(p);
    assert_int_equal(atomic_load(&done), 4);
}

static void threads_run_side_by_side(void **state)
{
    struct gate g = GATE_INIT;
    struct pool *p;
    (void)state;
    assert_int_equal(pool_start("test", 8, 8, &p), 0);
    for (int i = 0; i < 8; i++)
        assert_int_equal(pool_submit(p, wait_at_gate, &g), 0);
    await_arrivals(&g, 8); /* all eight at once, or this never ends */
    open_gate(&g);
    pool_stop(p);
}

static void count_only(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
}

struct submitter {
    struct pool *pool;
    struct gate begun;
    atomic_int accepted, ran;
};

/* Submits until it is refused, which with room for a million can only be because the pool is stopping. */
static void submit_until_refused(void *arg)
{
    struct submitter *s = arg;
    wait_at_gate(&s->begun);
    while (pool_submit(s->pool, count_only, &s->ran) == 0) {
        atomic_fetch_add(&s->accepted, 1);
        sched_yield();
    }
}

static void a_stopping_pool_accepts_nothing_more_but_runs_what_it_has(void **state)
{
    enum { ROOM = 1 << 20 };
    struct submitter s = {.begun = GATE_INIT};
    (void)state;
    open_gate(&s.begun);
    assert_int_equal(pool_start("test", 1, ROOM, &s.pool), 0);
    assert_int_equal(pool_submit(s.pool, submit_until_refused, &s), 0);
    await_arrivals(&s.begun, 1);
    pool_stop(s.pool);
    assert_true(atomic_load(&s.accepted) < ROOM);
    assert_int_equal(atomic_load(&s.ran), atomic_load(&s.accepted));
}

struct producer {
    struct pool *pool;
    atomic_int *ran;
    int accepted;
};

static void *produce(void *arg)
{
    struct producer *p = arg;
    for (int i = 0; i < 2000; i++)
        p->accepted += pool_submit(p->pool, count_only, p->ran) == 0;
    return NULL;
}

static void nothing_accepted_is_ever_dropped(void **state)
{
    struct pool *p;
    atomic_int ran = 0;
    pthread_t threads[4];
    struct producer producers[4];
    int accepted = 0;
    (void)state;
    assert_int_equal(pool_start("test", 3, 16, &p), 0);
    for (int i = 0; i < 4; i++) {
        producers[i] = (struct producer){p, &ran, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, produce, &producers[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        accepted += producers[i].accepted;
    }
    pool_stop(p);
    assert_int_equal(atomic_load(&ran), accepted);
    assert_true(accepted > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_thread_keeps_the_order_of_arrival),
        cmocka_unit_test(a_full_queue_refuses_and_a_free_place_accepts),
        cmocka_unit_test(threads_run_side_by_side),
        cmocka_unit_test(a_stopping_pool_accepts_nothing_more_but_runs_what_it_has),
        cmocka_unit_test(nothing_accepted_is_ever_dropped),
    };
    return cmocka_run_group_tests_name("base/pool", tests, NULL, NULL);
}
