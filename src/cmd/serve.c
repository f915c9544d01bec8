/* SPDX-License-Identifier: MIT */
/* Wires the services together, serves until a signal, and takes them apart in the opposite order: chats are
 * stopped and stored before connections are closed, and the store goes last. */
#include "agent/chat.h"
#include "api/app.h"
#include "api/directus_proxy.h"
#include "api/job_watch.h"
#include "auth/identity.h"
#include "auth/logins.h"
#include "base/cancel.h"
#include "base/log.h"
#include "base/pool.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/demo.h"
#include "cmd/duties.h"
#include "cmd/handlers.h"
#include "directus/registration.h"
#include "files/files.h"
#include "goose/goose.h"
#include "http/events.h"
#include "http/server.h"
#include "items/access.h"
#include "items/items.h"
#include "limits/limits.h"
#include "llm/llm.h"
#include "media/jobs.h"
#include "onboarding/exports.h"
#include "posts/posts.h"
#include "queue/worker.h"
#include "quota/quota.h"
#include "retrieval/retrieval.h"
#include "skills/skills.h"
#include "vault/vault.h"
#include "schedule/schedule.h"
#include "taxonomy/taxonomy.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#define STOP_LIMIT_MS 10000
/* What jobs have to end once nobody is served any more, and what then remains to hand them back. */
#define JOBS_PATIENCE_MS 5000
#define JOBS_LIMIT_MS 15000
#define WORKS_WAITING_MOST 4096
#define MODEL_WORKS_WAITING_MOST 64

struct services {
    struct app app;
    struct pool *workers, *model_workers;
    struct cancel model_stop;
    struct limits *limits;
    struct http_server *server;
    struct schedule *schedule;
    struct media_jobs media;
    struct handlers *handlers;
    struct queue_worker *worker; /* NULL: --no-worker */
};

static int auth_lookup_hook(void *ctx, const char *token, struct identity **ret, enum error_id *ret_error)
{
    return auth_lookup(ctx, token, ret, ret_error);
}

static int auth_resolve_hook(void *ctx, const char *token, const char *client_ip, struct identity **ret,
                             enum error_id *ret_error)
{
    return auth_resolve(ctx, token, client_ip, ret, ret_error);
}

static bool is_admin(const struct identity *who)
{
    return who->admin;
}

static bool is_read_only(const struct identity *who)
{
    return who->read_only;
}

static void describe(const struct identity *who, const char **ret_user, const char **ret_impersonator)
{
    *ret_user = who->user_id;
    *ret_impersonator = who->impersonated_by;
}

/* What was cached of a collection goes when rows of it change. */
static void rows_changed(void *ctx, const char *collection, const char *user_id)
{
    struct app *app = ctx;
    if (str_has_prefix(collection, "user_node"))
        retrieval_forget(app->retrieval, user_id);
    if (str_equal(collection, "agent_skills") || str_equal(collection, "skill_edges"))
        skills_forget(app->skills);
    if (str_has_prefix(collection, "taxonomy_"))
        taxonomy_forget(app->taxonomy);
    if (str_equal(collection, "action_flows"))
        flow_catalog_forget(app->flows);
    if (str_equal(collection, POSTS)) {
        quota_forget(app->quota, user_id);
        retrieval_forget(app->retrieval, user_id); /* notes that it came from are reinforced */
    }
    if (str_equal(collection, "directus_users")) {
        auth_forget(app->auth, user_id);
        quota_forget(app->quota, user_id); /* the tier stands there */
    }
}

/* The same when another server changed a user's rows. */
static void user_changed(void *ctx, unsigned topics, const char *user_id)
{
    struct app *app = ctx;
    if (topics & (1U << DB_NODES))
        retrieval_forget(app->retrieval, user_id);
    if (topics & (1U << DB_IDENTITIES))
        auth_forget(app->auth, user_id);
}

static int start_chat(struct services *s)
{
    struct app *app = &s->app;
    struct event_hub_options events = {
        .grace_ms = app->cfg->stream_grace_s * 1000,
        .keep_ms = app->cfg->stream_keep_s * 1000,
        .heartbeat_ms = app->cfg->stream_heartbeat_s * 1000,
    };
    int r = event_hub_start(&events, &app->events);
    if (r < 0)
        return r;
    struct chat_options chat = {.env = {.cfg = app->cfg,
                                        .db = app->db,
                                        .llm = app->llm,
                                        .retrieval = app->retrieval,
                                        .skills = app->skills,
                                        .taxonomy = app->taxonomy,
                                        .quota = app->quota,
                                        .media = app->media},
                                .flows = app->flows,
                                .quota = app->quota,
                                .events = app->events};
    return chat_open(&chat, &app->chat);
}

