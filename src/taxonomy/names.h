/* SPDX-License-Identifier: MIT */
/* The normal form of a term of the taxonomy: trimmed, lower case, runs of white space as one hyphen ("Golden
 * Hour" is "golden-hour"). Nodes, dimensions and aliases are kept in it, and look-ups bring it about, so that
 * one name has one spelling. A compound name has parts, between its hyphens. Pure, thread-safe. */
#ifndef TAXONOMY_NAMES_H
#define TAXONOMY_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#define TAXONOMY_NAME_MAX 120 /* bytes */

/* Writes the normal form of a text; ret holds TAXONOMY_NAME_MAX + 1. Its length, or -EINVAL where nothing is
 * left, the bytes are no UTF-8 or hold control characters, or -E2BIG where it is too long. */
int taxonomy_normalise(const char *text, size_t len, char *ret);

/* The next part of a name in normal form; moves *at on; false at the end. Empty parts are skipped. */
bool taxonomy_next_part(const char **at, const char **ret, size_t *ret_len);

/* Whether a name has more than one part. */
bool taxonomy_is_compound(const char *name);

/* ---- what there is */

enum taxonomy_type { TAXONOMY_SUPER_CONCEPT, TAXONOMY_CATEGORY, TAXONOMY_TAG, TAXONOMY_SITE, TAXONOMY_TYPES };
enum taxonomy_relation {
    TAXONOMY_HAS_TAG,
    TAXONOMY_HAS_CATEGORY,
    TAXONOMY_USES_TAG,
    TAXONOMY_CO_OCCURS,
    TAXONOMY_MAPS_TO_CONCEPT,
    TAXONOMY_RELATIONS
};

/* Between what a relation holds; sets of types as bits 1 << type. */
struct taxonomy_relation_info {
    const char *name; /* in the store and in files */
    unsigned sources, targets;
};

const char *taxonomy_type_name(enum taxonomy_type type);
const struct taxonomy_relation_info *taxonomy_relation_info(enum taxonomy_relation relation);

/* By name: the value, or -ENOENT. */
int taxonomy_type_find(const char *name);
int taxonomy_relation_find(const char *name);

#endif
