/* SPDX-License-Identifier: MIT */
/* One flow at a time, on the caller's thread. Whatever happens (a refusal, an error, a cancel, a time limit),
 * the browser sessions it opened are ended, the observer is told the end, and one audit row is written. */
#include "agent/runner.h"

#include "agent/condition.h"
#include "agent/flow.h"
#include "agent/interpolate.h"
#include "agent/steps.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#define RESULTS_MAX_BYTES (512 * 1024) /* of all results of a flow, as JSON */
#define HASH_BYTES 32
#define AUDIT_SLUG_MAX 64

struct run {
    const struct action_env *env;
    const struct action_call *call;
    struct action_result *result;
    struct cancel cancel; /* the client's, and the flow's deadline */
    struct interpolate_scope scope;
    struct stagehand_sessions sessions;
    bool side_effects; /* the flow's row allows them */
    json_t *audit;     /* of the steps */
    int n_steps;       /* begun so far */
    size_t bytes;      /* of the results */
    bool ended;        /* cancelled or out of time: on_error has no say */
    int64_t begun_ms;
};

const char *action_status_name(enum action_status status)
{
    static const char *const names[] = {[ACTION_RUNNING] = "running",
                                        [ACTION_SUCCESS] = "success",
                                        [ACTION_ERROR] = "error",
                                        [ACTION_MISS] = "miss"};
    return names[status];
}

static void tell(const struct action_call *call, int step, enum action_status status, int64_t ms,
                 const char *error)
{
    if (call->observer.progress)
        call->observer.progress(call->observer.ctx, call->slug, step, status, ms, error);
}

/* ------------------------------------------------------------------------------------------------ audit */

struct audit {
    char id[UUID_SIZE], slug[AUDIT_SLUG_MAX + 1], hash[2 * HASH_BYTES + 1];
    const char *user_id, *status, *error;
    char *steps;
    int64_t ms;
};

static int insert_audit(struct db_conn *c, void *arg)
{
    struct audit *a = arg;
    return db_exec(c,
                   "INSERT INTO agent_audits (id, user_id, slug, status, steps, ms, error, input_hash) "
                   "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                   DB_ARGS(DB_TEXT(a->id), DB_TEXT(a->user_id), DB_TEXT(a->slug), DB_TEXT(a->status),
                           DB_TEXT(a->steps), DB_INT(a->ms), DB_TEXT(a->error), DB_TEXT(a->hash)),
                   NULL);
}

/* The same input has the same hash, in whatever order its keys came. */
static void hash_input(const json_t *input, char *ret)
{
    uint8_t digest[HASH_BYTES];
    _cleanup_free_ char *text = input ? json_dumps(input, JSON_COMPACT | JSON_SORT_KEYS) : strdup("{}");
    ret[0] = '\0';
    if (text && EVP_Q_digest(NULL, "SHA256", NULL, text, strlen(text), digest, NULL))
        hex_encode(digest, sizeof digest, ret);
}

static void write_audit(const struct action_env *env, const struct action_call *call,
                        const struct action_result *result, const json_t *steps, int64_t ms)
{
    struct audit a = {
        .user_id = call->who->user_id,
        .status = action_status_name(result->status),
        .error = result->error[0] ? result->error : NULL,
        .ms = ms,
    };
    size_t len = utf8_floor(call->slug, strlen(call->slug), AUDIT_SLUG_MAX);
    memcpy(a.slug, call->slug, len);
    uuid_make(a.id);
    hash_input(call->input, a.hash);
    a.steps = steps ? json_dumps(steps, JSON_COMPACT) : strdup("[]");
    int r = a.steps ? db_write(env->db, insert_audit, &a) : -ENOMEM;
    free(a.steps);
    if (r < 0)
        (void)log_error(r, "write the audit row of a flow");
}

/* The end of a call, of whatever kind: told, counted and audited. */
static void finish(const struct action_env *env, const struct action_call *call,
                   const struct action_result *result, const json_t *steps, int64_t ms)
{
    const char *error = result->error[0] ? result->error : NULL;
    write_audit(env, call, result, steps, ms);
    if (result->status != ACTION_MISS)
        metric_add(METRIC_FLOWS_RUN, 1);
    if (result->status != ACTION_SUCCESS) {
        metric_add(METRIC_FLOWS_FAILED, 1);
        log_event(LOG_WARN, "a flow did not succeed", LOG_S("slug", call->slug),
                  LOG_S("status", action_status_name(result->status)), LOG_S("error", error));
    }
    tell(call, -1, result->status, ms, error);
}

