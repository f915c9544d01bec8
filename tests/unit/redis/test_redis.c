/* SPDX-License-Identifier: MIT */
#include "fake.h"

#include "base/log.h"

#include <errno.h>
#include <pthread.h>

struct fixture {
    struct redis_server server;
    struct redis *redis;
};

static struct redis *open_url(const char *url)
{
    struct redis *r = NULL;
    struct redis_address address;
    struct arena a;
    const char *why;
    arena_init(&a, 65536);
    assert_int_equal(redis_address_parse(url, &a, &address, &why), 0);
    assert_int_equal(redis_open(&address, &r), 0);
    arena_free(&a);
    return r;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    log_configure(LOG_ERROR, true);
    server_start(&f->server);
    f->redis = open_url(f->server.url);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    redis_close(f->redis);
    server_remove(&f->server);
    free(f);
    return 0;
}

static int say(struct redis *r, const char *a, const char *b, const char *c, redisReply **ret)
{
    struct redis_args args = {0};
    redis_arg(&args, a);
    if (b)
        redis_arg(&args, b);
    if (c)
        redis_arg(&args, c);
    return redis_call(r, REDIS_COMMAND_MS, &args, ret);
}

/* Tries until it is well again. */
static void await_well(struct redis *r)
{
    int64_t until = clock_monotonic_ms() + SERVER_PATIENCE_MS;
    while (say(r, "PING", NULL, NULL, NULL) < 0) {
        assert_true(clock_monotonic_ms() < until);
        usleep(10000);
    }
}

static void commands_carry_any_bytes(void **state)
{
    struct fixture *f = *state;
    struct redis_args args = {0};
    redisReply *reply = NULL;
    redis_arg(&args, "SET");
    redis_arg(&args, "k");
    redis_arg_bytes(&args, "a\0b\r\n", 5);
    assert_int_equal(redis_call(f->redis, REDIS_COMMAND_MS, &args, NULL), 0);
    assert_int_equal(say(f->redis, "GET", "k", NULL, &reply), 0);
    assert_int_equal(reply->len, 5);
    assert_memory_equal(reply->str, "a\0b\r\n", 5);
    freeReplyObject(reply);
}

static void more_arguments_than_fit_are_refused(void **state)
{
    struct fixture *f = *state;
    struct redis_args args = {0};
    for (int i = 0; i <= REDIS_ARGS_MOST; i++)
        redis_arg(&args, "x");
    assert_int_equal(redis_call(f->redis, REDIS_COMMAND_MS, &args, NULL), -E2BIG);
}

static void a_server_that_was_killed_is_found_again(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(say(f->redis, "SET", "k", "v", NULL), 0);
    server_kill(&f->server);
    assert_true(say(f->redis, "GET", "k", NULL, NULL) < 0);
    assert_int_equal(say(f->redis, "GET", "k", NULL, NULL), -ECONNREFUSED);
    assert_false(redis_is_up(f->redis));
    assert_true(server_resume(&f->server));
    await_well(f->redis);
    assert_true(redis_is_up(f->redis));
    redisReply *reply = NULL;
    assert_int_equal(say(f->redis, "GET", "k", NULL, &reply), 0);
    assert_string_equal(reply->str, "v");
    freeReplyObject(reply);
}

static void an_idle_connection_that_was_closed_is_replaced(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(say(f->redis, "PING", NULL, NULL, NULL), 0);
    assert_true(server_number(&f->server, "CLIENT KILL TYPE normal SKIPME yes") >= 1);
    assert_int_equal(say(f->redis, "PING", NULL, NULL, NULL), 0);
}

static void a_silent_server_costs_the_limit_and_no_more(void **state)
{
    struct fixture *f = *state;
    struct redis_args args = {0};
    assert_int_equal(say(f->redis, "PING", NULL, NULL, NULL), 0);
    server_stop(&f->server);
    redis_arg(&args, "PING");
    assert_int_equal(redis_call(f->redis, 200, &args, NULL), -ETIMEDOUT);
    assert_int_equal(kill(f->server.pid, SIGCONT), 0);
    await_well(f->redis);
}

