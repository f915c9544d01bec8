/* SPDX-License-Identifier: MIT */
/* Processes that add jobs and processes that do them are killed in the midst of it, again and again. In the
 * end every job that was acknowledged has ended, and what it did counts once.
 *
 * QUEUE_CHAOS_ROUNDS says how often (10). The leases of the dead are ended by hand: else each round would
 * take half a minute. */
#include "jobs.h"

#include "base/uuid.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#define ROUNDS_DEFAULT 10
#define WORKERS 2
#define ADDED_MOST 400 /* by one process */

static unsigned random_below(unsigned limit)
{
    uint32_t random;
    random_bytes(&random, sizeof random);
    return random % limit;
}

/* ---- the processes that die */

static void run(void *ctx, struct queue_work *work)
{
    (void)ctx;
    usleep(random_below(3000));
    if (random_below(10) == 0)
        queue_log(work, "one in ten");
    work->verdict = random_below(20) == 0 ? WORK_LATER : WORK_DONE;
    work->delay_ms = 1;
}

static const struct queue_handler handlers[] = {
    {.queue = QUEUE_MEDIA, .run = run, .moved = write_move},
    QUEUE_HANDLERS_END,
};

/* Says whose claims it makes, and works until it is killed. */
static int be_worker(struct queue *q)
{
    struct queue_worker_options options = {.queue = q, .concurrency = {2, 0, 0}};
    struct queue_worker *worker;
    if (queue_worker_start(&options, &worker) < 0)
        return 1;
    printf("%s\n", q->owner);
    (void)fflush(stdout);
    for (;;)
        (void)pause();
}

/* Adds one job after the other, and writes a dot for each that is acknowledged. */
static void be_adder(struct queue *q, const char *name)
{
    char id[64];
    for (int i = 0; i < ADDED_MOST; i++) {
        (void)snprintf(id, sizeof id, "%s-%d", name, i);
        struct queue_add job = {
            .id = id, .queue = QUEUE_MEDIA, .operation = "x", .priority = (int)random_below(3)};
        if (add_all(q, q->db, &job, 1) < 0)
            break; /* the store is too busy; it may be there all the same */
        (void)!write(STDOUT_FILENO, ".", 1);
        usleep(random_below(2000));
    }
    for (;;)
        (void)pause();
}

static int be(const char *role, const char *path, const char *url, const char *name)
{
    struct db_options options = {.path = path, .readers = 4, .url = url[0] ? url : NULL, .connections = 4};
    struct config cfg = {0};
    struct db *db = NULL;
    struct queue *q = NULL;
    log_configure(LOG_ERROR, true);
    if (db_open(&options, &db) < 0 || queue_open(&cfg, db, &q) < 0)
        return 1;
    queue_set_handlers(q, handlers);
    if (strcmp(role, "worker") == 0)
        return be_worker(q);
    be_adder(q, name);
    return 0;
}

/* ---- the test's side of them */

struct process {
    pid_t pid;
    int out;
    char owner[UUID_SIZE];
};

static struct process spawn(struct jobs *k, const char *role, const char *name)
{
    int ends[2];
    struct process p = {0};
    assert_int_equal(pipe(ends), 0);
    p.pid = fork();
    assert_true(p.pid >= 0);
    if (p.pid == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)close(ends[0]);
        (void)close(ends[1]);
        execl("/proc/self/exe", "test_chaos", role, k->store->path, store_is_postgres() ? k->store->url : "",
              name, (char *)NULL);
        _exit(127);
    }
    (void)close(ends[1]);
    p.out = ends[0];
    return p;
}

/* Waits for `size` bytes of what it says; fails the test if it ends before. */
static void read_all(struct process *p, char *to, size_t size)
{
    for (size_t got = 0; got < size;) {
        struct pollfd look = {.fd = p->out, .events = POLLIN};
        assert_int_equal(poll(&look, 1, PATIENCE_MS), 1);
        ssize_t n = read(p->out, to + got, size - got);
        assert_true(n > 0);
        got += (size_t)n;
    }
}

static struct process spawn_worker(struct jobs *k)
{
    struct process p = spawn(k, "worker", "");
    char line[UUID_LEN + 1];
    read_all(&p, line, sizeof line);
    memcpy(p.owner, line, UUID_LEN);
    assert_true(uuid_valid(p.owner));
    return p;
}

