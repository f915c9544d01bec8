/* SPDX-License-Identifier: MIT */
/* Text as terms: what the index stores and what a question is looked up by, cut by the same rules.
 *
 * A word is a run of letters and digits, in lower case, without accents ("Café" is "cafe"),
 * without an apostrophe ("don't" is "dont", "fan's" is "fan"). Words of Latin letters are stemmed by English
 * rules. Of Chinese, Japanese and Korean writing each character is a term, and so is each pair of neighbours.
 * Full-width forms count as the plain ones. Everything else separates, malformed bytes too. */
#ifndef RETRIEVAL_TERMS_H
#define RETRIEVAL_TERMS_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TERM_MAX 64 /* bytes; the rest of a longer word is dropped */

struct terms; /* a cutter; one thread at a time */

/* NULL without memory. */
struct terms *terms_new(void);
void terms_free(struct terms *t);
DEFINE_CLEANUP(struct terms *, terms_free);

/* Begins a text, which must outlive the cutting. Any bytes will do. */
void terms_begin(struct terms *t, const char *text, size_t len);

/* The next term; it lives until the next call. False at the end. Constant memory, linear time. */
bool terms_next(struct terms *t, const char **ret, size_t *ret_len);

/* Whether a term (as terms_next gives it) is an English word that says nothing about a subject, such as
 * "what". */
bool term_is_filler(const char *term, size_t len);

#endif
