/* SPDX-License-Identifier: MIT */
/* Real programs of the base system stand for all others; `sh` is named as a program like any other. */
#include "proc/process.h"

#include "base/buf.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 30000
#define OUTPUT_MOST (4 * 1024 * 1024)

struct outcome {
    struct process_end end;
    struct buf out, err;
};

static void collect(void *ctx, enum process_stream from, const char *data, size_t len)
{
    struct outcome *o = ctx;
    (void)buf_add(from == PROCESS_STDOUT ? &o->out : &o->err, data, len);
}

static int run_spec(struct process_spec spec, struct outcome *o)
{
    *o = (struct outcome){.out = BUF_INIT(OUTPUT_MOST), .err = BUF_INIT(OUTPUT_MOST)};
    spec.limit_ms = spec.limit_ms ? spec.limit_ms : PATIENCE_MS;
    spec.output = collect;
    spec.ctx = o;
    return process_run(&spec, &o->end);
}

static void outcome_free(struct outcome *o)
{
    buf_free(&o->out);
    buf_free(&o->err);
}

#define ARGV(...) \
    (const char *const[]) \
    { \
        __VA_ARGS__, NULL \
    }

static void output_and_exit_status_come_back(void **state)
{
    (void)state;
    struct outcome o;
    assert_int_equal(
        run_spec((struct process_spec){.argv = ARGV("sh", "-c", "echo one; echo two >&2; exit 7")}, &o), 0);
    assert_int_equal(o.end.how, PROCESS_EXITED);
    assert_int_equal(o.end.code, 7);
    assert_string_equal(buf_str(&o.out), "one\n");
    assert_string_equal(buf_str(&o.err), "two\n");
    outcome_free(&o);
}

static void arguments_are_not_read_by_a_shell(void **state)
{
    (void)state;
    struct outcome o;
    assert_int_equal(
        run_spec((struct process_spec){.argv = ARGV("printf", "%s|", "$(id)", "a b", "`;'\"")}, &o), 0);
    assert_string_equal(buf_str(&o.out), "$(id)|a b|`;'\"|");
    outcome_free(&o);
}

static void nothing_of_ours_is_inherited(void **state)
{
    (void)state;
    struct outcome o;
    assert_int_equal(setenv("GENIE_TEST_SECRET", "seen", 1), 0);
    int leak = dup(2); /* without close-on-exec */
    assert_true(leak > 2);
    assert_int_equal(run_spec((struct process_spec){.argv = ARGV("sh", "-c", "env; ls /proc/self/fd"),
                                                    .env = ARGV("GIVEN=this"),
                                                    .dir = "/tmp"},
                              &o),
                     0);
    const char *out = buf_str(&o.out);
    assert_null(strstr(out, "GENIE_TEST_SECRET"));
    assert_non_null(strstr(out, "GIVEN=this\n"));
    assert_non_null(strstr(out, "HOME=/tmp\n"));
    assert_non_null(strstr(out, "PATH="));
    assert_non_null(strstr(out, "\n0\n1\n2\n3\n")); /* 3 is ls's own look at the folder */
    assert_null(strstr(out, "\n4\n"));
    (void)close(leak);
    outcome_free(&o);
}

static void input_is_read_and_large_output_arrives_whole(void **state)
{
    (void)state;
    struct outcome o;
    size_t len = (size_t)3 * 1024 * 1024;
    char *text = malloc(len);
    assert_non_null(text);
    memset(text, 'x', len);
    assert_int_equal(
        run_spec((struct process_spec){.argv = ARGV("cat"), .input = text, .input_len = len}, &o), 0);
    assert_int_equal(o.out.len, len);
    assert_memory_equal(o.out.data, text, len);
    outcome_free(&o);
    /* and a program that doesn't read makes nobody wait */
    assert_int_equal(
        run_spec((struct process_spec){.argv = ARGV("true"), .input = text, .input_len = len}, &o), 0);
    assert_int_equal(o.end.code, 0);
    outcome_free(&o);
    free(text);
}

static void what_can_not_be_started_is_told(void **state)
{
    (void)state;
    struct outcome o;
    assert_int_equal(run_spec((struct process_spec){.argv = ARGV("no-such-program-here")}, &o), -ENOENT);
    assert_int_equal(run_spec((struct process_spec){.argv = ARGV("/etc/passwd")}, &o), -EACCES);
    assert_int_equal(run_spec((struct process_spec){.argv = ARGV("true"), .dir = "/no/such/dir"}, &o),
                     -ENOENT);
}

