/* SPDX-License-Identifier: MIT */
/* The cache of indexes: built once, shared, forgotten, bounded. */
#include "check.h"

#include "retrieval/cache.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

struct maker {
    atomic_int built;
    atomic_int error;
    int words;            /* of the one node of each index */
    pthread_mutex_t gate; /* held by a test to keep builders waiting */
    struct index_cache *cache;
};

static int make(void *ctx, const char *user_id, struct index **ret)
{
    struct maker *m = ctx;
    int number = atomic_fetch_add(&m->built, 1);
    pthread_mutex_lock(&m->gate);
    pthread_mutex_unlock(&m->gate);
    if (atomic_load(&m->error))
        return atomic_load(&m->error);
    static const size_t word = 9;
    char *text = calloc((size_t)m->words + 1, word);
    for (int i = 0; i < m->words; i++)
        (void)snprintf(text + strlen(text), word, "w%05d ", i % 99999);
    char title[32];
    (void)snprintf(title, sizeof title, "build %d", number);
    struct index_builder *b = index_begin(NULL, 0);
    add_text_node(b, user_id, title, text);
    *ret = finish(b);
    free(text);
    return 0;
}

static void open_cache(struct maker *m, size_t most_users, size_t most_bytes)
{
    *m = (struct maker){.words = 1};
    pthread_mutex_init(&m->gate, NULL);
    struct index_cache_options o = {most_users, most_bytes, make, m};
    assert_int_equal(index_cache_new(&o, &m->cache), 0);
}

/* The title tells which build it is. */
static const char *take_and_return(struct maker *m, const char *user, int64_t version)
{
    static _Thread_local char title[32];
    struct lease *l = NULL;
    assert_int_equal(index_cache_take(m->cache, user, version, &l), 0);
    assert_string_equal(lease_index(l)->nodes[0].id, user);
    (void)snprintf(title, sizeof title, "%s", lease_index(l)->nodes[0].title);
    index_cache_give_back(l);
    return title;
}

static void an_index_is_built_once_and_again_when_forgotten(void **state)
{
    (void)state;
    struct maker m;
    open_cache(&m, 10, SIZE_MAX);
    assert_string_equal(take_and_return(&m, "ann", 0), "build 0");
    assert_string_equal(take_and_return(&m, "ann", 0), "build 0");
    assert_string_equal(take_and_return(&m, "bob", 0), "build 1");
    index_cache_forget(m.cache, "ann");
    index_cache_forget(m.cache, "nobody");
    assert_string_equal(take_and_return(&m, "bob", 0), "build 1");
    assert_string_equal(take_and_return(&m, "ann", 0), "build 2");
    index_cache_forget(m.cache, NULL);
    assert_string_equal(take_and_return(&m, "bob", 0), "build 3");
    assert_string_equal(take_and_return(&m, "bob", 7), "build 4"); /* another process wrote */
    assert_string_equal(take_and_return(&m, "bob", 7), "build 4");
    index_cache_free(m.cache);
}

static void a_lease_outlives_forgetting(void **state)
{
    (void)state;
    struct maker m;
    struct lease *l = NULL;
    open_cache(&m, 10, SIZE_MAX);
    assert_int_equal(index_cache_take(m.cache, "ann", 0, &l), 0);
    index_cache_forget(m.cache, "ann");
    assert_string_equal(take_and_return(&m, "ann", 0), "build 1");
    assert_string_equal(lease_index(l)->nodes[0].title, "build 0");
    struct search *s = lease_search(l), *t = lease_search(l), *u = lease_search(l);
    search_run(lease_index(l), s, "build", NULL, NULL);
    assert_int_equal(s->stage[STAGE_BM25].n, 1);
    lease_search_done(l, s);
    lease_search_done(l, t);
    lease_search_done(l, u); /* one more than is kept */
    assert_ptr_equal(lease_search(l), t);
    lease_search_done(l, t);
    index_cache_give_back(l);
    index_cache_free(m.cache);
}

static void the_oldest_go_first(void **state)
{
    (void)state;
    struct maker m;
    size_t users, bytes;
    open_cache(&m, 2, SIZE_MAX);
    take_and_return(&m, "ann", 0);
    take_and_return(&m, "bob", 0);
    take_and_return(&m, "ann", 0);
    take_and_return(&m, "eve", 0); /* bob goes */
    assert_string_equal(take_and_return(&m, "ann", 0), "build 0");
    assert_string_equal(take_and_return(&m, "bob", 0), "build 3");
    index_cache_size(m.cache, &users, &bytes);
    assert_int_equal(users, 2);
    index_cache_free(m.cache);
}

