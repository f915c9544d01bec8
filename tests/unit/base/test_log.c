/* SPDX-License-Identifier: MIT */
/* Standard error is put aside for a pipe or a file while a test logs. */
#include "base/log.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static int kept_stderr = -1, capture = -1;

static void begin_capture(void)
{
    capture = memfd_create("log", MFD_CLOEXEC);
    kept_stderr = dup(STDERR_FILENO);
    assert_true(capture >= 0 && kept_stderr >= 0);
    assert_true(dup2(capture, STDERR_FILENO) >= 0);
}

/* What was logged since; the caller frees. */
static char *end_capture(void)
{
    struct buf b = BUF_INIT((size_t)64 * 1024 * 1024);
    char piece[8192];
    ssize_t n;
    (void)dup2(kept_stderr, STDERR_FILENO);
    (void)close(kept_stderr);
    assert_true(lseek(capture, 0, SEEK_SET) == 0);
    while ((n = read(capture, piece, sizeof piece)) > 0)
        assert_int_equal(buf_add(&b, piece, (size_t)n), 0);
    (void)close(capture);
    return buf_take(&b, NULL);
}

/* The one line of text as JSON. */
static json_t *one_line(const char *text)
{
    size_t len = strlen(text);
    assert_true(len > 1 && text[len - 1] == '\n');
    assert_ptr_equal(strchr(text, '\n'), text + len - 1);
    json_t *line = json_parse(text, len - 1);
    assert_non_null(line);
    return line;
}

static void an_event_is_one_line_with_its_fields(void **state)
{
    (void)state;
    log_configure(LOG_INFO, true);
    begin_capture();
    log_event(LOG_WARN, "upstream failed", LOG_S("model", "m\"1\n\x01"), LOG_N("status", -500),
              LOG_S("none", NULL));
    _cleanup_free_ char *text = end_capture();
    _cleanup_json_ json_t *line = one_line(text);
    assert_string_equal(json_str(line, "level", ""), "warn");
    assert_string_equal(json_str(line, "msg", ""), "upstream failed");
    assert_string_equal(json_str(line, "model", ""), "m\"1\n\x01");
    assert_int_equal(json_int(line, "status", 0), -500);
    assert_int_equal(json_object_size(line), 5); /* with the time; what is NULL is left out */
    assert_int_equal(strlen(json_str(line, "time", "")), 24);
}

static void lesser_events_are_left_out(void **state)
{
    (void)state;
    for (int least = LOG_DEBUG; least <= LOG_ERROR; least++) {
        log_configure((enum log_level)least, true);
        begin_capture();
        for (int level = LOG_DEBUG; level <= LOG_ERROR; level++)
            log_event((enum log_level)level, "x");
        _cleanup_free_ char *text = end_capture();
        int lines = 0;
        for (const char *s = text; (s = strchr(s, '\n')); s++)
            lines++;
        assert_int_equal(lines, LOG_ERROR - least + 1);
    }
    log_configure(LOG_INFO, true);
}

static void the_text_form_is_one_line_too(void **state)
{
    (void)state;
    log_configure(LOG_INFO, false);
    begin_capture();
    log_event(LOG_ERROR, "first\nsecond", LOG_S("path", "/a b\r\nc\""), LOG_N("n", 3));
    _cleanup_free_ char *text = end_capture();
    log_configure(LOG_INFO, true);
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    assert_null(strchr(text, '\r'));
    assert_non_null(strstr(text, " error first path=\"/a b\\r\\nc\\\"\" n=3\n"));
}

