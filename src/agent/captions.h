/* SPDX-License-Identifier: MIT */
/* Captions by the writer model, in the voice of their creator. Whatever comes from outside stands in the
 * prompt as quoted data, and what the model says is made to keep the platform's rules (agent/caption_text.h).
 * Blocking, for threads that may wait for a model. */
#ifndef AGENT_CAPTIONS_H
#define AGENT_CAPTIONS_H

#include "base/arena.h"
#include "base/cancel.h"
#include "llm/llm.h"
#include "posts/platforms.h"

#define CAPTIONS_MAX 5 /* at a time */

struct caption_length {
    const char *name;
    int least, most; /* sentences */
};

/* "short", "medium" or "long"; NULL for anything else. */
const struct caption_length *caption_length_find(const char *name);

struct caption_ask {
    const struct platform *platform;
    const struct caption_length *length;
    const char *tone, *topic;
    const char *username;        /* on the platform; may be NULL */
    const char *voice, *summary; /* of the creator; may be NULL */
    int n;                       /* 1..CAPTIONS_MAX, each different from those before it */
};

/* Writes up to ask->n captions into ret, in the arena; fewer where the model fails on the way. How many, or
 * where there is none: -EBUSY (the model's queue is full), -ETIMEDOUT, -ECANCELED, -EIO (the model failed, or
 * said twice nothing that can be posted), -ENOMEM. */
int captions_write(struct llm *llm, const struct llm_model *model, const struct caption_ask *ask,
                   struct cancel *cancel, struct arena *a, const char *ret[CAPTIONS_MAX]);

#endif