void action_miss(const struct action_env *env, const struct action_call *call, const char *reason)
{
    struct action_result result = {.status = ACTION_MISS};
    (void)snprintf(result.error, sizeof result.error, "%s", reason);
    finish(env, call, &result, NULL, 0);
}

/* ------------------------------------------------------------------------------------------------ steps */

/* Why a step was cut short, as far as that is not its own doing; true if so, with the sentence in error. */
static bool cut_short(struct run *run, const struct cancel *step, char *error, size_t size)
{
    int64_t now = clock_monotonic_ms();
    if (cancel_raised(run->call->cancel))
        (void)snprintf(error, size, "The flow was cancelled");
    else if (now >= run->call->deadline_ms)
        (void)snprintf(error, size, "The flow took too long");
    else if (step && now >= step->deadline_ms)
        (void)snprintf(error, size, "The step did not end within %d s",
                       (int)run->env->cfg->action_step_timeout_s);
    else
        return false;
    run->ended = run->ended || cancel_raised(&run->cancel);
    return true;
}

/* Fills the config in and runs the step under its own time limit. */
static int work(struct run *run, const struct step_type *type, const json_t *config, json_t **ret,
                char *error, size_t size)
{
    int64_t now = clock_monotonic_ms(), limit = now + run->env->cfg->action_step_timeout_s * 1000;
    struct cancel cancel = {.deadline_ms = limit, .parent = &run->cancel};
    struct step_run step = {
        .env = run->env,
        .who = run->call->who,
        .cancel = &cancel,
        .deadline_ms = limit < run->call->deadline_ms ? limit : run->call->deadline_ms,
        .sessions = &run->sessions,
        .side_effects = run->side_effects,
    };
    _cleanup_json_ json_t *filled = NULL;
    int r = type->unavailable ? step_unavailable(&step, type->unavailable)
                              : interpolate(config, &run->scope, &filled, step.error, sizeof step.error);
    if (r == 0)
        r = step_check_fields(type, filled, true, step.error, sizeof step.error);
    if (r == 0)
        r = type->run(&step, filled, ret);
    if (r < 0 && !cut_short(run, &cancel, error, size))
        (void)snprintf(error, size, "%s", step.error);
    return r;
}

/* Keeps a result under its key, within what one flow may hold. */
static int keep(struct run *run, const json_t *step, json_t *value, char *error, size_t size)
{
    const char *key = flow_step_key(step);
    if (!key)
        return 0;
    size_t bytes = json_dumpb(value, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);
    if (bytes > RESULTS_MAX_BYTES - run->bytes) {
        (void)snprintf(error, size, "The flow's results become too large: ask for less");
        return -EMSGSIZE;
    }
    run->bytes += bytes;
    if (json_object_set(run->result->results, key, value) == 0)
        return 0;
    (void)snprintf(error, size, "Out of memory");
    return -ENOMEM;
}

/* The end of one step, in the audit and for the observer. */
static void note_step(struct run *run, int index, const json_t *step, int r, int64_t ms, const char *error)
{
    const char *status = action_status_name(r < 0 ? ACTION_ERROR : ACTION_SUCCESS);
    json_t *row = json_pack("{s:i, s:s, s:s*, s:s, s:I, s:s*}", "step", index, "type",
                            flow_step_type(step)->name, "result_key", flow_step_key(step), "status", status,
                            "ms", (json_int_t)ms, "error", r < 0 ? error : NULL);
    (void)json_array_append_new(run->audit, row);
    tell(run->call, index, r < 0 ? ACTION_ERROR : ACTION_SUCCESS, ms, r < 0 ? error : NULL);
}

/* The test of a condition, as a step with the result {"matched": …}. */
static int test(struct run *run, const json_t *config, json_t **ret, char *error, size_t size)
{
    int r = condition_test(json_object_get(config, "if"), &run->scope, error, size);
    if (r < 0)
        return r;
    *ret = json_pack("{s:b}", "matched", r);
    return *ret ? 0 : -ENOMEM;
}

/* An error may quote a name that was cut inside a character, and goes into JSON. */
static void keep_valid(char *error)
{
    if (utf8_valid(error, strlen(error)))
        return;
    for (char *c = error; *c; c++)
        *c = (unsigned char)*c < 0x80 ? *c : '?';
}

