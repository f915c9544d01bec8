/* SPDX-License-Identifier: MIT */
/* Attachments of a chat message in AnythingLLM's shape {name, mime, contentString}: texts become context,
 * images go to models that take them, anything else is refused. contentString is a data URI or, for texts,
 * the text itself. */
#ifndef AGENT_ATTACHMENTS_H
#define AGENT_ATTACHMENTS_H

#include "base/arena.h"
#include "base/json.h"
#include "llm/llm.h"

#define ATTACHMENTS_MOST 10

struct attached_text {
    const char *name, *text;
};

/* All in the arena, or borrowed from the JSON. */
struct attachments {
    struct attached_text texts[ATTACHMENTS_MOST];
    size_t n_texts;
    struct llm_image images[ATTACHMENTS_MOST];
    size_t n_images;
};

/* 0, or -EINVAL with a sentence (malformed) or -ENOTSUP with a sentence (a kind nobody reads), or -ENOMEM. */
int attachments_parse(struct arena *a, const json_t *list, struct attachments *ret,
                      const char **ret_sentence);

#endif
