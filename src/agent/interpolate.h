/* SPDX-License-Identifier: MIT */
/* References in the `config` of a flow's step:
 *   $input.url   $draft.title.0   $user.id      a name, then keys and indexes after dots
 *   {{input.url}}   {{page.content-type}}       the same; keys may hold anything but dots, braces and white
 * space
 *   $$                                          a dollar; one that no letter follows stands for itself
 * A string that is one reference and nothing else becomes the value with its JSON type; inside a string a
 * value becomes text (null is empty, objects and arrays their JSON). What was inserted is never looked at
 * again, so a value that holds `$user.id` stays just that. Keys of objects are not touched.
 *
 * Inside an address a value is one part of it: what would end the part is percent-encoded, and a value of
 * dots alone is refused, so that an input can't lead to another path, query or host. */
#ifndef AGENT_INTERPOLATE_H
#define AGENT_INTERPOLATE_H

#include "base/json.h"

#define INTERPOLATE_MAX_BYTES (1024 * 1024) /* of all texts and keys in one result */

struct interpolate_scope {
    const json_t *input;   /* an object */
    const json_t *results; /* an object: by result_key */
    const char *user_id;
    const char *address_key; /* the object's member whose text is an address; may be NULL */
};

/* *ret is a new reference. 0; -ENOENT: a reference leads nowhere, -EINVAL: a value can't stand in an address,
 * -EMSGSIZE: the result is too large or
 * nested deeper than JSON_MAX_DEPTH, -ENOMEM; with a sentence in error (of `size` bytes) that names the
 * reference. */
int interpolate(const json_t *value, const struct interpolate_scope *scope, json_t **ret, char *error,
                size_t size);

/* Whether a string is one whole reference that leads nowhere; false for everything else. */
bool interpolate_is_missing(const json_t *value, const struct interpolate_scope *scope);

/* Calls found(ctx, path) for each reference in the strings of a value, nested ones included: "input.url". */
void interpolate_each(const json_t *value, void (*found)(void *ctx, const char *path), void *ctx);

#endif
