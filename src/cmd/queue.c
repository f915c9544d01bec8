/* SPDX-License-Identifier: MIT */
/* genie queue: what is in the queues, and stopping one for a while. It works beside running servers. */
#include "base/json.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "queue/queue.h"

#include <errno.h>
#include <string.h>

#define LIST_DEFAULT "50"
#define ARENA_MAX ((size_t)128 * 1024 * 1024) /* a full list of the largest jobs */

static int fail_queues(int r)
{
    return cmd_fail("the queues failed: %s", strerror(-r));
}

static int print_json(const json_t *value)
{
    bool done = value && json_dumpf(value, stdout, JSON_INDENT(2)) == 0 && putchar('\n') == '\n';
    return done ? CMD_OK : cmd_fail("can't write the output");
}

static int open_queue(struct cmd_env *env, struct db **ret_db, struct queue **ret)
{
    if (cmd_open_store(env, ret_db) < 0)
        return CMD_FAILED;
    int r = queue_open(&env->load.config, *ret_db, ret);
    return r < 0 ? fail_queues(r) : CMD_OK;
}

/* ---- stats */

static int64_t waiting(const struct queue_counts *c)
{
    return c->state[JOB_WAITING] + c->state[JOB_PRIORITIZED];
}

static int print_stats_json(const struct queue_counts *counts)
{
    _cleanup_json_ json_t *all = json_object();
    for (int i = 0; i < QUEUES; i++) {
        const struct queue_counts *c = &counts[i];
        json_t *one =
            json_pack("{s:I, s:I, s:I, s:I, s:I, s:b}", "waiting", (json_int_t)waiting(c), "active",
                      (json_int_t)c->state[JOB_ACTIVE], "completed", (json_int_t)c->state[JOB_COMPLETED],
                      "failed", (json_int_t)c->state[JOB_FAILED], "delayed",
                      (json_int_t)c->state[JOB_DELAYED], "paused", c->paused);
        if (json_object_set_new(all, queue_name_text((enum queue_name)i), one) < 0)
            return cmd_fail("out of memory");
    }
    return print_json(all);
}

static int stats(struct cmd_env *env, int argc, char **argv)
{
    _cleanup_(db_closeP) struct db *db = NULL;
    _cleanup_(queue_closeP) struct queue *q = NULL;
    struct queue_counts counts[QUEUES];
    if (argc > 0)
        return cmd_usage_error("unknown option '%s'", argv[0]);
    if (open_queue(env, &db, &q) != CMD_OK)
        return CMD_FAILED;
    int r = queue_count(q, counts);
    if (r < 0)
        return fail_queues(r);
    if (env->json)
        return print_stats_json(counts);
    printf("%-16s  %8s  %8s  %8s  %9s  %8s\n", "QUEUE", "WAITING", "ACTIVE", "DELAYED", "COMPLETED",
           "FAILED");
    for (int i = 0; i < QUEUES; i++)
        printf("%-16s  %8lld  %8lld  %8lld  %9lld  %8lld%s\n", queue_name_text((enum queue_name)i),
               (long long)waiting(&counts[i]), (long long)counts[i].state[JOB_ACTIVE],
               (long long)counts[i].state[JOB_DELAYED], (long long)counts[i].state[JOB_COMPLETED],
               (long long)counts[i].state[JOB_FAILED], counts[i].paused ? "  (paused)" : "");
    return CMD_OK;
}

/* ---- pause, resume */

static int set_paused(struct cmd_env *env, int argc, char **argv, bool paused)
{
    _cleanup_(db_closeP) struct db *db = NULL;
    _cleanup_(queue_closeP) struct queue *q = NULL;
    enum queue_name queue;
    const char *verb = paused ? "pause" : "resume";
    if (argc != 1)
        return cmd_usage_error("queue %s wants one queue", verb);
    if (queue_name_parse(argv[0], &queue) < 0)
        return cmd_usage_error(
            "there is no queue '%s'; there are media-jobs, scrape-jobs and onboarding-jobs", argv[0]);
    if (open_queue(env, &db, &q) != CMD_OK)
        return CMD_FAILED;
    int r = paused ? queue_pause(q, queue) : queue_resume(q, queue);
    if (r < 0)
        return fail_queues(r);
    if (env->json) {
        _cleanup_json_ json_t *said = json_pack("{s:s, s:b}", "queue", argv[0], "paused", paused);
        return print_json(said);
    }
    printf(paused ? "No job of %s is begun until it is resumed.\n" : "Jobs of %s are begun again.\n",
           argv[0]);
    return CMD_OK;
}

static int pause_queue(struct cmd_env *env, int argc, char **argv)
{
    return set_paused(env, argc, argv, true);
}