static void each_thread_has_its_own_request(void **state)
{
    char longer[100];
    (void)state;
    memset(longer, 'r', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    begin_capture();
    log_set_request(longer);
    log_event(LOG_INFO, "with");
    _cleanup_free_ char *with = end_capture();
    begin_capture();
    log_set_request(NULL);
    log_event(LOG_INFO, "without");
    _cleanup_free_ char *without = end_capture();
    _cleanup_json_ json_t *a = one_line(with), *b = one_line(without);
    assert_int_equal(strlen(json_str(a, "request_id", "")), 64);
    assert_null(json_object_get(b, "request_id"));
}

static void broken_and_long_texts_still_make_a_line(void **state)
{
    static char text[200000];
    static const char *const units[] = {"x", "\x01", "é", "\"", "\xFF", "😀", "a\xF0\x9F"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        size_t unit = strlen(units[i]), len = 0;
        while (len + unit < sizeof text) {
            memcpy(text + len, units[i], unit);
            len += unit;
        }
        text[len] = '\0';
        begin_capture();
        log_event(LOG_INFO, text, LOG_S("value", text), LOG_N("n", 7));
        _cleanup_free_ char *logged = end_capture();
        assert_true(strlen(logged) <= PIPE_BUF); /* so that a pipe takes it whole */
        _cleanup_json_ json_t *line = one_line(logged);
        assert_true(strlen(json_str(line, "msg", "")) > 100);
        assert_int_equal(json_int(line, "n", 0), 7);
        if (i == 2)
            assert_non_null(
                strstr(json_str(line, "value", ""), "ééé")); /* cut between characters, so not broken */
    }
}

static void a_library_error_is_named_and_returned(void **state)
{
    (void)state;
    begin_capture();
    int r = log_error(-ENOENT, "open store");
    _cleanup_free_ char *text = end_capture();
    _cleanup_json_ json_t *line = one_line(text);
    assert_int_equal(r, -ENOENT);
    assert_string_equal(json_str(line, "msg", ""), "open store");
    assert_string_equal(json_str(line, "error", ""), strerror(ENOENT));
}

#define WRITERS 4
#define LINES 2000

static void *write_lines(void *arg)
{
    char id[16], padding[1500];
    (void)snprintf(id, sizeof id, "t%d", (int)(intptr_t)arg);
    memset(padding, 'a' + (int)(intptr_t)arg, sizeof padding - 1);
    padding[sizeof padding - 1] = '\0';
    log_set_request(id);
    for (int i = 0; i < LINES; i++)
        log_event(LOG_INFO, "line", LOG_N("n", i), LOG_S("padding", i % 3 ? padding : NULL));
    return NULL;
}

/* Reads a pipe slowly enough that it is full now and then. */
static void *read_all(void *arg)
{
    int fd = *(int *)arg;
    struct buf *b = calloc(1, sizeof *b);
    char piece[4096];
    ssize_t n;
    *b = BUF_INIT((size_t)64 * 1024 * 1024);
    while ((n = read(fd, piece, sizeof piece)) > 0)
        if (buf_add(b, piece, (size_t)n) < 0)
            break;
    return b;
}

static void check_lines(struct buf *b)
{
    int next[WRITERS] = {0}, lines = 0;
    for (char *at = b->data, *end; at < b->data + b->len; at = end + 1, lines++) {
        end = memchr(at, '\n', (size_t)(b->data + b->len - at));
        assert_non_null(end);
        _cleanup_json_ json_t *line = json_parse(at, (size_t)(end - at));
        assert_non_null(line);
        int writer = json_str(line, "request_id", "t9")[1] - '0';
        assert_true(writer >= 0 && writer < WRITERS);
        assert_int_equal(json_int(line, "n", -1), next[writer]++);
    }
    assert_int_equal(lines, WRITERS * LINES);
}

/* Several threads into one pipe, blocking or not: whole lines, in each thread's order, none lost. */
static void lines_of_threads_never_mix_nor_get_lost(void **state)
{
    for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
        int fds[2];
        pthread_t writers[WRITERS], reader;
        void *read_back = NULL;
        (void)state;
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        if (nonblocking)
            assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
        kept_stderr = dup(STDERR_FILENO);
        assert_true(dup2(fds[1], STDERR_FILENO) >= 0);
        (void)close(fds[1]);
        assert_int_equal(pthread_create(&reader, NULL, read_all, &fds[0]), 0);
        for (int i = 0; i < WRITERS; i++)
            assert_int_equal(pthread_create(&writers[i], NULL, write_lines, (void *)(intptr_t)i), 0);
        for (int i = 0; i < WRITERS; i++)
            pthread_join(writers[i], NULL);
        (void)dup2(kept_stderr, STDERR_FILENO); /* closes the pipe's last writing end */
        (void)close(kept_stderr);
        pthread_join(reader, &read_back);
        (void)close(fds[0]);
        struct buf *b = read_back;
        check_lines(b);
        buf_free(b);
        free(b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_one_line_with_its_fields),
        cmocka_unit_test(lesser_events_are_left_out),
        cmocka_unit_test(the_text_form_is_one_line_too),
        cmocka_unit_test(each_thread_has_its_own_request),
        cmocka_unit_test(broken_and_long_texts_still_make_a_line),
        cmocka_unit_test(a_library_error_is_named_and_returned),
        cmocka_unit_test(lines_of_threads_never_mix_nor_get_lost),
    };
    return cmocka_run_group_tests_name("base/log", tests, NULL, NULL);
}
