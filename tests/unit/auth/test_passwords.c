/* SPDX-License-Identifier: MIT */
#include "auth/passwords.h"

#include "base/text.h"

#include <argon2.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define CALLERS 24

static void form_is_directus(void **state)
{
    (void)state;
    struct passwords *p;
    char hash[PASSWORD_HASH_SIZE], other[PASSWORD_HASH_SIZE];
    assert_int_equal(passwords_open(1, &p), 0);
    assert_int_equal(password_hash(p, "correct horse", hash), 0);
    assert_true(str_has_prefix(hash, "$argon2id$v=19$m=65536,t=3,p=4$"));
    assert_int_equal(strlen(hash), strlen("$argon2id$v=19$m=65536,t=3,p=4$") + 22 + 1 + 43);
    assert_int_equal(password_hash(p, "correct horse", other), 0);
    assert_string_not_equal(hash, other);
    assert_int_equal(password_verify(p, hash, "correct horse"), 0);
    assert_int_equal(password_verify(p, hash, "correct hors"), -EACCES);
    assert_int_equal(password_verify(p, hash, ""), -EACCES);
    passwords_close(p);
}

static void other_hashes(void **state)
{
    (void)state;
    static const uint8_t salt[8] = "saltsalt";
    struct passwords *p;
    char weak[PASSWORD_HASH_SIZE];
    assert_int_equal(passwords_open(1, &p), 0);
    assert_int_equal(argon2i_hash_encoded(1, 64, 1, "password", 8, salt, sizeof salt, 16, weak, sizeof weak),
                     0);
    assert_int_equal(password_verify(p, weak, "password"), 0);
    assert_int_equal(password_verify(p, weak, "Password"), -EACCES);
    assert_int_equal(argon2d_hash_encoded(1, 64, 1, "password", 8, salt, sizeof salt, 16, weak, sizeof weak),
                     0);
    assert_int_equal(password_verify(p, weak, "password"), 0);
    static const char *const bad[] = {
        "", "!", "password", "$2b$10$abcdefghijklmnopqrstuv", "$argon2id$", "$argon2id$v=19$"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(password_verify(p, bad[i], "password"), -EACCES);
    passwords_close(p);
}

static void nobodys_hash_fits_nothing(void **state)
{
    (void)state;
    struct passwords *p;
    char longest[PASSWORD_MAX_BYTES + 2], hash[PASSWORD_HASH_SIZE];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(passwords_open(1, &p), 0);
    assert_int_equal(password_verify(p, NULL, "password"), -EACCES);
    assert_int_equal(password_verify(p, NULL, ""), -EACCES);
    assert_int_equal(password_hash(p, "", hash), -EINVAL);
    assert_int_equal(password_hash(p, longest, hash), -EINVAL);
    assert_int_equal(password_verify(p, NULL, longest), -EACCES);
    passwords_close(p);
}

struct caller {
    struct passwords *p;
    pthread_barrier_t *start;
    int result;
};

static void *call(void *arg)
{
    struct caller *c = arg;
    (void)pthread_barrier_wait(c->start);
    c->result = password_verify(c->p, NULL, "password");
    return NULL;
}

/* With nobody allowed to wait, a crowd is mostly turned away, and who is let in is served. */
static void crowd_is_turned_away(void **state)
{
    (void)state;
    struct passwords *p;
    struct caller callers[CALLERS];
    pthread_t threads[CALLERS];
    pthread_barrier_t start;
    int served = 0, busy = 0;
    assert_int_equal(passwords_open(0, &p), 0);
    pthread_barrier_init(&start, NULL, CALLERS);
    for (int i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller){.p = p, .start = &start};
        assert_int_equal(pthread_create(&threads[i], NULL, call, &callers[i]), 0);
    }
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(threads[i], NULL);
        served += callers[i].result == -EACCES;
        busy += callers[i].result == -EBUSY;
    }
    assert_int_equal(served + busy, CALLERS);
    assert_true(served >= 1);
    assert_true(busy >= 1);
    assert_int_equal(password_verify(p, NULL, "password"), -EACCES); /* and it goes on after */
    pthread_barrier_destroy(&start);
    passwords_close(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(form_is_directus),
        cmocka_unit_test(other_hashes),
        cmocka_unit_test(nobodys_hash_fits_nothing),
        cmocka_unit_test(crowd_is_turned_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
