/* SPDX-License-Identifier: MIT */
#include "base/metrics.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void *add_often(void *arg)
{
    (void)arg;
    for (int i = 0; i < 10000; i++) {
        metric_add(METRIC_CHATS, 1);
        metric_add(METRIC_HTTP_CONNECTIONS, i % 2 ? -1 : 1);
    }
    return NULL;
}

static void changes_of_many_threads_add_up(void **state)
{
    pthread_t threads[4];
    int64_t chats = metric_get(METRIC_CHATS), open = metric_get(METRIC_HTTP_CONNECTIONS);
    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_often, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(metric_get(METRIC_CHATS), chats + 40000);
    assert_int_equal(metric_get(METRIC_HTTP_CONNECTIONS), open);
}

/* Whether a sample's family was announced with HELP and TYPE before it. */
static void check_announced(const char *text, const char *sample, size_t name_len)
{
    char line[200];
    (void)snprintf(line, sizeof line, "# TYPE %.*s ", (int)name_len, sample);
    const char *type = strstr(text, line);
    (void)snprintf(line, sizeof line, "# HELP %.*s ", (int)name_len, sample);
    const char *help = strstr(text, line);
    assert_true(help && type && help < type && type < sample);
    assert_null(strstr(type + 1, line)); /* once a family */
}

static void the_text_is_prometheus_format(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(64 * 1024);
    int samples = 0;
    (void)state;
    metric_add(METRIC_HTTP_4XX, 3);
    assert_int_equal(metrics_write(&b), 0);
    assert_int_equal(b.data[b.len - 1], '\n');
    for (const char *line = b.data; *line; line = strchr(line, '\n') + 1) {
        if (*line == '#')
            continue;
        size_t name = strspn(line, "abcdefghijklmnopqrstuvwxyz0123456789_"), value = strcspn(line, " ");
        assert_true(name > 0 && strncmp(line, "genie_", 6) == 0);
        assert_true(line[name] == ' ' || (line[name] == '{' && line[value - 1] == '}'));
        size_t digits = strspn(line + value + 1, "-0123456789");
        assert_true(digits > 0 && line[value + 1 + digits] == '\n');
        check_announced(b.data, line, name);
        samples++;
    }
    assert_int_equal(samples, METRIC_COUNT);
    assert_non_null(strstr(b.data, "\ngenie_http_responses_total{class=\"4xx\"} 3\n"));
}

static void too_small_a_buffer_is_an_error(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(100);
    (void)state;
    assert_int_equal(metrics_write(&b), -ENOBUFS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_of_many_threads_add_up),
        cmocka_unit_test(the_text_is_prometheus_format),
        cmocka_unit_test(too_small_a_buffer_is_an_error),
    };
    return cmocka_run_group_tests_name("base/metrics", tests, NULL, NULL);
}