static int start_http(struct services *s)
{
    struct http_options options = {
        .config = s->app.cfg,
        .tables = api_route_tables(s->app.upstream != NULL),
        .auth = {s->app.auth, auth_lookup_hook, auth_resolve_hook, is_admin, is_read_only, describe,
                 identity_unref},
        .workers = s->workers,
        .model_workers = s->model_workers,
        .app = &s->app,
        .limits = limits_hooks(s->limits),
    };
    return http_start(&options, &s->server);
}

static int start_schedule(struct services *s)
{
    struct schedule_options options = {
        .db = s->app.db,
        .duties = duties_of(s->app.cfg),
        .ctx = &s->app,
        .lease_ms = s->app.cfg->leader_lease_s * 1000,
    };
    return schedule_start(&options, &s->schedule);
}

static int start_jobs(struct services *s, bool work)
{
    const struct app *app = &s->app;
    struct job_services services = {
        .cfg = app->cfg,
        .db = app->db,
        .queue = app->queue,
        .quota = app->quota,
        .files = app->files,
        .llm = app->llm,
        .retrieval = app->retrieval,
        .vault = app->vault,
    };
    int r = handlers_open(&services, &s->handlers);
    if (r == 0)
        r = queue_start(services.queue);
    return r == 0 && work ? handlers_start_worker(&services, (1U << QUEUES) - 1, &s->worker) : r;
}

/* Nobody adds or cancels any more, and what the handlers use is still there. */
static void stop_jobs(struct services *s)
{
    if (s->worker && queue_worker_stop(s->worker, JOBS_PATIENCE_MS, JOBS_LIMIT_MS) < 0)
        _exit(CMD_FAILED); /* whatever still runs is in no state to be taken apart */
    if (s->app.queue)
        queue_stop(s->app.queue);
    handlers_close(s->handlers);
    queue_close(s->app.queue);
}

/* Directus needn't be up now; but its database is this one. */
static int start_upstream(struct app *app)
{
    if (!app->cfg->directus_url)
        return 0;
    int r = directus_manages_store(app->db);
    if (r == 0)
        r = log_error(-EINVAL, "DIRECTUS_URL is set, but DATABASE_URL is not the database of a Directus");
    return r < 0 ? r : directus_upstream_open(app->cfg, &app->upstream);
}

static int start_services(struct services *s, bool work)
{
    struct app *app = &s->app;
    int r = pool_start("genie-worker", (int)app->cfg->worker_threads, WORKS_WAITING_MOST, &s->workers);
    if (r == 0)
        r = pool_start("genie-model", (int)app->cfg->model_threads, MODEL_WORKS_WAITING_MOST,
                       &s->model_workers);
    if (r == 0)
        r = auth_open(app->cfg, app->db, &app->auth);
    if (r == 0)
        r = logins_open(app->cfg, app->db, app->auth, &app->logins);
    if (r == 0)
        r = limits_open(app->cfg, app->db, &s->limits);
    if (r == 0)
        r = quota_open(app->cfg, app->db, &app->quota);
    if (r == 0)
        r = files_open(app->cfg, app->db, &app->files);
    if (r == 0)
        r = files_begin_sweeping(app->files);
    if (r == 0)
        r = llm_open(app->cfg, &app->llm);
    if (r == 0)
        r = retrieval_open(app->cfg, app->db, app->llm, &app->retrieval);
    if (r == 0)
        r = skills_open(app->db, &app->skills);
    if (r == 0)
        r = taxonomy_open(app->cfg, app->db, &app->taxonomy);
    if (r == 0)
        r = flow_catalog_open(app->db, &app->flows);
    if (r == 0)
        r = queue_open(app->cfg, app->db, &app->queue);
    if (r == 0)
        r = start_upstream(app);
    if (r < 0)
        return r;
    access_use_tiers(app->quota);
    posts_set_rules(app->quota);
    items_on_change(rows_changed, app);
    db_on_user_change(app->db, user_changed, app);
    s->media = (struct media_jobs){app->cfg, app->db, app->queue, app->quota};
    app->media = &s->media;
    r = start_chat(s);
    if (r == 0)
        r = job_watches_start(app, &app->watches);
    if (r == 0)
        r = goose_open(app->cfg, app->db, app->events, &app->goose);
    if (r == 0)
        r = start_jobs(s, work);
    if (r == 0)
        r = start_http(s);
    return r == 0 ? start_schedule(s) : r;
}