static void memory_is_bounded(void **state)
{
    (void)state;
    struct maker m;
    size_t users, one, bytes;
    open_cache(&m, 100, SIZE_MAX);
    m.words = 5000;
    take_and_return(&m, "ann", 0);
    index_cache_size(m.cache, &users, &one);
    assert_true(one > 5000 * 8);
    index_cache_free(m.cache);
    open_cache(&m, 100, one * 2 + one / 2);
    m.words = 5000;
    take_and_return(&m, "ann", 0);
    take_and_return(&m, "bob", 0);
    take_and_return(&m, "eve", 0);
    index_cache_size(m.cache, &users, &bytes);
    assert_int_equal(users, 2);
    m.words = 50000;
    take_and_return(&m, "big", 0); /* larger than all there is: alone */
    index_cache_size(m.cache, &users, &bytes);
    assert_int_equal(users, 1);
    assert_string_equal(take_and_return(&m, "big", 0), "build 3");
    index_cache_forget(m.cache, NULL);
    index_cache_size(m.cache, &users, &bytes);
    assert_int_equal(users, 0);
    assert_int_equal(bytes, 0);
    index_cache_free(m.cache);
}

static void a_failure_is_passed_on_and_not_kept(void **state)
{
    (void)state;
    struct maker m;
    struct lease *l = NULL;
    size_t users, bytes;
    char long_id[CACHE_USER_MAX + 2];
    open_cache(&m, 10, SIZE_MAX);
    m.error = -EIO;
    assert_int_equal(index_cache_take(m.cache, "ann", 0, &l), -EIO);
    assert_null(l);
    index_cache_size(m.cache, &users, &bytes);
    assert_int_equal(users, 0);
    m.error = 0;
    assert_string_equal(take_and_return(&m, "ann", 0), "build 1");
    memset(long_id, 'x', sizeof long_id);
    long_id[sizeof long_id - 1] = '\0';
    assert_int_equal(index_cache_take(m.cache, long_id, 0, &l), -EINVAL);
    assert_int_equal(index_cache_take(m.cache, "", 0, &l), -EINVAL);
    index_cache_free(m.cache);
}

static void *take_ann(void *arg)
{
    struct maker *m = arg;
    return strcmp(take_and_return(m, "ann", 0), "build 0") == 0 ? m : NULL;
}

static void many_who_ask_at_once_share_one_build(void **state)
{
    (void)state;
    struct maker m;
    pthread_t t[8];
    void *same;
    open_cache(&m, 10, SIZE_MAX);
    pthread_mutex_lock(&m.gate);
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        assert_int_equal(pthread_create(&t[i], NULL, take_ann, &m), 0);
    while (atomic_load(&m.built) == 0)
        usleep(1000);
    pthread_mutex_unlock(&m.gate);
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        assert_int_equal(pthread_join(t[i], &same), 0);
        assert_non_null(same);
    }
    assert_int_equal(m.built, 1);
    index_cache_free(m.cache);
}

/* A build that began before the forgetting may have read the old rows: it must not be what later callers get.
 */
static void what_was_forgotten_while_being_built_is_built_again(void **state)
{
    (void)state;
    struct maker m;
    pthread_t t;
    open_cache(&m, 10, SIZE_MAX);
    pthread_mutex_lock(&m.gate);
    assert_int_equal(pthread_create(&t, NULL, take_ann, &m), 0);
    while (atomic_load(&m.built) == 0)
        usleep(1000);
    index_cache_forget(m.cache, "ann");
    pthread_mutex_unlock(&m.gate);
    assert_string_equal(take_and_return(&m, "ann", 0), "build 1");
    void *first;
    assert_int_equal(pthread_join(t, &first), 0);
    assert_non_null(first); /* the one who asked before has its answer */
    assert_string_equal(take_and_return(&m, "ann", 0), "build 1");
    index_cache_free(m.cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_index_is_built_once_and_again_when_forgotten),
        cmocka_unit_test(a_lease_outlives_forgetting),
        cmocka_unit_test(the_oldest_go_first),
        cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(a_failure_is_passed_on_and_not_kept),
        cmocka_unit_test(many_who_ask_at_once_share_one_build),
        cmocka_unit_test(what_was_forgotten_while_being_built_is_built_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
