/* SPDX-License-Identifier: MIT */
/* JSON is jansson; these helpers add what it leaves to the caller: limits on outside text, cleanup, typed
 * getters with a default, and output into our buffers. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define JSON_MAX_DEPTH 64
/* Of values put together from such ones: the stored results of an answer's flows, for one. */
#define JSON_OWN_MAX_DEPTH (2 * JSON_MAX_DEPTH)
#define JSON_MAX_CONTAINERS 65536 /* objects and arrays */
#define JSON_MAX_VALUES 300000    /* that follow a comma; a full batch of the longest vectors fits */

static inline void json_decrefP(json_t **j)
{
    json_decref(*j);
}
#define _cleanup_json_ _cleanup_(json_decrefP)

/* From now on the memory of every value is overwritten before it is given back, since some hold secrets.
 * Once, at the start of the program. */
void json_wipe_memory(void);

/* Parses one JSON value from outside bytes: any type at the top, duplicate keys refused, within the limits
 * above (checked before parsing, since values weigh up to a hundred times their text). NULL when malformed;
 * the caller owns the result. */
json_t *json_parse(const char *s, size_t len);

/* The same for a file that somebody wrote: where it is refused, a sentence says at which line and why. */
json_t *json_parse_told(const char *s, size_t len, char *why, size_t size);

/* The same for text that json_write or json_text made of values within the limits: put together they may pass
 * them. */
json_t *json_parse_own(const char *s, size_t len);

/* Getters: the value if `key` is there and has that type, else the default. Strings stay owned by `obj`. */
const char *json_str(const json_t *obj, const char *key, const char *fallback);
int64_t json_int(const json_t *obj, const char *key, int64_t fallback);
double json_num(const json_t *obj, const char *key, double fallback);
bool json_bool(const json_t *obj, const char *key, bool fallback);

/* Appends the compact text of a value: 0, -ENOBUFS or -ENOMEM. */
int json_write(struct buf *b, const json_t *value);

/* The compact text in the arena, or NULL without memory. */
char *json_text(struct arena *a, const json_t *value);

/* Appends s (must be well-formed UTF-8) as a JSON string with its quotes; the fast way for stream events. */
int json_write_str(struct buf *b, const char *s, size_t len);

#endif
