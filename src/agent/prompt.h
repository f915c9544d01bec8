/* SPDX-License-Identifier: MIT */
/* Builds what a model is sent, within its window: instructions, flows on offer, persona, attachments, what
 * retrieval found, skills, history, message. Openers of tags are broken in all but the instructions and the
 * flows. Where the window is too small, history goes first (oldest first), then skills, then passages (worst
 * first), then attachments are cut, each to its share; nothing is cut inside a UTF-8 character. Pure. */
#ifndef AGENT_PROMPT_H
#define AGENT_PROMPT_H

#include "agent/attachments.h"
#include "agent/history.h"
#include "agent/catalog.h"
#include "retrieval/retrieval.h"

/* A skill that the message activates, as instructions for this answer. */
struct prompt_skill {
    const char *name, *description, *content;
};

struct prompt_parts {
    const struct chat_context *context;
    const struct passage *passages;
    size_t n_passages;
    const struct prompt_skill *skills; /* best first */
    size_t n_skills;
    const struct flow_offer *flows;
    size_t n_flows;
    const struct attachments *attachments;
    const char *message;
    int64_t window_tokens;
};

struct prompt {
    struct llm_message *messages; /* system, then alternating, then the user's */
    size_t n;
    size_t n_passages;     /* how many of the passages made it in */
    int64_t answer_tokens; /* room that is left for the answer */
};

/* Everything in the arena. 0 or -ENOMEM. */
int prompt_build(struct arena *a, const struct prompt_parts *parts, struct prompt *ret);

/* A rough count: four bytes a token. */
int64_t prompt_tokens(const char *text);

#endif
