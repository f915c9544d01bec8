/* SPDX-License-Identifier: MIT */
/* What a model said → what may be posted. A model is asked to keep a platform's rules; here they are
 * enforced: no preamble, no quotes around it, as many sentences, hashtags and characters as allowed. It is
 * cut between sentences or words, never inside a URL, a hashtag or a character. Pure. */
#ifndef AGENT_CAPTION_TEXT_H
#define AGENT_CAPTION_TEXT_H

#include "base/arena.h"
#include "posts/platforms.h"

#include <stdint.h>

/* Bytes of a model's answer that are looked at. */
#define CAPTION_SAID_MAX (16 * 1024)

struct caption_form {
    const struct platform *platform;
    int sentences_max;
    const char *topic; /* hashtags that are missing are made from it */
};

/* The caption in the arena: "" where nothing is left, NULL without memory. said: well-formed UTF-8, cut at
 * CAPTION_SAID_MAX. */
const char *caption_finish(struct arena *a, const struct caption_form *form, const char *said);

#endif
