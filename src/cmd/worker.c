/* SPDX-License-Identifier: MIT */
/* genie worker: does the queues' jobs without a server, beside others that do, on this machine or (with a
 * PostgreSQL) another. The first SIGTERM or SIGINT: no more jobs are begun, those that run have QUEUE_STOP_MS
 * to end, less a remainder in which they are cancelled and handed back; a second one hands back at once. */
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/handlers.h"
#include "files/files.h"
#include "llm/llm.h"
#include "queue/worker.h"
#include "quota/quota.h"
#include "retrieval/retrieval.h"
#include "vault/vault.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#define HAND_BACK_MS 8000 /* what handlers have to return once they are cancelled */
#define SETTLE_MS 5000    /* what is left then for the last ends */
#define LOOK_MS 100

struct running {
    struct job_services services;
    struct handlers *handlers;
    struct queue_worker *worker;
};

/* ---- signals */

static void block_signals(sigset_t *ret)
{
    static const int blocked[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGXFSZ};
    sigemptyset(ret);
    for (size_t i = 0; i < ARRAY_LEN(blocked); i++)
        sigaddset(ret, blocked[i]);
    pthread_sigmask(SIG_BLOCK, ret, NULL);
    sigdelset(ret, SIGPIPE); /* never awaited: what they tell is an error of its own */
    sigdelset(ret, SIGXFSZ);
}

static void wait_for_end(struct quota *quota, const sigset_t *signals)
{
    int got = 0;
    while (sigwait(signals, &got) != 0 || got == SIGHUP)
        if (got == SIGHUP)
            (void)quota_reload(quota);
    log_event(LOG_INFO, "stopping", LOG_S("signal", strsignal(got)));
}

/* Lets what runs go on until it has ended, its time is over, or another signal comes. */
static void wait_for_jobs(struct queue_worker *worker, const sigset_t *signals, int64_t until_ms)
{
    static const struct timespec look = {.tv_nsec = LOOK_MS * 1000000L};
    queue_worker_quiesce(worker);
    while (queue_worker_running(worker) > 0 && clock_monotonic_ms() < until_ms) {
        int got = sigtimedwait(signals, NULL, &look);
        if (got == SIGTERM || got == SIGINT)
            return;
    }
}

/* ---- services */

static int open_services(struct running *run)
{
    struct job_services *s = &run->services;
    int r = queue_open(s->cfg, s->db, &s->queue);
    if (r == 0)
        r = quota_open(s->cfg, s->db, &s->quota);
    if (r == 0)
        r = files_open(s->cfg, s->db, &s->files);
    if (r == 0)
        r = llm_open(s->cfg, &s->llm);
    if (r == 0)
        r = retrieval_open(s->cfg, s->db, s->llm, &s->retrieval);
    return r == 0 ? handlers_open(s, &run->handlers) : r;
}

static void close_services(struct running *run)
{
    struct job_services *s = &run->services;
    if (s->queue)
        queue_stop(s->queue);
    handlers_close(run->handlers);
    queue_close(s->queue);
    if (s->retrieval)
        retrieval_close(s->retrieval);
    if (s->llm)
        llm_close(s->llm);
    files_close(s->files);
    if (s->quota)
        quota_close(s->quota);
}

static int open_vault(struct running *run)
{
    char why[256] = "out of memory";
    return vault_open(run->services.cfg, &run->services.vault, why, sizeof why) < 0 ? cmd_fail("%s", why) : 0;
}

/* ---- */

static void stop(struct running *run, const sigset_t *signals)
{
    int64_t end_ms = clock_monotonic_ms() + QUEUE_STOP_MS;
    wait_for_jobs(run->worker, signals, end_ms - HAND_BACK_MS - SETTLE_MS);
    bool idle = queue_worker_running(run->worker) == 0;
    if (queue_worker_stop(run->worker, idle ? SETTLE_MS : 0, end_ms - SETTLE_MS - clock_monotonic_ms()) < 0)
        _exit(CMD_FAILED); /* whatever still runs is in no state to be taken apart */
}

static int work(struct cmd_env *env, unsigned queues)
{
    struct running run = {.services.cfg = &env->load.config};
    sigset_t signals;
    block_signals(&signals);
    _cleanup_(db_closeP) struct db *db = NULL;
    if (cmd_open_store(env, &db) < 0)
        return CMD_FAILED;
    if (!(queues & handlers_queues(run.services.cfg)))
        return cmd_fail("there is nothing to do: WORKER_CONCURRENCY_... of every queue asked for is 0");
    run.services.db = db;
    if (open_vault(&run) != 0)
        return CMD_FAILED;
    int r = open_services(&run);
    if (r == 0)
        r = handlers_start_worker(&run.services, queues, &run.worker);
    if (r == 0) {
        log_event(LOG_INFO, "working");
        wait_for_end(run.services.quota, &signals);
        stop(&run, &signals);
    }
    close_services(&run);
    if (run.services.vault)
        vault_close(run.services.vault);
    return r == 0 ? CMD_OK : cmd_fail("the worker could not start: %s", strerror(-r));
}

/* ---- command line */

/* A queue by its name, or without "-jobs". */
static int find_queue(const char *name, size_t len)
{
    for (int i = 0; i < QUEUES; i++) {
        const char *full = queue_name_text((enum queue_name)i);
        size_t short_len = strlen(full) - strlen("-jobs");
        if (strncmp(full, name, len) == 0 && (len == strlen(full) || len == short_len))
            return i;
    }
    return -1;
}

static int read_queues(const char *list, unsigned *ret)
{
    const char *name;
    size_t len;
    *ret = 0;
    while (list_next(&list, &name, &len)) {
        int queue = find_queue(name, len);
        if (queue < 0)
            return cmd_usage_error(
                "there is no queue '%.*s'; there are media-jobs, scrape-jobs and onboarding-jobs", (int)len,
                name);
        *ret |= 1U << queue;
    }
    return *ret ? CMD_OK : cmd_usage_error("--queues wants a comma list of queues");
}

int cmd_worker(struct cmd_env *env, int argc, char **argv)
{
    unsigned queues = (1U << QUEUES) - 1;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--queues") != 0)
            return cmd_usage_error("unknown option '%s'", argv[i]);
        if (++i == argc)
            return cmd_usage_error("--queues wants a value");
        int r = read_queues(argv[i], &queues);
        if (r != CMD_OK)
            return r;
    }
    return work(env, queues);
}
