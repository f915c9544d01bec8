/* SPDX-License-Identifier: MIT */
/* Runs have a thread each, from a pool of as many as may run; one more renews their leases, and hears there
 * of those that were cancelled on another server. */
#include "goose/goose.h"

#include "base/log.h"
#include "base/pool.h"
#include "base/text.h"
#include "goose/run.h"
#include "proc/process.h"

#include <errno.h>
#include <string.h>

#define BEAT_MS 2000
#define ANSWER_MS 15000 /* for --version and the list of sessions */
#define ANSWER_MAX ((size_t)1024 * 1024)
#define ARENA_MAX ((size_t)256 * 1024)

struct goose {
    const struct config *cfg;
    struct db *db;
    struct event_hub *events;
    char server[UUID_SIZE];
    struct pool *threads;
    pthread_t renewer;
    bool renews;
    pthread_mutex_t lock;
    pthread_cond_t change;
    struct run *runs; /* here, now */
    int beginning;    /* calls that may note a run, and will launch what they note */
    bool stopping, closing;
};

/* ---- those that run */

static void add_run(struct goose *g, struct run *run)
{
    run->next = g->runs;
    g->runs = run_ref(run);
}

static void remove_run(struct goose *g, struct run *run)
{
    pthread_mutex_lock(&g->lock);
    struct run **at = &g->runs;
    while (*at && *at != run)
        at = &(*at)->next;
    bool found = *at != NULL;
    if (found)
        *at = run->next;
    pthread_cond_broadcast(&g->change);
    pthread_mutex_unlock(&g->lock);
    if (found)
        run_unref(run);
}

/* References to the runs at this moment, ended by NULL; the caller frees both. */
static struct run **snapshot(struct goose *g)
{
    size_t n = 0;
    pthread_mutex_lock(&g->lock);
    for (struct run *run = g->runs; run; run = run->next)
        n++;
    struct run **all = calloc(n + 1, sizeof(struct run *));
    n = 0;
    for (struct run *run = g->runs; run && all; run = run->next)
        all[n++] = run_ref(run);
    pthread_mutex_unlock(&g->lock);
    return all;
}

static void for_each(struct goose *g, void (*visit)(struct run *run, const void *arg), const void *arg)
{
    struct run **all = snapshot(g);
    for (size_t i = 0; all && all[i]; i++) {
        visit(all[i], arg);
        run_unref(all[i]);
    }
    free(all);
}

static void beat(struct run *run, const void *arg)
{
    (void)arg;
    run_beat(run);
}

static void stop(struct run *run, const void *arg)
{
    (void)arg;
    atomic_store(&run->in_haste, true);
    run_cancel(run, RUN_WHY_STOPPED);
}

static void cancel_named(struct run *run, const void *id)
{
    if (strcmp(run->id, id) == 0)
        run_cancel(run, RUN_WHY_CANCELLED);
}

static void *renew(void *arg)
{
    struct goose *g = arg;
    pthread_mutex_lock(&g->lock);
    while (!g->closing) {
        struct timespec until = clock_deadline(BEAT_MS);
        while (!g->closing && pthread_cond_timedwait(&g->change, &g->lock, &until) == 0)
            ;
        pthread_mutex_unlock(&g->lock);
        for_each(g, beat, NULL);
        pthread_mutex_lock(&g->lock);
    }
    pthread_mutex_unlock(&g->lock);
    return NULL;
}

/* ---- opening and closing */

static int check_env(const struct config *cfg)
{
    struct arena a;
    arena_init(&a, ARENA_MAX);
    const char *bad = program_bad_variable(cfg, &a);
    if (bad)
        log_event(LOG_ERROR, "GOOSE_ENV names a variable that can't be passed on", LOG_S("name", bad));
    int r = bad ? -EINVAL : 0;
    arena_free(&a);
    return r;
}

int goose_open(const struct config *cfg, struct db *db, struct event_hub *events, struct goose **ret)
{
    struct goose *g = calloc(1, sizeof *g);
    int r = g ? check_env(cfg) : -ENOMEM;
    if (r < 0) {
        free(g);
        return r;
    }
    g->cfg = cfg, g->db = db, g->events = events;
    uuid_make(g->server);
    pthread_mutex_init(&g->lock, NULL);
    cond_init(&g->change);
    r = pool_start("genie-goose", (int)cfg->goose_max_runs, (int)cfg->goose_max_runs, &g->threads);
    if (r == 0)
        r = -pthread_create(&g->renewer, NULL, renew, g);
    g->renews = r == 0 && g->threads;
    if (r < 0) {
        goose_close(g);
        return log_error(r, "start Goose's threads");
    }
    (void)pthread_setname_np(g->renewer, "genie-leases");
    *ret = g;
    return 0;
}

