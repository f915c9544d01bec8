/* SPDX-License-Identifier: MIT */
/* What a test of flows needs: a store with two users, settings, the flow under test, and what its run told.
 */
#ifndef TESTS_UNIT_AGENT_FLOWS_H
#define TESTS_UNIT_AGENT_FLOWS_H

#include "../db/store.h"
#include "fake_server.h"

#include "agent/flow.h"
#include "agent/runner.h"
#include "items/items.h"

#include <errno.h>

#define ANNA "00000000-0000-4000-8000-00000000000a"
#define BERT "00000000-0000-4000-8000-00000000000b"

struct world {
    struct store *store;
    struct db *db;
    struct config cfg;
    struct action_env env;
    struct identity anna, bert;
    struct fake_server *server;
    char server_url[64], hosts[64];
    struct buf told; /* "step status error" lines */
    struct cancel cancel;
    bool hold_writes;
    int64_t time_ms;
    struct action_result result;
};

/* JSON in a C string is easier to read with single quotes. */
static inline char *quoted(const char *text)
{
    char *out = strdup(text);
    assert_non_null(out);
    for (char *c = out; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    return out;
}

static inline json_t *parsed(const char *text)
{
    char *json = quoted(text);
    json_t *value = json_parse(json, strlen(json));
    assert_non_null(value);
    free(json);
    return value;
}

static inline void world_exec(struct world *w, const char *sql)
{
    assert_int_equal(store_exec(w->db, sql), 0);
}

static inline void identify(struct identity *who, const char *id)
{
    *who = (struct identity){.role_name = "Creator", .tier = "starter", .app_access = true};
    memcpy(who->user_id, id, UUID_SIZE);
}

static inline int world_set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    log_configure(LOG_ERROR, false);
    (void)store_set_up_migrated((void **)&w->store);
    w->db = w->store->db;
    world_exec(w, "INSERT INTO directus_users (id, email) VALUES ('" ANNA "', 'anna@example.com'), ('" BERT
                  "', 'bert@example.com')");
    identify(&w->anna, ANNA);
    identify(&w->bert, BERT);
    w->cfg = (struct config){.action_step_timeout_s = 30, .allow_private_urls = true};
    w->env = (struct action_env){.cfg = &w->cfg, .db = w->db};
    w->told = BUF_INIT(1024 * 1024);
    w->time_ms = 60000;
    *state = w;
    return 0;
}

static inline int world_tear_down(void **state)
{
    struct world *w = *state;
    if (w->server)
        fake_stop(w->server);
    buf_free(&w->told);
    json_decref(w->result.results);
    (void)store_tear_down((void **)&w->store);
    free(w);
    return 0;
}

static inline void world_serve(struct world *w, fake_answer answer)
{
    w->server = fake_start(answer, w);
    (void)snprintf(w->server_url, sizeof w->server_url, "http://127.0.0.1:%d", fake_port(w->server));
    (void)snprintf(w->hosts, sizeof w->hosts, "127.0.0.1:%d", fake_port(w->server));
    w->cfg.http_request_hosts = w->hosts;
}

struct new_flow {
    const char *slug, *steps;
    bool active, side_effects;
};

static inline int insert_flow(struct db_conn *c, void *arg)
{
    const struct new_flow *f = arg;
    char id[UUID_SIZE];
    uuid_make(id);
    return db_exec(
        c,
        "INSERT INTO action_flows (id, slug, name, description, active, allow_side_effects, steps) "
        "VALUES (?1, ?2, ?2, 'A flow', ?3, ?4, ?5)",
        DB_ARGS(DB_TEXT(id), DB_TEXT(f->slug), DB_BOOL(f->active), DB_BOOL(f->side_effects),
                DB_TEXT(f->steps)),
        NULL);
}

/* $URL in the steps is the fake server's address. */
static inline void add_flow(struct world *w, const char *slug, bool side_effects, const char *steps)
{
    char *json = quoted(steps);
    struct buf b = BUF_INIT(1024 * 1024);
    const char *at = json;
    for (const char *url; (url = strstr(at, "$URL")); at = url + 4) {
        (void)buf_add(&b, at, (size_t)(url - at));
        (void)buf_adds(&b, w->server_url);
    }
    (void)buf_adds(&b, at);
    struct new_flow f = {.slug = slug, .steps = buf_str(&b), .active = true, .side_effects = side_effects};
    assert_int_equal(db_write(w->db, insert_flow, &f), 0);
    buf_free(&b);
    free(json);
}

static inline void hear(void *ctx, const char *slug, int step, enum action_status status, int64_t ms,
                        const char *error)
{
    struct world *w = ctx;
    assert_non_null(slug);
    assert_true(ms >= 0);
    assert_int_equal(buf_addf(&w->told, "%d %s%s%s\n", step, action_status_name(status), error ? " " : "",
                              error ? error : ""),
                     0);
}

/* Runs a flow to its end; the result is kept in the world. */
static inline enum action_status run_as(struct world *w, struct identity *who, const char *slug,
                                        const char *input)
{
    json_t *in = parsed(input);
    struct action_call call = {
        .slug = slug,
        .input = in,
        .who = who,
        .hold_writes = w->hold_writes,
        .cancel = &w->cancel,
        .deadline_ms = clock_monotonic_ms() + w->time_ms,
        .observer = {hear, w},
    };
    json_decref(w->result.results);
    buf_reset(&w->told);
    action_run(&w->env, &call, &w->result);
    json_decref(in);
    assert_non_null(w->result.results);
    return w->result.status;
}

static inline enum action_status run_flow(struct world *w, const char *slug, const char *input)
{
    return run_as(w, &w->anna, slug, input);
}

static inline void assert_told(struct world *w, const char *lines)
{
    assert_string_equal(buf_str(&w->told), lines);
}

static inline void assert_error(struct world *w, const char *part)
{
    if (!strstr(w->result.error, part))
        fail_msg("the error is \"%s\", without \"%s\"", w->result.error, part);
}

/* What the service was asked, in order. */
static inline void assert_seen(struct world *w, const char *lines)
{
    char *seen = fake_seen(w->server);
    assert_string_equal(seen, lines);
    free(seen);
}

static inline void assert_results(struct world *w, const char *json)
{
    json_t *want = parsed(json);
    char *got = json_dumps(w->result.results, JSON_COMPACT);
    if (!json_equal(want, w->result.results))
        fail_msg("the results are %s", got);
    free(got);
    json_decref(want);
}

#endif