static int resume_queue(struct cmd_env *env, int argc, char **argv)
{
    return set_paused(env, argc, argv, false);
}

/* ---- jobs */

static int read_filter(int argc, char **argv, struct queue_filter *ret)
{
    const char *queue = NULL, *state = NULL, *limit = LIST_DEFAULT;
    enum queue_name q;
    enum job_state s;
    for (int i = 0; i < argc; i++) {
        const char **to = strcmp(argv[i], "--queue") == 0   ? &queue
                          : strcmp(argv[i], "--state") == 0 ? &state
                          : strcmp(argv[i], "--limit") == 0 ? &limit
                                                            : NULL;
        if (!to)
            return cmd_usage_error("unknown option '%s'", argv[i]);
        if (++i == argc)
            return cmd_usage_error("%s wants a value", argv[i - 1]);
        *to = argv[i];
    }
    if (queue && queue_name_parse(queue, &q) < 0)
        return cmd_usage_error(
            "there is no queue '%s'; there are media-jobs, scrape-jobs and onboarding-jobs", queue);
    if (state && job_state_parse(state, &s) < 0)
        return cmd_usage_error(
            "--state wants one of waiting, prioritized, delayed, active, completed, failed");
    ret->queue = queue ? (int)q : -1;
    ret->state = state ? (int)s : -1;
    if (parse_int(limit, 1, QUEUE_LIST_MAX, &ret->limit) < 0)
        return cmd_usage_error("--limit wants a number from 1 to %d", QUEUE_LIST_MAX);
    return CMD_OK;
}

static json_t *describe(const struct queue_info *i)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s?, s:s?, s:i, s:i, s:i, s:i, s:s?, s:s, s:s?, s:s?, s:s?}",
                     "id", i->id, "queue", queue_name_text(i->queue), "operation", i->operation, "state",
                     job_state_text(i->state), "user_id", i->user_id, "media_job_id", i->media_job_id,
                     "priority", i->priority, "progress", i->progress, "attempts", i->attempts,
                     "max_attempts", i->max_attempts, "error", i->error, "created_at", i->created_at,
                     "started_at", i->started_at, "finished_at", i->finished_at, "run_at", i->run_at);
}

/* Others' words, as one line that moves no cursor. */
static const char *plain(struct arena *a, const char *text)
{
    char *copy = arena_strdup(a, text ? text : "");
    if (copy)
        text_make_printable(copy);
    return copy ? copy : "?";
}

static int print_jobs(const struct cmd_env *env, const struct queue_info *infos, size_t n, struct arena *a)
{
    _cleanup_json_ json_t *all = json_array();
    if (!env->json)
        printf("%-44s  %-15s  %-24s  %-11s  %4s  %s\n", "ID", "QUEUE", "OPERATION", "STATE", "DONE", "ERROR");
    for (size_t i = 0; i < n; i++) {
        const struct queue_info *j = &infos[i];
        if (!env->json)
            printf("%-44s  %-15s  %-24s  %-11s  %3d%%  %s\n", plain(a, j->id), queue_name_text(j->queue),
                   plain(a, j->operation), job_state_text(j->state), j->progress, plain(a, j->error));
        else if (json_array_append_new(all, describe(j)) < 0)
            return cmd_fail("out of memory");
    }
    return env->json ? print_json(all) : CMD_OK;
}

static int jobs(struct cmd_env *env, int argc, char **argv)
{
    _cleanup_(db_closeP) struct db *db = NULL;
    _cleanup_(queue_closeP) struct queue *q = NULL;
    struct queue_filter filter = {0};
    struct queue_info *infos;
    struct arena a;
    size_t n;
    int r = read_filter(argc, argv, &filter);
    if (r != CMD_OK)
        return r;
    if (open_queue(env, &db, &q) != CMD_OK)
        return CMD_FAILED;
    arena_init(&a, ARENA_MAX);
    r = queue_list(q, &filter, &a, &infos, &n);
    r = r < 0 ? fail_queues(r) : print_jobs(env, infos, n, &a);
    arena_free(&a);
    return r;
}

int cmd_queue(struct cmd_env *env, int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(struct cmd_env *env, int argc, char **argv);
    } verbs[] = {{"stats", stats}, {"jobs", jobs}, {"pause", pause_queue}, {"resume", resume_queue}};
    if (argc < 2)
        return cmd_usage_error("queue wants one of stats, jobs, pause, resume");
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (strcmp(verbs[i].name, argv[1]) == 0)
            return verbs[i].run(env, argc - 2, argv + 2);
    return cmd_usage_error("there is no 'queue %s'", argv[1]);
}