/* Kills it; how many dots it had written. */
static int kill_now(struct process *p)
{
    char dots[256];
    int sum = 0, status;
    assert_int_equal(kill(p->pid, SIGKILL), 0);
    assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
    assert_true(WIFSIGNALED(status)); /* it had not failed by itself */
    for (ssize_t n; (n = read(p->out, dots, sizeof dots)) > 0;)
        sum += (int)n;
    (void)close(p->out);
    return sum;
}

static void end_leases_of(struct jobs *k, const struct process *dead)
{
    run_sql(k->db,
            "UPDATE queue_jobs SET lease_until = '2020-01-01T00:00:00.000Z' WHERE state = 'active'"
            " AND lease_owner LIKE '%s-%%'",
            dead->owner);
}

/* ---- */

#define ENDS "move IN ('completed', 'failed')"

static void check_round(struct jobs *k, int round, int acknowledged)
{
    int64_t ended = count_sql(
        k->db, "SELECT count(DISTINCT job) FROM moves WHERE " ENDS " AND job LIKE 'round%d-%%'", round);
    if (ended != acknowledged && ended != acknowledged + 1) /* one may have been added and not said so */
        fail_msg("round %d: %lld ended, %d were acknowledged", round, (long long)ended, acknowledged);
}

static int rounds_wanted(void)
{
    const char *given = getenv("QUEUE_CHAOS_ROUNDS");
    return given ? atoi(given) : ROUNDS_DEFAULT;
}

static void play_round(struct jobs *k, int round, struct process workers[WORKERS], int *ret_acknowledged)
{
    char name[32];
    (void)snprintf(name, sizeof name, "round%d", round);
    struct process adder = spawn(k, "adder", name);
    char first;
    read_all(&adder, &first, 1);
    usleep(random_below(150000));
    *ret_acknowledged = 1;
    if (round % 2)
        *ret_acknowledged += kill_now(&adder);
    struct process *victim = &workers[random_below(WORKERS)];
    (void)kill_now(victim);
    end_leases_of(k, victim);
    if (round % 2 == 0)
        *ret_acknowledged += kill_now(&adder);
    *victim = spawn_worker(k);
}

static void await_all_ended(struct jobs *k)
{
    static const char left[] =
        "SELECT count(*) FROM queue_jobs WHERE state IN ('waiting', 'delayed', 'active')";
    int64_t until = clock_monotonic_ms() + 2 * PATIENCE_MS;
    while (store_int(k->db, left) > 0) {
        if (clock_monotonic_ms() > until)
            fail_msg("%lld jobs don't end", (long long)store_int(k->db, left));
        usleep(20000);
    }
}

static void what_was_acknowledged_ends_once(void **state)
{
    struct jobs k = {0};
    struct process workers[WORKERS];
    int rounds = rounds_wanted();
    int *acknowledged = calloc((size_t)rounds, sizeof *acknowledged);
    (void)state;
    assert_non_null(acknowledged);
    set_up_jobs(&k, handlers);
    for (int i = 0; i < WORKERS; i++)
        workers[i] = spawn_worker(&k);
    for (int round = 0; round < rounds; round++)
        play_round(&k, round, workers, &acknowledged[round]);
    await_all_ended(&k);
    for (int i = 0; i < WORKERS; i++)
        (void)kill_now(&workers[i]);
    int sum = 0;
    for (int round = 0; round < rounds; round++) {
        check_round(&k, round, acknowledged[round]);
        sum += acknowledged[round];
    }
    assert_int_equal(count_sql(k.db, "SELECT count(*) FROM (SELECT job FROM moves WHERE " ENDS
                                     " GROUP BY job HAVING count(*) > 1) AS twice"),
                     0);
    /* who was killed with it four times is the only way to fail here */
    assert_int_equal(
        count_sql(k.db,
                  "SELECT count(*) FROM moves WHERE move = 'failed' AND error <> '" QUEUE_ERROR_STALLED "'"),
        0);
    print_message("%d rounds, %d jobs acknowledged, %lld claims, %lld came back, %lld stalled too often\n",
                  rounds, sum, (long long)moves(&k, NULL, "started"), (long long)moves(&k, NULL, "returned"),
                  (long long)moves(&k, NULL, "failed"));
    free(acknowledged);
    tear_down_jobs(&k);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_was_acknowledged_ends_once)};
    if (argc == 5)
        return be(argv[1], argv[2], argv[3], argv[4]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