static void stop_services(struct services *s)
{
    struct app *app = &s->app;
    if (s->schedule) /* another server may lead while this one still answers */
        schedule_stop(s->schedule);
    if (s->worker)
        queue_worker_quiesce(s->worker);
    cancel_raise(&s->model_stop);
    if (app->chat)
        chat_quiesce(app->chat);
    if (app->goose)
        goose_quiesce(app->goose);
    if (s->server)
        http_stop(s->server, STOP_LIMIT_MS);
    if (s->workers)
        pool_stop(s->workers);
    if (s->model_workers)
        pool_stop(s->model_workers);
    if (app->chat) /* requests that were on their way have found it quiet */
        chat_close(app->chat);
    if (app->goose)
        goose_close(app->goose);
    if (app->watches)
        job_watches_stop(app->watches);
    stop_jobs(s);
    if (app->events)
        event_hub_stop(app->events);
    if (app->watches)
        job_watches_free(app->watches);
    db_on_user_change(app->db, NULL, NULL);
    if (app->upstream)
        directus_upstream_close(app->upstream);
    if (app->flows)
        flow_catalog_close(app->flows);
    taxonomy_close(app->taxonomy);
    skills_close(app->skills);
    if (app->retrieval) /* may be asking the embedder */
        retrieval_close(app->retrieval);
    if (app->llm)
        llm_close(app->llm);
    if (s->limits)
        limits_close(s->limits);
    files_close(app->files);
    if (app->quota)
        quota_close(app->quota);
    if (app->logins)
        logins_close(app->logins);
    if (app->auth)
        auth_close(app->auth);
}

/* SIGHUP reads again what may change while the server runs; any other ends it. */
static void wait_for_end(const struct services *s, const sigset_t *signals)
{
    int got = 0;
    while (sigwait(signals, &got) != 0 || got == SIGHUP)
        if (got == SIGHUP)
            (void)quota_reload(s->app.quota);
    log_event(LOG_INFO, "stopping", LOG_S("signal", strsignal(got)));
}

/* Without a key everything else is served all the same. */
static int open_vault(const struct config *cfg, struct vault **ret)
{
    char why[256] = "out of memory";
    if (vault_open(cfg, ret, why, sizeof why) < 0)
        return cmd_fail("%s", why);
    if (!*ret)
        log_event(LOG_WARN, "CREDENTIALS_ENC_KEY_B64 is unset: credentials are refused");
    return CMD_OK;
}

static void sweep_exports(const struct app *app)
{
    size_t removed = 0;
    int r = exports_sweep(app->db, app->cfg->data_dir, EXPORT_ORPHAN_MS, &removed);
    if (r < 0)
        (void)log_error(r, "exports that no job wants can't be removed yet");
    if (removed > 0)
        log_event(LOG_INFO, "exports that no job wants are removed", LOG_N("files", removed));
}

static int serve(struct cmd_env *env, bool demo, bool work)
{
    struct services s = {.app.cfg = &env->load.config};
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    /* blocked, never awaited: a write to a closed socket, or past a file's largest size, is its own error */
    sigaddset(&signals, SIGPIPE);
    sigaddset(&signals, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    sigdelset(&signals, SIGPIPE);
    sigdelset(&signals, SIGXFSZ);
    _cleanup_(db_closeP) struct db *db = NULL;
    if (cmd_open_store(env, &db) < 0 || (demo && demo_prepare(s.app.cfg, db) < 0))
        return CMD_FAILED;
    s.app.db = db;
    s.app.model_stop = &s.model_stop;
    _cleanup_(vault_closeP) struct vault *vault = NULL;
    if (open_vault(s.app.cfg, &vault) != CMD_OK)
        return CMD_FAILED;
    s.app.vault = vault;
    sweep_exports(&s.app);
    int r = start_services(&s, work);
    if (r == 0) {
        log_event(LOG_INFO, "serving", LOG_S("address", s.app.cfg->bind_address),
                  LOG_N("port", http_port(s.server)));
        if (demo)
            demo_print_tour(s.app.cfg, http_port(s.server));
        wait_for_end(&s, &signals);
    }
    stop_services(&s);
    return r == 0 ? CMD_OK : cmd_fail("the server could not start: %s", strerror(-r));
}

int cmd_serve(struct cmd_env *env, int argc, char **argv)
{
    bool demo = false, work = true;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--demo") == 0)
            demo = true;
        else if (strcmp(argv[i], "--no-worker") == 0)
            work = false;
        else if (strcmp(argv[i], "--port") == 0 && i + 1 < argc)
            cmd_override(env, "SERVER_PORT", argv[++i]);
        else
            return cmd_usage_error("unknown option '%s'", argv[i]);
    }
    return serve(env, demo, work);
}