/* A step by itself, without a condition's branches: 0 or negative errno, with a sentence in error. */
static int run_single(struct run *run, const json_t *step, json_t **ret_value, char *error, size_t size)
{
    const struct step_type *type = flow_step_type(step);
    const json_t *config = json_object_get(step, "config");
    _cleanup_json_ json_t *value = NULL;
    int index = run->n_steps++;
    int64_t begun = clock_monotonic_ms();
    tell(run->call, index, ACTION_RUNNING, 0, NULL);
    int r = type->run || type->unavailable ? work(run, type, config, &value, error, size)
                                           : test(run, config, &value, error, size);
    if (r == 0)
        r = keep(run, step, value, error, size);
    if (r < 0)
        keep_valid(error);
    note_step(run, index, step, r, clock_monotonic_ms() - begun, error);
    if (r == 0)
        *ret_value = TAKE_PTR(value);
    return r;
}

static int run_list(struct run *run, const json_t *steps, char *error, size_t size);

static int run_step(struct run *run, const json_t *step, char *error, size_t size)
{
    const struct step_type *type = flow_step_type(step);
    const json_t *config = json_object_get(step, "config");
    _cleanup_json_ json_t *value = NULL;
    int r = run_single(run, step, &value, error, size);
    if (r == 0 && !type->run && !type->unavailable)
        r = run_list(run, json_object_get(config, json_bool(value, "matched", false) ? "then" : "else"),
                     error, size);
    if (r == 0 || run->ended || !flow_step_goes_on(step))
        return r;
    _cleanup_json_ json_t *failed = json_pack("{s:s}", "error", error);
    return keep(run, step, failed, error, size);
}

/* NULL is an empty list. Ends at the first step that fails and has no say in it. */
static int run_list(struct run *run, const json_t *steps, char *error, size_t size)
{
    json_t *step;
    size_t i;
    json_array_foreach (steps, i, step) {
        if (cut_short(run, NULL, error, size))
            return -ECANCELED;
        int r = run_step(run, step, error, size);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------------- flow */

static void refuse(struct action_result *result, enum action_status status, const char *sentence)
{
    result->status = status;
    (void)snprintf(result->error, sizeof result->error, "%s", sentence);
}

/* Loads the flow and asks whether it may run; else the result says why not. */
static bool admit(const struct action_env *env, const struct action_call *call, struct flow *flow,
                  struct action_result *result)
{
    char error[STEP_ERROR_MAX] = "";
    int r = flow_load(env->db, call->slug, flow, error, sizeof error);
    const char *refusal = r == 0 ? flow_refusal(flow, call->who) : NULL;
    if (r == -ENOENT)
        refuse(result, ACTION_MISS, "There is no such flow");
    else if (r < 0)
        refuse(result, ACTION_ERROR, error[0] ? error : "The flow could not be loaded, try again shortly");
    else if (!flow->active)
        refuse(result, ACTION_ERROR, "This flow is switched off");
    else if (refusal)
        refuse(result, ACTION_ERROR, refusal);
    else if (call->hold_writes && (flow->effects & STEP_WRITES))
        refuse(result, ACTION_MISS,
               "Your account is still being set up: flows that write wait until that is done");
    else
        return true;
    return false;
}

static void run_flow(struct run *run, const struct flow *flow)
{
    struct action_result *result = run->result;
    run->side_effects = flow->allow_side_effects;
    tell(run->call, -1, ACTION_RUNNING, 0, NULL);
    int r = run->audit ? run_list(run, flow->steps, result->error, sizeof result->error) : -ENOMEM;
    result->status = r < 0 ? ACTION_ERROR : ACTION_SUCCESS;
    if (r == 0)
        result->error[0] = '\0';
    stagehand_end_all(run->env->cfg, &run->sessions);
}

void action_run(const struct action_env *env, const struct action_call *call, struct action_result *ret)
{
    struct flow flow = {0};
    _cleanup_json_ json_t *input = call->input ? json_incref((json_t *)call->input) : json_object();
    *ret = (struct action_result){.status = ACTION_ERROR, .results = json_object()};
    struct run run = {
        .env = env,
        .call = call,
        .result = ret,
        .cancel = {.deadline_ms = call->deadline_ms, .parent = call->cancel},
        .scope = {.input = input,
                  .results = ret->results,
                  .user_id = call->who->user_id,
                  .address_key = STEP_ADDRESS},
        .audit = json_array(),
        .begun_ms = clock_monotonic_ms(),
    };
    if (admit(env, call, &flow, ret))
        run_flow(&run, &flow);
    finish(env, call, ret, run.audit, clock_monotonic_ms() - run.begun_ms);
    flow_done(&flow);
    json_decref(run.audit);
}