static void *wait_for_item(void *arg)
{
    struct redis_args args = {0};
    redis_arg(&args, "BLPOP");
    redis_arg(&args, "list");
    redis_arg(&args, "0");
    return redis_call(arg, SERVER_PATIENCE_MS, &args, NULL) == 0 ? NULL : arg;
}

/* A silence on one connection says nothing of another, which was lent before and is answered. */
static void any_answer_tells_that_it_is_well(void **state)
{
    struct fixture *f = *state;
    pthread_t waiter;
    void *failed = NULL;
    struct redis_args args = {0};
    assert_int_equal(pthread_create(&waiter, NULL, wait_for_item, f->redis), 0);
    int64_t until = clock_monotonic_ms() + SERVER_PATIENCE_MS;
    while (!server_blocks_one(&f->server) && clock_monotonic_ms() < until)
        usleep(2000);
    redis_arg(&args, "BLPOP");
    redis_arg(&args, "another");
    redis_arg(&args, "0");
    assert_int_equal(redis_call(f->redis, 50, &args, NULL), -ETIMEDOUT);
    assert_false(redis_is_up(f->redis));
    assert_int_equal(server_number(&f->server, "LPUSH list item"), 1);
    assert_int_equal(pthread_join(waiter, &failed), 0);
    assert_null(failed);
    assert_true(redis_is_up(f->redis));
}

static void a_script_is_known_again_after_a_restart(void **state)
{
    struct fixture *f = *state;
    static const char text[] = "return {KEYS[1], ARGV[1], #ARGV}";
    struct redis_script script = {.name = "test", .text = text, .len = sizeof text - 1};
    assert_int_equal(redis_script_init(&script), 0);
    for (int i = 0; i < 3; i++) {
        redisReply *reply = NULL;
        struct redis_args args = {0};
        redis_arg(&args, "one");
        redis_arg_int(&args, 42);
        assert_int_equal(redis_eval(f->redis, REDIS_COMMAND_MS, &script, "key", &args, &reply), 0);
        assert_string_equal(reply->element[0]->str, "key");
        assert_string_equal(reply->element[1]->str, "one");
        assert_int_equal(reply->element[2]->integer, 2);
        freeReplyObject(reply);
        if (i == 1)
            assert_true(server_number(&f->server, "SCRIPT FLUSH") >= 0);
    }
}

static void refusals_have_errors_of_their_own(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(server_number(&f->server, "CONFIG SET min-replicas-to-write 3"), 0);
    assert_int_equal(say(f->redis, "SET", "k", "v", NULL), -EAGAIN);
    assert_int_equal(server_number(&f->server, "CONFIG SET min-replicas-to-write 0"), 0);
    assert_int_equal(say(f->redis, "SET", "k", "v", NULL), 0);
    log_configure(LOG_ERROR + 1, true);
    assert_int_equal(say(f->redis, "LPUSH", "k", "v", NULL), -EPROTO);
    log_configure(LOG_ERROR, true);
    assert_int_equal(say(f->redis, "PING", NULL, NULL, NULL),
                     0); /* none of them is the end of a connection */
}

static void only_the_right_password_lets_in(void **state)
{
    struct fixture *f = *state;
    char url[128];
    assert_int_equal(server_number(&f->server, "ACL SETUSER worker on >s3cret ~* +@all"), 0);
    assert_int_equal(server_number(&f->server, "CONFIG SET requirepass other"), 0);
    log_configure(LOG_ERROR + 1, true);
    struct redis *nobody = open_url(f->server.url);
    assert_int_equal(say(nobody, "PING", NULL, NULL, NULL), -EACCES);
    redis_close(nobody);
    (void)snprintf(url, sizeof url, "redis://worker:wrong@127.0.0.1:%d", f->server.port);
    struct redis *wrong = open_url(url);
    assert_int_equal(say(wrong, "PING", NULL, NULL, NULL), -EACCES);
    redis_close(wrong);
    log_configure(LOG_ERROR, true);
    (void)snprintf(url, sizeof url, "redis://worker:s3cret@127.0.0.1:%d/2", f->server.port);
    struct redis *right = open_url(url);
    assert_int_equal(say(right, "SET", "here", "v", NULL), 0);
    redis_close(right);
    assert_int_equal(server_number(&f->server, "SELECT 2"), 0);
    assert_int_equal(server_number(&f->server, "EXISTS here"), 1);
}

