/* SPDX-License-Identifier: MIT */
/* Takes a few fields out of a JSON text without building a tree: a token of a model is one small object of
 * which one string matters, and there are thousands a second. The whole text is checked against the grammar.
 * Unlike a tree it keeps strings as they were written, so that halves of surrogate pairs and bytes that
 * aren't UTF-8 can be mended (join.h). Depth is limited by the caller; of equal keys the last counts.
 * Pure and thread-safe. */
#ifndef LLM_PICK_H
#define LLM_PICK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PICK_MAX 10 /* fields at a time */

enum pick_type {
    PICK_NONE,
    PICK_NULL,
    PICK_FALSE,
    PICK_TRUE,
    PICK_NUMBER,
    PICK_STRING,
    PICK_OBJECT,
    PICK_ARRAY
};

struct pick {
    enum pick_type type; /* PICK_NONE where the path leads nowhere */
    const char *raw;     /* the text of the value in the JSON; of a string, its inside with the escapes */
    size_t len;
};

/* paths: keys and the array index 0 (which also finds a key "0"), joined by dots: "choices.0.delta.content";
 * n of them (at most PICK_MAX), one pick each. max_depth: JSON_MAX_DEPTH for text from outside,
 * JSON_OWN_MAX_DEPTH for our own. 0, or -EINVAL when the text is not exactly one well-formed JSON value
 * within that depth; ret is then undefined. */
int pick_fields(const char *json, size_t len, int max_depth, const char *const *paths, size_t n,
                struct pick *ret);

/* A whole number of at most 18 digits, else the fallback. */
int64_t pick_int(const struct pick *p, int64_t fallback);

/* Whether it is a string of exactly this content (which needs no escapes). */
bool pick_is(const struct pick *p, const char *text);

#endif