/* Whether the process whose number the program printed is gone; a moment may pass until it is. */
static bool is_gone(const char *number)
{
    pid_t pid = (pid_t)strtol(number, NULL, 10);
    assert_true(pid > 1);
    for (int i = 0; i < 3000; i++) {
        if (kill(pid, 0) < 0 && errno == ESRCH)
            return true;
        (void)usleep(10000);
    }
    return false;
}

static void time_is_limited_for_the_whole_group(void **state)
{
    (void)state;
    struct outcome o;
    assert_int_equal(run_spec((struct process_spec){.argv = ARGV("sh", "-c", "sleep 1000 & echo $!; wait"),
                                                    .limit_ms = 300},
                              &o),
                     0);
    assert_int_equal(o.end.how, PROCESS_TIMED_OUT);
    assert_true(is_gone(buf_str(&o.out)));
    outcome_free(&o);
}

static void what_a_program_leaves_behind_is_ended(void **state)
{
    (void)state;
    struct outcome o;
    assert_int_equal(
        run_spec((struct process_spec){.argv = ARGV("sh", "-c", "sleep 1000 & echo $!; exit 3")}, &o), 0);
    assert_int_equal(o.end.how, PROCESS_EXITED);
    assert_int_equal(o.end.code, 3);
    assert_true(is_gone(buf_str(&o.out)));
    outcome_free(&o);
}

static void *raise_soon(void *arg)
{
    (void)usleep(100000);
    cancel_raise(arg);
    return NULL;
}

static void a_cancel_ends_it(void **state)
{
    (void)state;
    struct outcome o;
    struct cancel cancel = {0};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, raise_soon, &cancel), 0);
    /* one that ignores what may be ignored */
    assert_int_equal(
        run_spec(
            (struct process_spec){.argv = ARGV("sh", "-c", "trap '' TERM INT HUP; while :; do sleep 1; done"),
                                  .cancel = &cancel},
            &o),
        0);
    pthread_join(thread, NULL);
    assert_int_equal(o.end.how, PROCESS_CANCELLED);
    outcome_free(&o);
}

static void limits_hold(void **state)
{
    (void)state;
    struct outcome o;
    char dir[] = "/tmp/genie-process-XXXXXX";
    assert_non_null(mkdtemp(dir));
    assert_int_equal(
        run_spec((struct process_spec){.argv = ARGV("dd", "if=/dev/zero", "of=big", "bs=1024", "count=1024"),
                                       .dir = dir,
                                       .max_file = 4096},
                 &o),
        0);
    assert_int_equal(o.end.how, PROCESS_KILLED);
    assert_int_equal(o.end.code, SIGXFSZ);
    outcome_free(&o);
    assert_int_equal(run_spec((struct process_spec){.argv = ARGV("dd", "if=/dev/zero", "of=/dev/null",
                                                                 "bs=512M", "count=1"),
                                                    .max_memory = (int64_t)64 * 1024 * 1024},
                              &o),
                     0);
    assert_int_equal(o.end.how, PROCESS_EXITED);
    assert_int_not_equal(o.end.code, 0);
    outcome_free(&o);
    char big[64];
    (void)snprintf(big, sizeof big, "%s/big", dir);
    (void)unlink(big);
    (void)rmdir(dir);
}

static void *run_one(void *arg)
{
    struct outcome o;
    int *good = arg;
    *good = run_spec((struct process_spec){.argv = ARGV("sh", "-c", "echo here")}, &o) == 0 &&
            o.end.code == 0 && strcmp(buf_str(&o.out), "here\n") == 0;
    outcome_free(&o);
    return NULL;
}

static void several_run_at_a_time(void **state)
{
    (void)state;
    pthread_t threads[16];
    int good[16] = {0};
    for (int i = 0; i < 16; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_one, &good[i]), 0);
    for (int i = 0; i < 16; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(good[i], 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_and_exit_status_come_back),
        cmocka_unit_test(arguments_are_not_read_by_a_shell),
        cmocka_unit_test(nothing_of_ours_is_inherited),
        cmocka_unit_test(input_is_read_and_large_output_arrives_whole),
        cmocka_unit_test(what_can_not_be_started_is_told),
        cmocka_unit_test(time_is_limited_for_the_whole_group),
        cmocka_unit_test(what_a_program_leaves_behind_is_ended),
        cmocka_unit_test(a_cancel_ends_it),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(several_run_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