static void *ping_often(void *arg)
{
    for (int i = 0; i < 100; i++)
        if (say(arg, "PING", NULL, NULL, NULL) < 0)
            return arg;
    return NULL;
}

static void threads_share_it(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[24];
    for (int i = 0; i < 24; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ping_often, f->redis), 0);
    for (int i = 0; i < 24; i++) {
        void *failed = NULL;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
}

static void who_waits_has_a_connection_of_its_own(void **state)
{
    struct fixture *f = *state;
    struct redis_conn *c = NULL;
    struct redis_args args = {0};
    redisReply *reply = NULL;
    assert_int_equal(redis_connect(f->redis, &c), 0);
    redis_arg(&args, "BLPOP");
    redis_arg(&args, "list");
    redis_arg(&args, "0.05");
    assert_int_equal(redis_conn_call(c, 5000, &args, &reply), 0);
    assert_int_equal(reply->type, REDIS_REPLY_NIL);
    freeReplyObject(reply);
    server_kill(&f->server);
    assert_true(redis_conn_call(c, 5000, &args, &reply) < 0);
    assert_true(redis_conn_lost(c));
    redis_disconnect(c);
}

/* ---- answers that no Redis gives */

static void an_answer_that_comes_drop_by_drop_has_the_same_limit(void **state)
{
    (void)state;
    static char text[4096] = "$4000\r\n";
    struct fake f;
    memset(text + 7, 'x', sizeof text - 8);
    fake_start(&f);
    assert_int_equal(fake_call(&f, 500, text, sizeof text - 1, 20000, NULL), -ETIMEDOUT);
    assert_true(redis_conn_lost(f.conn));
    fake_end(&f);
}

static void a_slow_answer_within_the_limit_is_taken(void **state)
{
    (void)state;
    struct fake f;
    redisReply *reply = NULL;
    fake_start(&f);
    assert_int_equal(fake_call(&f, SERVER_PATIENCE_MS, "*2\r\n:7\r\n$3\r\nabc\r\n", 18, 1000, &reply), 0);
    assert_int_equal(reply->element[0]->integer, 7);
    assert_string_equal(reply->element[1]->str, "abc");
    freeReplyObject(reply);
    fake_end(&f);
}

static void an_answer_that_is_too_large_ends_the_connection(void **state)
{
    (void)state;
    struct fake f;
    size_t size = REDIS_REPLY_MOST + 1024 * 1024;
    char *text = malloc(size);
    assert_non_null(text);
    memset(text, 'x', size);
    memcpy(text, "$400000000\r\n", 12);
    fake_start(&f);
    assert_int_equal(fake_call(&f, SERVER_PATIENCE_MS, text, size, 0, NULL), -EMSGSIZE);
    assert_true(redis_conn_lost(f.conn));
    fake_end(&f);
    free(text);
}

static void an_array_that_is_too_large_is_not_made(void **state)
{
    (void)state;
    static const char *const texts[] = {"*2147483647\r\n", "*40000\r\n*40000\r\n"};
    for (size_t i = 0; i < 2; i++) {
        struct fake f;
        fake_start(&f);
        assert_int_equal(fake_call(&f, SERVER_PATIENCE_MS, texts[i], strlen(texts[i]), 0, NULL), -EMSGSIZE);
        fake_end(&f);
    }
}

