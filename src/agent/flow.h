/* SPDX-License-Identifier: MIT */
/* A flow: a row of action_flows, with its steps parsed and checked. */
#ifndef AGENT_FLOW_H
#define AGENT_FLOW_H

#include "agent/steps.h"

#define FLOW_STEPS_MAX 32           /* in all, those in branches included */
#define FLOW_NESTING_MAX 4          /* conditions inside each other */
#define FLOW_BYTES_MAX (256 * 1024) /* of the steps' JSON */

struct flow {
    bool active, allow_side_effects;
    bool unavailable; /* has a step that can only end as step_unavailable, and would end the flow */
    unsigned effects; /* of all its steps (enum step_effect) */
    json_t *steps;    /* an array; every step has a known type and a config object */
};

/* Parses and checks steps; fills steps, effects and unavailable of *ret. 0, or -EINVAL with a sentence. */
int flow_parse(const char *steps, struct flow *ret, char *error, size_t size);

/* Loads a flow by slug: 0, -ENOENT, -EINVAL (its steps are not valid; error says why), or the store's
 * error. */
int flow_load(struct db *db, const char *slug, struct flow *ret, char *error, size_t size);

void flow_done(struct flow *flow);

/* Why that user may not run it, as a sentence, or NULL. Whether it is active is not asked here. */
const char *flow_refusal(const struct flow *flow, const struct identity *who);

/* The inputs that its steps refer to: "url, note"; NULL without memory. */
const char *flow_input_hint(const struct flow *flow, struct arena *a);

/* The parts of a checked step. */
const struct step_type *flow_step_type(const json_t *step);
const char *flow_step_key(const json_t *step); /* result_key, or NULL */
bool flow_step_goes_on(const json_t *step);    /* on_error: "continue" */

#endif
