/* SPDX-License-Identifier: MIT */
/* The ACTION tag scanner: takes a model's text in pieces of any size, lets through at once what can't be part
 * of a tag, and takes out each `[ACTION:<slug>:<json object>]`. A tag that is never closed, is longer than
 * TAG_MAX_BYTES, or does not hold valid JSON is shown as the text it was. The visible text and the tags are
 * the same however the text was split: a tag fails at the first byte that can't continue it, and scanning
 * goes on at that byte (or at an unquoted '[' right before it), so a good tag after or inside a broken one is
 * found, unless it stands in the broken one's quotes. */
#ifndef AGENT_TAGS_H
#define AGENT_TAGS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"

#include <stddef.h>
#include <stdint.h>

#define TAG_MAX_BYTES (64 * 1024)
#define TAG_MAX_RUN 8 /* flows run in one answer */
#define TAG_MAX_KEPT \
    64 /* beyond the ones that run, remembered to be reported as missed; further ones are dropped */
#define TAG_SLUG_MAX 64

struct tag {
    char slug[TAG_SLUG_MAX + 1];
    json_t *input; /* object; owned by the scanner until taken */
};

struct tag_scanner {
    void (*visible)(void *ctx, const char *text, size_t len); /* never called with len 0 */
    void *ctx;
    struct buf held; /* from a '[' that may still begin a tag */
    struct tag *tags;
    size_t n_tags;
    size_t malformed; /* tags shown as text since their JSON was invalid or they were too long */
    /* where in a tag the scanner stands; private */
    int state;
    int depth;       /* open brackets of the JSON */
    uint64_t arrays; /* bit d is set where level d is an array */
    size_t json_at;  /* offset in held */
    bool key, escaped;
};

void tags_init(struct tag_scanner *s, void (*visible)(void *ctx, const char *text, size_t len), void *ctx);
void tags_free(struct tag_scanner *s);

/* Feeds a piece; calls visible() for what may be shown. 0 or -ENOMEM. */
int tags_feed(struct tag_scanner *s, const char *text, size_t len);

/* The text is over: shows what was held back. 0 or -ENOMEM. */
int tags_finish(struct tag_scanner *s);

/* A copy of text from outside in which no tag can open: each "[" of a `[ACTION:` opener (any letter case,
 * also with white space or invisible characters between) gets a space after it, unless it has one. For
 * prompts, history and quotes. Breaking a broken text changes nothing. NULL without memory. */
char *tags_break(struct arena *a, const char *text);

/* Whether the text holds an opener that tags_break would change. */
bool tags_present(const char *text);

#endif