void goose_quiesce(struct goose *g)
{
    pthread_mutex_lock(&g->lock);
    g->stopping = true;
    while (g->beginning > 0)
        pthread_cond_wait(&g->change, &g->lock);
    pthread_mutex_unlock(&g->lock);
    for_each(g, stop, NULL);
    pthread_mutex_lock(&g->lock);
    while (g->runs)
        pthread_cond_wait(&g->change, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

void goose_close(struct goose *g)
{
    pthread_mutex_lock(&g->lock);
    g->closing = true;
    pthread_cond_broadcast(&g->change);
    pthread_mutex_unlock(&g->lock);
    if (g->renews)
        (void)pthread_join(g->renewer, NULL);
    if (g->threads)
        pool_stop(g->threads);
    pthread_cond_destroy(&g->change);
    pthread_mutex_destroy(&g->lock);
    free(g);
}

/* ---- running */

struct task {
    struct goose *goose;
    struct run *run;
};

static void work(void *arg)
{
    struct task *task = arg;
    run_work(task->run);
    remove_run(task->goose, task->run);
    run_unref(task->run);
    free(task);
}

/* Everything a run needs before anybody hears of it: an outcome or negative errno. */
static int prepare(struct goose *g, const struct goose_ask *ask, struct run *run)
{
    int r = program_find(g->cfg, &run->texts, &run->program);
    if (r < 0)
        return r == -ENOENT ? GOOSE_UNAVAILABLE : r;
    run->db = g->db;
    run->server = g->server;
    run->timeout_s = ask->timeout_s;
    run->instructions = arena_strdup(&run->texts, ask->instructions);
    run->recipe = arena_strdup(&run->texts, ask->recipe);
    if (!run->instructions || (ask->recipe && !run->recipe))
        return -ENOMEM;
    run->dir = program_dir(&run->program, &run->texts, run->id);
    if (!run->dir)
        return errno ? -errno : -ENOMEM;
    if (run->recipe)
        run->recipe_path =
            program_recipe(&run->program, &run->texts, run->dir, run->recipe, run->instructions, &r);
    if (r == -ENOENT)
        return GOOSE_NO_RECIPE;
    if (r == -EINVAL || r == -ELOOP)
        return GOOSE_BAD_RECIPE;
    return r == 0 && ask->stream ? run_open_stream(run, g->events, ask->user_id) : r;
}

static int claim(struct goose *g, const struct goose_ask *ask, struct run *run)
{
    struct goose_new row = {.id = run->id,
                            .server = g->server,
                            .user_id = ask->user_id,
                            .instructions = run->instructions,
                            .recipe = run->recipe,
                            .timeout_s = run->timeout_s,
                            .most = g->cfg->goose_max_runs,
                            .also = ask->also,
                            .arg = ask->arg};
    run->good_until_ms = clock_monotonic_ms() + RUN_LEASE_OWN_MS;
    int r = goose_row_begin(g->db, &row);
    return r == 1 ? GOOSE_BUSY : r;
}

/* What was claimed but can't be done after all. */
static void give_up(struct run *run)
{
    struct goose_end end = {.id = run->id,
                            .server = run->server,
                            .status = "failed",
                            .output = "",
                            .error = "The server could not start it"};
    if (goose_row_end(run->db, &end) < 0)
        log_event(LOG_WARN, "a run of Goose that wasn't started holds its place until its lease ends");
}

/* Hands it to a thread. */
static int launch(struct goose *g, struct run *run)
{
    struct task *task = malloc(sizeof *task);
    if (!task)
        return -ENOMEM;
    *task = (struct task){g, run_ref(run)};
    pthread_mutex_lock(&g->lock);
    add_run(g, run);
    pthread_mutex_unlock(&g->lock);
    if (pool_submit(g->threads, work, task) == 0)
        return 0;
    remove_run(g, run);
    run_unref(run);
    free(task);
    return GOOSE_STOPPING;
}

/* Between the two a run may be noted, which must not slip past goose_quiesce. False: the server stops. */
static bool begin(struct goose *g)
{
    pthread_mutex_lock(&g->lock);
    bool may = !g->stopping;
    g->beginning += may;
    pthread_mutex_unlock(&g->lock);
    return may;
}

static void begun(struct goose *g)
{
    pthread_mutex_lock(&g->lock);
    g->beginning--;
    pthread_cond_broadcast(&g->change);
    pthread_mutex_unlock(&g->lock);
}

static int claim_and_launch(struct goose *g, const struct goose_ask *ask, struct run *run)
{
    if (!begin(g))
        return GOOSE_STOPPING;
    int r = claim(g, ask, run);
    if (r == 0 && (r = launch(g, run)) != 0)
        give_up(run);
    begun(g);
    return r;
}

int goose_run(struct goose *g, const struct goose_ask *ask, char *ret_id, struct event_stream **ret_stream)
{
    _cleanup_(run_unrefP) struct run *run = run_new();
    int r = run ? prepare(g, ask, run) : -ENOMEM;
    if (r == 0)
        r = claim_and_launch(g, ask, run);
    if (r != 0) {
        if (run && run->stream)
            event_stream_end(run->stream);
        if (run && run->dir)
            program_tidy(run->dir, &run->texts);
        return r;
    }
    memcpy(ret_id, run->id, UUID_SIZE);
    *ret_stream = run->stream ? event_stream_ref(run->stream) : NULL;
    log_event(LOG_INFO, "Goose run begun", LOG_S("run", run->id), LOG_S("user", ask->user_id),
              LOG_S("recipe", ask->recipe), LOG_N("timeout_s", ask->timeout_s));
    return GOOSE_OK;
}

int goose_cancel(struct goose *g, const char *run_id, const char *user_id)
{
    int r = goose_row_cancel(g->db, run_id, user_id);
    if (r == -ENOENT)
        return GOOSE_NO_RUN;
    if (r != 0)
        return r == 1 ? GOOSE_NOT_RUNNING : r;
    for_each(g, cancel_named, run_id);
    log_event(LOG_INFO, "Goose run cancelled", LOG_S("run", run_id), LOG_S("user", user_id));
    return GOOSE_OK;
}

/* ---- asking the program */

static void keep_stdout(void *ctx, enum process_stream from, const char *data, size_t len)
{
    if (from == PROCESS_STDOUT)
        (void)buf_add(ctx, data, len);
}

/* Runs it with these arguments: an outcome or negative errno. */
static int ask_program(struct goose *g, const char *const *args, struct buf *out)
{
    struct arena a;
    struct program p;
    const char *argv[8] = {NULL};
    struct process_end end = {0};
    arena_init(&a, ARENA_MAX);
    int r = program_find(g->cfg, &a, &p);
    if (r == 0) {
        argv[0] = p.path;
        for (size_t i = 0; args[i] && i + 2 < ARRAY_LEN(argv); i++)
            argv[i + 1] = args[i];
        struct process_spec spec = {.argv = argv,
                                    .env = p.env,
                                    .dir = p.root,
                                    .limit_ms = ANSWER_MS,
                                    .output = keep_stdout,
                                    .ctx = out};
        r = process_run(&spec, &end);
    }
    arena_free(&a);
    if (r < 0)
        return r == -ENOENT || r == -EACCES ? GOOSE_UNAVAILABLE : r;
    return end.how == PROCESS_EXITED && end.code == 0 && !out->failed ? GOOSE_OK : GOOSE_FAILED;
}

bool goose_version(struct goose *g, char *ret)
{
    _cleanup_buf_ struct buf out = BUF_INIT(ANSWER_MAX);
    int r = ask_program(g, (const char *const[]){"--version", NULL}, &out);
    const char *text = r == GOOSE_OK ? buf_str(&out) : NULL;
    ret[0] = '\0';
    if (text) {
        text += strspn(text, " \t\r\n");
        size_t len = utf8_floor(text, strcspn(text, "\r\n"), GOOSE_VERSION_SIZE - 1);
        if (utf8_valid(text, len))
            (void)snprintf(ret, GOOSE_VERSION_SIZE, "%.*s", (int)len, text);
    }
    return r != GOOSE_UNAVAILABLE;
}

int goose_sessions(struct goose *g, json_t **ret)
{
    _cleanup_buf_ struct buf out = BUF_INIT(ANSWER_MAX);
    int r = ask_program(g, (const char *const[]){"session", "list", "--format", "json", NULL}, &out);
    if (r != GOOSE_OK)
        return r;
    json_t *sessions = out.len ? json_parse(out.data, out.len) : NULL;
    if (!sessions)
        return GOOSE_FAILED;
    *ret = sessions;
    return GOOSE_OK;
}
