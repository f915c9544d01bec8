/* SPDX-License-Identifier: MIT */
#include "queue/bullmq_job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static struct bull_opts opts_of(const char *text)
{
    struct bull_opts opts;
    bull_opts_parse(text, strlen(text), &opts);
    return opts;
}

static void what_bullmq_writes_is_understood(void **state)
{
    (void)state;
    struct bull_opts o =
        opts_of("{\"attempts\":4,\"backoff\":{\"type\":\"exponential\",\"delay\":200,\"jitter\":0.5},"
                "\"removeOnComplete\":{\"age\":60,\"count\":7},\"removeOnFail\":true,\"kl\":3,"
                "\"stackTraceLimit\":2}");
    assert_int_equal(o.attempts, 4);
    assert_true(o.exponential);
    assert_int_equal(o.backoff_ms, 200);
    assert_true(o.jitter == 0.5);
    assert_int_equal(o.completed.count, 7);
    assert_int_equal(o.completed.age_s, 60);
    assert_int_equal(o.failed.count, 0);
    assert_int_equal(o.keep_logs, 3);
    assert_int_equal(o.traces, 2);
}

static void what_is_left_out_is_as_in_bullmq(void **state)
{
    (void)state;
    struct bull_opts o = opts_of("{}");
    assert_int_equal(o.attempts, 1);
    assert_int_equal(o.backoff_ms, 0);
    assert_int_equal(o.completed.count, -1);
    assert_int_equal(o.completed.age_s, -1);
    assert_int_equal(o.failed.count, -1);
    assert_int_equal(opts_of("{\"backoff\":500}").backoff_ms, 500);
    assert_false(opts_of("{\"backoff\":500}").exponential);
    assert_int_equal(opts_of("{\"removeOnComplete\":25}").completed.count, 25);
    assert_int_equal(opts_of("{\"removeOnComplete\":false}").completed.count, -1);
    assert_int_equal(opts_of("{\"removeOnFail\":{\"age\":9}}").failed.count, -1);
    assert_int_equal(opts_of("{\"removeOnFail\":{\"age\":9}}").failed.age_s, 9);
}

static void nonsense_counts_as_not_given(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "[",
        "null",
        "[1]",
        "{\"attempts\":\"5\",\"backoff\":\"soon\",\"removeOnComplete\":\"yes\",\"removeOnFail\":[1]}",
        "{\"attempts\":-4,\"backoff\":{\"delay\":-1,\"jitter\":7},\"removeOnComplete\":-3,\"removeOnFail\":"
        "null}",
        "{\"attempts\":0,\"backoff\":{\"type\":3,\"delay\":{}},\"removeOnComplete\":{\"count\":\"a\",\"age\":"
        "-1}}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct bull_opts o = opts_of(bad[i]);
        assert_int_equal(o.attempts, 1);
        assert_int_equal(o.backoff_ms, 0);
        assert_true(o.jitter == 0);
        assert_int_equal(o.completed.count, -1);
        assert_int_equal(o.completed.age_s, -1);
        assert_int_equal(o.failed.count, -1);
    }
}

static void numbers_have_bounds(void **state)
{
    (void)state;
    struct bull_opts o =
        opts_of("{\"attempts\":1e300,\"backoff\":1e300,\"kl\":1e12,\"stackTraceLimit\":1e9}");
    assert_int_equal(o.attempts, 1); /* larger than any number of attempts: no number at all */
    assert_int_equal(opts_of("{\"attempts\":999999}").attempts, BULL_ATTEMPTS_MOST);
    assert_int_equal(opts_of("{\"backoff\":999999999999}").backoff_ms, BULL_DELAY_MOST_MS);
    assert_true(o.keep_logs <= BULL_LOGS_MOST);
    assert_true(o.traces <= BULL_TRACES_MOST);
}

static void delays_grow_as_bullmqs_do(void **state)
{
    (void)state;
    struct bull_opts fixed = opts_of("{\"backoff\":100}");
    struct bull_opts twice = opts_of("{\"backoff\":{\"type\":\"exponential\",\"delay\":100}}");
    struct bull_opts chance =
        opts_of("{\"backoff\":{\"type\":\"exponential\",\"delay\":100,\"jitter\":0.5}}");
    assert_int_equal(bull_backoff_ms(&fixed, 1, 1), 100);
    assert_int_equal(bull_backoff_ms(&fixed, 5, 1), 100);
    assert_int_equal(bull_backoff_ms(&twice, 1, 1), 100);
    assert_int_equal(bull_backoff_ms(&twice, 4, 1), 800);
    assert_int_equal(bull_backoff_ms(&twice, 1000, 0), BULL_DELAY_MOST_MS);
    assert_int_equal(bull_backoff_ms(&chance, 2, 0), 200);
    assert_int_equal(bull_backoff_ms(&chance, 2, 1), 100);
}

static void data_are_an_object_or_nothing(void **state)
{
    (void)state;
    json_t *v = bull_data_parse("{\"a\":1}", 7);
    assert_int_equal(json_int(v, "a", 0), 1);
    json_decref(v);
    assert_null(bull_data_parse("[]", 2));
    assert_null(bull_data_parse("\"a\"", 3));
    assert_null(bull_data_parse("{\"a\":\"\\u0000\"}", 14));
    assert_null(bull_data_parse("", 0));
}

static void ids_tell_whose_they_may_be(void **state)
{
    (void)state;
    static const char *const ours[] = {"onboard-job-1", "0f8fad5b-d9cb-469f-a165-70867728950e-1", "a.b_c"};
    static const char *const theirs[] = {"", "1", "42", "12-3", "repeat:x:1", "a b", "caf\xc3\xa9"};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        assert_true(bull_id_is_ours(ours[i], strlen(ours[i])));
    for (size_t i = 0; i < sizeof theirs / sizeof theirs[0]; i++)
        assert_false(bull_id_is_ours(theirs[i], strlen(theirs[i])));
    assert_false(bull_id_is_ours("a\0b", 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_bullmq_writes_is_understood),
        cmocka_unit_test(what_is_left_out_is_as_in_bullmq),
        cmocka_unit_test(nonsense_counts_as_not_given),
        cmocka_unit_test(numbers_have_bounds),
        cmocka_unit_test(delays_grow_as_bullmqs_do),
        cmocka_unit_test(data_are_an_object_or_nothing),
        cmocka_unit_test(ids_tell_whose_they_may_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
