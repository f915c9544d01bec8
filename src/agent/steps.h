/* SPDX-License-Identifier: MIT */
/* The step types of flows: one table, one file per family. A step gets its config with all references filled
 * in and its fields checked against the table, acts as the user, and gives one JSON value. */
#ifndef AGENT_STEPS_H
#define AGENT_STEPS_H

#include "agent/runner.h"

#define STEP_FIELDS_MAX 8
#define STEP_ERROR_MAX 200
#define STAGEHAND_SESSIONS_MAX 4
#define STAGEHAND_ID_MAX 128

/* What running a step does to the world; a flow has the effects of all its steps, those of both branches
 * included. */
enum step_effect {
    STEP_READS = 0,
    STEP_WRITES = 1,       /* changes rows of the user */
    STEP_SIDE_EFFECTS = 2, /* deletes, publishes, or sends to another host: the flow's row must allow it */
};

struct step_field {
    const char *name;
    unsigned types; /* bits: 1 << JSON_STRING … */
    bool required;
};

#define STEP_ADDRESS "url" /* the field that is an address, in whichever type has it */

/* Browser sessions that a flow has opened; the runner ends those left over. */
struct stagehand_sessions {
    char ids[STAGEHAND_SESSIONS_MAX][STAGEHAND_ID_MAX + 1];
    size_t n;
};

struct step_run {
    const struct action_env *env;
    const struct identity *who;
    struct cancel *cancel; /* raised by the client, the step's time limit, or the flow's */
    int64_t deadline_ms;   /* the sooner of the two limits, clock_monotonic_ms() */
    struct stagehand_sessions *sessions;
    bool side_effects; /* the flow's row allows them */
    char error[STEP_ERROR_MAX];
};

struct step_type {
    const char *name;
    unsigned effects;
    unsigned (*more_effects)(const json_t *config); /* what an unfilled config adds; may be NULL */
    const char *unavailable;                        /* the subsystem it needs is not there: why, else NULL */
    /* 0 with a new reference in *ret, or negative errno with a sentence in run->error. NULL: `condition`,
     * which the runner does itself. */
    int (*run)(struct step_run *run, const json_t *config, json_t **ret);
    struct step_field fields[STEP_FIELDS_MAX]; /* ended by one without a name */
};

/* The row of a type, or NULL. */
const struct step_type *step_type_find(const char *name);

/* Checks a config against a type's fields: presence alone, or (when filled in) JSON types too. 0, or -EINVAL
 * with a sentence. */
int step_check_fields(const struct step_type *type, const json_t *config, bool filled, char *error,
                      size_t size);

/* Sets run->error and returns r, for `return step_fail(run, -EINVAL, "…")`. */
int step_fail(struct step_run *run, int r, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The error of a step whose subsystem or service is not there. */
int step_unavailable(struct step_run *run, const char *why);

/* A limit in milliseconds for a request of the step: a little more than it has left, so that it is the cancel
 * flag that ends it, and the runner knows why. */
int64_t step_time_left(const struct step_run *run);

int step_directus_read(struct step_run *run, const json_t *config, json_t **ret);
int step_directus_search(struct step_run *run, const json_t *config, json_t **ret);
int step_directus_write(struct step_run *run, const json_t *config, json_t **ret);
int step_directus_update(struct step_run *run, const json_t *config, json_t **ret);
int step_directus_delete(struct step_run *run, const json_t *config, json_t **ret);
unsigned step_directus_effects(const json_t *config);

int step_llm_generate(struct step_run *run, const json_t *config, json_t **ret);
int step_memory_recall(struct step_run *run, const json_t *config, json_t **ret);

int step_bullmq_enqueue(struct step_run *run, const json_t *config, json_t **ret);

int step_http_request(struct step_run *run, const json_t *config, json_t **ret);

int step_stagehand_start(struct step_run *run, const json_t *config, json_t **ret);
int step_stagehand_navigate(struct step_run *run, const json_t *config, json_t **ret);
int step_stagehand_act(struct step_run *run, const json_t *config, json_t **ret);
int step_stagehand_extract(struct step_run *run, const json_t *config, json_t **ret);
int step_stagehand_observe(struct step_run *run, const json_t *config, json_t **ret);
int step_stagehand_screenshot(struct step_run *run, const json_t *config, json_t **ret);
int step_stagehand_close(struct step_run *run, const json_t *config, json_t **ret);

/* Ends what the flow left open; a few seconds at most, also after the flow was cancelled. */
void stagehand_end_all(const struct config *cfg, struct stagehand_sessions *sessions);

#endif
