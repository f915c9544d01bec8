/* SPDX-License-Identifier: MIT */
/* The onboarding gate: what a creator hears who has not finished onboarding. */
#ifndef AGENT_GATE_H
#define AGENT_GATE_H

#include "agent/history.h"

/* The guidance for a state that may not chat yet, or NULL where the model answers. Admins are never gated. */
const char *gate_guidance(enum onboarding_state state, const struct identity *who);

/* Whether this is somebody with admin rights in their own name: an impersonated session counts as its
 * creator. */
bool gate_is_admin(const struct identity *who);

#endif
