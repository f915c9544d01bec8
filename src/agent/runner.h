/* SPDX-License-Identifier: MIT */
/* The Action Runner: runs a flow (a row of action_flows) step by step as a user, with that user's rights,
 * under time limits, and writes one agent_audits row. Blocking; workers only. */
#ifndef AGENT_RUNNER_H
#define AGENT_RUNNER_H

#include "auth/identity.h"
#include "base/cancel.h"
#include "base/json.h"
#include "llm/llm.h"
#include "retrieval/retrieval.h"

struct media_jobs;

/* What steps work with. */
struct action_env {
    const struct config *cfg;
    struct db *db;
    struct llm *llm;
    struct retrieval *retrieval;
    const struct media_jobs *media; /* NULL: there is no queue */
};

enum action_status { ACTION_RUNNING, ACTION_SUCCESS, ACTION_ERROR, ACTION_MISS };

/* Told about progress, on the runner's thread. step: 0-based, or -1 for the flow as a whole; ms and error at
 * its end. */
struct action_observer {
    void (*progress)(void *ctx, const char *slug, int step, enum action_status status, int64_t ms,
                     const char *error);
    void *ctx;
};

struct action_call {
    const char *slug;
    const json_t *input; /* an object */
    struct identity *who;
    bool hold_writes;      /* onboarding still runs: flows that write are missed, with a reason */
    struct cancel *cancel; /* may be NULL */
    int64_t deadline_ms;   /* clock_monotonic_ms at which the flow ends at the latest */
    struct action_observer observer;
};

struct action_result {
    enum action_status status; /* SUCCESS, ERROR or MISS */
    json_t *results;           /* by result_key; a reference of the caller's */
    char error[200];
};

/* Runs a flow to its end; never fails to give a result. */
void action_run(const struct action_env *env, const struct action_call *call, struct action_result *ret);

/* The audit row and the `miss` event of a tag that is not run at all (too many in one answer). */
void action_miss(const struct action_env *env, const struct action_call *call, const char *reason);

const char *action_status_name(enum action_status status);

#endif