static void what_is_no_answer_ends_the_connection(void **state)
{
    (void)state;
    static const char *const texts[] = {"HTTP/1.1 400 Bad Request\r\n\r\n", "$-7\r\n", "*-9\r\n",
                                        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n"};
    for (size_t i = 0; i < 4; i++) {
        struct fake f;
        fake_start(&f);
        assert_int_equal(fake_call(&f, SERVER_PATIENCE_MS, texts[i], strlen(texts[i]), 0, NULL), -EIO);
        assert_true(redis_conn_lost(f.conn));
        fake_end(&f);
    }
}

static void half_an_answer_is_none(void **state)
{
    (void)state;
    struct fake f;
    struct redis_args args = {0};
    redis_arg(&args, "PING");
    fake_start(&f);
    assert_int_equal(send(f.fd, "$10\r\nhalf", 9, 0), 9);
    assert_int_equal(shutdown(f.fd, SHUT_WR), 0);
    assert_int_equal(redis_conn_call(f.conn, SERVER_PATIENCE_MS, &args, NULL), -EIO);
    fake_end(&f);
}

static void an_answer_that_nobody_asked_for_is_given_to_nobody(void **state)
{
    (void)state;
    struct fake f;
    fake_start(&f);
    assert_int_equal(fake_call(&f, SERVER_PATIENCE_MS, "+ONE\r\n+TWO\r\n", 12, 0, NULL), -EIO);
    assert_true(redis_conn_lost(f.conn));
    fake_end(&f);
}

/* Before 7, what a script's command is refused for stands behind other words. */
static void refusals_inside_scripts_are_known_in_every_version(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int r;
        bool lost;
    } known[] = {
        {"-OOM command not allowed when used memory > 'maxmemory'.\r\n", -EAGAIN, false},
        {"-LOADING Redis is loading the dataset in memory\r\n", -EAGAIN, false},
        {"-ERR max number of clients reached\r\n", -EAGAIN, false},
        {"-DENIED Redis is running in protected mode\r\n", -EACCES, false},
        {"-ERR Error running script (call to f_1): @user_script: 9: -OOM command not allowed\r\n", -EAGAIN,
         false},
        {"-READONLY You can't write against a read only replica.\r\n", -EAGAIN, true},
        {"-ERR Error running script (call to f_1): @user_script:1: -READONLY You can't write\r\n", -EAGAIN,
         true},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct fake f;
        fake_start(&f);
        assert_int_equal(fake_call(&f, SERVER_PATIENCE_MS, known[i].text, strlen(known[i].text), 0, NULL),
                         known[i].r);
        assert_int_equal(redis_conn_lost(f.conn), known[i].lost);
        fake_end(&f);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(commands_carry_any_bytes),
        TEST(more_arguments_than_fit_are_refused),
        TEST(a_server_that_was_killed_is_found_again),
        TEST(an_idle_connection_that_was_closed_is_replaced),
        TEST(a_silent_server_costs_the_limit_and_no_more),
        TEST(any_answer_tells_that_it_is_well),
        TEST(a_script_is_known_again_after_a_restart),
        TEST(refusals_have_errors_of_their_own),
        TEST(only_the_right_password_lets_in),
        TEST(threads_share_it),
        TEST(who_waits_has_a_connection_of_its_own),
        cmocka_unit_test(an_answer_that_comes_drop_by_drop_has_the_same_limit),
        cmocka_unit_test(a_slow_answer_within_the_limit_is_taken),
        cmocka_unit_test(an_answer_that_is_too_large_ends_the_connection),
        cmocka_unit_test(an_array_that_is_too_large_is_not_made),
        cmocka_unit_test(what_is_no_answer_ends_the_connection),
        cmocka_unit_test(half_an_answer_is_none),
        cmocka_unit_test(an_answer_that_nobody_asked_for_is_given_to_nobody),
        cmocka_unit_test(refusals_inside_scripts_are_known_in_every_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
